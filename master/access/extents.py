"""The bytes that a part of a launch touches, of each argument.

Owns: `extents`. Must not know: kernels, or what follows from it. Pure arithmetic on a footprint,
as it is done for each part of each launch that isn't known yet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

from master.access.forms import Form, Range, both, times
from master.access.kernels import Footprint
from master.access.memory import Touch
from master.access.symbols import Kind, derived
from vcl.ndrange import NDRange

runs_max = 256
"""Runs of bytes of one access past which what is between them is taken to be touched, too."""

runs_together_max = 1024
"""The same of all accesses of a part, before those are joined that touch each other."""

Runs = list[tuple[int, int]]
"""Half-open, in order, apart from each other."""


@dataclass(slots=True)
class Extent:
    """What is read and written of an argument's region, in bytes from its start; None for any."""

    reads: Runs | None = field(default_factory=list)
    writes: Runs | None = field(default_factory=list)


def extents(
    footprint: Footprint, whole: NDRange, part: NDRange, sizes: dict[int, int]
) -> dict[int, Extent]:
    """What a part touches of each argument that is a buffer.

    whole: the launch; part: on its work-group boundaries. sizes: bytes of the regions, by argument.
    """
    found = {argument: Extent() for argument in sizes}
    in_part = _Ranges(footprint, whole, part)
    room = runs_together_max
    for touch in footprint.touches:
        extent = found[touch.argument]
        runs = _runs(touch, in_part, sizes[touch.argument], min(runs_max, room))
        room -= len(runs or ())
        if touch.writes:
            extent.writes = _joined(extent.writes, runs)
        else:
            extent.reads = _joined(extent.reads, runs)
    for extent in found.values():
        extent.reads = None if extent.reads is None else in_order(extent.reads)
        extent.writes = None if extent.writes is None else in_order(extent.writes)
    return found


class _Ranges:
    """What symbols can be for the work-items of a part."""

    def __init__(self, footprint: Footprint, whole: NDRange, part: NDRange) -> None:
        self._definitions = footprint.definitions
        self._narrow: dict[int, Range] = {}
        self._known: dict[int, Range] = {}
        self._ids: dict[tuple[Kind, int], Range] = {}
        dimensions = zip(
            whole.global_offset, part.global_offset, part.global_size, strict=True
        )
        for d, (first, offset, size) in enumerate(dimensions):
            start = offset - first
            self._ids[Kind.ITEM, d] = (start, start + size - 1)

    def narrowed(self, ranges: tuple[tuple[int, Range], ...]) -> bool:
        """From now on these hold, too; whether they can."""
        if ranges or self._narrow:
            self._narrow, self._known = dict(ranges), {}
        return all(low <= high for low, high in (self(symbol) for symbol, _ in ranges))

    def parts_of_sum(self, symbol: int) -> Form | None:
        """What a SUM is of; None of others."""
        what = self._definitions[symbol]
        return what.forms[0] if what.kind is Kind.SUM else None

    def __call__(self, symbol: int) -> Range:
        known = self._known.get(symbol)
        if known is None:
            what = self._definitions[symbol]
            own = both(self._ids.get((what.kind, what.number), what.range), what.range)
            if what.forms:
                own = both(own, derived(what, self))
            narrow = self._narrow.get(symbol)
            known = self._known[symbol] = own if narrow is None else both(own, narrow)
        return known


def _runs(touch: Touch, ranges: _Ranges, size: int, most: int) -> Runs | None:
    """The runs of one access, inside the region, at most so many or one; None for any."""
    if not ranges.narrowed(touch.ranges):
        return []
    if touch.form is None:
        return None
    start, steps = touch.form.constant, []
    for symbol, coefficient in _terms(touch.form, ranges):
        low, high = ranges(symbol)
        if low > high:
            return []
        start += coefficient * (low if coefficient > 0 else high)
        if high > low:
            steps.append((abs(coefficient), high - low))
    length = touch.size
    apart: list[tuple[int, int]] = []
    many = prod(count + 1 for _, count in steps)
    for step, count in sorted(steps):
        if step <= length or many > most:
            length += step * count
            many //= count + 1
        else:
            apart.append((step, count))
    runs = [(start, start + length)]
    for step, count in apart:
        runs = [(a + step * n, b + step * n) for n in range(count + 1) for a, b in runs]
    return _clipped(runs, size)


def _terms(form: Form, ranges: _Ranges) -> list[tuple[int, int]]:
    """Its terms, with those of a sum in place of one that leaves out numbers in its range."""
    found: list[tuple[int, int]] = []
    for symbol, coefficient in form.terms:
        parts = ranges.parts_of_sum(symbol)
        if parts is None or _is_gapless(parts, ranges):
            found.append((symbol, coefficient))
        else:
            found += times(parts, coefficient).terms
    return found


def _is_gapless(form: Form, ranges: _Ranges) -> bool:
    """Whether it can be each number between its least and its greatest."""
    reached = 0
    for step, symbol in sorted((abs(c), n) for n, c in form.terms):
        low, high = ranges(symbol)
        if step > reached + 1 and high > low:
            return False
        reached += step * (high - low)
    return True


def _clipped(runs: Runs, size: int) -> Runs:
    return [(max(a, 0), min(b, size)) for a, b in runs if b > 0 and a < size]


def _joined(before: Runs | None, more: Runs | None) -> Runs | None:
    return None if before is None or more is None else before + more


def in_order(runs: Runs) -> Runs:
    """The same bytes, in order, and what touches each other as one."""
    joined: Runs = []
    for start, end in sorted(runs):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((start, end))
    return joined
