"""Waits follow from what steps read and write, and from nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from master.plan import commit, movement, residency
from master.plan.plan import Region, Step
from tests.master.rigs import GLOBAL, PRIVATE, SessionRig, kernel, place
from vcl.wire.messages import part
from vcl.wire.messages.session import (
    Copy,
    CreateBuffer,
    CreateQueue,
    Fill,
    Launch,
    Read,
    Release,
    Repeat,
    Write,
)

SIZE = 64


class Done(NamedTuple):
    """A step that was committed, with what was under way and what it waits for."""

    step: Step
    live: frozenset[int]
    waits: frozenset[int]


@contextmanager
def watched(r: SessionRig) -> Iterator[dict[int, Done]]:
    """The steps that are committed, by operation."""
    seen: dict[int, Done] = {}
    real = commit.Committer._order

    def order(self, step, operation):
        waits = real(self, step, operation)
        live = frozenset(r.session.ledger.live) - {operation}
        seen[operation] = Done(step, live, frozenset(waits))
        return waits

    with patch.object(commit.Committer, "_order", order):
        yield seen


def touch(a: Region, b: Region) -> bool:
    return a.buffer == b.buffer and a.start < b.end and b.start < a.end


def conflict(one: Step, other: Step) -> bool:
    """Whether they touch a common region of one device, and one of them writes it."""
    if one.place.device != other.place.device:
        return False
    pairs = [(a, b) for a in one.writes for b in other.reads + other.writes]
    pairs += [(a, b) for a in one.reads for b in other.writes]
    return any(touch(a, b) for a, b in pairs)


def behind(seen: dict[int, Done], operation: int) -> set[int]:
    """All that it waits for, at first or second hand."""
    reached: set[int] = set()
    open_ = list(seen[operation].waits)
    while open_:
        one = open_.pop()
        if one not in reached:
            reached.add(one)
            open_ += seen[one].waits
    return reached


def draw_command(data: st.DataObject, event: int) -> list[object]:
    kind = data.draw(st.sampled_from(["write", "read", "copy", "fill", "launch", "launch"]))
    queue, buffer = data.draw(st.integers(2, 4)), data.draw(st.sampled_from([10, 11]))
    start = data.draw(st.integers(0, SIZE - 1))
    size = data.draw(st.integers(1, SIZE - start))
    if kind == "write":
        return [Write(event, queue, [], buffer, start, size, event + 1000)]
    if kind == "read":
        return [Read(event, queue, [], buffer, start, size)]
    if kind == "copy":
        to = data.draw(st.integers(0, SIZE - size))
        return [Copy(event, queue, [], buffer, 21 - buffer, start, to, size)]
    if kind == "fill":
        return [Fill(event, queue, [], buffer, start, size, b"z")]
    arguments = [[1, buffer, start, size], [1, 21 - buffer, 0, SIZE]]
    name = data.draw(st.sampled_from(["writes", "reads"]))
    return [Launch(event, queue, [], 5, name, [0], [64], [4], arguments)]


@settings(max_examples=100)
@given(st.data())
def test_steps_are_ordered_if_and_only_if_they_must_be(data: st.DataObject) -> None:
    r = SessionRig(place(1), place(2))
    r.say(CreateQueue(3, 1, 1, 0), CreateQueue(4, 1, 2, 0))
    r.say(CreateBuffer(10, 1, SIZE), CreateBuffer(11, 1, SIZE))
    const = (GLOBAL, "const int*")
    r.build(5, kernel("writes", (GLOBAL, "int*"), const), kernel("reads", const, const))
    r.session.programs[5].keeps_const = True
    limits = data.draw(st.sampled_from([(256, 128), (2, 1)]))
    with (
        watched(r) as seen,
        patch.object(residency, "pieces_max", limits[0]),
        patch.object(movement, "brought_max", limits[1]),
    ):
        for event in range(100, 100 + data.draw(st.integers(1, 10))):
            if data.draw(st.integers(0, 2)) == 0:
                for number, operation in list(r.session.ledger.live.items())[:2]:
                    if not seen[number].waits & r.session.ledger.live.keys():
                        done = part.Done([[number, 0, 1, 2, None, None]])
                        r.answer(operation.node, done)
            r.say(*draw_command(data, event))
        r.say(Release([10, 11]))
    for operation, done in seen.items():
        assert done.waits <= done.live
        reached = behind(seen, operation)
        for other in done.live - {operation}:
            if conflict(done.step, seen[other].step):
                assert other in reached, "a hazard isn't waited for"
        for other in done.waits:
            assert conflict(done.step, seen[other].step), "it waits for what it needn't"


# Shapes

ARGUMENTS = [[1, 10, 0, SIZE], b"1234"]


def shaped_rig() -> SessionRig:
    """Launch 20 told shape 3: a kernel with one buffer and one value, on device 1."""
    r = SessionRig(place(1), place(2))
    r.say(CreateQueue(3, 1, 1, 0), CreateBuffer(10, 1, SIZE))
    r.build(5, kernel("k", (GLOBAL, "int*"), (PRIVATE, "int")))
    r.say(Launch(20, 3, [], 5, "k", [0], [64], [64], ARGUMENTS, b"", 3))
    return r


def test_a_repeated_launch_is_said_by_its_number() -> None:
    r = shaped_rig()
    r.say(Repeat(21, 3, [], []))  # it finds its bytes where the first had to bring them
    (first, second) = r.said(part.Run)
    assert first.shape and second.shape == first.shape
    assert second._replace(operation=1, waits=[], cause=0) == first._replace(
        operation=1, waits=[], cause=0
    )
    r.clear()
    r.say(Repeat(22, 3, [], []), Repeat(23, 3, [], [b"5678"]), Repeat(24, 3, [], []))
    assert not r.said(part.Run)
    again = r.said(part.Again)
    assert [m.shape for m in again] == [second.shape] * 3
    assert [m.values for m in again] == [[], [b"5678"], []]
    assert [m.cause for m in again] == [22, 23, 24]
    assert [m.waits for m in again[1:]] == [[m.operation] for m in again[:2]]


def test_a_number_means_the_launch_that_was_told_last() -> None:
    r = shaped_rig()
    r.say(Repeat(21, 3, [], []), Launch(22, 3, [], 5, "k", [0], [32], [32], ARGUMENTS, b"", 3))
    *_, other = r.said(part.Run)
    assert other.global_size == [32]
    r.clear()
    r.say(Repeat(23, 3, [], []), Repeat(24, 3, [], []))
    assert [m.shape for m in r.said(part.Again)] == [other.shape] * 2 and not r.said(part.Run)


def test_a_new_executor_is_told_anew() -> None:
    r = shaped_rig()
    r.say(Repeat(21, 3, [], []), Write(22, 3, [], 10, 0, SIZE, 90))
    r.lose(1, with_node=False)
    r.clear()
    r.say(Write(23, 3, [], 10, 0, SIZE, 91), Repeat(24, 3, [], []))
    (run,) = r.said(part.Run)
    assert run.shape and not r.said(part.Again)
