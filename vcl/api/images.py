"""Images and samplers: formats, sizes, and where pixels lie (OpenCL 3.0 API, 5.3 and 5.7).

Owns: those rules. Must not know: commands, how devices keep images, or the classes of any face.

An image's contents are a buffer that holds its pixels packed, rows after rows; a device makes a
real image of it for the launches that use it. So reads, writes, copies and fills of images are
those of boxes of buffers, and an image of a buffer shares its bytes as OpenCL says.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from vcl.api import boxes
from vcl.api.devices import Device
from vcl.api.errors import fail
from vcl.api.lifetimes import REFERENCES
from vcl.api.memory import FLAGS
from vcl.constants import CLASSES

ORDER = CLASSES["channel_order"]
TYPE = CLASSES["channel_type"]
OBJECT = CLASSES["mem_object_type"]
_ADDRESSING = CLASSES["addressing_mode"]
_FILTER = CLASSES["filter_mode"]
_SAMPLER = CLASSES["sampler_info"]

_CHANNELS = {
    **dict.fromkeys(("R", "A", "INTENSITY", "LUMINANCE", "DEPTH", "Rx"), 1),
    **dict.fromkeys(("RG", "RA", "RGx", "DEPTH_STENCIL"), 2),
    **dict.fromkeys(("RGB", "RGBx", "sRGB"), 3),
    **dict.fromkeys(("RGBA", "BGRA", "ARGB", "ABGR", "sRGBA", "sBGRA", "sRGBx"), 4),
}
_CHANNEL_BYTES = {
    **dict.fromkeys(("SNORM_INT8", "UNORM_INT8", "SIGNED_INT8", "UNSIGNED_INT8"), 1),
    **dict.fromkeys(
        ("SNORM_INT16", "UNORM_INT16", "SIGNED_INT16", "UNSIGNED_INT16", "HALF_FLOAT"), 2
    ),
    **dict.fromkeys(("SIGNED_INT32", "UNSIGNED_INT32", "FLOAT"), 4),
}
_PACKED_BYTES = {"UNORM_SHORT_565": 2, "UNORM_SHORT_555": 2, "UNORM_INT_101010": 4}
ORDER_NAMES = {v: k for k, v in ORDER.items()}
TYPE_NAMES = {v: k for k, v in TYPE.items()}
DIMENSIONS = {
    OBJECT["IMAGE1D"]: 1,
    OBJECT["IMAGE1D_BUFFER"]: 1,
    OBJECT["IMAGE1D_ARRAY"]: 2,
    OBJECT["IMAGE2D"]: 2,
    OBJECT["IMAGE2D_ARRAY"]: 3,
    OBJECT["IMAGE3D"]: 3,
}
"""Of an image's extent, by its type; layers count as one."""


# ---- formats: `order` is of channel_order, `kind` of channel_type


def channel_count(order: int, routine: str) -> int:
    """Channels of a pixel. Raises CallError for what isn't an order."""
    count = _CHANNELS.get(ORDER_NAMES.get(order, ""))
    if count is None:
        fail(routine, "INVALID_VALUE", "unrecognized channel order")
    return count


def channel_bytes(kind: int, routine: str) -> int:
    """Bytes of a channel. Raises CallError for what isn't a type, or has no whole bytes."""
    size = _CHANNEL_BYTES.get(TYPE_NAMES.get(kind, ""))
    if size is None:
        fail(routine, "INVALID_VALUE", "unrecognized channel type")
    return size


def packed_bytes(kind: int) -> int | None:
    """Bytes of a pixel whose channels share them; None if each has its own."""
    return _PACKED_BYTES.get(TYPE_NAMES.get(kind, ""))


def formats(device: Device, flags: int, image_type: int) -> set[tuple[int, int]]:
    """The formats, as (order, kind), that a device takes; of the cluster device, those that all
    take."""
    name = next((k for k, v in OBJECT.items() if v == image_type), "")
    access = next(
        (n for n in ("READ_ONLY", "WRITE_ONLY", "READ_WRITE") if flags & FLAGS[n]), "READ_WRITE"
    )
    found = []
    for remote in device._remotes:
        answer = remote.description.image_formats.get(access, {}).get(name)
        pairs = answer if isinstance(answer, list) else []
        found.append({(order, kind) for order, kind in pairs})
    return set.intersection(*found) if found else set()


def common_formats(
    devices: Sequence[Device], flags: int, image_type: int
) -> list[tuple[int, int]]:
    """As `formats`, of what all devices take, sorted. Raises CallError for what isn't an image."""
    if image_type not in DIMENSIONS:
        fail("clGetSupportedImageFormats", "INVALID_VALUE")
    return sorted(set.intersection(*(formats(d, flags, image_type) for d in devices)))


def check_format(
    devices: Sequence[Device], flags: int, order: int, kind: int, image_type: int, routine: str
) -> None:
    """Raise CallError unless it is a format, and one that all devices take."""
    if order not in ORDER_NAMES or kind not in TYPE_NAMES:
        fail(routine, "INVALID_IMAGE_FORMAT_DESCRIPTOR")
    for device in devices:
        if (order, kind) not in formats(device, flags, image_type):
            fail(routine, "IMAGE_FORMAT_NOT_SUPPORTED", f"by {device}")


# ---- sizes


