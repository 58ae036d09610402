"""Coarse-grain shared virtual memory, by shadow buffers.

Owns: `SVMPointer`, `SVM`, `SVMAllocation`, `SVMAllocator`, `SVMPool`, `PooledSVM` and the
`_enqueue_svm_*` functions (OpenCL 3.0 API, 5.6). Must not know: how bytes travel.

An allocation is host memory and a buffer. Coarse-grain rules let the host touch it only while it
is mapped, so a map reads the buffer into the host memory and an unmap writes it back; kernels get
the buffer. Pointers kept inside the memory mean nothing on a node: fine-grain and system sharing
are reported as absent.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from vcl.constants import CLASSES
from vcl.opencl import mapping, pools
from vcl.opencl.context import CommandQueue, Context
from vcl.opencl.enqueue import (
    WaitFor,
    enqueue_copy_buffer,
    enqueue_fill_buffer,
    enqueue_marker_with_wait_list,
    read_memory,
    write_memory,
)
from vcl.opencl.errors import fail
from vcl.opencl.event import Event, wait_for_events
from vcl.opencl.handles import Handle
from vcl.opencl.memory import FLAGS, Buffer, contiguous_bytes

_FLAGS = CLASSES["svm_mem_flags"]
_FINE = _FLAGS["SVM_FINE_GRAIN_BUFFER"] | _FLAGS["SVM_ATOMICS"]

_by_address: WeakValueDictionary[int, SVMAllocation] = WeakValueDictionary()


class SVMPointer(Handle):
    """Something that has an address in shared virtual memory."""

    @property
    def svm_ptr(self) -> int:
        """The address in this process."""
        raise NotImplementedError

    @property
    def size(self) -> int | None:
        """Bytes, if known."""
        raise NotImplementedError

    @property
    def buf(self) -> Any:
        """The host's view of the memory, as bytes."""
        raise NotImplementedError


class SVMAllocation(SVMPointer):
    """An allocation: host memory with a shadow buffer."""

    def __init__(
        self,
        context: Context,
        size: int,
        alignment: int,
        flags: int,
        queue: CommandQueue | None = None,
    ) -> None:
        super().__init__()
        routine = "SVMAllocation"
        if flags & _FINE:
            fail(routine, "INVALID_VALUE", "fine-grain sharing isn't possible across a network")
        if queue is not None:
            _check_in_order(queue, routine)
        self._context = context
        self._size = int(size)
        self._queue = queue
        self._shadow: Buffer | None = None
        self._maps: dict[int, tuple[int, int]] = {}  # offset: (flags, size)
        if size:
            spare = max(int(alignment), 128)
            raw = np.zeros(self._size + spare, np.uint8)
            start = -raw.ctypes.data % spare
            self._host = raw[start : start + self._size]
            self._shadow = Buffer(context, flags & 7, self._size)
            _by_address[self.svm_ptr] = self
        else:
            self._host = np.zeros(0, np.uint8)

    @property
    def svm_ptr(self) -> int:
        """The address in this process; 0 of an empty allocation."""
        return int(self._host.ctypes.data) if self._size else 0

    @property
    def size(self) -> int:
        """Bytes."""
        return self._size

    @property
    def buf(self) -> Any:
        """The host's view of the memory, as bytes."""
        return self._host

    def release(self) -> None:
        """Free it now; commands that were enqueued still find it."""
        _by_address.pop(self.svm_ptr, None)
        self._shadow = None

    def enqueue_release(
        self, queue: CommandQueue | None = None, wait_for: WaitFor = None
    ) -> Event:
        """Free it after what was enqueued; commands are ordered by data anyway."""
        target = queue or self._queue
        if target is None:
            fail("SVMAllocation.enqueue_release", "INVALID_VALUE", "no queue was given")
        event = enqueue_marker_with_wait_list(target, wait_for)
        self.release()
        return event

    def bind_to_queue(self, queue: CommandQueue) -> None:
        """From now on releases are enqueued in this queue."""
        _check_in_order(queue, "SVMAllocation.bind_to_queue")
        self._queue = queue

    def unbind_from_queue(self) -> None:
        """Releases aren't enqueued any more; what was enqueued is waited for."""
        if self._queue is not None:
            self._queue.finish()
        self._queue = None


