"""What is remembered of a launch for `vcl.launch_report`.

Owns: the records, what operations' ends add to them, and their form on the wire. Must not know:
how launches are planned.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from master.ledger import Operation
from master.objects import KernelFacts
from master.plan.plan import Kind, Plan, Region, Step
from vcl.wire.direct import Way
from vcl.wire.messages import session


@dataclass(slots=True)
class LaunchRecord:
    """How a launch was planned and what became of it, for its report.

    kernel: learns how long it takes, and if parts contradict each other. times: start and end of
    the parts that have ended, in ns, by index. moves: start and end of what has brought bytes, or
    packed them to be merged. ways: bytes of `bytes_moved` that have arrived, by Way.
    """

    mode: str
    reason: str
    kernel: KernelFacts
    message: session.Launch
    plan: Plan
    bytes_moved: int = 0
    ways: Counter[Way] | None = None
    times: dict[int, tuple[int, int]] = field(default_factory=dict)
    moves: list[tuple[int, int]] = field(default_factory=list)

    @property
    def parts(self) -> list[Step]:
        """The steps that are its parts, in order."""
        return [step for step in self.plan.steps if step.part is not None]


def note(
    record: LaunchRecord, operation: Operation, start: int, end: int, extra: Any, way: Way
) -> None:
    """Put what an operation reported into its launch's record. way: of the bytes that it moved, if
    it did."""
    if operation.receives or type(extra) is int:
        record.moves.append((start, end))
    if operation.part is not None:
        record.times[operation.part] = (start, end)
        if operation.piece is not None:
            record.kernel.learn(operation.piece.work_items, end - start)
    elif type(extra) is list:
        where = _argument(record, extra[1])
        record.mode = "whole"
        record.reason = (
            f"two parts changed one element to different values (first in {where} at byte "
            f"{extra[2]} of its buffer), so the launch was run again on one device"
        )
        record.kernel.conflicts = (
            f"an earlier launch of this kernel in parts wrote different values to {where}"
        )
    elif type(extra) is int:
        record.bytes_moved += extra
        _arrived(record, way, extra)
    elif operation.receives and not operation.gives[0].makes:
        _arrived(record, way, operation.gives[0].end - operation.gives[0].start)


def _arrived(record: LaunchRecord, way: Way, size: int) -> None:
    if record.ways is None:  # most launches move nothing
        record.ways = Counter()
    record.ways[way] += size


def _argument(record: LaunchRecord, buffer: int) -> str:
    """The kernel's argument that a buffer was given for."""
    for index, argument in enumerate(record.message.arguments):
        region = session.argument_region(argument)
        if region is not None and region[0] == buffer:
            return f"argument {index + 1}"
    return "a buffer"


def as_message(record: LaunchRecord) -> list[Any]:
    """The array of a session.Report message."""
    parts = []
    for index, step in enumerate(record.parts):
        place, piece = step.place, step.piece
        assert piece is not None
        start, end = record.times.get(index, (0, 0))
        where = [place.node_name, place.device_name]
        what = [list(piece.global_offset), list(piece.global_size)]
        parts.append([*where, *what, (end - start) / 1e9])
    ways: Counter[Way] = record.ways or Counter()
    moved = [record.bytes_moved, *(ways[way] for way in Way)]
    return [record.mode, record.reason, moved, parts, _buffers(record)]


def _buffers(record: LaunchRecord) -> list[list[Any]]:
    """[argument, answer, reason, [brought, read, written] in bytes of each part] of each buffer."""
    assert record.plan.answer is not None
    received: defaultdict[tuple[int, int], list[Region]] = defaultdict(list)
    """By device and buffer."""
    for step in record.plan.steps:
        if step.kind is Kind.RECEIVE:
            for region in step.writes:
                received[step.place.device, region.buffer].append(region)
    parts = record.parts
    parts_at = Counter(step.place.device for step in parts)
    made = []
    for argument, buffer, answer, reason in record.plan.answer.buffers:
        rows = []
        for step in parts:
            come = received[step.place.device, buffer]
            brought = sum(region.end - region.start for region in come)
            if parts_at[step.place.device] > 1:
                brought = _touched_bytes(come, step)
            touched = answer != "untouched"
            read = _bytes(step.reads, buffer) if touched else 0
            rows.append([brought, read, _bytes(step.writes, buffer)])
        made.append([argument + 1, answer, reason, rows])
    return made


def _touched_bytes(received: Sequence[Region], step: Step) -> int:
    """How many of them a part touches."""
    return sum(
        max(0, min(come.end, region.end) - max(come.start, region.start))
        for come in received
        for region in (*step.reads, *step.writes)
        if region.buffer == come.buffer
    )


def _bytes(regions: Sequence[Region], buffer: int) -> int:
    return sum(end - start for number, start, end in regions if number == buffer)
