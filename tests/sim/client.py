"""The client of the simulation: carries out a program's steps around the real client core.

Owns: what `vcl.runtime` and the OpenCL objects do, on virtual time; checks of events and reads.
Must not know: masters, agents, or what faults strike.

Long because a program's steps, and what is said of them, share one client's state.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

from tests.copying import CopyingCore
from tests.sim.direct import Directs
from tests.sim.heap import Violation
from tests.sim.kernels import declared_of, source_of
from tests.sim.program import Program
from tests.sim.reference import judge_reads
from tests.sim.shells import TOKEN, Bulk, Dialled
from vcl.client_core import COMPLETE, Answered, Ended, EventState
from vcl.errors import DEVICE_NOT_AVAILABLE, RemoteProtocolError
from vcl.ids import CLIENT
from vcl.transfers import GrantCredit, Stream
from vcl.wire import frame
from vcl.wire.declared import pack
from vcl.wire.messages import session
from vcl.wire.messages.direct import OpenLink
from vcl.wire.messages.handshake import Hello, Welcome

if TYPE_CHECKING:
    from tests.sim.world import World


class ClientShell:
    """One session: runs its program, step by step, as a thread of a program would."""

    def __init__(self, world: World, number: int, program: Program, honest: bool) -> None:
        self._world = world
        self.number = number
        self.program = program
        self.core = CopyingCore(world.staging_bytes_max)
        self.dead: str | None = None
        """Why the session is over, or None."""
        self.finished = False
        """The program has come to its end."""
        self.outcome: dict[int, int] = {}
        """By command: the status that its event ended with."""
        self._released: list[int] = []
        self._next_step = 0
        self._blocked_on: Any = None  # events, a request's number, or (bytes to be staged,)
        self._events: dict[int, int] = {}
        self._commands: dict[int, int] = {}
        self._states: dict[int, EventState] = {}
        self._ended = 0
        self._destinations: dict[int, bytearray] = {}
        self._read: dict[int, bytes] = {}
        self._queues: list[int] = []
        self._buffers: dict[int, int] = {}
        self._programs: list[int] = []
        self._context = 0
        self._control = Dialled(
            world, Hello(software="sim", role="client", token=TOKEN), honest
        )
        self._control.ready = self._welcomed
        self._control.receive = self._from_master
        self._control.ended = self._over
        self._bulk_dialled: Dialled | None = None
        self._honest = honest

    # ---- beginning

    def _welcomed(self, welcome: Welcome) -> None:
        self._devices = [d.device for d in welcome.devices]
        hello = Hello(
            software="sim", role="client-bulk", token=welcome.key, session=welcome.session
        )
        self.session = welcome.session
        dialled = self._bulk_dialled = Dialled(self._world, hello, self._honest)
        self._bulk = Bulk(self._world, dialled, CLIENT, lambda transfer: None)
        self._direct = Directs(
            self._world, (welcome.session or 0, CLIENT), self._bulk.direct, self._from_endpoint,
            self._tell,
        )  # fmt: skip
        dialled.receive = self._from_endpoint
        dialled.ended = self._over
        dialled.ready = lambda welcome: self._begin()

    def _begin(self) -> None:
        core, program = self.core, self.program
        self._context = core.new_id()
        core.say(session.CreateContext(self._context, self._devices, True))
        for queue in program.queues:
            number = core.new_id()
            device = self._devices[queue.device % len(self._devices)] if queue.device else 0
            properties = 0 if queue.in_order else 1
            core.say(session.CreateQueue(number, self._context, device, properties))
            self._queues.append(number)
        for index, (size, shared) in program.buffers.items():
            self._buffers[index] = core.new_id()
            core.say(session.CreateBuffer(self._buffers[index], self._context, size, shared))
        for names in program.programs:
            number = core.new_id()
            self._programs.append(number)
            request = self._blocked_on = core.new_id()
            units = [[source_of(names), "", [], []]]
            core.say(
                session.BuildProgram(number, self._context, request, session.BUILD, units, "")
            )
        self._flush()

    # ---- steps

    def _go_on(self) -> None:
        """Carry out steps until one blocks; think for a moment now and then."""
        rng = self._world.rng
        while self.dead is None and self._blocked_on is None and not self.finished:
            if self._next_step == len(self.program.steps):
                self._end_program()
                return
            step = self.program.steps[self._next_step]
            self._next_step += 1
            getattr(self, f"_step_{step[0]}")(*step[1:])
            if self._blocked_on is None and rng.random() < 0.3:
                self._blocked_on = []
                self._world.heap.after(rng.choice((1e-6, 1e-4, 1e-2)), self._unblock)
                return

    def _unblock(self) -> None:
        if self.dead is None:
            self._blocked_on = None
            self._go_on()

    def _wait_for(self, events: list[int]) -> None:
        waiting = [e for e in events if e in self.core.events]
        waiting = [e for e in waiting if self.core.events[e].status > COMPLETE]
        self._flush()
        if waiting:
            self._blocked_on = waiting

    def _check_wait(self) -> None:
        """Go on if what the program waits for has ended."""
        waiting = self._blocked_on
        if type(waiting) is tuple and self.core.may_stage(waiting[0]):
            self._blocked_on = None
            self._go_on()
        elif type(waiting) is list and waiting:
            states = self.core.events
            left = [e for e in waiting if e in states and states[e].status > COMPLETE]
            self._blocked_on = left or None
            if not left:
                self._go_on()

    def _flush(self) -> None:
        released, self._released = self._released, []
        batch = self.core.take_batch(released, int(self._world.heap.now * 1e9))
        if batch and self.dead is None:
            if self._world.trace is not None:
                self._world.trace(f"client {self.number} says {batch}")
            self._control.say(batch)

    def _step_flush(self) -> None:
        self._flush()

    def _step_finish(self) -> None:
        self._wait_for(list(self.core.events))

    def _step_wait(self, index: int) -> None:
        self._wait_for([self._events[index]])

    def _step_set(self, index: int, status: int) -> None:
        self.core.say(session.SetUserEvent(self._events[index], status))
        self.core.set_user(self._events[index])
        self._flush()

    def _step_release_event(self, index: int) -> None:
        self._released.append(self._events.pop(index))

    def _step_release_buffer(self, buffer: int) -> None:
        self._released.append(self._buffers.pop(buffer))

    def _step_report(self, index: int) -> None:
        request = self.core.new_id()
        if index not in self._events:
            return
        self.core.say(session.AskReport(request, self._events[index]))
        self._flush()
        self._blocked_on = request

    def _step_command(self, index: int) -> None:
        command = self.program.commands[index]
        core = self.core
        if command.kind == "write" and not core.may_stage(len(command.detail[0])):
            self._flush()
            self._next_step -= 1
            self._blocked_on = (len(command.detail[0]),)
            self._world.marks["write waits for room"] += 1
            return
        if command.kind == "user":
            event = core.begin_user()
            message: Any = session.CreateUserEvent(event, self._context)
        else:
            queue = self._queues[command.queue]
            event = core.begin(queue, int(self._world.heap.now * 1e9))
            message = self._message(command, event, queue)
            if type(message) is session.Launch:
                message, shape = core.shaped(message)
                core.told(shape)
                self._world.marks["repeated"] += type(message) is session.Repeat
        self._events[index] = event
        self._commands[event] = index
        self._states[event] = core.events[event]  # the core forgets it once it was released
        if core.say(message):
            self._flush()

    def _message(self, command: Any, event: int, queue: int) -> Any:
        waits = [self._events[w] for w in command.waits]
        kind, detail = command.kind, command.detail
        head = (event, queue, waits)
        if kind == "write":
            buffer, start, end = command.writes[0]
            staging = self.core.stage(detail[0])
            # Most have one: a real client sends it where it pays.
            digest = sha256(detail[0]).digest() if event % 4 else b""
            return session.Write(*head, self._buffers[buffer], start, end - start, staging, digest)
        if kind == "read":
            buffer, start, end = command.reads[0]
            self._destinations[event] = bytearray(b"\xee" * (end - start))
            self.core.expect_read(event, memoryview(self._destinations[event]))
            return session.Read(*head, self._buffers[buffer], start, end - start)
        if kind == "fill":
            buffer, start, end = command.writes[0]
            return session.Fill(*head, self._buffers[buffer], start, end - start, detail[0])
        if kind == "copy":
            (source, start, end), (target, first, _) = command.reads[0], command.writes[0]
            return session.Copy(
                *head, self._buffers[source], self._buffers[target], start, first, end - start
            )
        if kind == "copy_box":
            source, target, box = detail
            return session.CopyRect(*head, self._buffers[source], self._buffers[target], *box)
        if kind == "marker":
            return session.Marker(*head, detail[0])
        kernel, arguments, offset, size, local = detail
        packed = [
            [session.ARGUMENT_BUFFER, self._buffers[a[1]], a[2], a[3]] if type(a) is tuple else a
            for a in arguments
        ]
        program = next(
            number
            for number, names in zip(self._programs, self.program.programs, strict=True)
            if kernel in names
        )
        # Half of those that can be are declared, and the others merged.
        declared = pack(declared_of(kernel, arguments)) if event % 2 else b""
        self._world.marks["declared"] += bool(declared)
        return session.Launch(*head, program, kernel, offset, size, local, packed, declared)

    def _end_program(self) -> None:
        """Let go of everything."""
        self._released += [*self._events.values(), *self._buffers.values()]
        self._released += [*self._programs, *self._queues]
        self._released.append(self._context)
        self._flush()
        self.finished = True

    # ---- from the master

    def _from_master(self, data: bytes) -> None:
        if self.dead is None:
            try:
                messages = self._control.hear(data, session.TO_CLIENT)
                if self._world.trace is not None:
                    self._world.trace(f"client {self.number} hears {messages}")
                self._mark(messages)
                self._carry_out(self.core.from_master(messages))
            except (RemoteProtocolError, KeyError) as error:
                raise Violation(f"client {self.number} accuses the master: {error!r}") from error

    def _mark(self, messages: list[Any]) -> None:
        marks = self._world.marks
        for message in messages:
            marks[type(message).__name__] += 1
            if isinstance(message, session.Report) and message.report is not None:
                mode, reason, _, parts, _ = message.report
                marks[f"mode: {mode}"] += 1
                if len({(node, device) for node, device, *_ in parts}) < len(parts):
                    marks["a core before its rims"] += 1
                if "atomic_inc" in reason:
                    marks["whole: the guard"] += 1
                elif "single device" in reason:
                    marks["whole: one device"] += 1
                elif "each part may write" in reason:
                    marks["merge inside hulls"] += 1

    def _from_endpoint(self, data: bytes) -> None:
        if self.dead is None:
            try:
                self._carry_out(self.core.from_endpoint(frame.unpack_bulk(data)))
            except RemoteProtocolError as error:
                raise Violation(f"client {self.number} accuses an endpoint: {error}") from error

    def _tell(self, message: Any) -> None:
        """Say something that no program asked for."""
        if self.dead is None:
            self.core.say(message)
            self._flush()

    def _carry_out(self, effects: list[Any]) -> None:
        for effect in effects:
            if isinstance(effect, Ended):
                for event in effect.events:
                    self._note_end(event)
            elif isinstance(effect, Stream):
                self._bulk.stream(effect)
            elif isinstance(effect, GrantCredit):
                self._bulk.grant(effect)
            elif isinstance(effect, OpenLink):
                self._direct.open(effect)
            else:
                assert isinstance(effect, Answered)
                for message in effect.messages:
                    self._answered(message)
        self._check_wait()

    def _answered(self, message: Any) -> None:
        if isinstance(message, session.Built) and message.status < 0:
            if not self._world.faulty:
                raise Violation(f"the build failed: {message.message}")
            self.crash("its program wasn't built")
            return
        if message.request == self._blocked_on:
            self._blocked_on = None
            self._go_on()

    def _note_end(self, event: int) -> None:
        """An event ended: only once, only after all that happens before it, with right bytes."""
        index = self._commands.get(event)
        if index is None:
            return
        command = self.program.commands[index]
        if index in self.outcome:
            raise Violation(f"event of command {index} ended twice")
        missing = command.before & ~self._ended
        if missing:
            raise Violation(
                f"client {self.number}: command {index} ended before "
                f"{[i for i in range(index) if missing >> i & 1]}"
            )
        self._ended |= 1 << index
        told = self.outcome[index] = self._states.pop(event).status
        if event in self._destinations:
            data = bytes(self._destinations.pop(event))
            if told == 0:
                self._read[index] = data
        self._check_outcome(command, told)

    def _check_outcome(self, command: Any, status: int) -> None:
        if self.dead is not None or (self._world.faulty and status < 0):
            return
        if (status < 0) != command.skipped:
            raise Violation(
                f"client {self.number}: command {command.index} ({command.kind}) ended with "
                f"{status}, skipped is {command.skipped}"
            )

    # ---- the end

    def stuck(self) -> str:
        """What the program waits for."""
        waiting = self._blocked_on
        if type(waiting) is list:
            commands = [self._commands.get(e) for e in waiting]
            return f"waits for commands {commands} at step {self._next_step}"
        return f"waits for {waiting} at step {self._next_step}"

    def _over(self, reason: str) -> None:
        if self.dead is not None:
            return
        self.dead = reason
        self._carry_out(self.core.abandon(DEVICE_NOT_AVAILABLE, reason))

    def leave(self) -> None:
        """Close the session in order."""
        self.dead = "closed"
        self._direct.crash()
        self._control.connection.close_from_dialler("closed")
        if self._bulk_dialled is not None:
            self._bulk_dialled.connection.close_from_dialler("closed")

    def crash(self, reason: str) -> None:
        """The client's process is gone."""
        self.dead = reason
        if self._bulk_dialled is not None:
            self._direct.crash()
        for dialled in (self._control, self._bulk_dialled):
            if dialled is not None:
                dialled.open = False
                dialled.connection.crash(reason)

    def send_raw(self, data: bytes, bulk: bool) -> None:
        """Send what no honest client sends."""
        dialled = self._bulk_dialled if bulk else self._control
        if dialled is not None and self.dead is None:
            dialled.connection.up.send(data)

    def next_frame(self, arrays: list[Any]) -> bytes:
        """A numbered frame of raw arrays."""
        (data,) = self._control.numbering.pack([frame.pack_value(array) for array in arrays])
        return data

    def complaints(self) -> list[str]:
        """What is wrong with the reads, now that all is over."""
        failed = {i for i, s in self.outcome.items() if s < 0}
        failed |= {c.index for c in self.program.commands if c.index not in self.outcome}
        return judge_reads(self.program.commands, self.program.sizes, failed, self._read)
