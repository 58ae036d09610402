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

    parts_ns: of all parts, added up. longest_ns: of each launch's longest. elapsed_ns: from each
    launch's first start to its last end. reason: of the last one.
    """

    launches: int = 0
    parts: int = 0
    bytes_moved: int = 0
    parts_ns: int = 0
    longest_ns: int = 0
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
        times = record.times
        row.parts += len(times)
        longest = 0
        for start, end in times.values():
            row.parts_ns += end - start
            longest = max(longest, end - start)
        row.longest_ns += longest
        row.elapsed_ns += max(elapsed_ns, longest)

    def as_message(self) -> list[list[Any]]:
        """The rows of a session.Totals message."""
        return [
            [
                name, mode, row.launches, row.parts, row.bytes_moved, max(0, row.parts_ns),
                row.longest_ns, row.elapsed_ns, row.reason,
            ]
            for (name, mode), row in self.rows.items()
        ]  # fmt: skip
