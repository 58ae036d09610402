"""Coarse-grain shared virtual memory, by shadow buffers (OpenCL 3.0 API, 5.6).

Owns: `Allocation`, which of them an address lies in, and the checks of flags and queues. Must not
know: commands (`svm_commands`), or how a face gets host memory.

An allocation is host memory and a buffer. Coarse-grain rules let the host touch it only while it
is mapped, so a map reads the buffer into the host memory and an unmap writes it back; kernels get
the buffer. Pointers kept inside the memory mean nothing on a node: fine-grain and system sharing
are reported as absent.
"""

from __future__ import annotations

from typing import Any

from vcl.api.addresses import Addresses
from vcl.api.context import CommandQueue
from vcl.api.errors import fail
from vcl.api.memory import ACCESS, Memory, check_flags
from vcl.constants import CLASSES

_FLAGS = CLASSES["svm_mem_flags"]
_FINE = _FLAGS["SVM_FINE_GRAIN_BUFFER"] | _FLAGS["SVM_ATOMICS"]


class Allocation:
    """Host memory with a shadow buffer.

    _context: that it is of. _shadow: the buffer; None of an empty allocation, and once it was
    freed. _maps: (map_flags, size) by offset of what is mapped now.
    """

    def __init__(self, context: Any, flags: int, address: int, host: memoryview) -> None:
        """flags: svm_mem_flags, as `check_shared_flags` lets pass. address: of the host memory,
        which this keeps. Raises CallError, OperatingError."""
        self._context = context
        self._address, self._bytes = address if host.nbytes else 0, host
        self._maps: dict[int, tuple[int, int]] = {}
        self._released = False
        self._shadow: Memory | None = None
        if host.nbytes:
            self._shadow = self._make_shadow(flags & ACCESS)
            SHARED.add(address, self)

    def _make_shadow(self, flags: int) -> Memory:
        """A buffer that counts as the host's: launches that use it aren't split. A face may have
        its own class."""
        check_flags(flags, "clSVMAlloc")
        size = self._bytes.nbytes
        return Memory(self._context, flags, size, shared=True, routine="clSVMAlloc")

    @property
    def size(self) -> int:
        """Bytes."""
        return self._bytes.nbytes

    def _start(self, routine: str) -> int:
        """Its address; 0 of an empty allocation. Raises CallError once it was freed."""
        if self._released:
            fail(routine, "INVALID_VALUE", "the memory was released")
        return self._address

    def _free(self) -> None:
        """Free it; commands that were enqueued still find the buffer."""
        SHARED.remove(self._address)
        self._released = True
        self._shadow = None


SHARED: Addresses[Allocation] = Addresses()
"""The allocations of the process."""


def check_shared_flags(flags: int, routine: str) -> None:
    """Raise CallError for svm_mem_flags that a network can't fulfil."""
    if flags & _FINE:
        fail(routine, "INVALID_VALUE", "fine-grain sharing isn't possible across a network")


def check_in_order(queue: CommandQueue, routine: str) -> None:
    """Raise CallError for a queue that shared memory can't belong to."""
    if not queue._in_order:
        fail(routine, "INVALID_VALUE", "shared memory belongs to in-order queues only")


def shadow_of(context: Any, address: int, size: int) -> tuple[Memory, int] | None:
    """(shadow, offset) of [address, address + size) if that is of an allocation of the context: a
    buffer that is made to use this host memory is a region of the shadow."""
    found = SHARED.locate(address, size)
    if found is None or found[0]._shadow is None or found[0]._context != context:
        return None
    return found[0]._shadow, found[1]


def shared_memory(address: int, size: int, routine: str) -> tuple[Allocation, Memory, int]:
    """(allocation, its shadow, offset) of [address, address + size). Raises CallError if that isn't
    of an allocation."""
    found = SHARED.locate(address, size)
    if found is None or found[0]._shadow is None:
        text = "not memory of an SVMAllocation: system sharing is absent"
        fail(routine, "INVALID_ARG_VALUE", text)
    return found[0], found[0]._shadow, found[1]
