"""Which devices are the same again, and which one more of a model."""

from __future__ import annotations

from typing import Any

import pytest

from master.likeness import MODEL, SIZES, Models, model_of
from tests.described import INFO, device
from vcl.constants import CLASSES
from vcl.wire.messages.handshake import DeviceDescription

OF_THE_MOMENT = {
    "MAX_CLOCK_FREQUENCY": 800, "GLOBAL_FREE_MEMORY_AMD": 1, "PROFILING_TIMER_OFFSET_AMD": 5,
    "DEVICE_ENQUEUE_CAPABILITIES": 140651589009408, "PCI_BUS_ID_NV": 3, "MAX_COMPUTE_UNITS": 7,
}  # fmt: skip


def test_the_answers_are_such_that_a_device_can_be_asked_for() -> None:
    assert not {*MODEL, *SIZES} - CLASSES["device_info"].keys()
    assert not {*MODEL} & {*SIZES} and not OF_THE_MOMENT.keys() & {*MODEL, *SIZES}


def test_what_is_of_the_moment_or_of_the_place_does_not_count() -> None:
    one, other = model_of(device()), model_of(device(**OF_THE_MOMENT))
    assert one == other
    assert one.known_by("a", 0) == other.known_by("a", 0)


@pytest.mark.parametrize(
    "changed",
    [
        device(NAME="another"),
        device(DRIVER_VERSION="2"),
        device(EXTENSIONS=""),
        device(MAX_WORK_ITEM_SIZES=[256, 256, 64]),
        DeviceDescription(platform={"VERSION": "2"}, info=INFO),
        DeviceDescription(platform={}, info=INFO, image_formats={"READ_ONLY": {"IMAGE2D": []}}),
    ],
)
def test_another_model(changed: DeviceDescription) -> None:
    assert model_of(changed).digest != model_of(device()).digest
    assert model_of(changed).known_by("a", 0) != model_of(device()).known_by("a", 0)
    assert not Models([model_of(device())]).have(model_of(changed))


def test_a_device_is_known_by_its_agent_s_name_its_place_there_and_its_memory() -> None:
    model = model_of(device())
    marks = [
        model.known_by("a", 0), model.known_by("b", 0), model.known_by("a", 1),
        model_of(device(GLOBAL_MEM_SIZE=2**31)).known_by("a", 0),
    ]  # fmt: skip
    assert len({*marks}) == 4


@pytest.mark.parametrize(
    ("sizes", "fits"),
    [
        ({}, True),
        ({"GLOBAL_MEM_SIZE": 2**31, "MAX_MEM_ALLOC_SIZE": 2**29}, True),
        ({"GLOBAL_MEM_SIZE": 2**29}, True),
        ({"GLOBAL_MEM_SIZE": 2**29 - 1}, False),
        ({"GLOBAL_MEM_SIZE": 2**31, "MAX_MEM_ALLOC_SIZE": 2**27}, False),
        ({"MAX_MEM_ALLOC_SIZE": {"error": -30}}, False),
    ],
)
def test_one_more_has_at_least_the_memory_of_the_smallest(
    sizes: dict[str, Any], fits: bool
) -> None:
    known = Models([model_of(device()), model_of(device(GLOBAL_MEM_SIZE=2**29))])
    assert known.have(model_of(device(**sizes))) == fits


def test_nothing_is_like_nothing() -> None:
    assert not Models([]).have(model_of(device()))
