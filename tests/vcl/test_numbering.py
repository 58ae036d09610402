"""Numbering: whatever the link loses, each batch arrives exactly once, in order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.frames import control
from vcl.errors import RemoteProtocolError
from vcl.numbering import Numbering
from vcl.wire.frame import pack_value, unpack_control
from vcl.wire.limits import unacknowledged_batches_max


class End:
    """An end with what it said and heard, and the frames that are on their way to its peer."""

    def __init__(self) -> None:
        self.numbering = Numbering()
        self.said: list[list[list[int]]] = []
        self.heard: list[list[list[int]]] = []
        self.under_way: list[bytes] = []

    def say(self, empty: bool = False) -> None:
        batch = [] if empty else [[7, len(self.said)], [8]]
        packed = [pack_value(message) for message in batch]
        numbering = self.numbering
        self.under_way += numbering.pack(packed) if batch else [numbering.acknowledgement()]
        if batch:
            self.said.append(batch)

    def deliver_to(self, other: End) -> None:
        if self.under_way:
            messages = other.numbering.unpack(self.under_way.pop(0))
            if messages:
                other.heard.append(messages)


def reconnect(ends: list[End], survivors: tuple[int, int]) -> None:
    """The link loses a suffix of what is under way in each direction; then both resume."""
    for end, other, count in zip(ends, ends[::-1], survivors, strict=True):
        del end.under_way[count:]
        while end.under_way:
            end.deliver_to(other)
    received = [end.numbering.received for end in ends]
    for end, peer_received in zip(ends, received[::-1], strict=True):
        end.under_way = end.numbering.resume(peer_received)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["say", "acknowledge", "deliver"]), st.integers(0, 1)),
        st.tuples(st.just("lose"), st.tuples(st.integers(0, 4), st.integers(0, 4))),
    ),
    max_size=60,
)


@given(STEPS)
def test_each_batch_arrives_once_and_in_order(steps: list[tuple[str, object]]) -> None:
    ends = [End(), End()]
    for step, which in steps:
        if isinstance(which, tuple):
            reconnect(ends, which)
            continue
        assert isinstance(which, int)
        if step == "deliver":
            ends[which].deliver_to(ends[1 - which])
        else:
            ends[which].say(empty=step == "acknowledge")
        for end, other in zip(ends, ends[::-1], strict=True):
            assert other.heard == end.said[: len(other.heard)]
            assert end.numbering.acknowledged <= other.numbering.received
            unconfirmed = end.numbering.sent - end.numbering.acknowledged
            assert end.numbering.kept_count == unconfirmed
    reconnect(ends, (0, 0))
    for end, other in zip(ends, ends[::-1], strict=True):
        while end.under_way:
            end.deliver_to(other)
    for end, other in zip(ends, ends[::-1], strict=True):
        assert other.heard == end.said
        end.say(empty=True)
        end.deliver_to(other)
    assert [end.numbering.kept_count for end in ends] == [0, 0]


def said(end: Numbering, *messages: list[Any]) -> list[Any]:
    return [unpack_control(data) for data in end.pack([pack_value(m) for m in messages])]


def test_numbers_begin_at_one_and_an_empty_frame_has_none() -> None:
    end = Numbering()
    assert said(end, [1]) == [(1, 0, [[1]])]
    assert unpack_control(end.acknowledgement()) == (0, 0, [])
    assert said(end, [2], [3]) == [(2, 0, [[2], [3]])]
    assert end.pack([]) == []
    assert (end.sent, end.kept_count) == (2, 2)


def test_a_gap_is_the_peers_error() -> None:
    end = Numbering()
    end.unpack(control(1, 0, [[1]]))
    with pytest.raises(RemoteProtocolError, match="frame 3 came after frame 1"):
        end.unpack(control(3, 0, [[1]]))
    assert end.received == 1


def test_acknowledging_what_was_never_sent_is_the_peers_error() -> None:
    end = Numbering()
    said(end, [1])
    with pytest.raises(RemoteProtocolError, match="frame 2 was acknowledged, 1 were sent"):
        end.unpack(control(0, 2, []))
    with pytest.raises(RemoteProtocolError):
        end.resume(2)


def test_an_older_acknowledgement_changes_nothing() -> None:
    end = Numbering()
    for _ in range(3):
        said(end, [1])
    end.unpack(control(0, 2, []))
    end.unpack(control(0, 1, []))
    assert (end.acknowledged, end.kept_count) == (2, 1)


def test_an_acknowledgement_is_due_after_so_many_batches() -> None:
    end = Numbering()
    for number in range(1, unacknowledged_batches_max + 1):
        assert not end.wants_acknowledgement
        end.unpack(control(number, 0, [[1]]))
    assert end.wants_acknowledgement
    end.acknowledgement()
    assert not end.wants_acknowledgement
