"""What the executor core asks of its shell and its driver.

Owns: the effect records that `node_agent.core.ExecutorCore.handle` answers with, besides those of
`vcl.transfers` (Stream, GrantCredit) and the messages of direct links. Must not know: how they are
carried out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from vcl.transfers import GrantCredit, Stream
from vcl.wire.frame import Bytes
from vcl.wire.messages import part
from vcl.wire.messages.direct import ExpectLink, OpenLink
from vcl.wire.shapes import Told


class Start(NamedTuple):
    """Hand a message of conversation `part` to the driver, in this order.

    Answered by Ended; for Send and SendChanges by BytesReady or a failed Ended; for Build by
    BuildEnded; for Allocate not at all. A tuple, as one is made for each launch.
    """

    message: Any


class StartAgain(NamedTuple):
    """As the Start of `run()`, of a launch that differs from an earlier one by values at most.

    The driver may keep in `told` what it made of it.
    """

    message: part.Again
    told: Told

    def run(self) -> part.Run:
        """The launch as one that wasn't told before."""
        operation, waits, _, values, cause = self.message
        return self.told.message._replace(  # type: ignore[no-any-return]
            operation=operation, waits=waits, arguments=self.told.arguments(values), cause=cause,
            shape=0,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Store:
    """Write bytes of a Receive to its device; answered by Ended after the last.

    No bytes and last: nothing to write, but answer in order. awaited: they are all, and what was
    said to follow them comes next.
    """

    message: Any
    offset: int
    data: Bytes
    last: bool
    awaited: bool = False


@dataclass(frozen=True, slots=True)
class StartMerge:
    """Finish a merge with the changes of the other parts; answered by Ended."""

    message: Any
    changes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Unmap:
    """The bytes of a Send or SendChanges are needed no longer."""

    operation: int


@dataclass(frozen=True, slots=True)
class DropSnapshot:
    """A merge failed before its snapshot was used: free it."""

    device: int
    merge: int


@dataclass(frozen=True, slots=True)
class Report:
    """Send messages to the master. soon: somebody may wait for what they say; else they may be
    sent with others, a little later."""

    messages: list[Any]
    soon: bool = field(default=True, compare=False)


Effect = (
    Start | StartAgain | Store | StartMerge | Unmap | DropSnapshot | Report | Stream | GrantCredit
    | OpenLink | ExpectLink
)  # fmt: skip
