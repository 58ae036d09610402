"""Integers that fit C's types, as plain ints; all else is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vcl.api import integers

RANGES: list[tuple[Callable[[Any, str], int], int, int]] = [
    (integers.size, 0, 2**64 - 1),
    (integers.int32, -(2**31), 2**31 - 1),
    (integers.int64, -(2**63), 2**63 - 1),
    (integers.uint32, 0, 2**32 - 1),
]


@pytest.mark.parametrize(("convert", "least", "most"), RANGES)
def test_the_limits_of_a_type(convert: Callable[[Any, str], int], least: int, most: int) -> None:
    assert convert(least, "x") == least and convert(most, "x") == most
    for wrong in (least - 1, most + 1):
        with pytest.raises(TypeError, match=f"the x is {wrong}"):
            convert(wrong, "x")


@pytest.mark.parametrize("given", [np.uint8(7), np.int64(7), True, 7])
def test_what_has_an_index_is_an_integer(given: Any) -> None:
    found = integers.integer(given, "x")
    assert type(found) in (int, bool) and found == int(given)


@pytest.mark.parametrize("given", [7.0, "7", None, [7]])
def test_what_is_no_integer(given: Any) -> None:
    with pytest.raises(TypeError, match="the x must be an integer"):
        integers.sizes([1, given], "x")
