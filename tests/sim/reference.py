"""Commands as data, and what they do when one device runs them in order on plain bytes.

Owns: `Command`, its effect on a reference memory, and which bytes mean nothing after failures.
Must not know: the cluster.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.sim.kernels import KERNELS

Region = tuple[int, int, int]
"""(buffer, start, end) in bytes."""
Memory = dict[int, bytearray]


@dataclass(slots=True)
class Command:
    """One command of the program, or a user event (queue -1).

    waits: indices of commands. reads, writes: regions. detail: by kind, see `apply`. before: bit
    set of the commands that happen before it. skipped: a user event that the program sets to an
    error keeps it from running. expected: of a read, the bytes.
    """

    index: int
    kind: str
    queue: int
    waits: list[int]
    reads: list[Region] = field(default_factory=list)
    writes: list[Region] = field(default_factory=list)
    detail: tuple[Any, ...] = ()
    before: int = 0
    skipped: bool = False
    expected: bytes = b""


def apply(command: Command, memory: Memory) -> bytes | None:
    """Carry a command out; answers what a read reads."""
    kind, detail = command.kind, command.detail
    if kind == "write":
        buffer, start, end = command.writes[0]
        memory[buffer][start:end] = detail[0]
    elif kind == "read":
        buffer, start, end = command.reads[0]
        return bytes(memory[buffer][start:end])
    elif kind == "fill":
        buffer, start, end = command.writes[0]
        memory[buffer][start:end] = detail[0] * ((end - start) // len(detail[0]))
    elif kind == "copy":
        (source, start, end), (target, first, last) = command.reads[0], command.writes[0]
        memory[target][first:last] = memory[source][start:end]
    elif kind == "copy_box":
        source, target, box = detail
        copy_box(memory[source], memory[target], box)
    elif kind == "launch":
        kernel, arguments, offset, size, _ = detail
        views = views_of(arguments, memory)
        items = [range(o, o + s) for o, s in zip(offset, size, strict=True)]
        KERNELS[kernel].run(views, items)
    return None


def views_of(arguments: Any, memory: Memory) -> list[Any]:
    """Kernel arguments as views: ("region", buffer, offset, size) or bytes by value."""
    return [
        memoryview(memory[a[1]])[a[2] : a[2] + a[3]] if type(a) is tuple else a for a in arguments
    ]


def copy_box(source: bytearray, target: bytearray, box: tuple[int, ...]) -> None:
    """box: the two offsets, extent (3) and pitches (4) in the order of session.CopyRect."""
    at, to, row_bytes, rows, slices, row_in, slice_in, row_out, slice_out = box
    for z in range(slices):
        for y in range(rows):
            start, first = at + z * slice_in + y * row_in, to + z * slice_out + y * row_out
            target[first : first + row_bytes] = source[start : start + row_bytes]


def judge_reads(
    commands: list[Command],
    sizes: dict[int, int],
    failed: set[int],
    read: dict[int, bytes],
) -> list[str]:
    """Complaints about reads that succeeded although what they depend on failed.

    failed: commands whose events ended with an error. read: what successful reads delivered. A
    command that failed may have left anything in what it writes, and so has what was computed
    from that; such bytes may only be read if they are nevertheless those of the fault-free run.
    """
    complaints = []
    memory: Memory = {buffer: bytearray(size) for buffer, size in sizes.items()}
    tainted: Memory = {buffer: bytearray(size) for buffer, size in sizes.items()}
    for command in commands:
        if command.skipped:
            continue
        spoilt = command.index in failed
        for buffer, start, end in command.reads:
            spoilt = spoilt or any(tainted[buffer][start:end])
        if command.index in read:
            whole = apply(command, memory)
            if read[command.index] != whole:
                why = "after a failure, but unlike" if spoilt else "unlike"
                complaints.append(f"read {command.index} is {why} the reference")
        else:
            apply(command, memory)
        mark = b"\1" if spoilt else b"\0"
        for buffer, start, end in command.writes:
            tainted[buffer][start:end] = mark * (end - start)
    return complaints
