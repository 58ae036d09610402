"""The one place that carries a plan out: what it changes in the session, and what is said for it.

Owns: ids of operations, transfers and versions as plans need them, waits, hazards, and the messages
to executors and to the client. Must not know: why a plan is as it is, or what happens afterwards.

Nothing here can fail half-way: a plan names only what there is.

Long because each kind of step has its message here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from master.builds import build_message
from master.commands import Command
from master.direct import DirectLinks
from master.ledger import Gives, Ledger, Operation
from master.objects import Program
from master.places import Place
from master.plan.contents import Written
from master.plan.plan import CLIENT_END, Kind, Makes, Plan, Region, Step
from master.plan.replay import Replay, only_runs
from master.plan.residency import SETTLED, UNTOUCHED, Buffer, Contents
from master.plan.templates import Template
from master.plan.view import View
from master.reports import LaunchRecord
from vcl.ids import CLIENT
from vcl.region import RegionMap
from vcl.wire.messages import part, session
from vcl.wire.shapes import ShapeNumbers, Told, changed

steps_in_turn_max = 128
"""Steps of a plan that are carried out in one turn: some five milliseconds."""


class _Doing:
    """A plan on its way: what its parts have become so far."""

    __slots__ = ("cause", "command", "merge", "message", "plan", "told", "transfers")

    def __init__(self, plan: Plan, command: Command | None, merge: int) -> None:
        self.plan = plan
        self.command = command
        self.message: Any = None if command is None else command.message
        self.cause = 0 if command is None else command.event
        self.told = None if command is None else command.told
        self.merge = merge
        self.transfers: dict[int, int] = {}
        """Ids, by index."""

    def merged_regions(self, step: Step) -> list[list[int]]:
        """What a step reads of what is merged, as its message has it."""
        elements = {number: element for number, _, _, element, _ in self.plan.regions}
        return [[n, start, end - start, elements[n]] for n, start, end in step.reads]


class Committer:
    """Carries out the plans of one session."""

    def __init__(self, ledger: Ledger, view: View, direct: DirectLinks) -> None:
        self._ledger = ledger
        self._direct = direct
        self._buffers = view.buffers
        self._programs = view.programs
        self._places = view.places
        self._written = view.written
        self._last_merge = 0
        self._shapes: dict[int, ShapeNumbers] = {}
        """By endpoint."""

    def commit(self, plan: Plan, command: Command | None) -> None:
        """Carry a plan out. command: whose it is; None if nobody waits for it."""
        doing = self._begin(plan, command)
        for step in plan.steps:
            self._do(step, doing)
        self._end(doing)

    def commit_in_turns(self, plan: Plan, command: Command) -> Iterator[None]:
        """As `commit`, of a plan of many steps.

        Until it has ended nothing else may be planned or carried out, and what executors have said
        meanwhile, or that one was lost, is heeded afterwards.
        """
        doing = self._begin(plan, command)
        for first in range(0, len(plan.steps), steps_in_turn_max):
            for step in plan.steps[first : first + steps_in_turn_max]:
                self._do(step, doing)
            yield None
        self._end(doing)

    def _begin(self, plan: Plan, command: Command | None) -> _Doing:
        if plan.transfers:
            self._note_ends(plan)
        if plan.regions:
            self._last_merge += 1
        doing = _Doing(plan, command, self._last_merge)
        if plan.answer is not None:
            assert command is not None
            self._begin_record(plan, command)
        if plan.staged is not None:
            self._stage(plan.staged, doing.message)
        return doing

    def _end(self, doing: _Doing) -> None:
        for start, end, transfer in doing.plan.deliveries:
            self._deliver(start, end, transfer, doing)
        command = doing.command
        if command is not None and command.record is not None:
            command.record.bytes_moved = command.bytes_brought

    def replay(self, template: Template, told: Told) -> Replay | None:
        """How a template's plan is committed for a launch that was told, without looking at it
        anew; None if it has to be."""
        replay: Replay | None = template.replay
        if replay is None:
            if not only_runs(template.plan):
                return None
            replay = Replay(template.plan, template.program, told)
            if not replay.set_up(template.buffers, self._ledger.endpoint, self._shapes_of):
                return None
            template.replay = replay
        if replay.holds(told, self._shapes):
            return replay
        template.replay = None
        return None

    # ---- steps

    def _do(self, step: Step, doing: _Doing) -> None:
        ledger, place = self._ledger, step.place
        for regions in (step.writes, step.reads):
            for number, _, _ in regions:
                buffer = self._buffers[number]
                if place.device not in buffer.touched:
                    self._make_memory(buffer, place, doing.cause)
        program = None
        if step.piece is not None:
            program = self._program(step, doing)
            if place.node not in program.nodes:
                self._build(program, place, doing.cause)
        command = None if step.shared else doing.command
        learned = None if step.rim else step.piece
        operation = ledger.begin(place.node, command, step.main, step.part, learned)
        waits = sorted(self._order(step, operation.id))
        if step.sends is not None:
            self._begin_sending(step, operation, doing)
        for transfer in step.receives:
            self._begin_receiving(transfer, operation, doing)
        ledger.for_nodes[place.node].append(_SAY[step.kind](self, operation, waits, step, doing))
        if program is not None:
            program.note_operation(operation.id, ledger.live.keys())
        if step.makes is not Makes.NOTHING:
            for region in step.writes:
                self._write(step, region, operation)

    def _order(self, step: Step, operation: int) -> set[int]:
        """The operations under way that a step has to wait for, by what it reads and writes."""
        live, device, buffers = self._ledger.live.keys(), step.place.device, self._buffers
        waits: set[int] = set()
        for number, start, end in step.reads:
            buffers[number].read_by(operation, device, start, end, live, waits)
        for number, start, end in step.writes:
            buffers[number].written_by(operation, device, start, end, live, waits)
        waits.discard(operation)  # which may name a region twice
        return waits

    def _write(self, step: Step, region: Region, operation: Operation) -> None:
        number, start, end = region
        ledger, buffer, device = self._ledger, self._buffers[number], step.place.device
        if step.makes is Makes.VERSION:
            version = ledger.new_version()
            operation.gives += (Gives(buffer, device, start, end, version, True),)
            buffer.giving(version)
            buffer.supersede(start, end, Contents(version, frozenset((device,))))
        else:
            (piece,) = buffer.contents.segments(start, end)
            version = piece[2].version
            if version == SETTLED:
                version = ledger.new_version()
                buffer.unsettle(start, end, version)
            operation.gives += (Gives(buffer, device, start, end, version),)
            buffer.giving(version)
            buffer.add_holder(device, start, end)

    def _make_memory(self, buffer: Buffer, place: Place, cause: int) -> None:
        """The device has memory for the buffer once its messages so far are handled."""
        buffer.touched[place.device] = RegionMap(buffer.size, UNTOUCHED)
        buffer.nodes[place.device] = place.node
        message = part.Allocate(place.device, buffer.id, buffer.size, buffer.shared, cause)
        self._ledger.for_nodes[place.node].append(message)

    def _build(self, program: Program, place: Place, cause: int) -> None:
        """A node that came after the build, or lost its executor, builds by itself."""
        program.nodes.add(place.node)
        places = self._places(program.context.devices)
        devices = [p.device for p in places if p.node == place.node]
        self._ledger.for_nodes[place.node].append(build_message(program, 0, devices, cause))

    def _program(self, step: Step, doing: _Doing) -> Program:
        """What a step runs a kernel of."""
        program = self._programs[doing.message.program]
        if step.rewritten:
            assert isinstance(program.variant, Program)
            return program.variant
        return program

    # ---- transfers and the client

    def _note_ends(self, plan: Plan) -> None:
        """Between which ends bytes are about to go."""
        steps = plan.steps
        for transfer in plan.transfers:
            source, destination = (
                CLIENT if step == CLIENT_END else steps[step].place.node
                for step in (transfer.source, transfer.destination)
            )
            self._direct.used(source, destination)

    def _begin_sending(self, step: Step, operation: Operation, doing: _Doing) -> None:
        assert step.sends is not None
        number = doing.transfers[step.sends] = self._ledger.new_transfer()
        self._ledger.transfers[number].sender_node = step.place.node
        operation.transfer = number

    def _begin_receiving(self, transfer: int, operation: Operation, doing: _Doing) -> None:
        """From the client it is known only now, from others since they began to send."""
        if doing.plan.transfers[transfer].source == CLIENT_END:
            doing.transfers[transfer] = self._ledger.new_transfer()
        number = doing.transfers[transfer]
        record = self._ledger.transfers[number]
        record.receiver, record.receiver_node = operation.id, operation.node
        operation.receives += (number,)

    def _source(self, transfer: int, doing: _Doing) -> int:
        """The endpoint that a transfer comes from."""
        step = doing.plan.transfers[transfer].source
        if step == CLIENT_END:
            return CLIENT
        return self._ledger.endpoint(doing.plan.steps[step].place.node)

    def _destination(self, transfer: int, doing: _Doing) -> int:
        step = doing.plan.transfers[transfer].destination
        if step == CLIENT_END:
            return CLIENT
        return self._ledger.endpoint(doing.plan.steps[step].place.node)

    def _stage(self, region: Region, message: session.Write) -> None:
        number, start, end = region
        version = self._ledger.new_version()
        if message.digest and not self._buffers[number].shared:
            self._written.note(message.digest, Written(number, start, end, version))
        contents = Contents(version, staging=(message.staging, start))
        self._buffers[number].supersede(start, end, contents)
        self._ledger.note_staging(message.staging, end - start)

    def _deliver(self, start: int, end: int, transfer: int | None, doing: _Doing) -> None:
        m: session.Read = doing.message
        number = endpoint = staging = offset = 0
        if transfer is not None:
            number, endpoint = doing.transfers[transfer], self._source(transfer, doing)
        else:
            contents = next(self._buffers[m.buffer].contents.segments(start, end))[2]
            if contents.staging is not None:
                staging, offset = contents.staging[0], start - contents.staging[1]
        self._ledger.for_client.append(
            session.Pull(
                m.event, start - m.offset, end - start, number, endpoint, staging, offset
            )
        )

    # ---- reports

    def _begin_record(self, plan: Plan, command: Command) -> None:
        assert plan.answer is not None
        message = command.message
        kernel = self._programs[message.program].kernels[message.kernel]
        mode, reason, _ = plan.answer
        command.record = LaunchRecord(mode, reason, kernel, message, plan)

    # ---- messages

    def _zero(self, o: Operation, waits: list[int], step: Step, doing: _Doing) -> Any:
        ((buffer, start, end),) = step.writes
        device = step.place.device
        return part.FillRegion(o.id, waits, device, buffer, start, end - start, b"\0", doing.cause)

    def _fill(self, o: Operation, waits: list[int], step: Step, doing: _Doing) -> Any:
        m: session.Fill = doing.message
        return part.FillRegion(
            o.id, waits, step.place.device, m.buffer, m.offset, m.size, m.pattern, doing.cause
        )

    def _copy(self, o: Operation, waits: list[int], step: Step, doing: _Doing) -> Any:
        ((source, start, end),), ((destination, first, _),) = step.reads, step.writes
        return part.CopyRegion(
            o.id, waits, step.place.device, source, start, destination, first, end - start,
            doing.cause,
        )  # fmt: skip

    def _copy_box(self, o: Operation, waits: list[int], step: Step, doing: _Doing) -> Any:
        box = (*doing.message[3:], doing.cause)
        return part.CopyBox(o.id, waits, step.place.device, *box)

    def _send(self, o: Operation, waits: list[int], step: Step, doing: _Doing) -> Any:
        ((buffer, start, end),) = step.reads
        assert step.sends is not None
        return part.Send(
            o.id, waits, step.place.device, buffer, start, end - start, o.transfer,
            self._destination(step.sends, doing), doing.cause,
        )  # fmt: skip

    def _receive(self, o: Operation, waits: list[int], step: Step, doing: _Doing) -> Any:
        ((buffer, start, end),) = step.writes
        (number,), (transfer,) = o.receives, step.receives
        source = self._source(transfer, doing)
        if source == CLIENT:
            contents = next(self._buffers[buffer].contents.segments(start, end))[2]
            assert contents.staging is not None, contents
            o.staging, base = contents.staging
            endpoint = self._ledger.endpoint(step.place.node)
            self._ledger.for_client.append(
                session.Push(number, o.staging, start - base, end - start, endpoint, doing.cause)
            )
        if not step.shared and doing.command is not None:
            doing.command.bytes_brought += end - start
        return part.Receive(
            o.id, waits, step.place.device, buffer, start, end - start, number, source, doing.cause
        )

    def _snapshot(self, o: Operation, waits: list[int], step: Step, doing: _Doing) -> Any:
        regions = doing.merged_regions(step)
        return part.Snapshot(o.id, waits, step.place.device, doing.merge, regions, doing.cause)

    def _run(self, o: Operation, waits: list[int], step: Step, doing: _Doing) -> Any:
        m: session.Launch = doing.message
        number = 0
        if doing.told is not None:
            values = doing.told.values_in(m.arguments)
            shapes, key = self._shapes_of(step.place.node), (doing.told, step.part)
            found = shapes.find(key)
            if found is not None and found.kept[0] is step:
                say = changed(values, found.kept[1])
                return part.Again(o.id, waits, found.number, say, doing.cause)
            told = shapes.tell(key, (step, values))
            number = told.number if told is not None else 0
        program = self._program(step, doing).id if step.rewritten else m.program
        arguments = m.arguments if step.hidden is None else [*m.arguments, step.hidden]
        return part.Run(
            o.id, waits, step.place.device, program, m.kernel, *_lists(step), arguments,
            doing.cause, number,
        )  # fmt: skip

    def _shapes_of(self, node: int) -> ShapeNumbers:
        """What was told to the executor on a node."""
        endpoint = self._ledger.endpoint(node)
        if endpoint not in self._shapes:
            self._shapes[endpoint] = ShapeNumbers()
        return self._shapes[endpoint]

    def endpoint_lost(self, endpoint: int) -> None:
        """That executor is gone; nothing was told to its successor."""
        self._shapes.pop(endpoint, None)

    def _send_changes(self, o: Operation, waits: list[int], step: Step, doing: _Doing) -> Any:
        assert step.sends is not None
        regions = doing.merged_regions(step)
        return part.SendChanges(
            o.id, waits, step.place.device, doing.merge, regions, o.transfer,
            self._destination(step.sends, doing), doing.cause,
        )  # fmt: skip

    def _merge(self, o: Operation, waits: list[int], step: Step, doing: _Doing) -> Any:
        m: session.Launch = doing.message
        regions = [list(region) for region in doing.plan.regions]
        transfers: list[list[Any]] = []
        for index in step.receives:
            pieces = [list(piece) for piece in doing.plan.transfers[index].pieces]
            transfers.append([doing.transfers[index], self._source(index, doing), pieces])
        return part.Merge(
            o.id, waits, step.place.device, doing.merge, regions, transfers, m.program, m.kernel,
            *_lists(step), m.arguments, doing.cause,
        )  # fmt: skip

    def _free(self, o: Operation, waits: list[int], step: Step, doing: _Doing) -> Any:
        ((buffer, _, _),) = step.writes
        return part.Free(o.id, waits, step.place.device, buffer)

    def forget(self, program: Program) -> None:
        """Nobody holds a program any more: its nodes forget it, once what uses it has ended."""
        live = self._ledger.live
        for node in sorted(program.nodes):
            waits = [o for o in program.operations if o in live and live[o].node == node]
            operation = self._ledger.begin(node, None)
            message = part.ForgetProgram(operation.id, sorted(waits), program.id)
            self._ledger.for_nodes[node].append(message)


def _lists(step: Step) -> tuple[list[int], list[int], list[int] | None]:
    """Global offset and size, and local size, as messages have them."""
    assert step.piece is not None
    local = None if step.piece.local_size is None else list(step.piece.local_size)
    return list(step.piece.global_offset), list(step.piece.global_size), local


# Not of each committer: bound methods would refer to it, and be a cycle.
_SAY: dict[Kind, Callable[[Committer, Operation, list[int], Step, _Doing], Any]] = {
    Kind.ZERO: Committer._zero,
    Kind.FILL: Committer._fill,
    Kind.COPY: Committer._copy,
    Kind.COPY_BOX: Committer._copy_box,
    Kind.SEND: Committer._send,
    Kind.RECEIVE: Committer._receive,
    Kind.SNAPSHOT: Committer._snapshot,
    Kind.RUN: Committer._run,
    Kind.SEND_CHANGES: Committer._send_changes,
    Kind.MERGE: Committer._merge,
    Kind.FREE: Committer._free,
}
