"""pyopencl's classes of coarse-grain shared virtual memory.

Owns: `SVMPointer`, `SVM`, `SVMAllocation`, `SVMAllocator`, `SVMPool`, `PooledSVM`, and the host
memory of allocations. Must not know: what becomes of it (`vcl.api.svm`, `vcl.api.svm_commands`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vcl.api import svm, svm_commands
from vcl.api.events import wait_list
from vcl.api.integers import size as size_t
from vcl.api.memory import FLAGS
from vcl.pyopencl_cl import pools
from vcl.pyopencl_cl.context import CommandQueue, Context, expect
from vcl.pyopencl_cl.enqueue import WaitFor, _finish_enqueue
from vcl.pyopencl_cl.errors import fail, translated
from vcl.pyopencl_cl.event import Event
from vcl.pyopencl_cl.handles import Handle
from vcl.pyopencl_cl.memory import Buffer, contiguous_bytes


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


class SVMAllocation(svm.Allocation, SVMPointer):
    """An allocation: host memory with a shadow buffer."""

    @translated("clSVMAlloc")
    def __init__(
        self,
        context: Context,
        size: int,
        alignment: int,
        flags: int,
        queue: CommandQueue | None = None,
    ) -> None:
        routine = "SVMAllocation"
        expect(context, Context, "context")
        size, flags = size_t(size, "size"), size_t(flags, "flags")
        alignment = size_t(alignment, "alignment")
        svm.check_shared_flags(flags, routine)
        if queue is not None:
            svm.check_in_order(queue, routine)
        self._queue = queue
        spare = max(alignment, 128)
        raw = np.zeros(size + spare, np.uint8)
        start = -raw.ctypes.data % spare
        self._host = raw[start : start + size]
        svm.Allocation.__init__(
            self, context, flags, int(self._host.ctypes.data), self._host.data
        )

    def _make_shadow(self, flags: int) -> Buffer:
        return Buffer(self._context, flags, self.size, _shadow=True)

    @property
    @translated("SVMAllocation.svm_ptr")
    def svm_ptr(self) -> int:
        """The address in this process; 0 of an empty allocation."""
        return self._start("SVMAllocation.svm_ptr")

    @property
    def buf(self) -> Any:
        """The host's view of the memory, as bytes."""
        return self._host

    @translated("SVMAllocation.svm_ptr")
    def release(self) -> None:
        """Free it now; commands that were enqueued still find it."""
        self._start("SVMAllocation.svm_ptr")
        self._free()

    @translated("clEnqueueSVMFree")
    def enqueue_release(
        self, queue: CommandQueue | None = None, wait_for: WaitFor = None
    ) -> Event:
        """Free it after what was enqueued; commands are ordered by data anyway."""
        target = queue or self._queue
        if target is None:
            fail("SVMAllocation.enqueue_release", "INVALID_VALUE", "no queue was given")
        routine = "clEnqueueSVMFree"
        target._check()
        self._start("SVMAllocation.svm_ptr")
        waits = wait_list(wait_for, target._context, routine)
        return _finish_enqueue(target, svm_commands.free(target, self, waits), "SVM_FREE")

    @translated("SVMAllocation.bind_to_queue")
    def bind_to_queue(self, queue: CommandQueue) -> None:
        """From now on releases are enqueued in this queue."""
        svm.check_in_order(queue, "SVMAllocation.bind_to_queue")
        self._queue = queue

    def unbind_from_queue(self) -> None:
        """Releases aren't enqueued any more; what was enqueued is waited for."""
        if self._queue is not None:
            self._queue.finish()
        self._queue = None


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


def place_of(pointer: Any, routine: str) -> Any:
    """What has the address, size and bytes of a pointer: of a pool's, its block."""
    return pointer._allocation(routine) if isinstance(pointer, PooledSVM) else pointer


def shared_region(pointer: Any, routine: str) -> tuple[Any, Any, int, int]:
    """(allocation, its shadow, offset, size) of a pointer; raises CallError if it isn't of an
    allocation."""
    place = place_of(pointer, routine)
    size = place.size or 0
    return (*svm.shared_memory(place.svm_ptr, size, routine), size)


class SVMAllocator:
    """Allocates shared memory."""

    @translated("SVMAllocator")
    def __init__(
        self,
        context: Context,
        *,
        alignment: int = 0,
        flags: int = FLAGS["READ_WRITE"],
        queue: CommandQueue | None = None,
    ) -> None:
        if queue is not None:
            svm.check_in_order(queue, "SVMAllocator")
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

    @translated("PooledSVM.bind_to_queue")
    def bind_to_queue(self, queue: CommandQueue) -> None:
        """From now on the block belongs to this queue."""
        svm.check_in_order(queue, "PooledSVM.bind_to_queue")
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
