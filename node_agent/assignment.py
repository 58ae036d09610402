"""What an executor is told of the session that it is for.

Owns: `Assignment` and the line that it travels as. Must not know: what either end does with it; so
that an agent needn't load what only executors need.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Assignment:
    """Which session an executor is for. devices: [device id, index in the inventory] each."""

    url: str
    session: int
    node: int
    ticket: str
    devices: list[list[int]]
    substring: str | None

    def to_line(self) -> bytes:
        """As the agent writes it to the executor's standard input."""
        return json.dumps(asdict(self)).encode() + b"\n"
