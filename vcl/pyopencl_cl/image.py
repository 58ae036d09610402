"""pyopencl's classes of images and samplers.

Owns: `Image`, `ImageFormat`, `ImageDescriptor`, `Sampler`, `get_supported_image_formats`. Must not
know: commands, or OpenCL's rules of images (`vcl.api.images`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from vcl.api import boxes, images
from vcl.api.integers import size as size_t
from vcl.api.integers import sizes, uint32
from vcl.api.memory import ACCESS, FLAGS, HOST_ACCESS, HOST_PTR, check_flags
from vcl.constants import CLASSES
from vcl.pyopencl_cl.context import Context, expect
from vcl.pyopencl_cl.errors import fail, translated
from vcl.pyopencl_cl.handles import Handle
from vcl.pyopencl_cl.memory import Buffer, MemoryObjectHolder, contiguous_bytes

_IMAGE = CLASSES["image_info"]


class ImageFormat:
    """Channel order and data type of an image."""

    __slots__ = ("channel_data_type", "channel_order")

    def __init__(self, channel_order: int = 0, channel_type: int = 0) -> None:
        self.channel_order = uint32(channel_order, "channel order")
        self.channel_data_type = uint32(channel_type, "channel type")

    @property
    @translated("ImageFormat.channel_count")
    def channel_count(self) -> int:
        """Channels of a pixel."""
        return images.channel_count(self.channel_order, "ImageFormat.channel_count")

    @property
    @translated("ImageFormat.channel_dtype_size")
    def dtype_size(self) -> int:
        """Bytes of a channel."""
        return images.channel_bytes(self.channel_data_type, "ImageFormat.channel_dtype_size")

    @property
    def itemsize(self) -> int:
        """Bytes of a pixel."""
        packed = images.packed_bytes(self.channel_data_type)
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
        kind, devices = descriptor.image_type, context._devices
        extent = images.extent_of(kind, descriptor.shape, devices, routine)
        order, channel = format.channel_order, format.channel_data_type
        images.check_format(devices, flags, order, channel, kind, routine)
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
        return images.DIMENSIONS[self._type]

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
        array = self._type in (images.OBJECT["IMAGE1D_ARRAY"], images.OBJECT["IMAGE2D_ARRAY"])
        dimensions = images.DIMENSIONS[self._type]
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
        if self._type == images.OBJECT["IMAGE1D_ARRAY"]:
            answers["SLICE_PITCH"] = self._row_bytes
        for name, answer in answers.items():
            if param == _IMAGE[name]:
                return answer
        fail("clGetImageInfo", "INVALID_VALUE")


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


@translated("clGetSupportedImageFormats")
def get_supported_image_formats(
    context: Context, flags: int, image_type: int
) -> list[ImageFormat]:
    """The formats that every device of the context takes."""
    expect(context, Context, "context")
    flags, image_type = size_t(flags, "flags"), uint32(image_type, "image type")
    found = images.common_formats(context._devices, flags, image_type)
    return [ImageFormat(*pair) for pair in found]


class Sampler(Handle, images.Sampler):
    """A sampler; travels with each launch that uses it."""

    _invalid = "INVALID_SAMPLER"

    @translated("clCreateSampler")
    def __init__(
        self,
        context: Context,
        normalized_coords: Any,
        addressing_mode: int | None = None,
        filter_mode: int | None = None,
    ) -> None:
        expect(context, Context, "context")
        if addressing_mode is None or filter_mode is None:
            given = [int(v) for v in normalized_coords]
            normalized_coords, addressing_mode, filter_mode = images.sampler_modes(given)
        elif not isinstance(normalized_coords, (bool, np.bool_)):
            raise TypeError("normalized_coords must be True or False")
        addressing_mode = uint32(addressing_mode, "addressing mode")
        filter_mode = uint32(filter_mode, "filter mode")
        images.Sampler.__init__(
            self, context, bool(normalized_coords), addressing_mode, filter_mode
        )

    @translated("clGetSamplerInfo")
    def get_info(self, param: int) -> Any:
        """Answer a sampler query."""
        return self._query(param)
