"""What of a walk is needed to tell what the parts of its launch touch.

Owns: the limits of a footprint, and what is left of one that is past them. Must not know: kernels,
or parts.

A footprint is read, and looked through for each part of each launch, where others wait: it has to
be small. What leads nowhere is left out; of a touch that depends on too much
only the bounds are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from master.access.forms import Form, Range, range_of
from master.access.memory import Lost, Touch
from master.access.symbols import Definition, Kind

depth_max = 40
"""Symbols of symbols on which a touch may depend: ranges are found by recursion."""

touch_cost_max = 200
"""Symbols on which one touch may depend, counted as often as they are named."""

cost_max = 2000
"""The same of all touches together, and each touch."""


def needed(
    definitions: Sequence[Definition], touches: Iterable[Touch]
) -> tuple[tuple[Definition, ...], tuple[Touch, ...], int]:
    """Definitions and touches that say the same, and what it costs to look through them.

    Raises Lost past `cost_max`.
    """
    definitions = list(definitions)
    depths = _depths(definitions)
    kept: dict[Touch, None] = {}
    used: set[int] = set()
    cost = 0
    for touch in touches:
        reached, own_cost = _reached(definitions, touch)
        if own_cost > touch_cost_max or any(depths[n] > depth_max for n in reached):
            touch = _anywhere(definitions, touch)
            reached, own_cost = _reached(definitions, touch)
        if touch in kept:
            continue
        kept[touch] = None
        used |= reached
        cost += 1 + own_cost
        if cost > cost_max:
            raise Lost(touch.line, "the kernel touches memory in too many ways")
    numbers = {old: new for new, old in enumerate(sorted(used))}
    return (
        tuple(_definition(definitions[n], numbers) for n in sorted(used)),
        tuple(
            replace(t, form=t.form and _form(t.form, numbers), ranges=_ranges(t.ranges, numbers))
            for t in kept
        ),
        cost,
    )


def _anywhere(definitions: list[Definition], touch: Touch) -> Touch:
    """The same touch, of which no more is known than where it is in the whole launch."""
    narrow = dict(touch.ranges)
    ids = tuple((n, r) for n, r in touch.ranges if definitions[n].kind is Kind.ITEM)
    if touch.form is None:
        return replace(touch, ranges=ids)
    low, high = range_of(touch.form, lambda n: narrow.get(n, definitions[n].range))
    definitions.append(Definition(Kind.UNKNOWN, (0, high - low)))
    return replace(touch, form=Form(low, ((len(definitions) - 1, 1),)), ranges=ids)


def _parts(definition: Definition) -> list[int]:
    """The symbols of which one is made, as often as they are named: all have lower numbers."""
    found = [n for form in definition.forms for n, _ in form.terms]
    return found + [n for case in definition.cases for n, _ in case]


def _depths(definitions: Sequence[Definition]) -> list[int]:
    depths: list[int] = []
    for definition in definitions:
        depths.append(1 + max((depths[n] for n in _parts(definition)), default=0))
    return depths


def _reached(definitions: Sequence[Definition], touch: Touch) -> tuple[set[int], int]:
    """The symbols on which a touch depends, and how often they are named until it's too often."""
    waiting = [n for n, _ in touch.ranges]
    waiting += [n for n, _ in touch.form.terms] if touch.form is not None else []
    reached: set[int] = set()
    cost = len(waiting)
    while waiting and cost <= touch_cost_max:
        number = waiting.pop()
        if number not in reached:
            reached.add(number)
            parts = _parts(definitions[number])
            cost += len(parts)
            waiting += parts
    return reached, cost


def _form(form: Form, numbers: dict[int, int]) -> Form:
    return Form(form.constant, tuple((numbers[n], c) for n, c in form.terms))


def _ranges(
    ranges: tuple[tuple[int, Range], ...], numbers: dict[int, int]
) -> tuple[tuple[int, Range], ...]:
    return tuple((numbers[n], r) for n, r in ranges)


def _definition(definition: Definition, numbers: dict[int, int]) -> Definition:
    return definition._replace(
        forms=tuple(_form(form, numbers) for form in definition.forms),
        cases=tuple(_ranges(case, numbers) for case in definition.cases),
    )
