"""Images and samplers.

Owns: `Image`, `ImageFormat`, `ImageDescriptor`, `Sampler`, `get_supported_image_formats` (OpenCL
3.0 API, 5.3 and 5.7). Must not know: commands, or how devices keep images.

An image's contents are a buffer that holds its pixels packed, rows after rows; a device makes a
real image of it for the launches that use it. So reads, writes, copies and fills of images are
those of boxes of buffers, and an image of a buffer shares its bytes as OpenCL says.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from vcl.api import boxes
from vcl.api.integers import size as size_t
from vcl.api.integers import sizes, uint32
from vcl.api.memory import ACCESS, FLAGS, HOST_ACCESS, HOST_PTR, check_flags
from vcl.constants import CLASSES
from vcl.pyopencl_cl.context import Context, expect
from vcl.pyopencl_cl.errors import fail, translated
from vcl.pyopencl_cl.handles import Handle, reference_count
from vcl.pyopencl_cl.memory import Buffer, MemoryObjectHolder, contiguous_bytes
from vcl.pyopencl_cl.platform import Device

ORDER = CLASSES["channel_order"]
TYPE = CLASSES["channel_type"]
OBJECT = CLASSES["mem_object_type"]
_IMAGE = CLASSES["image_info"]
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
_DIMENSIONS = {
    OBJECT["IMAGE1D"]: 1,
    OBJECT["IMAGE1D_BUFFER"]: 1,
    OBJECT["IMAGE1D_ARRAY"]: 2,
    OBJECT["IMAGE2D"]: 2,
    OBJECT["IMAGE2D_ARRAY"]: 3,
    OBJECT["IMAGE3D"]: 3,
}


class ImageFormat:
    """Channel order and data type of an image."""

    __slots__ = ("channel_data_type", "channel_order")

    def __init__(self, channel_order: int = 0, channel_type: int = 0) -> None:
        self.channel_order = uint32(channel_order, "channel order")
        self.channel_data_type = uint32(channel_type, "channel type")

    @property
    def channel_count(self) -> int:
        """Channels of a pixel."""
        count = _CHANNELS.get(ORDER_NAMES.get(self.channel_order, ""))
        if count is None:
            fail("ImageFormat.channel_count", "INVALID_VALUE", "unrecognized channel order")
        return count

    @property
    def dtype_size(self) -> int:
        """Bytes of a channel."""
        size = _CHANNEL_BYTES.get(TYPE_NAMES.get(self.channel_data_type, ""))
        if size is None:
            fail("ImageFormat.channel_dtype_size", "INVALID_VALUE", "unrecognized channel type")
        return size

    @property
    def itemsize(self) -> int:
        """Bytes of a pixel."""
        packed = _PACKED_BYTES.get(TYPE_NAMES.get(self.channel_data_type, ""))
        return packed or self.channel_count * self.dtype_size


class ImageDescriptor:
    """Type, shape and pitches of an image to be made; plain fields, set by the program."""

    def __init__(self) -> None:
        self.image_type = 0
        self.array_size = 0
        self.pitches: Any = (0, 0)
        self.num_mip_levels = 0
        self.num_samples = 0
        self.buffer: Any = None
        self._shape: tuple[int, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Width, height, depth; missing ones are 1."""
        return self._shape

    @shape.setter
    def shape(self, shape: Sequence[int]) -> None:
        numbers = sizes(shape, "shape")
        if not 1 <= len(numbers) <= 3:
            fail("transfer", "INVALID_VALUE", "shape has one to three components")
        self._shape = (*numbers, 1, 1)[:3]
        self.array_size = self._shape[2]


