"""What is found in one turn is kept for the next, as long as it's the same that is looked at."""

from __future__ import annotations

import pytest

from master.places import PlanPaused
from master.plan import looked
from master.plan.looked import Looked
from vcl.ndrange import NDRange

RANGE = NDRange((0,), (1024,), (64,))


@pytest.fixture(autouse=True)
def short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looked, "looked_at_in_turn_max", 10)


def test_a_turn_ends_when_enough_was_looked_at() -> None:
    found = Looked()
    found.begin("launch", "places")
    found.spend(6)
    with pytest.raises(PlanPaused):
        found.spend(5)
    found.begin("launch", "places")
    found.spend(5)
    with pytest.raises(PlanPaused):
        found.spend(6)


def test_what_costs_more_than_a_turn_is_done_in_one() -> None:
    found = Looked()
    found.begin("launch", "places")
    found.spend(1000)
    with pytest.raises(PlanPaused):
        found.spend(1)


def test_without_turns_nothing_ends() -> None:
    found = Looked(in_turns=False)
    found.begin("launch", "places")
    for _ in range(100):
        found.spend(1000)


def test_what_parts_touch_is_kept_while_places_come_and_go() -> None:
    found = Looked()
    assert not found.begin("launch", "places")
    found.found((2,), "a cut")
    found.rejected.add((4,))
    assert found.begin("launch", "places")
    assert found.cuts == {(2,): "a cut"} and found.rejected == {(4,)}
    assert not found.begin("launch", "others")
    assert found.cuts == {(2,): "a cut"} and not found.rejected
    found.begin("another", "others")
    assert not found.cuts


def test_parts_are_made_once() -> None:
    found = Looked()
    found.begin("launch", "places")
    pieces = found.pieces(RANGE, (2,))
    assert [p.global_size for p in pieces] == [(512,), (512,)]
    found.parts.append("the first")
    assert found.pieces(RANGE, (2,)) is pieces and found.parts == ["the first"]
    found.begin("launch", "places")
    assert len(found.pieces(RANGE, (4,))) == 4 and found.parts == []
