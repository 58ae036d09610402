"""The bytes of merges, on the host thread.

Owns: packing what a part changed, and taking in what the others did. Must not know: the form of
changes (`node_agent.merge`), connections.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from node_agent import merge
from node_agent.driver.failures import DriverFailure
from node_agent.driver.launch import Launcher
from node_agent.driver.memory import Device, Devices
from node_agent.effects import StartMerge
from node_agent.inputs import BytesReady, Ended
from vcl.errors import OUT_OF_RESOURCES
from vcl.wire.messages import part


class Merging:
    """Both of its methods raise whatever a driver raises, and DriverFailure for bad changes."""

    def __init__(
        self, cl: Any, devices: Devices, launcher: Launcher, post: Callable[[list[Any]], None]
    ) -> None:
        self._cl = cl
        self._devices = devices
        self._launcher = launcher
        self._post = post

    def pack_changes(self, m: part.SendChanges) -> None:
        """Post BytesReady with what a part changed since its snapshot, which is dropped."""
        device = self._devices[m.device]
        start = time.time_ns()
        snapshots = device.snapshots.pop(m.merge)
        read = self._cl.map_flags.READ
        data: list[Any] = []
        for (buffer, offset, size, element), snapshot in zip(m.regions, snapshots, strict=True):
            before, event_before = device.map(self._cl, snapshot, 0, size, read)
            after, event_after = device.map(self._cl, device.buffer(buffer), offset, size, read)
            self._cl.wait_for_events([event_before, event_after])
            packed = merge.pack_changes(before, after, element)
            data += [len(packed).to_bytes(8, "little"), packed]
            before.base.release(device.transfer.queue)
            after.base.release(device.transfer.queue)
        self._post([BytesReady(m.operation, tuple(data), start)])

    def merge(self, effect: StartMerge) -> None:
        """Carry out a StartMerge, and post Ended."""
        m: part.Merge = effect.message
        device = self._devices[m.device]
        start = time.time_ns()
        snapshots = device.snapshots.pop(m.merge)
        changes = [_split_changes(c, len(m.regions)) for c in effect.changes]
        extra = None
        flags = self._cl.map_flags.READ | self._cl.map_flags.WRITE
        for index, (buffer, offset, size, element) in enumerate(m.regions):
            before, event_before = device.map(
                self._cl, snapshots[index], 0, size, self._cl.map_flags.READ
            )
            target, event_target = device.map(self._cl, device.buffer(buffer), offset, size, flags)
            self._cl.wait_for_events([event_before, event_target])
            parsed = [merge.Changes(c[index]) for c in changes]
            if any(p.buffer_bytes != size or p.element_bytes != element for p in parsed):
                raise DriverFailure(OUT_OF_RESOURCES, "a part sent changes of another region")
            conflict = merge.merge(before, target, parsed)
            before.base.release(device.transfer.queue)
            target.base.release(device.transfer.queue).wait()
            if conflict is not None:
                extra = ["conflict", buffer, offset + conflict]
                break
        if extra is not None:
            self._run_again(device, m, snapshots)
        self._post([Ended(m.operation, 0, start, time.time_ns(), None, extra)])

    def _run_again(self, device: Device, m: part.Merge, snapshots: Sequence[Any]) -> None:
        """Parts contradicted each other: restore the pre-image and run the launch whole."""
        queue = device.compute.queue
        for (buffer, offset, size, _), snapshot in zip(m.regions, snapshots, strict=True):
            self._cl.enqueue_copy(
                queue, device.buffer(buffer), snapshot, byte_count=size, dst_offset=offset
            )
        self._launcher.launch(device, m).wait()


def _split_changes(data: bytes, count: int) -> list[memoryview]:
    """The packed changes of each region, out of one transfer."""
    view = memoryview(data)
    found = []
    for _ in range(count):
        length = int.from_bytes(view[:8], "little")
        if len(view) < 8 + length:
            raise DriverFailure(OUT_OF_RESOURCES, "a part sent too few changed bytes")
        found.append(view[8 : 8 + length])
        view = view[8 + length :]
    if view:
        raise DriverFailure(OUT_OF_RESOURCES, "a part sent too many changed bytes")
    return found
