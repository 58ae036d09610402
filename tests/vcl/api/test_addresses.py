"""Finding the allocation that an address lies in."""

from __future__ import annotations

from dataclasses import dataclass

from vcl.api.addresses import Addresses


@dataclass(eq=False)
class Allocation:
    """An allocation."""

    size: int


def test_an_allocation_is_found_by_any_region_of_it() -> None:
    addresses: Addresses[Allocation] = Addresses()
    assert addresses.locate(0, 0) is None
    first, second = Allocation(16), Allocation(8)
    addresses.add(100, first)
    addresses.add(200, second)
    assert addresses.locate(100, 16) == (first, 0)
    assert addresses.locate(108, 8) == (first, 8)
    assert addresses.locate(200, 1) == (second, 0)
    for address, size in ((99, 1), (100, 17), (116, 1), (199, 2), (208, 1)):
        assert addresses.locate(address, size) is None


def test_what_was_freed_is_not_found() -> None:
    addresses: Addresses[Allocation] = Addresses()
    kept, dropped = Allocation(8), Allocation(8)
    addresses.add(100, kept)
    addresses.add(200, dropped)
    del dropped  # nothing is kept alive by being here
    assert addresses.locate(200, 1) is None
    addresses.remove(100)
    addresses.remove(100)
    assert addresses.locate(100, 1) is None
