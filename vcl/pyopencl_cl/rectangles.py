"""Boxes of buffers: reads, writes and copies with origins, regions and pitches.

Owns: the `*_buffer_rect` functions of `_cl`. Must not know: OpenCL's rules of boxes, or where their
bytes are (`vcl.api.boxes`, `vcl.api.box_commands`).
"""

from __future__ import annotations

from typing import Any

from vcl.api import box_commands, boxes
from vcl.api.events import ended, wait_list
from vcl.api.memory import check_host_reads, check_host_writes
from vcl.pyopencl_cl.context import CommandQueue
from vcl.pyopencl_cl.enqueue import (
    WaitFor,
    _finish_enqueue,
    _memory,
    finish_read,
)
from vcl.pyopencl_cl.errors import translated
from vcl.pyopencl_cl.event import Event
from vcl.pyopencl_cl.memory import MemoryObjectHolder, contiguous_bytes


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
    check_host_writes(memory, routine)
    waits = wait_list(wait_for, queue._context, routine)
    extent = boxes.extent_of(region, routine)
    host = contiguous_bytes(hostbuf)
    to_box = boxes.make_box(buffer_origin, extent, buffer_pitches, "buffer", routine)
    from_box = boxes.make_box(host_origin, extent, host_pitches, "host", routine)
    boxes.check_inside(to_box, extent, memory._size, "buffer", routine)
    boxes.check_inside(from_box, extent, host.nbytes, "host memory", routine)
    event = box_commands.write(queue, memory, host, to_box, from_box, extent, waits)
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
    check_host_reads(memory, routine)
    waits = wait_list(wait_for, queue._context, routine)
    extent = boxes.extent_of(region, routine)
    host = contiguous_bytes(hostbuf, writable=True)
    from_box = boxes.make_box(buffer_origin, extent, buffer_pitches, "buffer", routine)
    to_box = boxes.make_box(host_origin, extent, host_pitches, "host", routine)
    boxes.check_inside(from_box, extent, memory._size, "buffer", routine)
    boxes.check_inside(to_box, extent, host.nbytes, "host memory", routine)
    event = box_commands.read(queue, memory, host, from_box, to_box, extent, waits)
    return finish_read(queue, event, hostbuf, is_blocking, routine, kind)


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
    extent = boxes.extent_of(region, routine)
    from_box = boxes.make_box(src_origin, extent, src_pitches, "source", routine)
    to_box = boxes.make_box(dst_origin, extent, dst_pitches, "destination", routine)
    boxes.check_inside(from_box, extent, source._size, "source", routine)
    boxes.check_inside(to_box, extent, destination._size, "destination", routine)
    box_commands.check_copy(source, destination, from_box, to_box, extent, routine)
    event = box_commands.copy(queue, source, destination, from_box, to_box, extent, waits)
    return _finish_enqueue(queue, event, kind)
