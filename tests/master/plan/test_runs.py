"""Whether parts meet, by runs of bytes."""

from __future__ import annotations

from typing import Any

import pytest

from master.plan.runs import reads_meet


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