def _check_in_order(queue: CommandQueue, routine: str) -> None:
    if not queue._in_order:
        fail(routine, "INVALID_VALUE", "shared memory belongs to in-order queues only")


class SVM(SVMPointer):
    """A tag that says: this host memory is shared virtual memory."""

    def __init__(self, mem: Any) -> None:
        super().__init__()
        self._mem = mem
        self._bytes = contiguous_bytes(mem)

    @property
    def mem(self) -> Any:
        """The tagged object."""
        return self._mem

    @property
    def svm_ptr(self) -> int:
        """The address in this process."""
        return int(np.frombuffer(self._bytes, np.uint8).ctypes.data) if self._bytes.nbytes else 0

    @property
    def size(self) -> int:
        """Bytes."""
        return self._bytes.nbytes

    @property
    def buf(self) -> Any:
        """The host's view of the memory, as bytes."""
        return np.frombuffer(self._bytes, np.uint8)


def locate(address: int, size: int) -> tuple[SVMAllocation, int] | None:
    """The allocation that [address, address + size) lies in, and the offset in it."""
    starts = sorted(_by_address)
    index = bisect_right(starts, address) - 1
    if index < 0:
        return None
    found = _by_address.get(starts[index])
    if found is None or address + size > starts[index] + found._size:
        return None
    return found, address - starts[index]


def shared_region(pointer: Any, routine: str) -> tuple[Buffer, int, int]:
    """(shadow buffer, offset, size) of a pointer; raises if it isn't of an allocation."""
    if isinstance(pointer, PooledSVM):
        pointer = pointer._allocation(routine)
    size = pointer.size or 0
    found = locate(pointer.svm_ptr, size)
    if found is None or found[0]._shadow is None:
        text = "not memory of an SVMAllocation: system sharing is absent"
        fail(routine, "INVALID_ARG_VALUE", text)
    return found[0]._shadow, found[1], size


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
    size = min(sizes) if byte_count is None else int(byte_count)
    if any(size > s for s in sizes):
        fail(routine, "INVALID_VALUE", f"{size} bytes are more than source or destination has")
    if size == 0:
        return enqueue_marker_with_wait_list(queue, wait_for)
    target, source = _side(dst, size), _side(src, size)
    if target is not None and source is not None:
        first, second = source[0]._shadow, target[0]._shadow
        if first is None or second is None:
            fail(routine, "INVALID_VALUE", "the memory was released")
        event = enqueue_copy_buffer(queue, first, second, size, source[1], target[1], wait_for)
        if is_blocking:
            event.wait()
        return event
    if target is not None and target[0]._shadow is not None:
        host = src.buf[:size]
        return write_memory(
            queue, target[0]._shadow, host, target[1], wait_for, bool(is_blocking), routine
        )
    if source is not None and source[0]._shadow is not None:
        host = dst.buf[:size]
        return read_memory(
            queue, source[0]._shadow, host, source[1], wait_for, bool(is_blocking), routine
        )
    wait_for_events(list(wait_for or ()))
    dst.buf[:size] = src.buf[:size]
    return enqueue_marker_with_wait_list(queue, wait_for)


def enqueue_svm_memfill(
    queue: CommandQueue,
    dst: SVMPointer,
    pattern: Any,
    byte_count: Any = None,
    wait_for: WaitFor = None,
) -> Event:
    """Enqueue a fill of shared memory."""
    shadow, offset, size = shared_region(dst, "clEnqueueSVMMemFill")
    count = size if byte_count is None else int(byte_count)
    return enqueue_fill_buffer(queue, shadow, pattern, offset, count, wait_for)


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
    reads, _ = mapping.map_flags(flags, routine)
    shadow, offset, whole = shared_region(svm, routine)
    count = whole if size is None else int(size)
    found = locate(svm.svm_ptr, whole)
    assert found is not None
    found[0]._maps[offset] = (flags, count)
    if not reads:
        return enqueue_marker_with_wait_list(queue, wait_for)
    host = found[0]._host[offset : offset + count]
    return read_memory(queue, shadow, host, offset, wait_for, bool(is_blocking), routine)


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
    if not mapping.map_flags(flags, routine)[1]:
        return enqueue_marker_with_wait_list(queue, wait_for)
    host = found[0]._host[offset : offset + count]
    return write_memory(queue, shadow, host, offset, wait_for, False, routine)


