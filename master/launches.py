"""Launches: whether to split, into which parts, and the operations of a merge.

Owns: the answer for each launch (*merge* or *whole*, and why), its parts, and its report record.
Must not know: connections or the order of commands.

Theory of operation of a merge. Every part's device gets the whole of each argument region and
keeps a snapshot of what the kernel may write; the parts run with a global offset; each device
but the *home* sends what changed against its snapshot to the home, which takes the changes in,
or, finding that two parts changed one element differently, restores its snapshot and runs the
launch whole. So the home holds the result whatever happens, and the plan of everything that
follows doesn't wait for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from master.access.elements import element_bytes
from master.builds import build_message
from master.commands import Command
from master.objects import KernelFacts, Program, Queue
from master.places import Candidates, Place
from master.planner import Planner
from master.reports import LaunchRecord, PartRecord
from master.residency import Buffer
from vcl.ndrange import NDRange, choose_local_size, split
from vcl.wire.messages import part, session

ADDRESS_CONSTANT = 0x119C


@dataclass(slots=True)
class Use:
    """A buffer region that a launch may touch; the hull where an argument list has it twice."""

    buffer: Buffer
    start: int
    end: int
    may_write: bool
    element: int


class LaunchPlanner:
    """Plans Launch messages for one session."""

    def __init__(self, planner: Planner, programs: dict[int, Program]) -> None:
        self._planner = planner
        self._ledger = planner.ledger
        self._programs = programs
        self._last_merge = 0

    def plan(self, command: Command) -> None:
        """Plan a launch; raises PlanFailed. Sets `command.record`."""
        message: session.Launch = command.message
        program = self._programs[message.program]
        uses = self._uses(message, program)
        queue: Queue = command.queue
        places = self._planner.candidates(queue).alike
        ndrange = NDRange(
            tuple(message.global_offset),
            tuple(message.global_size),
            None if message.local_size is None else tuple(message.local_size),
        )
        images = any(type(a) is list and a[0] == session.ARGUMENT_IMAGE for a in message.arguments)
        kernel = program.kernels[message.kernel]
        why_whole = self._why_whole(queue, places, program, kernel, ndrange, uses, images)
        if why_whole is None and ndrange.local_size is None:
            # Chosen once for all parts, so that every part sees the same local size.
            limits = zip(*(p.item_sizes_max for p in places), strict=True)
            local = choose_local_size(
                ndrange.global_size,
                min(kernel.group_items_max, *(p.group_items_max for p in places)),
                [min(sizes) for sizes in limits],
            )
            ndrange = NDRange(ndrange.global_offset, ndrange.global_size, local)
        pieces = split(ndrange, len(places)) if why_whole is None else [ndrange]
        if why_whole is None and len(pieces) == 1:
            why_whole = "one work-group is all there is"
        if why_whole is not None:
            regions = [(u.buffer, u.start, u.end) for u in uses]
            place = self._planner.nearest(queue, regions)
            command.record = LaunchRecord("whole", why_whole)
            self._run_whole(command, message, ndrange, uses, place)
        else:
            command.record = LaunchRecord(
                "merge",
                "changed bytes of whole buffers are merged; trusted to be free of races",
                kernel=kernel,
                message=message,
            )
            self._run_parts(command, message, pieces, uses, places[: len(pieces)], ndrange)

    def written(self, message: session.Launch) -> list[tuple[Buffer, int, int]]:
        """The regions that a launch may write."""
        uses = self._uses(message, self._programs[message.program])
        return [(u.buffer, u.start, u.end) for u in uses if u.may_write]

    def _uses(self, message: session.Launch, program: Program) -> list[Use]:
        facts = program.kernels[message.kernel]
        uses: dict[int, Use] = {}
        for index, argument in enumerate(message.arguments):
            region = session.argument_region(argument)
            if region is None:
                continue
            buffer_id, offset, size = region
            buffer = self._planner.buffers[buffer_id]
            address, type_name, const = facts.arguments[index]
            # What the program said of the buffer (READ_ONLY) is a hint that kernels may ignore.
            may_write = address != ADDRESS_CONSTANT and not (const and program.keeps_const)
            element = element_bytes(type_name)
            use = uses.get(buffer_id)
            if use is None:
                uses[buffer_id] = Use(buffer, offset, offset + size, may_write, element)
            else:
                use.start, use.end = min(use.start, offset), max(use.end, offset + size)
                use.may_write |= may_write
                use.element = max(use.element, element)
        return list(uses.values())

    def _why_whole(
        self,
        queue: Queue,
        places: Sequence[Place],
        program: Program,
        kernel: KernelFacts,
        ndrange: NDRange,
        uses: Sequence[Use],
        images: bool,
    ) -> str | None:
        """Why the launch can't be split, or None."""
        assert program.verdict is not None
        if not queue.context.split or queue.device:
            return "the queue is on a single device"
        if len(places) == 1:
            return "the cluster has one device, or none that is like it"
        if not program.verdict.may_split:
            return program.verdict.reason
        if kernel.conflicts is not None:
            return kernel.conflicts
        if images:
            return "it uses images"
        if any(u.buffer.shared for u in uses):
            return "a buffer was made with USE_HOST_PTR, or is shared virtual memory"
        if min(ndrange.global_size) == 0:
            return "the NDRange is empty"
        if ndrange.local_size is not None and any(
            size % local
            for size, local in zip(ndrange.global_size, ndrange.local_size, strict=True)
        ):
            return "the local size doesn't divide the global size"
        return None

    # ---- operations

    def _run(
        self,
        command: Command,
        message: session.Launch,
        piece: NDRange,
        uses: Sequence[Use],
        place: Place,
        also_after: Sequence[int],
        index: int,
    ) -> int:
        """Plan one part on a device that has all it needs; answers the operation's id."""
        live = self._ledger.live.keys()
        waits = {w for w in also_after if w in live}
        for use in uses:
            if use.may_write:
                waits |= use.buffer.writing(place.device, use.start, use.end, live)
            else:
                waits |= use.buffer.reading(place.device, use.start, use.end, live)
        program = self._programs[message.program]
        self._ensure_build(program, place)
        operation = self._ledger.begin(place.node, command, main=True, part=index)
        self._ledger.for_nodes[place.node].append(
            part.Run(
                operation.id,
                sorted(waits),
                place.device,
                message.program,
                message.kernel,
                list(piece.global_offset),
                list(piece.global_size),
                None if piece.local_size is None else list(piece.local_size),
                message.arguments,
            )
        )
        program.note_operation(operation.id, live)
        for use in uses:
            if use.may_write:
                use.buffer.note_writer(place.device, use.start, use.end, operation.id, live)
            else:
                use.buffer.note_reader(
                    place.device, use.start, use.end, operation.id, live
                )
        record: LaunchRecord = command.record
        record.parts.append(
            PartRecord(place.node_name, place.device_name, piece.global_offset, piece.global_size)
        )
        return operation.id

    def _ensure_build(self, program: Program, place: Place) -> None:
        """A node that came after the build, or lost its executor, builds by itself."""
        if place.node not in program.nodes:
            program.nodes.add(place.node)
            places = self._planner.places(program.context.devices)
            devices = [p.device for p in places if p.node == place.node]
            self._ledger.for_nodes[place.node].append(build_message(program, 0, devices))

    def _bring_all(self, command: Command, uses: Sequence[Use], place: Place) -> None:
        for use in uses:
            self._planner.bring(command, use.buffer, use.start, use.end, place)
        record: LaunchRecord = command.record
        record.bytes_moved = command.bytes_brought

    def _run_whole(
        self,
        command: Command,
        message: session.Launch,
        ndrange: NDRange,
        uses: Sequence[Use],
        place: Place,
    ) -> None:
        self._bring_all(command, uses, place)
        for use in uses:
            if use.may_write:
                self._planner.gather(use.buffer, place)
        operation = self._run(command, message, ndrange, uses, place, (), 0)
        for use in uses:
            if use.may_write:
                self._planner.give(
                    command, use.buffer, use.start, use.end, place.device, operation
                )

    def _run_parts(
        self,
        command: Command,
        message: session.Launch,
        pieces: Sequence[NDRange],
        uses: Sequence[Use],
        places: list[Place],
        ndrange: NDRange,
    ) -> None:
        written = [u for u in uses if u.may_write]
        regions = [[u.buffer.id, u.start, u.end - u.start, u.element] for u in written]
        home_place = Candidates(places).nearest([(u.buffer, u.start, u.end) for u in uses])
        home = places.index(home_place)
        for place in places:
            self._bring_all(command, uses, place)
        self._last_merge += 1
        merge = self._last_merge
        transfers = []
        runs = []
        for index, (piece, place) in enumerate(zip(pieces, places, strict=True)):
            runs.append(
                self._run_part(command, message, piece, uses, place, index, merge, regions)
            )
        if not written:
            return
        finish = self._ledger.begin(home_place.node, command)
        for index, place in enumerate(places):
            if index == home:
                continue
            transfer = self._ledger.new_transfer(finish.id, home_place.node)
            transfers.append([transfer, self._ledger.endpoint(place.node)])
            self._send_changes(
                command,
                place,
                runs[index],
                merge,
                regions,
                written,
                transfer,
                self._ledger.endpoint(home_place.node),
            )
        description = part.Merge(
            finish.id,
            [runs[home]],
            home_place.device,
            merge,
            regions,
            transfers,
            message.program,
            message.kernel,
            list(ndrange.global_offset),
            list(ndrange.global_size),
            None if ndrange.local_size is None else list(ndrange.local_size),
            message.arguments,
        )
        self._finish_merge(command, description, uses, home_place)

    def _finish_merge(
        self, command: Command, message: part.Merge, uses: Sequence[Use], home: Place
    ) -> None:
        """Send the merge to its home, which holds the result after it."""
        live = self._ledger.live.keys()
        waits = set(message.waits)
        for use in uses:
            waits |= use.buffer.writing(home.device, use.start, use.end, live)
        self._ledger.for_nodes[home.node].append(message._replace(waits=sorted(waits)))
        operation = message.operation
        self._programs[message.program].note_operation(operation, live)
        for use in uses:
            if use.may_write:
                self._planner.give(
                    command, use.buffer, use.start, use.end, home.device, operation
                )
            else:
                # The rerun after a conflict reads it.
                use.buffer.note_reader(home.device, use.start, use.end, operation, live)

    def _run_part(
        self,
        command: Command,
        message: session.Launch,
        piece: NDRange,
        uses: Sequence[Use],
        place: Place,
        index: int,
        merge: int,
        regions: list[list[int]],
    ) -> int:
        """Snapshot and run; what the part writes is the device's alone until it is merged."""
        live = self._ledger.live.keys()
        after: list[int] = []
        if regions:
            waits: set[int] = set()
            for use in uses:
                if use.may_write:
                    waits |= use.buffer.reading(place.device, use.start, use.end, live)
            snapshot = self._ledger.begin(place.node, command)
            self._ledger.for_nodes[place.node].append(
                part.Snapshot(snapshot.id, sorted(waits), place.device, merge, regions)
            )
            after.append(snapshot.id)
        return self._run(command, message, piece, uses, place, after, index)

    def _send_changes(
        self,
        command: Command,
        place: Place,
        run: int,
        merge: int,
        regions: list[list[int]],
        written: Sequence[Use],
        transfer: int,
        endpoint: int,
    ) -> None:
        live = self._ledger.live.keys()
        operation = self._ledger.begin(place.node, command, transfer=transfer)
        self._ledger.transfers[transfer].sender_node = place.node
        self._ledger.for_nodes[place.node].append(
            part.SendChanges(
                operation.id, [run], place.device, merge, regions, transfer, endpoint
            )
        )
        for use in written:
            use.buffer.note_reader(
                place.device, use.start, use.end, operation.id, live
            )
