"""From commands to operations: what is moved from where, and who waits for whom."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from master.places import PlanFailed
from master.plan import movement
from master.plan.residency import Contents
from master.plan.traffic import Traffic
from tests.master.rigs import OPERATIONS, SessionRig, place
from vcl.errors import DEVICE_NOT_AVAILABLE, OUT_OF_RESOURCES
from vcl.wire.messages import part
from vcl.wire.messages.session import (
    Copy,
    CreateBuffer,
    CreateQueue,
    DropStaging,
    Fill,
    Marker,
    Pull,
    Push,
    Read,
    Write,
)

SIZE = 64


def rig(devices: int = 2) -> SessionRig:
    """Queue 2 is the cluster's, queue 2 + d that of device d; buffers 10 and 11."""
    made = SessionRig(*(place(d) for d in range(1, devices + 1)))
    made.say(*(CreateQueue(2 + d, 1, d, 0) for d in range(1, devices + 1)))
    made.say(CreateBuffer(10, 1, SIZE), CreateBuffer(11, 1, SIZE))
    return made


def test_a_write_stays_with_the_client() -> None:
    r = rig()
    r.say(Write(20, 2, [], 10, 0, SIZE, 100))
    assert r.nodes == {} and r.ended() == {20: 0}


def test_a_read_of_what_the_client_still_has_moves_nothing() -> None:
    r = rig()
    r.say(Write(20, 2, [], 10, 8, 16, 100), Read(21, 2, [], 10, 4, 24))
    assert r.told(Pull) == [
        Pull(21, 0, 4, 0, 0, 0, 0),
        Pull(21, 4, 16, 0, 0, 100, 0),
        Pull(21, 20, 4, 0, 0, 0, 0),
    ]
    assert r.nodes == {} and r.ended() == {20: 0, 21: 0}


def test_a_read_of_the_inside_of_a_write() -> None:
    r = rig()
    r.say(Write(20, 2, [], 10, 8, 16, 100), Read(21, 2, [], 10, 12, 4))
    assert r.told(Pull) == [Pull(21, 0, 4, 0, 0, 100, 4)]


def test_a_fill_runs_on_its_queues_device_and_is_read_from_there() -> None:
    r = rig()
    r.say(Fill(20, 4, [], 10, 0, SIZE, b"ab"), Read(21, 2, [], 10, 0, SIZE))
    allocate, fill, send = r.nodes[2]
    assert allocate == part.Allocate(2, 10, SIZE, cause=20)
    assert fill == part.FillRegion(fill.operation, [], 2, 10, 0, SIZE, b"ab", 20)
    assert send[1:6] == ([fill.operation], 2, 10, 0, SIZE) and send.endpoint == 0
    assert r.told(Pull) == [Pull(21, 0, SIZE, send.transfer, 2, 0, 0)]
    r.done(fill)
    assert r.ended() == {20: 0}
    r.done(send)
    assert r.ended() == {20: 0, 21: 0}


def test_a_write_is_pushed_where_it_is_needed_and_dropped_once_it_is_there() -> None:
    r = rig()
    r.say(Write(20, 2, [], 10, 0, SIZE, 100), Copy(21, 3, [], 10, 11, 8, 0, 16))
    (push,) = r.told(Push)
    assert push == Push(push.transfer, 100, 8, 16, 1, cause=21)
    (receive,), (copy,) = r.said(part.Receive), r.said(part.CopyRegion)
    assert receive[1:] == ([], 1, 10, 8, 16, push.transfer, 0, 21)
    assert copy[1:] == ([receive.operation], 1, 10, 8, 11, 0, 16, 21)
    r.done(receive)
    assert r.told(DropStaging) == [], "the rest of it is only there"
    r.say(Write(22, 2, [], 10, 0, 8, 101), Write(23, 2, [], 10, 24, SIZE - 24, 102))
    assert r.told(DropStaging) == [DropStaging([100])]


