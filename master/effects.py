"""What the master core asks of its shell.

Owns: the effect records that `master.core.MasterCore.handle` answers with. Must not know: how
they are carried out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from master.inputs import Due
from vcl.numbering import Numbering
from vcl.wire.messages.handshake import Refused, Welcome


@dataclass(slots=True, kw_only=True)
class _Effect:
    """cause: number of the input that it follows from, as `MasterCore.inputs_count` had it."""

    cause: int = field(default=0, compare=False)


@dataclass(slots=True)
class Answer(_Effect):
    """Answer a Hello; after Refused the connection is closed.

    numbering: of the end that a welcome control connection is; it lives as long as the end.
    """

    connection: int
    answer: Welcome | Refused
    numbering: Numbering | None = None


@dataclass(slots=True)
class Send(_Effect):
    """Send messages on a control connection, in this order, as one frame."""

    connection: int
    messages: list[Any]


@dataclass(slots=True)
class Bind(_Effect):
    """Bulk connection `connection` belongs to an endpoint of a session: relay by it."""

    connection: int
    session: int
    endpoint: int


@dataclass(slots=True)
class Expect(_Effect):
    """A bulk connection of this endpoint will be bound: keep what comes for it before."""

    session: int
    endpoint: int


@dataclass(slots=True)
class Forget(_Effect):
    """A session is over: keep nothing for its endpoints."""

    session: int


@dataclass(slots=True)
class Close(_Effect):
    """Close a connection. reason: for the peer."""

    connection: int
    reason: str


@dataclass(slots=True)
class Judge(_Effect):
    """Have the guard read a program; answered by Judged. request: of its build."""

    session: int
    request: int
    units: list[list[Any]]


@dataclass(slots=True)
class Analyse(_Effect):
    """Find out what a launch touches; answered by Analysed. number: to tell the answer by.

    The other fields: as `master.access.analyser.analysis` has them.
    """

    session: int
    number: int
    units: list[list[Any]]
    device: dict[str, str]
    kernel: str
    arguments: list[bytes | str]
    ndrange: list[list[int]]


@dataclass(slots=True)
class Rewrite(_Effect):
    """Rewrite a program so that a part sees its launch; answered by Rewritten. As in Analyse."""

    session: int
    number: int
    units: list[list[Any]]
    device: dict[str, str]


@dataclass(slots=True)
class ReadAhead(_Effect):
    """Have a program parsed, if nothing else is to do, as a launch will ask for it. Not answered.

    The fields: as in Analyse.
    """

    session: int
    units: list[list[Any]]
    device: dict[str, str]


@dataclass(slots=True)
class Log(_Effect):
    """Something that the operator should read."""

    text: str


@dataclass(slots=True)
class GoOn(_Effect):
    """The turn was too short for a session: feed Continue when the others have had theirs.

    Until then take nothing more from its peers.
    """

    session: int


@dataclass(slots=True)
class Wake(_Effect):
    """Feed `due` after so many seconds, whatever happens until then."""

    after_s: float
    due: Due


Effect = (
    Answer | Send | Bind | Expect | Forget | Close | Judge | Analyse | Rewrite | ReadAhead | Log
    | Wake | GoOn
)  # fmt: skip
