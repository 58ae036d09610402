"""Enqueuing commands: launches, reads, writes, copies, fills, markers and barriers.

Owns: the `enqueue_*` functions of `_cl` for buffers and kernels, and their checks. Must not know:
how commands travel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vcl.opencl.context import CommandQueue
from vcl.opencl.errors import fail, translated
from vcl.opencl.event import Event, NannyEvent, wait_list
from vcl.opencl.memory import FLAGS, Buffer, MemoryObjectHolder, contiguous_bytes
from vcl.opencl.platform import INFO
from vcl.wire.messages import session

if TYPE_CHECKING:
    from vcl.opencl.kernel import Kernel

WaitFor = Sequence[Event] | None


def _finish_enqueue(
    queue: CommandQueue, event: int, kind: str, ward: Any = None
) -> Event:
    if ward is None:
        made = Event(queue, queue._context, event, kind)
    else:
        made = NannyEvent(queue, queue._context, event, kind, ward)
    queue._last = made
    return made


def _memory(queue: CommandQueue, mem: Any, routine: str) -> Buffer:
    """The buffer behind an argument; raises unless it may be used in this queue."""
    if not isinstance(mem, MemoryObjectHolder):
        raise TypeError(f"{routine}: {type(mem).__name__} isn't a memory object")
    memory = mem._memory(routine)
    if memory._context != queue._context:
        fail(routine, "INVALID_CONTEXT", "the memory object is of another context than the queue")
    return memory


def _region(memory: Buffer, offset: int, size: int, routine: str) -> int:
    """The offset in the root buffer; raises unless the region lies inside."""
    if offset < 0 or size < 0 or offset + size > memory._size:
        fail(
            routine,
            "INVALID_VALUE",
            f"bytes {offset} to {offset + size} are outside a buffer of {memory._size}",
        )
    return memory._origin + offset


# ---- launches


def _sizes(value: Any, what: str, routine: str, status: str) -> list[int]:
    try:
        sizes = [int(v) for v in value]
    except TypeError:
        raise TypeError(f"the {what} is a tuple of one to three integers") from None
    if any(s < 0 for s in sizes):
        fail(routine, status, f"{what} {tuple(sizes)} has a negative dimension")
    return sizes


@translated("clEnqueueNDRangeKernel")
def enqueue_nd_range_kernel(
    queue: CommandQueue,
    kernel: Kernel,
    global_work_size: Any,
    local_work_size: Any = None,
    global_work_offset: Any = None,
    wait_for: WaitFor = None,
    g_times_l: bool = False,
    allow_empty_ndrange: bool = False,
) -> Event:
    """Enqueue a launch; on the cluster device it's split over the nodes where that is safe."""
    routine = "clEnqueueNDRangeKernel"
    queue._check(routine)
    if kernel._context != queue._context:
        fail(routine, "INVALID_CONTEXT", "the kernel is of another context than the queue")
    waits = wait_list(wait_for, queue._context, routine)
    size = _sizes(global_work_size, "global size", routine, "INVALID_GLOBAL_WORK_SIZE")
    if not 1 <= len(size) <= 3:
        fail(routine, "INVALID_WORK_DIMENSION", f"{len(size)} dimensions; one to three are allowed")
    local = None
    if local_work_size is not None:
        local = _sizes(local_work_size, "local size", routine, "INVALID_WORK_GROUP_SIZE")
        if g_times_l:
            work_dim = max(len(size), len(local))
            size += [1] * (work_dim - len(size))
            local += [1] * (work_dim - len(local))
            size = [g * n for g, n in zip(size, local, strict=True)]
    offset = [0] * len(size)
    if global_work_offset is not None:
        offset = _sizes(global_work_offset, "global offset", routine, "INVALID_GLOBAL_OFFSET")
    for given, what in ((local, "local size"), (offset, "global offset")):
        if given is not None and len(given) != len(size):
            text = f"the {what} has {len(given)} dimensions, the global size {len(size)}"
            fail("enqueue_nd_range_kernel", "INVALID_VALUE", text)
    if 0 in size:
        if allow_empty_ndrange:
            return enqueue_marker_with_wait_list(queue, wait_for)
        fail(routine, "INVALID_GLOBAL_WORK_SIZE", f"global size {tuple(size)} is empty")
    if max(size) >= 1 << 63:
        fail(routine, "INVALID_GLOBAL_WORK_SIZE", f"global size {tuple(size)} is too large")
    if any(o + s >= 1 << 64 for o, s in zip(offset, size, strict=True)):
        fail(routine, "INVALID_GLOBAL_OFFSET", "global offset and size exceed what size_t counts")
    _check_groups(queue, kernel, size, local, routine)
    arguments = kernel._launch_arguments(routine)
    event = queue._runtime.enqueue(
        queue._id,
        lambda event: session.Launch(
            event,
            queue._id,
            waits,
            kernel._program_id,
            kernel._facts.name,
            offset,
            size,
            local,
            arguments,
        ),
    )
    return _finish_enqueue(queue, event, "NDRANGE_KERNEL")


