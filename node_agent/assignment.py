"""What an executor is told of the session that it is for.

Owns: `Assignment` and the line that it travels as, and what one may be asked before. Must not know:
what either end does with it; so that an agent needn't load what only executors need.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

NO_DATA_LISTEN = "none"
"""In place of an address: no direct links."""

TELL_DEVICES = "--tell-devices"
"""Asks an executor that starts for the host's devices, before it is for a session."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """Which session an executor is for. devices: [device id, index in the inventory] each.

    data_listen: where it takes direct links from other hosts, HOST[:PORT[-PORT]], NO_DATA_LISTEN
    for nowhere, None for any port of the address that the host has towards the master.
    shared_memory: whether it takes them from its own host, by shared memory.
    """

    url: str
    session: int
    node: int
    ticket: str
    devices: list[list[int]]
    substring: str | None
    data_listen: str | None = None
    shared_memory: bool = True

    def to_line(self) -> bytes:
        """As the agent writes it to the executor's standard input."""
        return json.dumps(asdict(self)).encode() + b"\n"
