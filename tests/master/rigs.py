"""A master core and a session to talk to by hand, without connections.

Owns: short ways of saying what agents, clients and executors say, and of reading what is answered.
Must not know: what the right answers are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from master.access.kernels import Footprint
from master.access.programs import Variant, judge_program
from master.connections import INCOMING
from master.core import MasterCore
from master.effects import Analyse, Answer, Close, Effect, GoOn, Judge, Rewrite, Send, Wake
from master.inputs import (
    Analysed,
    Broken,
    Closed,
    Continue,
    Input,
    Judged,
    Opened,
    Received,
    Rewritten,
    Tick,
)
from master.ledger import Question, RewriteQuestion
from master.places import Place
from master.sessions import Session
from tests.described import device
from vcl.errors import RemoteProtocolError
from vcl.wire import codec
from vcl.wire.messages import node, part, session
from vcl.wire.messages.handshake import Hello, pack_hello, unpack_knock

GLOBAL, CONSTANT, PRIVATE = 0x119B, 0x119C, 0x119E
OPERATIONS = (
    part.Free, part.ForgetProgram, part.Run, part.Again, part.FillRegion, part.CopyRegion,
    part.CopyBox, part.Send, part.Receive, part.Snapshot, part.SendChanges, part.Merge,
)  # fmt: skip
ADD = "__kernel void add(__global float *x, float y) { x[get_global_id(0)] += y; }"


def place(device: int, node: int | None = None) -> Place:
    """A device on a node of the same number, if no other is given."""
    number = device if node is None else node
    return Place(device, number, f"device {device}", f"n{number}", 256, (256, 256, 256))


def kernel(name: str, *arguments: tuple[int, str], devices: Sequence[int] = ()) -> list[Any]:
    """A kernel as BuildDone tells it; a type name may begin with const."""
    facts = [[address, 0, 0, 0, f"a{i}"] for i, (address, _) in enumerate(arguments)]
    for fact, (_, type_name) in zip(facts, arguments, strict=True):
        fact[1] = type_name.removeprefix("const ")
        fact[3] = int(fact[1] != type_name)
    return [name, [[d, [1024, [0, 0, 0], 0, 1, 0, ""]] for d in devices or [1]], facts]


class SessionRig:
    """A session on places that may come and go; context 1 is the cluster device's, queue 2 too.

    Programs are judged at once.
    """

    def __init__(self, *places: Place, split: bool = True, properties: int = 0) -> None:
        self._places = list(places)
        self.analyse: Callable[[Question], Footprint | str] = lambda question: ""
        """Answers what launches touch."""
        self.rewrite: Callable[[RewriteQuestion], Variant | str] = lambda question: ""
        """Answers how their parts see them."""
        self.passing = False
        """Whether the reasons for not knowing that are passing."""
        self.session = Session(1, self._find)
        self.client: list[Any] = []
        """Messages to the client since `clear`."""
        self.nodes: dict[int, list[Any]] = {}
        """Messages to executors since `clear`."""
        devices = [p.device for p in places]
        self.say(
            session.CreateContext(1, devices, split), session.CreateQueue(2, 1, 0, properties)
        )

    @property
    def places(self) -> list[Place]:
        """Where commands may run now."""
        return self._places

    @places.setter
    def places(self, places: list[Place]) -> None:
        self._places = places
        self.session.places_changed()

    def _find(self, devices: Sequence[int]) -> list[Place]:
        by_device = {p.device: p for p in self.places}
        return [by_device[d] for d in devices if d in by_device]

    def _take(self) -> None:
        self.session.advance()
        if self.session.culprit is not None:
            (_, text), self.session.culprit = self.session.culprit, None
            raise RemoteProtocolError(text)
        ledger = self.session.ledger
        for request, units in ledger.for_guard:
            self.session.judged(request, judge_program(units))
        ledger.for_guard = []
        for question in ledger.for_analysis:
            if isinstance(question, Question):
                self.session.analysed(question.number, self.analyse(question), self.passing)
            else:
                self.session.rewritten(question.number, self.rewrite(question), self.passing)
        if ledger.for_analysis:
            ledger.for_analysis = []
            self._take()
        self.client += ledger.for_client
        ledger.for_client = []
        for number in list(ledger.for_nodes):
            self.nodes.setdefault(number, []).extend(ledger.for_nodes.pop(number))

    def clear(self) -> None:
        """Forget what was said so far."""
        self.client, self.nodes = [], {}

    def say(self, *messages: Any) -> None:
        """As the client."""
        self.session.from_client(messages)
        self._take()

    def answer(self, number: int, *messages: Any) -> None:
        """As the executor on a node."""
        self.session.from_executor(number, messages)
        self._take()

    def done(
        self, operation: Any, status: int = 0, text: str | None = None, extra: Any = None
    ) -> None:
        """The operation of a message to an executor ended."""
        number = next(n for n, said in self.nodes.items() if any(m is operation for m in said))
        entry = [operation.operation, status, 10, 20, text, extra]
        self.answer(number, part.Done([entry]))

    def run(self, extra: Mapping[int, Any] | None = None) -> None:
        """All operations under way end well, in the order in which they were said.

        extra: what some of them report besides.
        """
        while self.session.ledger.live:
            number, operation = next(iter(self.session.ledger.live.items()))
            told = (extra or {}).get(number)
            self.answer(operation.node, part.Done([[number, 0, 10, 20, None, told]]))

    def run_but(self, operation: Any, status: int, text: str, extra: Any) -> None:
        """What was said before it ends well, and it fails."""
        live = self.session.ledger.live
        while (first := next(iter(live))) != operation.operation and first in operation.waits:
            self.answer(live[first].node, part.Done([[first, 0, 10, 20, None, None]]))
        self.done(operation, status, text, extra)

    def lose(self, number: int, with_node: bool = True) -> None:
        """The executor on a node is gone, and the node, too."""
        if with_node:
            self.places = [p for p in self.places if p.node != number]
        self.session.executor_lost(number, f"n{number} is gone")
        self._take()

    def build(self, program: int, *kernels: list[Any], source: str = ADD) -> None:
        """Create and build a program everywhere; kernels as `kernel` makes them."""
        units = [[source, "", [], []]]
        self.say(session.BuildProgram(program, 1, program, session.BUILD, units, ""))
        for number in sorted({p.node for p in self.places}):
            self.answer(number, part.BuildDone(program, 0, "", [], list(kernels)))
        self.clear()

    def said(self, kind: type, number: int | None = None) -> list[Any]:
        """Messages of one class to executors, or to one executor."""
        chosen = self.nodes if number is None else {number: self.nodes.get(number, [])}
        return [m for messages in chosen.values() for m in messages if isinstance(m, kind)]

    def told(self, kind: type) -> list[Any]:
        """Messages of one class to the client."""
        return [m for m in self.client if isinstance(m, kind)]

    def ended(self) -> dict[int, int]:
        """Status by event of all that was told to be complete."""
        return {e[0]: e[1] for m in self.told(session.EventsDone) for e in m.events}


class MasterRig:
    """A master core; connections are numbered from 1."""

    def __init__(self) -> None:
        self.core = MasterCore("token", "agent-token", "9")
        self.now = 0.0
        self.effects: list[Effect] = []
        """Of the last input."""
        self.judges = True
        """Whether programs are judged at once."""
        self.goes_on = True
        """Whether a session that has more to do has its next turn at once."""
        self._last = 0
        self._roles: dict[int, str] = {}

    def feed(self, *inputs: Input) -> list[Effect]:
        """Feed inputs; answers the effects."""
        self.effects = self.core.handle(inputs, self.now)
        for effect in self.effects:  # to which it adds
            if isinstance(effect, Judge) and self.judges:
                judged = Judged(effect.session, effect.request, judge_program(effect.units))
                self.effects += self.core.handle([judged], self.now)
            elif isinstance(effect, Analyse):
                analysed = Analysed(effect.session, effect.number, "")
                self.effects += self.core.handle([analysed], self.now)
            elif isinstance(effect, Rewrite):
                rewritten = Rewritten(effect.session, effect.number, "")
                self.effects += self.core.handle([rewritten], self.now)
            elif isinstance(effect, GoOn) and self.goes_on:
                self.effects += self.core.handle([Continue(effect.session)], self.now)
        return self.effects

    def open(self, role: str, token: str | None = None, **fields: Any) -> int:
        """A connection says Hello; answers its number. token: by default the right one."""
        self._last += 1
        self._roles[self._last] = role
        if token is None:
            token = "agent-token" if role == "agent" else "token"
        hello = Hello.model_validate({"software": "9", "role": role, "token": token, **fields})
        knock = unpack_knock(pack_hello(hello))
        self.feed(Opened(self._last, knock, "peer:1", f"key{self._last}"))
        return self._last

    def agent(self, name: str, devices: int = 1, incarnation: str | None = None) -> int:
        """An agent registers; answers its connection."""
        described = [device(NAME=f"cpu {name}")] * devices
        return self.open(
            "agent", name=name, incarnation=incarnation or name, devices=described
        )

    def say(self, connection: int, *messages: Any) -> list[Effect]:
        """Messages arrive on a control connection."""
        return self.say_arrays(connection, *(list(codec.pack(m)) for m in messages))

    def say_arrays(self, connection: int, *arrays: list[Any]) -> list[Effect]:
        """Messages as they travel arrive on a control connection, and may be malformed."""
        try:
            messages = INCOMING[self._roles[connection]].unpack(arrays)
        except RemoteProtocolError as error:
            return self.feed(Broken(connection, str(error)))
        return self.feed(Received(connection, messages))

    def close(self, connection: int, reason: str = "gone") -> list[Effect]:
        """A connection is lost."""
        return self.feed(Closed(connection, reason))

    def wake(self) -> list[Effect]:
        """The time that the last input asked for is over."""
        (wake,) = [e for e in self.effects if isinstance(e, Wake)]
        self.now += wake.after_s
        return self.feed(wake.due)

    def tick(self, now: float) -> list[Effect]:
        """Time passes."""
        self.now = now
        return self.feed(Tick())

    def sent(self, connection: int) -> list[Any]:
        """Messages that the last input sent on a connection."""
        sends = [e for e in self.effects if isinstance(e, Send) and e.connection == connection]
        return [m for e in sends for m in e.messages]

    def answered(self) -> Any:
        """The one answer to the last Hello."""
        (answer,) = [e.answer for e in self.effects if isinstance(e, Answer)]
        return answer

    def closed(self) -> dict[int, str]:
        """Connections that the last input closed, with the reasons."""
        return {e.connection: e.reason for e in self.effects if isinstance(e, Close)}

    def asked(self, connection: int) -> node.StartExecutor:
        """The one executor that the last input asked an agent for."""
        (start,) = [m for m in self.sent(connection) if isinstance(m, node.StartExecutor)]
        return start

    def join(self, start: node.StartExecutor) -> tuple[int, int]:
        """An executor dials in: bulk, then control; answers (control, bulk)."""
        fields = {"token": start.ticket, "session": start.session, "endpoint": start.node}
        bulk = self.open("executor-bulk", **fields)
        return self.open("executor", **fields), bulk