def _check_groups(
    queue: CommandQueue,
    kernel: Kernel,
    size: Sequence[int],
    local: Sequence[int] | None,
    routine: str,
) -> None:
    """Raise what a driver would for this local size (OpenCL 3.0 API, 5.8)."""
    groups = kernel._group(queue._device, routine)
    compiled = [s for s in groups[0][1] if s]
    if local is None:
        if compiled:
            fail(
                routine,
                "INVALID_WORK_GROUP_SIZE",
                f"the kernel requires local size {tuple(compiled)}",
            )
        return
    if 0 in local:
        fail(routine, "INVALID_WORK_GROUP_SIZE", f"local size {tuple(local)} is empty")
    if compiled and [*local, 1, 1][:3] != [*groups[0][1], 1, 1][:3]:
        fail(routine, "INVALID_WORK_GROUP_SIZE", f"the kernel requires {tuple(groups[0][1])}")
    items = 1
    for extent in local:
        items *= extent
    limit = min(queue._device.get_info(INFO["MAX_WORK_GROUP_SIZE"]), min(g[0] for g in groups))
    if items > limit:
        fail(
            routine,
            "INVALID_WORK_GROUP_SIZE",
            f"{items} work-items in a work-group; at most {limit} are allowed",
        )
    per_dimension = queue._device.get_info(INFO["MAX_WORK_ITEM_SIZES"])
    for extent, most in zip(local, per_dimension, strict=False):
        if extent > most:
            fail(routine, "INVALID_WORK_ITEM_SIZE", f"local size {extent}; at most {most}")
    if any(g % n for g, n in zip(size, local, strict=True)):
        fail(
            routine,
            "INVALID_WORK_GROUP_SIZE",
            f"local size {tuple(local)} doesn't divide global size {tuple(size)}",
        )


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
    """Enqueue a write. The bytes are copied at once, so blocking costs nothing more."""
    routine = "clEnqueueWriteBuffer"
    queue._check(routine)
    memory = _memory(queue, mem, routine)
    if memory._flags & (FLAGS["HOST_READ_ONLY"] | FLAGS["HOST_NO_ACCESS"]):
        fail(routine, "INVALID_OPERATION", "the buffer's flags don't allow the host to write it")
    return write_memory(queue, memory, hostbuf, dst_offset, wait_for, is_blocking, routine)


def write_memory(
    queue: CommandQueue,
    memory: Buffer,
    hostbuf: Any,
    dst_offset: int,
    wait_for: WaitFor,
    is_blocking: bool,
    routine: str,
) -> Event:
    """As `enqueue_write_buffer`, whatever the host may do with the buffer."""
    waits = wait_list(wait_for, queue._context, routine)
    data = contiguous_bytes(hostbuf)
    start = _region(memory, dst_offset, data.nbytes, routine)
    if not data.nbytes:
        fail(routine, "INVALID_VALUE", "nothing to write")
    event = queue._runtime.write(
        queue._id,
        bytes(data),
        lambda event, staging: session.Write(
            event, queue._id, waits, memory._root_id, start, data.nbytes, staging
        ),
    )
    made = _finish_enqueue(queue, event, "WRITE_BUFFER", hostbuf)
    if is_blocking and waits:
        made.wait()  # an event that it waits for may have failed, or be the user's to set
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
    queue._check(routine)
    memory = _memory(queue, mem, routine)
    if memory._flags & (FLAGS["HOST_WRITE_ONLY"] | FLAGS["HOST_NO_ACCESS"]):
        fail(routine, "INVALID_OPERATION", "the buffer's flags don't allow the host to read it")
    return read_memory(queue, memory, hostbuf, src_offset, wait_for, is_blocking, routine)


