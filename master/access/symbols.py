"""The integers of a kernel that aren't known when it is analysed.

Owns: what each symbol stands for, and what follows for its range from those of others. Must not
know: programs, or how values are found.

A symbol is an id of a work-item, how often a loop has gone round, what a function that isn't a sum
makes of forms, or nothing that is known. The same function of the same forms is the same symbol.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum, auto
from math import gcd
from typing import NamedTuple

from master.access.forms import (
    ANYTHING,
    INFINITY,
    Form,
    Range,
    Ranges,
    both,
    hull,
    minus,
    one,
    plus,
    range_of,
    times,
    within,
)


class Kind(Enum):
    """What a symbol stands for."""

    ITEM = auto()
    """A work-item's global id less the global offset; number: the dimension."""
    UNKNOWN = auto()
    """Anything in its range: what a loop counts, what memory holds."""
    QUOTIENT = auto()
    """The greatest integer whose product with `number` isn't greater than the form."""
    REMAINDER = auto()
    """The form less `number` times that quotient."""
    SUM = auto()
    """The form itself, of which more may be known than of its symbols each."""
    EXCLUSIVE = auto()
    """The form with the bits of `number` turned over; both aren't negative."""
    LEAST = auto()
    GREATEST = auto()
    PRODUCT = auto()
    WRAPPED = auto()
    """The form, if all that it can be is in the symbol's own range, else anything there."""
    CHOICE = auto()
    """One of the forms, each with the ranges in which it can be meant."""


class Definition(NamedTuple):
    """range: of the symbol, whatever else is known. cases: of a CHOICE, with each form."""

    kind: Kind
    range: Range
    forms: tuple[Form, ...] = ()
    number: int = 0
    cases: tuple[tuple[tuple[int, Range], ...], ...] = ()


def derived(what: Definition, ranges: Ranges) -> Range:
    """What a symbol can be, by what those can be of which it is made."""
    if what.kind in (Kind.ITEM, Kind.UNKNOWN):
        return what.range
    if what.kind is Kind.CHOICE:
        possible = [
            range_of(form, lambda n, case=case: _both_of(n, case, ranges))  # type: ignore[misc]
            for form, case in zip(what.forms, what.cases, strict=True)
            if _possible(case, ranges)
        ]
        return both(hull(possible), what.range) if possible else (1, 0)
    operands = [range_of(form, ranges) for form in what.forms]
    return both(_DERIVED[what.kind](operands, what.number, what.range), what.range)


def _possible(case: tuple[tuple[int, Range], ...], ranges: Ranges) -> bool:
    for symbol, narrow in case:
        low, high = both(ranges(symbol), narrow)
        if low > high:
            return False
    return True


def _both_of(symbol: int, case: tuple[tuple[int, Range], ...], ranges: Ranges) -> Range:
    own = ranges(symbol)
    return next((both(own, narrow) for n, narrow in case if n == symbol), own)


def _quotient(operands: Sequence[Range], number: int, own: Range) -> Range:
    ((low, high),) = operands
    return low // number, high // number


def _remainder(operands: Sequence[Range], number: int, own: Range) -> Range:
    ((low, high),) = operands
    if low > -INFINITY and high < INFINITY and low // number == high // number:
        return low % number, high % number
    return 0, number - 1


def _sum(operands: Sequence[Range], number: int, own: Range) -> Range:
    (operand,) = operands
    return operand


def _exclusive(operands: Sequence[Range], number: int, own: Range) -> Range:
    ((low, high),) = operands
    bits = number.bit_length()
    if low < 0:
        return own
    # Bits above those of the number stay as they are.
    return (low >> bits) << bits, (high >> bits << bits) | ((1 << bits) - 1)


def _least(operands: Sequence[Range], number: int, own: Range) -> Range:
    return min(low for low, _ in operands), min(high for _, high in operands)


def _greatest(operands: Sequence[Range], number: int, own: Range) -> Range:
    return max(low for low, _ in operands), max(high for _, high in operands)


def _product(operands: Sequence[Range], number: int, own: Range) -> Range:
    (a, b), (c, d) = operands
    corners = (a * c, a * d, b * c, b * d)
    found = min(corners), max(corners)
    return found if within(found, ANYTHING) else ANYTHING


def _wrapped(operands: Sequence[Range], number: int, own: Range) -> Range:
    (operand,) = operands
    return operand if within(operand, own) else own


_DERIVED: dict[Kind, Callable[[Sequence[Range], int, Range], Range]] = {
    Kind.QUOTIENT: _quotient,
    Kind.REMAINDER: _remainder,
    Kind.SUM: _sum,
    Kind.EXCLUSIVE: _exclusive,
    Kind.LEAST: _least,
    Kind.GREATEST: _greatest,
    Kind.PRODUCT: _product,
    Kind.WRAPPED: _wrapped,
}


class Grouping(NamedTuple):
    """Of a dimension: item = size * group + local, whatever the three symbols are.

    group and local don't depend on each other, as parts are of whole work-groups.
    """

    item: int
    group: int
    local: int
    size: int

    @property
    def apart(self) -> Form:
        """The item by its group and its place there."""
        return Form(0, ((self.group, self.size), (self.local, 1)))


