"""Enqueuing commands on buffers: reads, writes, copies, fills, markers and barriers.

Owns: the `enqueue_*` functions of `_cl` for buffers, and the events that keep host memory. Must not
know: OpenCL's rules (`vcl.api.commands`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vcl.api import commands
from vcl.api.events import ended, wait_list
from vcl.api.integers import int64, size
from vcl.api.memory import check_host_reads, check_host_writes, region_start
from vcl.pyopencl_cl.context import CommandQueue
from vcl.pyopencl_cl.errors import translated
from vcl.pyopencl_cl.event import Event, NannyEvent
from vcl.pyopencl_cl.memory import Buffer, MemoryObjectHolder, contiguous_bytes

WaitFor = Sequence[Event] | None


def _finish_enqueue(
    queue: CommandQueue, event: int, kind: str, ward: Any = None, arriving: bool = False
) -> Event:
    if ward is None:
        return Event(queue, queue._context, event, kind)
    return NannyEvent(queue, queue._context, event, kind, ward, arriving)


def _memory(queue: CommandQueue, mem: Any, routine: str) -> Buffer:
    """The buffer behind an argument; raises unless it may be used in this queue."""
    if not isinstance(mem, MemoryObjectHolder):
        raise TypeError(f"{routine}: {type(mem).__name__} isn't a memory object")
    memory = mem._memory(routine)
    commands.check_context(queue, memory, routine)
    return memory


# ---- bytes


@translated("clEnqueueWriteBuffer")
def enqueue_write_buffer(
    queue: CommandQueue,
    mem: MemoryObjectHolder,
    hostbuf: Any,
    dst_offset: int = 0,
    wait_for: WaitFor = None,
    is_blocking: bool = True,
) -> Event:
    """Enqueue a write. The bytes are copied at once: blocking need not wait (`event.wrote`)."""
    routine = "clEnqueueWriteBuffer"
    queue._check()
    memory = _memory(queue, mem, routine)
    check_host_writes(memory, routine)
    return write_memory(queue, memory, hostbuf, dst_offset, wait_for, is_blocking, routine)


def write_memory(
    queue: CommandQueue,
    memory: Buffer,
    hostbuf: Any,
    dst_offset: int,
    wait_for: WaitFor,
    is_blocking: bool,
    routine: str,
    kind: str = "WRITE_BUFFER",
) -> Event:
    """As `enqueue_write_buffer`, whatever the host may do with the buffer.

    kind: of the command that the program enqueued.
    """
    waits = wait_list(wait_for, queue._context, routine)
    data = contiguous_bytes(hostbuf)
    start = region_start(memory, size(dst_offset, "offset"), data.nbytes, routine)
    if data.nbytes:
        event = commands.write(queue, memory, start, queue._runtime.keep(data), waits)
    else:
        event = commands.marker(queue, waits)
    made = _finish_enqueue(queue, event, kind, hostbuf)
    if is_blocking:
        ended(made, wait_for, waits)
    return made


@translated("clEnqueueReadBuffer")
def enqueue_read_buffer(
    queue: CommandQueue,
    mem: MemoryObjectHolder,
    hostbuf: Any,
    src_offset: int = 0,
    wait_for: WaitFor = None,
    is_blocking: bool = True,
) -> Event:
    """Enqueue a read into host memory, which must live until it's complete."""
    routine = "clEnqueueReadBuffer"
    queue._check()
    memory = _memory(queue, mem, routine)
    check_host_reads(memory, routine)
    return read_memory(queue, memory, hostbuf, src_offset, wait_for, is_blocking, routine)


def read_memory(
    queue: CommandQueue,
    memory: Buffer,
    hostbuf: Any,
    src_offset: int,
    wait_for: WaitFor,
    is_blocking: bool,
    routine: str,
    kind: str = "READ_BUFFER",
) -> Event:
    """As `enqueue_read_buffer`, whatever the host may do with the buffer.

    kind: of the command that the program enqueued.
    """
    waits = wait_list(wait_for, queue._context, routine)
    destination = contiguous_bytes(hostbuf, writable=True)
    start = region_start(memory, size(src_offset, "offset"), destination.nbytes, routine)
    if destination.nbytes:
        event = commands.read(queue, memory, start, destination, waits)
    else:
        event = commands.marker(queue, waits)
    return finish_read(queue, event, hostbuf, is_blocking, routine, kind)


def finish_read(
    queue: CommandQueue, event: int, hostbuf: Any, is_blocking: bool, routine: str, kind: str
) -> Event:
    """The event of a read that was enqueued; `hostbuf` owns where its bytes arrive."""
    made = _finish_enqueue(queue, event, kind, hostbuf, arriving=True)
    if is_blocking:
        made._arrived(routine)
    return made


