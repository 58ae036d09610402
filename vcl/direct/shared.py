"""Memory of one process that others on its host read: bytes on their way between two ends.

Owns: making it, mapping a peer's, and the ring that bytes pass through. Must not know: sockets,
transfers, or what else is kept in such memory (`pool`).

It is memfds, so that nothing is left in a file system whatever happens to the processes. One can't
shrink once it is made, or a reader would die of the pages that are gone. All is used again and
again, while it is warm: fresh pages cost more than the copying.
"""

from __future__ import annotations

import fcntl
import itertools
import mmap
import os
import weakref
from collections import deque
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from vcl.errors import RemoteProtocolError
from vcl.wire.frame import Bytes
from vcl.wire.limits import chunk_bytes_max

Array = npt.NDArray[np.uint8]

SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL

ring_slots = 8
"""Chunks of one end that may be on their way through its ring."""

seen_bytes_max = 512 * 2**20
"""Of a peer's memory that is larger, pages are unmapped when they have been read: they are no
memory of this process, but the system counts them as its own as long as it sees them. To see them
again costs as much as the copying."""

_numbers = itertools.count(1)


class SharedMemory:
    """Memory of this process. changing: whether this end may change bytes that peers refer to, once
    the transfer that lent them has been streamed.

    Raises OSError where the system has none, or none left.
    """

    def __init__(self, size: int, changing: bool = False) -> None:
        self.size, self.changing = size, changing
        self.number = next(_numbers)
        """By which peers know it."""
        self.descriptor = os.memfd_create("vcl", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            if changing:
                # Pages when they are used, as with memory of a driver's own.
                os.ftruncate(self.descriptor, size)
            else:
                # All pages now: to run out of them at a write would be a signal, not an error.
                os.posix_fallocate(self.descriptor, 0, size)
            fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, SEALS)
            self.bytes: Array = np.frombuffer(mmap.mmap(self.descriptor, size), np.uint8)
        except BaseException:
            os.close(self.descriptor)
            raise
        self.start: int = self.bytes.ctypes.data
        """Its address."""
        weakref.finalize(self.bytes, os.close, self.descriptor).atexit = False


class PeersMemory:
    """Memory of a peer, which is only read here."""

    def __init__(self, descriptor: int, size: int) -> None:
        """The descriptor stays the caller's. Raises RemoteProtocolError if it isn't memory of that
        size which can't shrink."""
        try:
            sealed = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & SEALS == SEALS
            if not sealed or os.fstat(descriptor).st_size != size:
                raise RemoteProtocolError("the peer's memory could shrink, or has another size")
            mapped = mmap.mmap(descriptor, size, prot=mmap.PROT_READ)
        except OSError as error:
            raise RemoteProtocolError(f"the peer's memory can't be mapped: {error}") from error
        self._mapped = mapped
        self._bytes: Array = np.frombuffer(mapped, np.uint8)

    def lend(self, offset: int, size: int, returned: Callable[[], object]) -> memoryview:
        """These bytes; `returned` is called, on any thread, when nothing refers to them any more.

        Raises RemoteProtocolError for bytes that there aren't.
        """
        if offset + size > len(self._bytes):
            raise RemoteProtocolError(
                f"bytes {offset} to {offset + size} of {len(self._bytes)} that are shared"
            )
        lent = self._bytes[offset : offset + size]
        # Whoever holds the bytes, a driver that reads them later too, holds the array behind them.
        weakref.finalize(lent, self._returned, offset, size, returned).atexit = False
        return lent.data

    def _returned(self, offset: int, size: int, returned: Callable[[], object]) -> None:
        if len(self._bytes) > seen_bytes_max:
            before = offset % mmap.PAGESIZE
            self._mapped.madvise(mmap.MADV_DONTNEED, offset - before, before + size)
        returned()


class Ring:
    """Memory that bytes pass through which aren't in any: `ring_slots` chunks."""

    def __init__(self) -> None:
        """Raises OSError, as SharedMemory."""
        self.memory = SharedMemory(ring_slots * chunk_bytes_max)
        self._free = deque(range(0, self.memory.size, chunk_bytes_max))

    @property
    def has_room(self) -> bool:
        """Whether `put` may be called."""
        return bool(self._free)

    def put(self, data: Bytes) -> int:
        """Copy at most a chunk in, and answer where it is; others may run meanwhile, as numpy lets
        go of Python's lock."""
        offset = self._free.popleft()
        place = self.memory.bytes[offset : offset + len(data)]
        np.copyto(place, np.frombuffer(data, np.uint8))
        return offset

    def give_back(self, offset: int) -> None:
        """What was put there isn't needed any more."""
        self._free.append(offset)
