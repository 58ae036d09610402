"""The shells of the simulation: master, agents and executors around their real cores.

Owns: what `master.server`, `node_agent.daemon` and `node_agent.executor` do, on virtual time and
simulated links; frames, codec and numbering are the real ones. Must not know: what the client's
program does. An accusation of an honest peer is a violation.

Long because it holds the three shells, which share their links.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from master.access.kernels import Footprint
from master.access.programs import Variant, judge_program, judge_variant
from master.connections import INCOMING
from master.core import MasterCore
from master.effects import (
    Analyse,
    Answer,
    Bind,
    Close,
    Expect,
    Forget,
    GoOn,
    Judge,
    Log,
    ReadAhead,
    Rewrite,
    Send,
    Wake,
)
from master.inputs import (
    Analysed,
    Broken,
    Closed,
    Continue,
    Judged,
    Opened,
    Received,
    Rewritten,
    Tick,
)
from node_agent.core import ExecutorCore
from node_agent.effects import DropSnapshot, Report, StartAgain, StartMerge, Store, Unmap
from node_agent.effects import Start as StartEffect
from node_agent.inputs import FromEndpoint, FromMaster, Streamed
from tests.described import device
from tests.sim.causes import Causes
from tests.sim.device import Driver
from tests.sim.direct import Directs
from tests.sim.heap import Connection, Link, Violation
from tests.sim.kernels import footprint_of, kernels_in
from vcl.errors import RemoteProtocolError
from vcl.numbering import Numbering
from vcl.transfer_states import In
from vcl.transfers import GrantCredit, Stream
from vcl.wire import codec, frame
from vcl.wire.frame import pack_value
from vcl.wire.limits import eager_total_bytes_max, heartbeat_interval_s
from vcl.wire.messages import node, part
from vcl.wire.messages.direct import ExpectLink, OpenLink
from vcl.wire.messages.handshake import (
    Hello,
    Refused,
    Welcome,
    pack_answer,
    pack_hello,
    unpack_answer,
    unpack_knock,
)

if TYPE_CHECKING:
    from tests.sim.world import World

TOKEN = "the token"


class Dialled:
    """The dialling end of a connection: Hello first, then control or bulk frames.

    ready(welcome), receive(data), ended(reason) are called as they happen; refused(reason) if
    the master doesn't let it in.
    """

    def __init__(self, world: World, hello: Hello, honest: bool = True) -> None:
        self._world = world
        self.connection = Connection(world.heap, world.rng, hello.role.endswith("bulk"))
        self.numbering = Numbering()
        self.ready: Callable[[Welcome], None] = lambda welcome: None
        self.receive: Callable[[bytes], None] = lambda data: None
        self.ended: Callable[[str], None] = lambda reason: None
        self.refused: Callable[[str], None] = lambda reason: None
        self.open = True
        self.connection.down.deliver = self._first
        self.connection.down.ended = self._ended
        world.master.accept(self.connection, honest)
        self.connection.up.send(pack_hello(hello))

    def _first(self, data: bytes) -> None:
        answer = unpack_answer(data)
        if isinstance(answer, Refused):
            self.open = False
            self.refused(answer.reason)
            return
        self.connection.down.deliver = lambda data: self.receive(data)
        self.ready(answer)

    def _ended(self, reason: str) -> None:
        self.open = False
        self.ended(reason)

    def say(self, messages: Sequence[Any]) -> None:
        """Send control messages."""
        for data in self.numbering.pack([pack_value(codec.pack(m)) for m in messages]):
            self.connection.up.send(data)

    def hear(self, data: bytes, conversation: codec.Conversation) -> list[Any]:
        """The messages of a control frame."""
        arrays = self.numbering.unpack(data)
        if self.numbering.wants_acknowledgement:
            self.connection.up.send(self.numbering.acknowledgement())
        return conversation.unpack(arrays)


class Bulk:
    """Streams and grants on a bulk connection, as `vcl.links.BulkLink` does."""

    def __init__(
        self, world: World, dialled: Dialled, endpoint: int, streamed: Callable[[int], None]
    ) -> None:
        self._world = world
        self._dialled = dialled
        self._endpoint = endpoint
        self._streamed = streamed
        self.direct: dict[int, Link] = {}
        """The links to other ends, by endpoint."""

    def _link(self, endpoint: int) -> Link:
        return self.direct.get(endpoint) or self._dialled.connection.up

    def grant(self, effect: GrantCredit) -> None:
        """Send credit."""
        credit = frame.BulkFrame(
            frame.CREDIT, False, effect.endpoint, self._endpoint, effect.transfer, 0, b""
        )
        self._link(effect.endpoint).send(frame.pack_bulk_header(credit))

    def stream(self, effect: Stream) -> None:
        """Send in chunks, taking turns with others whenever the link is busy."""
        chunks = list(effect.chunks(self._world.chunk_bytes))
        link = self._link(effect.endpoint)
        self._world.marks["direct"] += link is not self._dialled.connection.up
        self._next(effect, link, chunks, 0)

    def _next(
        self, effect: Stream, link: Link, chunks: list[tuple[int, memoryview, bool]], index: int
    ) -> None:
        if not self._dialled.open:
            return
        if index == len(chunks):
            self._streamed(effect.transfer)
            return
        offset, payload, last = chunks[index]
        header = frame.BulkFrame(
            frame.CHUNK, last, effect.endpoint, self._endpoint, effect.transfer, offset, b""
        )
        link.send(frame.pack_bulk_header(header) + payload)
        heap = self._world.heap
        heap.after(max(0.0, link.free_s - heap.now), self._next, effect, link, chunks, index + 1)


class MasterShell:
    """As `master.server.MasterServer`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.core = MasterCore(TOKEN, TOKEN, "sim", world.policy)
        self._connections: dict[int, Connection] = {}
        self._numberings: dict[int, Numbering] = {}
        self._dishonest: set[int] = set()
        self._bulk: dict[tuple[int, int], Connection] = {}
        self._bound: dict[int, tuple[int, int]] = {}
        self._early: dict[tuple[int, int], list[bytes]] = {}
        self._last = 0
        # Of its own: what else is drawn doesn't change with it.
        self._judging_rng = Random(f"judging {world.seed}")
        self._turn_rng = Random(f"turns {world.seed}")
        self._short_turns = self._turn_rng.choice((0.0, 0.05, 0.5))
        self._unfinished: set[int] = set()
        self._causes = Causes()
        self._judged_s = 0.0

    def accept(self, connection: Connection, honest: bool) -> None:
        """A connection was opened."""
        self._last += 1
        number = self._last
        self._connections[number] = connection
        if not honest:
            self._dishonest.add(number)
        connection.up.deliver = lambda data: self._hello(number, data)
        connection.up.ended = lambda reason: self._ended(number, reason)

    def _hello(self, number: int, data: bytes) -> None:
        knock = unpack_knock(data)
        connection = self._connections[number]
        deliver: Callable[[int, bytes], None] = self._relay
        if conversation := INCOMING.get(knock.role):
            deliver = partial(self._control, conversation)
        connection.up.deliver = lambda data: self._guarded(deliver, number, data)
        self._feed(Opened(number, knock, "peer", f"secret {number}"))

    def _guarded(self, deliver: Callable[[int, bytes], None], number: int, data: bytes) -> None:
        try:
            deliver(number, data)
        except RemoteProtocolError as error:
            self._feed(Broken(number, str(error)))

    def _control(self, conversation: codec.Conversation, number: int, data: bytes) -> None:
        numbering = self._numberings[number]
        arrays = numbering.unpack(data)
        if numbering.wants_acknowledgement:
            self._connections[number].down.send(numbering.acknowledgement())
        if arrays:
            self._feed(Received(number, conversation.unpack(arrays)))

    def _relay(self, number: int, data: bytes) -> None:
        session, endpoint = self._bound[number]
        header = frame.unpack_bulk(data)
        if header.source != endpoint:
            raise RemoteProtocolError(f"bulk frame in the name of endpoint {header.source}")
        key = (session, header.destination)
        destination = self._bulk.get(key)
        if destination is not None:
            destination.down.send(data)
        elif key in self._early:
            self._early[key].append(data)
            self._world.marks["bulk before its receiver"] += 1
            if sum(map(len, self._early[key])) > 2 * eager_total_bytes_max:
                raise RemoteProtocolError("too many bytes for an end not yet connected")

    def _ended(self, number: int, reason: str) -> None:
        self._forget(number)
        self._feed(Closed(number, reason))

    def _forget(self, number: int) -> Connection | None:
        connection = self._connections.pop(number, None)
        self._numberings.pop(number, None)
        bound = self._bound.pop(number, None)
        if bound is not None:
            self._bulk.pop(bound, None)
        return connection

    def tick(self) -> None:
        """Time has passed."""
        self._feed(Tick())

    def _turn_is_over(self) -> bool:
        return self._turn_rng.random() < self._short_turns

    def _go_on(self, session: int, cause: int) -> None:
        self._unfinished.discard(session)
        self._world.marks["a turn was too short"] += 1
        self._feed(Continue(session, cause=cause))

    def _feed(self, *inputs: Any) -> None:
        trace = self._world.trace
        for one in inputs:
            if isinstance(one, Received):
                self._causes.said(self.core.session_of(one.connection), one.messages)
        effects = self.core.handle(inputs, self._world.heap.now, self._turn_is_over)
        for effect in effects:
            if isinstance(effect, Send):
                session = self.core.session_of(effect.connection)
                self._causes.told(session, effect.messages)
                if trace is not None:
                    trace(f"master to {effect.connection} by {effect.cause}: {effect.messages}")
                connection = self._connections.get(effect.connection)
                if connection is not None:
                    packed = [pack_value(codec.pack(m)) for m in effect.messages]
                    for data in self._numberings[effect.connection].pack(packed):
                        connection.down.send(data)
            elif isinstance(effect, Answer):
                connection = self._connections[effect.connection]
                connection.down.send(pack_answer(effect.answer))
                if isinstance(effect.answer, Refused):
                    self._close(effect.connection, effect.answer.reason)
                elif effect.numbering is not None:
                    self._numberings[effect.connection] = effect.numbering
            elif isinstance(effect, Bind):
                self._bound[effect.connection] = (effect.session, effect.endpoint)
                key = (effect.session, effect.endpoint)
                self._bulk[key] = self._connections[effect.connection]
                for data in self._early.pop(key, ()):
                    self._bulk[key].down.send(data)
            elif isinstance(effect, Expect):
                self._early[effect.session, effect.endpoint] = []
            elif isinstance(effect, Forget):
                self._early = {k: v for k, v in self._early.items() if k[0] != effect.session}
            elif isinstance(effect, Close):
                self._close(effect.connection, effect.reason)
            elif isinstance(effect, Judge):
                self._judge(effect)
            elif isinstance(effect, Analyse):
                self._analyse(effect)
            elif isinstance(effect, Rewrite):
                rewritten = Rewritten(
                    effect.session, effect.number, _variant(effect), cause=effect.cause
                )
                self._world.heap.after(0.01 * self._judging_rng.random(), self._feed, rewritten)
            elif isinstance(effect, ReadAhead):
                self._world.marks["read ahead"] += 1  # nobody is told
            elif isinstance(effect, GoOn):
                if effect.session not in self._unfinished:
                    self._unfinished.add(effect.session)
                    self._world.heap.after(0.0, self._go_on, effect.session, effect.cause)
            elif isinstance(effect, Wake):
                self._world.heap.after(effect.after_s, self._feed, effect.due)
            else:
                assert isinstance(effect, Log)
                self._log(effect.text)

    def _analyse(self, effect: Analyse) -> None:
        found = footprint_of(effect.kernel, effect.arguments, effect.ndrange)
        self._world.marks["analysed" if isinstance(found, Footprint) else "not analysed"] += 1
        analysed = Analysed(effect.session, effect.number, found, cause=effect.cause)
        self._world.heap.after(0.01 * self._judging_rng.random(), self._feed, analysed)

    def _judge(self, effect: Judge) -> None:
        """Verdicts come in their order, before or after the nodes have built, or after the
        session's end."""
        judged = Judged(
            effect.session, effect.request, judge_program(effect.units), cause=effect.cause
        )
        delay_s = self._judging_rng.choice((0.0, 0.01, 0.5)) * self._judging_rng.random()
        heap = self._world.heap
        self._judged_s = max(self._judged_s, heap.now + delay_s)
        heap.after(self._judged_s - heap.now, self._feed, judged)

    def _log(self, text: str) -> None:
        if self._world.trace is not None:
            self._world.trace(f"master: {text}")
        if text.startswith("closed a connection") and not self._dishonest:
            raise Violation(f"an honest peer was accused: {text}")

    def _close(self, number: int, reason: str) -> None:
        connection = self._forget(number)
        if connection is not None:
            connection.close_from_master(reason)
            self._world.heap.after(0.0, self._feed, Closed(number, reason))


