"""Where a transfer may be at each of its ends, and what may happen to it there.

Owns: the two tables, and the record that holds to them. Must not know: credit, bytes or endpoints
(`transfers`).

What a table doesn't have is the error; its text tells what happened to that transfer before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar

from vcl.errors import RemoteProtocolError


class Told(Enum):
    """A state, or what happens; its value is for people."""

    # A member is only itself; Enum would hash its name, in Python, whenever a table is looked at.
    __hash__ = object.__hash__


class Out(Told):
    """Where a transfer is that this end sends; its value is for people."""

    NONE = "unknown"
    PROMISED = "granted before it was offered"
    OFFERED = "offered"
    GRANTED = "granted"
    WAITING = "waits for credit"
    EAGER = "streaming without credit"
    CANCELLED = "cancelled"
    DONE = "stored"


class In(Told):
    """Where a transfer is that this end receives; its value is for people."""

    NONE = "unknown"
    EARLY = "streaming before it was offered"
    OFFERED = "offered"
    GRANTED = "granted"
    STREAMING = "streaming"
    CANCELLED = "cancelled"
    DONE = "stored"


class Happens(Told):
    """What happens to a transfer; its value is for people."""

    ANNOUNCED = "the master announced it"
    BYTES = "its bytes were there"
    SENT_EARLY = "its bytes were sent without credit"
    CREDIT = "it got credit"
    CHUNK = "a chunk came"
    END = "its end came"
    CANCEL = "an end of it failed"


OUTGOING: Mapping[tuple[Out, Happens], Out] = {
    (Out.NONE, Happens.ANNOUNCED): Out.OFFERED,
    (Out.NONE, Happens.CREDIT): Out.PROMISED,
    (Out.NONE, Happens.CANCEL): Out.CANCELLED,
    (Out.PROMISED, Happens.ANNOUNCED): Out.GRANTED,
    (Out.PROMISED, Happens.CANCEL): Out.DONE,
    (Out.OFFERED, Happens.BYTES): Out.WAITING,
    (Out.OFFERED, Happens.SENT_EARLY): Out.EAGER,
    (Out.OFFERED, Happens.CREDIT): Out.GRANTED,
    (Out.OFFERED, Happens.CANCEL): Out.CANCELLED,
    (Out.GRANTED, Happens.BYTES): Out.DONE,
    (Out.GRANTED, Happens.CANCEL): Out.DONE,
    (Out.WAITING, Happens.CREDIT): Out.DONE,
    (Out.WAITING, Happens.CANCEL): Out.CANCELLED,
    (Out.EAGER, Happens.CREDIT): Out.DONE,
    (Out.EAGER, Happens.CANCEL): Out.CANCELLED,
    (Out.CANCELLED, Happens.CREDIT): Out.DONE,
    (Out.CANCELLED, Happens.CANCEL): Out.CANCELLED,
}
"""At the sender. Of a cancelled one the credit may be on its way."""

INCOMING: Mapping[tuple[In, Happens], In] = {
    (In.NONE, Happens.ANNOUNCED): In.OFFERED,
    (In.NONE, Happens.CHUNK): In.EARLY,
    (In.NONE, Happens.END): In.EARLY,
    (In.EARLY, Happens.ANNOUNCED): In.OFFERED,
    (In.EARLY, Happens.CHUNK): In.EARLY,
    (In.EARLY, Happens.END): In.EARLY,
    (In.EARLY, Happens.CANCEL): In.CANCELLED,
    (In.OFFERED, Happens.CHUNK): In.OFFERED,
    (In.OFFERED, Happens.END): In.OFFERED,
    (In.OFFERED, Happens.CREDIT): In.GRANTED,
    (In.OFFERED, Happens.CANCEL): In.CANCELLED,
    (In.GRANTED, Happens.CHUNK): In.STREAMING,
    (In.GRANTED, Happens.END): In.DONE,
    (In.GRANTED, Happens.CANCEL): In.CANCELLED,
    (In.STREAMING, Happens.CHUNK): In.STREAMING,
    (In.STREAMING, Happens.END): In.DONE,
    (In.STREAMING, Happens.CANCEL): In.CANCELLED,
    (In.CANCELLED, Happens.CHUNK): In.CANCELLED,
    (In.CANCELLED, Happens.END): In.DONE,
}
"""At the receiver. Chunks without credit are kept; of a cancelled one the rest may come."""

story_length_max = 8
"""Of what happened to a transfer, so many steps are told."""


@dataclass(slots=True)
class Record:
    """What an end knows of a transfer. story: what happened to it, the last of it.

    subject: what the number is of, where it isn't a transfer's.
    """

    subject: ClassVar[str] = "transfer"

    number: int
    state: Any
    story: deque[Enum] = field(default_factory=lambda: deque(maxlen=story_length_max))

    def take(self, table: Mapping[Any, Any], happens: Enum) -> None:
        """Raises RemoteProtocolError for what can't happen now."""
        after = table.get((self.state, happens))
        if after is None:
            told = ", then ".join(one.value for one in self.story) or "nothing happened to it"
            raise RemoteProtocolError(
                f"{self.subject} {self.number} is {self.state.value} already, "
                f"and {happens.value}: {told}"
            )
        self.state = after
        story = self.story
        if not story or story[-1] is not happens:
            story.append(happens)