def enqueue_svm_migrate_mem(
    queue: CommandQueue,
    svms: Sequence[SVMPointer],
    flags: int | None = None,
    wait_for: WaitFor = None,
) -> Event:
    """A hint that changes no contents."""
    if not svms:
        fail("clEnqueueSVMMigrateMem", "INVALID_VALUE", "no memory")
    return enqueue_marker_with_wait_list(queue, wait_for)


class SVMAllocator:
    """Allocates shared memory."""

    def __init__(
        self,
        context: Context,
        *,
        alignment: int = 0,
        flags: int = FLAGS["READ_WRITE"],
        queue: CommandQueue | None = None,
    ) -> None:
        if queue is not None:
            _check_in_order(queue, "SVMAllocator")
        self._context, self._alignment = context, alignment
        self._flags, self._queue = flags, queue

    def __call__(self, size: int) -> SVMAllocation:
        """An allocation of that many bytes."""
        return SVMAllocation(self._context, size, self._alignment, self._flags, self._queue)


class SVMPool(pools._Pool):
    """A pool of shared memory."""

    def __init__(self, allocator: SVMAllocator, *, leading_bits_in_bin_id: int = 4) -> None:
        super().__init__(leading_bits_in_bin_id)
        self._allocator = allocator

    def _new(self, size: int) -> Any:
        return self._allocator(size)

    def _end(self, block: Any) -> None:
        block.release()

    def __call__(self, size: int) -> PooledSVM:
        """A block of at least that many bytes."""
        return PooledSVM(self, int(size))


class PooledSVM(SVMPointer):
    """A block of an SVMPool in use."""

    def __init__(self, pool: SVMPool, size: int) -> None:
        super().__init__()
        self._pool: SVMPool | None = None
        self._asked = size
        self._block: SVMAllocation | None = pool._get(size) if size else None
        self._pool = pool
        self._queue = pool._allocator._queue

    def _allocation(self, routine: str) -> Any:
        if self._pool is None:
            fail(routine, "INVALID_VALUE", "the block was given back to its pool")
        return _Head(self._block, self._asked) if self._block is not None else self

    @property
    def svm_ptr(self) -> int:
        """The address in this process; 0 of an empty block."""
        return 0 if self._block is None else self._block.svm_ptr

    @property
    def size(self) -> int:
        """Bytes that were asked for."""
        return self._asked

    @property
    def buf(self) -> Any:
        """The host's view of the memory, as bytes."""
        return np.zeros(0, np.uint8) if self._block is None else self._block._host[: self._asked]

    def release(self) -> None:
        """Give the block back."""
        pool, self._pool = self._pool, None
        if pool is None:
            fail("PooledSVM.release", "INVALID_VALUE", "trying to double-unref pooled memory")
        if self._block is not None:
            pool._put(self._block, self._asked)
        self._block = None

    def enqueue_release(self) -> None:
        """As `release`: commands on the memory are ordered by its data."""
        self.release()

    def bind_to_queue(self, queue: CommandQueue) -> None:
        """From now on the block belongs to this queue."""
        _check_in_order(queue, "PooledSVM.bind_to_queue")
        self._queue = queue

    def unbind_from_queue(self) -> None:
        """The block belongs to no queue."""
        self._queue = None

    def __del__(self) -> None:
        if getattr(self, "_pool", None) is not None:
            self.release()


class _Head:
    """The first bytes of an allocation, as a pointer."""

    def __init__(self, allocation: SVMAllocation, size: int) -> None:
        self.svm_ptr = allocation.svm_ptr
        self.size = size
        self.buf = allocation._host[:size]
