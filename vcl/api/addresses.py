"""Which allocation of shared virtual memory an address lies in (OpenCL 3.0 API, 5.6).

Owns: `Addresses`. Must not know: what an allocation is but its size.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Generic, Protocol, TypeVar
from weakref import WeakValueDictionary


class Sized(Protocol):
    """Something with a size in bytes."""

    @property
    def size(self) -> int:
        """Bytes."""


T = TypeVar("T", bound=Sized)


class Addresses(Generic[T]):
    """The live allocations of a process; none is kept alive by being here."""

    def __init__(self) -> None:
        self._by_start: WeakValueDictionary[int, T] = WeakValueDictionary()

    def add(self, start: int, allocation: T) -> None:
        """An allocation begins at this address."""
        self._by_start[start] = allocation

    def remove(self, start: int) -> None:
        """The allocation at this address, if there is one, was freed."""
        self._by_start.pop(start, None)

    def locate(self, address: int, size: int) -> tuple[T, int] | None:
        """The allocation that has all of [address, address + size), and the offset in it."""
        starts = sorted(self._by_start)
        index = bisect_right(starts, address) - 1
        if index < 0:
            return None
        found = self._by_start.get(starts[index])
        if found is None or address + size > starts[index] + found.size:
            return None
        return found, address - starts[index]