def test_only_what_is_missing_moves() -> None:
    r = rig()
    r.say(Fill(20, 3, [], 10, 0, 32, b"x"), Fill(21, 4, [], 10, 32, 32, b"y"))
    r.run()
    r.clear()
    r.say(Copy(22, 4, [], 10, 11, 16, 0, 32))
    (send,), (receive,) = r.said(part.Send), r.said(part.Receive)
    assert (send.offset, send.size, send.endpoint) == (16, 16, 2)
    assert (receive.offset, receive.size, receive.endpoint) == (16, 16, 1)
    assert send.transfer == receive.transfer
    r.run()
    r.clear()
    r.say(Copy(23, 4, [], 10, 11, 16, 32, 32))
    assert r.said(part.Send) == [], "it holds it now"


def test_a_read_from_two_holders() -> None:
    r = rig()
    r.say(Fill(20, 3, [], 10, 0, 32, b"x"), Fill(21, 4, [], 10, 32, 32, b"y"))
    r.run()
    r.clear()
    r.say(Read(22, 2, [], 10, 0, SIZE))
    pulls = r.told(Pull)
    assert [(p.offset, p.size, p.endpoint) for p in pulls] == [(0, 32, 1), (32, 32, 2)]


def test_a_read_prefers_one_holder_of_neighbouring_versions() -> None:
    r = rig()
    r.say(Fill(20, 3, [], 10, 0, 32, b"x"), Fill(21, 3, [], 10, 32, 32, b"y"))
    r.run()
    r.clear()
    r.say(Read(22, 2, [], 10, 0, SIZE))
    assert [(p.offset, p.size) for p in r.told(Pull)] == [(0, SIZE)]


def test_what_was_never_written_is_zero_on_a_device_too() -> None:
    r = rig()
    r.say(Copy(20, 3, [], 10, 11, 0, 0, 16))
    (zero,) = r.said(part.FillRegion)
    assert zero[2:] == (1, 10, 0, 16, b"\0", 20)
    assert r.said(part.CopyRegion)[0].waits == [zero.operation]


def test_a_copy_runs_where_most_bytes_are() -> None:
    r = rig()
    r.say(Fill(20, 3, [], 10, 0, 24, b"x"), Fill(21, 4, [], 10, 24, 40, b"y"))
    r.run()
    r.clear()
    r.say(Copy(22, 2, [], 10, 11, 0, 0, SIZE))
    assert r.said(part.CopyRegion)[0].device == 2


def test_a_receive_waits_for_older_users_of_the_memory() -> None:
    r = rig()
    r.say(
        Fill(20, 3, [], 10, 0, SIZE, b"x"),
        Read(21, 3, [], 10, 0, 32),
        Write(22, 3, [], 10, 0, SIZE, 100),
        Copy(23, 3, [], 10, 11, 0, 0, SIZE),
    )
    (fill,), (send,), (receive,) = (
        r.said(k) for k in (part.FillRegion, part.Send, part.Receive)
    )
    assert receive.waits == [fill.operation, send.operation]


