"""Boxes of buffers and of host memory."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from tests.vcl.api.world import StubRuntime, refused
from vcl.api import boxes
from vcl.api.boxes import Box, Scattered
from vcl.api.context import CommandQueue
from vcl.api.memory import FLAGS, Memory
from vcl.wire.messages import session

RW = FLAGS["READ_WRITE"]


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


def test_the_copy_of_a_box(runtime: StubRuntime, queue: CommandQueue) -> None:
    source, target = Memory(queue._context, RW, 256), Memory.__new__(Memory)
    target._be_region_of(Memory(queue._context, RW, 1024), 128, 256, RW)
    region = [4, 3, 2]
    event = boxes.enqueue_copy(queue, source, target, Box(1, 8, 32), Box(2, 4, 12), region, [5])
    assert runtime.said[-1] == session.CopyRect(
        event, queue._id, [5], source._root_id, target._root_id, 1, 130, 4, 3, 2, 8, 32, 4, 12
    )


def test_boxes_overlap_if_they_share_a_byte(queue: CommandQueue) -> None:
    """Against the bytes themselves, for all small boxes of one buffer."""
    memory, region = Memory(queue._context, RW, 1024), [2, 2, 2]
    origins = list(itertools.product(range(4), range(3), range(2)))
    made = [boxes.make_box(at, region, (6, 24), "", "r") for at in origins]

    def touched(box: Box) -> set[int]:
        return {
            box.offset + z * box.slice_pitch + y * box.row_pitch + x
            for x, y, z in itertools.product(range(2), repeat=3)
        }

    refusals = 0
    for one, other in itertools.product(made, repeat=2):
        if touched(one) & touched(other):
            refusals += 1
            with refused("r", "MEM_COPY_OVERLAP"):
                boxes.check_copy(memory, memory, one, other, region, "r")
        else:
            boxes.check_copy(memory, memory, one, other, region, "r")
    assert len(made) < refusals < len(made) ** 2
    with refused("r", "INVALID_VALUE", "pitches must be equal"):
        boxes.check_copy(memory, memory, made[0], Box(500, 8, 24), region, "r")


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
