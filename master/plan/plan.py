"""The plan of a command: what runs where, on which bytes, and what travels, as plain data.

Owns: `Plan` and its parts, and `Draft`, in which a plan is put together. Must not know: ids,
versions, waits or messages, which `commit` derives; nor who makes plans.

A plan names buffers by id and steps by index. Its steps are in an order in which each may be
carried out after those before it. It holds nothing that changes from one launch to the next of the
same kernel on the same regions, so that such a launch can use it again.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, IntEnum, auto
from typing import Any, NamedTuple

from master.places import Place, PlanPaused
from master.plan.residency import Buffer, Contents
from master.plan.traffic import Traffic
from master.plan.worth import Worth
from vcl.ndrange import NDRange
from vcl.region import RegionMap

NOBODY: frozenset[int] = frozenset()

CLIENT_END = -1
"""In place of a step's index: the client's end of a transfer."""


class Kind(IntEnum):
    """What a step does: an operation of an executor each."""

    ZERO = auto()
    FILL = auto()
    COPY = auto()
    COPY_BOX = auto()
    SEND = auto()
    RECEIVE = auto()
    SNAPSHOT = auto()
    RUN = auto()
    SEND_CHANGES = auto()
    MERGE = auto()
    FREE = auto()


class Makes(Enum):
    """What the bytes are that a step writes."""

    NOTHING = auto()
    """The device's own, of no version: until they are merged, or because they are given back."""
    COPY = auto()
    """The current version, held elsewhere."""
    VERSION = auto()
    """A new version, which this device alone holds."""


class Region(NamedTuple):
    """Bytes [start, end) of a buffer."""

    buffer: int
    start: int
    end: int


class Step(NamedTuple):
    """One operation on one device.

    reads, writes: what others have to be ordered with; a region that is written needn't be read,
    too. sends, receives: indices of transfers. main: its times are the command's. part: index of
    the part of a launch that it runs, or None. piece: the NDRange of a RUN or MERGE. shared: the
    command doesn't depend on it. rim: it is the rim of a part, which tells nothing of how long the
    kernel takes.
    """

    kind: Kind
    place: Place
    reads: tuple[Region, ...] = ()
    writes: tuple[Region, ...] = ()
    makes: Makes = Makes.NOTHING
    sends: int | None = None
    receives: tuple[int, ...] = ()
    main: bool = False
    part: int | None = None
    piece: NDRange | None = None
    shared: bool = False
    rim: bool = False
    rewritten: bool = False
    hidden: bytes | None = None


class Transfer(NamedTuple):
    """Bytes that travel from one end to another: steps' indices, or CLIENT_END.

    pieces: of changes for a merge, of which of its regions: (index, offset in it, size) each.
    """

    source: int
    destination: int
    pieces: tuple[tuple[int, int, int], ...] = ()


class Delivery(NamedTuple):
    """Bytes [start, end) of the buffer of a Read: by a transfer, or the client has them itself."""

    start: int
    end: int
    transfer: int | None


class BufferAnswer(NamedTuple):
    """How a launch treats the buffer that is given for an argument (its index), and why so.

    answer: read, regions, merge, reduce, whole or untouched.
    """

    argument: int
    buffer: int
    answer: str
    reason: str


MergedRegion = tuple[int, int, int, int, int]
"""(buffer, offset, size, element size, how) of what a merge takes in, as its message has it."""


class Answer(NamedTuple):
    """How a launch runs, and why so, for its report."""

    mode: str
    reason: str
    buffers: tuple[BufferAnswer, ...] = ()