class Image(Buffer):
    """An image; pyopencl's Python layer turns its constructors into `_custom_init`."""

    _invalid = "INVALID_MEM_OBJECT"
    _format: ImageFormat
    _extent: tuple[int, int, int]
    _host_pitches: tuple[int, ...] = ()

    @staticmethod
    @translated("clCreateImage")
    def _custom_init(
        self: Any,
        context: Context,
        flags: int,
        format: ImageFormat,
        descriptor: ImageDescriptor,
        hostbuf: Any = None,
        *_: Any,
    ) -> None:
        routine = "create_image"
        expect(context, Context, "context")
        expect(format, ImageFormat, "format")
        expect(descriptor, ImageDescriptor, "descriptor")
        if descriptor.buffer is not None:
            expect(descriptor.buffer, MemoryObjectHolder, "buffer")
        flags = size_t(flags, "flags")
        extent = _extent(descriptor, context, routine)
        _check_format(context, flags, format, descriptor.image_type, routine)
        size = math.prod(extent) * format.itemsize
        if descriptor.buffer is not None:
            parent = descriptor.buffer._memory(routine)
            if size > parent._size:
                fail(routine, "INVALID_IMAGE_SIZE", "the image is larger than its buffer")
            access = flags & (ACCESS | HOST_ACCESS) if flags else parent._flags
            # The host's memory is inherited whatever is given.
            self._be_region_of(parent, 0, size, access | parent._flags & HOST_PTR)
            self._context, self._runtime = context, context._runtime
            self._hostbuf = None
        else:
            check_flags(flags, routine)
            data = None
            if hostbuf is not None:
                if not flags & (FLAGS["USE_HOST_PTR"] | FLAGS["COPY_HOST_PTR"]):
                    text = "give COPY_HOST_PTR (or USE_HOST_PTR) with hostbuf"
                    fail(routine, "INVALID_HOST_PTR", text)
                data = _packed_host(hostbuf, extent, format, descriptor.pitches, routine)
            elif flags & (FLAGS["USE_HOST_PTR"] | FLAGS["COPY_HOST_PTR"]):
                fail(routine, "INVALID_HOST_PTR")
            # The pixels are ours whatever the flags say: the host's memory isn't shared.
            plain = flags & ~(FLAGS["USE_HOST_PTR"] | FLAGS["COPY_HOST_PTR"])
            copied = 0 if data is None else FLAGS["COPY_HOST_PTR"]
            Buffer.__init__(self, context, plain | copied, 0 if data is not None else size, data)
            self._flags = flags or FLAGS["READ_WRITE"]
            if flags & FLAGS["USE_HOST_PTR"]:
                self._hostbuf, self._host = hostbuf, contiguous_bytes(hostbuf, writable=True)
                given = [p for p in (descriptor.pitches or ()) if p]
                self._host_pitches = tuple(given or (extent[0] * format.itemsize,))
        self._type = descriptor.image_type
        self._format = format
        self._extent = extent
        self._descriptor = descriptor

    @property
    def _row_bytes(self) -> int:
        return int(self._extent[0] * self._format.itemsize)

    @property
    def _dimensions(self) -> int:
        """Of its extent; layers count as one."""
        return _DIMENSIONS[self._type]

    def _describe(self) -> list[int]:
        """For a launch's argument: type, channel order, channel type, width, height, depth."""
        return [
            self._type,
            self._format.channel_order,
            self._format.channel_data_type,
            *self._extent,
        ]

    def get_image_info(self, param: int) -> Any:
        """Answer an image query."""
        self._memory("clGetImageInfo")
        width, height, depth = self._extent
        array = self._type in (OBJECT["IMAGE1D_ARRAY"], OBJECT["IMAGE2D_ARRAY"])
        dimensions = _DIMENSIONS[self._type]
        answers: dict[str, Any] = {
            "FORMAT": self._format,
            "ELEMENT_SIZE": self._format.itemsize,
            "ROW_PITCH": self._row_bytes,
            "SLICE_PITCH": self._row_bytes * height if dimensions == 3 else 0,
            "WIDTH": width,
            "HEIGHT": height if dimensions - array > 1 else 0,
            "DEPTH": depth if dimensions - array > 2 else 0,
            "ARRAY_SIZE": self._extent[dimensions - 1] if array else 0,
            "BUFFER": self._parent,
            "NUM_MIP_LEVELS": 0,
            "NUM_SAMPLES": 0,
        }
        if self._type == OBJECT["IMAGE1D_ARRAY"]:
            answers["SLICE_PITCH"] = self._row_bytes
        for name, answer in answers.items():
            if param == _IMAGE[name]:
                return answer
        fail("clGetImageInfo", "INVALID_VALUE")


def _extent(
    descriptor: ImageDescriptor, context: Context, routine: str
) -> tuple[int, int, int]:
    """Width, height (or layers of a 1D array), depth (or layers); within the devices' limits."""
    dimensions = _DIMENSIONS.get(descriptor.image_type)
    if dimensions is None:
        fail(routine, "INVALID_IMAGE_DESCRIPTOR", f"image type {descriptor.image_type:#x}")
    shape = [*descriptor.shape, 1, 1, 1][:3]
    width, height, depth = shape[:dimensions] + [1] * (3 - dimensions)
    if min(width, height, depth) < 1:
        fail(routine, "INVALID_IMAGE_SIZE", f"an image of {tuple(shape)}")
    prefix = "IMAGE3D" if descriptor.image_type == OBJECT["IMAGE3D"] else "IMAGE2D"
    for device in context._devices:
        if not device._info("IMAGE_SUPPORT"):
            fail(routine, "INVALID_OPERATION", f"{device} has no images")
        most = [device._info(f"{prefix}_MAX_WIDTH"), device._info(f"{prefix}_MAX_HEIGHT")]
        if descriptor.image_type == OBJECT["IMAGE1D_BUFFER"]:
            most[0] = device._info("IMAGE_MAX_BUFFER_SIZE")
        if width > most[0] or (dimensions > 1 and height > most[1]):
            fail(routine, "INVALID_IMAGE_SIZE", f"{width} x {height}; at most {most}")
    return width, height, depth


