"""The bytes of the hidden argument are what a kernel of the whole launch would see."""

from __future__ import annotations

import struct

import pytest

from master.access.hidden import FIELDS, hidden
from vcl.ndrange import NDRange, split


def fields(data: bytes, word: str) -> dict[str, tuple[int, ...]]:
    numbers = struct.unpack(f"<12{word}", data)
    return {name: numbers[3 * i : 3 * i + 3] for i, name in enumerate(FIELDS)}


@pytest.mark.parametrize(("bits", "word"), [(32, "I"), (64, "Q")])
def test_a_part_is_told_of_the_whole_launch(bits: int, word: str) -> None:
    whole = NDRange((5, 7), (16, 12), (4, 3))
    part = NDRange((5, 13), (16, 3), (4, 3))
    assert fields(hidden(whole, part, bits), word) == {
        "group_start": (0, 2, 0),
        "group_counts": (4, 4, 1),
        "global_size": (16, 12, 1),
        "global_offset": (5, 7, 0),
    }


def test_a_number_may_take_all_of_64_bits() -> None:
    whole = NDRange((2**63,), (2**40,), (1,))
    part = NDRange((2**63 + 2**39,), (2**39,), (1,))
    assert fields(hidden(whole, part, 64), "Q")["group_start"] == (2**39, 0, 0)


def test_a_number_too_wide_is_a_bug() -> None:
    whole = NDRange((2**32,), (4,), (1,))
    with pytest.raises(AssertionError):
        hidden(whole, whole, 32)


def test_the_remainder_counts_as_a_group() -> None:
    whole = NDRange((0,), (10,), (4,))
    last = split(whole, 3)[-1]
    found = fields(hidden(whole, last, 64), "Q")
    assert found["group_start"] == (2, 0, 0) and found["group_counts"] == (3, 1, 1)


@pytest.mark.parametrize(
    "part",
    [
        NDRange((2,), (4,), (4,)),
        NDRange((0,), (4,), (2,)),
        NDRange((0,), (20,), (4,)),
        NDRange((0,), (4,), None),
        NDRange((0, 0), (4, 1), (4, 1)),
    ],
    ids=["within a group", "other groups", "too far", "no local size", "other dimensions"],
)
def test_what_is_no_part_is_a_bug(part: NDRange) -> None:
    with pytest.raises((AssertionError, ValueError)):
        hidden(NDRange((0,), (16,), (4,)), part, 64)
