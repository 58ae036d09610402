"""Where a program's host writes are kept until nobody needs them.

Owns: the copying of them, and the memory for it, which nodes on the same host can read; memory for
bytes that are about to come, too, and for buffers. Must not know: links, or who reads.

A write's bytes are copied once, by the program's thread and without Python's lock, into memory that
was used before: fresh pages would cost more than the copying. Nobody says when the last transfer of
them has ended: memory is used again when nothing refers to the copy any more.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import weakref
from bisect import bisect_right
from collections import defaultdict, deque
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from vcl.wire.frame import Bytes
from vcl.wire.limits import shared_memory_bytes_max

if TYPE_CHECKING:
    from vcl.direct.shared import SharedMemory

kept_bytes_min = 2**20
"""Host writes from this size on are kept in a pool."""

block_bytes_max = 8 * 2**20
"""Blocks up to this size are cut from one memory: each memory costs a descriptor at both ends."""

arena_bytes = 4 * block_bytes_max

idle_bytes_max = 512 * 2**20
"""What a pool keeps though nothing is in it."""

changing_idle_bytes_max = 128 * 2**20
"""As `idle_bytes_max`, of a pool for what changes: each session has one on each host."""

changing_memories_max = 128
"""Memories of a pool for what changes: they last as long as buffers do, and each costs two
descriptors here and one at every peer that reads it."""


page_bytes = 4096

room_step = 9 * 128
"""So far apart rooms begin in their pages. Where several buffers that a kernel goes through at once
begin alike, a processor takes what is written to one for what is read next of another: kernels took
up to half as long again. A multiple of what devices want buffers to begin at."""


class _Block(NamedTuple):
    """bytes: all of it. memory: in which it is, if others can read that."""

    bytes: npt.NDArray[np.uint8]
    memory: SharedMemory | None


class Pool:
    """From any thread, and in a signal's handler or a destructor that comes in between: what is
    done with the lock held may have one between any two calls, and memory is made without it."""

    def __init__(self, shares: bool = True, changing: bool = False) -> None:
        """shares: whether in memory that others can read, where there is such. changing: as of
        SharedMemory."""
        self._lock = threading.RLock()
        self._idle: defaultdict[int, list[_Block]] = defaultdict(list)  # by size
        self._idle_bytes = 0
        # Whoever lets go of a copy does so anywhere, perhaps with the lock held.
        self._returned: deque[_Block] = deque()
        self._starts: list[int] = []
        self._memories: dict[int, weakref.ref[SharedMemory]] = {}  # by address
        self._shares = shares and hasattr(os, "memfd_create")
        self._changing = changing
        self._rooms = itertools.count()

    def keep(self, data: memoryview) -> Bytes:
        """A copy of bytes, which nobody may change."""
        size = len(data)
        if size < kept_bytes_min:
            return bytes(data)
        kept = self._lend(size)
        np.copyto(kept, np.frombuffer(data, np.uint8))
        kept.flags.writeable = False
        return kept.data

    def room(self, size: int) -> memoryview:
        """Memory for so many bytes, which are about to come."""
        return self._lend(size).data if size >= kept_bytes_min else memoryview(bytearray(size))

    def buffer_room(self, size: int) -> npt.NDArray[np.uint8] | None:
        """So many bytes of memory, which others can read where there is such, at a multiple of
        `room_step` in a page; used again when nothing refers to them. None if they are too few or
        too many."""
        most = shared_memory_bytes_max - 2 * page_bytes
        if not kept_bytes_min <= size <= most:
            return None
        block = self._block(size + 2 * page_bytes)
        start = -address(block.bytes) % page_bytes + next(self._rooms) * room_step % page_bytes
        return self._lent(block, size, start)

    def _lend(self, size: int) -> npt.NDArray[np.uint8]:
        return self._lent(self._block(size), size)

    def _block(self, size: int) -> _Block:
        with self._lock:
            self._take_back()
            block = self._idle_block(_rounded(size))
        return self._made_block(_rounded(size)) if block is None else block

    def _lent(self, block: _Block, size: int, start: int = 0) -> npt.NDArray[np.uint8]:
        lent = block.bytes[start : start + size]
        weakref.finalize(lent, self._returned.append, block).atexit = False
        return lent

    def find(self, data: memoryview) -> tuple[SharedMemory, int] | None:
        """In which memory bytes are, and where; None if others can't read them."""
        start = address(np.frombuffer(data, np.uint8))
        with self._lock:
            at = bisect_right(self._starts, start) - 1
            known = self._memories.get(self._starts[at]) if at >= 0 else None
            memory = None if known is None else known()
        if memory is None or start + len(data) > memory.start + memory.size:
            return None
        return memory, start - memory.start

    def trim(self) -> None:
        """Let go of what is more than a pool should keep."""
        if self._returned:
            with self._lock:
                self._take_back()

    def _take_back(self) -> None:
        most = changing_idle_bytes_max if self._changing else idle_bytes_max
        with contextlib.suppress(IndexError):  # that was all
            while True:
                block = self._returned.popleft()
                size = len(block.bytes)
                if self._idle_bytes + size <= most:
                    self._idle_bytes += size
                    self._idle[size].append(block)

    def _idle_block(self, size: int) -> _Block | None:
        try:
            block = self._idle[size].pop()
        except IndexError:
            return None
        self._idle_bytes -= size
        return block

    def _made_block(self, size: int) -> _Block:
        count = max(1, arena_bytes // size) if size <= block_bytes_max else 1
        memory = self._memory(count * size)
        whole = np.empty(count * size, np.uint8) if memory is None else memory.bytes
        first, *others = [
            _Block(whole[start : start + size], memory) for start in range(0, len(whole), size)
        ]
        more = len(whole) - size
        with self._lock:
            self._idle_bytes += more
            self._idle[size] += others
        return first

    @property
    def _count(self) -> int:
        """How many memories there are."""
        with self._lock:
            return sum(ref() is not None for ref in self._memories.values())

    def _memory(self, size: int) -> SharedMemory | None:
        if not self._shares:
            return None
        if self._changing and self._count >= changing_memories_max:
            return None
        from vcl.direct.shared import SharedMemory

        try:
            made = SharedMemory(size, self._changing)
        except OSError:
            self._shares = False  # what a link needs of it, it misses too, and says so
            return None
        with self._lock:
            # Others may be gone, and this one where they were.
            known = {start: ref for start, ref in self._memories.items() if ref() is not None}
            self._memories = {**known, made.start: weakref.ref(made)}
            self._starts = sorted(self._memories)
        return made


def is_at(data: Bytes, place: memoryview) -> bool:
    """Whether bytes, at least one, are in this very memory."""
    return address(np.frombuffer(data, np.uint8)) == address(np.frombuffer(place, np.uint8))


def address(array: npt.NDArray[np.uint8]) -> int:
    """Where an array's bytes begin."""
    found: int = array.__array_interface__["data"][0]
    return found


def _rounded(size: int) -> int:
    """The size of the block for so many bytes."""
    if size <= block_bytes_max:
        return 1 << (size - 1).bit_length()
    return -(-size // block_bytes_max) * block_bytes_max
