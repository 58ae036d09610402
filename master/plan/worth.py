"""Whether it pays to run a launch in parts.

Owns: that first rule of cost, and its figures. Must not know: which device is how fast, or how
bytes travel.

A merge costs some eight operations, two transfers and the comparison of what may have changed,
whatever the kernel does; what it saves is a share of the kernel's time. How long a kernel takes is
learned from its launches, by work-item; of one that never ran it is a guess, on the side of running
whole, from which it is learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from master.objects import KernelFacts
from master.plan.uses import Use

merge_ns = 2_000_000
"""What a merge of two parts costs besides its bytes."""

merge_byte_ns = 2.0
"""What each byte that may have changed costs: a copy, a comparison, and the way home."""

item_ns_guess = 100.0
"""Time of a work-item of a kernel that never ran."""

TOO_SMALL = "too small to pay"


class Worth(NamedTuple):
    """items: of which all but one part's are saved, so to speak. cost_ns: what that costs."""

    items: float
    cost_ns: float

    def pays(self, kernel: KernelFacts) -> bool:
        """Whether parts save more than they cost, by what is known of the kernel now."""
        each_ns = item_ns_guess if kernel.item_ns is None else kernel.item_ns
        return each_ns * self.items > self.cost_ns


def worth(global_size: Sequence[int], uses: Sequence[Use], count: int) -> Worth:
    """Of a launch in so many parts."""
    written = sum(use.end - use.start for use in uses if use.may_write)
    return Worth(prod(global_size) * (1 - 1 / count), merge_ns + written * merge_byte_ns)
