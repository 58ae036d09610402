"""What a variable of a kernel may hold, and what is known at a point of its body.

Owns: `Number`, `Address`, `Lanes`, `State` and how two of them become one where ways through a
kernel meet. Must not know: expressions or statements.

Numbers wrap around: a Number equals its form modulo two to the power of its type's bits, and
`exact` tells what it is. Signed ones are taken to wrap, too: a program that lets them overflow has
no meaning in C, but has one on every device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from master.access import tree
from master.access.forms import (
    INFINITY,
    Form,
    Range,
    at_most,
    both,
    hull,
    minus,
    one,
    plus,
    range_of,
    times,
)
from master.access.symbols import Definition, Grouping, Kind, Symbols

PRIVATE, LOCAL, CONSTANT = -1, -2, -3
"""Places besides arguments, which have their numbers: a work-item's own memory, its work-group's,
and variables of program scope."""


class Number(NamedTuple):
    """An integer of a type."""

    form: Form
    type: tree.Scalar


class Address(NamedTuple):
    """So many bytes into one of these places."""

    places: frozenset[int]
    form: Form


class Lanes(NamedTuple):
    """A vector of integers."""

    lanes: tuple[Number, ...]


class Cells(NamedTuple):
    """A struct or an array in a variable: what is known of it, as (offset, value)."""

    cells: tuple[tuple[int, Value], ...] = ()


class Data(NamedTuple):
    """Of anything else nothing is known: it can't become an address unseen."""


DATA = Data()

Value = Number | Address | Lanes | Cells | Data


def type_range(type_: tree.Scalar) -> Range:
    """What an integer of this type can be."""
    if type_.signed:
        return -(1 << type_.bits - 1), (1 << type_.bits - 1) - 1
    return 0, (1 << type_.bits) - 1


@dataclass(slots=True)
class State:
    """What is known at a point: the variables' values, and ranges narrower than symbols' own."""

    values: dict[int, Value] = field(default_factory=dict)
    ranges: dict[int, Range] = field(default_factory=dict)

    def copy(self) -> State:
        """Another that can go its own way."""
        return State(dict(self.values), dict(self.ranges))


class Trust:
    """Numbers that are taken not to leave their types: variables, and these with a constant added.

    variables: by what they hold. leaned: (variable, constant) of what was taken so. refused: of
    what mustn't be.
    """

    def __init__(
        self,
        variables: Mapping[Number, int] = MappingProxyType({}),
        refused: Set[tuple[int, int]] = frozenset(),
    ) -> None:
        self.variables = variables
        self.refused = refused
        self.leaned: set[tuple[int, int]] = set()

    def covers(self, number: Number) -> bool:
        """Whether it is one of them."""
        for known, variable in self.variables.items():
            if known.type == number.type and known.form.terms == number.form.terms:
                added = (variable, number.form.constant - known.form.constant)
                if added not in self.refused:
                    self.leaned.add(added)
                    return True
        return False


