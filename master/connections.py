"""What the master knows of its connections, and the sessions that they belong to.

Owns: the records, what each role may say, and the tickets of executors. Must not know: what
happens to any of them (`core`).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from master.likeness import Models
from master.objects import Executor, after
from master.sessions import Session
from vcl.numbering import Numbering
from vcl.wire.codec import Conversation
from vcl.wire.messages import node as node_messages
from vcl.wire.messages import part, session
from vcl.wire.messages.handshake import Knock

INCOMING: Mapping[str, Conversation] = {
    "client": session.TO_MASTER,
    "executor": part.FROM_EXECUTOR,
    "agent": node_messages.FROM_AGENT,
}
"""What the peer says on a control connection, by its role; the others are bulk."""


class Stage(Enum):
    """Where a connection is in its life, once it has said Hello; its value is for people."""

    OPEN = "open"
    ENDED = "ended by the master"
    GONE = "gone"


class Turn(Enum):
    """What happens to a connection; its value is for people."""

    SAID = "it says something"
    BROKE = "it breaks the protocol"
    END = "the master ends it"
    LEFT = "it is gone"


STAGES = {
    (Stage.OPEN, Turn.SAID): Stage.OPEN,
    (Stage.OPEN, Turn.BROKE): Stage.ENDED,
    (Stage.OPEN, Turn.END): Stage.ENDED,
    (Stage.OPEN, Turn.LEFT): Stage.GONE,
    # What it said was on its way.
    (Stage.ENDED, Turn.SAID): Stage.ENDED,
    (Stage.ENDED, Turn.BROKE): Stage.ENDED,
    (Stage.ENDED, Turn.LEFT): Stage.GONE,
}
"""All that may happen to a connection that was let in, or refused (ENDED from the first)."""


@dataclass(slots=True)
class Connected:
    """What a connection is. session, node: of roles that have one."""

    number: int
    role: str
    session: int | None = None
    node: int | None = None
    stage: Stage = Stage.OPEN

    def take(self, turn: Turn) -> bool:
        """Something happens to it; answers whether it was open."""
        was_open = self.stage is Stage.OPEN
        self.stage = after(STAGES, self.stage, turn, f"connection {self.number} ({self.role})")
        return was_open


@dataclass(slots=True)
class Live:
    """A session with its connections.

    starts: executors asked for so far.
    backlog: nodes for whose executors there is more than one portion of messages. going_on: the
    shell was told that the session has more to do than one turn's work. numbering: of the
    control connection, which it may outlive. program, user: as its client says. began: when, on the
    master's clock, in s. devices: that its client was told of, of these models.
    """

    session: Session
    key: str
    control: int
    bulk: int | None = None
    executors: dict[int, Executor] = field(default_factory=dict)
    starts: int = 0
    backlog: set[int] = field(default_factory=set)
    going_on: bool = False
    numbering: Numbering = field(default_factory=Numbering)
    program: str = ""
    user: str = ""
    began: float = 0.0
    devices: frozenset[int] = frozenset()
    models: Models = field(default_factory=lambda: Models(()))

    def expected(self, knock: Knock) -> tuple[int | None, str]:
        """(node, secret) of the end that a Hello wants to be; "" if there is none."""
        if knock.role == "client-bulk":
            return None, self.key
        node = self.session.ledger.node(knock.endpoint or 0)
        executor = self.executors.get(node)
        if executor is None or executor.endpoint != knock.endpoint or executor.broke is not None:
            return None, ""
        return node, ticket(self.key, node, executor.start)


def ticket(key: str, node: int, start: int) -> str:
    """What the executor of a session on a node presents: proves that the master asked for it."""
    text = f"executor {node} {start}".encode()
    return hmac.new(key.encode(), text, hashlib.sha256).hexdigest()
