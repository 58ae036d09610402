"""What the master core asks of its shell.

Owns: the effect records that `master.core.MasterCore.handle` answers with. Must not know: how
they are carried out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from master.inputs import Due
from vcl.numbering import Numbering
from vcl.wire.messages.handshake import Refused, Welcome


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer a Hello; after Refused the connection is closed.

    numbering: of the end that a welcome control connection is; it lives as long as the end.
    """

    connection: int
    answer: Welcome | Refused
    numbering: Numbering | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """Send messages on a control connection, in this order, as one frame."""

    connection: int
    messages: list[Any]


@dataclass(frozen=True, slots=True)
class Bind:
    """Bulk connection `connection` belongs to an endpoint of a session: relay by it."""

    connection: int
    session: int
    endpoint: int


@dataclass(frozen=True, slots=True)
class Expect:
    """A bulk connection of this endpoint will be bound: keep what comes for it before."""

    session: int
    endpoint: int


@dataclass(frozen=True, slots=True)
class Forget:
    """A session is over: keep nothing for its endpoints."""

    session: int


@dataclass(frozen=True, slots=True)
class Close:
    """Close a connection. reason: for the peer."""

    connection: int
    reason: str


@dataclass(frozen=True, slots=True)
class Judge:
    """Have the guard read a program; answered by Judged. request: of its build."""

    session: int
    request: int
    units: list[list[Any]]


@dataclass(frozen=True, slots=True)
class Log:
    """Something that the operator should read."""

    text: str


@dataclass(frozen=True, slots=True)
class GoOn:
    """The turn was too short for a session: feed Continue when the others have had theirs.

    Until then take nothing more from its peers.
    """

    session: int


@dataclass(frozen=True, slots=True)
class Wake:
    """Feed `due` after so many seconds, whatever happens until then."""

    after_s: float
    due: Due


Effect = Answer | Send | Bind | Expect | Forget | Close | Judge | Log | Wake | GoOn
