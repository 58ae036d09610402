"""The client core: what it says and when, and what it makes of everything that comes.

Long because every message of a master is tried, honest and not.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.copying import CopyingCore
from tests.vcl.test_transfers import is_empty
from vcl import client_core
from vcl.client_core import COMPLETE, QUEUED, SUBMITTED, Answered, ClientCore, Ended, Enqueued
from vcl.errors import RemoteProtocolError
from vcl.ids import CLIENT
from vcl.transfers import GrantCredit, Stream
from vcl.wire import shapes
from vcl.wire.frame import CHUNK, CREDIT, BulkFrame
from vcl.wire.limits import batch_bytes_max, batch_count_max, eager_bytes_max, shape_bytes_max
from vcl.wire.messages import session

QUEUE, BUFFER, NODE = 100, 101, 3


@pytest.fixture
def core() -> ClientCore:
    return CopyingCore(staging_bytes_max=2**20)


def chunk(transfer: int, data: bytes, offset: int = 0, last: bool = True) -> BulkFrame:
    return BulkFrame(CHUNK, last, CLIENT, NODE, transfer, offset, data)


def done(event: int, status: int = 0, text: str | None = None) -> session.EventsDone:
    return session.EventsDone([[event, status, 1000, 2000, text]])


def begin_read(core: ClientCore, size: int) -> tuple[int, bytearray]:
    event, destination = core.begin(QUEUE, 5), bytearray(b"?" * size)
    core.expect_read(event, memoryview(destination))
    core.say(session.Read(event, QUEUE, [], BUFFER, 0, size))
    core.take_batch([], 6)
    return event, destination


def is_clean(core: ClientCore) -> bool:
    """Nothing is kept of what has ended."""
    kept = (core._reads, core._pulls, core._stagings, core._outbox, core.staged_bytes)
    return not any(kept) and is_empty(core._incoming) and is_empty(core._outgoing)


# Shapes


def launch(event: int, *arguments: Any, **others: Any) -> session.Launch:
    made = session.Launch(event, QUEUE, [], 8, "f", [0], [64], [8], list(arguments))
    return made._replace(**others)


def test_a_launch_is_told_once_and_then_repeated(core: ClientCore) -> None:
    region = [1, BUFFER, 0, 64]
    first = launch(1, region, b"one", None)
    said, shape = core.shaped(first)
    assert said == first._replace(shape=1)
    again, unsaid = core.shaped(first)
    assert again == said, "it wasn't said yet"
    core.told(shape)
    core.told(unsaid)
    assert core.shaped(launch(2, region, b"one", None)) == (session.Repeat(2, 1, [], []), None)
    other = launch(3, region, b"two", None, waits=[2])
    assert core.shaped(other) == (session.Repeat(3, 1, [2], [b"two"]), None)


@pytest.mark.parametrize(
    "other",
    [
        {"queue": 7}, {"program": 9}, {"kernel": "g"}, {"global_offset": [8]},
        {"global_size": [128]}, {"local_size": None}, {"global_size": [64, 8]},
        {"arguments": [[1, BUFFER, 0, 32], b"one"]}, {"arguments": [None, b"one"]},
        {"arguments": [[1, BUFFER, 0, 64], [2, 64]]}, {"declared": b"x"},
    ],
)  # fmt: skip
def test_what_else_differs_is_another_shape(core: ClientCore, other: dict[str, Any]) -> None:
    first = launch(1, [1, BUFFER, 0, 64], b"one")
    core.told(core.shaped(first)[1])
    said, _ = core.shaped(first._replace(**other))
    assert said == first._replace(**other, shape=2)


def test_what_gave_its_number_away_is_told_anew(core: ClientCore) -> None:
    first, second = launch(1, b"one"), launch(2, [2, 64])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shapes, "shapes_max", 1)
        for one in (first, second, first, second):
            said, shape = core.shaped(one)
            assert said == one._replace(shape=1)
            core.told(shape)
            assert core.shaped(one) == (session.Repeat(one.event, 1, [], []), None)


def test_what_is_enqueued_again_is_repeated_as_long_as_its_number_means_it(
    core: ClientCore,
) -> None:
    enqueued, other = Enqueued(launch(0, b"one", b"two")), launch(9, [2, 64])
    core.told(core.shaped(launch(1, b"one", b"three"))[1])
    first = enqueued.message(2, [1])
    assert first == launch(2, b"one", b"two", waits=[1])
    repeat = session.Repeat(2, 1, [1], [b"one", b"two"])
    assert core.shaped(first, enqueued) == (repeat, None)
    assert enqueued.message(3, []) == repeat._replace(event=3, waits=[])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shapes, "shapes_max", 1)
        core.told(core.shaped(other)[1])
        again = enqueued.message(4, [])
        assert again == launch(4, b"one", b"two")
        said, shape = core.shaped(again, enqueued)
        assert said == again._replace(shape=1)
        assert enqueued.message(5, []) == launch(5, b"one", b"two"), "it wasn't said yet"
        core.told(shape)
        core.shaped(enqueued.message(5, []), enqueued)
        assert enqueued.message(6, []) == session.Repeat(6, 1, [], [])


@pytest.mark.parametrize("values", [[b"one"], [b"two"]])
def test_what_swaps_is_repeated(core: ClientCore, values: list[bytes]) -> None:
    for one in (launch(1, None, [2, 64], b"one"), launch(2, [2, 64], None, b"one")):
        core.told(core.shaped(one)[1])
    for event in range(3, 9):
        swapped = [None, [2, 64]] if event % 2 else [[2, 64], None]
        said, _ = core.shaped(launch(event, *swapped, *values))
        new = [] if values == [b"one"] else values
        assert said == session.Repeat(event, 2 - event % 2, [], new)


def test_a_large_launch_tells_no_shape(core: ClientCore) -> None:
    large = launch(1, bytes(shape_bytes_max))
    assert core.shaped(large) == (large, None)


def test_a_command_that_was_said_is_not_withdrawn(core: ClientCore) -> None:
    event = core.begin(QUEUE, 0)
    core.say(launch(event))
    core.withdraw(event)  # as a signal's handler raised just now
    assert event in core.events and core.in_flight == 1
    other = core.begin(QUEUE, 0)
    core.withdraw(other)
    assert other not in core.events and core.in_flight == 1


# Batches


def test_ids_are_never_used_twice(core: ClientCore) -> None:
    ids = [core.new_id(), core.begin(QUEUE, 0), core.stage(b"x"), core.new_id()]
    assert ids == [1, 2, 3, 4]


def test_a_batch_is_due_at_so_many_messages(core: ClientCore) -> None:
    message = session.CreateUserEvent(1, 1)
    assert not any(core.say(message) for _ in range(batch_count_max - 1))
    assert core.say(message)
    assert core.take_batch([], 0) == [message] * batch_count_max
    assert core.take_batch([], 0) == []
    assert not core.say(message)


def test_however_many_objects_are_released_messages_stay_short(core: ClientCore) -> None:
    batch = core.take_batch(range(1, 8201), 0)
    assert [number for m in batch for number in m.objects] == list(range(1, 8201))
    assert [len(m.objects) for m in batch] == [4096, 4096, 8]


def test_a_batch_is_due_at_so_many_bytes(core: ClientCore) -> None:
    message = session.CreateUserEvent(1, 1)
    assert not core.say(message, batch_bytes_max - 1)
    assert core.say(message, 1)
    core.take_batch([], 0)
    assert not core.say(message, 1)


def test_released_objects_come_after_what_names_them(core: ClientCore) -> None:
    message = session.Marker(core.begin(QUEUE, 0), QUEUE, [], False)
    core.say(message)
    assert core.take_batch([9, 8], 0) == [message, session.Release([9, 8])]


# Events


def test_the_life_of_an_event(core: ClientCore) -> None:
    event = core.begin(QUEUE, 5)
    state = core.events[event]
    assert (state.status, state.queued, state.submitted) == (QUEUED, 5, 0)
    core.say(session.Marker(event, QUEUE, [], False))
    core.take_batch([], 6)
    assert (state.status, state.submitted) == (SUBMITTED, 6)
    assert core.from_master([done(event)]) == [Ended([event])]
    assert (state.status, state.start, state.end, state.failure) == (COMPLETE, 1000, 2000, None)
    assert core.events == {event: state}, "the program holds it"
    core.take_batch([event], 7)
    assert core.events == {}


def test_an_event_released_early_is_kept_until_it_ended(core: ClientCore) -> None:
    event = core.begin(QUEUE, 5)
    core.say(session.Marker(event, QUEUE, [], False))
    core.take_batch([event], 6)
    assert event in core.events
    assert core.from_master([done(event)]) == [Ended([event])]
    assert core.events == {}


def test_ends_of_one_batch_come_as_one(core: ClientCore) -> None:
    events = [core.begin(QUEUE, 0) for _ in range(3)]
    messages = [done(events[0]), done(events[1]), done(events[2])]
    assert core.from_master(messages) == [Ended(events)]


def test_a_failure_is_told_once(core: ClientCore) -> None:
    first, second = core.begin(QUEUE, 0), core.begin(QUEUE, 0)
    core.from_master([done(first, -5, "node n: full"), done(second, -14)])
    assert core.events[first].failure == "node n: full"
    assert core.take_failure(QUEUE + 1) is None
    assert core.take_failure(QUEUE) == (first, -5, "node n: full")
    assert core.take_failure(QUEUE) is None


def test_a_failure_that_the_program_saw_on_the_event_is_not_told_again(core: ClientCore) -> None:
    first, second = core.begin(QUEUE, 0), core.begin(QUEUE, 0)
    core.from_master([done(first, -5), done(second, -14)])
    core.told_failure(first, QUEUE)
    assert core.take_failure(QUEUE) == (second, -14, "OpenCL status -14")
    core.told_failure(second, QUEUE)
    assert core.take_failure(QUEUE) is None


def test_an_unknown_event(core: ClientCore) -> None:
    with pytest.raises(RemoteProtocolError, match="event 77 isn't under way"):
        core.from_master([done(77)])


def test_answers_and_losses_are_passed_on(core: ClientCore) -> None:
    built = session.Built(1, 0, "", [], [])
    assert core.from_master([built]) == [Answered([built])]


def test_events_end_before_the_answers_of_their_batch(core: ClientCore) -> None:
    event = core.begin(QUEUE, 5)
    built, report = session.Built(1, 0, "", [], []), session.Report(2, None)
    effects = core.from_master([built, done(event), report])
    assert effects == [Ended([event]), Answered([built]), Answered([report])]


# Writes


def test_a_short_staging_copy_is_sent_at_once(core: ClientCore) -> None:
    staging = core.stage(b"0123456789")
    assert core.staged_bytes == 10
    [effect] = core.from_master([session.Push(1, staging, 2, 5, NODE)])
    assert effect == Stream(1, NODE, (memoryview(b"23456"),))
    assert core.from_endpoint(BulkFrame(CREDIT, False, CLIENT, NODE, 1, 0, b"")) == []
    core.from_master([session.DropStaging([staging])])
    assert is_clean(core)


def test_a_long_staging_copy_waits_for_credit(core: ClientCore) -> None:
    data = bytes(eager_bytes_max + 1)
    staging = core.stage(data)
    assert core.from_master([session.Push(1, staging, 0, len(data), NODE)]) == []
    [effect] = core.from_endpoint(BulkFrame(CREDIT, False, CLIENT, NODE, 1, 0, b""))
    assert isinstance(effect, Stream) and effect.data == (data,)
    core.from_master([session.DropStaging([staging])])
    assert is_clean(core)


def test_a_push_can_be_cancelled(core: ClientCore) -> None:
    staging = core.stage(bytes(eager_bytes_max + 1))
    core.from_master([session.Push(1, staging, 0, eager_bytes_max + 1, NODE)])
    core.from_master([session.CancelPush(1), session.DropStaging([staging])])
    assert is_clean(core)


# Reads


@pytest.mark.parametrize("told_first", [False, True])
def test_a_read_is_complete_when_told_and_all_there(core: ClientCore, told_first: bool) -> None:
    event, destination = begin_read(core, 6)
    effects = core.from_master([session.Pull(event, 0, 6, 1, NODE, 0, 0)])
    assert effects == [GrantCredit(1, NODE)]
    if told_first:
        assert core.from_master([done(event)]) == []
    assert core.from_endpoint(chunk(1, b"abc", last=False)) == []
    assert core.events[event].status == SUBMITTED
    after = core.from_endpoint(chunk(1, b"def", 3))
    if not told_first:
        assert after == []
        after = core.from_master([done(event)])
    assert after == [Ended([event])]
    assert destination == b"abcdef"
    assert is_clean(core)


def test_a_read_of_what_came_before_it_was_announced(core: ClientCore) -> None:
    event, destination = begin_read(core, 3)
    assert core.from_endpoint(chunk(1, b"abc")) == []
    effects = core.from_master([session.Pull(event, 0, 3, 1, NODE, 0, 0), done(event)])
    assert effects == [GrantCredit(1, NODE), Ended([event])]
    assert destination == b"abc"
    assert is_clean(core)


def test_a_read_of_own_writes_and_of_zeros(core: ClientCore) -> None:
    staging = core.stage(b"0123456789")
    event, destination = begin_read(core, 6)
    pulls = [session.Pull(event, 0, 4, 0, 0, staging, 3), session.Pull(event, 4, 2, 0, 0, 0, 0)]
    assert core.from_master([*pulls, done(event)]) == [Ended([event])]
    assert destination == b"3456\0\0"
    core.from_master([session.DropStaging([staging])])
    assert is_clean(core)


def test_a_read_that_fails_amid_its_bytes(core: ClientCore) -> None:
    event, _ = begin_read(core, 6)
    core.from_master([session.Pull(event, 0, 6, 1, NODE, 0, 0)])
    core.from_endpoint(chunk(1, b"abc", last=False))
    assert core.from_master([done(event, -5, "lost")]) == [Ended([event])]
    assert core.events[event].status == -5
    assert core.from_endpoint(chunk(1, b"def", 3)) == []
    assert is_clean(core)


def test_a_read_that_fails_costs_its_own_transfers_only(core: ClientCore) -> None:
    class Pulls(dict[int, Any]):
        def items(self) -> Any:
            raise AssertionError("all are looked at")

        __iter__ = keys = values = items

    events = [begin_read(core, 6)[0] for _ in range(2)]
    core._pulls = Pulls()
    for number, (event, offset) in enumerate([(0, 0), (1, 0), (0, 2), (1, 2), (0, 4)], 1):
        core.from_master([session.Pull(events[event], offset, 2, number, NODE, 0, 0)])
    core.from_endpoint(chunk(1, b"ab"))
    core.from_master([done(events[0], -5, "lost")])
    assert len(core._pulls) == 2
    for number in (3, 5):  # their rest may still come
        assert core.from_endpoint(chunk(number, b"cd")) == []
    core.from_endpoint(chunk(2, b"ab"))
    core.from_master([done(events[1], -5, "lost")])
    core.from_endpoint(chunk(4, b"cd"))
    assert not len(core._pulls)


@st.composite
def cuts(draw: st.DrawFn) -> list[tuple[int, int, str]]:
    """[start, end) of pulls that cover a read, in any order, and whence each comes."""
    edges = sorted(draw(st.sets(st.integers(1, 19), max_size=5)) | {0, 20})
    kinds = st.sampled_from(["endpoint", "staging", "zeros"])
    pulls = [(start, end, draw(kinds)) for start, end in pairwise(edges)]
    return draw(st.permutations(pulls))


@given(cuts(), st.data())
def test_a_read_in_any_pieces_and_order(
    pulls: list[tuple[int, int, str]], data: st.DataObject
) -> None:
    core = CopyingCore(2**20)
    content = bytes(range(65, 85))
    staging = core.stage(content)
    event, destination = begin_read(core, 20)
    expected = bytearray(20)
    to_master: list[Any] = []
    to_endpoint: list[list[BulkFrame]] = []
    for transfer, (start, end, kind) in enumerate(pulls, 1):
        of_endpoint = transfer if kind == "endpoint" else 0
        of_staging = staging if kind == "staging" else 0
        to_master.append(
            session.Pull(event, start, end - start, of_endpoint, NODE, of_staging, start)
        )
        expected[start:end] = bytes(end - start) if kind == "zeros" else content[start:end]
        if of_endpoint:
            middle = data.draw(st.integers(start, end - 1))
            first = chunk(transfer, content[start:middle], 0, False)
            rest = chunk(transfer, content[middle:end], middle - start, True)
            to_endpoint.append([first, rest])
    to_master.append(done(event))
    ended: list[Any] = []
    while to_master or to_endpoint:
        choice = data.draw(st.integers(-1 if to_master else 0, len(to_endpoint) - 1))
        if choice < 0:
            effects = core.from_master([to_master.pop(0)])
        else:
            effects = core.from_endpoint(to_endpoint[choice].pop(0))
            to_endpoint = [frames for frames in to_endpoint if frames]
        ended += [effect for effect in effects if isinstance(effect, Ended)]
        assert (core.events[event].status == COMPLETE) == bool(ended)
    assert ended == [Ended([event])]
    assert destination == expected
    core.from_master([session.DropStaging([staging])])
    assert is_clean(core)


@pytest.mark.parametrize(
    "pull",
    [
        session.Pull(77, 0, 1, 1, NODE, 0, 0),
        session.Pull(1, 0, 7, 1, NODE, 0, 0),
        session.Pull(1, 6, 1, 0, 0, 0, 0),
    ],
)
def test_bytes_that_no_read_asked_for(core: ClientCore, pull: session.Pull) -> None:
    begin_read(core, 6)
    with pytest.raises(RemoteProtocolError, match="that it didn't ask for"):
        core.from_master([pull])


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([session.Pull(1, 0, 4, 0, 0, 0, 0), session.Pull(1, 3, 2, 0, 0, 0, 0)], "twice"),
        ([session.Pull(1, 0, 4, 7, NODE, 0, 0), session.Pull(1, 4, 2, 7, NODE, 0, 0)], "already"),
        ([session.Pull(1, 0, 4, 0, 0, 2, 1)], "staging copy 2: not here"),
        ([session.Pull(1, 0, 1, 0, 0, 77, 0)], "staging copy 77: not here"),
        ([session.Push(7, 77, 0, 1, NODE)], "staging copy 77: not here"),
        ([session.Push(7, 2, 3, 2, NODE)], "staging copy 2: not here"),
        ([session.Push(7, 2, 0, 4, NODE), session.Push(7, 2, 0, 4, NODE)], "already"),
        ([session.DropStaging([2, 2])], "staging copy 2: not here"),
        ([done(77)], "event 77 isn't under way"),
        ([done(3), done(3)], "event 3 isn't under way"),
        ([done(1), done(1)], "event 1 isn't under way"),
    ],
)
def test_what_no_honest_master_says(core: ClientCore, messages: list[Any], text: str) -> None:
    begin_read(core, 6)
    assert core.stage(b"1234") == 2
    assert core.begin(QUEUE, 5) == 3
    with pytest.raises(RemoteProtocolError, match=text):
        core.from_master(messages)


def test_a_read_ends_once_it_is_copied() -> None:
    plain = ClientCore(2**20)
    (event, memory), staging = begin_read(plain, 6), plain.stage(b"abc")
    pulls = [session.Pull(event, 0, 3, 0, 0, staging, 0), session.Pull(event, 3, 3, 1, NODE, 0, 0)]
    plain.from_master([*pulls, done(event), session.DropStaging([staging])])
    [first] = plain.take_copies()
    assert (first.event, first.where, bytes(first.data)) == (event, slice(0, 3), b"abc")
    assert plain.copied([first]) == []
    assert plain.from_endpoint(chunk(1, b"def")) == []
    [second] = plain.take_copies()
    assert (second.where, second.data, memory) == (slice(3, 6), b"def", b"?" * 6)
    assert plain.copied([second]) == [Ended([event])] and is_clean(plain)


def test_nothing_is_copied_for_a_read_that_failed_meanwhile() -> None:
    core = ClientCore(2**20)
    event, _ = begin_read(core, 6)
    zeros = session.Pull(event, 0, 3, 0, 0, 0, 0)
    assert core.from_master([zeros, done(event, -5, "lost")]) == [Ended([event])]
    assert core.take_copies() == [] and is_clean(core)
    event, _ = begin_read(core, 6)
    core.from_master([session.Pull(event, 0, 3, 0, 0, 0, 0)])
    core.abandon(-2, "the session is over")
    assert core.take_copies() == []


def head(offset: int = 0, transfer: int = 1, source: int = NODE) -> BulkFrame:
    return BulkFrame(CHUNK, False, CLIENT, source, transfer, offset, b"")


def test_bytes_have_a_place_in_the_program_s_memory_while_a_read_wants_them() -> None:
    core = ClientCore(staging_bytes_max=2**20)
    event, destination = begin_read(core, 10)
    assert core.place(head(), 4) is None, "nobody has announced it"
    core.from_master([session.Pull(event, 2, 6, 1, NODE, 0, 0)])
    place = core.place(head(), 4)
    assert place is not None
    place[:] = b"abcd"
    assert destination == b"??abcd????"
    for other in (head(source=NODE + 1), head(offset=3), head(transfer=2)):
        assert core.place(other, 4) is None
    core.from_endpoint(chunk(1, place, last=False))  # type: ignore[arg-type]
    core.from_endpoint(chunk(1, b"ef", 4))
    assert core.place(head(4), 2) is None, "all came"
    first, second = core.take_copies()
    assert first.where == slice(2, 6) and second.where == slice(6, 8)


@pytest.mark.parametrize("why", ["its end came", "its sender is gone", "the session is over"])
def test_bytes_for_a_read_that_failed_have_no_place(why: str) -> None:
    """The program may use its memory for something else by when they come."""
    core = ClientCore(staging_bytes_max=2**20)
    event, _ = begin_read(core, 10)
    core.from_master([session.Pull(event, 0, 10, 1, NODE, 0, 0)])
    core.from_endpoint(chunk(1, b"abcd", last=False))
    assert core.place(head(4), 6) is not None
    match why:
        case "its end came":
            core.from_master([done(event, -5, "no")])
        case "its sender is gone":
            core.from_master([session.EndpointLost(NODE, "node 'a' is gone")])
        case "the session is over":
            core.abandon(-5, "it was closed")
    assert core.place(head(4), 6) is None


def test_memory_that_only_takes_slices_is_no_place() -> None:
    class Scattered(bytearray):
        """Where bytes aren't in a row."""

    core = ClientCore(staging_bytes_max=2**20)
    event, destination = core.begin(QUEUE, 5), Scattered(4)
    core.expect_read(event, destination)
    core.from_master([session.Pull(event, 0, 4, 1, NODE, 0, 0)])
    assert core.place(head(), 4) is None


