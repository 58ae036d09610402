"""The client of one session without I/O: ids, batches, events, staging, reads.

Owns: everything about a session that the OpenCL objects share. Must not know: threads, sockets,
clocks, pyopencl. The runtime calls it under one lock, from the program's threads and its own.

Long because it is what that one lock guards.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from vcl.errors import OUT_OF_RESOURCES, RemoteProtocolError
from vcl.ids import CLIENT
from vcl.printed import PrintedText
from vcl.region import RegionMap
from vcl.transfers import Deliver, GrantCredit, Incoming, Outgoing, Stream
from vcl.wire.frame import CREDIT, BulkFrame, Bytes
from vcl.wire.limits import (
    batch_bytes_max,
    batch_count_max,
    commands_in_flight_max,
    commands_max,
    objects_max,
    released_max,
    shape_bytes_max,
    sources_bytes_max,
    unsent_bytes_max,
    waits_together_max,
)
from vcl.wire.messages import session
from vcl.wire.messages.direct import OpenLink
from vcl.wire.shapes import Numbered, ShapeNumbers, changed, size_of, values_of

COMPLETE, RUNNING, SUBMITTED, QUEUED = range(4)

recent_max = 4
"""Launches of one kernel that a next one is compared with: two buffers may swap."""

recent_kernels_max = 256
"""Kernels of which they are kept."""


@dataclass(slots=True)
class EventState:
    """What is known of an event.

    status: QUEUED, SUBMITTED, COMPLETE, or a negative OpenCL status. queued, submitted, start, end:
    ns of this process's wall clock, 0 until known. told: the master said that it ended; a read is
    complete when its bytes are there too. waits: the length of its wait list.
    """

    queue: int
    status: int = QUEUED
    failure: str | None = None
    queued: int = 0
    submitted: int = 0
    start: int = 0
    end: int = 0
    told: int | None = None
    waits: int = 0
    released: bool = False


class Enqueued:
    """A launch that the program may enqueue again as it is: of any event, with any wait list.

    launch: of no event, with an empty one; never changed. numbered: the number of its shape, once
    it was told; values: those that are said with it, which stay the same as long as the number
    means this shape.
    """

    __slots__ = ("launch", "numbered", "values")

    def __init__(self, launch: session.Launch) -> None:
        self.launch = launch
        self.numbered: Numbered | None = None
        self.values: list[bytes] = []

    def message(self, event: int, waits: list[int]) -> session.Launch | session.Repeat:
        """It as it is to be said; a Launch is `shaped` first."""
        numbered = self.numbered
        if numbered is not None and numbered.number:
            numbered.used = True
            return session.Repeat(event, numbered.number, waits, self.values)
        _, queue, _, program, kernel, offset, size, local, arguments, declared, _ = self.launch
        return session.Launch(
            event, queue, waits, program, kernel, offset, size, local, arguments, declared
        )


class Destination(Protocol):
    """Where the bytes of a read go: a flat view of bytes, or what takes slices as one does."""

    def __len__(self) -> int: ...

    def __setitem__(self, where: slice, data: Bytes) -> None: ...


@dataclass(slots=True)
class ReadState:
    """A read's destination, how many of its bytes are missing, and why some will never come.

    asked: which of them the master has said the origin of. transfers: those under way that bring
    some. copying: copies into the destination that aren't finished.
    """

    destination: Destination
    missing: int
    asked: RegionMap[bool]
    copying: int = 0
    transfers: set[int] = field(default_factory=set)
    lost: str | None = None


@dataclass(frozen=True, slots=True)
class Copy:
    """Bytes of a read that are here: `destination[where] = data`, unless they came to their place
    (`ClientCore.place`) at once."""

    event: int
    destination: Destination
    where: slice
    data: Bytes


@dataclass(frozen=True, slots=True)
class Ended:
    """Events that ended with this input: whoever waits for them may go on."""

    events: list[int]


@dataclass(frozen=True, slots=True)
class Answered:
    """Answers to requests came: a Built, a Report or a WayFound."""

    messages: list[Any]


Effect = Ended | Answered | Stream | GrantCredit | OpenLink


@dataclass(slots=True)
class _Pull:
    event: int
    offset: int


class ClientCore:
    """One session's client side."""

    def __init__(self, staging_bytes_max: int) -> None:
        self.events: dict[int, EventState] = {}
        """Events that the program holds or that aren't complete."""
        self._failures: dict[int, dict[int, tuple[int, int, str]]] = {}
        """By queue and event: (event, status, text) of what failed and wasn't yet raised."""
        self.staged_bytes = 0
        """Bytes of host writes that are kept here."""
        self.staging_bytes_max = staging_bytes_max
        """Past this, writes wait until nodes have taken some."""
        self._stagings: dict[int, Bytes] = {}
        self._reads: dict[int, ReadState] = {}
        self._pulls: dict[int, _Pull] = {}
        self._copies: list[Copy] = []
        self._ended: list[int] = []  # not yet answered, as when a later message was refused
        self._to_end: deque[int] = deque()  # told, behind a read whose bytes are on their way
        self._outgoing = Outgoing()
        self._incoming = Incoming()
        self._printed = PrintedText()
        self.last: dict[int, EventState] = {}
        """By queue: the command that was enqueued last, for `finish`."""
        self.losses: list[str] = []
        """Executors that are gone, in words, of which the program wasn't told yet."""
        self.in_flight = 0
        """Commands that haven't ended."""
        self.unsent_bytes = 0
        """What was handed to the link to the master, and hadn't left when it was last looked at."""
        self._unset: dict[int, bool] = {}  # user events, and whether a command waits for them
        self._objects: dict[int, int] = {}  # bytes of sources, by object
        self._sources_bytes = 0
        self._waits = 0
        self._shapes = ShapeNumbers()
        self._recent: dict[str, deque[tuple[list[Any], Numbered]]] = {}
        """By kernel: launches that were told, without their values."""
        self._outbox: list[Any] = []
        self._outbox_bytes = 0
        self._last_id = 0
        self._before_last: EventState | None = None
        self._ends: dict[int, int] = {}  # by queue: when its last command ended
        self._latest_end = 0

    @property
    def waits_for_program(self) -> bool:
        """Whether a user event isn't set: then no write may block the thread that would set it."""
        return bool(self._unset)

    @property
    def may_say(self) -> bool:
        """Whether another message need not wait for earlier ones to leave."""
        return self.unsent_bytes + self._outbox_bytes < unsent_bytes_max

    @property
    def may_enqueue(self) -> bool:
        """Whether another command need not wait for earlier ones to end."""
        most = commands_max if self._unset else commands_in_flight_max
        return self.in_flight + len(self._unset) < most and self._waits < waits_together_max

    @property
    def has_room(self) -> bool:
        """Both at once, in the usual case, which each command asks for; false if in doubt."""
        return (
            self.unsent_bytes + self._outbox_bytes < unsent_bytes_max
            and self.in_flight < commands_in_flight_max
            and not self._unset
            and self._waits < waits_together_max
        )

    @property
    def is_idle(self) -> bool:
        """Whether every command has ended and every user event is set."""
        return not self.in_flight and not self._unset

    def may_stage(self, size: int) -> bool:
        """Whether a write of so many bytes need not wait for room.

        The master takes bytes in only past half the limit, and when nothing is under way any
        more, then nothing will make room: who waited there would wait for ever.
        """
        staged, most = self.staged_bytes, self.staging_bytes_max
        if staged <= most // 2 or staged + size <= most or self.waits_for_program:
            return True
        return not self.in_flight

    # ---- from the program

    def new_id(self) -> int:
        """An id for a new object, event, staging copy or request."""
        self._last_id += 1
        return self._last_id

    def say(self, message: Any, inline_bytes: int = 0) -> bool:
        """Put a message into the batch; true when the batch is so long that it should go."""
        self._outbox.append(message)
        self._outbox_bytes += inline_bytes
        return len(self._outbox) >= batch_count_max or self._outbox_bytes >= batch_bytes_max

    def shaped(
        self, launch: session.Launch, enqueued: Enqueued | None = None
    ) -> tuple[session.Launch | session.Repeat, Any]:
        """A launch as it is to be said, and what `told` wants to know of it once it is.

        enqueued: whose `message` it is; learns the number of the shape if it has been told.
        """
        event, queue, waits, program, kernel, offset, size, local, arguments, declared, _ = launch
        values = values_of(arguments)
        others = [queue, program, offset, size, local, declared]
        others += [b"" if type(a) is bytes else a for a in arguments]
        for before, numbered in self._recent.get(kernel, ()):
            # The usual case, told without a key.
            if before == others and numbered.number:
                numbered.used = True
                values = changed(values, numbered.kept)
                if enqueued is not None:
                    enqueued.numbered, enqueued.values = numbered, values
                return session.Repeat(event, numbered.number, waits, values), None
        if size_of(launch) > shape_bytes_max:
            return launch, None
        key = (kernel, *[tuple(a) if type(a) is list else a for a in others])
        found = self._shapes.find(key)
        if found is None or found.kept is None:
            # Not told before it's known that it can be said.
            found = self._shapes.tell(key, None)
            if found is None:
                return launch, None
            return launch._replace(shape=found.number), (kernel, others, found, values)
        return session.Repeat(event, found.number, waits, changed(values, found.kept)), None

    def told(self, shape: Any) -> None:
        """A launch was said; shape: as `shaped` answered."""
        if shape is None:
            return
        kernel, others, numbered, numbered.kept = shape
        recent = self._recent.setdefault(kernel, deque(maxlen=recent_max))
        recent.append((others, numbered))
        if len(self._recent) > recent_kernels_max:
            self._recent.clear()

    def begin(self, queue: int, now: int) -> int:
        """An event for a command that is about to be said; `now` in ns."""
        event = self.new_id()
        self.in_flight += 1
        state = self.events[event] = EventState(queue, queued=now)
        self._before_last, self.last[queue] = self.last.get(queue), state
        return event

    def withdraw(self, event: int) -> None:
        """The command that was begun last won't be said after all; nothing if it has been."""
        if self._outbox and getattr(self._outbox[-1], "event", 0) == event:
            return
        state = self.events.pop(event)
        self.in_flight -= 1
        del self.last[state.queue]
        if self._before_last is not None:
            self.last[state.queue] = self._before_last
        self._reads.pop(event, None)

    def begin_user(self) -> int:
        """A user event, which is about to be said."""
        event = self.new_id()
        self.events[event] = EventState(0, SUBMITTED)
        self._unset[event] = False
        return event

    def set_user(self, event: int) -> None:
        """The program has set a user event."""
        self._unset.pop(event, None)

    def waits_for(self, command: int, events: Sequence[int]) -> None:
        """A command that was said has this wait list."""
        self.events[command].waits = len(events)
        self._waits += len(events)
        if self._unset:
            for event in events:
                if event in self._unset:
                    self._unset[event] = True

    def create(self, number: int, size: int = 0) -> str | None:
        """An object was said; if there are too many of them, why it mustn't be.

        size: bytes of a program's sources.
        """
        if len(self._objects) >= objects_max:
            return (
                f"a program has at most {objects_max} contexts, queues, memory objects and "
                "programs on the cluster at one time: release some"
            )
        if self._sources_bytes + size > sources_bytes_max:
            return (
                "the sources and headers of all programs on the cluster have at most "
                f"{sources_bytes_max} bytes together: release some programs"
            )
        self._objects[number] = size
        self._sources_bytes += size
        return None

    def withdraw_object(self, number: int) -> None:
        """It won't be said after all, or no longer counts."""
        self._sources_bytes -= self._objects.pop(number, 0)

    def stage(self, data: Bytes) -> int:
        """Keep bytes for a Write; answers the staging id. `data` must not change afterwards."""
        staging = self.new_id()
        self._stagings[staging] = data
        self.staged_bytes += len(data)
        return staging

    def unstage(self, staging: int) -> None:
        """Nobody will ask for these bytes."""
        self.staged_bytes -= len(self._stagings.pop(staging))

    def expect_read(self, event: int, destination: Destination) -> None:
        """A Read is about to be said: its bytes go to `destination`."""
        size = len(destination)
        self._reads[event] = ReadState(destination, size, RegionMap(max(size, 1), False))

    def take_batch(self, released: Sequence[int], now: int) -> list[Any]:
        """What is to be sent now, with the objects released since then at its end."""
        batch, self._outbox = self._outbox, []
        self._outbox_bytes = 0
        for message in batch:
            event = self.events.get(getattr(message, "event", 0))
            if event is not None and event.status == QUEUED:
                event.status, event.submitted = SUBMITTED, now
        for start in range(0, len(released), released_max):
            batch.append(session.Release(list(released[start : start + released_max])))
        for number in released:
            self._release(number)
        return batch

    def _release(self, number: int) -> None:
        event = self.events.get(number)
        if event is None:
            self.withdraw_object(number)
            self.last.pop(number, None)
            self._ends.pop(number, None)
            return
        event.released = True
        # An unset user event that nothing waits for never ends; the master drops it too.
        if event.status <= COMPLETE or self._unset.get(number) is False:
            del self.events[number]
            self._unset.pop(number, None)

    def take_failure(self, queue: int) -> tuple[int, int, str] | None:
        """The first failure in a queue that nobody was told of; none is told twice."""
        failures = self._failures.pop(queue, None)
        return next(iter(failures.values())) if failures else None

    def told_failure(self, event: int, queue: int) -> None:
        """The program was told that this event failed."""
        failures = self._failures.get(queue)
        if failures is not None:
            failures.pop(event, None)

    # ---- from the master

    def printed(self, messages: Sequence[Any]) -> str:
        """What is to be written to the program's standard output before `from_master`.

        Raises RemoteProtocolError for what no honest master says.
        """
        return self._printed.take(messages, self.events)

    @property
    def holds_printed(self) -> bool:
        """Whether text of launches that haven't ended is kept, which `printed` writes then."""
        return self._printed.is_held

    def from_master(self, messages: Sequence[Any], now: int = 0) -> list[Effect]:
        """Take a batch in; `now` in ns. Raises RemoteProtocolError for what no honest master says.

        Whoever is woken by an answer finds all ended that ended in this batch. `take_copies` has
        what is to be copied then.
        """
        effects: list[Effect] = []
        answers: list[Effect] = []
        ended = self._ended
        for m in messages:
            if isinstance(m, session.EventsDone):
                for event, status, start, end, text in m.events:
                    state = self._note_times(event, start, end, now)
                    state.told, state.failure = status, text
                    if self._to_end or event in self._reads:
                        self._to_end.append(event)
                        self._end_told(ended)
                    else:
                        self._end(event, state, status, ended)
            elif isinstance(m, session.Push):
                data = self._staged(m.staging, m.offset, m.size)
                self._outgoing.expect(m.transfer)
                effects.extend(self._outgoing.offer(m.transfer, m.endpoint, (data,)))
            elif isinstance(m, session.Pull):
                effects.extend(self._pull(m, ended))
            elif isinstance(m, session.DropStaging):
                for staging in m.stagings:
                    self._staged(staging, 0, 0)
                    self.unstage(staging)
            elif isinstance(m, session.CancelPush):
                self._outgoing.cancel(m.transfer)
            elif isinstance(m, session.EndpointLost):
                self._endpoint_lost(m, ended)
            elif isinstance(m, OpenLink):
                effects.append(m)
            elif isinstance(m, session.Printed):
                pass  # `printed` has taken it
            else:
                answers.append(Answered([m]))
        if ended:
            effects.append(Ended(ended))
            self._ended = []
        return effects + answers

    def _note_times(self, event: int, start: int, end: int, now: int) -> EventState:
        """Move a node's times onto this clock, so that they agree with those of other commands.

        A command runs after it was submitted, after its predecessor in the queue (commands are
        told in an order that waits allow), and before this is told. One without times of its own
        (a marker, a write that moved nothing yet) ends when all that was told before it has.
        """
        state = self.events.get(event)
        if state is None or state.told is not None or state.status <= COMPLETE:
            raise RemoteProtocolError(f"event {event} isn't under way")
        lasted = max(0, end - start)
        if start == 0:
            start, lasted = self._latest_end, 0
        if now:
            start = min(start, now - lasted)
        start = max(start, state.submitted, self._ends.get(state.queue, 0))
        state.start, state.end = start, start + lasted
        if state.queue in self.last:
            self._ends[state.queue] = state.end
        self._latest_end = max(self._latest_end, state.end)
        return state

    def _end_told(self, ended: list[int]) -> None:
        """End events in the order in which they were told, which is one that waits allow."""
        while self._to_end:
            event = self._to_end[0]
            state = self.events[event]
            assert state.told is not None
            read = self._reads.get(event)
            if read is not None and state.told >= 0 and (read.missing or read.copying):
                if read.lost is None or not read.missing:
                    return
                state.told, state.failure = OUT_OF_RESOURCES, read.lost
            self._to_end.popleft()
            self._end(event, state, state.told, ended)

    def _end(self, event: int, state: EventState, status: int, ended: list[int]) -> None:
        state.status = status
        self._waits -= state.waits
        if state.queue:
            self.in_flight -= 1
        else:
            self._unset.pop(event, None)
        read = self._reads.pop(event, None)
        if read is not None and status < 0:
            for transfer in sorted(read.transfers):
                del self._pulls[transfer]
                self._incoming.cancel(transfer)
        if status < 0:
            failure = (event, status, state.failure or f"OpenCL status {status}")
            self._failures.setdefault(state.queue, {})[event] = failure
        if state.released:
            del self.events[event]
        ended.append(event)

    def _pull(self, m: session.Pull, ended: list[int]) -> list[Effect]:
        read = self._reads.get(m.event)
        end = m.offset + m.size
        if read is None or end > len(read.destination):
            raise RemoteProtocolError(f"bytes for read {m.event} that it didn't ask for")
        if any(asked for _, _, asked in read.asked.segments(m.offset, end)):
            raise RemoteProtocolError(f"the same bytes for read {m.event} twice")
        read.asked.assign(m.offset, end, True)
        if m.transfer:
            self._incoming.expect(m.transfer, m.endpoint, m.size)
            self._pulls[m.transfer] = _Pull(m.event, m.offset)
            read.transfers.add(m.transfer)
            return self._deliver(self._incoming.grant(m.transfer), ended)
        staged = m.staging and self._staged(m.staging, m.source_offset, m.size)
        self._arrived(m.event, m.offset, staged or bytes(m.size), ended)
        return []

    def _staged(self, staging: int, offset: int, size: int) -> memoryview:
        """A stretch of a staging copy that the master names."""
        data = self._stagings.get(staging)
        if data is None or offset + size > len(data):
            raise RemoteProtocolError(f"bytes {offset}+{size} of staging copy {staging}: not here")
        return memoryview(data)[offset : offset + size]

    def _endpoint_lost(self, m: session.EndpointLost, ended: list[int]) -> None:
        """Reads that wait for an endpoint's bytes fail, even if the master thinks them complete."""
        self.losses.append(m.message)
        self._outgoing.forget(m.endpoint)
        for transfer in self._incoming.forget(m.endpoint):
            read = self._reads.get(self._pulls.pop(transfer).event)
            if read is not None:
                read.transfers.discard(transfer)
                read.lost = m.message
        self._end_told(ended)

    def _arrived(self, event: int, offset: int, data: Bytes, ended: list[int]) -> None:
        read = self._reads[event]
        read.missing -= len(data)
        if data:
            read.copying += 1
            where = slice(offset, offset + len(data))
            self._copies.append(Copy(event, read.destination, where, data))
        elif not read.missing:
            self._end_told(ended)

    def place(self, frame: BulkFrame, size: int) -> memoryview | None:
        """Where so many bytes of the chunk with this header belong, if that is plain memory of the
        program's and they may be there now."""
        pull = self._pulls.get(frame.transfer)
        read = None if pull is None else self._reads.get(pull.event)
        if pull is None or read is None or not isinstance(read.destination, memoryview):
            return None
        if not self._incoming.may_write(frame.source, frame.transfer, frame.offset, size):
            return None
        start = pull.offset + frame.offset
        return read.destination[start : start + size]

    def take_copies(self) -> list[Copy]:
        """What must be copied now, after which `copied` is told. Nothing is taken in meanwhile.

        So no read ends, of which something is copied, and the copying needs no lock.
        """
        copies, self._copies = self._copies, []
        return [copy for copy in copies if copy.event in self._reads]  # others failed since

    def copied(self, copies: Sequence[Copy]) -> list[Effect]:
        """These copies, of `take_copies`, are finished."""
        for copy in copies:
            self._reads[copy.event].copying -= 1
        ended = self._ended
        self._end_told(ended)
        self._ended = []
        return [Ended(ended)] if ended else []

    def _deliver(self, deliveries: Sequence[Any], ended: list[int]) -> list[Effect]:
        effects: list[Effect] = []
        for one in deliveries:
            if not isinstance(one, Deliver):
                effects.append(one)
                continue
            pull = self._pulls[one.transfer]
            if one.last:
                del self._pulls[one.transfer]
                if pull.event in self._reads:
                    self._reads[pull.event].transfers.discard(one.transfer)
            if not one.data:
                continue  # the flag that it is complete came by itself, perhaps after the event
            self._arrived(pull.event, pull.offset + one.offset, one.data, ended)
        return effects

    def from_endpoint(self, frame: BulkFrame) -> list[Effect]:
        """Take a bulk frame in; raises RemoteProtocolError if it isn't what may come.

        `take_copies` has what is to be copied then.
        """
        if frame.destination != CLIENT:
            raise RemoteProtocolError(f"bulk frame for endpoint {frame.destination} came here")
        if frame.kind == CREDIT:
            return list(self._outgoing.credit(frame.transfer))
        ended = self._ended
        chunk = self._incoming.chunk(
            frame.source, frame.transfer, frame.offset, frame.payload, frame.last
        )
        effects = self._deliver(chunk, ended)
        if ended:
            effects.append(Ended(ended))
            self._ended = []
        return effects

    def abandon(self, status: int, text: str) -> list[Effect]:
        """The session is over: everything that isn't complete fails."""
        ended = self._ended
        self._to_end.clear()
        self._copies.clear()
        for event, state in list(self.events.items()):
            if state.status > COMPLETE:
                state.failure = text
                self._end(event, state, status, ended)
        self._ended = []
        return [Ended(ended)]