def test_of_many_holders_the_first_and_those_beside_the_receiver_are_weighed() -> None:
    """Two devices a node: what the other one has needn't travel."""
    r = SessionRig(*(place(d, (d + 1) // 2) for d in range(1, 101)))
    r.say(CreateBuffer(10, 1, SIZE))
    view = r.session._view

    def source(holders: Iterable[int], to: int) -> int:
        held = Contents(2, frozenset(holders))
        traffic = Traffic()
        found = movement.sources(view, traffic, held, held.holders, to)
        assert len(found) <= movement.sources_max and {p.device for p in found} <= held.holders
        there = place(to, (to + 1) // 2)
        nearest = traffic.choose(view.links, r.session.buffers[10], 0, SIZE, found, there)
        assert nearest is not None
        return nearest.device

    everyone = range(1, 101)
    for to in everyone:
        others = [d for d in everyone if d != to]
        beside = to + 1 if to % 2 else to - 1
        assert source(others, to) == beside
        others.remove(beside)
        assert source(others, to) == min(others)
    r.places = [p for p in r.places if p.device in (40, 41)]
    assert source(everyone, 90) == 40, "those that were weighed can't be reached"
    r.places = []
    with pytest.raises(PlanFailed, match="no node that holds them can be reached"):
        source(everyone, 90)


def test_a_marker_needs_no_device() -> None:
    r = rig()
    r.places = []
    r.say(Marker(20, 2, [], False))
    assert r.ended() == {20: 0}


def test_without_its_device_a_command_fails() -> None:
    r = rig()
    r.places = [place(1)]
    r.say(Fill(20, 4, [], 10, 0, SIZE, b"x"))
    assert r.ended() == {20: DEVICE_NOT_AVAILABLE}


def test_reading_what_was_lost_fails_until_it_is_written_again() -> None:
    r = rig()
    r.say(Fill(20, 4, [], 10, 0, 32, b"x"))
    r.run()
    r.lose(2)
    r.clear()
    r.say(Read(21, 2, [], 10, 0, 8), Copy(22, 3, [], 10, 11, 0, 0, 8))
    r.say(Read(23, 2, [], 10, 32, 8))
    assert r.ended() == {21: OUT_OF_RESOURCES, 22: OUT_OF_RESOURCES, 23: 0}
    r.clear()
    r.say(Write(24, 2, [], 10, 0, 32, 100), Read(25, 2, [], 10, 0, 8))
    assert r.ended() == {24: 0, 25: 0}


def test_what_was_never_written_cannot_be_lost() -> None:
    r = rig()
    r.say(Copy(20, 4, [], 10, 11, 0, 0, SIZE))
    r.run()
    r.lose(2)
    r.clear()
    r.say(Read(21, 2, [], 10, 0, SIZE))
    assert r.ended() == {21: 0}


def test_zeros_are_made_on_each_device_and_never_moved() -> None:
    r = rig()
    r.say(Copy(20, 3, [], 10, 11, 0, 0, SIZE), Copy(21, 4, [20], 10, 11, 0, 0, SIZE))
    assert not r.said(part.Receive)


@settings(max_examples=60)
@given(st.data())
def test_random_commands(data: st.DataObject) -> None:
    """Waits are earlier operations of the same executor; pulls cover a read exactly once."""
    r = rig(3)
    event = 100
    reads: dict[int, int] = {}
    for _ in range(data.draw(st.integers(1, 12))):
        event += 1
        kind = data.draw(st.sampled_from(["write", "read", "copy", "fill", "some end"]))
        queue = data.draw(st.integers(2, 5))
        buffer = data.draw(st.sampled_from([10, 11]))
        start = data.draw(st.integers(0, SIZE - 1))
        size = data.draw(st.integers(1, SIZE - start))
        if kind == "write":
            r.say(Write(event, queue, [], buffer, start, size, event + 1000))
        elif kind == "read":
            reads[event] = size
            r.say(Read(event, queue, [], buffer, start, size))
        elif kind == "copy":
            to = data.draw(st.integers(0, SIZE - size))
            r.say(Copy(event, queue, [], buffer, 21 - buffer, start, to, size))
        elif kind == "fill":
            r.say(Fill(event, queue, [], buffer, start, size, b"z"))
        else:
            for number, operation in list(r.session.ledger.live.items())[:2]:
                done = part.Done([[number, 0, 1, 2, None, None]])
                r.answer(operation.node, done)
    for messages in r.nodes.values():
        seen: set[int] = set()
        allocated: set[tuple[int, int]] = set()
        for m in messages:
            if isinstance(m, part.Allocate):
                assert (m.device, m.buffer) not in allocated
                allocated.add((m.device, m.buffer))
            elif isinstance(m, OPERATIONS):
                assert set(m.waits) <= seen
                seen.add(m.operation)
                used = [m.source, m.destination] if isinstance(m, part.CopyRegion) else [m.buffer]
                assert {(m.device, b) for b in used} <= allocated
    sends = {m.transfer: m for m in r.said(part.Send)}
    for receive in r.said(part.Receive):
        if receive.endpoint:
            send = sends[receive.transfer]
            assert (send.buffer, send.offset, send.size) == receive[3:6]
    for read, size in reads.items():
        pulls = sorted(p.offset for p in r.told(Pull) if p.event == read)
        ends = sorted(p.offset + p.size for p in r.told(Pull) if p.event == read)
        assert [0, *ends] == [*pulls, size]
    r.run()
    assert not r.session.ledger.transfers and not r.session.graph.ready
    assert all(status == 0 for status in r.ended().values())
    ended = set(r.ended())
    assert set(reads) <= ended
