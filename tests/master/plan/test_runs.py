"""Whether parts meet, by runs of bytes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from master.plan.runs import common, reads_meet, without


@pytest.mark.parametrize(
    ("rows", "meet"),
    [
        ([([(0, 4)], [(0, 8)]), ([(8, 9)], [(6, 12)])], False),
        ([([(7, 8)], [(0, 8)]), ([], [(6, 12)])], True),
        ([([(0, 30)], []), ([], [])], False),
        ([([(9, 11)], [(0, 8), (10, 12)]), ([], [(12, 14)])], False),
        ([([], [(0, 8)]), ([], [(0, 8)]), ([(8, 9), (20, 21)], [(20, 30)])], False),
        ([([], [(0, 8)]), ([], [(0, 8)]), ([(0, 1)], [])], True),
    ],
)
def test_whether_a_part_reads_what_another_writes(rows: list[Any], meet: bool) -> None:
    assert reads_meet(rows) == meet


def runs_of(flags: list[bool]) -> list[tuple[int, int]]:
    """What is set, as runs that may touch each other."""
    found: list[tuple[int, int]] = []
    for at, flag in enumerate(flags):
        if flag and found and found[-1][1] == at and at % 3:
            found[-1] = found[-1][0], at + 1
        elif flag:
            found.append((at, at + 1))
    return found


def bytes_of(runs: list[tuple[int, int]]) -> set[int]:
    return {at for start, end in runs for at in range(start, end)}


@given(st.lists(st.booleans(), max_size=30), st.lists(st.booleans(), max_size=30))
def test_what_is_common_and_what_is_left(one: list[bool], other: list[bool]) -> None:
    runs, others = runs_of(one), runs_of(other)
    both = common(runs, others)
    assert bytes_of(both) == bytes_of(runs) & bytes_of(others)
    assert both == sorted(both) and sum(b - a for a, b in both) == len(bytes_of(both))
    assert bytes_of(without(runs, others)) == bytes_of(runs) - bytes_of(others)
