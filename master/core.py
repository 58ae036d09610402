"""The master without I/O: who may connect as what, and which session a message belongs to.

Owns: handshakes, the register of nodes, sessions and their connections. Must not know: sockets,
clocks, randomness; the shell passes time and secrets in. Everything that happens inside a
session is `sessions.Session`'s.

Long because each way for a connection to open, to speak and to end has its place here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from master.admission import Admission, same
from master.connections import Connected, Live, Stage, Turn, ticket
from master.effects import (
    Analyse,
    Answer,
    Bind,
    Close,
    Effect,
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
    Due,
    Input,
    Judged,
    Opened,
    Received,
    Rewritten,
    Tick,
)
from master.ledger import Question
from master.nodes import Node, Nodes
from master.objects import Executor, Step
from master.plan.view import DEFAULT_POLICY, Policy
from master.sessions import Session
from master.status import status
from vcl.errors import RemoteProtocolError
from vcl.ids import CLIENT
from vcl.text import counted, failure_length_max, plain, raised
from vcl.wire.limits import (
    batch_count_max,
    executor_start_timeout_s,
    heartbeat_interval_s,
    heartbeat_timeout_s,
    nodes_max,
    sessions_max,
)
from vcl.wire.messages import node as node_messages
from vcl.wire.messages import part
from vcl.wire.messages.handshake import Hello, Refused, Role, Welcome, unpack_hello

executor_ended_wait_s = 1.0
"""Time for an agent to tell how an executor ended whose connection broke: a crash is seen there."""

late_tick_ratio = 1.5
"""A tick that comes later after the one before, in intervals, decides nothing about silence."""


_MOST = {"client": sessions_max, "agent": nodes_max}


def _never() -> bool:
    return False


class MasterCore:
    """`handle(input, now)` answers with effects, in order.

    token, agent_token: what clients and agents must present. software: this vcl's version.
    policy: for launches of all sessions.
    """

    def __init__(
        self, token: str, agent_token: str, software: str, policy: Policy = DEFAULT_POLICY
    ) -> None:
        self.nodes = Nodes()
        """The connected nodes."""
        self.sessions: dict[int, Live] = {}
        """The sessions by number."""
        self.inputs_count = 0
        """Inputs so far: the number of the last one, which effects name as their cause."""
        self._ended: dict[int, Session] = {}
        self._admission = Admission(token, agent_token)
        self._software = software
        self._policy = policy
        self._connections: dict[int, Connected] = {}
        self._effects: list[Effect] = []
        self._last_session = 0
        self._now = 0.0
        self._over: Callable[[], bool] = _never
        self._ticked: float | None = None

    def handle(
        self, inputs: Sequence[Input], now: float, over: Callable[[], bool] = _never
    ) -> list[Effect]:
        """Take inputs in; `now` is a monotonic time in seconds.

        over: tells when this turn has lasted long enough; GoOn then says which session has more
        to do.
        """
        self._now, self._over = now, over
        for one in inputs:
            self.inputs_count += 1
            begun = len(self._effects)
            number = self._session_of(one)
            try:
                self._take(one)
            except Exception as error:  # see _unexpected
                self._unexpected(number, error)
                if isinstance(one, Received | Opened):
                    self._broken(one.connection, "an unexpected error in vcl-master")
            for effect in self._effects[begun:]:
                effect.cause = self.inputs_count
        effects, self._effects = self._effects, []
        return effects

    def _take(self, one: Input) -> None:
        if isinstance(one, Received):
            self._received(one)
        elif isinstance(one, Opened):
            self._opened(one)
        elif isinstance(one, Broken):
            self._broken(one.connection, one.text)
        elif isinstance(one, Closed):
            self._closed(one)
        elif isinstance(one, Judged | Analysed | Rewritten):
            self._answered(one)
        elif isinstance(one, Continue):
            if one.session in self.sessions:
                self._go_on(self.sessions[one.session])
            elif one.session in self._ended:
                self._take_apart(one.session)
        elif isinstance(one, Due):
            self._due(one)
        else:
            assert isinstance(one, Tick)
            self._tick()

    def _session_of(self, one: Input) -> int | None:
        if isinstance(one, Opened):
            return one.knock.session
        if isinstance(one, Received | Broken | Closed):
            return self.session_of(one.connection)
        return None if isinstance(one, Tick) else one.session

    # ---- handshakes

    def _opened(self, opened: Opened) -> None:
        role = opened.knock.role
        if role in ("client", "agent"):
            if problem := self._admission.token_problem(opened.knock, opened.peer):
                self._refuse(opened, "token", problem)
                return
            if len(self.sessions if role == "client" else self.nodes.by_id) >= _MOST[role]:
                self._refuse(opened, "full", f"there are {_MOST[role]} of role {role} already")
                return
            try:
                hello = unpack_hello(opened.knock)
            except RemoteProtocolError as error:
                self._refuse(opened, "malformed", str(error))
            else:
                (self._open_client if role == "client" else self._open_agent)(opened, hello)
        else:
            self._open_session_end(opened)

    def _refuse(self, opened: Opened, code: Any, reason: str) -> None:
        refused = Connected(opened.connection, opened.knock.role, stage=Stage.ENDED)
        self._connections[opened.connection] = refused
        self._effects.append(
            Answer(opened.connection, Refused(software=self._software, code=code, reason=reason))
        )

    def _open_client(self, opened: Opened, hello: Hello) -> None:
        self._last_session += 1
        number = self._last_session
        executors: dict[int, Executor] = {}
        # A session whose executor runs has no reason to leave a node out.
        new = Session(
            number,
            lambda d: self.nodes.places(d, executors),
            self.nodes.why_none,
            self._policy,
            opened.secret,
            lambda: status(self.nodes, self.sessions, self._now),
        )
        program, user = plain(hello.name), plain(hello.host)
        devices = self.nodes.remote_devices()
        known = frozenset(remote.device for remote in devices)
        live = Live(
            new, opened.secret, opened.connection, None, executors,
            program=program, user=user, began=self._now,
            devices=known, models=self.nodes.models(known),
        )  # fmt: skip
        self.sessions[number] = live
        self._connections[opened.connection] = Connected(opened.connection, "client", number)
        welcome = Welcome(
            software=self._software,
            session=number,
            key=opened.secret,
            devices=devices,
        )
        self._effects.append(Answer(opened.connection, welcome, live.numbering))
        what = f": {program} of {user}" if program or user else ""
        self._effects.append(Log(f"session {number} from {opened.peer}{what}"))

    def _open_agent(self, opened: Opened, hello: Hello) -> None:
        if problem := self._admission.name_problem(hello):
            self._refuse(opened, "name", problem)
            return
        twin = self.nodes.named(hello.name) if hello.name else None
        # An incarnation is told to nobody but the master, so only the node itself knows its own.
        if twin is not None and not same(hello.incarnation, twin.incarnation):
            self._refuse(
                opened,
                "name",
                f"a node named {plain(hello.name)!r} is connected already: choose another --name",
            )
            return
        if twin is not None:
            # The agent dialled anew before its old connection was seen to be gone.
            self._drop(twin.connection, "the agent connected anew")
            self._node_lost(twin, "the agent connected anew")
        self._admission.admitted(hello, opened.peer)
        node = self.nodes.add(hello, opened.connection, self._now)
        self._places_changed()
        self._connections[opened.connection] = Connected(opened.connection, "agent", node=node.id)
        welcome = Welcome(software=self._software, node=node.id)
        self._effects.append(Answer(opened.connection, welcome, node.numbering))
        self._effects.append(
            Log(
                f"node {plain(node.name)} from {opened.peer} with "
                f"{counted(len(node.devices), 'device')}"
            )
        )
        for why in node.left_out:
            self._effects.append(Log(f"node {plain(node.name)}: left out {why}"))
        self._offer(node)  # now that it's welcome

    def _offer(self, node: Node) -> None:
        """A node has come: sessions under way may use what is like what they know."""
        for live in self.sessions.values():
            offered = [d for d in self.nodes.like(node, live.models) if d not in live.devices]
            if offered:
                live.session.offer(node.id, offered)
                if not live.going_on:  # in a turn of its own, as there may be many
                    live.going_on = True
                    self._effects.append(GoOn(live.session.number))

    def _open_session_end(self, opened: Opened) -> None:
        """client-bulk, executor and executor-bulk join a session by its key or a ticket."""
        knock = opened.knock
        live = self.sessions.get(knock.session or 0)
        node, expected = (None, "") if live is None else live.expected(knock)
        if live is None or not expected or not same(knock.token, expected):
            self._refuse(opened, "session", "there is no such session, or the ticket isn't for it")
            return
        executor = None if node is None else live.executors[node]
        taken = live.bulk if executor is None else getattr(executor, _slot(knock.role))
        if taken is not None:
            self._refuse(opened, "session", "this end of the session is connected already")
            return
        joined = Connected(opened.connection, knock.role, knock.session, node)
        self._connections[opened.connection] = joined
        numbering = executor.numbering if executor and knock.role == "executor" else None
        welcome = Welcome(software=self._software)
        self._effects.append(Answer(opened.connection, welcome, numbering))
        assert knock.session is not None
        if executor is None:
            live.bulk = opened.connection
            self._effects.append(Bind(opened.connection, knock.session, CLIENT))
        else:
            setattr(executor, _slot(knock.role), opened.connection)
            executor.take(Step.CONNECTED)
            if knock.role == "executor-bulk":
                self._effects.append(Bind(opened.connection, knock.session, executor.endpoint))
            if executor.ready:
                if self.nodes.by_id[executor.node].quarantine.started():
                    self._effects.append(Log(f"node {executor.node_name} is let in again"))
                    self._places_changed()
                live.backlog.add(executor.node)
                self._flush(live)

    # ---- messages

    def session_of(self, connection: int) -> int | None:
        """The session that an open connection belongs to, if it does to one."""
        connected = self._connections.get(connection)
        if connected is None or connected.stage is not Stage.OPEN:
            return None
        return connected.session

    def readers(self, session: int) -> list[int]:
        """Control connections of the executors that a session's commands go to."""
        live = self.sessions.get(session)
        executors = () if live is None else live.executors.values()
        return [e.control for e in executors if e.control is not None]

    def _received(self, received: Received) -> None:
        connected = self._connections[received.connection]
        if not connected.take(Turn.SAID):
            return
        try:
            if connected.role == "client":
                live = self.sessions[connected.session or 0]
                live.session.from_client(received.messages)
                self._flush(live)
            elif connected.role == "executor":
                live = self.sessions[connected.session or 0]
                assert connected.node is not None
                live.session.from_executor(connected.node, received.messages)
                self._flush(live)
            else:
                assert connected.role == "agent", "a bulk connection has no messages"
                self._from_agent(connected, received.messages)
        except RemoteProtocolError as error:
            self._broken(received.connection, str(error))

    def _unexpected(self, session: int | None, error: Exception) -> None:
        """A mistake of ours: the session in which it happened is half changed, so it ends.

        Others weren't touched, and mustn't suffer from it.
        """
        self._effects.append(Log(f"unexpected error in session {session}: {raised(error)}"))
        if session in self._ended:
            del self._ended[session]  # it can't even be taken apart
        else:
            self._end_session(session or 0, "an unexpected error in vcl-master")

    def _from_agent(self, connected: Connected, messages: Sequence[Any]) -> None:
        assert connected.node is not None
        node = self.nodes.by_id[connected.node]
        node.heard = self._now
        for message in messages:
            if isinstance(message, node_messages.Heartbeat):
                node.load = message.load, message.memory_used, message.memory
            elif isinstance(message, node_messages.ExecutorEnded):
                found = self._find(message.session, node.id)
                if found is not None and found[1].start == message.start:
                    live, executor = found
                    also = f" ({executor.broke})" if executor.broke else ""
                    why = plain(message.message, failure_length_max) + also
                    self._executor_lost(live, node.id, why, message.refused)

    def _answered(self, one: Judged | Analysed | Rewritten) -> None:
        """What a session asked about a program is known, unless the session is over."""
        live = self.sessions.get(one.session)
        if live is None:
            return
        if isinstance(one, Judged):
            live.session.judged(one.request, one.judgement)
        elif isinstance(one, Analysed):
            live.session.analysed(one.number, one.found, one.passing)
        else:
            live.session.rewritten(one.number, one.found, one.passing)
        self._flush(live)

    def _broken(self, connection: int, text: str) -> None:
        """The peer broke the protocol: its session ends, with the reason, and nobody else's."""
        connected = self._connections[connection]
        if connected.take(Turn.BROKE):
            text = plain(text, 500)
            self._effects.append(Close(connection, text))
            self._effects.append(Log(f"closed a connection: {text}"))
            self._lost(connected, f"protocol error: {text}")

    def _flush(self, live: Live) -> None:
        """Let the session deal with what it was told, unless it has its next turn to come."""
        if not live.going_on:
            self._go_on(live)

    def _go_on(self, live: Live) -> None:
        """Let the session do what it can in this turn, and send what it has to say."""
        try:
            more = live.session.advance(self._over)
            self._send_all(live)
        except Exception as error:  # see _unexpected
            self._unexpected(live.session.number, error)
            return
        for one, other, why in live.session.take_unlinked():
            self._effects.append(Log(_unlinked(live, one, other, why)))
        for node, why in live.session.take_declined():
            name = self.nodes.by_id[node].name if node in self.nodes.by_id else "that is gone"
            text = f"session {live.session.number}: node {plain(name)} isn't used"
            self._effects.append(Log(f"{text}: {plain(why, failure_length_max)}"))
        suspects, live.session.suspects = live.session.suspects, []
        for node, text in suspects:
            if node in live.executors and live.executors[node].ready:
                self._broke(live, live.executors[node], text)
        live.going_on = more or bool(live.backlog)
        if live.going_on:
            self._effects.append(GoOn(live.session.number))
        if live.session.culprit is not None:
            source, text = live.session.culprit
            executor = live.executors.get(source)
            if executor is None:
                self._broken(live.control, text)
            elif executor.broke is None:
                assert executor.control is not None
                self._broken(executor.control, text)
            else:
                self._executor_lost(live, source, f"{text} ({executor.broke})")

    def _send_all(self, live: Live) -> None:
        """Send what the session has for its client and executors; ask for executors."""
        ledger = live.session.ledger
        for request, units in ledger.for_guard:
            self._effects.append(Judge(live.session.number, request, units))
        ledger.for_guard = []
        for question in ledger.for_analysis:
            ask = Analyse if isinstance(question, Question) else Rewrite
            self._effects.append(ask(live.session.number, *question))
        ledger.for_analysis = []
        for units, device in ledger.for_reading:
            self._effects.append(ReadAhead(live.session.number, units, device))
        ledger.for_reading = []
        if ledger.for_client:
            self._effects.append(Send(live.control, ledger.for_client))
            ledger.for_client = []
        for number in list(ledger.for_nodes):
            messages = ledger.for_nodes.pop(number)
            executor = live.executors.get(number)
            if executor is None:
                executor = self._ask_for_executor(live, self.nodes.by_id[number])
            executor.queued.extend(messages)
            live.backlog.add(number)
        for number in list(live.backlog):
            live.backlog.discard(number)
            if number in live.executors:
                self._send_queued(live, live.executors[number])

    def _send_queued(self, live: Live, executor: Executor) -> None:
        """What waited for an executor to start may be much: it goes in portions, too."""
        if executor.queued and executor.ready:
            assert executor.control is not None
            most = batch_count_max
            for index, message in enumerate(executor.queued[:most]):
                if type(message) is part.Build:  # which may be long: what follows waits for it
                    most = index + 1
                    break
            self._effects.append(Send(executor.control, executor.queued[:most]))
            del executor.queued[:most]
            if executor.queued:
                live.backlog.add(executor.node)

    def _ask_for_executor(self, live: Live, node: Node) -> Executor:
        live.starts += 1
        endpoint = live.session.ledger.endpoint(node.id)
        executor = Executor(node.id, node.name, live.starts, self._now, endpoint=endpoint)
        live.executors[node.id] = executor
        live.session.places_changed()
        number = live.session.number
        start = node_messages.StartExecutor(
            number,
            endpoint,
            executor.start,
            ticket(live.key, node.id, executor.start),
            [[device, index] for device, index in node.devices.items()],
        )
        self._effects.append(Expect(number, endpoint))
        self._effects.append(Send(node.connection, [start]))
        return executor

    # ---- ends

    def _closed(self, closed: Closed) -> None:
        connected = self._connections.pop(closed.connection)
        if not connected.take(Turn.LEFT):
            return
        found = self._find(connected.session, connected.node)
        if found is None:
            self._lost(connected, closed.reason)
            return
        # That the link broke is what the master sees of a crash; its agent knows the signal.
        self._broke(*found, closed.reason)

    def _broke(self, live: Live, executor: Executor, reason: str) -> None:
        """A connection of an executor is gone; it is lost, if its agent doesn't say so before."""
        if executor.broke is None:
            executor.broke = reason
            executor.take(Step.DISCONNECTED)
            number = live.session.number
            due = Due(number, executor.node, executor.start, cause=self.inputs_count)
            self._effects.append(Wake(executor_ended_wait_s, due))

    def _due(self, due: Due) -> None:
        found = self._find(due.session, due.node)
        if found is not None and found[1].start == due.start:
            live, executor = found
            assert executor.broke is not None
            self._executor_lost(live, due.node, executor.broke)

    def _find(self, session: int | None, node: int | None) -> tuple[Live, Executor] | None:
        live = self.sessions.get(session or 0)
        executor = None if live is None else live.executors.get(node or 0)
        return None if live is None or executor is None else (live, executor)

    def _lost(self, connected: Connected, reason: str) -> None:
        """What a connection carried is at its end with it."""
        if connected.role == "agent":
            assert connected.node is not None
            self._node_lost(self.nodes.by_id[connected.node], reason)
        elif connected.role in ("client", "client-bulk"):
            assert connected.session is not None
            self._end_session(connected.session, reason)
        else:
            live = self.sessions.get(connected.session or 0)
            if live is not None and connected.node in live.executors:
                assert connected.node is not None
                self._executor_lost(live, connected.node, reason)

    def _drop(self, connection: int | None, reason: str) -> None:
        """Close a connection, if there is one and it is open."""
        connected = None if connection is None else self._connections.get(connection)
        if connected is not None and connected.stage is Stage.OPEN:
            connected.take(Turn.END)
            self._effects.append(Close(connected.number, reason))

    def _end_session(self, number: int, reason: str) -> None:
        live = self.sessions.pop(number, None)
        if live is None:
            return
        self._drop(live.control, reason)
        self._drop(live.bulk, reason)
        for executor in live.executors.values():
            self._drop(executor.control, "the session is over")
            self._drop(executor.bulk, "the session is over")
            node = self.nodes.by_id.get(executor.node)
            if node is not None:
                stop = node_messages.StopExecutor(number)
                self._effects.append(Send(node.connection, [stop]))
        self._effects.append(Forget(number))
        self._ended[number] = live.session
        self._take_apart(number)
        self._effects.append(Log(f"session {number} is over: {reason}"))

    def _take_apart(self, number: int) -> None:
        if self._ended[number].take_apart(self._over):
            self._effects.append(GoOn(number))
        else:
            del self._ended[number]

    def _executor_lost(
        self, live: Live, node: int, reason: str, refused: bool = False
    ) -> None:
        """refused: its agent has no room for it, and could start others."""
        # An earlier loss of the same tick may have ended the session, or this executor.
        if self.sessions.get(live.session.number) is not live or node not in live.executors:
            return
        executor = live.executors.pop(node)
        live.session.places_changed()
        was_ready = executor.was_ready
        executor.take(Step.LOST)
        self._drop(executor.control, reason)
        self._drop(executor.bulk, reason)
        agent = self.nodes.by_id.get(node)
        if agent is not None and not was_ready and not refused:
            news = self.nodes.start_failed(agent, reason, self._now)
            if news is not None:
                self._effects.append(Log(news))
                self._places_changed()
                reason = f"{reason}; {news}"
        text = f"the executor on node {executor.node_name} is gone: {reason}"
        self._effects.append(Log(f"session {live.session.number}: {text}"))
        if agent is not None:
            stop = node_messages.StopExecutor(live.session.number)
            self._effects.append(Send(agent.connection, [stop]))
        live.session.executor_lost(node, text)
        self._flush(live)

    def _places_changed(self) -> None:
        for live in self.sessions.values():
            live.session.places_changed()

    def _node_lost(self, node: Node, reason: str) -> None:
        text = f"node {node.name} is gone: {reason}"
        self.nodes.remove(node, text)
        self._places_changed()
        self._effects.append(Log(text))
        for live in list(self.sessions.values()):
            live.session.node_gone(node.id)
            if node.id in live.executors:
                self._executor_lost(live, node.id, text)

    def _tick(self) -> None:
        before, self._ticked = self._ticked, self._now
        for name in self.nodes.let_in(self._now):
            self._effects.append(Log(f"node {name} is tried again"))
            self._places_changed()
        for live in self.sessions.values():
            live.session.tick()
        # Who was late itself, stopped or starved, can't tell who else was silent meanwhile.
        if before is not None and self._now - before > late_tick_ratio * heartbeat_interval_s:
            return
        for node in list(self.nodes.by_id.values()):
            if self._now - node.heard > heartbeat_timeout_s:
                self._drop(node.connection, "no heartbeat")
                self._node_lost(node, f"no heartbeat for {heartbeat_timeout_s:g} s")
        for live in list(self.sessions.values()):
            for executor in list(live.executors.values()):
                if executor.starts and self._now - executor.asked > executor_start_timeout_s:
                    why = f"it didn't start within {executor_start_timeout_s:g} s"
                    self._executor_lost(live, executor.node, why)


def _unlinked(live: Live, one: int, other: int, why: str) -> str:
    """Why bulk between two ends of a session goes through the master."""
    names = [
        f"node {live.executors[node].node_name}" if node in live.executors else "its program"
        for node in (one, other)
    ]
    text = f"session {live.session.number}: data between {names[0]} and {names[1]}"
    return f"{text} goes through the master: {plain(why, failure_length_max)}"


def _slot(role: Role) -> str:
    return "control" if role == "executor" else "bulk"
