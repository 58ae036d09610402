"""Commands on images: reads, writes, copies, fills and maps.

Owns: the `enqueue_*_image` functions of `_cl` (OpenCL 3.0 API, 5.3). Must not know: how a box of a
buffer travels; an image's pixels are one (`image`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from vcl.api import boxes, images
from vcl.api.images import OBJECT, ORDER_NAMES, TYPE_NAMES
from vcl.api.integers import size as size_t
from vcl.api.mapping import directions
from vcl.api.memory import FLAGS
from vcl.pyopencl_cl import mapping, rectangles
from vcl.pyopencl_cl.context import CommandQueue
from vcl.pyopencl_cl.enqueue import WaitFor, _memory, enqueue_fill_buffer, marker
from vcl.pyopencl_cl.errors import fail, translated
from vcl.pyopencl_cl.event import Event
from vcl.pyopencl_cl.image import Image, ImageFormat
from vcl.pyopencl_cl.memory import Buffer, contiguous_bytes

_FILL_DTYPES = {
    "SNORM_INT8": np.int8,
    "UNORM_INT8": np.uint8,
    "SIGNED_INT8": np.int8,
    "UNSIGNED_INT8": np.uint8,
    "SNORM_INT16": np.int16,
    "UNORM_INT16": np.uint16,
    "SIGNED_INT16": np.int16,
    "UNSIGNED_INT16": np.uint16,
    "HALF_FLOAT": np.float16,
    "SIGNED_INT32": np.int32,
    "UNSIGNED_INT32": np.uint32,
    "FLOAT": np.float32,
}


def _image(queue: CommandQueue, mem: Any, routine: str) -> Image:
    memory = _memory(queue, mem, routine)
    if not isinstance(memory, Image):
        fail(routine, "INVALID_MEM_OBJECT", "the memory object isn't an image")
    return memory


def _pixels(image: Image, origin: Any, region: Any, routine: str) -> tuple[Any, Any, Any]:
    """(origin in bytes, region in bytes, pitches) of a box of an image; raises outside of it."""
    return images.pixel_box(image._extent, image._format.itemsize, origin, region, routine)


def enqueue_read_image(
    queue: CommandQueue,
    mem: Any,
    origin: Any,
    region: Any,
    hostbuf: Any,
    row_pitch: int = 0,
    slice_pitch: int = 0,
    wait_for: WaitFor = None,
    is_blocking: bool = True,
    *,
    kind: str = "READ_IMAGE",
) -> Event:
    """Enqueue a read of a box of an image into host memory."""
    image = _image(queue, mem, "clEnqueueReadImage")
    start, extent, pitches = _pixels(image, origin, region, "clEnqueueReadImage")
    return rectangles.enqueue_read_buffer_rect(
        queue, image, hostbuf, start, (0, 0, 0), extent, pitches, (row_pitch, slice_pitch),
        wait_for, is_blocking, kind=kind,
    )  # fmt: skip


def enqueue_write_image(
    queue: CommandQueue,
    mem: Any,
    origin: Any,
    region: Any,
    hostbuf: Any,
    row_pitch: int = 0,
    slice_pitch: int = 0,
    wait_for: WaitFor = None,
    is_blocking: bool = True,
    *,
    kind: str = "WRITE_IMAGE",
) -> Event:
    """Enqueue a write of a box of an image."""
    image = _image(queue, mem, "clEnqueueWriteImage")
    start, extent, pitches = _pixels(image, origin, region, "clEnqueueWriteImage")
    return rectangles.enqueue_write_buffer_rect(
        queue, image, hostbuf, start, (0, 0, 0), extent, pitches, (row_pitch, slice_pitch),
        wait_for, is_blocking, kind=kind,
    )  # fmt: skip


def enqueue_copy_image(
    queue: CommandQueue,
    src: Any,
    dest: Any,
    src_origin: Any,
    dest_origin: Any,
    region: Any,
    wait_for: WaitFor = None,
) -> Event:
    """Enqueue a copy between images of one format."""
    routine = "clEnqueueCopyImage"
    source, target = _image(queue, src, routine), _image(queue, dest, routine)
    same = (source._format.channel_order, source._format.channel_data_type)
    if same != (target._format.channel_order, target._format.channel_data_type):
        fail(routine, "IMAGE_FORMAT_MISMATCH")
    start, extent, pitches = _pixels(source, src_origin, region, routine)
    to, _, to_pitches = _pixels(target, dest_origin, region, routine)
    return rectangles.enqueue_copy_buffer_rect(
        queue, source, target, start, to, extent, pitches, to_pitches, wait_for,
        kind="COPY_IMAGE",
    )  # fmt: skip


def _linear(buffer: Buffer, offset: int, extent: Sequence[int], routine: str) -> Any:
    """(origin, pitches) of a packed box at a byte offset of a buffer."""
    return images.linear_box(buffer._size, size_t(offset, "offset"), extent, routine)


def enqueue_copy_image_to_buffer(
    queue: CommandQueue,
    src: Any,
    dest: Any,
    origin: Any,
    region: Any,
    offset: int,
    wait_for: WaitFor = None,
) -> Event:
    """Enqueue a copy of a box of an image to a buffer, packed."""
    routine = "clEnqueueCopyImageToBuffer"
    source, target = _image(queue, src, routine), _memory(queue, dest, routine)
    start, extent, pitches = _pixels(source, origin, region, routine)
    to, to_pitches = _linear(target, offset, extent, routine)
    return rectangles.enqueue_copy_buffer_rect(
        queue, source, target, start, to, extent, pitches, to_pitches, wait_for,
        kind="COPY_IMAGE_TO_BUFFER",
    )  # fmt: skip


def enqueue_copy_buffer_to_image(
    queue: CommandQueue,
    src: Any,
    dest: Any,
    offset: int,
    origin: Any,
    region: Any,
    wait_for: WaitFor = None,
) -> Event:
    """Enqueue a copy of packed pixels from a buffer to a box of an image."""
    routine = "clEnqueueCopyBufferToImage"
    source, target = _memory(queue, src, routine), _image(queue, dest, routine)
    to, extent, to_pitches = _pixels(target, origin, region, routine)
    start, pitches = _linear(source, offset, extent, routine)
    return rectangles.enqueue_copy_buffer_rect(
        queue, source, target, start, to, extent, pitches, to_pitches, wait_for,
        kind="COPY_BUFFER_TO_IMAGE",
    )  # fmt: skip


def enqueue_fill_image(
    queue: CommandQueue,
    mem: Any,
    color: Any,
    origin: Any,
    region: Any,
    wait_for: WaitFor = None,
) -> Event:
    """Enqueue a fill of a box of an image with a colour of four components."""
    routine = "clEnqueueFillImage"
    image = _image(queue, mem, routine)
    to, extent, to_pitches = _pixels(image, origin, region, routine)
    contiguous_bytes(color)  # pyopencl takes nothing else
    pixel = _pixel(image._format, np.asarray(color), routine)
    if len(pixel) not in (1, 2, 4, 8, 16):
        fail(routine, "INVALID_VALUE", f"pixels of {len(pixel)} bytes can't be filled")
    packed = Buffer(queue._context, FLAGS["READ_WRITE"], math.prod(extent))
    fill = enqueue_fill_buffer(queue, packed, np.frombuffer(pixel, np.uint8), 0, packed._size)
    start, pitches = _linear(packed, 0, extent, routine)
    return rectangles.enqueue_copy_buffer_rect(
        queue, packed, image, start, to, extent, pitches, to_pitches,
        [*(wait_for or ()), fill], kind="FILL_IMAGE",
    )  # fmt: skip


def _pixel(format: ImageFormat, color: Any, routine: str) -> bytes:
    """A pixel of a format from four components (OpenCL 3.0 API, 5.3.1.1 and C, 6.15.15)."""
    name = TYPE_NAMES.get(format.channel_data_type, "")
    dtype = _FILL_DTYPES.get(name)
    order = ORDER_NAMES.get(format.channel_order, "")
    positions = {"BGRA": (2, 1, 0, 3), "ARGB": (3, 0, 1, 2), "A": (3,), "RA": (0, 3)}
    if dtype is None or color.size != 4:
        fail(routine, "INVALID_VALUE", f"a colour of {color.size} components for {name}")
    chosen = color.ravel()[list(positions.get(order, range(format.channel_count)))]
    if "NORM" in name:
        low = -1.0 if name.startswith("SNORM") else 0.0
        scale = np.iinfo(dtype).max  # type: ignore[type-var]
        chosen = np.rint(np.clip(chosen.astype(np.float64), low, 1.0) * scale)
    elif dtype is not np.float16 and dtype is not np.float32:
        limits = np.iinfo(dtype)  # type: ignore[type-var]
        chosen = np.clip(chosen, limits.min, limits.max)
    return bytes(chosen.astype(dtype).tobytes())


@translated("clEnqueueMapImage")
def enqueue_map_image(
    queue: CommandQueue,
    img: Any,
    flags: int,
    origin: Any,
    region: Any,
    shape: Any,
    dtype: Any,
    order: str = "C",
    strides: Any = None,
    wait_for: WaitFor = None,
    is_blocking: bool = True,
) -> tuple[Any, Event, int, int]:
    """Map a box of an image; answers (array, event, row pitch, slice pitch)."""
    routine = "clEnqueueMapImage"
    image = _image(queue, img, routine)
    if dtype is None or order is None:
        raise TypeError("the dtype and the order of the array must not be None")
    reads, writes = directions(size_t(flags, "map flags"), routine)
    start, extent, _ = _pixels(image, origin, region, routine)
    storage: Any = np.empty(math.prod(extent), np.uint8)
    row, slice_ = extent[0], extent[0] * extent[1]
    if image._host is not None:
        box = boxes.make_box(start, extent, image._host_pitches, "host", routine)
        host = np.frombuffer(image._host, np.uint8)
        storage = host[box.offset : box.offset + box.size(extent)]
        row, slice_ = box.row_pitch, box.slice_pitch
    if reads:
        event = enqueue_read_image(
            queue, image, origin, region, storage, row, slice_,
            wait_for=wait_for, is_blocking=is_blocking, kind="MAP_IMAGE",
        )  # fmt: skip
    else:
        event = marker(queue, wait_for, False, routine, "MAP_IMAGE")

    def write_back(target: CommandQueue, wait_for: WaitFor) -> Event:
        return enqueue_write_image(
            target, image, origin, region, storage, row, slice_,
            wait_for=wait_for, is_blocking=False, kind="UNMAP_MEM_OBJECT",
        )  # fmt: skip

    array = mapping.make_array(
        storage, queue, shape, np.dtype(dtype), order, strides, write_back if writes else None
    )
    told = slice_
    if image._type == OBJECT["IMAGE1D_ARRAY"]:
        told = row
    elif image._dimensions < 3:
        told = 0
    return array, event, row, told
