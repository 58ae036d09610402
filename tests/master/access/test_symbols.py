"""What functions of forms can be, against all values of their operands."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from master.access.forms import Form, minus, one, plus, range_of, times
from master.access.symbols import Kind, Symbols, derived

RANGE = st.tuples(st.integers(-20, 20), st.integers(-20, 20)).map(sorted)


def lesser(a: int, b: int) -> int:
    return min(a, b)


@given(
    st.sampled_from([Kind.QUOTIENT, Kind.REMAINDER, Kind.SUM, Kind.EXCLUSIVE]),
    RANGE,
    st.integers(1, 9),
)
def test_functions_of_one_form(kind: Kind, ends: list[int], number: int) -> None:
    low, high = ends
    if kind is Kind.EXCLUSIVE and low < 0:
        return
    symbols = Symbols()
    operand = symbols.new((low, high))
    symbol = symbols.function(kind, (one(operand),), number)
    least, greatest = derived(symbols.definitions[symbol], symbols.own)
    function = {
        Kind.QUOTIENT: lambda x: x // number,
        Kind.REMAINDER: lambda x: x % number,
        Kind.SUM: lambda x: x,
        Kind.EXCLUSIVE: lambda x: x ^ number,
    }[kind]
    assert all(least <= function(x) <= greatest for x in range(low, high + 1))


@given(st.sampled_from([Kind.LEAST, Kind.GREATEST, Kind.PRODUCT]), RANGE, RANGE)
def test_functions_of_two_forms(kind: Kind, first: list[int], second: list[int]) -> None:
    symbols = Symbols()
    a, b = (symbols.new((low, high)) for low, high in (first, second))
    symbol = symbols.function(kind, (one(a), one(b)))
    function = {Kind.LEAST: min, Kind.GREATEST: max, Kind.PRODUCT: lambda x, y: x * y}[kind]
    seen = [
        function(x, y)
        for x in range(first[0], first[1] + 1)
        for y in range(second[0], second[1] + 1)
    ]
    assert symbols.own(symbol) == (min(seen), max(seen))


def test_the_same_function_of_the_same_form_is_the_same_symbol_but_not_a_choice() -> None:
    symbols = Symbols()
    x = symbols.new((0, 9))
    make = [symbols.function(Kind.QUOTIENT, (one(x),), 3) for _ in range(2)]
    assert make[0] == make[1]
    choices = [symbols.choice([(one(x), ()), (Form(1), ())], (0, 9)) for _ in range(2)]
    assert choices[0] != choices[1], "which it is, may differ"


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 200), st.integers(0, 40))
def test_quotients_and_remainders_put_together_are_the_form(
    first: int, second: int, x: int, constant: int
) -> None:
    symbols = Symbols()
    form = plus(times(one(symbols.new((0, 200))), 3), Form(constant))
    quotient, column = symbols.divided(form, first, symbols.own)
    plane, row = symbols.divided(quotient, second, symbols.own)
    again = plus(plus(times(plane, first * second), times(row, first)), column)
    assert symbols.folded(again) == form
    number = 3 * x + constant
    known = {}

    def value(part: Form) -> int:
        return part.constant + sum(c * of(n) for n, c in part.terms)

    def of(symbol: int) -> int:
        if symbol not in known:
            what = symbols.definitions[symbol]
            inner = value(what.forms[0]) if what.forms else x
            known[symbol] = {
                Kind.UNKNOWN: inner,
                Kind.QUOTIENT: inner // max(what.number, 1),
                Kind.REMAINDER: inner % max(what.number, 1),
            }[what.kind]
        return known[symbol]

    assert value(column) == number % first
    assert value(row) == number // first % second
    assert value(plane) == number // first // second


def test_a_form_less_its_remainder_is_a_multiple() -> None:
    symbols = Symbols()
    x = one(symbols.new((0, 200)))
    quotient, rest = symbols.divided(x, 4, symbols.own)
    assert symbols.folded(minus(x, rest)) == times(quotient, 4)


def test_a_choice_is_what_is_possible() -> None:
    symbols = Symbols()
    x = symbols.new((0, 9))
    choice = symbols.choice([(one(x), ((x, (0, 4)),)), (Form(20), ((x, (5, 9)),))], (0, 20))
    what = symbols.definitions[choice]
    assert derived(what, symbols.own) == (0, 20)
    assert derived(what, lambda n: (2, 3)) == (2, 3)
    assert derived(what, lambda n: (7, 8)) == (20, 20)
    assert derived(what, lambda n: (3, 8)) == (3, 20)
    assert range_of(one(choice), symbols.own) == (0, 20)


@given(st.lists(st.integers(-9, 9), min_size=3, max_size=3), st.integers(2, 5), st.integers(2, 4))
def test_an_item_stands_by_itself_or_by_its_group_and_its_place_there(
    coefficients: list[int], size: int, count: int
) -> None:
    """The same sum is always the same form, which never names what depends on each other."""
    symbols = Symbols()
    item = symbols.id(0, size * count)
    group, local = symbols.grouped(item, size)
    parts = (one(item), group, local)
    form = Form(0)
    for part, coefficient in zip(parts, coefficients, strict=True):
        form = plus(form, times(part, coefficient))
    folded = symbols.folded(form)
    named = {n for n, _ in folded.terms}
    assert item not in named or named == {item}
    for i in range(size * count):
        values = {item: i, group.terms[0][0]: i // size, local.terms[0][0]: i % size}
        summed, same = (sum(c * values[n] for n, c in f.terms) for f in (form, folded))
        assert summed == same
    other = plus(form, times(minus(one(item), plus(times(group, size), local)), 7))
    assert symbols.folded(other) == folded


def test_multiples_of_a_sum_are_of_one_symbol() -> None:
    symbols = Symbols()
    x, y = (symbols.new((0, 9)) for _ in range(2))
    total = plus(one(x), times(one(y), -3))
    found = symbols.summed(total)
    assert found == (y + 1, 1)
    assert symbols.summed(plus(times(total, -4), Form(5))) == (y + 1, -4)
    assert symbols.summed(times(one(x), 4)) is None
    assert symbols.own(y + 1) == (-27, 9)