def extent_of(
    image_type: int, shape: Sequence[int], devices: Sequence[Device], routine: str
) -> tuple[int, int, int]:
    """Width, height (or layers of a 1D array), depth (or layers).

    shape: up to three of these; missing ones are 1. Raises CallError for what the devices don't
    take.
    """
    dimensions = DIMENSIONS.get(image_type)
    if dimensions is None:
        fail(routine, "INVALID_IMAGE_DESCRIPTOR", f"image type {image_type:#x}")
    shape = [*shape, 1, 1, 1][:3]
    width, height, depth = shape[:dimensions] + [1] * (3 - dimensions)
    if min(width, height, depth) < 1:
        fail(routine, "INVALID_IMAGE_SIZE", f"an image of {tuple(shape)}")
    prefix = "IMAGE3D" if image_type == OBJECT["IMAGE3D"] else "IMAGE2D"
    for device in devices:
        if not device._info("IMAGE_SUPPORT"):
            fail(routine, "INVALID_OPERATION", f"{device} has no images")
        most = [device._info(f"{prefix}_MAX_WIDTH"), device._info(f"{prefix}_MAX_HEIGHT")]
        if image_type == OBJECT["IMAGE1D_BUFFER"]:
            most[0] = device._info("IMAGE_MAX_BUFFER_SIZE")
        if width > most[0] or (dimensions > 1 and height > most[1]):
            fail(routine, "INVALID_IMAGE_SIZE", f"{width} x {height}; at most {most}")
    return width, height, depth


# ---- pixels


def pixel_box(
    image_extent: Sequence[int],
    pixel_bytes: int,
    origin: Sequence[int],
    region: Sequence[int],
    routine: str,
) -> tuple[tuple[int, int, int], tuple[int, int, int], tuple[int, int]]:
    """(origin in bytes, region in bytes, pitches) of a box of pixels, for `vcl.api.boxes`.

    Raises CallError for what isn't inside the image.
    """
    start = boxes.triple(origin, 0, "origin", routine)
    extent = boxes.extent_of(region, routine)
    for first, count, most in zip(start, extent, image_extent, strict=True):
        if first + count > most:
            fail(routine, "INVALID_VALUE", f"the region is outside an image of {image_extent}")
    row = image_extent[0] * pixel_bytes
    return (
        (start[0] * pixel_bytes, start[1], start[2]),
        (extent[0] * pixel_bytes, extent[1], extent[2]),
        (row, row * image_extent[1]),
    )


def linear_box(
    buffer_bytes: int, offset: int, extent: Sequence[int], routine: str
) -> tuple[tuple[int, int, int], tuple[int, int]]:
    """(origin, pitches) of a packed box at a byte offset of a buffer. Raises CallError for one
    that isn't inside."""
    if offset + math.prod(extent) > buffer_bytes:
        fail(routine, "INVALID_VALUE", f"offset {offset} is outside the buffer")
    row, slice_ = extent[0], extent[0] * extent[1]
    slices, rest = divmod(offset, slice_)
    rows, column = divmod(rest, row)
    return (column, rows, slices), (row, slice_)


# ---- samplers


class Sampler:
    """A sampler; it travels with each launch that uses it.

    _wire: as it travels.
    """

    def __init__(
        self, context: Any, normalized: bool, addressing_mode: int, filter_mode: int
    ) -> None:
        """Raises CallError for modes that aren't any."""
        if addressing_mode not in _ADDRESSING.values():
            fail("clCreateSampler", "INVALID_VALUE", f"addressing mode {addressing_mode:#x}")
        if filter_mode not in _FILTER.values():
            fail("clCreateSampler", "INVALID_VALUE", f"filter mode {filter_mode:#x}")
        repeats = (_ADDRESSING["REPEAT"], _ADDRESSING["MIRRORED_REPEAT"])
        if not normalized and addressing_mode in repeats:
            fail("Sampler", "INVALID_VALUE", "repeating needs normalized coordinates")
        self._context = context
        self._wire = [int(normalized), addressing_mode, filter_mode]

    def _query(self, param: int) -> Any:
        """Answer a query. param: of sampler_info. Raises CallError for what isn't any."""
        if param == _SAMPLER["REFERENCE_COUNT"]:
            return REFERENCES
        if param == _SAMPLER["CONTEXT"]:
            return self._context
        if param == _SAMPLER["NORMALIZED_COORDS"]:
            return bool(self._wire[0])
        if param == _SAMPLER["ADDRESSING_MODE"]:
            return self._wire[1]
        if param == _SAMPLER["FILTER_MODE"]:
            return self._wire[2]
        fail("clGetSamplerInfo", "INVALID_VALUE")


def sampler_modes(properties: Sequence[int]) -> tuple[int, int, int]:
    """(normalized coordinates, addressing mode, filter mode) of a list of names and values, as of
    clCreateSamplerWithProperties; what isn't given is as OpenCL says."""
    given = dict(zip(properties[::2], properties[1::2], strict=False))
    return (
        given.get(_SAMPLER["NORMALIZED_COORDS"], 1),
        given.get(_SAMPLER["ADDRESSING_MODE"], _ADDRESSING["CLAMP"]),
        given.get(_SAMPLER["FILTER_MODE"], _FILTER["NEAREST"]),
    )
