"""What all launches of a session came to, kernel by kernel, for who asks why it is slow.

Owns: the sums and their form on the wire. Must not know: how launches are planned, or who asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from master.reports import LaunchRecord

rows_max = 1024
"""Rows of a session; launches of further kernels are summed up in one more."""

OTHERS = "(others)"


@dataclass(slots=True)
class _Row:
    """Of one kernel's launches that were carried out in one mode; times in ns.

    parts_ns: of all parts, added up. busy_ns: in which some part of a launch ran. moving_ns: in
    which none did, and bytes were moved. elapsed_ns: from the first start of a part or a move of
    each launch to its last end. reason: of the last one.
    """

    launches: int = 0
    parts: int = 0
    bytes_moved: int = 0
    parts_ns: int = 0
    busy_ns: int = 0
    moving_ns: int = 0
    elapsed_ns: int = 0
    reason: str = ""


class Totals:
    """Of one session."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], _Row] = {}
        """By the kernel's name and the mode."""

    def add(self, record: LaunchRecord, elapsed_ns: int) -> None:
        """A launch has ended well."""
        key = record.kernel.name, record.mode
        row = self.rows.get(key)
        if row is None:
            if len(self.rows) >= rows_max:
                key = OTHERS, record.mode
            row = self.rows.setdefault(key, _Row())
        row.launches += 1
        row.bytes_moved += record.bytes_moved
        row.reason = record.reason
        parts = list(record.times.values())
        if len(parts) == 1 and not record.moves:  # as of most launches
            start, end = parts[0]
            row.parts += 1
            row.parts_ns += end - start
            busy = max(0, end - start)
            row.busy_ns += busy
            row.elapsed_ns += max(elapsed_ns, busy)
            return
        row.parts += len(parts)
        row.parts_ns += sum(end - start for start, end in parts)
        busy = used = lasted = covered_ns(parts)
        if len(parts) + len(record.moves) > 1:
            stretches = parts + record.moves
            used = covered_ns(stretches)
            lasted = max(end for _, end in stretches) - min(start for start, _ in stretches)
            record.moves.clear()  # the record itself is kept
        row.busy_ns += busy
        row.moving_ns += used - busy
        row.elapsed_ns += max(elapsed_ns, used, lasted)

    def as_message(self) -> list[list[Any]]:
        """The rows of a session.Totals message."""
        return [
            [
                name, mode, row.launches, row.parts, row.bytes_moved, max(0, row.parts_ns),
                row.busy_ns, row.moving_ns, row.elapsed_ns, row.reason,
            ]
            for (name, mode), row in self.rows.items()
        ]  # fmt: skip


def covered_ns(stretches: list[tuple[int, int]]) -> int:
    """The time in which at least one of them, from a start to an end each, was under way."""
    covered, until = 0, 0
    for start, end in sorted(stretches):
        covered += max(0, end - max(start, until))
        until = max(until, end)
    return covered
