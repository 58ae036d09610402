"""Boxes of buffers and of host memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tests.vcl.api.world import refused
from vcl.api import boxes
from vcl.api.boxes import Box, Scattered


def test_where_a_box_lies() -> None:
    region = [4, 3, 2]
    assert boxes.make_box((1,), region, None, "host", "r") == Box(1, 4, 12)
    assert boxes.make_box((1, 2, 3), region, (8,), "host", "r") == Box(1 + 16 + 72, 8, 24)
    assert boxes.make_box((), region, (8, 32), "host", "r") == Box(0, 8, 32)
    assert boxes.packed(region) == Box(0, 4, 12)
    assert Box(5, 8, 32).size(region) == 4 + 2 * 8 + 32


@pytest.mark.parametrize("pitches", [(3,), (8, 23), (8, 25), (5, 12)])
def test_pitches_that_are_too_small(pitches: Sequence[int]) -> None:
    with refused("r", "INVALID_VALUE", "host pitches"):
        boxes.make_box((0, 0, 0), [4, 3, 2], pitches, "host", "r")


def test_too_many_components() -> None:
    with refused("r", "INVALID_VALUE", "more than two"):
        boxes.make_box((0,), [1, 1, 1], (1, 2, 3), "host", "r")
    with refused("r", "INVALID_VALUE", "more than three"):
        boxes.triple((1, 2, 3, 4), 0, "region", "r")
    with refused("r", "INVALID_VALUE", "region (2, 0, 1) is empty"):
        boxes.extent_of((2, 0), "r")
    assert boxes.extent_of((2,), "r") == [2, 1, 1]


def test_a_box_must_lie_inside() -> None:
    box, region = Box(5, 8, 32), [4, 3, 2]
    boxes.check_inside(box, region, 5 + box.size(region), "buffer", "r")
    with refused("r", "INVALID_VALUE", "doesn't fit into the buffer of"):
        boxes.check_inside(box, region, 4 + box.size(region), "buffer", "r")


@pytest.mark.parametrize("size", [1, 7, 64, 100])
def test_packed_bytes_in_pieces_of_any_size(size: int) -> None:
    """However the bytes of a box arrive, each goes to its place; and back."""
    whole = np.zeros((4, 9, 16), np.uint8)
    inner = whole[1:4, 2:7, 3:14]
    box, region = Box(144 + 2 * 16 + 3, 16, 144), [11, 5, 3]
    host = whole.reshape(-1).data
    destination = Scattered(host, box, region)
    data = np.arange(len(destination), dtype=np.uint8)
    for start in range(0, len(data), size):
        piece = data[start : start + size]
        destination[start : start + len(piece)] = piece.tobytes()
    assert np.array_equal(inner.ravel(), data)
    assert whole.sum() == data.sum(dtype=int)
    assert boxes.gather(host, box, region).tobytes() == data.tobytes()
