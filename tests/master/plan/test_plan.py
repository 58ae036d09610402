"""Plans while they are put together: what will be where, and in which order."""

from __future__ import annotations

import pytest

from master.places import PlanPaused
from master.plan.plan import (
    CLIENT_END,
    Answer,
    Delivery,
    Draft,
    Kind,
    Makes,
    Plan,
    Region,
    Transfer,
)
from master.plan.residency import Buffer, Contents
from tests.master.rigs import place

SIZE = 64


def buffer() -> Buffer:
    """Its first half on device 1, its second never written."""
    made = Buffer(10, 1, SIZE)
    made.supersede(0, 32, Contents(5, frozenset({1})))
    return made


def test_what_is_carried_will_be_there() -> None:
    draft, one = Draft(9), buffer()
    draft.carry(one, 8, 16, place(1), place(2), shared=False)
    draft.zero(one, 48, 64, place(2), shared=True)
    pieces = [(start, end, sorted(holders)) for start, end, _, holders in draft.pieces(one, 4, 64)]
    assert pieces == [
        (4, 8, [1]), (8, 16, [1, 2]), (16, 32, [1]), (32, 48, []), (48, 64, [2]),
    ]  # fmt: skip
    assert [len(list(one.contents.segments(0, SIZE)))] == [2], "the buffer is as it was"


def test_a_transfer_is_a_step_at_both_ends() -> None:
    draft, one = Draft(9), buffer()
    draft.carry(one, 0, 8, place(1), place(2), shared=False)
    draft.carry(one, 8, 16, None, place(2), shared=False)
    draft.deliver(one, 0, 4, place(1))
    draft.deliver(one, 40, 44, None)
    plan = draft.plan(answer=Answer("whole", "why"))
    assert [step.kind for step in plan.steps] == [
        Kind.SEND, Kind.RECEIVE, Kind.RECEIVE, Kind.SEND,
    ]  # fmt: skip
    assert plan.transfers == (Transfer(0, 1), Transfer(CLIENT_END, 2), Transfer(3, CLIENT_END))
    assert plan.deliveries == (Delivery(0, 4, 2), Delivery(40, 44, None))
    assert plan.steps[1].writes == (Region(10, 0, 8),) and plan.steps[1].makes is Makes.COPY
    assert plan.steps[0].reads == (Region(10, 0, 8),) and plan.steps[0].sends == 0
    assert plan.complete and plan.answer == Answer("whole", "why")


def test_only_so_much_fits_into_one_plan() -> None:
    draft, one = Draft(2), buffer()
    draft.carry(one, 0, 8, place(1), place(2), shared=False)
    draft.zero(one, 40, 48, place(2), shared=False)
    with pytest.raises(PlanPaused):
        draft.carry(one, 8, 16, place(1), place(2), shared=False)
    assert len(draft.plan(complete=False).steps) == 3


def test_equal_plans_are_equal_values() -> None:
    def made() -> Plan:
        draft = Draft(9)
        draft.carry(buffer(), 0, 8, place(1), place(2), shared=False)
        return draft.plan()

    assert made() == made() and hash(made()) == hash(made())
