"""Commands on boxes of buffers: reads, writes and copies (OpenCL 3.0 API, 5.2.3).

Owns: checking and enqueuing them; each function answers the event's number. Must not know: how a
copy of a box is carried out, or how long a program's host memory is kept.

A read or write of a box goes through a buffer that holds the box packed, so that only its own
bytes travel; the host's side is gathered when a write is enqueued, and scattered as the bytes of a
read arrive.
"""

from __future__ import annotations

from collections.abc import Sequence

from vcl.api import commands
from vcl.api.boxes import (
    Box,
    Scattered,
    check_inside,
    extent_of,
    gather,
    make_box,
    overlap,
    packed,
)
from vcl.api.context import CommandQueue
from vcl.api.errors import fail
from vcl.api.events import wait_list
from vcl.api.memory import FLAGS, Memory, check_host_reads, check_host_writes
from vcl.wire.messages import session

Triple = Sequence[int]
"""Up to three components, as `vcl.api.boxes.triple` takes them."""
Pitches = Sequence[int] | None


def write_rect(
    queue: CommandQueue,
    memory: Memory,
    host: memoryview,
    buffer_origin: Triple,
    host_origin: Triple,
    region: Triple,
    buffer_pitches: Pitches,
    host_pitches: Pitches,
    waits: list[int],
) -> int:
    """Check and enqueue a write of a box, as clEnqueueWriteBufferRect says.

    waits: as `vcl.api.events.wait_list` answers. Raises CallError, OperatingError.
    """
    routine = "clEnqueueWriteBufferRect"
    check_host_writes(memory, routine)
    to_box, from_box, extent = both_boxes(
        memory, host, buffer_origin, host_origin, region, buffer_pitches, host_pitches, routine
    )
    return write(queue, memory, host, to_box, from_box, extent, waits)


def read_rect(
    queue: CommandQueue,
    memory: Memory,
    host: memoryview,
    buffer_origin: Triple,
    host_origin: Triple,
    region: Triple,
    buffer_pitches: Pitches,
    host_pitches: Pitches,
    waits: list[int],
) -> int:
    """Check and enqueue a read of a box, as clEnqueueReadBufferRect says; `host` must live until
    the event has ended.

    waits: as `vcl.api.events.wait_list` answers. Raises CallError, OperatingError.
    """
    routine = "clEnqueueReadBufferRect"
    check_host_reads(memory, routine)
    from_box, to_box, extent = both_boxes(
        memory, host, buffer_origin, host_origin, region, buffer_pitches, host_pitches, routine
    )
    return read(queue, memory, host, from_box, to_box, extent, waits)


def both_boxes(
    memory: Memory,
    host: memoryview,
    buffer_origin: Triple,
    host_origin: Triple,
    region: Triple,
    buffer_pitches: Pitches,
    host_pitches: Pitches,
    routine: str,
) -> tuple[Box, Box, list[int]]:
    """(box of the buffer, box of the host memory, extent). Raises CallError for boxes that don't
    fit."""
    extent = extent_of(region, routine)
    buffer_box = make_box(buffer_origin, extent, buffer_pitches, "buffer", routine)
    host_box = make_box(host_origin, extent, host_pitches, "host", routine)
    check_inside(buffer_box, extent, memory._size, "buffer", routine)
    check_inside(host_box, extent, host.nbytes, "host memory", routine)
    return buffer_box, host_box, extent


def copy_rect(
    queue: CommandQueue,
    source: Memory,
    target: Memory,
    source_origin: Triple,
    target_origin: Triple,
    region: Triple,
    source_pitches: Pitches,
    target_pitches: Pitches,
    waits: list[int],
) -> int:
    """Check and enqueue a copy of a box, as clEnqueueCopyBufferRect says.

    waits: as `vcl.api.events.wait_list` answers. Raises CallError, OperatingError.
    """
    routine = "clEnqueueCopyBufferRect"
    extent = extent_of(region, routine)
    from_box = make_box(source_origin, extent, source_pitches, "source", routine)
    to_box = make_box(target_origin, extent, target_pitches, "destination", routine)
    check_inside(from_box, extent, source._size, "source", routine)
    check_inside(to_box, extent, target._size, "destination", routine)
    check_copy(source, target, from_box, to_box, extent, routine)
    return copy(queue, source, target, from_box, to_box, extent, waits)


def write(
    queue: CommandQueue,
    memory: Memory,
    host: memoryview,
    to_box: Box,
    from_box: Box,
    region: Sequence[int],
    waits: list[int],
) -> int:
    """Enqueue a write of a box of host memory, whose bytes are copied at once.

    waits: as `vcl.api.events.wait_list` answers. Raises CallError, OperatingError.
    """
    context, runtime = queue._context, queue._runtime
    data = gather(host, from_box, region).tobytes()
    between = Memory(context, FLAGS["READ_WRITE"], len(data))
    written = commands.write(queue, between, 0, data, wait_list(None, context, ""))
    try:
        return copy(queue, between, memory, packed(region), to_box, region, [*waits, written])
    finally:
        runtime.release(written)


def read(
    queue: CommandQueue,
    memory: Memory,
    host: memoryview,
    from_box: Box,
    to_box: Box,
    region: Sequence[int],
    waits: list[int],
) -> int:
    """Enqueue a read of a box into host memory, which must live until the event has ended.

    waits: as `vcl.api.events.wait_list` answers. Raises CallError, OperatingError.
    """
    destination = Scattered(host, to_box, region)
    between = Memory(queue._context, FLAGS["READ_WRITE"], len(destination))
    copied = copy(queue, memory, between, from_box, packed(region), region, waits)
    try:
        return commands.read(queue, between, 0, destination, [copied])
    finally:
        queue._runtime.release(copied)


def copy(
    queue: CommandQueue,
    source: Memory,
    destination: Memory,
    from_box: Box,
    to_box: Box,
    region: Sequence[int],
    waits: list[int],
) -> int:
    """Enqueue the copy of a box; answers its event."""
    return queue._runtime.enqueue(
        queue._id,
        lambda event: session.CopyRect(
            event,
            queue._id,
            waits,
            source._root_id,
            destination._root_id,
            source._origin + from_box.offset,
            destination._origin + to_box.offset,
            region[0],
            region[1],
            region[2],
            from_box.row_pitch,
            from_box.slice_pitch,
            to_box.row_pitch,
            to_box.slice_pitch,
        ),
    )


def check_copy(
    source: Memory,
    destination: Memory,
    from_box: Box,
    to_box: Box,
    region: Sequence[int],
    routine: str,
) -> None:
    """Raise CallError for a copy within a buffer whose boxes overlap or differ in pitches."""
    if source is destination and (from_box.row_pitch, from_box.slice_pitch) != (
        to_box.row_pitch,
        to_box.slice_pitch,
    ):
        fail(routine, "INVALID_VALUE", "pitches must be equal to copy within a buffer")
    if source._root_id == destination._root_id and overlap(
        from_box, to_box, region, source._origin, destination._origin
    ):
        fail(routine, "MEM_COPY_OVERLAP", "source and destination overlap")
