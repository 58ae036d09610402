"""Boxes of buffers: reads, writes and copies with origins, regions and pitches.

Owns: the `*_buffer_rect` functions of `_cl` and their checks (OpenCL 3.0 API, 5.2.3). Must not
know: how a copy of a box is carried out.

A read or write of a box goes through a buffer that holds the box packed, so that only its own
bytes travel; the host's side is gathered here when a write is enqueued, and scattered as the bytes
of a read arrive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vcl.pyopencl_cl.context import CommandQueue
from vcl.pyopencl_cl.enqueue import (
    WaitFor,
    _finish_enqueue,
    _memory,
    ended,
    enqueue_write_buffer,
    read_into,
)
from vcl.pyopencl_cl.errors import fail, translated
from vcl.pyopencl_cl.event import Event, wait_list
from vcl.pyopencl_cl.integers import sizes
from vcl.pyopencl_cl.memory import FLAGS, Buffer, MemoryObjectHolder, contiguous_bytes
from vcl.wire.messages import session


def _triple(values: Any, missing: int, what: str, routine: str) -> list[int]:
    numbers = sizes(values, what)
    if len(numbers) > 3:
        fail(routine, "INVALID_VALUE", f"{what} has more than three components")
    return numbers + [missing] * (3 - len(numbers))


@dataclass(frozen=True)
class _Box:
    """Where a box lies in a linear memory, in bytes."""

    offset: int
    row_pitch: int
    slice_pitch: int

    def size(self, region: Sequence[int]) -> int:
        """Bytes from the box's first to its last."""
        width, height, depth = region
        return width + (height - 1) * self.row_pitch + (depth - 1) * self.slice_pitch


def _box(origin: Any, region: Sequence[int], pitches: Any, what: str, routine: str) -> _Box:
    start = _triple(origin, 0, f"{what} origin", routine)
    given = sizes(pitches or (), f"{what} pitches")
    if len(given) > 2:
        fail(routine, "INVALID_VALUE", f"{what} pitches has more than two components")
    row, slice_ = [*given, 0, 0][:2]
    row = row or region[0]
    slice_ = slice_ or row * region[1]
    if row < region[0] or slice_ < row * region[1] or slice_ % row:
        fail(routine, "INVALID_VALUE", f"{what} pitches ({row}, {slice_}) are too small")
    return _Box(start[0] + start[1] * row + start[2] * slice_, row, slice_)


def _inside(box: _Box, region: Sequence[int], size: int, what: str, routine: str) -> None:
    if box.offset + box.size(region) > size:
        fail(routine, "INVALID_VALUE", f"the box doesn't fit into the {what} of {size} bytes")


def _region(region: Any, routine: str) -> list[int]:
    extent = _triple(region, 1, "region", routine)
    if 0 in extent:
        fail(routine, "INVALID_VALUE", f"region {tuple(extent)} is empty")
    return extent