class AgentShell:
    """One incarnation of an agent: starts and stops executors."""

    def __init__(self, world: World, name: str, incarnation: int, device_count: int) -> None:
        self._world = world
        self.name = name
        self.dead = False
        self.silent = False
        self.incarnation = incarnation
        self.joined = False
        self.builds = True
        """Whether its devices can build anything."""
        self.executors: dict[int, ExecutorShell] = {}
        description = device(
            MAX_WORK_GROUP_SIZE=64, MAX_WORK_ITEM_SIZES=[64, 64, 64], ADDRESS_BITS=64,
            ENDIAN_LITTLE=True, EXTENSIONS="", OPENCL_C_VERSION="OpenCL C 1.2",
            VERSION="OpenCL 3.0",
        )  # fmt: skip
        hello = Hello(
            software="sim",
            role="agent",
            token=TOKEN,
            name=name,
            host=name,
            incarnation=str(incarnation),
            devices=[description] * device_count,
        )
        self._dialled = Dialled(world, hello)
        self._dialled.receive = self._receive
        self._dialled.ended = lambda reason: self._stop_all()
        self._dialled.refused = lambda reason: world.violate(f"agent {name} was refused: {reason}")
        if world.ticking:
            self._heartbeat()

    def _heartbeat(self) -> None:
        if not self.dead and not self.silent and self._dialled.open and self._world.ticking:
            self._dialled.say([node.Heartbeat(len(self.executors))])
            self._world.heap.after(heartbeat_interval_s, self._heartbeat)

    def _receive(self, data: bytes) -> None:
        for message in self._dialled.hear(data, node.TO_AGENT):
            if isinstance(message, node.StartExecutor):
                executor = ExecutorShell(self._world, self, message)
                first = self._world.first_served.setdefault(
                    (message.session, self.name), self.incarnation
                )
                self._world.marks["a node that came back"] += first != self.incarnation
                self.executors[message.session] = executor
                delay_s = self._world.rng.choice((0.0, 1e-3, 0.05)) * self._world.rng.random()
                self._world.heap.after(delay_s, executor.dial)
            else:
                executor_or_none = self.executors.pop(message.session, None)
                if executor_or_none is not None:
                    executor_or_none.crash("stopped")

    def executor_crashed(self, executor: ExecutorShell) -> None:
        """The agent sees that a process has ended."""
        session = executor.session
        if not self.dead and self.executors.get(session) is executor:
            del self.executors[session]
            self._dialled.say([node.ExecutorEnded(session, executor.start.start, "it crashed")])

    def crash(self) -> None:
        """The host is gone, with all that runs on it."""
        self.dead = True
        self._dialled.connection.crash("the host is gone")
        self._stop_all()

    def _stop_all(self) -> None:
        for executor in self.executors.values():
            executor.crash("the agent is gone")
        self.executors.clear()