class Knowledge:
    """What follows in a state; makes symbols as it goes."""

    def __init__(self, symbols: Symbols) -> None:
        self.symbols = symbols
        self.trust = Trust()
        """Of a loop that is tried; empty otherwise."""

    def ranges(self, state: State, symbol: int) -> Range:
        """What a symbol can be in a state."""
        found = state.ranges.get(symbol)
        return self.symbols.own(symbol) if found is None else found

    def range_of(self, state: State, form: Form) -> Range:
        """What a form can be in a state."""
        return range_of(form, lambda n: self.ranges(state, n))

    def exact(self, state: State, number: Number) -> Form:
        """What a number is, as an integer without bounds."""
        bounds = type_range(number.type)
        low, high = self.range_of(state, number.form)
        if (bounds[0] <= low and high <= bounds[1]) or self.trust.covers(number):
            return number.form
        if not number.form.terms:
            span = 1 << number.type.bits
            return Form((number.form.constant - bounds[0]) % span + bounds[0])
        return one(self.symbols.function(Kind.WRAPPED, (number.form,), within=bounds))

    def unknown(self, type_: tree.Type, place: int = PRIVATE) -> Value:
        """A value of a type of which nothing is known; a pointer isn't one, so it is DATA."""
        if isinstance(type_, tree.Scalar) and not type_.floating:
            return Number(one(self.symbols.new(type_range(type_))), type_)
        if isinstance(type_, tree.Vector) and not type_.element.floating:
            bounds = type_range(type_.element)
            return Lanes(
                tuple(
                    Number(one(self.symbols.new(bounds)), type_.element)
                    for _ in range(type_.count)
                )
            )
        return DATA

    def narrow(self, state: State, form: Form, bound: int) -> bool:
        """The form is at most `bound`: what follows for its symbols; whether it's possible."""
        form = self.symbols.folded(form)
        lesser = [form, *self.symbols.lesser(form)]
        return all(self._narrow(state, one_form, bound) for one_form in lesser)

    def _narrow(self, state: State, form: Form, bound: int) -> bool:
        narrowed = at_most(form, bound, lambda n: self.ranges(state, n))
        if narrowed is None:
            return False
        if (summed := self.symbols.summed(form)) is not None:
            symbol, factor = summed
            most = (bound - form.constant) // abs(factor)
            narrowed[symbol] = (-INFINITY, most) if factor > 0 else (-most, INFINITY)
        return all(self._set(state, n, range_) for n, range_ in narrowed.items())

    def _set(self, state: State, symbol: int, range_: Range) -> bool:
        before = self.ranges(state, symbol)
        now = both(before, range_)
        if now[0] > now[1]:
            return False
        if now == before:
            return True
        state.ranges[symbol] = now
        what = self.symbols.definitions[symbol]
        if what.kind is Kind.CHOICE:
            return self._chosen(state, what, now)
        if (grouping := self.symbols.groupings.get(symbol)) is not None:
            return self._regrouped(state, grouping)
        if what.kind is Kind.QUOTIENT:
            # The form itself is between these multiples.
            (form,), number = what.forms, what.number
            low, high = now
            return self.narrow(state, form, high * number + number - 1) and self.narrow(
                state, times(form, -1), -low * number
            )
        return True

    def _regrouped(self, state: State, grouping: Grouping) -> bool:
        """What follows for a dimension's ids from each other."""
        low, high = self.ranges(state, grouping.item)
        apart = grouping.apart
        return (
            self._narrow(state, apart, high)
            and self._narrow(state, times(apart, -1), -low)
            and self._set(state, grouping.item, self.range_of(state, apart))
        )

    def _chosen(self, state: State, what: Definition, range_: Range) -> bool:
        """What follows if one alternative alone is still possible."""
        left = []
        for form, case in zip(what.forms, what.cases, strict=True):
            low, high = both(self.range_of(state, form), range_)
            if low <= high:
                left.append((form, case))
        if len(left) != 1:
            return bool(left)
        ((form, case),) = left
        return (
            all(self._set(state, symbol, narrow) for symbol, narrow in case)
            and self.narrow(state, form, range_[1])
            and self.narrow(state, times(form, -1), -range_[0])
        )

    def differs(self, state: State, form: Form, value: int) -> bool:
        """The form isn't this value: what follows if it is at an end; whether it's possible."""
        form = self.symbols.folded(form)
        if not form.terms:
            return form.constant != value
        if len(form.terms) == 1:
            ((symbol, coefficient),) = form.terms
            whole, rest = divmod(value - form.constant, coefficient)
            low, high = self.ranges(state, symbol)
            if rest == 0 and low == whole:
                low += 1
            elif rest == 0 and high == whole:
                high -= 1
            return self._set(state, symbol, (low, high))
        return True

    def apart(self, state: State, form: Form) -> Form:
        """The same with an item by its group and its place there, if that says more of it."""
        for symbol, coefficient in form.terms:
            grouping = self.symbols.groupings.get(symbol)
            if grouping is None or symbol != grouping.item:
                continue
            narrow = self.ranges(state, grouping.local) != self.symbols.own(grouping.local)
            # Otherwise more is known of the item: that it isn't in all of its last group, say.
            if narrow and self.range_of(state, grouping.apart) == self.ranges(state, symbol):
                form = plus(form, times(minus(grouping.apart, one(symbol)), coefficient))
        return form

    def summed(self, state: State, form: Form) -> Form:
        """The same with the sums of which more is known than of their symbols."""
        for symbol in state.ranges:
            what = self.symbols.definitions[symbol]
            if what.kind is not Kind.SUM:
                continue
            (parts,) = what.forms
            number, coefficient = parts.terms[0]
            factor = form.coefficient(number) // coefficient
            if factor and all(form.coefficient(n) == factor * c for n, c in parts.terms):
                form = plus(form, times(minus(one(symbol), parts), factor))
        return form

    # ---- where ways meet

    def joined(self, states: Sequence[State | None]) -> State | None:
        """What holds whichever of these is; None if none can be."""
        possible = [s for s in states if s is not None]
        if len(possible) < 2:
            return possible[0] if possible else None
        first = possible[0]
        together = State()
        shared = set(first.ranges).intersection(*(s.ranges for s in possible[1:]))
        for symbol in shared:
            together.ranges[symbol] = hull([s.ranges[symbol] for s in possible])
        for variable, value in first.values.items():
            others = [s.values.get(variable) for s in possible[1:]]
            if all(other == value for other in others):
                together.values[variable] = value
            elif all(other is not None for other in others):
                met = [s.values[variable] for s in possible]
                together.values[variable] = self._met(possible, met, together)
        return together

    def _met(self, states: list[State], values: list[Value], together: State) -> Value:
        first = values[0]
        if isinstance(first, Number) and all(
            isinstance(v, Number) and v.type == first.type for v in values
        ):
            pairs = zip(states, values, strict=True)
            forms = [self.exact(s, v) for s, v in pairs if isinstance(v, Number)]
            return Number(self.choice(states, forms, together), first.type)
        if isinstance(first, Address) and all(isinstance(v, Address) for v in values):
            places = frozenset[int]().union(*(v.places for v in values if isinstance(v, Address)))
            forms = [v.form for v in values if isinstance(v, Address)]
            return Address(places, self.choice(states, forms, together))
        if isinstance(first, Lanes) and all(
            isinstance(v, Lanes) and len(v.lanes) == len(first.lanes) for v in values
        ):
            rows = zip(*(v.lanes for v in values if isinstance(v, Lanes)), strict=True)
            lanes = [self._met(states, list(row), together) for row in rows]
            if all(isinstance(lane, Number) for lane in lanes):
                return Lanes(tuple(lane for lane in lanes if isinstance(lane, Number)))
        if isinstance(first, Cells) and all(isinstance(v, Cells) for v in values):
            tables = [dict(v.cells) for v in values if isinstance(v, Cells)]
            shared = sorted(set(tables[0]).intersection(*tables[1:]))
            met = [(at, self._met(states, [t[at] for t in tables], together)) for at in shared]
            return Cells(tuple(met))
        return DATA

    def choice(self, states: Sequence[State], forms: Sequence[Form], together: State) -> Form:
        """The form of a value that is one of these in one of these states, which meet."""
        if all(form == forms[0] for form in forms):
            return forms[0]
        alternatives = []
        for state, form in zip(states, forms, strict=True):
            # What makes this way possible, as far as it isn't what makes all of them so.
            case = tuple(
                sorted((n, r) for n, r in state.ranges.items() if together.ranges.get(n) != r)
            )
            alternatives.append((form, case))
        met = hull([self.range_of(s, f) for s, f in zip(states, forms, strict=True)])
        return one(self.symbols.choice(alternatives, met))

