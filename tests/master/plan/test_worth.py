"""Parts run where they save more than they cost, by what launches taught."""

from __future__ import annotations

import pytest

from master.objects import KernelFacts
from master.plan.view import Policy
from master.plan.worth import (
    TOO_SMALL,
    Worth,
    item_ns_guess,
    merge_byte_ns,
    merge_ns,
    merge_worth,
    regions_ns,
    regions_worth,
)
from master.sessions import Session
from tests.master.rigs import GLOBAL, SessionRig, kernel, place
from vcl.wire.messages import part, session

SIZE = 1 << 16


def facts(item_ns: float | None) -> KernelFacts:
    return KernelFacts("k", [], 64, item_ns=item_ns)


def test_what_parts_save_and_cost() -> None:
    half = merge_worth((1024, 2), 0, 0, 2)
    assert half == Worth(1024, merge_ns)
    assert merge_worth((1000,), 10, 5, 4) == Worth(750, merge_ns + 10 * merge_byte_ns + 5)
    assert regions_worth((1000,), 10, 4) == Worth(750, regions_ns + 10)
    assert half.pays(2 * merge_ns / 1024) and not half.pays(merge_ns / 2048)
    assert half.pays(None) == (1024 * item_ns_guess > merge_ns)


def test_a_kernel_learns_from_its_launches() -> None:
    one = facts(None)
    one.learn(100, 1000)
    assert one.item_ns == 10
    one.learn(100, 3000)
    assert one.item_ns == 20
    one.learn(0, 5)
    one.learn(5, 0)
    assert one.item_ns == 20, "from nothing it learns nothing"


class Rig(SessionRig):
    """Launches are split only where it pays."""

    def launch(self, event: int, items: int, ns: int) -> tuple[str, str]:
        """Mode and reason of a launch, of which each part takes so long."""
        region = [1, 10, 0, SIZE]
        self.say(session.Launch(event, 2, [], 5, "k", [0], [items], [4], [region]))
        record = self.session.commands[event].record
        assert record is not None
        live = self.session.ledger.live
        while live:
            number, operation = next(iter(live.items()))
            end = 10 + (ns if operation.part is not None else 1)
            self.answer(operation.node, part.Done([[number, 0, 10, end, None, None]]))
        return record.mode, record.reason


def rig() -> Rig:
    made = Rig(place(1), place(2))
    made.session._view.policy = Policy(split_always=False)
    made.say(session.CreateBuffer(10, 1, SIZE))
    made.build(5, kernel("k", (GLOBAL, "int*")))
    return made


def test_small_launches_run_whole_until_they_are_known_to_be_long() -> None:
    r = rig()
    assert r.launch(20, 1024, ns=50_000) == ("whole", TOO_SMALL)
    assert r.launch(21, 1024, ns=50_000_000) == ("whole", TOO_SMALL)
    assert r.launch(22, 1024, ns=25_000_000)[0] == "merge", "the last one took 50 ms"
    assert r.launch(23, 64, ns=100_000) == ("whole", TOO_SMALL)


def test_large_launches_of_an_unknown_kernel_run_in_parts_at_first() -> None:
    r = rig()
    assert r.launch(20, 1 << 20, ns=100_000)[0] == "merge"
    assert r.launch(21, 1 << 20, ns=100_000) == ("whole", TOO_SMALL)


@pytest.mark.parametrize("items", [64, 1024, 1 << 20])
def test_what_may_have_changed_is_part_of_the_cost(items: int) -> None:
    r = rig()
    r.session.programs[5].kernels["k"].item_ns = (merge_ns + SIZE * merge_byte_ns / 2) * 2 / items
    assert r.launch(20, items, ns=10) == ("whole", TOO_SMALL)


def test_a_session_splits_always_if_it_is_told_to() -> None:
    assert Session(1, lambda _: [])._view.policy.split_always
