"""Operations that move bytes between endpoints: where each may be, and what may happen to it there.

Owns: a table for each kind, and the records that hold to them. Must not know: credit, order and
bounds of the bytes (`vcl.transfers`), which operation may start (`readiness`), drivers.

A transfer has an operation at each end. What a table doesn't have is the error; its text tells
what happened to that operation before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from node_agent.inputs import BytesReady
from node_agent.reductions import REDUCED_BYTES
from vcl.transfer_states import Record, Told
from vcl.wire.messages import part


class At(Told):
    """Where an operation is; its value is for people."""

    AWAITED = "without its bytes"
    HELD = "held back with its bytes"
    SENDING = "sending"
    EXPECTED = "incomplete"
    STORING = "storing"
    COMPLETE = "with the driver"
    STOPPED = "stopped"
    DROPPED = "dropped"
    DONE = "done"


class Happens(Told):
    """What happens to an operation; its value is for people."""

    NAMED_AGAIN = "its transfer was announced for another"
    BYTES = "its bytes were there"
    BYTES_EARLY = "its bytes were there before what it waits for ended"
    SETTLED = "what it waits for ended"
    CHUNK = "a chunk came"
    ALL = "all came"
    CANCEL = "its other end failed"
    MISFIT = "what it says doesn't fit together"
    REFUSED = "the driver couldn't store a chunk"
    END = "it ended"


Table = Mapping[tuple[At, Happens], At]

SEND: Table = {
    (At.AWAITED, Happens.BYTES): At.SENDING,
    (At.AWAITED, Happens.BYTES_EARLY): At.HELD,
    (At.AWAITED, Happens.CANCEL): At.AWAITED,
    (At.AWAITED, Happens.END): At.DONE,
    (At.HELD, Happens.SETTLED): At.SENDING,
    (At.HELD, Happens.CANCEL): At.HELD,
    (At.HELD, Happens.END): At.DONE,
    (At.SENDING, Happens.CANCEL): At.SENDING,
    (At.SENDING, Happens.END): At.DONE,
}
"""A Send or SendChanges. What has been begun is sent to its end though nobody wants it."""

RECEIVE: Table = {
    (At.EXPECTED, Happens.CHUNK): At.STORING,
    (At.EXPECTED, Happens.ALL): At.COMPLETE,
    (At.EXPECTED, Happens.CANCEL): At.DROPPED,
    (At.EXPECTED, Happens.END): At.DONE,
    (At.STORING, Happens.CHUNK): At.STORING,
    (At.STORING, Happens.ALL): At.COMPLETE,
    (At.STORING, Happens.CANCEL): At.STOPPED,
    (At.STORING, Happens.REFUSED): At.STOPPED,
    (At.COMPLETE, Happens.CANCEL): At.COMPLETE,
    (At.COMPLETE, Happens.REFUSED): At.STOPPED,
    (At.COMPLETE, Happens.END): At.DONE,
    (At.STOPPED, Happens.CANCEL): At.STOPPED,
    (At.STOPPED, Happens.REFUSED): At.STOPPED,
    (At.STOPPED, Happens.END): At.DONE,
    (At.DROPPED, Happens.CANCEL): At.DROPPED,
    (At.DROPPED, Happens.END): At.DONE,
}
"""A Receive. One of which the driver has a chunk is stopped, and ends there; before, dropped."""

MERGE: Table = {
    (At.EXPECTED, Happens.CHUNK): At.EXPECTED,
    (At.EXPECTED, Happens.ALL): At.COMPLETE,
    (At.EXPECTED, Happens.CANCEL): At.DROPPED,
    (At.EXPECTED, Happens.MISFIT): At.DROPPED,
    (At.EXPECTED, Happens.END): At.DONE,
    (At.COMPLETE, Happens.CANCEL): At.COMPLETE,
    (At.COMPLETE, Happens.END): At.DONE,
    (At.DROPPED, Happens.CANCEL): At.DROPPED,
    (At.DROPPED, Happens.END): At.DONE,
}
"""A Merge. The driver has nothing of it before all is there."""


@dataclass(slots=True)
class Move(Record):
    """What is known of an operation that moves bytes; number: the operation's."""

    subject: ClassVar[str] = "operation"
    table: ClassVar[Table]

    message: Any = field(kw_only=True)

    def happens(self, happens: Happens) -> At:
        """Where it is now; raises RemoteProtocolError for what can't happen now."""
        self.take(self.table, happens)
        state: At = self.state
        return state


@dataclass(slots=True)
class Sending(Move):
    """A Send or SendChanges. ready: its bytes, once they are there."""

    table = SEND

    state: At = At.AWAITED
    ready: BytesReady | None = None

    @property
    def size(self) -> int:
        """Bytes that it sends."""
        assert self.ready is not None
        return sum(len(data) for data in self.ready.data)


@dataclass(slots=True)
class Receiving(Move):
    """A Receive. begun: when its first chunk came, in ns of the wall clock; 0 before."""

    table = RECEIVE

    state: At = At.EXPECTED
    begun: int = 0


@dataclass(slots=True)
class Gathering(Move):
    """A Merge, and the changes for it by transfer, in the order of its message.

    missing: the transfers that aren't complete.
    """

    table = MERGE

    state: At = At.EXPECTED
    chunks: dict[int, list[bytes]] = field(default_factory=dict)
    missing: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, message: part.Merge) -> Gathering:
        """The record of a Merge of which nothing has come."""
        chunks: dict[int, list[bytes]] = {transfer: [] for transfer, _, _ in message.transfers}
        return cls(message.operation, message=message, chunks=chunks, missing=set(chunks))

    @property
    def changes(self) -> tuple[bytes, ...]:
        """What came, by transfer."""
        return tuple(b"".join(chunks) for chunks in self.chunks.values())


def misfit(m: part.Merge) -> str | None:
    """What of a Merge's regions and pieces doesn't fit together; None if all does."""
    for _, _, size, element, how in m.regions:
        if how != part.How.CHANGED and (element not in REDUCED_BYTES or size % element):
            return f"a reduction can't be of elements of {element} bytes in {size} bytes"
    for _, _, pieces in m.transfers:
        last = (0, 0)
        for index, offset, size in pieces:
            if index >= len(m.regions):
                return f"changes of region {index} of {len(m.regions)}"
            _, _, whole, element, _ = m.regions[index]
            end = offset + size
            if end > whole:
                return f"changes of bytes {offset} to {end} of a region of {whole}"
            if offset % element or (end % element and end < whole):
                return f"changes of bytes {offset} to {end} cut an element of {element}"
            if (index, offset) < last:
                return "the pieces that a part sends changes of don't ascend"
            last = index, end
    return None


def packed_bytes_max(size: int) -> int:
    """No less than the length and the packed changes of a region, whatever its elements are.

    Tables are 20 bytes at most per block, which is of 64 bytes or more, and one partial element is
    padded. This bounds what a part can make its home keep.
    """
    return 128 + 2 * size + size // 2