class ExecutorShell:
    """As `node_agent.executor.Executor`, with a fake driver."""

    def __init__(self, world: World, agent: AgentShell, start: node.StartExecutor) -> None:
        self._world = world
        self.agent = agent
        self.session = start.session
        self.core = ExecutorCore()
        self.dead = False
        self.start = start
        devices = [device for device, _ in start.devices]
        self.driver = Driver(
            world.heap, world.rng, devices, world.device_scale_s, self._post,
            world.device_faults, world.marks,
        )  # fmt: skip
        self._control: Dialled | None = None
        self._bulk_dialled: Dialled | None = None
        world.executors.append(self)

    def dial(self) -> None:
        """Connect, bulk first."""
        if self.dead:
            return
        s = self.start
        hello = Hello(
            software="sim", role="executor-bulk", token=s.ticket, session=s.session,
            endpoint=s.node,
        )  # fmt: skip
        dialled = self._bulk_dialled = Dialled(self._world, hello)
        self._bulk = Bulk(
            self._world, dialled, s.node, lambda transfer: self._feed([Streamed(transfer)])
        )
        dialled.receive = lambda data: self._feed([FromEndpoint(frame.unpack_bulk(data))])
        dialled.ended = dialled.refused = self._connection_ended
        dialled.ready = lambda welcome: self._dial_control(hello)

    def _dial_control(self, hello: Hello) -> None:
        if self.dead:
            return
        control = Dialled(self._world, hello.model_copy(update={"role": "executor"}))
        self._control = control
        self.direct = Directs(
            self._world,
            (self.session, self.start.node),
            self._bulk.direct,
            lambda data: self._feed([FromEndpoint(frame.unpack_bulk(data))]),
            lambda message: control.say([message]),
        )
        control.ready = lambda welcome: self.direct.listen()
        control.receive = lambda data: self._feed(
            [FromMaster(control.hear(data, part.TO_EXECUTOR))]
        )
        control.ended = control.refused = self._connection_ended

    def _connection_ended(self, reason: str) -> None:
        if not self.dead:
            self.crash(reason)
            self.agent.executor_crashed(self)

    def crash(self, reason: str) -> None:
        """The process is gone."""
        self.dead = True
        if self._control is not None:
            self.direct.crash()
        for dialled in (self._control, self._bulk_dialled):
            if dialled is not None and dialled.open:
                dialled.open = False
                dialled.connection.crash(reason)

    def _post(self, inputs: list[Any]) -> None:
        self._world.heap.after(1e-6, self._feed, inputs)

    def _feed(self, inputs: Sequence[Any]) -> None:
        if self.dead:
            return
        world = self._world
        if world.trace is not None:
            world.trace(f"{self.agent.name}/{self.session} takes {inputs}")
        try:
            effects = self.core.handle(inputs, int(world.heap.now * 1e9))
        except RemoteProtocolError as error:
            raise Violation(f"the executor accuses an honest peer: {error}") from error
        self._mark(inputs)
        for effect in effects:
            if world.trace is not None:
                world.trace(f"{self.agent.name}/{self.session} does {effect}")
            self._carry_out(effect)

    def _mark(self, inputs: Sequence[Any]) -> None:
        """Note rare paths."""
        marks = self._world.marks
        for one in inputs:
            if isinstance(one, FromEndpoint) and one.frame.kind == frame.CHUNK:
                state = self.core._incoming.states().get(one.frame.transfer, In.NONE)
                if state is In.NONE or state is In.EARLY:
                    marks["chunk before its Receive"] += 1
                if state is In.CANCELLED:
                    marks["chunk dropped"] += 1
                if not one.frame.last:
                    marks["transfer in chunks"] += 1
            elif isinstance(one, FromMaster):
                for message in one.messages:
                    marks[type(message).__name__] += 1

    def _carry_out(self, effect: Any) -> None:
        if isinstance(effect, StartEffect):
            message = effect.message
            if isinstance(message, part.FillRegion) and message.pattern == b"\0":
                self._world.marks["zero fill"] += 1
            self.driver.builds = self.agent.builds
            self.driver.start(message)
            if self.agent.joined and isinstance(message, part.Run):
                self._world.marks["a device that joined"] += 1
                if not self.agent.builds:
                    self._world.violate("something runs where nothing was built")
        elif isinstance(effect, StartAgain):
            self.driver.start(effect.run())
        elif isinstance(effect, Report):
            assert self._control is not None
            self._control.say(effect.messages)
        elif isinstance(effect, Store):
            self.driver.store(effect)
        elif isinstance(effect, Stream):
            self._bulk.stream(effect)
            if effect.endpoint:
                self._world.marks["bytes between nodes"] += 1
        elif isinstance(effect, GrantCredit):
            self._bulk.grant(effect)
        elif isinstance(effect, OpenLink):
            self.direct.open(effect)
        elif isinstance(effect, ExpectLink):
            self.direct.expect(effect)
        elif isinstance(effect, Unmap):
            self.driver.unmap(effect.operation)
        elif isinstance(effect, DropSnapshot):
            self.driver.devices[effect.device].snapshots.pop(effect.merge, None)
            self._world.marks["snapshot dropped"] += 1
        else:
            assert isinstance(effect, StartMerge)
            self.driver.start_merge(effect)


def _variant(effect: Rewrite) -> Variant | str:
    """The same text: kernels of the simulation know the launch that they are a part of."""
    if len(effect.units) != 1:
        return "the program is linked from several"
    ((source, options, _, _),) = effect.units
    hidden = {kernel.name: None for kernel in kernels_in(source)}
    return Variant(source, options, hidden, *judge_variant(source, options))
