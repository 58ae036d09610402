"""Images and samplers: sizes, formats of devices, where pixels lie."""

from __future__ import annotations

from typing import Any

import pytest

from tests.described import INFO
from tests.vcl.api.world import (
    IMAGE_LIMITS,
    StubRuntime,
    check_answers,
    image_context,
    make_image,
    refused,
)
from vcl.api import images
from vcl.api.context import Context
from vcl.api.devices import Device
from vcl.api.images import OBJECT, Image, Sampler, sampler_modes
from vcl.api.memory import FLAGS, Memory
from vcl.api.pixels import ORDER, TYPE
from vcl.constants import CLASSES
from vcl.wire.messages import session
from vcl.wire.messages.handshake import DeviceDescription, RemoteDevice

RGBA, R = ORDER["RGBA"], ORDER["R"]
FLOAT, BYTE = TYPE["FLOAT"], TYPE["UNSIGNED_INT8"]
_MODES, _FILTERS = CLASSES["addressing_mode"], CLASSES["filter_mode"]
_SAMPLER = CLASSES["sampler_info"]
_IMAGE = CLASSES["image_info"]


def make_device(number: int, *pairs: tuple[int, int], **changes: Any) -> RemoteDevice:
    """A device whose 2D images may have these formats, if they are read and written."""
    formats: Any = {"READ_WRITE": {"IMAGE2D": [list(pair) for pair in pairs], "IMAGE3D": -30}}
    described = DeviceDescription(
        platform={}, info=INFO | IMAGE_LIMITS | changes, image_formats=formats
    )
    return RemoteDevice(device=number, node=number, node_name="n", description=described)


def test_a_format_must_be_one_that_all_devices_take() -> None:
    remotes = [make_device(1, (RGBA, FLOAT), (R, BYTE)), make_device(2, (R, BYTE), (R, FLOAT))]
    cluster = Device(remotes, None)
    first = Device(remotes, remotes[0])
    flags, kind = FLAGS["READ_WRITE"], OBJECT["IMAGE2D"]
    assert images.common_formats([cluster], flags, kind) == [(R, BYTE)]
    assert images.common_formats([first], 0, kind) == sorted([(RGBA, FLOAT), (R, BYTE)])
    assert images.common_formats([first], FLAGS["READ_ONLY"], kind) == []
    assert images.common_formats([first], flags, OBJECT["IMAGE3D"]) == []
    images.check_format([first], flags, RGBA, FLOAT, kind, "r")
    with refused("r", "IMAGE_FORMAT_NOT_SUPPORTED"):
        images.check_format([first, cluster], flags, RGBA, FLOAT, kind, "r")
    with refused("r", "INVALID_IMAGE_FORMAT_DESCRIPTOR"):
        images.check_format([first], flags, 1, FLOAT, kind, "r")
    with refused("clGetSupportedImageFormats", "INVALID_VALUE"):
        images.common_formats([first], flags, OBJECT["BUFFER"])


@pytest.mark.parametrize(
    ("kind", "shape", "found"),
    [
        ("IMAGE1D", (64,), (64, 1, 1)),
        ("IMAGE1D_BUFFER", (128,), (128, 1, 1)),
        ("IMAGE1D_ARRAY", (64, 5), (64, 5, 1)),
        ("IMAGE2D", (64, 32), (64, 32, 1)),
        ("IMAGE2D_ARRAY", (64, 32, 9), (64, 32, 9)),
        ("IMAGE3D", (16, 8, 9), (16, 8, 9)),
        ("IMAGE1D", (65,), "INVALID_IMAGE_SIZE"),
        ("IMAGE2D", (64, 33), "INVALID_IMAGE_SIZE"),
        ("IMAGE2D", (64, 0), "INVALID_IMAGE_SIZE"),
        ("IMAGE3D", (17, 8, 9), "INVALID_IMAGE_SIZE"),
        ("IMAGE1D_BUFFER", (129,), "INVALID_IMAGE_SIZE"),
        ("BUFFER", (1,), "INVALID_IMAGE_DESCRIPTOR"),
    ],
)
def test_extents(kind: str, shape: tuple[int, ...], found: Any) -> None:
    devices = [Device([make_device(1)], None)]
    if isinstance(found, str):
        with refused("r", found):
            images.extent_of(OBJECT[kind], shape, devices, "r")
    else:
        assert images.extent_of(OBJECT[kind], shape, devices, "r") == found


