"""What the shell tells the master core.

Owns: the input records of `master.core.MasterCore.handle`. Must not know: sockets; a connection
is a number that the shell chose.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from master.access.kernels import Footprint
from master.access.programs import Judgement, Variant
from vcl.wire.messages.handshake import Knock


@dataclass(frozen=True, slots=True, kw_only=True)
class _Following:
    """cause: that of the effect which it follows from, 0 if it comes from outside."""

    cause: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection said Hello. secret: fresh random text, used if a session begins."""

    connection: int
    knock: Knock
    peer: str
    secret: str


@dataclass(frozen=True, slots=True)
class Received:
    """Control messages arrived on a connection; they are of those that its role may say."""

    connection: int
    messages: list[Any]


@dataclass(frozen=True, slots=True)
class Broken(_Following):
    """A peer said what no honest peer says, or can't be told what it has to be. text: for both."""

    connection: int
    text: str


@dataclass(frozen=True, slots=True)
class Closed:
    """A connection is gone. reason: for people."""

    connection: int
    reason: str


@dataclass(frozen=True, slots=True)
class Judged(_Following):
    """The guard's answer to Judge. Both may be gone: the session, and the build."""

    session: int
    request: int
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class Analysed(_Following):
    """The answer to Analyse: what the launch touches, or why that isn't known.

    passing: the reason says nothing of the program: another time it may be known.
    """

    session: int
    number: int
    found: Footprint | str
    passing: bool = False


@dataclass(frozen=True, slots=True)
class Rewritten(_Following):
    """The answer to Rewrite: the program, or why it can't be rewritten. passing: as in Analysed."""

    session: int
    number: int
    found: Variant | str
    passing: bool = False


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; `now` of the call says how much."""


@dataclass(frozen=True, slots=True)
class Continue(_Following):
    """The turn of a session that an earlier one was too short for."""

    session: int


@dataclass(frozen=True, slots=True)
class Due(_Following):
    """The time that a `Wake` named is over. start: of the executor that it was about."""

    session: int
    node: int
    start: int


Input = Opened | Received | Broken | Closed | Judged | Analysed | Rewritten | Tick | Due | Continue
