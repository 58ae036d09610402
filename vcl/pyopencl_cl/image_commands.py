"""Commands on images: reads, writes, copies, fills and maps.

Owns: the `enqueue_*_image` functions of `_cl`. Must not know: what becomes of pixels
(`vcl.api.image_commands`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vcl.api import image_commands
from vcl.api.events import ended, wait_list
from vcl.api.integers import size as size_t
from vcl.api.mapping import check_host, directions
from vcl.api.memory import check_host_reads, check_host_writes
from vcl.pyopencl_cl import mapping
from vcl.pyopencl_cl.context import CommandQueue
from vcl.pyopencl_cl.enqueue import WaitFor, _finish_enqueue, _memory, finish_read, marker
from vcl.pyopencl_cl.errors import fail, translated
from vcl.pyopencl_cl.event import Event
from vcl.pyopencl_cl.image import Image
from vcl.pyopencl_cl.memory import contiguous_bytes

# An image's pixels are boxes of a buffer: what is refused of these is told of these.
_READ, _WRITE, _COPY = (f"clEnqueue{what}BufferRect" for what in ("Read", "Write", "Copy"))


def _image(queue: CommandQueue, mem: Any, routine: str) -> Image:
    memory = _memory(queue, mem, routine)
    if not isinstance(memory, Image):
        fail(routine, "INVALID_MEM_OBJECT", "the memory object isn't an image")
    return memory


@translated(_READ)
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
) -> Event:
    """Enqueue a read of a box of an image into host memory."""
    queue._check()
    image = _image(queue, mem, "clEnqueueReadImage")
    check_host_reads(image, _READ)
    pitches = row_pitch, slice_pitch
    return _read(queue, image, origin, region, hostbuf, pitches, wait_for, is_blocking)


def _read(
    queue: CommandQueue,
    image: Image,
    origin: Any,
    region: Any,
    hostbuf: Any,
    pitches: tuple[int, int],
    wait_for: WaitFor,
    is_blocking: bool,
    kind: str = "READ_IMAGE",
) -> Event:
    """As `enqueue_read_image`, whatever the host may do with the image.

    kind: of the command that the program enqueued.
    """
    waits = wait_list(wait_for, queue._context, _READ)
    host = contiguous_bytes(hostbuf, writable=True)
    event = image_commands.read(queue, image, host, origin, region, pitches, waits)
    return finish_read(queue, event, hostbuf, is_blocking, _READ, kind)


@translated(_WRITE)
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
) -> Event:
    """Enqueue a write of a box of an image. The bytes are copied at once."""
    queue._check()
    image = _image(queue, mem, "clEnqueueWriteImage")
    check_host_writes(image, _WRITE)
    pitches = row_pitch, slice_pitch
    return _write(queue, image, origin, region, hostbuf, pitches, wait_for, is_blocking)


def _write(
    queue: CommandQueue,
    image: Image,
    origin: Any,
    region: Any,
    hostbuf: Any,
    pitches: tuple[int, int],
    wait_for: WaitFor,
    is_blocking: bool,
    kind: str = "WRITE_IMAGE",
) -> Event:
    """As `enqueue_write_image`, whatever the host may do with the image.

    kind: of the command that the program enqueued.
    """
    waits = wait_list(wait_for, queue._context, _WRITE)
    host = contiguous_bytes(hostbuf)
    event = image_commands.write(queue, image, host, origin, region, pitches, waits)
    made = _finish_enqueue(queue, event, kind, hostbuf)
    if is_blocking:
        ended(made, wait_for, waits)
    return made


@translated(_COPY)
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
    queue._check()
    source, target = _image(queue, src, routine), _image(queue, dest, routine)
    waits = wait_list(wait_for, queue._context, _COPY)
    event = image_commands.copy(queue, source, target, src_origin, dest_origin, region, waits)
    return _finish_enqueue(queue, event, "COPY_IMAGE")


@translated(_COPY)
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
    queue._check()
    source, target = _image(queue, src, routine), _memory(queue, dest, routine)
    waits, start = wait_list(wait_for, queue._context, _COPY), size_t(offset, "offset")
    event = image_commands.copy_to_buffer(queue, source, target, origin, region, start, waits)
    return _finish_enqueue(queue, event, "COPY_IMAGE_TO_BUFFER")


@translated(_COPY)
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
    queue._check()
    source, target = _memory(queue, src, routine), _image(queue, dest, routine)
    waits, start = wait_list(wait_for, queue._context, _COPY), size_t(offset, "offset")
    event = image_commands.copy_from_buffer(queue, source, target, start, origin, region, waits)
    return _finish_enqueue(queue, event, "COPY_BUFFER_TO_IMAGE")


@translated("clEnqueueFillImage")
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
    queue._check()
    image = _image(queue, mem, routine)
    waits = wait_list(wait_for, queue._context, _COPY)
    contiguous_bytes(color)  # pyopencl takes nothing else
    components = np.asarray(color).ravel().tolist()
    event = image_commands.fill(queue, image, components, origin, region, waits)
    return _finish_enqueue(queue, event, "FILL_IMAGE")


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
    queue._check()
    image = _image(queue, img, routine)
    if dtype is None or order is None:
        raise TypeError("the dtype and the order of the array must not be None")
    flags = size_t(flags, "map flags")
    reads, writes = directions(flags, routine)
    check_host(image, flags, routine)
    own = None if image._host is None else image._host_pitches
    box, size = image._map_box(origin, region, own, routine)
    storage: Any
    if image._host is None:
        storage = np.empty(size, np.uint8)
    else:
        storage = np.frombuffer(image._host, np.uint8)[box.offset : box.offset + size]
    pitches = box.row_pitch, box.slice_pitch
    if reads:
        event = _read(
            queue, image, origin, region, storage, pitches, wait_for, is_blocking, "MAP_IMAGE"
        )
    else:
        event = marker(queue, wait_for, False, routine, "MAP_IMAGE", is_blocking)

    def write_back(target: CommandQueue, wait_for: WaitFor) -> Event:
        return _write(
            target, image, origin, region, storage, pitches, wait_for, False, "UNMAP_MEM_OBJECT"
        )

    array = mapping.make_array(
        storage, queue, shape, np.dtype(dtype), order, strides, write_back if writes else None
    )
    return array, event, box.row_pitch, image._slice_pitch(*pitches)
