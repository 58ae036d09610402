"""Allocators and the memory pool of `pyopencl.tools`.

Owns: `DeferredAllocator`, `ImmediateAllocator`, `MemoryPool`, `PooledBuffer`, and the pool's bins
(sizes are rounded to a power of two times a small mantissa, so that freed blocks fit again). Must
not know: where memory is.
"""

from __future__ import annotations

from typing import Any

from vcl.api.integers import size as size_t
from vcl.api.integers import uint32
from vcl.constants import CLASSES
from vcl.pyopencl_cl.context import CommandQueue, Context, expect
from vcl.pyopencl_cl.errors import Error, fail
from vcl.pyopencl_cl.handles import Handle
from vcl.pyopencl_cl.memory import Buffer, MemoryObjectHolder

_FLAGS = CLASSES["mem_flags"]


def bitlog2(number: int) -> int:
    """Position of the highest set bit."""
    return number.bit_length() - 1


class AllocatorBase:
    """Base of the allocators: called with a size, answers a Buffer."""

    def __init__(self, context: Context, flags: int) -> None:
        expect(context, Context, "context")
        flags = size_t(flags, "flags")
        if flags & (_FLAGS["USE_HOST_PTR"] | _FLAGS["COPY_HOST_PTR"]):
            fail("Allocator", "INVALID_VALUE", "cannot specify USE_HOST_PTR or COPY_HOST_PTR flags")
        self._context = context
        self._flags = flags

    def __call__(self, size: int) -> Buffer | None:
        """A buffer of that many bytes; None for 0."""
        size = size_t(size, "size")
        if size == 0:
            return None
        return Buffer(self._context, self._flags, size)


class DeferredAllocator(AllocatorBase):
    """Allocates on a device when the buffer is first used there."""

    def __init__(self, context: Context, mem_flags: int = _FLAGS["READ_WRITE"]) -> None:
        super().__init__(context, mem_flags)


class ImmediateAllocator(AllocatorBase):
    """As DeferredAllocator: on a cluster it isn't known where a buffer will be used."""

    def __init__(self, queue: CommandQueue, mem_flags: int = _FLAGS["READ_WRITE"]) -> None:
        expect(queue, CommandQueue, "queue")
        super().__init__(queue._context, mem_flags)


class _Bins:
    """Which bin a size belongs to, and how large the blocks of a bin are.

    A bin is an exponent and `leading_bits` bits of mantissa.
    """

    def __init__(self, leading_bits: int) -> None:
        if leading_bits < 0:
            fail("MemoryPool", "INVALID_VALUE", "leading_bits_in_bin_id must not be negative")
        self._bits = leading_bits
        self._mask = (1 << leading_bits) - 1

    def number(self, size: int) -> int:
        """The bin of a size."""
        exponent = bitlog2(size) if size else 0
        shift = exponent - self._bits
        shifted = size >> shift if shift >= 0 else size << -shift
        if size and not shifted & (1 << self._bits):
            raise RuntimeError("memory_pool::bin_number: bitlog2 fault")
        return (exponent << self._bits) | (shifted & self._mask)

    def block_size(self, bin_number: int) -> int:
        """The largest size of a bin: what is allocated for it."""
        exponent, mantissa = bin_number >> self._bits, bin_number & self._mask
        shift = exponent - self._bits
        ones = (1 << shift) - 1 if shift > 0 else 0
        head = (1 << self._bits) | mantissa
        return (head << shift if shift >= 0 else head >> -shift) | ones


