"""Bytes from a device and to it, for the transfers between ends.

Owns: which of the driver's queues a copy goes into, if it needs a command at all, what is mapped,
and the events of bytes that are being stored. Must not know: credit, connections, or when an
operation may start.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from node_agent.driver.memory import Device, Devices
from node_agent.driver.queues import Finish, Queue, closed, stored, untold
from node_agent.effects import Store
from node_agent.inputs import BytesReady, Ended
from vcl.wire.messages import part

in_line_bytes_max = 2**16
"""So few bytes are copied to and from the device in the queue of the kernels that make or need
them, and not mapped: each command and each change between queues costs more than the bytes do."""


class Moving:
    """events: by operation, of what is queued for computing and may run. queued(message, device,
    event): as an operation that is."""

    def __init__(
        self,
        cl: Any,
        devices: Devices,
        events: Mapping[int, Any],
        queued: Callable[[Any, Device, Any], None],
    ) -> None:
        self._cl, self._devices = cl, devices
        self._events, self._queued = events, queued
        self.stores: dict[int, Any] = {}
        """By Receive: the event of its last bytes."""
        self._mapped: dict[int, list[Any]] = {}  # by operation: arrays to be unmapped
        self._over: list[Any] = []

    def take_over(self) -> list[Any]:
        """Inputs for the core, of what was over as soon as it was begun."""
        over, self._over = self._over, []
        return over

    def await_stores(self, waits: Sequence[int], device: Device) -> None:
        """What is enqueued next on the compute queue waits for what Receives store, which are of
        the same device: operations wait for what touches the same memory."""
        stores = _under_way(self.stores, waits)
        if stores:
            self._cl.enqueue_barrier(device.compute.queue, wait_for=stores)

    def send(self, m: part.Send) -> None:
        """Begin a Send; BytesReady answers. Raises what a driver raises, DriverFailure."""
        device = self._devices[m.device]
        after = _under_way(self._events, m.waits)
        # Before the kernel that is enqueued next, which a driver with few threads may otherwise run
        # first, as a thread that waits for it may be told of that first.
        soon = not device.newest.isdisjoint(m.waits)
        stores = _under_way(self.stores, m.waits)
        place = device.place(m.buffer, m.offset, m.size)
        if place is not None and len(after) <= 1 and not stores:
            self._send_in_place(m, place, after, device.compute if soon else device.transfer)
            return
        queue = device.transfer
        if m.size <= in_line_bytes_max:
            if soon:
                queue = device.compute
                after += stores
            array: Any = np.empty(m.size, np.uint8)
            event = self._cl.enqueue_copy(
                queue.queue, array, device.buffer(m.buffer), src_offset=m.offset,
                wait_for=after, is_blocking=False,
            )  # fmt: skip
        else:
            array, event = device.map(
                self._cl, device.buffer(m.buffer), m.offset, m.size, self._cl.map_flags.READ, after
            )
            self._mapped[m.operation] = [(device, array)]

        def finish(operation: int, start: int, end: int) -> BytesReady:
            return BytesReady(operation, (memoryview(array),), start)

        queue.watch(event, finish, m.operation)

    def _send_in_place(
        self, m: part.Send, place: memoryview, after: list[Any], queue: Queue
    ) -> None:
        """Bytes that are the host's and the device's: nothing is enqueued, nor copied.

        Nobody overwrites them before the Send's end.
        """
        if not after:
            self._over.append(BytesReady(m.operation, (place,), time.time_ns()))
            return

        def finish(operation: int, start: int, end: int) -> BytesReady:
            return BytesReady(operation, (place,), end)

        queue.watch(after[0], finish, m.operation, own=False)

    def unmap(self, operation: int) -> None:
        """Carry out an Unmap."""
        for device, array in self._mapped.pop(operation, ()):
            array.base.release(device.transfer.queue)

    def store(self, store: Store) -> None:
        """Carry out a Store. Raises what a driver raises."""
        m = store.message
        device = self._devices[m.device]
        if self._store_in_place(store, device):
            return
        in_line = store.awaited and 0 < len(store.data) <= in_line_bytes_max
        queue = device.compute if in_line else device.transfer
        there = device.has_in_place(m.buffer, m.offset + store.offset, store.data)
        if there and not store.last:
            return
        if store.data and not there:
            event = self._cl.enqueue_copy(
                queue.queue,
                device.buffer(m.buffer),
                store.data,
                dst_offset=m.offset + store.offset,
                is_blocking=False,
            )
        else:
            event = self._cl.enqueue_marker(queue.queue)
        if in_line:
            self._queued(m, device, event)
            return
        # The bytes of any must live until its end, though only the last one's is told.
        told: Finish = untold
        if not store.data:
            # Of a Receive that has failed: nothing is told of an event that did, which would go on
            # referring to bytes that a peer waits to have given back.
            self.stores.pop(m.operation, None)
            told = closed
        elif store.last:
            self.stores[m.operation] = event
            told = self._stored
        device.transfer.watch(event, told, m.operation)

    def _store_in_place(self, store: Store, device: Device) -> bool:
        """Put few bytes, that are all of a Receive, where they belong; whether that was done."""
        m, size = store.message, len(store.data)
        if not (store.last and not store.offset and 0 < size <= in_line_bytes_max):
            return False
        place = device.place(m.buffer, m.offset, size)
        if place is None:
            return False
        began = time.time_ns()
        place[:] = store.data
        self._over.append(Ended(m.operation, 0, began, time.time_ns()))
        return True

    def _stored(self, operation: int, start: int, end: int) -> Ended:
        # What finds nothing to wait for relies on that it was waited for: to see an event's status
        # doesn't order memory.
        event = self.stores.pop(operation, None)
        if event is not None:  # else it has failed
            event.wait()
        return stored(operation, start, end)


def _under_way(events: Mapping[int, Any], waits: Sequence[int]) -> list[Any]:
    """Of operations that are waited for. The threads that wait take events out as they end."""
    found = [events.get(wait) for wait in waits]
    return [event for event in found if event is not None]