class Symbols:
    """All symbols of one analysis; those of which one is made have lower numbers."""

    def __init__(self) -> None:
        self.definitions: list[Definition] = []
        """By number."""
        self._known: dict[Definition, int] = {}
        self._quotients: dict[int, int] = {}  # of remainders, the quotients that go with them
        self.groupings: dict[int, Grouping] = {}
        """By each of their three symbols."""

    def own(self, symbol: int) -> Range:
        """What a symbol can be, if nothing else is known."""
        return self.definitions[symbol].range

    def new(self, range_: Range = ANYTHING) -> int:
        """A symbol of which nothing but its range is known."""
        self.definitions.append(Definition(Kind.UNKNOWN, range_))
        return len(self.definitions) - 1

    def id(self, dimension: int, count: int) -> int:
        """A work-item's id in a dimension of so many."""
        return self._defined(Definition(Kind.ITEM, (0, count - 1), number=dimension))

    def grouped(self, item: int, size: int) -> tuple[Form, Form]:
        """The work-group's id and the one in it of an id; size: of the groups."""
        group, local = self.divided(one(item), size, self.own)
        if group.terms and local.terms:
            grouping = Grouping(item, group.terms[0][0], local.terms[0][0], size)
            for symbol in grouping[:3]:
                self.groupings[symbol] = grouping
        return group, local

    def function(
        self, kind: Kind, forms: tuple[Form, ...], number: int = 0, within: Range = ANYTHING
    ) -> int:
        """What a function makes of forms; within: a range that it is in by its nature."""
        raw = Definition(kind, within, forms, number)
        return self._defined(raw._replace(range=derived(raw, self.own)))

    def choice(
        self, alternatives: Sequence[tuple[Form, tuple[tuple[int, Range], ...]]], range_: Range
    ) -> int:
        """One of these forms. range_: in which it is."""
        forms = tuple(form for form, _ in alternatives)
        cases = tuple(case for _, case in alternatives)
        # Never one that was there: which it is, may be another matter each time.
        self.definitions.append(Definition(Kind.CHOICE, range_, forms, cases=cases))
        return len(self.definitions) - 1

    def _defined(self, definition: Definition) -> int:
        found = self._known.get(definition)
        if found is None:
            self.definitions.append(definition)
            found = self._known[definition] = len(self.definitions) - 1
        return found

    def divided(self, form: Form, divisor: int, ranges: Ranges) -> tuple[Form, Form]:
        """Quotient (rounded down) and remainder of a form; the quotient of a quotient is one.

        ranges: of symbols, where the result is used.
        """
        whole = Form(
            form.constant // divisor,
            tuple((n, c // divisor) for n, c in form.terms if c % divisor == 0),
        )
        rest = Form(
            form.constant % divisor, tuple((n, c) for n, c in form.terms if c % divisor)
        )
        if within(range_of(rest, ranges), (0, divisor - 1)):
            return whole, rest
        base, by = rest, divisor
        if rest.constant == 0 and len(rest.terms) == 1 and rest.terms[0][1] == 1:
            what = self.definitions[rest.terms[0][0]]
            if what.kind is Kind.QUOTIENT:
                base, by = what.forms[0], divisor * what.number
        quotient = self.function(Kind.QUOTIENT, (base,), by)
        remainder = self.function(Kind.REMAINDER, (rest,), divisor)
        self._quotients[remainder] = quotient
        return plus(whole, one(quotient)), one(remainder)

    def lesser(self, form: Form) -> list[Form]:
        """Forms that aren't greater: with what a LEAST is of in place of what is taken off for it,
        as it may cancel out, and with what a GREATEST is of in place of that."""
        found = []
        for symbol, coefficient in form.terms:
            what = self.definitions[symbol]
            if what.kind is (Kind.LEAST if coefficient < 0 else Kind.GREATEST):
                for other in what.forms:
                    change = times(minus(other, one(symbol)), coefficient)
                    found.append(self.folded(plus(form, change)))
        return found

    def summed(self, form: Form) -> tuple[int, int] | None:
        """(symbol, factor): the SUM of which a form is a multiple but for its constant; None of
        less than two terms."""
        if len(form.terms) < 2:
            return None
        factor = gcd(*(c for _, c in form.terms))
        if form.terms[0][1] < 0:
            factor = -factor
        terms = tuple((n, c // factor) for n, c in form.terms)
        return self.function(Kind.SUM, (Form(0, terms),)), factor

    def folded(self, form: Form) -> Form:
        """The same, with quotients and remainders that belong together put together, and what is
        left without a remainder made a multiple of the quotient. Of a dimension's ids there are
        either the item's, or the group's and the local one, which have no part in each other."""
        changed = len(form.terms) > 1
        while changed:
            changed = False
            for symbol, coefficient in form.terms:
                what = self.definitions[symbol]
                if what.kind is Kind.REMAINDER:
                    quotient = self._quotients[symbol]
                    parts = plus(times(one(quotient), what.number), one(symbol))
                    nothing = minus(what.forms[0], parts)
                    other = plus(form, times(nothing, coefficient))
                    together = form.coefficient(quotient) == coefficient * what.number
                    if together or len(other.terms) < len(form.terms):
                        form = other
                        changed = True
                        break
        return self._regrouped(form) if self.groupings and len(form.terms) > 1 else form

    def _regrouped(self, form: Form) -> Form:
        for symbol, _ in form.terms:
            grouping = self.groupings.get(symbol)
            if grouping is None or symbol == grouping.item:
                continue
            item = form.coefficient(grouping.item)
            if item:
                form = plus(form, times(minus(grouping.apart, one(grouping.item)), item))
            local = form.coefficient(grouping.local)
            if local and form.coefficient(grouping.group) == local * grouping.size:
                form = plus(form, times(minus(one(grouping.item), grouping.apart), local))
        return form
