"""Commands on shared virtual memory: copies, fills, maps and unmaps.

Owns: the `_enqueue_svm_*` functions of `_cl` (OpenCL 3.0 API, 5.6). Must not know: how bytes
travel; an allocation has a shadow buffer (`svm`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vcl.api.integers import size as size_t
from vcl.api.mapping import directions
from vcl.pyopencl_cl.context import CommandQueue
from vcl.pyopencl_cl.enqueue import (
    WaitFor,
    enqueue_copy_buffer,
    enqueue_fill_buffer,
    marker,
    read_memory,
    write_memory,
)
from vcl.pyopencl_cl.errors import fail
from vcl.pyopencl_cl.event import Event, UserEvent
from vcl.pyopencl_cl.svm import PooledSVM, SVMAllocation, SVMPointer, locate, shared_region


def _side(pointer: Any, size: int) -> tuple[SVMAllocation, int] | None:
    if isinstance(pointer, PooledSVM):
        pointer = pointer._allocation("clEnqueueSVMMemcpy")
    return locate(pointer.svm_ptr, size)


def enqueue_svm_memcpy(
    queue: CommandQueue,
    is_blocking: int,
    dst: SVMPointer,
    src: SVMPointer,
    wait_for: WaitFor = None,
    byte_count: Any = None,
) -> Event:
    """Enqueue a copy between shared or host memory."""
    routine = "clEnqueueSVMMemcpy"
    sizes = [s for s in (dst.size, src.size) if s is not None]
    if byte_count is None and len(set(sizes)) > 1:
        fail("_enqueue_svm_memcpy", "INVALID_VALUE", "sizes of source and destination differ")
    size = min(sizes) if byte_count is None else size_t(byte_count, "byte count")
    if any(size > s for s in sizes):
        fail(routine, "INVALID_VALUE", f"{size} bytes are more than source or destination has")
    kind = "SVM_MEMCPY"
    if size == 0:
        return marker(queue, wait_for, False, routine, kind)
    target, source = _side(dst, size), _side(src, size)
    if target is not None and source is not None:
        first, second = source[0]._shadow, target[0]._shadow
        if first is None or second is None:
            fail(routine, "INVALID_VALUE", "the memory was released")
        event = enqueue_copy_buffer(
            queue, first, second, size, source[1], target[1], wait_for, kind=kind
        )
        if is_blocking:
            event.wait()
        return event
    if target is not None and target[0]._shadow is not None:
        host = src.buf[:size]
        return write_memory(
            queue, target[0]._shadow, host, target[1], wait_for, bool(is_blocking), routine, kind
        )
    if source is not None and source[0]._shadow is not None:
        host = dst.buf[:size]
        return read_memory(
            queue, source[0]._shadow, host, source[1], wait_for, bool(is_blocking), routine, kind
        )
    event = _copy_on_host(queue, dst.buf[:size], src.buf[:size], wait_for, routine, kind)
    if is_blocking:
        event.wait()
    return event


def _copy_on_host(
    queue: CommandQueue, target: Any, source: Any, wait_for: WaitFor, routine: str, kind: str
) -> Event:
    """Enqueue a copy that happens here, in its turn among the queue's commands."""
    copied = UserEvent(queue._context)
    turn = marker(queue, wait_for, False, routine, kind)
    made = marker(queue, [turn, copied], False, routine, kind, ward=(target, source))

    def copy(status: int) -> None:
        if status == 0:
            target[:] = source
        copied.set_status(min(status, 0))

    turn._runtime.when_ended(turn._id, copy)
    queue.flush()
    return made


def enqueue_svm_memfill(
    queue: CommandQueue,
    dst: SVMPointer,
    pattern: Any,
    byte_count: Any = None,
    wait_for: WaitFor = None,
) -> Event:
    """Enqueue a fill of shared memory."""
    shadow, offset, size = shared_region(dst, "clEnqueueSVMMemFill")
    count = size if byte_count is None else size_t(byte_count, "byte count")
    return enqueue_fill_buffer(
        queue, shadow, pattern, offset, count, wait_for, kind="SVM_MEMFILL"
    )


def enqueue_svm_map(
    queue: CommandQueue,
    is_blocking: int,
    flags: int,
    svm: SVMPointer,
    wait_for: WaitFor = None,
    size: Any = None,
) -> Event:
    """Let the host touch shared memory."""
    routine = "clEnqueueSVMMap"
    flags = size_t(flags, "map flags")
    reads, _ = directions(flags, routine)
    shadow, offset, whole = shared_region(svm, routine)
    count = whole if size is None else size_t(size, "size")
    found = locate(svm.svm_ptr, whole)
    assert found is not None
    found[0]._maps[offset] = (flags, count)
    if not reads:
        return marker(queue, wait_for, False, routine, "SVM_MAP")
    host = found[0]._host[offset : offset + count]
    return read_memory(
        queue, shadow, host, offset, wait_for, bool(is_blocking), routine, "SVM_MAP"
    )


def enqueue_svm_unmap(
    queue: CommandQueue, svm: SVMPointer, wait_for: WaitFor = None
) -> Event:
    """End a map: what the host may have changed is written back."""
    routine = "clEnqueueSVMUnmap"
    shadow, offset, whole = shared_region(svm, routine)
    found = locate(svm.svm_ptr, whole)
    assert found is not None
    mapped = found[0]._maps.pop(offset, None)
    if mapped is None:
        fail(routine, "INVALID_VALUE", "the memory isn't mapped")
    flags, count = mapped
    if not directions(flags, routine)[1]:
        return marker(queue, wait_for, False, routine, "SVM_UNMAP")
    host = found[0]._host[offset : offset + count]
    return write_memory(queue, shadow, host, offset, wait_for, False, routine, "SVM_UNMAP")


def enqueue_svm_migrate_mem(
    queue: CommandQueue,
    svms: Sequence[SVMPointer],
    flags: int | None = None,
    wait_for: WaitFor = None,
) -> Event:
    """A hint that changes no contents."""
    if not svms:
        fail("clEnqueueSVMMigrateMem", "INVALID_VALUE", "no memory")
    return marker(queue, wait_for, False, "clEnqueueSVMMigrateMem", "SVM_MIGRATE_MEM")
