"""What became of a launch: the answer of `vcl.launch_report(event)`.

Owns: the report's shape and its printed form. Must not know: how it is fetched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from vcl.text import sized
from vcl.wire.direct import Way

WAYS = {
    Way.RELAY: "through the master",
    Way.DIRECT: "direct",
    Way.SHARED_MEMORY: "shared memory",
}


@dataclass(frozen=True)
class PartReport:
    """One part of a launch.

    - node, device: their names.
    - global_offset, global_size: work-items per dimension.
    - seconds: of running.

    One that has to wait for bytes of its neighbours may be several: its core, which doesn't, and
    its rims.
    """

    node: str
    device: str
    global_offset: tuple[int, ...]
    global_size: tuple[int, ...]
    seconds: float


@dataclass(frozen=True)
class BufferReport:
    """How a launch treated the buffer that was given for an argument, counted from 1.

    - answer: "read", "regions", "merge", "reduce", "whole" or "untouched".
    - reason: in a few words, with the line of the source where there is one.
    - brought, read, written: bytes of each part: those that were sent to it for this launch, that
      it may only read, and that it may write.
    """

    argument: int
    answer: str
    reason: str
    brought: tuple[int, ...]
    read: tuple[int, ...]
    written: tuple[int, ...]


@dataclass(frozen=True)
class LaunchReport:
    """How a launch was carried out. `str()` of it is a table for people.

    - mode: "regions", "merge", "reduce" or "whole".
    - reason: one sentence.
    - parts: each a PartReport.
    - bytes_moved: between the program and nodes, and between nodes, because of this launch.
    - bytes_by_way: the same by how they went, as was so when they had arrived: "through the
      master", "direct", "shared memory"; only ways that were taken.
    - buffers: each a BufferReport, in the order of the kernel's arguments.
    """

    mode: Literal["regions", "merge", "reduce", "whole"]
    reason: str
    parts: tuple[PartReport, ...]
    bytes_moved: int
    bytes_by_way: Mapping[str, int] = field(default_factory=dict)
    buffers: tuple[BufferReport, ...] = ()

    @classmethod
    def from_message(cls, report: Sequence[Any]) -> LaunchReport:
        """From the array of a session.Report message."""
        mode, reason, (bytes_moved, *ways), rows, answers = report
        by_way = {WAYS[Way(way)]: count for way, count in enumerate(ways) if count}
        parts = tuple(
            PartReport(node, device, tuple(offset), tuple(size), seconds)
            for node, device, offset, size, seconds in rows
        )
        buffers = tuple(
            BufferReport(argument, answer, why, *(tuple(c[n] for c in counts) for n in range(3)))
            for argument, answer, why, counts in answers
        )
        return cls(mode, reason, parts, bytes_moved, by_way, buffers)

    def __str__(self) -> str:
        """A table for people."""
        count = len(self.parts)
        head = f"{self.mode}, {count} part{'s' if count != 1 else ''}, "
        head += f"{sized(self.bytes_moved)} moved"
        if len(self.bytes_by_way) == 1:
            head += f" ({next(iter(self.bytes_by_way))})"
        elif self.bytes_by_way:
            each = [f"{sized(count)} {way}" for way, count in self.bytes_by_way.items()]
            head += f" ({', '.join(each)})"
        head += f": {self.reason}"
        rows = [("node", "device", "offset", "size", "ms")]
        for part in self.parts:
            rows.append(
                (
                    part.node,
                    part.device,
                    _dimensions(part.global_offset),
                    _dimensions(part.global_size),
                    f"{part.seconds * 1e3:.3f}",
                )
            )
        widths = [max(len(row[i]) for row in rows) for i in range(5)]
        lines = []
        for row in rows:
            cells = [c.ljust(w) for c, w in zip(row[:4], widths, strict=False)]
            lines.append("  ".join([*cells, row[4].rjust(widths[4])]).rstrip())
        for one in self.buffers:
            brought = ", ".join(map(sized, one.brought))
            lines.append(f"argument {one.argument}: {one.answer}, {brought} brought: {one.reason}")
        return "\n".join([head, *("  " + line for line in lines)])


def _dimensions(sizes: tuple[int, ...]) -> str:
    return " x ".join(map(str, sizes))
