"""Whether it pays to run a launch in parts.

Owns: that first rule of cost, and its figures. Must not know: which device is how fast, or how
long bytes travel.

A merge costs some eight operations, two transfers and the comparison of what may have changed,
whatever the kernel does; what it saves is a share of the kernel's time. How long a kernel takes is
learned from its launches, by work-item; of one that never ran it is a guess, on the side of running
whole, from which it is learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

merge_ns = 2_000_000
"""What a merge of two parts costs besides its bytes."""

merge_byte_ns = 2.0
"""What each byte that may have changed costs: a copy, a comparison, and the way home."""

regions_ns = 300_000
"""What parts cost that merge nothing: another operation, and its way."""

run_bytes = 150_000
"""What a run of bytes more costs, in bytes that could be brought instead: a transfer to its part,
and one back. Measured 0.3 and 0.35 ms (benchmarks/NOTES.md, boxes), each byte 4 ns (`links`)."""

item_ns_guess = 100.0
"""Time of a work-item of a kernel that never ran."""

TOO_SMALL = "too small to pay"


class Worth(NamedTuple):
    """items: of which all but one part's are saved, so to speak. cost_ns: what that costs."""

    items: float
    cost_ns: float

    def pays(self, item_ns: float | None) -> bool:
        """Whether parts save more than they cost; item_ns: of a work-item, None if not known."""
        each_ns = item_ns_guess if item_ns is None else item_ns
        return each_ns * self.items > self.cost_ns


def merge_worth(
    global_size: Sequence[int], written_bytes: int, moving_ns: float, count: int
) -> Worth:
    """Of a merge of so many parts. written_bytes: that the part with most may have changed.

    Parts copy and compare theirs at the same time. moving_ns: for bytes that a whole launch
    wouldn't need, as `Traffic` has it.
    """
    cost = merge_ns + written_bytes * merge_byte_ns + moving_ns
    return Worth(_saved(global_size, count), cost)


def regions_worth(global_size: Sequence[int], moving_ns: float, count: int) -> Worth:
    """Of so many parts that write bytes of their own; moving_ns: as for a merge."""
    return Worth(_saved(global_size, count), regions_ns + moving_ns)


def _saved(global_size: Sequence[int], count: int) -> float:
    return prod(global_size) * (1 - 1 / count)
