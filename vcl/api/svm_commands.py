"""Commands on shared virtual memory: copies, maps, unmaps and frees (OpenCL 3.0 API, 5.6.1).

Owns: making them of commands on the shadow buffers (`svm`). Must not know: how bytes travel, or how
long a program's host memory is kept.

`waits` is what `vcl.api.events.wait_list` answers. All raise CallError for what OpenCL doesn't
allow, and OperatingError.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from vcl.api import commands
from vcl.api.context import CommandQueue
from vcl.api.errors import fail
from vcl.api.events import UserEvent
from vcl.api.mapping import directions
from vcl.api.memory import Memory
from vcl.api.svm import SHARED, Allocation


@dataclass(frozen=True)
class Place:
    """Memory of the process, shared or not: its address, and the host's view of its bytes."""

    address: int
    host: memoryview

    def shadow(self) -> tuple[Memory, int] | None:
        """The shadow buffer and the offset in it; None of memory that isn't shared."""
        found = SHARED.locate(self.address, self.host.nbytes)
        if found is None or found[0]._shadow is None:
            return None
        return found[0]._shadow, found[1]


class Way(Enum):
    """Between which memories a copy goes, and so what its event must keep.

    SHARED: between shared memories. TO_SHARED: of host memory,
    whose bytes were copied at once. FROM_SHARED: to host memory, where bytes arrive until it has
    ended. ON_HOST: between host memories, both needed until it has ended.
    """

    SHARED = auto()
    TO_SHARED = auto()
    FROM_SHARED = auto()
    ON_HOST = auto()


def copied_bytes(sizes: Sequence[int], byte_count: int | None) -> int:
    """How much a copy copies. sizes: of source and destination, where known. Raises CallError."""
    if byte_count is None and len(set(sizes)) > 1:
        fail("_enqueue_svm_memcpy", "INVALID_VALUE", "sizes of source and destination differ")
    size = min(sizes) if byte_count is None else byte_count
    if any(size > known for known in sizes):
        text = f"{size} bytes are more than source or destination has"
        fail("clEnqueueSVMMemcpy", "INVALID_VALUE", text)
    return size


def copy(queue: CommandQueue, target: Place, source: Place, waits: list[int]) -> tuple[int, Way]:
    """Enqueue a copy of all bytes between places of one size, at least one; answers (event,
    way)."""
    to, of, count = target.shadow(), source.shadow(), source.host.nbytes
    if to is not None and of is not None:
        for memory, _ in (of, to):
            commands.check_context(queue, memory, "clEnqueueCopyBuffer")
        return commands.copy(queue, of[0], to[0], of[1], to[1], count, waits), Way.SHARED
    if to is not None:
        start = to[0]._origin + to[1]
        data = queue._runtime.keep(source.host)
        return commands.write(queue, to[0], start, data, waits), Way.TO_SHARED
    if of is not None:
        start = of[0]._origin + of[1]
        return commands.read(queue, of[0], start, target.host, waits), Way.FROM_SHARED
    return _copy_on_host(queue, target.host, source.host, waits), Way.ON_HOST


def _copy_on_host(
    queue: CommandQueue, target: memoryview, source: memoryview, waits: list[int]
) -> int:
    """Enqueue a copy that happens here, in its turn among the queue's commands."""
    runtime = queue._runtime
    copied = UserEvent(queue._context)
    turn = commands.marker(queue, waits)
    try:
        event = commands.marker(queue, [turn, copied._id])

        def copy_now(status: int) -> None:
            if status == 0:
                target[:] = source
            copied._set_status(min(status, 0))

        runtime.when_ended(turn, copy_now)
    finally:
        runtime.release(turn)
    runtime.flush()
    return event


def map_memory(
    queue: CommandQueue,
    allocation: Allocation,
    shadow: Memory,
    offset: int,
    count: int,
    flags: int,
    waits: list[int],
) -> tuple[int, bool]:
    """Enqueue a map of `count` bytes at an offset of an allocation; no more than it has there.

    Answers (event, whether the bytes are read into the host memory).
    """
    reads, _ = directions(flags, "clEnqueueSVMMap")
    host = allocation._bytes[offset : offset + count]
    if reads and host.nbytes:
        event = commands.read(queue, shadow, shadow._origin + offset, host, waits)
    else:
        event = commands.marker(queue, waits)
    allocation._maps[offset] = flags, count
    return event, reads


def unmap_memory(
    queue: CommandQueue, allocation: Allocation, shadow: Memory, offset: int, waits: list[int]
) -> tuple[int, int]:
    """Enqueue the end of a map: what the host may have changed is written back.

    Answers (event, bytes that are written back). Raises CallError for what isn't mapped.
    """
    routine = "clEnqueueSVMUnmap"
    mapped = allocation._maps.get(offset)
    if mapped is None:
        fail(routine, "INVALID_VALUE", "the memory isn't mapped")
    flags, count = mapped
    host = allocation._bytes[offset : offset + count]
    written = host.nbytes if directions(flags, routine)[1] else 0
    if written:
        data = queue._runtime.keep(host)
        event = commands.write(queue, shadow, shadow._origin + offset, data, waits)
    else:
        event = commands.marker(queue, waits)
    del allocation._maps[offset]
    return event, written


def free(queue: CommandQueue, allocation: Allocation, waits: list[int]) -> int:
    """Enqueue a free. It happens at once: commands that were enqueued still find the buffer."""
    event = commands.marker(queue, waits)
    allocation._free()
    return event


def check_migration(pointers: Sequence[object]) -> None:
    """Raise CallError for what clEnqueueSVMMigrateMem doesn't take. It changes no contents."""
    if not pointers:
        fail("clEnqueueSVMMigrateMem", "INVALID_VALUE", "no memory")
