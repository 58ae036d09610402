"""Commands on images: reads, writes, copies and fills (OpenCL 3.0 API, 5.3).

Owns: composing them of commands on boxes, as an image's pixels are a buffer (`images`); each
function answers the event's number. Must not know: how a box of a buffer travels
(`box_commands`), or how long a program's host memory is kept.

`waits` is what `vcl.api.events.wait_list` answers. All raise CallError for what OpenCL doesn't
allow, and OperatingError.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from vcl.api import box_commands, commands
from vcl.api.context import CommandQueue
from vcl.api.errors import fail
from vcl.api.events import wait_list
from vcl.api.images import Image, linear_box
from vcl.api.memory import FLAGS, Memory
from vcl.api.pixels import pixel

_FILLED_BYTES = (1, 2, 4, 8, 16)


def read(
    queue: CommandQueue,
    image: Image,
    host: memoryview,
    origin: Sequence[int],
    region: Sequence[int],
    pitches: Sequence[int],
    waits: list[int],
) -> int:
    """Enqueue a read of a box of pixels into host memory, which must live until it has ended;
    whatever the host may do with the image.

    pitches: of the host's rows and slices in bytes; 0 is packed.
    """
    start, pixels, own = image._pixel_box(origin, region, "clEnqueueReadImage")
    boxes = box_commands.both_boxes(
        image, host, start, (0, 0, 0), pixels, own, pitches, "clEnqueueReadBufferRect"
    )
    return box_commands.read(queue, image, host, *boxes, waits)


def write(
    queue: CommandQueue,
    image: Image,
    host: memoryview,
    origin: Sequence[int],
    region: Sequence[int],
    pitches: Sequence[int],
    waits: list[int],
) -> int:
    """Enqueue a write of a box of pixels of host memory, whose bytes are copied at once; whatever
    the host may do with the image.

    pitches: of the host's rows and slices in bytes; 0 is packed.
    """
    start, pixels, own = image._pixel_box(origin, region, "clEnqueueWriteImage")
    boxes = box_commands.both_boxes(
        image, host, start, (0, 0, 0), pixels, own, pitches, "clEnqueueWriteBufferRect"
    )
    return box_commands.write(queue, image, host, *boxes, waits)


def copy(
    queue: CommandQueue,
    source: Image,
    target: Image,
    source_origin: Sequence[int],
    target_origin: Sequence[int],
    region: Sequence[int],
    waits: list[int],
) -> int:
    """Enqueue a copy between images of one format."""
    routine = "clEnqueueCopyImage"
    if source._channels != target._channels:
        fail(routine, "IMAGE_FORMAT_MISMATCH")
    start, extent, pitches = source._pixel_box(source_origin, region, routine)
    to, _, to_pitches = target._pixel_box(target_origin, region, routine)
    return box_commands.copy_rect(
        queue, source, target, start, to, extent, pitches, to_pitches, waits
    )


def copy_to_buffer(
    queue: CommandQueue,
    source: Image,
    target: Memory,
    origin: Sequence[int],
    region: Sequence[int],
    offset: int,
    waits: list[int],
) -> int:
    """Enqueue a copy of a box of pixels to an offset of a buffer, packed."""
    routine = "clEnqueueCopyImageToBuffer"
    start, extent, pitches = source._pixel_box(origin, region, routine)
    to, to_pitches = linear_box(target._size, offset, extent, routine)
    return box_commands.copy_rect(
        queue, source, target, start, to, extent, pitches, to_pitches, waits
    )


def copy_from_buffer(
    queue: CommandQueue,
    source: Memory,
    target: Image,
    offset: int,
    origin: Sequence[int],
    region: Sequence[int],
    waits: list[int],
) -> int:
    """Enqueue a copy of packed pixels from an offset of a buffer to a box of an image."""
    routine = "clEnqueueCopyBufferToImage"
    to, extent, to_pitches = target._pixel_box(origin, region, routine)
    start, pitches = linear_box(source._size, offset, extent, routine)
    return box_commands.copy_rect(
        queue, source, target, start, to, extent, pitches, to_pitches, waits
    )


def fill(
    queue: CommandQueue,
    image: Image,
    color: Sequence[float],
    origin: Sequence[int],
    region: Sequence[int],
    waits: list[int],
) -> int:
    """Enqueue a fill of a box with a colour of red, green, blue and alpha.

    It is a fill of a buffer of our own, of which the box is a copy.
    """
    routine = "clEnqueueFillImage"
    to, extent, to_pitches = image._pixel_box(origin, region, routine)
    data = pixel(*image._channels, color, routine)
    if len(data) not in _FILLED_BYTES:
        fail(routine, "INVALID_VALUE", f"pixels of {len(data)} bytes can't be filled")
    context, runtime = queue._context, queue._runtime
    packed = Memory(context, FLAGS["READ_WRITE"], math.prod(extent))
    filled = commands.fill(queue, packed, data, 0, packed._size, wait_list(None, context, routine))
    start, pitches = linear_box(packed._size, 0, extent, routine)
    try:
        return box_commands.copy_rect(
            queue, packed, image, start, to, extent, pitches, to_pitches, [*waits, filled]
        )
    finally:
        runtime.release(filled)
