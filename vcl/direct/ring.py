"""Memory of one process that another reads: chunks on their way between two ends of one host.

Owns: making it, mapping a peer's, and who has which slot. Must not know: sockets, transfers.

It is a memfd, so that nothing is left in a file system whatever happens to the two processes. It
can't shrink once it is made, or a reader would die of the pages that are gone. A ring is small and
used again and again: fresh pages cost more than the copying.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import weakref
from collections import deque
from collections.abc import Callable

import numpy as np

from vcl.errors import RemoteProtocolError
from vcl.wire.frame import Bytes
from vcl.wire.limits import chunk_bytes_max, ring_slots_max

slot_bytes = chunk_bytes_max
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


class Ring:
    """This end's memory: slots that are written here and read by the peer."""

    def __init__(self, slots: int = ring_slots_max) -> None:
        """Raises OSError where the system has no such memory, or none left."""
        self.slots = slots
        size = slots * slot_bytes
        self.descriptor = os.memfd_create("vcl-ring", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            # All pages now: to run out of them at a write would be a signal, not an error.
            os.posix_fallocate(self.descriptor, 0, size)
            fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, _SEALS)
            self._bytes = np.frombuffer(mmap.mmap(self.descriptor, size), np.uint8)
        except BaseException:
            os.close(self.descriptor)
            raise
        self.free = deque(range(slots))
        """Slots that may be written."""

    def put(self, data: Bytes) -> int:
        """Copy at most `slot_bytes` into a free slot, and answer which; others may run meanwhile,
        as numpy lets go of Python's lock."""
        slot = self.free.popleft()
        start = slot * slot_bytes
        np.copyto(self._bytes[start : start + len(data)], np.frombuffer(data, np.uint8))
        return slot

    def give_back(self, slot: int) -> None:
        """The peer is done with a slot; raises RemoteProtocolError if it hasn't got it."""
        if slot >= self.slots or slot in self.free:
            raise RemoteProtocolError(f"slot {slot} isn't lent")
        self.free.append(slot)

    def close(self) -> None:
        """Close the descriptor; the memory goes once nobody refers to it."""
        os.close(self.descriptor)


class PeersRing:
    """The peer's memory, which is only read here.

    returned(slot): called once nothing refers to what `take` answered, from any thread.
    """

    def __init__(self, descriptor: int, slots: int, returned: Callable[[int], None]) -> None:
        """The descriptor stays the caller's. Raises RemoteProtocolError if it isn't memory of that
        size which can't shrink."""
        size = slots * slot_bytes
        try:
            sealed = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & _SEALS == _SEALS
            if not sealed or os.fstat(descriptor).st_size != size:
                raise RemoteProtocolError("the peer's memory could shrink, or has another size")
            mapped = mmap.mmap(descriptor, size, prot=mmap.PROT_READ)
        except OSError as error:
            raise RemoteProtocolError(f"the peer's memory can't be mapped: {error}") from error
        self.slots = slots
        self._bytes = np.frombuffer(mapped, np.uint8)
        self._returned = returned
        self._lent: dict[int, weakref.ref[object]] = {}

    def take(self, slot: int, size: int) -> memoryview:
        """So many bytes of a slot, which is lent until nothing refers to them any more.

        Raises RemoteProtocolError if it is lent already.
        """
        if slot >= self.slots or slot in self._lent:
            raise RemoteProtocolError(f"slot {slot} is in use")
        start = slot * slot_bytes
        lent = self._bytes[start : start + size]
        # Whoever holds the bytes, a driver that reads them later too, holds the array behind them.
        self._lent[slot] = weakref.ref(lent, lambda _: self._give_back(slot))
        return lent.data

    def _give_back(self, slot: int) -> None:
        del self._lent[slot]
        self._returned(slot)
