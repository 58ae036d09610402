"""Boxes of buffers: reads, writes and copies with origins, regions and pitches.

Owns: the `*_buffer_rect` functions of `_cl`. Must not know: OpenCL's rules of boxes, or where their
bytes are (`vcl.api.box_commands`).
"""

from __future__ import annotations

from typing import Any

from vcl.api import box_commands
from vcl.api.events import ended, wait_list
from vcl.pyopencl_cl.context import CommandQueue
from vcl.pyopencl_cl.enqueue import WaitFor, _finish_enqueue, _memory, finish_read
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
) -> Event:
    """Enqueue a write of a box. The bytes are copied at once."""
    routine = "clEnqueueWriteBufferRect"
    queue._check()
    memory = _memory(queue, mem, routine)
    waits = wait_list(wait_for, queue._context, routine)
    event = box_commands.write_rect(
        queue, memory, contiguous_bytes(hostbuf), buffer_origin, host_origin, region,
        buffer_pitches, host_pitches, waits,
    )  # fmt: skip
    made = _finish_enqueue(queue, event, "WRITE_BUFFER_RECT", hostbuf)
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
) -> Event:
    """Enqueue a read of a box into host memory, which must live until it's complete."""
    routine = "clEnqueueReadBufferRect"
    queue._check()
    memory = _memory(queue, mem, routine)
    waits = wait_list(wait_for, queue._context, routine)
    event = box_commands.read_rect(
        queue, memory, contiguous_bytes(hostbuf, writable=True), buffer_origin, host_origin,
        region, buffer_pitches, host_pitches, waits,
    )  # fmt: skip
    return finish_read(queue, event, hostbuf, is_blocking, routine, "READ_BUFFER_RECT")


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
) -> Event:
    """Enqueue a copy of a box between buffers."""
    routine = "clEnqueueCopyBufferRect"
    queue._check()
    source, destination = _memory(queue, src, routine), _memory(queue, dst, routine)
    waits = wait_list(wait_for, queue._context, routine)
    event = box_commands.copy_rect(
        queue, source, destination, src_origin, dst_origin, region, src_pitches, dst_pitches,
        waits,
    )  # fmt: skip
    return _finish_enqueue(queue, event, "COPY_BUFFER_RECT")
