"""Each statement notices when it doesn't hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from master.plan import invariants
from master.plan.plan import CLIENT_END, Answer, Kind, Plan, Step, Transfer
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


@pytest.mark.parametrize("name", PLANS)
def test_a_violation_of_a_plan_is_noticed(name: str) -> None:
    with pytest.raises(AssertionError):
        invariants.check_plan(PLANS[name])


def test_right_plans_pass() -> None:
    invariants.check_plan(Plan((run(0, 0, 4), run(1, 4, 4), WHOLE), answer=MERGE))
    invariants.check_plan(Plan((SEND, RECEIVE), (Transfer(0, 1),)))