class Plan(NamedTuple):
    """What is to be done for a command.

    staged: before all steps, the client's staging copy becomes the contents of this region.
    regions: of a merge: what any part may write. compared: what was weighed, and whether it
    paid; the plan is another when one of these does no longer. depends: indices of the arguments
    by value that it would be another for. complete: false if the command has
    to be planned again once this is committed, because there is more to bring than fits into one
    turn.
    """

    steps: tuple[Step, ...]
    transfers: tuple[Transfer, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    answer: Answer | None = None
    regions: tuple[MergedRegion, ...] = ()
    staged: Region | None = None
    compared: tuple[tuple[Worth, bool], ...] = ()
    depends: tuple[int, ...] = ()
    complete: bool = True


class Draft:
    """A plan that is being put together, and what will be where once its steps so far have run.

    room: pieces of buffers that it may still bring. depends: as in Plan.
    """

    def __init__(self, room: int) -> None:
        self.steps: list[Step] = []
        self.transfers: list[Transfer] = []
        self.deliveries: list[Delivery] = []
        self.compared: list[tuple[Worth, bool]] = []
        self.depends: tuple[int, ...] = ()
        self.traffic = Traffic()
        """Of what is brought."""
        self._room = room
        self._coming: dict[int, RegionMap[frozenset[int]]] = {}

    def make_room(self, room: int) -> None:
        """So many pieces may be brought from now, or as many as may anyhow."""
        self._room = max(self._room, room)

    def take_room(self, room: int) -> None:
        """So many pieces fewer may be brought from now."""
        self._room -= room

    def add(self, step: Step) -> int:
        """Put a step behind the others; answers its index."""
        self.steps.append(step)
        return len(self.steps) - 1

    def plan(self, **more: Any) -> Plan:
        """What it has become; more: the fields that a Plan has besides."""
        parts = tuple(self.steps), tuple(self.transfers), tuple(self.deliveries)
        return Plan(*parts, compared=tuple(self.compared), depends=self.depends, **more)

    def pays(self, worth: Worth, item_ns: float | None) -> bool:
        """Whether something pays, which the plan depends on."""
        pays = worth.pays(item_ns)
        self.compared.append((worth, pays))
        return pays

    def pieces(
        self, buffer: Buffer, start: int, end: int
    ) -> Iterator[tuple[int, int, Contents, frozenset[int]]]:
        """(start, end, contents, holders) of each piece of a region, in order."""
        coming = self._coming.get(buffer.id)
        for low, high, contents in buffer.contents.segments(start, end):
            if coming is None:
                yield low, high, contents, contents.holders
            else:
                for first, last, more in coming.segments(low, high):
                    yield first, last, contents, contents.holders | more

    def _comes(self, buffer: Buffer, start: int, end: int, device: int) -> None:
        if self._room <= 0:
            raise PlanPaused
        self._room -= 1
        if buffer.id not in self._coming:
            self._coming[buffer.id] = RegionMap(buffer.size, NOBODY)
        self._coming[buffer.id].update(start, end, lambda devices: devices | {device})

    def zero(self, buffer: Buffer, start: int, end: int, place: Place, shared: bool) -> None:
        """Bytes that were never written become zeros on a device. Raises PlanPaused."""
        self._comes(buffer, start, end, place.device)
        region = Region(buffer.id, start, end)
        self.add(Step(Kind.ZERO, place, writes=(region,), makes=Makes.COPY, shared=shared))

    def carry(
        self, buffer: Buffer, start: int, end: int, source: Place | None, to: Place, shared: bool
    ) -> None:
        """Bytes go from one device, or from the client, to another. Raises PlanPaused."""
        self._comes(buffer, start, end, to.device)
        region = Region(buffer.id, start, end)
        transfer = len(self.transfers)
        first = CLIENT_END
        if source is not None:
            first = self.add(
                Step(Kind.SEND, source, reads=(region,), sends=transfer, shared=shared)
            )
        last = self.add(
            Step(
                Kind.RECEIVE, to, writes=(region,), makes=Makes.COPY, receives=(transfer,),
                shared=shared,
            )
        )  # fmt: skip
        self.transfers.append(Transfer(first, last))

    def deliver(self, buffer: Buffer, start: int, end: int, source: Place | None) -> None:
        """Bytes go to the client: from a device, or it has them itself."""
        transfer = None
        if source is not None:
            transfer = len(self.transfers)
            region = Region(buffer.id, start, end)
            step = Step(Kind.SEND, source, reads=(region,), sends=transfer, main=True)
            self.transfers.append(Transfer(self.add(step), CLIENT_END))
        self.deliveries.append(Delivery(start, end, transfer))