def _copy(
    queue: CommandQueue,
    source: Buffer,
    destination: Buffer,
    from_box: _Box,
    to_box: _Box,
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


def _packed(region: Sequence[int]) -> _Box:
    return _Box(0, region[0], region[0] * region[1])


def _host_view(host: memoryview, box: _Box, region: Sequence[int]) -> Any:
    """The box in host memory as an array of (slices, rows, bytes)."""
    flat = np.frombuffer(host, np.uint8)[box.offset : box.offset + box.size(region)]
    return np.lib.stride_tricks.as_strided(
        flat, (region[2], region[1], region[0]), (box.slice_pitch, box.row_pitch, 1)
    )


class _Scattered:
    """A box in host memory (slices, rows, bytes) as a flat destination of its bytes."""

    def __init__(self, box: Any) -> None:
        self._box = box

    def __len__(self) -> int:
        return int(self._box.size)

    def __setitem__(self, where: slice, data: Any) -> None:
        """Store packed bytes; a run may begin and end inside a row."""
        _, rows, width = self._box.shape
        flat = np.frombuffer(data, np.uint8)
        at, taken = where.start, 0
        while taken < flat.size:
            row, column = divmod(at, width)
            slice_, row = divmod(row, rows)
            whole = min(rows - row, (flat.size - taken) // width) if column == 0 else 0
            if whole:  # as many whole rows of this slice as there are
                count = whole * width
                self._box[slice_, row : row + whole] = flat[taken : taken + count].reshape(
                    whole, width
                )
            else:
                count = min(width - column, flat.size - taken)
                self._box[slice_, row, column : column + count] = flat[taken : taken + count]
            at, taken = at + count, taken + count


@translated("clEnqueueWriteBufferRect")
def enqueue_write_buffer_rect(
    queue: CommandQueue,
    mem: MemoryObjectHolder,
    hostbuf: Any,
    buffer_origin: Any,
    host_origin: Any,
    region: Any,
    buffer_pitches: Any = None,
    host_pitches: Any = None,
    wait_for: WaitFor = None,
    is_blocking: bool = True,
    *,
    kind: str = "WRITE_BUFFER_RECT",
) -> Event:
    """Enqueue a write of a box. The bytes are copied at once."""
    routine = "clEnqueueWriteBufferRect"
    queue._check(routine)
    memory = _memory(queue, mem, routine)
    if memory._flags & (FLAGS["HOST_READ_ONLY"] | FLAGS["HOST_NO_ACCESS"]):
        fail(routine, "INVALID_OPERATION", "the buffer's flags don't allow the host to write it")
    waits = wait_list(wait_for, queue._context, routine)
    extent = _region(region, routine)
    host = contiguous_bytes(hostbuf)
    to_box = _box(buffer_origin, extent, buffer_pitches, "buffer", routine)
    from_box = _box(host_origin, extent, host_pitches, "host", routine)
    _inside(to_box, extent, memory._size, "buffer", routine)
    _inside(from_box, extent, host.nbytes, "host memory", routine)
    data = np.ascontiguousarray(_host_view(host, from_box, extent))
    packed = Buffer(queue._context, FLAGS["READ_WRITE"], data.nbytes)
    written = enqueue_write_buffer(queue, packed, data, is_blocking=False)
    event = _copy(queue, packed, memory, _packed(extent), to_box, extent, [*waits, written._id])
    made = _finish_enqueue(queue, event, kind, hostbuf)
    if is_blocking:
        ended(made, wait_for, waits)
    return made


@translated("clEnqueueReadBufferRect")
def enqueue_read_buffer_rect(
    queue: CommandQueue,
    mem: MemoryObjectHolder,
    hostbuf: Any,
    buffer_origin: Any,
    host_origin: Any,
    region: Any,
    buffer_pitches: Any = None,
    host_pitches: Any = None,
    wait_for: WaitFor = None,
    is_blocking: bool = True,
    *,
    kind: str = "READ_BUFFER_RECT",
) -> Event:
    """Enqueue a read of a box into host memory, which must live until it's complete."""
    routine = "clEnqueueReadBufferRect"
    queue._check(routine)
    memory = _memory(queue, mem, routine)
    if memory._flags & (FLAGS["HOST_WRITE_ONLY"] | FLAGS["HOST_NO_ACCESS"]):
        fail(routine, "INVALID_OPERATION", "the buffer's flags don't allow the host to read it")
    waits = wait_list(wait_for, queue._context, routine)
    extent = _region(region, routine)
    host = contiguous_bytes(hostbuf, writable=True)
    from_box = _box(buffer_origin, extent, buffer_pitches, "buffer", routine)
    to_box = _box(host_origin, extent, host_pitches, "host", routine)
    _inside(from_box, extent, memory._size, "buffer", routine)
    _inside(to_box, extent, host.nbytes, "host memory", routine)
    destination = _Scattered(_host_view(host, to_box, extent))
    packed = Buffer(queue._context, FLAGS["READ_WRITE"], len(destination))
    copied = _finish_enqueue(
        queue, _copy(queue, memory, packed, from_box, _packed(extent), extent, waits), kind
    )
    return read_into(
        queue, packed, 0, destination, [copied._id], hostbuf, is_blocking, routine, kind
    )


@translated("clEnqueueCopyBufferRect")
def enqueue_copy_buffer_rect(
    queue: CommandQueue,
    src: MemoryObjectHolder,
    dst: MemoryObjectHolder,
    src_origin: Any,
    dst_origin: Any,
    region: Any,
    src_pitches: Any = None,
    dst_pitches: Any = None,
    wait_for: WaitFor = None,
    *,
    kind: str = "COPY_BUFFER_RECT",
) -> Event:
    """Enqueue a copy of a box between buffers."""
    routine = "clEnqueueCopyBufferRect"
    queue._check(routine)
    source, destination = _memory(queue, src, routine), _memory(queue, dst, routine)
    waits = wait_list(wait_for, queue._context, routine)
    extent = _region(region, routine)
    from_box = _box(src_origin, extent, src_pitches, "source", routine)
    to_box = _box(dst_origin, extent, dst_pitches, "destination", routine)
    _inside(from_box, extent, source._size, "source", routine)
    _inside(to_box, extent, destination._size, "destination", routine)
    if source is destination and (from_box.row_pitch, from_box.slice_pitch) != (
        to_box.row_pitch, to_box.slice_pitch
    ):
        fail(routine, "INVALID_VALUE", "pitches must be equal to copy within a buffer")
    if source._root_id == destination._root_id and _overlap(
        from_box, to_box, extent, source._origin, destination._origin
    ):
        fail(routine, "MEM_COPY_OVERLAP", "source and destination overlap")
    event = _copy(queue, source, destination, from_box, to_box, extent, waits)
    return _finish_enqueue(queue, event, kind)


def _overlap(a: _Box, b: _Box, region: Sequence[int], origin_a: int, origin_b: int) -> bool:
    """Whether two boxes in one buffer share a byte (as OpenCL's appendix on overlap, exactly)."""

    def rows(box: _Box, origin: int) -> Any:
        slices = np.arange(region[2])[:, None] * box.slice_pitch
        return (origin + box.offset + slices + np.arange(region[1]) * box.row_pitch).ravel()

    starts_a, starts_b = np.sort(rows(a, origin_a)), np.sort(rows(b, origin_b))
    # For each row of a: the first row of b that ends after it begins.
    at = np.searchsorted(starts_b + region[0], starts_a, side="right")
    inside = at < len(starts_b)
    return bool(np.any(starts_b[at[inside]] < starts_a[inside] + region[0]))
