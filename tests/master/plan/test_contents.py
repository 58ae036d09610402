"""Bytes that the program writes again: what is still there isn't asked for, all else is."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from master.plan.contents import Written, WrittenContents, digests_max, ranges_max, unchanged
from master.plan.invariants import check
from master.plan.residency import SETTLED, Buffer, Contents
from tests.master.rigs import GLOBAL, SessionRig, kernel, place
from vcl.errors import RemoteProtocolError
from vcl.wire.messages import part
from vcl.wire.messages.session import (
    Copy,
    CreateBuffer,
    CreateContext,
    CreateQueue,
    CreateUserEvent,
    DropStaging,
    Fill,
    Launch,
    Pull,
    Push,
    Read,
    Release,
    SetUserEvent,
    Write,
)

SIZE = 64
SAME, OTHER = sha256(b"same").digest(), sha256(b"other").digest()


def rig(shared: bool = False) -> SessionRig:
    """Devices 1 and 2, queues 3 and 4; buffers 10 and 11; kernel `reads(const*)`, `writes(*)`."""
    made = SessionRig(place(1), place(2))
    made.say(CreateQueue(3, 1, 1, 0), CreateQueue(4, 1, 2, 0))
    made.say(CreateBuffer(10, 1, SIZE, shared), CreateBuffer(11, 1, SIZE))
    source = "kernel void reads(global const int *x) {} kernel void writes(global int *x) { *x=1; }"
    reads, writes = kernel("reads", (GLOBAL, "const int*")), kernel("writes", (GLOBAL, "int*"))
    made.build(5, reads, writes, source=source)
    return made


def launch(r: SessionRig, event: int, name: str, buffer: int = 10, queue: int = 3) -> None:
    r.say(Launch(event, queue, [], 5, name, [0], [1], [1], [[1, buffer, 0, SIZE]]))
    r.run()


def write(event: int, buffer: int = 10, digest: bytes = SAME, queue: int = 3) -> Write:
    """A Write of the whole buffer; its staging copy has the event's number and 100."""
    return Write(event, queue, [], buffer, 0, SIZE, event + 100, digest)


def written_and_read(shared: bool = False) -> SessionRig:
    """Buffer 10 was written with the bytes `SAME`, and device 1 has them."""
    r = rig(shared)
    r.say(write(20))
    launch(r, 21, "reads")
    assert len(r.told(Push)) == 1
    r.clear()
    return r


def sound(r: SessionRig) -> None:
    check(r.session.ledger, r.session.buffers)


def test_the_same_bytes_again_are_not_asked_for() -> None:
    r = written_and_read()
    r.say(write(22))
    assert r.ended() == {22: 0}
    assert r.told(DropStaging) == [DropStaging([122])], "nobody will ask for that copy"
    launch(r, 23, "reads")
    assert r.told(Push) == [] and r.said(part.Receive) == []
    assert r.session.ledger.staged_bytes == 0
    sound(r)


def test_another_digest_and_none_are_asked_for() -> None:
    for digest in (OTHER, b""):
        r = written_and_read()
        r.say(write(22, digest=digest))
        launch(r, 23, "reads")
        assert [(m.staging, m.size) for m in r.told(Push)] == [(122, SIZE)]


def test_what_the_client_still_keeps_it_keeps_once() -> None:
    r = rig()
    r.say(write(20), write(22), Read(23, 3, [], 10, 0, SIZE))
    assert r.told(DropStaging) == [DropStaging([122])]
    assert r.told(Pull) == [Pull(23, 0, SIZE, 0, 0, 120, 0)]


