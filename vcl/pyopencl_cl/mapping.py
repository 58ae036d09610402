"""Mapped memory: a host copy of a region, written back when it's unmapped.

Owns: `enqueue_map_buffer` and `MemoryMap`. Must not know: how bytes travel, or what flags mean
(`vcl.api.mapping`). Memory isn't shared across a network, so a map is a read into host memory
(OpenCL 3.0 API, 5.2.4 allows exactly that much to be relied upon), and an unmap is a write of what
the program may have changed. The host memory is the program's own if the object was made with
USE_HOST_PTR.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from vcl.api import mapping as api
from vcl.api.integers import size as size_t
from vcl.api.integers import sizes
from vcl.api.memory import TYPES
from vcl.pyopencl_cl.context import CommandQueue
from vcl.pyopencl_cl.enqueue import WaitFor, _memory, marker, read_memory, write_memory
from vcl.pyopencl_cl.errors import fail, translated
from vcl.pyopencl_cl.event import Event
from vcl.pyopencl_cl.memory import MemoryObjectHolder


class MemoryMap:
    """A mapped region; the array's base. Unmapped by `release`, or when the array is gone."""

    def __init__(
        self,
        queue: CommandQueue,
        interface: dict[str, Any],
        write_back: Callable[[CommandQueue, WaitFor], Event] | None,
    ) -> None:
        self.__array_interface__ = interface
        self._queue: CommandQueue | None = queue
        self._write_back = write_back

    @translated("clEnqueueUnmapMemObject")
    def release(self, queue: CommandQueue | None = None, wait_for: WaitFor = None) -> Event:
        """Unmap: enqueue writing back what may have been changed."""
        if self._queue is None:
            fail("MemoryMap.release", "INVALID_VALUE", "trying to double-unref mem map")
        target = queue or self._queue
        self._queue = None
        if self._write_back is None:
            return marker(target, wait_for, False, "clEnqueueUnmapMemObject", "UNMAP_MEM_OBJECT")
        return self._write_back(target, wait_for)

    def __del__(self) -> None:
        queue = getattr(self, "_queue", None)
        if queue is not None and queue._runtime.dead is None:
            self.release()


def make_array(
    storage: Any,
    queue: CommandQueue,
    shape: Any,
    dtype: Any,
    order: Any,
    strides: Any,
    write_back: Callable[[CommandQueue, WaitFor], Event] | None,
) -> Any:
    """An array over `storage` (bytes) whose base is the MemoryMap."""
    plain = np.ndarray(shape, dtype, buffer=storage, order=order, strides=strides)
    interface = {**plain.__array_interface__, "owner": storage}
    return np.asarray(MemoryMap(queue, interface, write_back))


@translated("clEnqueueMapBuffer")
def enqueue_map_buffer(
    queue: CommandQueue,
    buf: MemoryObjectHolder,
    flags: int,
    offset: int,
    shape: Any,
    dtype: Any,
    order: str = "C",
    strides: Any = None,
    wait_for: WaitFor = None,
    is_blocking: bool = True,
) -> tuple[Any, Event]:
    """Map a region of a buffer; answers (array, event)."""
    routine = "clEnqueueMapBuffer"
    queue._check()
    memory = _memory(queue, buf, routine)
    if memory._type != TYPES["BUFFER"]:
        fail(routine, "INVALID_MEM_OBJECT", "the memory object is an image: enqueue_map_image")
    if dtype is None or order is None:
        raise TypeError("the dtype and the order of the array must not be None")
    flags = size_t(flags, "map flags")
    reads, writes = api.directions(flags, routine)
    shape = tuple(sizes(shape if isinstance(shape, Iterable) else (shape,), "shape"))
    offset = size_t(offset, "offset")
    dtype = np.dtype(dtype)
    size = _extent(shape, dtype, strides)
    api.check_map(memory, flags, offset, size, routine)
    storage: Any = np.empty(size, np.uint8)
    if memory._host is not None:
        storage = np.frombuffer(memory._host, np.uint8)[offset : offset + size]
    if reads:
        event = read_memory(
            queue, memory, storage, offset, wait_for, is_blocking, routine, "MAP_BUFFER"
        )
    else:
        event = marker(queue, wait_for, False, routine, "MAP_BUFFER", is_blocking)

    def write_back(target: CommandQueue, wait_for: WaitFor) -> Event:
        return write_memory(
            target, memory, storage, offset, wait_for, False, routine, "UNMAP_MEM_OBJECT"
        )

    array = make_array(
        storage, queue, shape, dtype, order, strides, write_back if writes else None
    )
    return array, event


def _extent(shape: tuple[int, ...], dtype: Any, strides: Any) -> int:
    """Bytes from the first to the last of an array."""
    if 0 in shape:
        return 0
    if strides is None:
        return int(np.prod(shape, dtype=np.int64)) * int(dtype.itemsize)
    return int(sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) + dtype.itemsize)
