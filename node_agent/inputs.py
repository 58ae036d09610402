"""What the shell tells the executor core.

Owns: the input records of `node_agent.core.ExecutorCore.handle`. Must not know: sockets, drivers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from vcl.wire.frame import BulkFrame, Bytes
from vcl.wire.messages.part import BuildDone


@dataclass(frozen=True, slots=True)
class FromMaster:
    """Checked messages of conversation `part`."""

    messages: list[Any]


@dataclass(frozen=True, slots=True)
class FromEndpoint:
    """A bulk frame arrived."""

    frame: BulkFrame


class Ended(NamedTuple):
    """The driver ended an operation: status 0 or negative; start, end in ns of the wall clock.

    closing: of a Store that had no bytes and only answers in order. A tuple, as one is made for
    each launch.
    """

    operation: int
    status: int
    start: int
    end: int
    text: str | None = None
    extra: Any = None
    closing: bool = False


@dataclass(frozen=True, slots=True)
class BytesReady:
    """What a Send or SendChanges shall send is there; valid until Unmap."""

    operation: int
    data: tuple[Bytes, ...]
    start: int


@dataclass(frozen=True, slots=True)
class Streamed:
    """All bytes of a transfer were handed to the connection."""

    transfer: int


@dataclass(frozen=True, slots=True)
class BuildEnded:
    """The driver ended a build."""

    message: BuildDone


@dataclass(frozen=True, slots=True)
class Printed:
    """A launch that is about to end printed this."""

    operation: int
    text: bytes


Input = FromMaster | FromEndpoint | Ended | BytesReady | Streamed | BuildEnded | Printed
