"""What all launches of a session come to."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from master import totals as subject
from master.totals import OTHERS, Totals
from tests.master.test_sessions import fill, launch, rig
from vcl.wire.messages import part, session


def record(
    name: str, mode: str = "regions", *times: tuple[int, int], moves: Any = ()
) -> Any:
    return SimpleNamespace(
        kernel=SimpleNamespace(name=name), mode=mode, reason=f"{name} {mode}", bytes_moved=10,
        times=dict(enumerate(times)), moves=list(moves),
    )  # fmt: skip


def test_launches_of_a_kernel_in_a_mode_are_added_up() -> None:
    totals = Totals()
    totals.add(record("f", "regions", (0, 100), (50, 120)), 120)
    totals.add(record("f", "regions", (0, 10), (0, 30)), 40)
    totals.add(record("f", "whole", (0, 7)), 7)
    assert totals.as_message() == [
        ["f", "regions", 2, 4, 20, 210, 150, 0, 160, "f regions"],
        ["f", "whole", 1, 1, 10, 7, 7, 0, 7, "f whole"],
    ]


def test_moving_is_when_bytes_moved_and_no_part_ran() -> None:
    totals = Totals()
    first = record("f", "merge", (100, 200), (150, 250), moves=[(40, 120), (260, 300), (280, 290)])
    totals.add(first, 150)
    (row,) = totals.as_message()
    assert row[5:9] == [200, 150, 60 + 40, 260], "from 40 to 300, of which 10 waiting"
    assert not first.moves


def test_a_launch_lasts_as_long_as_its_parts_at_least() -> None:
    """Clocks of two nodes may differ, and a node may say what it likes."""
    totals = Totals()
    totals.add(record("f", "regions", (0, 100), (1000, 1010)), 50)
    totals.add(record("g", "regions", (100, 0), (7, 5), moves=[(9, 3)]), 50)
    found = [row[5:9] for row in totals.as_message()]
    assert found == [[110, 110, 0, 1010], [0, 0, 0, 50]]


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60))))
def test_what_stretches_cover(stretches: list[tuple[int, int]]) -> None:
    covered = {at for start, end in stretches for at in range(start, end)}
    assert subject.covered_ns(stretches) == len(covered)


def test_rows_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "rows_max", 3)
    totals = Totals()
    for number in range(10):
        totals.add(record(f"f{number}"), 1)
    totals.add(record("f0"), 1)
    assert [(row[0], row[2]) for row in totals.as_message()] == [
        ("f0", 2), ("f1", 1), ("f2", 1), (OTHERS, 7),
    ]  # fmt: skip


def test_who_asks_is_told_of_what_has_ended() -> None:
    r = rig()
    r.say(launch(20), fill(21), session.AskTotals(90))
    (told,) = r.told(session.Totals)
    assert (told.request, told.rows) == (90, [])
    r.run()
    r.say(session.AskTotals(91))
    (row,) = r.told(session.Totals)[-1].rows
    assert row[2] == 1


def test_what_has_failed_does_not_count() -> None:
    r = rig()
    r.say(launch(20))
    for m in r.said(part.Run):
        r.done(m, -5, "full")
    r.run()
    r.say(session.AskTotals(90))
    assert r.told(session.Totals)[-1].rows == []
