"""From a command to operations on nodes: where it runs, what has to be brought there.

Owns: the choice of devices, and the translation of every command but launches split in parts
(`launches`). Must not know: connections, the order of commands, how operations are carried out.

Long because each kind of command, and each way for bytes to travel, has its translation here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from master.checks import regions
from master.commands import Command
from master.ledger import Gives, Ledger
from master.objects import Queue
from master.places import NONE_CONNECTED, Candidates, Place, PlanFailed, PlanPaused
from master.residency import SETTLED, UNTOUCHED, Buffer, Contents
from vcl.errors import DEVICE_NOT_AVAILABLE, OUT_OF_RESOURCES
from vcl.ids import CLIENT
from vcl.region import RegionMap
from vcl.wire.limits import staging_bytes_max
from vcl.wire.messages import part, session

brought_max = 64
"""Pieces that are brought somewhere in one go."""

LOST = "bytes it needs were lost: "


def lost(contents: Contents) -> str:
    """Why contents are lost; the first cause, however many commands it has passed through."""
    assert contents.lost is not None
    return LOST + contents.lost.removeprefix(LOST)


class Planner:
    """Plans commands of one session.

    places: answers the usable places among device ids, in a stable order. why_none: why there is
    none, for the user.
    """

    def __init__(
        self,
        ledger: Ledger,
        buffers: dict[int, Buffer],
        places: Callable[[Sequence[int]], list[Place]],
        why_none: Callable[[Sequence[int]], str] = lambda devices: NONE_CONNECTED,
    ) -> None:
        self.ledger = ledger
        self.buffers = buffers
        self.places = places
        self._candidates: dict[int, Candidates] = {}
        self._room = 0
        self._why_none = why_none

    # ---- choice of a device

    def places_changed(self) -> None:
        """`places` may answer otherwise from now on."""
        self._candidates.clear()

    def candidates(self, queue: Queue) -> Candidates:
        """The places where a command of this queue may run; raises PlanFailed if there is none."""
        key = queue.device or -queue.context.id
        found = self._candidates.get(key)
        if found is None:
            devices = [queue.device] if queue.device else queue.context.devices
            found = self._candidates[key] = Candidates(self.places(devices))
        if not found.places:
            devices = [queue.device] if queue.device else queue.context.devices
            raise PlanFailed(DEVICE_NOT_AVAILABLE, self._why_none(devices))
        return found

    def nearest(self, queue: Queue, regions: Sequence[tuple[Buffer, int, int]]) -> Place:
        """The place that holds most bytes of the regions; the first of equals."""
        return self.candidates(queue).nearest(regions)

    # ---- memory

    def ensure_memory(self, buffer: Buffer, place: Place) -> None:
        """The device has memory for the buffer once its messages so far are handled."""
        if place.device not in buffer.touched:
            buffer.touched[place.device] = RegionMap(buffer.size, UNTOUCHED)
            buffer.nodes[place.device] = place.node
            self._tell(place, part.Allocate(place.device, buffer.id, buffer.size, buffer.shared))

    def begin(self) -> None:
        """The next command is about to be planned."""
        self._room = brought_max

    def bring(
        self,
        command: Command | None,
        buffer: Buffer,
        start: int,
        end: int,
        place: Place,
    ) -> None:
        """Plan that the device holds the current contents of a region.

        Whoever uses the region afterwards finds the operations to wait for in `touched`. command:
        that needs it; if none does, lost bytes are left out. Raises PlanPaused if that is too much
        for one go; PlanFailed if the command needs lost bytes.
        """
        self.ensure_memory(buffer, place)
        if buffer.held.get(place.device) == buffer.size:
            return  # the usual case, told without looking at each segment
        for low, high, contents in list(buffer.contents.segments(start, end)):
            if place.device in contents.holders:
                continue
            if contents.lost is not None:
                if command is not None:
                    raise PlanFailed(OUT_OF_RESOURCES, lost(contents))
                continue
            if not self._room:
                raise PlanPaused
            self._room -= 1
            if contents.version == 0:
                self._zero(command, buffer, low, high, place)
                continue
            self._receive(command, buffer, low, high, place, contents)
            if command is not None:
                command.bytes_brought += high - low

    def gather(self, buffer: Buffer, place: Place) -> None:
        """Whoever cuts a buffer that is in very many pieces has them brought together first.

        Else who needs the buffer whole would have to bring them all. Raises PlanPaused.
        """
        if buffer.is_cut_up:
            self.bring(None, buffer, 0, buffer.size, place)

    def _zero(
        self, command: Command | None, buffer: Buffer, start: int, end: int, place: Place
    ) -> None:
        """Never written: a read must give the same on every device, so all begin with zeros."""
        live = self.ledger.live.keys()
        waits = buffer.writing(place.device, start, end, live)
        operation = self.ledger.begin(place.node, command)
        self.ledger.gives(operation, Gives(buffer, place.device, start, end, 0))
        self._tell(
            place,
            part.FillRegion(
                operation.id, sorted(waits), place.device, buffer.id, start, end - start, b"\0"
            ),
        )
        buffer.note_writer(place.device, start, end, operation.id, live)
        buffer.add_holder(place.device, start, end)

    def _receive(
        self,
        command: Command | None,
        buffer: Buffer,
        start: int,
        end: int,
        place: Place,
        contents: Contents,
    ) -> None:
        live = self.ledger.live.keys()
        waits = buffer.writing(place.device, start, end, live)
        version = contents.version
        if version == SETTLED:
            version = self.ledger.new_version()
            buffer.unsettle(start, end, version)
        operation = self.ledger.begin(place.node, command)
        self.ledger.gives(operation, Gives(buffer, place.device, start, end, version))
        transfer = self.ledger.new_transfer(operation.id, place.node)
        receiver = self.ledger.endpoint(place.node)
        size = end - start
        sources = self.places(sorted(contents.holders))
        if sources:
            # A holder on the same node is nearest; else the first, so that plans are repeatable.
            source = min(sources, key=lambda p: (p.node != place.node, p.device))
            self.send(command, buffer, start, end, source, transfer, receiver)
            endpoint = self.ledger.endpoint(source.node)
        else:
            assert contents.staging is not None, contents
            staging, base = contents.staging
            operation.staging = staging
            self.ledger.for_client.append(
                session.Push(transfer, staging, start - base, size, receiver)
            )
            endpoint = CLIENT
        self._tell(
            place,
            part.Receive(
                operation.id,
                sorted(waits),
                place.device,
                buffer.id,
                start,
                size,
                transfer,
                endpoint,
            ),
        )
        buffer.note_writer(place.device, start, end, operation.id, live)
        buffer.add_holder(place.device, start, end)

    def send(
        self,
        command: Command | None,
        buffer: Buffer,
        start: int,
        end: int,
        source: Place,
        transfer: int,
        endpoint: int,
        main: bool = False,
    ) -> None:
        """Plan that a device sends a region to an endpoint."""
        live = self.ledger.live.keys()
        waits = buffer.reading(source.device, start, end, live)
        operation = self.ledger.begin(source.node, command, transfer=transfer, main=main)
        self.ledger.transfers[transfer].sender_node = source.node
        self._tell(
            source,
            part.Send(
                operation.id,
                sorted(waits),
                source.device,
                buffer.id,
                start,
                end - start,
                transfer,
                endpoint,
            ),
        )
        buffer.note_reader(source.device, start, end, operation.id, live)

    def give(
        self, command: Command, buffer: Buffer, start: int, end: int, device: int, operation: int
    ) -> None:
        """An operation writes a new version of a region on a device, which alone holds it."""
        version = self.ledger.new_version()
        live = self.ledger.live
        gives = Gives(buffer, device, start, end, version, makes=True)
        self.ledger.gives(live[operation], gives)
        buffer.note_writer(device, start, end, operation, live.keys())
        buffer.supersede(start, end, Contents(version, frozenset((device,))))

    def _tell(self, place: Place, message: Any) -> None:
        self.ledger.for_nodes[place.node].append(message)

    # ---- commands

    def plan(self, command: Command) -> None:
        """Plan any command but a launch.

        Raises PlanFailed, having planned nothing that matters, or PlanPaused.
        """
        message = command.message
        if isinstance(message, session.Write):
            buffer = self.buffers[message.buffer]
            if is_cut_up := buffer.is_cut_up:
                place = self.nearest(command.queue, [(buffer, 0, buffer.size)])
                self.gather(buffer, place)
            contents = Contents(
                self.ledger.new_version(), staging=(message.staging, message.offset)
            )
            end = message.offset + message.size
            buffer.supersede(message.offset, end, contents)
            self.ledger.note_staging(message.staging, message.size)
            crowded = self.ledger.staged_bytes > staging_bytes_max // 2
            if crowded or is_cut_up:
                # The client will soon have to wait, or a command will have many pieces to gather:
                # hand it on before somebody asks for it.
                place = self.nearest(command.queue, [(buffer, 0, buffer.size)])
                self._room += 1
                self.bring(command, buffer, message.offset, end, place)
        elif isinstance(message, session.Read):
            self._read(command, message)
        elif isinstance(message, session.Copy):
            self._copy(command, message)
        elif isinstance(message, session.CopyRect):
            self._copy_rect(command, message)
        elif isinstance(message, session.Fill):
            self._fill(command, message)
        else:
            assert isinstance(message, session.Marker), message

    def written(self, message: Any) -> list[tuple[Buffer, int, int]]:
        """The region that any command but a launch writes, if it writes one."""
        if isinstance(message, (session.Copy, session.CopyRect)):
            number, start, size = regions(message)[1]
        elif isinstance(message, (session.Write, session.Fill)):
            number, start, size = regions(message)[0]
        else:
            return []
        return [(self.buffers[number], start, start + size)]

    def _read(self, command: Command, message: session.Read) -> None:
        buffer = self.buffers[message.buffer]
        end = message.offset + message.size
        segments = list(buffer.contents.segments(message.offset, end))
        for _, _, contents in segments:
            if contents.lost is not None:
                raise PlanFailed(OUT_OF_RESOURCES, lost(contents))
        # Prefer one holder for neighbouring segments: fewer and longer transfers.
        joined = _joined(segments)
        if sum(contents.staging is None for _, _, contents in joined) > brought_max:
            place = self.nearest(command.queue, [(buffer, message.offset, end)])
            self.bring(command, buffer, message.offset, end, place)
            joined = [(message.offset, end, Contents(SETTLED, frozenset((place.device,))))]
        for start, stop, contents in joined:
            at, size = start - message.offset, stop - start
            sources = self.places(sorted(contents.holders))
            transfer = endpoint = staging = source_offset = 0
            if contents.staging is not None:
                staging, source_offset = contents.staging[0], start - contents.staging[1]
            elif sources:
                transfer = self.ledger.new_transfer()
                endpoint = self.ledger.endpoint(sources[0].node)
                self.send(command, buffer, start, stop, sources[0], transfer, CLIENT, main=True)
            self.ledger.for_client.append(
                session.Pull(command.event, at, size, transfer, endpoint, staging, source_offset)
            )

    def _copy(self, command: Command, message: session.Copy) -> None:
        source, destination = self.buffers[message.source], self.buffers[message.destination]
        source_end = message.source_offset + message.size
        end = message.destination_offset + message.size
        place = self.nearest(
            command.queue,
            [
                (source, message.source_offset, source_end),
                (destination, message.destination_offset, end),
            ],
        )
        self.bring(command, source, message.source_offset, source_end, place)
        self.gather(destination, place)
        self.ensure_memory(destination, place)
        live = self.ledger.live.keys()
        waits = source.reading(place.device, message.source_offset, source_end, live)
        waits |= destination.writing(place.device, message.destination_offset, end, live)
        operation = self.ledger.begin(place.node, command, main=True)
        self._tell(
            place,
            part.CopyRegion(
                operation.id,
                sorted(waits),
                place.device,
                source.id,
                message.source_offset,
                destination.id,
                message.destination_offset,
                message.size,
            ),
        )
        source.note_reader(
            place.device, message.source_offset, source_end, operation.id, live
        )
        self.give(
            command, destination, message.destination_offset, end, place.device, operation.id
        )

    def _copy_rect(self, command: Command, m: session.CopyRect) -> None:
        """As a copy between the boxes' hulls, but the destination's gaps keep their contents."""
        source, destination = self.buffers[m.source], self.buffers[m.destination]
        start, end = m.source_offset, m.source_offset + m.source_size
        first, last = m.destination_offset, m.destination_offset + m.destination_size
        place = self.nearest(command.queue, [(source, start, end), (destination, first, last)])
        self.bring(command, source, start, end, place)
        self.bring(command, destination, first, last, place)
        self.gather(destination, place)
        live = self.ledger.live.keys()
        waits = source.reading(place.device, start, end, live)
        waits |= destination.writing(place.device, first, last, live)
        operation = self.ledger.begin(place.node, command, main=True)
        self._tell(place, part.CopyBox(operation.id, sorted(waits), place.device, *m[3:]))
        source.note_reader(place.device, start, end, operation.id, live)
        self.give(command, destination, first, last, place.device, operation.id)

    def _fill(self, command: Command, message: session.Fill) -> None:
        buffer = self.buffers[message.buffer]
        end = message.offset + message.size
        place = self.nearest(command.queue, [(buffer, 0, buffer.size)])
        self.gather(buffer, place)
        self.ensure_memory(buffer, place)
        live = self.ledger.live.keys()
        waits = buffer.writing(place.device, message.offset, end, live)
        operation = self.ledger.begin(place.node, command, main=True)
        self._tell(
            place,
            part.FillRegion(
                operation.id,
                sorted(waits),
                place.device,
                buffer.id,
                message.offset,
                message.size,
                message.pattern,
            ),
        )
        self.give(command, buffer, message.offset, end, place.device, operation.id)


def _joined(segments: list[tuple[int, int, Contents]]) -> list[tuple[int, int, Contents]]:
    """Join neighbouring segments that one place or one staging copy can serve in one go."""
    joined: list[tuple[int, int, Contents]] = []
    for start, end, contents in segments:
        if joined:
            before = joined[-1]
            old = before[2]
            common = old.holders & contents.holders
            same_staging = old.staging == contents.staging
            if same_staging and (common or (not old.holders and not contents.holders)):
                merged = Contents(old.version, common, old.staging)
                joined[-1] = (before[0], end, merged)
                continue
        joined.append((start, end, contents))
    return joined
