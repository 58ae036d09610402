"""Commands on buffers: reads, writes, copies, fills, markers and barriers (OpenCL 3.0 API, 5.2).

Owns: checking and enqueuing them; each function answers the event's number. Must not know: how
commands travel, or how long a program's host memory is kept.

`waits` is what `vcl.api.events.wait_list` answers.
"""

from __future__ import annotations

from collections.abc import Sequence

from vcl.api.context import CommandQueue
from vcl.api.errors import fail
from vcl.api.memory import TYPES, Memory, region_start
from vcl.client_core import Destination
from vcl.wire.frame import Bytes
from vcl.wire.messages import session

_PATTERN_BYTES = (1, 2, 4, 8, 16, 32, 64, 128)
_MIGRATION_FLAGS = 3


def check_context(queue: CommandQueue, memory: Memory, routine: str) -> None:
    """Raise CallError unless the memory object may be used in this queue."""
    if memory._context != queue._context:
        fail(routine, "INVALID_CONTEXT", "the memory object is of another context than the queue")


def marker(queue: CommandQueue, waits: Sequence[int], barrier: bool = False) -> int:
    """Enqueue a marker or barrier, or what stands for a command that has nothing to do."""
    events = list(waits)
    return queue._runtime.enqueue(
        queue._id, lambda event: session.Marker(event, queue._id, events, barrier)
    )


def write(queue: CommandQueue, memory: Memory, start: int, data: Bytes, waits: list[int]) -> int:
    """Enqueue a write of at least one byte. start: as `region_start` answers."""
    return queue._runtime.write(
        queue._id,
        data,
        lambda event, staging, digest: session.Write(
            event, queue._id, waits, memory._root_id, start, len(data), staging, digest
        ),
    )


def read(
    queue: CommandQueue, memory: Memory, start: int, destination: Destination, waits: list[int]
) -> int:
    """Enqueue a read of at least one byte. start: as `region_start` answers.

    destination: must live until the event has ended.
    """
    size = len(destination)
    return queue._runtime.read(
        queue._id,
        destination,
        lambda event: session.Read(event, queue._id, waits, memory._root_id, start, size),
    )


def copy(
    queue: CommandQueue,
    source: Memory,
    target: Memory,
    source_offset: int,
    target_offset: int,
    count: int,
    waits: list[int],
) -> int:
    """Enqueue a copy of `count` bytes between buffers. Raises CallError, OperatingError."""
    routine = "clEnqueueCopyBuffer"
    first = region_start(source, source_offset, count, routine)
    second = region_start(target, target_offset, count, routine)
    if count == 0:
        fail(routine, "INVALID_VALUE", "nothing to copy")
    if source._root_id == target._root_id and abs(first - second) < count:
        fail(routine, "MEM_COPY_OVERLAP", "source and destination overlap")
    return queue._runtime.enqueue(
        queue._id,
        lambda event: session.Copy(
            event, queue._id, waits, source._root_id, target._root_id, first, second, count
        ),
    )


def check_fill(memory: Memory) -> None:
    """Raise CallError for a memory object that isn't a buffer."""
    if memory._type != TYPES["BUFFER"]:
        fail("clEnqueueFillBuffer", "INVALID_MEM_OBJECT", "the memory object isn't a buffer")


def check_pattern(pattern: bytes) -> None:
    """Raise CallError for a length that a fill can't have."""
    if len(pattern) not in _PATTERN_BYTES:
        text = f"a pattern of {len(pattern)} bytes"
        fail("clEnqueueFillBuffer", "INVALID_VALUE", text)


def fill(
    queue: CommandQueue, memory: Memory, pattern: bytes, offset: int, count: int, waits: list[int]
) -> int:
    """Enqueue a fill of `count` bytes. pattern: as `check_pattern` lets pass.

    Raises CallError, OperatingError.
    """
    routine = "clEnqueueFillBuffer"
    if offset % len(pattern) or count % len(pattern):
        fail(routine, "INVALID_VALUE", "offset and size must be multiples of the pattern's size")
    start = region_start(memory, offset, count, routine)
    if count == 0:
        return marker(queue, waits)
    return queue._runtime.enqueue(
        queue._id,
        lambda event: session.Fill(
            event, queue._id, waits, memory._root_id, start, count, pattern
        ),
    )


def check_migration(memories: Sequence[object], flags: int) -> None:
    """Raise CallError for what clEnqueueMigrateMemObjects doesn't take. It changes no contents:
    bytes move when a launch needs them."""
    routine = "clEnqueueMigrateMemObjects"
    if not memories:
        fail(routine, "INVALID_VALUE", "no memory objects")
    if flags & ~_MIGRATION_FLAGS:
        fail(routine, "INVALID_VALUE", f"flags {flags:#x}")
