"""Scripts: conversations with a master core, and everything that it does in answer.

Owns: the syntax of scripts, and playing one. Must not know: what any message means.

A script is a list of blocks with empty lines between. A block is its inputs, a line `----`, and
the effects expected, one a line; comments begin with `#`. Connections have names. The inputs are

    open NAME ROLE [key=value ...]   a Hello. token: the right one, if it isn't given; session,
                                     node: of roles that join a session; start: of an executor
                                     that isn't the session's first; devices: an agent's count
    NAME: Message(1, 2, [3], b"x")   a message arrives; those of one name in a row are one batch
    NAME ends 3 4                    Done with status 0 for operations
    NAME fails 3 -5 why              Done with another status for an operation
    close NAME why                   a connection is lost
    tick 12.5                        it is 12.5 seconds since the beginning
    due 1 2 3                        what a wake asked for: session, node, start

The effects are

    NAME <- Message(field=value ...)   messages; those of one frame have one arrow
    NAME welcome ... | refused ...     the answer to a Hello
    NAME bound session.endpoint        bulk for an endpoint goes there
    NAME closed: why
    wake after seconds: session node start
    log: text

Programs are judged at once, before the next input.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from master.access.programs import judge_program
from master.connections import INCOMING, ticket
from master.core import MasterCore
from master.effects import (
    Analyse,
    Answer,
    Bind,
    Close,
    Effect,
    Expect,
    Forget,
    Judge,
    ReadAhead,
    Rewrite,
    Send,
    Wake,
)
from master.inputs import Analysed, Closed, Due, Input, Judged, Opened, Received, Rewritten, Tick
from tests.described import device
from vcl.wire import codec
from vcl.wire.messages import node, part
from vcl.wire.messages.handshake import Hello, Welcome, pack_hello, unpack_knock

MESSAGES = {
    cls.__name__: cls
    for conversation in INCOMING.values()
    for cls in conversation.classes.values()
}
RULE = "----"


@dataclass
class Block:
    """comments: lines before the inputs."""

    comments: list[str]
    inputs: list[str]
    expected: list[str]

    def text(self, effects: list[str]) -> str:
        """The block as a script has it, with these effects."""
        return "\n".join([*self.comments, *self.inputs, RULE, *effects]) + "\n"


def parse(script: str) -> Iterator[Block]:
    """The blocks of a script; a stretch of comments alone belongs to the block that follows."""
    comments: list[str] = []
    for stretch in script.strip("\n").split("\n\n"):
        lines = stretch.splitlines()
        if all(line.startswith("#") for line in lines):
            comments += [*lines, ""]
            continue
        assert lines.count(RULE) == 1, f"a block has one {RULE}:\n{stretch}"
        rule = lines.index(RULE)
        inputs = lines[:rule]
        while inputs[0].startswith("#"):
            comments.append(inputs.pop(0))
        yield Block(comments, inputs, lines[rule + 1 :])
        comments = []
    assert not comments, "comments at the end belong to no block"


class Player:
    """A master core, and names for its connections."""

    def __init__(self) -> None:
        self._core = MasterCore("token", "agent-token", "1.0")
        self._numbers: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._roles: dict[int, str] = {}
        self._keys: dict[int, str] = {}
        self._now = 0.0

    def play(self, block: Block) -> list[str]:
        """Feed the inputs of a block; answers the effects as lines."""
        lines: list[str] = []
        for one in self._inputs(block.inputs):
            lines += self._feed(one)
        return lines

    def _feed(self, one: Input) -> list[str]:
        lines: list[str] = []
        judged: list[Judged | Analysed | Rewritten] = []
        for effect in self._core.handle([one], self._now):
            if isinstance(effect, Judge):
                judgement = judge_program(effect.units)
                judged.append(Judged(effect.session, effect.request, judgement))
            elif isinstance(effect, Analyse):
                judged.append(Analysed(effect.session, effect.number, ""))
            elif isinstance(effect, Rewrite):
                judged.append(Rewritten(effect.session, effect.number, ""))
            elif isinstance(effect, ReadAhead):
                pass  # nobody is told
            else:
                lines += self._effect(effect)
        return lines + [line for answer in judged for line in self._feed(answer)]

    # ---- inputs

    def _inputs(self, lines: list[str]) -> Iterator[Input]:
        batch: list[Any] = []
        for index, line in enumerate(lines):
            first, _, rest = line.partition(" ")
            if first.endswith(":"):
                batch.append(_message(rest))
                if index + 1 == len(lines) or not lines[index + 1].startswith(f"{first} "):
                    yield self._received(first[:-1], batch)
                    batch = []
            elif first == "open":
                yield self._open(*rest.split())
            elif first == "close":
                name, _, why = rest.partition(" ")
                yield Closed(self._numbers[name], why)
            elif first == "tick":
                self._now = float(rest)
                yield Tick()
            elif first == "due":
                yield Due(*map(int, rest.split()))
            else:
                done = part.Done(_operations(*rest.split(maxsplit=3)))
                yield self._received(first, [done])

    def _received(self, name: str, messages: list[Any]) -> Received:
        number = self._numbers[name]
        arrays = [list(codec.pack(m)) for m in messages]
        return Received(number, INCOMING[self._roles[number]].unpack(arrays))

    def _open(self, name: str, role: str, *settings: str) -> Opened:
        number = len(self._names) + 1
        self._numbers[name], self._names[number] = number, name
        self._roles[number] = role
        fields = dict(setting.split("=", 1) for setting in settings)
        found: dict[str, Any] = {"token": "token", "name": "", "session": None}
        if role == "agent":
            found |= {"token": "agent-token", "name": name, "host": f"host-of-{name}"}
            found |= {"incarnation": f"{name}-{number}", "devices": []}
            for index in range(int(fields.pop("devices", "1"))):
                limits = {"MAX_WORK_GROUP_SIZE": 64, "MAX_WORK_ITEM_SIZES": [64, 64, 64]}
                found["devices"].append(device(NAME=f"cpu{index}", **limits))
        elif role != "client":
            found["session"] = int(fields.pop("session"))
            found["token"] = self._keys.get(found["session"], "")
            if role != "client-bulk":
                found["endpoint"] = int(fields.pop("node"))
                start = int(fields.pop("start", "1"))
                found["token"] = ticket(found["token"], found["endpoint"], start)
        hello = Hello(software="1.0", role=role, **(found | fields))  # type: ignore[arg-type]
        return Opened(number, unpack_knock(pack_hello(hello)), f"host-of-{name}", f"key-of-{name}")

    # ---- effects

    def _effect(self, effect: Effect) -> list[str]:
        if isinstance(effect, Send):
            name = self._names[effect.connection]
            arrows = [f"{name} <-", *[" " * (len(name) + 3)] * (len(effect.messages) - 1)]
            return [
                f"{a} {self._shown(m)}" for a, m in zip(arrows, effect.messages, strict=True)
            ]
        if isinstance(effect, Answer):
            name, answer = self._names[effect.connection], effect.answer
            if isinstance(answer, Welcome):
                return [f"{name} {self._welcome(answer)}"]
            return [f"{name} refused, {answer.code}: {answer.reason}"]
        if isinstance(effect, Bind):
            where = f"{effect.session}.{effect.endpoint}"
            return [f"{self._names[effect.connection]} bound {where}"]
        if isinstance(effect, Close):
            return [f"{self._names[effect.connection]} closed: {effect.reason}"]
        if isinstance(effect, Expect):
            return [f"bulk of {effect.session}.{effect.endpoint} is expected"]
        if isinstance(effect, Forget):
            return [f"bulk of session {effect.session} is forgotten"]
        if isinstance(effect, Wake):
            due = effect.due
            return [f"wake after {effect.after_s:g}: {due.session} {due.node} {due.start}"]
        return [f"log: {effect.text}"]

    def _welcome(self, answer: Welcome) -> str:
        text = "welcome"
        if answer.session is not None:
            self._keys[answer.session] = answer.key
            text += f" session={answer.session}"
        if answer.node is not None:
            text += f" node={answer.node}"
        for one in answer.devices:
            text += f" {one.device}={one.description.info['NAME']}@{one.node_name}"
        return text

    def _shown(self, message: Any) -> str:
        if isinstance(message, node.StartExecutor):
            message = message._replace(ticket="...")
        fields = [f"{k}={v!r}" for k, v in message._asdict().items()]
        return f"{type(message).__name__}({' '.join(fields)})"


def _message(text: str) -> Any:
    call = ast.parse(text, mode="eval").body
    assert isinstance(call, ast.Call) and isinstance(call.func, ast.Name), text
    assert not call.keywords, "fields are given in their order"
    return MESSAGES[call.func.id](*(ast.literal_eval(argument) for argument in call.args))


def _operations(verb: str, *rest: str) -> list[list[Any]]:
    if verb == "ends":
        numbers = " ".join(rest).split()
        return [[int(number), 0, 1000, 3000, None, None] for number in numbers]
    assert verb == "fails", verb
    return [[int(rest[0]), int(rest[1]), 0, 0, rest[2], None]]