@translated("clEnqueueCopyBuffer")
def enqueue_copy_buffer(
    queue: CommandQueue,
    src: MemoryObjectHolder,
    dst: MemoryObjectHolder,
    byte_count: int = -1,
    src_offset: int = 0,
    dst_offset: int = 0,
    wait_for: WaitFor = None,
    *,
    kind: str = "COPY_BUFFER",
) -> Event:
    """Enqueue a copy between buffers; without a count, as much as both have."""
    routine = "clEnqueueCopyBuffer"
    queue._check()
    source, target = _memory(queue, src, routine), _memory(queue, dst, routine)
    waits = wait_list(wait_for, queue._context, routine)
    count = int64(byte_count, "byte count")
    if count < 0:
        count = min(source._size, target._size)
    first = size(src_offset, "source offset")
    second = size(dst_offset, "destination offset")
    event = commands.copy(queue, source, target, first, second, count, waits)
    return _finish_enqueue(queue, event, kind)


@translated("clEnqueueFillBuffer")
def enqueue_fill_buffer(
    queue: CommandQueue,
    mem: MemoryObjectHolder,
    pattern: Any,
    offset: int,
    byte_count: int,
    wait_for: WaitFor = None,
    *,
    kind: str = "FILL_BUFFER",
) -> Event:
    """Enqueue a fill with a pattern of 1, 2, 4 ... 128 bytes."""
    routine = "clEnqueueFillBuffer"
    queue._check()
    memory = _memory(queue, mem, routine)
    commands.check_fill(memory)
    waits = wait_list(wait_for, queue._context, routine)
    data = bytes(contiguous_bytes(np.asarray(pattern) if _is_number(pattern) else pattern))
    commands.check_pattern(data)
    offset, count = size(offset, "offset"), size(byte_count, "size")
    event = commands.fill(queue, memory, data, offset, count, waits)
    return _finish_enqueue(queue, event, kind)


def _is_number(pattern: Any) -> bool:
    return isinstance(pattern, np.generic)


# ---- order


def marker(
    queue: CommandQueue,
    wait_for: WaitFor,
    barrier: bool,
    routine: str,
    kind: str = "MARKER",
    is_blocking: bool = False,
) -> Event:
    """Enqueue a marker, or a command of another kind that has nothing to do."""
    queue._check()
    event = commands.marker(queue, wait_list(wait_for, queue._context, routine), barrier)
    made = _finish_enqueue(queue, event, kind)
    if is_blocking:
        made._arrived(routine)
    return made


@translated("clEnqueueMarkerWithWaitList")
def enqueue_marker_with_wait_list(queue: CommandQueue, wait_for: WaitFor = None) -> Event:
    """Enqueue a marker: its event ends when its wait list, or all before it, has ended."""
    return marker(queue, wait_for, False, "clEnqueueMarkerWithWaitList")


@translated("clEnqueueBarrierWithWaitList")
def enqueue_barrier_with_wait_list(queue: CommandQueue, wait_for: WaitFor = None) -> Event:
    """Enqueue a barrier: what is enqueued later waits for it."""
    return marker(queue, wait_for, True, "clEnqueueBarrierWithWaitList", "BARRIER")


def enqueue_marker(queue: CommandQueue) -> Event:
    """OpenCL 1.1's marker."""
    return enqueue_marker_with_wait_list(queue)


def enqueue_barrier(queue: CommandQueue) -> None:
    """OpenCL 1.1's barrier."""
    enqueue_barrier_with_wait_list(queue)


def enqueue_wait_for_events(queue: CommandQueue, wait_for: WaitFor = None) -> None:
    """OpenCL 1.1's wait in a queue."""
    enqueue_barrier_with_wait_list(queue, wait_for)


@translated("clEnqueueMigrateMemObjects")
def enqueue_migrate_mem_objects(
    queue: CommandQueue,
    mem_objects: Sequence[MemoryObjectHolder],
    flags: int = 0,
    wait_for: WaitFor = None,
) -> Event:
    """A hint that changes no contents: bytes move when a launch needs them."""
    routine = "clEnqueueMigrateMemObjects"
    queue._check()
    mem_objects = list(mem_objects)
    commands.check_migration(mem_objects, size(flags, "flags"))
    for mem in mem_objects:
        _memory(queue, mem, routine)
    return marker(queue, wait_for, False, routine, "MIGRATE_MEM_OBJECTS")


