"""RegionMap against a plain list of one value per byte."""

from __future__ import annotations

from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcl.region import RegionMap

SIZE = 24


@st.composite
def regions(draw: st.DrawFn) -> tuple[int, int]:
    start = draw(st.integers(0, SIZE))
    return start, draw(st.integers(start, SIZE))


KINDS = st.sampled_from(["assign", "swap", "update", "piece"])
STEPS = st.lists(st.tuples(KINDS, regions(), st.integers(0, 3)))


def joined(values: list[int]) -> list[tuple[int, int, int]]:
    """Runs of equal values as (start, end, value)."""
    runs, start = [], 0
    for value, run in groupby(values):
        end = start + len(list(run))
        runs.append((start, end, value))
        start = end
    return runs


@given(STEPS, regions())
def test_against_a_list(
    steps: list[tuple[str, tuple[int, int], int]], look: tuple[int, int]
) -> None:
    under_test: RegionMap[int] = RegionMap(SIZE, 0)
    model = [0] * SIZE
    for step, (start, end), value in steps:
        if step == "assign":
            under_test.assign(start, end, value)
            model[start:end] = [value] * (end - start)
        elif step == "swap":
            before = [v for _, _, v in under_test.segments(start, end)]
            assert list(under_test.swap(start, end, value)) == before
            model[start:end] = [value] * (end - start)
        elif step == "piece":
            # One that there is, and what isn't one.
            runs = joined(model)
            assert under_test.piece(start, end) == next(
                (v for a, b, v in runs if (a, b) == (start, end)), None
            )
            start, end, before_it = runs[min(start, len(runs) - 1)]
            assert under_test.piece(start, end) == before_it
            beside = {model[i] for i in (start - 1, end) if 0 <= i < SIZE}
            assert under_test.swap_piece(start, value) == (value not in beside)
            if value not in beside:
                model[start:end] = [value] * (end - start)
        else:
            under_test.update(start, end, lambda old, value=value: (old * 2 + value) % 4)
            model[start:end] = [(old * 2 + value) % 4 for old in model[start:end]]
        runs = joined(model)
        assert list(under_test.segments(0, SIZE)) == runs
        assert len(under_test) == len(runs)
    start, end = look
    clipped = [(start + a, start + b, v) for a, b, v in joined(model[start:end])]
    assert list(under_test.segments(start, end)) == clipped


def test_update_asks_once_a_segment() -> None:
    under_test = RegionMap(10, 0)
    under_test.assign(2, 5, 1)
    seen = []
    under_test.update(1, 9, lambda old: seen.append(old) or old)  # type: ignore[func-returns-value]
    assert seen == [0, 1, 0]
    assert list(under_test.segments(0, 10)) == [(0, 2, 0), (2, 5, 1), (5, 10, 0)]


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (0, 11), (5, 4)])
def test_what_is_outside_is_a_programmers_error(start: int, end: int) -> None:
    under_test = RegionMap(10, 0)
    with pytest.raises(AssertionError):
        under_test.assign(start, end, 1)
    with pytest.raises(AssertionError):
        list(under_test.segments(start, end))