def test_devices_without_images() -> None:
    devices = [Device([make_device(1, IMAGE_SUPPORT=False)], None)]
    with refused("r", "INVALID_OPERATION", "has no images"):
        images.extent_of(OBJECT["IMAGE2D"], (1, 1), devices, "r")


def test_where_pixels_lie() -> None:
    extent = (10, 6, 3)
    assert images.pixel_box(extent, 4, (1, 2), (5, 3, 2), "r") == (
        (4, 2, 0), (20, 3, 2), (40, 240)
    )  # fmt: skip
    for origin, region in (((6,), (5,)), ((0, 4), (1, 3)), ((0, 0, 2), (1, 1, 2))):
        with refused("r", "INVALID_VALUE", "outside an image of (10, 6, 3)"):
            images.pixel_box(extent, 4, origin, region, "r")


@pytest.mark.parametrize("offset", [0, 1, 7, 8, 31, 40])
def test_where_packed_pixels_lie_in_a_buffer(offset: int) -> None:
    (column, row, slice_), pitches = images.linear_box(88, offset, (8, 3, 2), "r")
    assert column + row * pitches[0] + slice_ * pitches[1] == offset
    assert pitches == (8, 24)
    with refused("r", "INVALID_VALUE", f"offset {offset} is outside"):
        images.linear_box(47 + offset, offset, (8, 3, 2), "r")


def test_samplers() -> None:
    repeat, clamp, nearest = _MODES["REPEAT"], _MODES["CLAMP"], _FILTERS["NEAREST"]
    assert Sampler(None, True, repeat, nearest)._wire == [1, repeat, nearest]
    assert Sampler(None, False, clamp, nearest)._wire == [0, clamp, nearest]
    with refused("Sampler", "INVALID_VALUE", "normalized"):
        Sampler(None, False, repeat, nearest)
    with refused("clCreateSampler", "INVALID_VALUE", "addressing mode 0x1"):
        Sampler(None, True, 1, nearest)
    with refused("clCreateSampler", "INVALID_VALUE", "filter mode 0x1"):
        Sampler(None, True, clamp, 1)


def test_modes_of_a_list_of_properties() -> None:
    linear, repeat = _FILTERS["LINEAR"], _MODES["REPEAT"]
    assert sampler_modes([]) == (1, _MODES["CLAMP"], _FILTERS["NEAREST"])
    names = [_SAMPLER[name] for name in ("FILTER_MODE", "NORMALIZED_COORDS", "ADDRESSING_MODE")]
    given = [names[0], linear, names[1], 0, names[2], repeat, 0]
    assert sampler_modes(given) == (0, repeat, linear)


def test_answers_of_a_sampler(context: Context) -> None:
    sampler = Sampler(context, False, _MODES["CLAMP"], _FILTERS["LINEAR"])
    answers = {
        "REFERENCE_COUNT": 1, "CONTEXT": context, "NORMALIZED_COORDS": False,
        "ADDRESSING_MODE": _MODES["CLAMP"], "FILTER_MODE": _FILTERS["LINEAR"],
    }  # fmt: skip
    check_answers(sampler._query, _SAMPLER, answers)
    with refused("clGetSamplerInfo", "INVALID_VALUE"):
        sampler._query(1)


def test_pixels_of_host_memory_without_gaps() -> None:
    host = memoryview(bytes(range(64)))
    rows = images.packed_pixels(host, (2, 2, 2), 2, (6, 18), "r")
    assert bytes(rows) == b"".join(bytes(range(at, at + 4)) for at in (0, 6, 18, 24))
    assert bytes(images.packed_pixels(host, (2, 2, 2), 2, (0, 0), "r")) == bytes(range(16))
    assert bytes(images.packed_pixels(host, (2, 2, 2), 2, None, "r")) == bytes(range(16))
    with refused("r", "INVALID_VALUE", "buffer is too small"):
        images.packed_pixels(host[:27], (2, 2, 2), 2, (6, 18), "r")
    with refused("r", "INVALID_VALUE", "pitches"):
        images.packed_pixels(host, (2, 2, 2), 2, (3,), "r")


# ---- images


def test_an_image_has_pixels_of_its_own(runtime: StubRuntime) -> None:
    context = image_context(runtime)
    image = make_image(context, (3, 2), BYTE, data=bytes(range(8)), pitches=(4,))
    made, _, write = runtime.said[-3:]
    assert made == session.CreateBuffer(image._root_id, context._id, 6, False)
    assert runtime.staged[write.staging] == bytes([0, 1, 2, 4, 5, 6])
    assert image._describe() == [OBJECT["IMAGE2D"], R, BYTE, 3, 2, 1]
    assert image._flags == FLAGS["READ_WRITE"] | FLAGS["COPY_HOST_PTR"]


