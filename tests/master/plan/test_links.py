"""What transfers tell of links, and what follows from it."""

from __future__ import annotations

import pytest

from master.plan.links import (
    CLIENT,
    Links,
    besides_ns,
    byte_ns_guess,
    byte_ns_max,
    changed_ratio,
    told_bytes_min,
)
from master.plan.worth import TOO_SMALL
from tests.master.rigs import GLOBAL, SessionRig, kernel, place
from vcl.wire.messages import part, session

BIG = told_bytes_min


def test_the_first_transfer_of_a_link_tells_its_rate() -> None:
    links = Links()
    assert links.byte_ns(1, 2) == byte_ns_guess
    assert links.learn(1, 2, BIG, 10 * BIG)
    assert links.byte_ns(1, 2) == 10
    assert links.byte_ns(2, 1) == links.byte_ns(CLIENT, 2) == byte_ns_guess, "of one way only"


@pytest.mark.parametrize(("size", "ns"), [(BIG - 1, BIG), (BIG, 0), (BIG, -5)])
def test_what_tells_nothing_is_left_out(size: int, ns: int) -> None:
    links = Links()
    assert not links.learn(1, 2, size, ns)
    assert links.byte_ns(1, 2) == byte_ns_guess


def test_a_transfer_that_stood_still_counts_as_slow_and_no_more() -> None:
    links = Links()
    links.learn(1, 2, BIG, BIG * 10**9)
    assert links.byte_ns(1, 2) == byte_ns_max


def test_rates_that_differ_little_leave_plans_as_they_are() -> None:
    links = Links()
    assert links.learn(1, 2, BIG, 10 * BIG)
    assert not links.learn(1, 2, BIG, 11 * BIG)
    assert links.byte_ns(1, 2) == 10
    changes = sum(links.learn(1, 2, BIG, 20 * BIG) for _ in range(50))
    assert 0 < changes <= 3
    assert 20 / changed_ratio <= links.byte_ns(1, 2) <= 20


def test_what_is_known_of_a_node_is_forgotten_with_it() -> None:
    links = Links()
    for source, to in ((1, 2), (2, 1), (CLIENT, 1), (CLIENT, 2)):
        links.learn(source, to, BIG, 10 * BIG)
    links.forget(1)
    assert links._learned.keys() == links._counts.keys() == {(CLIENT, 2)}


def test_a_transfer_takes_its_bytes_and_something_besides() -> None:
    links = Links()
    links.learn(CLIENT, 1, BIG, 7 * BIG)
    assert links.transfer_ns(CLIENT, 1, 100) == 700 + besides_ns
    assert links.transfer_ns(1, CLIENT, 100) == 100 * byte_ns_guess + besides_ns


def test_a_session_learns_from_what_its_executors_receive() -> None:
    """What they cost decides whether a merge pays."""

    def reason(byte_ns: int) -> str:
        r = SessionRig(place(1), place(2))
        r.session._view.policy = r.session._view.policy._replace(split_always=False)
        r.say(session.CreateBuffer(10, 1, BIG), session.CreateBuffer(11, 1, 4))
        r.build(5, kernel("k", (GLOBAL, "const int*"), (GLOBAL, "int*")))
        for event in (20, 23):
            r.say(session.Write(event, 2, [], 10, 0, BIG, event))
            r.session.programs[5].kernels["k"].item_ns = 1e5  # of 1024: 51 ms saved
            r.say(session.Launch(event + 1, 2, [], 5, "k", [0], [1024], [64],
                                 [[1, 10, 0, BIG], [1, 11, 0, 4]]))  # fmt: skip
            record = r.session.commands[event + 1].record
            assert record is not None
            while live := r.session.ledger.live:
                number, operation = next(iter(live.items()))
                ns = byte_ns * BIG if operation.receives else 1
                r.answer(operation.node, part.Done([[number, 0, 10, 10 + ns, None, None]]))
        return record.reason

    assert reason(2).startswith("changed bytes")
    assert reason(20) == TOO_SMALL, "80 ms for what the other part needs"
