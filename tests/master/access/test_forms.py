"""Forms and their ranges against all values that their symbols can have."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from master.access.forms import ANYTHING, INFINITY, Form, at_most, minus, plus, range_of, times

SYMBOLS = 3
ENDS = st.integers(-4, 4)
RANGES = st.lists(st.tuples(ENDS, ENDS).map(sorted).map(tuple), min_size=SYMBOLS, max_size=SYMBOLS)


@st.composite
def forms(draw: st.DrawFn) -> Form:
    terms = [(n, draw(st.integers(-3, 3))) for n in range(SYMBOLS)]
    return Form(draw(st.integers(-5, 5)), tuple((n, c) for n, c in terms if c))


def value(form: Form, point: tuple[int, ...]) -> int:
    return form.constant + sum(c * point[n] for n, c in form.terms)


def points(ranges: list[tuple[int, int]]) -> list[tuple[int, ...]]:
    return list(product(*(range(low, high + 1) for low, high in ranges)))


@given(forms(), forms(), st.integers(-3, 3), st.tuples(ENDS, ENDS, ENDS))
def test_sums_and_multiples(a: Form, b: Form, factor: int, point: tuple[int, int, int]) -> None:
    assert value(plus(a, b), point) == value(a, point) + value(b, point)
    assert value(minus(a, b), point) == value(a, point) - value(b, point)
    assert value(times(a, factor), point) == value(a, point) * factor
    assert minus(a, a) == Form(0), "equal forms are equal tuples"
    assert plus(a, b) == plus(b, a)


@given(forms(), RANGES)
def test_a_range_is_what_the_form_can_be(form: Form, ranges: list[tuple[int, int]]) -> None:
    values = [value(form, point) for point in points(ranges)]
    assert range_of(form, ranges.__getitem__) == (min(values), max(values))


@given(forms(), st.integers(-20, 20), RANGES)
def test_a_bound_leaves_all_that_fits(
    form: Form, bound: int, ranges: list[tuple[int, int]]
) -> None:
    narrowed = at_most(form, bound, ranges.__getitem__)
    fitting = [point for point in points(ranges) if value(form, point) <= bound]
    if narrowed is None:
        assert not fitting
        return
    for point in fitting:
        assert all(low <= point[n] <= high for n, (low, high) in narrowed.items())
    if len(form.terms) == 1 and fitting:
        ((symbol, _),) = form.terms
        seen = [point[symbol] for point in fitting]
        assert narrowed[symbol] == (min(seen), max(seen)), "of one symbol it is exact"


def test_what_has_no_bound_bounds_nothing_else() -> None:
    ranges = {0: ANYTHING, 1: (0, 9)}.__getitem__
    form = Form(0, ((0, 1), (1, 1)))
    assert at_most(form, 5, ranges) == {0: (-INFINITY, 5), 1: (0, 9)}
    assert range_of(form, ranges) == ANYTHING


def test_of_two_that_have_no_bound_the_difference_has_none() -> None:
    form = Form(0, ((0, 1), (1, -1)))
    assert range_of(form, lambda _: (INFINITY, INFINITY)) == ANYTHING
    assert range_of(form, lambda symbol: (5, INFINITY) if symbol else (7, 8)) == (-INFINITY, 3)
