"""Sums of integer multiples of symbols: what an index is made of.

Owns: `Form` and ranges of integers. Must not know: what a symbol stands for (`symbols`).

A form is `constant + coefficient * symbol + ...`, in integers without bounds; what a machine makes
of it by wrapping around is for others to say (`values`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

INFINITY = 1 << 80
"""Past everything that an address or a number of 64 bits can be; so is minus it. A range that ends
there, or beyond, has no end: what lies past it isn't told apart."""

Range = tuple[int, int]
"""The least and the greatest that an integer can be; nothing can be in one that is crossed."""

ANYTHING: Range = (-INFINITY, INFINITY)

Ranges = Callable[[int], Range]
"""What a symbol can be."""


class Form(NamedTuple):
    """terms: (symbol, coefficient) in the order of symbols, no coefficient 0."""

    constant: int
    terms: tuple[tuple[int, int], ...] = ()

    def coefficient(self, symbol: int) -> int:
        """Of a symbol; 0 if it isn't there."""
        return next((c for n, c in self.terms if n == symbol), 0)


ZERO = Form(0)


def one(symbol: int) -> Form:
    """A symbol by itself."""
    return Form(0, ((symbol, 1),))


def plus(first: Form, second: Form) -> Form:
    """Their sum."""
    if not second.terms:
        return Form(first.constant + second.constant, first.terms)
    if not first.terms:
        return Form(first.constant + second.constant, second.terms)
    terms = dict(first.terms)
    for symbol, coefficient in second.terms:
        terms[symbol] = terms.get(symbol, 0) + coefficient
    kept = tuple(sorted((n, c) for n, c in terms.items() if c))
    return Form(first.constant + second.constant, kept)


def times(form: Form, factor: int) -> Form:
    """A multiple of it."""
    if factor == 1:
        return form
    if not factor:
        return ZERO
    return Form(form.constant * factor, tuple((n, c * factor) for n, c in form.terms))


def minus(first: Form, second: Form) -> Form:
    """Their difference."""
    return plus(first, times(second, -1))


def range_of(form: Form, ranges: Ranges) -> Range:
    """What it can be if its symbols are independent of each other."""
    low = high = form.constant
    has_least = has_greatest = True
    for symbol, coefficient in form.terms:
        least, greatest = ranges(symbol)
        if coefficient < 0:
            least, greatest = greatest, least
        # Of two without an end the difference has none, either.
        has_least = has_least and -INFINITY < least < INFINITY
        has_greatest = has_greatest and -INFINITY < greatest < INFINITY
        low += coefficient * least
        high += coefficient * greatest
    return max(low, -INFINITY) if has_least else -INFINITY, (
        min(high, INFINITY) if has_greatest else INFINITY
    )


def at_most(form: Form, bound: int, ranges: Ranges) -> dict[int, Range] | None:
    """The symbols' narrower ranges if the form is at most `bound`; None if it can't be."""
    narrowed: dict[int, Range] = {}
    for symbol, coefficient in form.terms:
        rest = Form(form.constant, tuple(t for t in form.terms if t[0] != symbol))
        least_rest, _ = range_of(rest, ranges)
        least, greatest = ranges(symbol)
        if least_rest > -INFINITY:
            room = bound - least_rest
            if coefficient > 0:
                greatest = min(greatest, room // coefficient)
            else:
                least = max(least, -(room // -coefficient))
        if least > greatest:
            return None
        narrowed[symbol] = (least, greatest)
    if not form.terms and form.constant > bound:
        return None
    return narrowed


def hull(ranges: list[Range]) -> Range:
    """The least range that has all of these, of which there is one at least."""
    return min(low for low, _ in ranges), max(high for _, high in ranges)


def both(first: Range, second: Range) -> Range:
    """What is in both."""
    return max(first[0], second[0]), min(first[1], second[1])


def within(inner: Range, outer: Range) -> bool:
    """Whether all of one is in the other."""
    return outer[0] <= inner[0] and inner[1] <= outer[1]
