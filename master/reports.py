"""What is remembered of a launch for `vcl.launch_report`.

Owns: the records, what operations' ends add to them, and their form on the wire. Must not know:
how launches are planned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from master.ledger import Operation
from master.objects import KernelFacts
from vcl.wire.messages import session


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
    kernel: KernelFacts | None = None
    """Learns how long it takes, and if parts contradict each other."""
    message: session.Launch | None = None


def note(record: LaunchRecord, operation: Operation, start: int, end: int, extra: Any) -> None:
    """Put what an operation reported into its launch's record."""
    if operation.part is not None:
        one = record.parts[operation.part]
        one.start, one.end = start, end
        if record.kernel is not None:
            record.kernel.learn(prod(one.global_size), end - start)
    elif type(extra) is list:
        where = _argument(record, extra[1])
        record.mode = "whole"
        record.reason = (
            f"two parts changed one element to different values (first in {where} at byte "
            f"{extra[2]} of its buffer), so the launch was run again on one device"
        )
        if record.kernel is not None:
            record.kernel.conflicts = (
                f"an earlier launch of this kernel in parts wrote different values to {where}"
            )
    elif type(extra) is int:
        record.bytes_moved += extra


def _argument(record: LaunchRecord, buffer: int) -> str:
    """The kernel's argument that a buffer was given for."""
    for index, argument in enumerate(record.message.arguments if record.message else ()):
        region = session.argument_region(argument)
        if region is not None and region[0] == buffer:
            return f"argument {index + 1}"
    return "a buffer"


def as_message(record: LaunchRecord) -> list[Any]:
    """The array of a session.Report message."""
    parts = [
        [p.node, p.device, list(p.global_offset), list(p.global_size), (p.end - p.start) / 1e9]
        for p in record.parts
    ]
    return [record.mode, record.reason, record.bytes_moved, parts]