class _Pool:
    """Blocks by bin. `_new(size)` allocates; `_end(block)` frees."""

    def __init__(self, leading_bits_in_bin_id: int = 4) -> None:
        self._bins = _Bins(leading_bits_in_bin_id)
        self._held: dict[int, list[Any]] = {}
        self._held_blocks = 0
        self._active_blocks = 0
        self._managed_bytes = 0
        self._active_bytes = 0
        self._holding = True

    def _new(self, size: int) -> Any:
        raise NotImplementedError

    def _end(self, block: Any) -> None:
        raise NotImplementedError

    def _get(self, size: int) -> Any:
        number = self._bins.number(size)
        held = self._held.get(number)
        if held:
            block = held.pop()
            self._held_blocks -= 1
        else:
            wanted = self._bins.block_size(number)
            try:
                block = self._new(wanted)
            except Error as error:
                record = error.args[0]
                if not record.is_out_of_memory() or not self._held_blocks:
                    raise
                self.free_held()
                block = self._new(wanted)
            self._managed_bytes += wanted
        self._active_blocks += 1
        self._active_bytes += size
        return block

    def _put(self, block: Any, size: int) -> None:
        number = self._bins.number(size)
        self._active_blocks -= 1
        self._active_bytes -= size
        if self._holding:
            self._held.setdefault(number, []).append(block)
            self._held_blocks += 1
        else:
            self._managed_bytes -= self._bins.block_size(number)
            self._end(block)

    @property
    def held_blocks(self) -> int:
        """Blocks that are free but kept."""
        return self._held_blocks

    @property
    def active_blocks(self) -> int:
        """Blocks in use."""
        return self._active_blocks

    @property
    def managed_bytes(self) -> int:
        """Bytes of all blocks."""
        return self._managed_bytes

    @property
    def active_bytes(self) -> int:
        """Bytes asked for of the blocks in use."""
        return self._active_bytes

    def bin_number(self, size: int) -> int:
        """The bin of a size."""
        return self._bins.number(size)

    def alloc_size(self, bin_number: int) -> int:
        """Bytes of a bin's blocks."""
        return self._bins.block_size(bin_number)

    def free_held(self) -> None:
        """Free what is kept."""
        for number, blocks in self._held.items():
            for block in blocks:
                self._managed_bytes -= self._bins.block_size(number)
                self._end(block)
        self._held.clear()
        self._held_blocks = 0

    def stop_holding(self) -> None:
        """Free what is kept, and keep nothing from now on."""
        self._holding = False
        self.free_held()


class MemoryPool(_Pool):
    """A pool of buffers."""

    def __init__(self, allocator: AllocatorBase, leading_bits_in_bin_id: int = 4) -> None:
        super().__init__(uint32(leading_bits_in_bin_id, "leading_bits_in_bin_id"))
        expect(allocator, AllocatorBase, "allocator")
        if isinstance(allocator, DeferredAllocator):
            import warnings

            warnings.warn(
                "Memory pools expect non-deferred semantics from their allocators. You passed a "
                "deferred allocator, i.e. an allocator whose allocations can turn out to be "
                "unavailable long after allocation.",
                stacklevel=2,
            )
        self._allocator = allocator

    def _new(self, size: int) -> Any:
        return self._allocator(size)

    def _end(self, block: Any) -> None:
        block.release()

    def allocate(self, size: int) -> PooledBuffer:
        """A block of at least that many bytes, back in the pool when it is let go of."""
        return PooledBuffer(self, size_t(size, "size"))

    __call__ = allocate


class PooledBuffer(MemoryObjectHolder):
    """A block of a pool in use."""

    def __init__(self, pool: MemoryPool, size: int) -> None:
        Handle.__init__(self)
        self._pool: MemoryPool | None = None
        self._block: Any = pool._get(size)
        self._pool = pool
        self._asked = size

    def _memory(self, routine: str) -> Buffer:
        if self._pool is None or self._block is None:
            fail(routine, "INVALID_MEM_OBJECT", "the block was given back to its pool")
        memory: Buffer = self._block
        return memory

    def release(self) -> None:
        """Give the block back."""
        if self._pool is None:
            fail("PooledBuffer.release", "INVALID_VALUE", "trying to double-unref pooled buffer")
        pool, self._pool = self._pool, None
        pool._put(self._block, self._asked)
        self._block = None

    def bind_to_queue(self, queue: CommandQueue) -> None:
        """Nothing to do: commands on a buffer are ordered by its data."""

    def unbind_from_queue(self) -> None:
        """Nothing to do, as `bind_to_queue`."""

    def __del__(self) -> None:
        if getattr(self, "_pool", None) is not None:
            self.release()


class _TestMemoryPool(_Pool):
    """pyopencl's own test of the pool's arithmetic: blocks are just numbers."""

    def _new(self, size: int) -> Any:
        return size

    def _end(self, block: Any) -> None:
        return

    def allocate(self, size: int) -> Any:
        """A block, in use for ever."""
        return self._get(size)

    def _set_trace(self, trace: bool) -> None:
        """Accepted and ignored."""
