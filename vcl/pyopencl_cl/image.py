"""pyopencl's classes of images and samplers.

Owns: `Image`, `ImageFormat`, `ImageDescriptor`, `Sampler`, `get_supported_image_formats`. Must not
know: commands, or OpenCL's rules of images (`vcl.api.images`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vcl.api import images, pixels
from vcl.api.integers import size as size_t
from vcl.api.integers import sizes, uint32
from vcl.api.memory import FLAGS
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
        return pixels.channel_count(self.channel_order, "ImageFormat.channel_count")

    @property
    @translated("ImageFormat.channel_dtype_size")
    def dtype_size(self) -> int:
        """Bytes of a channel."""
        return pixels.channel_bytes(self.channel_data_type, "ImageFormat.channel_dtype_size")

    @property
    def itemsize(self) -> int:
        """Bytes of a pixel."""
        packed = pixels.packed_bytes(self.channel_data_type)
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


class Image(Buffer, images.Image):
    """An image; pyopencl's Python layer turns its constructors into `_custom_init`."""

    _invalid = "INVALID_MEM_OBJECT"
    _format: ImageFormat
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
        channels = format.channel_order, format.channel_data_type
        self._shape(context, flags, descriptor.image_type, channels, descriptor.shape, routine)
        if descriptor.buffer is not None:
            self._take_pixels(context, flags, descriptor.buffer._memory(routine), routine)
        else:
            host = None if hostbuf is None else contiguous_bytes(hostbuf)
            self._make_pixels(context, flags, host, descriptor.pitches, routine)
            if flags & FLAGS["USE_HOST_PTR"]:
                self._hostbuf, self._host = hostbuf, contiguous_bytes(hostbuf, writable=True)
                given = [p for p in (descriptor.pitches or ()) if p]
                self._host_pitches = tuple(given or (self._row_bytes,))
        self._format = format
        self._descriptor = descriptor

    @translated("clGetImageInfo")
    def get_image_info(self, param: int) -> Any:
        """Answer an image query."""
        self._memory("clGetImageInfo")
        return self._format if param == _IMAGE["FORMAT"] else self._image_query(param)


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
