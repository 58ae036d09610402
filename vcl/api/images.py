"""Images and samplers: sizes, formats of devices, where pixels lie (OpenCL 3.0 API, 5.3 and 5.7).

Owns: `Image`, `Sampler`, and those rules. Must not know: what is in a pixel (`pixels`), commands
(`image_commands`), how devices keep images, or the classes of any face.

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
from vcl.api.memory import (
    ACCESS,
    FLAGS,
    GIVEN,
    HOST_ACCESS,
    HOST_PTR,
    Memory,
    check_flags,
    check_host_ptr,
)
from vcl.api.pixels import ORDER_NAMES, TYPE_NAMES, pixel_bytes
from vcl.constants import CLASSES

OBJECT = CLASSES["mem_object_type"]
_INFO = CLASSES["image_info"]
_ADDRESSING = CLASSES["addressing_mode"]
_FILTER = CLASSES["filter_mode"]
_SAMPLER = CLASSES["sampler_info"]

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


def packed_pixels(
    host: memoryview,
    extent: Sequence[int],
    size: int,
    pitches: Sequence[int] | None,
    routine: str,
) -> Any:
    """Pixels of host memory without the gaps between rows and slices; size: bytes of a pixel.

    pitches: of rows and slices in bytes; what is 0 or missing is packed. Raises CallError if the
    memory is too small for them.
    """
    region = [extent[0] * size, extent[1], extent[2]]
    given = [pitch for pitch in (pitches or ()) if pitch]
    box = boxes.make_box((0, 0, 0), region, given, "host", routine)
    if box.size(region) > host.nbytes:
        fail(routine, "INVALID_VALUE", "buffer is too small for the image and its pitches")
    return boxes.gather(host, box, region).data


class Image(Memory):
    """An image: its pixels are a buffer of its own, or a region of another.

    _channels: of channel_order and of channel_type. _extent: as `extent_of` answers. _pixel_bytes:
    of one pixel.
    """

    _channels: tuple[int, int]
    _extent: tuple[int, int, int]
    _pixel_bytes: int

    def _shape(
        self,
        context: Any,
        flags: int,
        image_type: int,
        channels: tuple[int, int],
        shape: Sequence[int],
        routine: str,
    ) -> None:
        """Be of this type, format and size, before the pixels are given.

        shape: as of `extent_of`. Raises CallError for what the devices don't take.
        """
        devices = context._devices
        extent = extent_of(image_type, shape, devices, routine)
        check_format(devices, flags, *channels, image_type, routine)
        self._type, self._channels, self._extent = image_type, channels, extent
        self._pixel_bytes = pixel_bytes(*channels, routine)

    def _make_pixels(
        self,
        context: Any,
        flags: int,
        host: memoryview | None,
        pitches: Sequence[int] | None,
        routine: str,
    ) -> None:
        """Have pixels of its own, with the contents of `host` if that is given.

        pitches: of the host's rows and slices, as of `packed_pixels`. Raises CallError for flags
        that contradict each other, or what was given; OperatingError.
        """
        check_flags(flags, routine)
        check_host_ptr(flags, host is not None, routine)
        data = None
        if host is not None:
            data = packed_pixels(host, self._extent, self._pixel_bytes, pitches, routine)
        size = math.prod(self._extent) * self._pixel_bytes
        # The pixels are ours whatever the flags say: the host's memory isn't shared.
        Memory.__init__(self, context, flags & ~GIVEN, size, data, routine="create_buffer")
        self._flags = flags or FLAGS["READ_WRITE"]

    def _take_pixels(self, context: Any, flags: int, parent: Memory, routine: str) -> None:
        """Have the first bytes of a buffer as pixels. Raises CallError if they are too few."""
        size = math.prod(self._extent) * self._pixel_bytes
        if size > parent._size:
            fail(routine, "INVALID_IMAGE_SIZE", "the image is larger than its buffer")
        access = flags & (ACCESS | HOST_ACCESS) if flags else parent._flags
        # The host's memory is inherited whatever is given.
        self._be_region_of(parent, 0, size, access | parent._flags & HOST_PTR)
        self._context, self._runtime = context, context._runtime

    @property
    def _row_bytes(self) -> int:
        return self._extent[0] * self._pixel_bytes

    def _slice_pitch(self, row: int, slice_: int) -> int:
        """What is told of the slices' pitch, where rows and slices have these."""
        if self._type == OBJECT["IMAGE1D_ARRAY"]:
            return row
        return slice_ if DIMENSIONS[self._type] == 3 else 0

    def _pixel_box(
        self, origin: Sequence[int], region: Sequence[int], routine: str
    ) -> tuple[tuple[int, int, int], tuple[int, int, int], tuple[int, int]]:
        """As `pixel_box`, of this image."""
        return pixel_box(self._extent, self._pixel_bytes, origin, region, routine)

    def _map_box(
        self,
        origin: Sequence[int],
        region: Sequence[int],
        pitches: Sequence[int] | None,
        routine: str,
    ) -> tuple[boxes.Box, int]:
        """Where a mapped box of pixels lies in host memory, and how many bytes are there from its
        first to its last.

        pitches: of the program's own memory that the image was made to use; None if the box is
        mapped to memory of its own, where it's packed. Raises CallError for what isn't inside.
        """
        start, extent, _ = self._pixel_box(origin, region, routine)
        if pitches is None:
            box = boxes.packed(extent)
        else:
            box = boxes.make_box(start, extent, pitches, "host", routine)
        return box, box.size(extent)

    def _describe(self) -> list[int]:
        """For a launch's argument: type, channel order, channel type, width, height, depth."""
        return [self._type, *self._channels, *self._extent]

    def _image_query(self, param: int) -> Any:
        """Answer a query. param: of image_info; the format is (channel order, channel type).

        Raises CallError for what isn't any.
        """
        width, height, depth = self._extent
        array = self._type in (OBJECT["IMAGE1D_ARRAY"], OBJECT["IMAGE2D_ARRAY"])
        dimensions = DIMENSIONS[self._type]
        answers: dict[str, Any] = {
            "FORMAT": self._channels,
            "ELEMENT_SIZE": self._pixel_bytes,
            "ROW_PITCH": self._row_bytes,
            "SLICE_PITCH": self._slice_pitch(self._row_bytes, self._row_bytes * height),
            "WIDTH": width,
            "HEIGHT": height if dimensions - array > 1 else 0,
            "DEPTH": depth if dimensions - array > 2 else 0,
            "ARRAY_SIZE": self._extent[dimensions - 1] if array else 0,
            "BUFFER": self._parent,
            "NUM_MIP_LEVELS": 0,
            "NUM_SAMPLES": 0,
        }
        for name, answer in answers.items():
            if param == _INFO[name]:
                return answer
        fail("clGetImageInfo", "INVALID_VALUE")


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