def test_the_end_of_a_transfer_may_come_after_that_of_its_read(core: ClientCore) -> None:
    event, destination = begin_read(core, 2)
    core.from_master([session.Pull(event, 0, 2, 1, NODE, 0, 0), done(event)])
    assert core.from_endpoint(chunk(1, b"xy", last=False)) == [Ended([event])]
    core.from_master([session.EndpointLost(NODE, "gone")])
    assert destination == b"xy" and is_clean(core), "also if it never comes"
    assert core.from_endpoint(chunk(1, b"", 2)) == []
    assert is_clean(core)


def test_a_bulk_frame_for_somebody_else(core: ClientCore) -> None:
    with pytest.raises(RemoteProtocolError, match="endpoint 4 came here"):
        core.from_endpoint(chunk(1, b"x")._replace(destination=4))


# The end


def test_what_is_not_complete_when_the_session_ends_fails(core: ClientCore) -> None:
    complete = core.begin(QUEUE, 0)
    core.from_master([done(complete)])
    released = core.begin(QUEUE, 0)
    core.take_batch([released], 0)
    read, _ = begin_read(core, 6)
    core.from_master([session.Pull(read, 0, 6, 1, NODE, 0, 0)])
    assert core.abandon(-2, "the master is gone") == [Ended([released, read])]
    assert core.events[complete].status == COMPLETE
    assert (core.events[read].status, core.events[read].failure) == (-2, "the master is gone")
    assert released not in core.events
    assert core.take_failure(QUEUE) == (released, -2, "the master is gone")
    assert core.abandon(-2, "again") == [Ended([])]
    assert is_clean(core)