def read_memory(
    queue: CommandQueue,
    memory: Buffer,
    hostbuf: Any,
    src_offset: int,
    wait_for: WaitFor,
    is_blocking: bool,
    routine: str,
) -> Event:
    """As `enqueue_read_buffer`, whatever the host may do with the buffer."""
    waits = wait_list(wait_for, queue._context, routine)
    destination = contiguous_bytes(hostbuf, writable=True)
    start = _region(memory, src_offset, destination.nbytes, routine)
    if not destination.nbytes:
        fail(routine, "INVALID_VALUE", "nothing to read")
    event = queue._runtime.read(
        queue._id,
        destination,
        lambda event: session.Read(
            event, queue._id, waits, memory._root_id, start, destination.nbytes
        ),
    )
    made = _finish_enqueue(queue, event, "READ_BUFFER", hostbuf)
    if is_blocking:
        state = queue._runtime.wait(event)
        queue._raise_failure(routine)
        made._raise_if_failed(state)
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
) -> Event:
    """Enqueue a copy between buffers; without a count, as much as both have."""
    routine = "clEnqueueCopyBuffer"
    queue._check(routine)
    source, target = _memory(queue, src, routine), _memory(queue, dst, routine)
    waits = wait_list(wait_for, queue._context, routine)
    size = min(source._size, target._size) if byte_count is None or byte_count < 0 else byte_count
    first = _region(source, src_offset, size, routine)
    second = _region(target, dst_offset, size, routine)
    if size == 0:
        fail(routine, "INVALID_VALUE", "nothing to copy")
    if source._root_id == target._root_id and abs(first - second) < size:
        fail(routine, "MEM_COPY_OVERLAP", "source and destination overlap")
    event = queue._runtime.enqueue(
        queue._id,
        lambda event: session.Copy(
            event, queue._id, waits, source._root_id, target._root_id, first, second, size
        ),
    )
    return _finish_enqueue(queue, event, "COPY_BUFFER")


@translated("clEnqueueFillBuffer")
def enqueue_fill_buffer(
    queue: CommandQueue,
    mem: MemoryObjectHolder,
    pattern: Any,
    offset: int,
    size: int,
    wait_for: WaitFor = None,
) -> Event:
    """Enqueue a fill with a pattern of 1, 2, 4 ... 128 bytes."""
    routine = "clEnqueueFillBuffer"
    queue._check(routine)
    memory = _memory(queue, mem, routine)
    waits = wait_list(wait_for, queue._context, routine)
    data = bytes(contiguous_bytes(np.asarray(pattern) if _is_number(pattern) else pattern))
    if len(data) not in (1, 2, 4, 8, 16, 32, 64, 128):
        fail(routine, "INVALID_VALUE", f"a pattern of {len(data)} bytes")
    if offset % len(data) or size % len(data):
        fail(routine, "INVALID_VALUE", "offset and size must be multiples of the pattern's size")
    start = _region(memory, offset, size, routine)
    if size == 0:
        return enqueue_marker_with_wait_list(queue, wait_for)
    event = queue._runtime.enqueue(
        queue._id,
        lambda event: session.Fill(
            event, queue._id, waits, memory._root_id, start, size, data
        ),
    )
    return _finish_enqueue(queue, event, "FILL_BUFFER")


def _is_number(pattern: Any) -> bool:
    return isinstance(pattern, np.generic)


# ---- order


def _marker(queue: CommandQueue, wait_for: WaitFor, barrier: bool, routine: str) -> Event:
    queue._check(routine)
    waits = wait_list(wait_for, queue._context, routine)
    event = queue._runtime.enqueue(
        queue._id, lambda event: session.Marker(event, queue._id, waits, barrier)
    )
    return _finish_enqueue(queue, event, "BARRIER" if barrier else "MARKER")


@translated("clEnqueueMarkerWithWaitList")
def enqueue_marker_with_wait_list(queue: CommandQueue, wait_for: WaitFor = None) -> Event:
    """Enqueue a marker: its event ends when its wait list, or all before it, has ended."""
    return _marker(queue, wait_for, False, "clEnqueueMarkerWithWaitList")


@translated("clEnqueueBarrierWithWaitList")
def enqueue_barrier_with_wait_list(queue: CommandQueue, wait_for: WaitFor = None) -> Event:
    """Enqueue a barrier: what is enqueued later waits for it."""
    return _marker(queue, wait_for, True, "clEnqueueBarrierWithWaitList")


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
    queue._check(routine)
    if not mem_objects:
        fail(routine, "INVALID_VALUE", "no memory objects")
    if flags & ~3:
        fail(routine, "INVALID_VALUE", f"flags {flags:#x}")
    for mem in mem_objects:
        _memory(queue, mem, routine)
    return enqueue_marker_with_wait_list(queue, wait_for)


