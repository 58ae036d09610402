"""Coarse-grain shared virtual memory, by shadow buffers.

Owns: `SVMPointer`, `SVM`, `SVMAllocation`, `SVMAllocator`, `SVMPool`, `PooledSVM` (OpenCL 3.0 API,
5.6), and finding the allocation that an address lies in. Must not know: commands.

An allocation is host memory and a buffer. Coarse-grain rules let the host touch it only while it
is mapped, so a map reads the buffer into the host memory and an unmap writes it back; kernels get
the buffer. Pointers kept inside the memory mean nothing on a node: fine-grain and system sharing
are reported as absent.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vcl.api.integers import size as size_t
from vcl.api.memory import FLAGS
from vcl.constants import CLASSES
from vcl.pyopencl_cl import pools
from vcl.pyopencl_cl.context import CommandQueue, Context, expect
from vcl.pyopencl_cl.enqueue import (
    WaitFor,
    marker,
)
from vcl.pyopencl_cl.errors import fail, translated
from vcl.pyopencl_cl.event import Event
from vcl.pyopencl_cl.handles import Handle
from vcl.pyopencl_cl.memory import SHARED, Buffer, contiguous_bytes

_FLAGS = CLASSES["svm_mem_flags"]
_FINE = _FLAGS["SVM_FINE_GRAIN_BUFFER"] | _FLAGS["SVM_ATOMICS"]


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
        expect(context, Context, "context")
        self._released = False
        size, flags = size_t(size, "size"), size_t(flags, "flags")
        alignment = size_t(alignment, "alignment")
        if flags & _FINE:
            fail(routine, "INVALID_VALUE", "fine-grain sharing isn't possible across a network")
        if queue is not None:
            _check_in_order(queue, routine)
        self._context = context
        self._size = size
        self._queue = queue
        self._shadow: Buffer | None = None
        self._maps: dict[int, tuple[int, int]] = {}  # offset: (flags, size)
        if size:
            spare = max(alignment, 128)
            raw = np.zeros(self._size + spare, np.uint8)
            start = -raw.ctypes.data % spare
            self._host = raw[start : start + self._size]
            self._shadow = Buffer(context, flags & 7, self._size, _shadow=True)
            SHARED.add(self.svm_ptr, self)
        else:
            self._host = np.zeros(0, np.uint8)

    @property
    def svm_ptr(self) -> int:
        """The address in this process; 0 of an empty allocation."""
        if self._released:
            fail("SVMAllocation.svm_ptr", "INVALID_VALUE", "the memory was released")
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
        SHARED.remove(self.svm_ptr)
        self._released = True
        self._shadow = None

    @translated("clEnqueueSVMFree")
    def enqueue_release(
        self, queue: CommandQueue | None = None, wait_for: WaitFor = None
    ) -> Event:
        """Free it after what was enqueued; commands are ordered by data anyway."""
        target = queue or self._queue
        if target is None:
            fail("SVMAllocation.enqueue_release", "INVALID_VALUE", "no queue was given")
        event = marker(target, wait_for, False, "clEnqueueSVMFree", "SVM_FREE")
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
        self._bytes = contiguous_bytes(mem, writable=True)

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
    return SHARED.locate(address, size)


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
        return PooledSVM(self, size_t(size, "size"))


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
