"""A device's context, queues and memory.

Owns: buffers, their regions and what they are as a kernel's argument; what else is kept for each
device, as snapshots and kernels. Must not know: operations, connections.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from node_agent.driver.failures import DriverFailure
from node_agent.driver.queues import Queue
from vcl.direct.pool import address, is_at, page_bytes, room_step
from vcl.errors import MEM_OBJECT_ALLOCATION_FAILURE
from vcl.wire.frame import Bytes
from vcl.wire.messages import part

if TYPE_CHECKING:
    from node_agent.driver.launch import Kernel
    from vcl.direct.pool import Pool


small_room_step = 128
"""What small buffers begin at a multiple of: the size of the largest vector, as of sub-buffers."""


class Device:
    """A device's context, queues and memory."""

    def __init__(
        self, cl: Any, device: Any, post: Callable[[list[Any]], None], pool: Pool | None
    ) -> None:
        self.device = device
        self._pool = pool if pool is not None and _maps_in_place(cl, device) else None
        self.context = cl.Context([device])
        self.compute = Queue(cl, self.context, post)
        self.transfer = Queue(cl, self.context, post)
        self.buffers: dict[int, Any] = {}
        self._rooms: dict[int, Any] = {}  # the host's memory that a buffer's bytes are in
        self.shared: dict[int, Any] = {}  # the memory behind buffers that are shared virtual memory
        self._regions: dict[int, dict[tuple[int, int], Any]] = {}  # by buffer, offset and size
        self.allocation_failures: dict[int, str] = {}
        self.snapshots: dict[int, list[Any]] = {}
        self.samplers: dict[tuple[int, ...], Any] = {}
        self.kernels: dict[int, dict[str, Kernel]] = {}  # by program and name
        self.frees = 0  # how often a buffer went: kernels may know one that is gone
        self.newest: set[int] = set()
        """The operations of the command that was the last to be enqueued for computing."""
        self._cause = 0
        self._is_its_memory = self._pool is not None and self._uses_memory(cl)

    def _uses_memory(self, cl: Any) -> bool:
        """Whether what is written to the host's memory of a buffer is on the device by that, and
        what the device writes is in the host's memory.

        To rely on it is more than OpenCL promises (OpenCL 3.0 API, 5.2.1, CL_MEM_USE_HOST_PTR), so
        it is tried, with memory that begins and ends where that of buffers may, and no better.
        """
        whole = np.zeros(4 * page_bytes, np.uint8)
        start = -address(whole) % page_bytes + room_step
        room = whole[start : start + 2 * page_bytes + 1]
        flags = cl.mem_flags.READ_WRITE | cl.mem_flags.USE_HOST_PTR
        buffer, other = cl.Buffer(self.context, flags, hostbuf=room), np.empty_like(room)
        for value in (1, 2):
            room[:] = value
            cl.enqueue_copy(self.transfer.queue, other, buffer)
            if not np.array_equal(other, room):
                return False
            other[:] = value + 2
            cl.enqueue_copy(self.transfer.queue, buffer, other)
            if not np.array_equal(other, room):
                return False
        return True

    def place(self, number: int, offset: int, size: int) -> memoryview | None:
        """The host's memory that some bytes of a buffer are in, if there is such."""
        room = self._rooms.get(number)
        if room is None or offset + size > len(room):
            return None
        place: memoryview = room[offset : offset + size].data
        return place

    def has_in_place(self, number: int, offset: int, data: Bytes) -> bool:
        """Whether these very bytes are a buffer's."""
        place = self.place(number, offset, len(data))
        return place is not None and bool(data) and is_at(data, place)

    def note(self, operation: int, cause: int) -> None:
        """An operation was enqueued for computing. cause: the command that it is of, or 0."""
        if cause and cause == self._cause:
            self.newest.add(operation)
        else:
            self._cause, self.newest = cause, {operation}

    def buffer(self, number: int) -> Any:
        """A buffer's memory; raises DriverFailure if it has none here."""
        found = self.buffers.get(number)
        if found is None:
            text = self.allocation_failures.get(number, "the buffer isn't on this device")
            raise DriverFailure(MEM_OBJECT_ALLOCATION_FAILURE, text)
        return found

    def allocate(self, cl: Any, m: part.Allocate) -> Any:
        """Memory for a buffer; what kernels may be given pointers into, as the device's own."""
        flags = cl.mem_flags.READ_WRITE
        coarse = cl.device_svm_capabilities.COARSE_GRAIN_BUFFER
        if not m.shared or not _capabilities(cl, self.device) & coarse:
            room = None if self._pool is None else self._pool.buffer_room(m.size)
            if room is None and self._is_its_memory:
                room = _small_room(m.size)
            if room is None:
                return cl.Buffer(self.context, flags, m.size)
            # What is mapped of it are these bytes, which ends on this host read without a copy.
            made = cl.Buffer(self.context, flags | cl.mem_flags.USE_HOST_PTR, hostbuf=room)
            if self._is_its_memory:
                self._rooms[m.buffer] = room
            return made
        memory = cl.SVMAllocation(self.context, m.size, 0, cl.svm_mem_flags.READ_WRITE)
        self.shared[m.buffer] = memory
        host = np.frombuffer(memory.buf, np.uint8)
        # OpenCL 3.0 API, 5.6.1: the buffer is that memory, not a copy of it.
        return cl.Buffer(self.context, flags | cl.mem_flags.USE_HOST_PTR, hostbuf=host)

    def argument(self, cl: Any, number: int, offset: int, size: int) -> Any:
        """A region as a kernel's argument: a sub-buffer, or where it can't be one, a pointer."""
        memory = self.shared.get(number)
        if memory is None or offset % (self.device.mem_base_addr_align // 8) == 0:
            return self.region(number, offset, size)
        return cl.SVM(np.frombuffer(memory.buf, np.uint8)[offset:])

    def sampler(self, cl: Any, normalized: int, *modes: int) -> Any:
        """A sampler. There are few kinds of them, which are kept: PoCL doesn't retain what a kernel
        was given, and a launch that outlived its sampler read wrong pixels."""
        found = self.samplers.get((normalized, *modes))
        if found is None:
            found = cl.Sampler(self.context, bool(normalized), *modes)
            self.samplers[normalized, *modes] = found
        return found

    def region(self, number: int, offset: int, size: int) -> Any:
        """A region as a sub-buffer, or the buffer if it is all of it."""
        whole = self.buffer(number)
        if offset == 0 and size == whole.size:
            return whole
        regions = self._regions.setdefault(number, {})
        found = regions.get((offset, size))
        if found is None:
            found = regions[offset, size] = whole.get_sub_region(offset, size)
        return found

    def free(self, number: int) -> None:
        """Forget a buffer and all that was made of it."""
        self.frees += 1
        self.buffers.pop(number, None)
        self._rooms.pop(number, None)
        self.shared.pop(number, None)
        self.allocation_failures.pop(number, None)
        self._regions.pop(number, None)
        if self._pool is not None:
            self._pool.trim()

    def map(
        self, cl: Any, buffer: Any, offset: int, size: int, flags: int, after: Any = None
    ) -> tuple[Any, Any]:
        """(array, event) of bytes of a buffer in the host's memory, once the event has ended."""
        mapped: tuple[Any, Any] = cl.enqueue_map_buffer(
            self.transfer.queue,
            buffer,
            flags,
            offset,
            (size,),
            np.uint8,
            wait_for=after,
            is_blocking=False,
        )
        return mapped


class Devices:
    """The session's devices by id, each set up when it is first used.

    found: what pyopencl calls them. pool: where large buffers are on devices that use the host's
    memory.
    """

    def __init__(
        self,
        cl: Any,
        found: dict[int, Any],
        post: Callable[[list[Any]], None],
        pool: Pool | None = None,
    ) -> None:
        self._cl = cl
        self._found = found
        self._post, self._pool = post, pool
        self._used: dict[int, Device] = {}
        self._lock = threading.Lock()  # builds begin on the host thread

    def __getitem__(self, number: int) -> Device:
        known = self._used.get(number)
        if known is not None:
            return known
        with self._lock:
            used = self._used.get(number)
            if used is None:
                used = self._used[number] = Device(
                    self._cl, self._found[number], self._post, self._pool
                )
            return used

    def used(self) -> list[Device]:
        """Those that are set up; the host thread may set up another meanwhile."""
        return list(self._used.values())


def _small_room(size: int) -> Any:
    """Memory for a small buffer, where devices want buffers to begin."""
    whole = np.empty(size + small_room_step, np.uint8)
    start = -address(whole) % small_room_step
    return whole[start : start + size]


def _maps_in_place(cl: Any, device: Any) -> bool:
    """Whether a device's memory is the host's."""
    return bool(device.type & cl.device_type.CPU and device.host_unified_memory)


def _capabilities(cl: Any, device: Any) -> int:
    """SVM capabilities; none where the driver doesn't know the question."""
    try:
        return int(device.svm_capabilities)
    except cl.Error:
        return 0