def _packed_host(
    hostbuf: Any, extent: Sequence[int], format: ImageFormat, pitches: Any, routine: str
) -> Any:
    """Host pixels without gaps between rows and slices."""
    region = [extent[0] * format.itemsize, extent[1], extent[2]]
    given = [p for p in (pitches or ()) if p]
    box = boxes.make_box((0, 0, 0), region, given, "host", routine)
    host = contiguous_bytes(hostbuf)
    if box.size(region) > host.nbytes:
        fail(routine, "INVALID_VALUE", "buffer is too small for the image and its pitches")
    return boxes.gather(host, box, region)


def _formats(device: Device, flags: int, image_type: int) -> set[tuple[int, int]]:
    """The formats that a device takes; of the cluster device, those that all take."""
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


def _check_format(
    context: Context, flags: int, format: ImageFormat, image_type: int, routine: str
) -> None:
    if format.channel_order not in ORDER_NAMES or format.channel_data_type not in TYPE_NAMES:
        fail(routine, "INVALID_IMAGE_FORMAT_DESCRIPTOR")
    pair = (format.channel_order, format.channel_data_type)
    for device in context._devices:
        if pair not in _formats(device, flags, image_type):
            fail(routine, "IMAGE_FORMAT_NOT_SUPPORTED", f"by {device}")


def get_supported_image_formats(
    context: Context, flags: int, image_type: int
) -> list[ImageFormat]:
    """The formats that every device of the context takes."""
    expect(context, Context, "context")
    flags, image_type = size_t(flags, "flags"), uint32(image_type, "image type")
    if image_type not in _DIMENSIONS:
        fail("clGetSupportedImageFormats", "INVALID_VALUE")
    common = [_formats(d, flags, image_type) for d in context._devices]
    return [ImageFormat(*pair) for pair in sorted(set.intersection(*common))]


class Sampler(Handle):
    """A sampler; travels with each launch that uses it."""

    _invalid = "INVALID_SAMPLER"

    def __init__(
        self,
        context: Context,
        normalized_coords: Any,
        addressing_mode: int | None = None,
        filter_mode: int | None = None,
    ) -> None:
        super().__init__()
        expect(context, Context, "context")
        if addressing_mode is None or filter_mode is None:
            given = [int(v) for v in normalized_coords]
            properties = dict(zip(given[::2], given[1::2], strict=False))
            normalized_coords = properties.get(_SAMPLER["NORMALIZED_COORDS"], 1)
            clamp = CLASSES["addressing_mode"]["CLAMP"]
            addressing_mode = properties.get(_SAMPLER["ADDRESSING_MODE"], clamp)
            nearest = CLASSES["filter_mode"]["NEAREST"]
            filter_mode = properties.get(_SAMPLER["FILTER_MODE"], nearest)
        elif not isinstance(normalized_coords, (bool, np.bool_)):
            raise TypeError("normalized_coords must be True or False")
        addressing_mode = uint32(addressing_mode, "addressing mode")
        filter_mode = uint32(filter_mode, "filter mode")
        if addressing_mode not in CLASSES["addressing_mode"].values():
            fail("clCreateSampler", "INVALID_VALUE", f"addressing mode {addressing_mode:#x}")
        if filter_mode not in CLASSES["filter_mode"].values():
            fail("clCreateSampler", "INVALID_VALUE", f"filter mode {filter_mode:#x}")
        modes = CLASSES["addressing_mode"]
        repeats = (modes["REPEAT"], modes["MIRRORED_REPEAT"])
        if not normalized_coords and addressing_mode in repeats:
            text = "repeating needs normalized coordinates"
            fail("Sampler", "INVALID_VALUE", text)
        self._context = context
        self._wire = [int(bool(normalized_coords)), int(addressing_mode), int(filter_mode)]

    def get_info(self, param: int) -> Any:
        """Answer a sampler query."""
        answers = {
            "REFERENCE_COUNT": reference_count(self),
            "CONTEXT": self._context,
            "NORMALIZED_COORDS": bool(self._wire[0]),
            "ADDRESSING_MODE": self._wire[1],
            "FILTER_MODE": self._wire[2],
        }
        for name, answer in answers.items():
            if param == _SAMPLER[name]:
                return answer
        fail("clGetSamplerInfo", "INVALID_VALUE")


