"""Each statement notices when it doesn't hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from master.plan import invariants
from master.plan.plan import CLIENT_END, Answer, Kind, Plan, Region, Step, Transfer
from master.plan.residency import SETTLED, Contents
from tests.master.rigs import SessionRig, place
from vcl.ndrange import NDRange
from vcl.wire.messages.session import Copy, CreateBuffer, CreateQueue, Fill, Write

SIZE = 64


def rig() -> SessionRig:
    """Something under way on both devices, between them, and with the client."""
    r = SessionRig(place(1), place(2))
    r.say(CreateQueue(3, 1, 1, 0), CreateQueue(4, 1, 2, 0))
    r.say(CreateBuffer(10, 1, SIZE), CreateBuffer(11, 1, SIZE))
    r.say(Fill(20, 3, [], 10, 0, 32, b"x"), Write(21, 3, [], 10, 32, 16, 100))
    r.say(Copy(22, 4, [], 10, 11, 0, 0, 64))
    return r


def check(r: SessionRig) -> None:
    invariants.check(r.session.ledger, r.session.buffers)


def change(start: int, contents: Contents) -> Callable[[SessionRig], object]:
    return lambda r: r.session.buffers[10].contents.assign(start, start + 8, contents)


def first(r: SessionRig, attribute: str) -> Any:
    return next(o for o in r.session.ledger.live.values() if getattr(o, attribute))


VIOLATIONS: dict[str, Callable[[SessionRig], object]] = {
    "a holder without memory": change(0, Contents(9, frozenset({7}))),
    "bytes that are nowhere": change(0, Contents(9)),
    "bytes that are lost and held": change(0, Contents(9, frozenset({1}), lost="why")),
    "settled bytes at the client": change(0, Contents(SETTLED, frozenset({1}), (100, 0))),
    "bytes that aren't counted": change(32, Contents(0)),
    "a wrong count": lambda r: r.session.buffers[10].held.update({1: 1}),
    "a device without a node": lambda r: r.session.buffers[10].nodes.popitem(),
    "a version that isn't counted": lambda r: r.session.buffers[10].giving(1234),
    "an operation under another's id": lambda r: setattr(first(r, "id"), "id", 999),
    "a command that doesn't know": lambda r: first(r, "command").command.operations.clear(),
    "a transfer that is gone": lambda r: r.session.ledger.transfers.clear(),
    "a receiver that is gone": lambda r: r.session.ledger.live.pop(first(r, "receives").id),
    "a receiver that doesn't know": lambda r: setattr(first(r, "receives"), "receives", ()),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_violation_of_the_state_is_noticed(name: str) -> None:
    r = rig()
    check(r)
    VIOLATIONS[name](r)
    with pytest.raises((AssertionError, KeyError)):
        check(r)


def run(part: int, offset: int, size: int) -> Step:
    return Step(Kind.RUN, place(1), part=part, piece=NDRange((offset,), (size,), None))


WHOLE = Step(Kind.MERGE, place(1), piece=NDRange((0,), (8,), None))
MERGE = Answer("merge", "why")
SEND, RECEIVE = Step(Kind.SEND, place(1), sends=0), Step(Kind.RECEIVE, place(2), receives=(0,))
PLANS = {
    "parts that meet": Plan((run(0, 0, 5), run(1, 4, 3), WHOLE), answer=MERGE),
    "parts that leave something": Plan((run(0, 0, 4), run(1, 5, 3), WHOLE), answer=MERGE),
    "parts out of order": Plan((run(1, 0, 4), run(0, 4, 4), WHOLE), answer=MERGE),
    "received before it's sent": Plan((RECEIVE, SEND), (Transfer(1, 0),)),
    "sent by nobody": Plan((RECEIVE,), (Transfer(0, 0),)),
    "received by nobody": Plan((SEND,), (Transfer(0, 0),)),
    "another's transfer": Plan((SEND, RECEIVE), (Transfer(CLIENT_END, 1),)),
}


def merged(**change: Any) -> Plan:
    """A right plan of a merge on two places, of two regions, but for one change."""
    first, second = Region(10, 0, 8), Region(10, 16, 24)
    made: dict[str, Any] = {
        "home": (first, second), "kept": (second,), "written": (second,), "sent": (second,),
        "own": (first,), "pieces": ((1, 0, 8),), "writes": (first, second),
        "rows": ((10, 0, 8, 4, 0), (10, 16, 8, 4, 0)), "again": (Region(11, 0, 8),), **change,
    }  # fmt: skip
    here, there = place(1), place(2)
    pieces = [NDRange((offset,), (4,), None) for offset in (0, 4)]
    steps = (
        Step(Kind.SNAPSHOT, here, made["home"]),
        Step(Kind.RUN, here, (), made["own"], part=0, piece=pieces[0]),
        Step(Kind.SNAPSHOT, there, made["kept"]),
        Step(Kind.RUN, there, (Region(11, 4, 8),), made["written"], part=1, piece=pieces[1]),
        Step(Kind.SEND_CHANGES, there, made["sent"], sends=0),
        Step(
            Kind.MERGE, here, made["again"], made["writes"], receives=(0,),
            piece=NDRange((0,), (8,), None),
        ),
    )
    transfers = (Transfer(4, 5, made["pieces"]),)
    return Plan(steps, transfers, answer=MERGE, regions=made["rows"])


MERGES: dict[str, dict[str, Any]] = {
    "the home keeps too little": {"home": (Region(10, 0, 8),)},
    "a part keeps too little": {"kept": (Region(10, 16, 20),)},
    "a part sends too little": {"sent": (Region(10, 16, 20),), "pieces": ((1, 0, 4),)},
    "a part writes past what it sends": {"written": (Region(10, 12, 24),)},
    "the home's part writes elsewhere": {"own": (Region(10, 0, 12),)},
    "another region": {"pieces": ((0, 0, 8),)},
    "past a region": {"pieces": ((1, 0, 12),)},
    "half an element": {"sent": (Region(10, 18, 24),), "pieces": ((1, 2, 6),)},
    "a rerun that may be overtaken": {"again": (Region(11, 0, 6),)},
    "the merge writes something else": {"writes": (Region(10, 0, 24),)},
    "regions that meet": {
        "rows": ((10, 0, 20, 4, 0), (10, 16, 8, 4, 0)),
        "writes": (Region(10, 0, 20), Region(10, 16, 24)),
        "home": (Region(10, 0, 20), Region(10, 16, 24)),
    },
}


@pytest.mark.parametrize("name", MERGES)
def test_a_violation_of_a_merge_is_noticed(name: str) -> None:
    with pytest.raises(AssertionError):
        invariants.check_plan(merged(**MERGES[name]))


@pytest.mark.parametrize("name", PLANS)
def test_a_violation_of_a_plan_is_noticed(name: str) -> None:
    with pytest.raises(AssertionError):
        invariants.check_plan(PLANS[name])


def test_right_plans_pass() -> None:
    invariants.check_plan(Plan((run(0, 0, 4), run(1, 4, 4), WHOLE), answer=MERGE))
    invariants.check_plan(Plan((SEND, RECEIVE), (Transfer(0, 1),)))
    invariants.check_plan(merged())
