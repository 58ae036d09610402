"""The operators by which a merge takes in what parts did to integers with atomics.

Owns: `reduced`, the arithmetic. Must not know: buffers, blocks, packed forms, parts.

A part began from the value before, whatever the others did; what it made of that is made of the
home's value. Each operator is associative and commutative, so neither the order of the parts nor
how many there are matters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcl.wire.messages.part import How

REDUCED_BYTES = (4, 8)
"""Sizes of the integers that can be reduced."""

Integers = NDArray[Any]
_Operator = Callable[[Integers, Integers, Integers], Integers]

_OPERATORS: dict[How, tuple[str, _Operator]] = {
    How.ADD: ("u", lambda before, ours, after: ours + (after - before)),
    How.MIN: ("i", lambda before, ours, after: np.minimum(ours, after)),
    How.MAX: ("i", lambda before, ours, after: np.maximum(ours, after)),
    How.MIN_UNSIGNED: ("u", lambda before, ours, after: np.minimum(ours, after)),
    How.MAX_UNSIGNED: ("u", lambda before, ours, after: np.maximum(ours, after)),
    How.AND: ("u", lambda before, ours, after: ours & after),
    How.OR: ("u", lambda before, ours, after: ours | after),
    How.XOR: ("u", lambda before, ours, after: ours ^ after ^ before),
}
"""As what the elements are taken, and the operator."""


def reduced(how: int, before: Integers, ours: Integers, after: Integers) -> Integers:
    """What becomes of `ours` if a part made `after` of `before`.

    how: any but CHANGED. The arrays are of one shape, of unsigned integers of 4 or 8 bytes, as is
    the answer.
    """
    kind, operator = _OPERATORS[How(how)]
    dtype = np.dtype(f"{kind}{ours.dtype.itemsize}")
    return operator(before.view(dtype), ours.view(dtype), after.view(dtype)).view(ours.dtype)
