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
from node_agent.merge import Changes
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
        if [snapshot.size for snapshot in snapshots] != [size for _, _, size, _, _ in m.regions]:
            raise DriverFailure(OUT_OF_RESOURCES, "the snapshot is of other regions")
        extra = None
        incoming = changes_by_region(m, effect.changes)
        for region, snapshot, changes in zip(m.regions, snapshots, incoming, strict=True):
            conflict = self._merge_region(device, region, snapshot, changes) if changes else None
            if conflict is not None:
                extra = ["conflict", region[0], conflict]
                self._run_again(device, m, snapshots)
                break
        self._post([Ended(m.operation, 0, start, time.time_ns(), None, extra)])

    def _merge_region(
        self,
        device: Device,
        region: Sequence[int],
        snapshot: Any,
        changes: Sequence[tuple[int, Changes]],
    ) -> int | None:
        """Answers where in the buffer an element in conflict is, or None."""
        buffer, offset, size, _, how = region
        flags = self._cl.map_flags.READ | self._cl.map_flags.WRITE
        before, event_before = device.map(self._cl, snapshot, 0, size, self._cl.map_flags.READ)
        target, event_target = device.map(self._cl, device.buffer(buffer), offset, size, flags)
        self._cl.wait_for_events([event_before, event_target])
        found = None
        for at, part_changes in changes:
            here = slice(at, at + part_changes.buffer_bytes)
            conflict = merge.merge(before[here], target[here], [part_changes], how)
            if conflict is not None:
                found = offset + at + conflict
                break
        before.base.release(device.transfer.queue)
        target.base.release(device.transfer.queue).wait()
        return found

    def _run_again(self, device: Device, m: part.Merge, snapshots: Sequence[Any]) -> None:
        """Parts contradicted each other: restore the pre-image and run the launch whole."""
        queue = device.compute.queue
        for (buffer, offset, size, *_), snapshot in zip(m.regions, snapshots, strict=True):
            self._cl.enqueue_copy(
                queue, device.buffer(buffer), snapshot, byte_count=size, dst_offset=offset
            )
        self._launcher.launch(device, m).wait()


def changes_by_region(
    m: part.Merge, received: Sequence[bytes]
) -> list[list[tuple[int, Changes]]]:
    """(offset in the region, changes) that came for each region of a merge, of whichever part.

    received: by transfer. Raises DriverFailure, and ValueError, for what isn't changes of the
    pieces that the message names.
    """
    found: list[list[tuple[int, Changes]]] = [[] for _ in m.regions]
    for data, (_, _, pieces) in zip(received, m.transfers, strict=True):
        packed = _split_changes(data, len(pieces))
        for (index, offset, size), one in zip(pieces, packed, strict=True):
            changes = Changes(one)
            if changes.buffer_bytes != size or changes.element_bytes != m.regions[index][3]:
                raise DriverFailure(OUT_OF_RESOURCES, "a part sent changes of another region")
            found[index].append((offset, changes))
    return found


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