# Printed text


def test_printed_text_is_to_be_written_before_the_event_ends(core: ClientCore) -> None:
    event = core.begin(QUEUE, 0)
    batch = [session.Printed(event, "n", b"text"), done(event)]
    assert core.printed(batch[:1]) == "" and core.from_master(batch[:1]) == []
    assert core.printed(batch[1:]) == "text"
    assert core.events[event].status == QUEUED
    assert core.from_master(batch[1:]) == [Ended([event])]


def test_text_of_an_unknown_event_is_refused(core: ClientCore) -> None:
    with pytest.raises(RemoteProtocolError, match="isn't under way"):
        core.printed([session.Printed(7, "n", b"text")])


# Limits


def test_too_many_commands_wait_unless_a_user_event_is_not_set(
    core: ClientCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_core, "commands_in_flight_max", 2)
    monkeypatch.setattr(client_core, "commands_max", 4)
    events = [core.begin(QUEUE, 1) for _ in range(2)]
    assert not core.may_enqueue
    gate = core.begin_user()
    assert core.may_enqueue and core.waits_for_program
    events.append(core.begin(QUEUE, 1))
    assert not core.may_enqueue
    core.set_user(gate)
    core.from_master([done(events[0])])
    assert not core.may_enqueue and not core.waits_for_program
    core.from_master([done(events[1], -5, "why")])
    assert core.may_enqueue and core.in_flight == 1
    core.abandon(-2, "over")
    assert core.in_flight == 0


