"""Commands on shared virtual memory.

Owns: the `_enqueue_svm_*` functions of `_cl`. Must not know: what they are made of
(`vcl.api.svm_commands`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vcl.api import svm_commands
from vcl.api.events import ended, wait_list
from vcl.api.integers import size as size_t
from vcl.api.svm_commands import Place, Way
from vcl.pyopencl_cl.context import CommandQueue
from vcl.pyopencl_cl.enqueue import (
    WaitFor,
    _finish_enqueue,
    enqueue_fill_buffer,
    finish_read,
    marker,
)
from vcl.pyopencl_cl.errors import translated
from vcl.pyopencl_cl.event import Event
from vcl.pyopencl_cl.svm import SVMPointer, place_of, shared_region


@translated("clEnqueueSVMMemcpy")
def enqueue_svm_memcpy(
    queue: CommandQueue,
    is_blocking: int,
    dst: SVMPointer,
    src: SVMPointer,
    wait_for: WaitFor = None,
    byte_count: Any = None,
) -> Event:
    """Enqueue a copy between shared or host memory."""
    routine, kind = "clEnqueueSVMMemcpy", "SVM_MEMCPY"
    count = None if byte_count is None else size_t(byte_count, "byte count")
    size = svm_commands.copied_bytes([s for s in (dst.size, src.size) if s is not None], count)
    if size == 0:
        return marker(queue, wait_for, False, routine, kind, bool(is_blocking))
    queue._check()
    target, source = place_of(dst, routine), place_of(src, routine)
    to, of = target.buf[:size], source.buf[:size]
    waits = wait_list(wait_for, queue._context, routine)
    event, way = svm_commands.copy(
        queue,
        Place(target.svm_ptr, memoryview(to)),
        Place(source.svm_ptr, memoryview(of)),
        waits,
    )
    if way is Way.FROM_SHARED:
        return finish_read(queue, event, to, bool(is_blocking), routine, kind)
    kept = {Way.TO_SHARED: of, Way.ON_HOST: (to, of)}.get(way)
    made = _finish_enqueue(queue, event, kind, kept)
    if is_blocking and way is Way.TO_SHARED:
        ended(made, wait_for, waits)
    elif is_blocking:
        made.wait()
    return made


def enqueue_svm_memfill(
    queue: CommandQueue,
    dst: SVMPointer,
    pattern: Any,
    byte_count: Any = None,
    wait_for: WaitFor = None,
) -> Event:
    """Enqueue a fill of shared memory."""
    _, shadow, offset, size = shared_region(dst, "clEnqueueSVMMemFill")
    count = size if byte_count is None else size_t(byte_count, "byte count")
    return enqueue_fill_buffer(
        queue, shadow, pattern, offset, count, wait_for, kind="SVM_MEMFILL"
    )


@translated("clEnqueueSVMMap")
def enqueue_svm_map(
    queue: CommandQueue,
    is_blocking: int,
    flags: int,
    svm: SVMPointer,
    wait_for: WaitFor = None,
    size: Any = None,
) -> Event:
    """Let the host touch shared memory."""
    routine, kind = "clEnqueueSVMMap", "SVM_MAP"
    queue._check()
    flags = size_t(flags, "map flags")
    allocation, shadow, offset, whole = shared_region(svm, routine)
    count = whole if size is None else size_t(size, "size")
    waits = wait_list(wait_for, queue._context, routine)
    event, reads = svm_commands.map_memory(
        queue, allocation, shadow, offset, count, flags, waits
    )
    if not reads:
        made = _finish_enqueue(queue, event, kind)
        if is_blocking:
            made._arrived(routine)
        return made
    host = allocation._host[offset : offset + count]
    return finish_read(queue, event, host, bool(is_blocking), routine, kind)


@translated("clEnqueueSVMUnmap")
def enqueue_svm_unmap(
    queue: CommandQueue, svm: SVMPointer, wait_for: WaitFor = None
) -> Event:
    """End a map: what the host may have changed is written back."""
    routine = "clEnqueueSVMUnmap"
    queue._check()
    allocation, shadow, offset, _ = shared_region(svm, routine)
    waits = wait_list(wait_for, queue._context, routine)
    event, written = svm_commands.unmap_memory(queue, allocation, shadow, offset, waits)
    kept = allocation._host[offset : offset + written] if written else None
    return _finish_enqueue(queue, event, "SVM_UNMAP", kept)


@translated("clEnqueueSVMMigrateMem")
def enqueue_svm_migrate_mem(
    queue: CommandQueue,
    svms: Sequence[SVMPointer],
    flags: int | None = None,
    wait_for: WaitFor = None,
) -> Event:
    """A hint that changes no contents."""
    svm_commands.check_migration(svms)
    return marker(queue, wait_for, False, "clEnqueueSVMMigrateMem", "SVM_MIGRATE_MEM")
