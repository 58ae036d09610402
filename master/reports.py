"""What is remembered of a launch for `vcl.launch_report`.

Owns: the records, what operations' ends add to them, and their form on the wire. Must not know:
how launches are planned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from master.ledger import Operation


@dataclass(slots=True)
class PartRecord:
    """One part of a launch, for its report. start, end: ns, 0 until known."""

    node: str
    device: str
    global_offset: Sequence[int]
    global_size: Sequence[int]
    start: int = 0
    end: int = 0


@dataclass(slots=True)
class LaunchRecord:
    """How a launch was planned and what became of it, for its report."""

    mode: str
    reason: str
    parts: list[PartRecord] = field(default_factory=list)
    bytes_moved: int = 0


def note(record: LaunchRecord, operation: Operation, start: int, end: int, extra: Any) -> None:
    """Put what an operation reported into its launch's record."""
    if operation.part is not None:
        record.parts[operation.part].start, record.parts[operation.part].end = start, end
    elif type(extra) is list and extra and extra[0] == "conflict":
        record.mode = "whole"
        record.reason = (
            "two parts changed one element to different values (first in buffer "
            f"{extra[1]} at byte {extra[2]}), so the launch was run again on one device"
        )
    elif type(extra) is int:
        record.bytes_moved += extra


def as_message(record: LaunchRecord) -> dict[str, Any]:
    """The dictionary of a session.Report message."""
    return {
        "mode": record.mode,
        "reason": record.reason,
        "bytes_moved": record.bytes_moved,
        "parts": [
            {
                "node": p.node,
                "device": p.device,
                "global_offset": list(p.global_offset),
                "global_size": list(p.global_size),
                "seconds": (p.end - p.start) / 1e9,
            }
            for p in record.parts
        ],
    }