CHANGES: dict[str, Callable[[SessionRig], None]] = {
    "a launch that may write it": lambda r: launch(r, 30, "writes"),
    "a fill of a byte": lambda r: r.say(Fill(30, 3, [], 10, 5, 1, b"x")),
    "a copy to it": lambda r: r.say(Copy(30, 3, [], 11, 10, 0, 9, 1)),
    "a write of a byte": lambda r: r.say(Write(30, 3, [], 10, 63, 1, 130)),
    "another write": lambda r: r.say(write(30, digest=OTHER)),
    "the loss of the device": lambda r: r.lose(1),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
@pytest.mark.parametrize("ended", [True, False])
def test_after_a_change_they_are_asked_for(
    change: Callable[[SessionRig], None], ended: bool
) -> None:
    r = written_and_read()
    change(r)
    if ended:
        r.run()
    r.clear()
    r.say(write(40, queue=2))
    launch(r, 41, "reads", queue=4)
    assert [(m.staging, m.offset, m.size) for m in r.told(Push)] == [(140, 0, SIZE)]
    sound(r)


def test_memory_that_the_host_may_change_is_not_trusted() -> None:
    r = written_and_read(shared=True)
    r.say(write(22))
    launch(r, 23, "reads")
    assert len(r.told(Push)) == 1


def test_a_write_that_is_not_carried_out_proves_nothing() -> None:
    r = rig()
    r.say(CreateUserEvent(50, 1), write(20)._replace(waits=[50]), SetUserEvent(50, -5))
    assert r.ended()[20] < 0
    r.say(write(22, queue=4))
    launch(r, 23, "reads", queue=4)
    assert [m.staging for m in r.told(Push)] == [122]


def test_a_write_that_waits_is_compared_when_it_is_carried_out() -> None:
    r = written_and_read()
    r.say(CreateUserEvent(50, 1), write(22, queue=4)._replace(waits=[50]))
    launch(r, 30, "writes")
    r.clear()
    r.say(SetUserEvent(50, 0))
    launch(r, 31, "reads", queue=4)
    assert [m.staging for m in r.told(Push)] == [122]


def test_a_write_that_failed_loses_what_was_there() -> None:
    """Nobody shall take old bytes for those of a write that didn't happen, equal or not."""
    r = written_and_read()
    r.places = []
    r.say(Fill(22, 3, [], 10, 0, SIZE, b"x"))
    assert r.ended()[22] < 0
    r.places = [place(1), place(2)]
    r.clear()
    r.say(write(23))
    launch(r, 24, "reads")
    assert [m.staging for m in r.told(Push)] == [123]


def test_in_another_buffer_the_device_copies_them() -> None:
    r = written_and_read()
    r.say(write(22, 11))
    assert r.ended() == {22: 0}, "it waits for nothing"
    (copied,) = r.said(part.CopyRegion)
    assert copied[2:] == (1, 10, 0, 11, 0, SIZE, 22)
    assert r.told(DropStaging) == []
    sound(r)
    r.done(copied)
    assert r.told(DropStaging) == [DropStaging([122])]
    launch(r, 23, "reads", 11)
    assert r.told(Push) == []
    sound(r)


def test_a_copy_that_fails_leaves_the_clients_bytes() -> None:
    r = written_and_read()
    r.say(write(22, 11))
    (copied,) = r.said(part.CopyRegion)
    r.done(copied, -5, "no memory")
    sound(r)
    launch(r, 23, "reads", 11)
    assert [m.staging for m in r.told(Push)] == [122]


def test_a_copy_waits_for_those_bytes_and_who_changes_them_for_the_copy() -> None:
    r = rig()
    r.say(write(20), Launch(21, 3, [], 5, "reads", [0], [1], [1], [[1, 10, 0, SIZE]]))
    r.say(write(22, 11), Launch(23, 3, [], 5, "writes", [0], [1], [1], [[1, 10, 0, SIZE]]))
    (received,), (copied,) = r.said(part.Receive), r.said(part.CopyRegion)
    assert copied.waits == [received.operation]
    assert copied.operation in r.said(part.Run)[-1].waits
    sound(r)


def test_after_the_release_of_their_buffer_they_are_asked_for() -> None:
    r = written_and_read()
    r.say(Release([10]), write(22, 11))
    assert r.said(part.CopyRegion) == []
    launch(r, 23, "reads", 11)
    assert [m.staging for m in r.told(Push)] == [122]


def test_a_buffer_of_another_context_is_not_copied() -> None:
    r = written_and_read()
    r.say(CreateContext(60, [1], True), CreateQueue(61, 60, 1, 0), CreateBuffer(62, 60, SIZE))
    r.say(write(22, 62, queue=61))
    assert r.said(part.CopyRegion) == []


def test_two_buffers_by_turns() -> None:
    r = written_and_read()
    r.say(write(22, 11))
    r.run()
    r.clear()
    launch(r, 23, "writes", 11)
    r.say(write(24, 10), write(25, 11))
    assert [m.cause for m in r.said(part.CopyRegion)] == [25], "the first buffer has them still"


def test_a_range_that_overlaps_its_own_copy_is_not_copied() -> None:
    r = rig()
    r.say(Write(20, 3, [], 10, 0, 16, 120, SAME))
    launch(r, 21, "reads")
    r.clear()
    r.say(Write(22, 3, [], 10, 8, 16, 122, SAME), Write(23, 3, [], 10, 40, 16, 123, SAME))
    assert [m.cause for m in r.said(part.CopyRegion)] == []
    launch(r, 24, "reads")
    r.clear()
    r.say(Write(25, 3, [], 10, 0, 16, 125, SAME))
    (copied,) = r.said(part.CopyRegion)
    assert copied[2:] == (1, 10, 40, 10, 0, 16, 25)


def test_a_digest_of_a_wrong_length() -> None:
    r = rig()
    with pytest.raises(RemoteProtocolError, match="a digest of 31 bytes"):
        r.say(write(20, digest=SAME[:31]))


# ---- what is remembered


def test_of_a_digest_the_newest_ranges_are_remembered() -> None:
    known = WrittenContents()
    assert known.find(SAME) == []
    ranges = [Written(n, 0, SIZE, n + 5) for n in range(ranges_max + 1)]
    for one in ranges:
        known.note(SAME, one)
    assert known.find(SAME) == ranges[:0:-1]
    known.note(SAME, ranges[2]._replace(version=99))
    assert [w.version for w in known.find(SAME)] == [99, 9, 8, 6]


def test_of_digests_the_newest_are_remembered() -> None:
    known = WrittenContents()
    for number in range(digests_max + 1):
        known.note(number.to_bytes(32, "big"), Written(1, 0, SIZE, number + 2))
    assert known.find((0).to_bytes(32, "big")) == []
    assert known.find((1).to_bytes(32, "big")) != []


RANGE = st.tuples(st.integers(0, SIZE - 1), st.integers(1, SIZE)).map(
    lambda r: (r[0], min(SIZE, r[0] + r[1]))
)


@given(RANGE, st.lists(st.tuples(st.sampled_from(["write", "hold", "drop", "settle"]), RANGE)))
def test_unchanged_is_what_no_later_version_touched(
    region: tuple[int, int], steps: list[tuple[str, tuple[int, int]]]
) -> None:
    buffer = Buffer(1, 1, SIZE)
    buffer.supersede(*region, Contents(2, staging=(7, region[0])))
    written = Written(1, *region, 2)
    touched: set[int] = set()
    for version, (what, (start, end)) in enumerate(steps, SETTLED + 2):
        if what == "write":
            buffer.supersede(start, end, Contents(version, frozenset((1,))))
            touched |= set(range(start, end))
        elif what == "hold":
            buffer.add_holder(1, start, end)
            buffer.confirm_holder(1, start, end, 2)
        elif what == "drop":
            buffer.drop_holder(1, start, end, lambda _: True, "gone")
        else:
            buffer._settle()
        inside = touched & set(range(*region))
        pieces = unchanged(buffer, written)
        assert not (pieces and inside)
        assert all(c.lost is None and c.version == 2 for _, _, c in pieces)
    if all(what in ("write", "hold") for what, _ in steps):
        assert bool(unchanged(buffer, written)) == (not touched & set(range(*region)))
    buffer.released = True
    assert unchanged(buffer, written) == []