def test_a_user_event_that_is_let_go_of_unset_keeps_no_place(core: ClientCore) -> None:
    unused, awaited, done_with = (core.begin_user() for _ in range(3))
    command = core.begin(QUEUE, 1)
    core.waits_for(command, [awaited, done_with, 77])
    core.from_master([done(command)])
    core.take_batch([command], 5)
    core.set_user(done_with)
    core.take_batch([unused, awaited], 5)
    assert set(core.events) == {awaited, done_with} and core.waits_for_program
    core.from_master([session.EventsDone([[awaited, 0, 0, 0, None], [done_with, 0, 0, 0, None]])])
    assert set(core.events) == {done_with} and core.is_idle


def test_a_command_that_is_withdrawn_is_not_in_flight(core: ClientCore) -> None:
    core.withdraw(core.begin(QUEUE, 1))
    assert core.in_flight == 0


def test_objects_are_counted_until_they_are_released(
    core: ClientCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_core, "objects_max", 2)
    assert core.create(1) is core.create(2) is None
    assert "at most 2 contexts, queues" in str(core.create(3))
    core.take_batch([1, 77], 5)
    assert core.create(3) is None
    assert core.create(4) is not None


def test_sources_are_counted_until_their_programs_are_released(
    core: ClientCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_core, "sources_bytes_max", 100)
    assert core.create(1, 60) is core.create(2, 40) is core.create(3) is None
    assert "have at most 100 bytes together" in str(core.create(4, 1))
    core.withdraw_object(2)
    assert core.create(4, 40) is None
    core.take_batch([1], 5)
    assert core.create(5, 60) is None


def test_long_wait_lists_are_counted_until_their_commands_end(
    core: ClientCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_core, "waits_together_max", 100)
    first, second = core.begin(QUEUE, 1), core.begin(QUEUE, 1)
    core.waits_for(first, range(60))
    assert core.may_enqueue
    core.waits_for(second, range(50))
    assert not core.may_enqueue
    core.from_master([done(first)])
    assert core.may_enqueue


def test_what_has_not_left_is_bounded(core: ClientCore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_core, "unsent_bytes_max", 100)
    core.say("message", 99)
    assert core.may_say
    core.say("message", 1)
    assert not core.may_say
    core.take_batch([], 5)
    assert core.may_say
    core.unsent_bytes = 100
    assert not core.may_say