def test_what_an_image_cannot_be_made_of(runtime: StubRuntime) -> None:
    context = image_context(runtime)
    copied = FLAGS["COPY_HOST_PTR"]
    for flags, data in ((0, b"x"), (copied, None), (FLAGS["USE_HOST_PTR"], None)):
        with refused("r", "INVALID_HOST_PTR"):
            make_image(context, (1, 1), BYTE, flags=flags, data=data)
    with refused("r", "INVALID_VALUE", "contradict"):
        make_image(context, (1, 1), BYTE, flags=copied | FLAGS["USE_HOST_PTR"], data=b"x")
    with refused("r", "IMAGE_FORMAT_NOT_SUPPORTED"):
        make_image(context, (1, 1), TYPE["HALF_FLOAT"])
    with refused("r", "INVALID_IMAGE_SIZE"):
        make_image(context, (65, 1), BYTE)


def test_an_image_of_a_buffer_shares_its_bytes(runtime: StubRuntime) -> None:
    context = image_context(runtime)
    buffer = Memory(context, FLAGS["READ_ONLY"], 12)
    said = list(runtime.said)
    image = Image.__new__(Image)
    image._shape(context, 0, OBJECT["IMAGE2D"], (R, FLOAT), (3, 1), "r")
    image._take_pixels(context, 0, buffer, "r")
    assert runtime.said == said
    assert (image._root_id, image._origin, image._size) == (buffer._root_id, 0, 12)
    assert image._flags == FLAGS["READ_ONLY"]
    assert image._image_query(_IMAGE["BUFFER"]) is buffer
    image._shape(context, 0, OBJECT["IMAGE2D"], (R, FLOAT), (2, 2), "r")
    with refused("r", "INVALID_IMAGE_SIZE", "larger than its buffer"):
        image._take_pixels(context, 0, buffer, "r")


@pytest.mark.parametrize(
    ("kind", "shape", "found"),
    [
        # width, height, depth, array size, slice pitch
        ("IMAGE1D", (5,), (5, 0, 0, 0, 0)),
        ("IMAGE1D_ARRAY", (5, 3), (5, 0, 0, 3, 20)),
        ("IMAGE2D", (5, 3), (5, 3, 0, 0, 0)),
        ("IMAGE2D_ARRAY", (5, 3, 2), (5, 3, 0, 2, 60)),
        ("IMAGE3D", (5, 3, 2), (5, 3, 2, 0, 60)),
    ],
)
def test_answers_of_an_image(
    runtime: StubRuntime, kind: str, shape: tuple[int, ...], found: tuple[int, ...]
) -> None:
    image = make_image(image_context(runtime), shape, FLOAT, kind)
    names = ("WIDTH", "HEIGHT", "DEPTH", "ARRAY_SIZE", "SLICE_PITCH")
    check_answers(image._image_query, _IMAGE, dict(zip(names, found, strict=True)))
    same = {
        "FORMAT": (R, FLOAT), "ELEMENT_SIZE": 4, "ROW_PITCH": 20, "BUFFER": None,
        "NUM_MIP_LEVELS": 0, "NUM_SAMPLES": 0,
    }  # fmt: skip
    check_answers(image._image_query, _IMAGE, same)
    with refused("clGetImageInfo", "INVALID_VALUE"):
        image._image_query(1)


def test_where_a_mapped_box_lies(runtime: StubRuntime) -> None:
    image = make_image(image_context(runtime), (5, 3, 2), FLOAT, "IMAGE2D_ARRAY")
    box, size = image._map_box((1, 1, 0), (2, 2, 2), None, "r")
    assert (box.offset, box.row_pitch, box.slice_pitch, size) == (0, 8, 16, 32)
    box, size = image._map_box((1, 1, 0), (2, 2, 2), (24, 96), "r")  # of the program's memory
    assert (box.offset, box.row_pitch, box.slice_pitch) == (28, 24, 96)
    assert size == 8 + 24 + 96
    assert image._slice_pitch(24, 96) == 96
    for pitches in (None, (24, 96)):
        with refused("r", "INVALID_VALUE", "outside an image"):
            image._map_box((4, 0, 0), (2, 1, 1), pitches, "r")
