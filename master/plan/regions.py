"""Parts of a launch, and the bytes of each, by what its analysis found or the program declares.

Owns: whether and along which dimensions a launch divides, and what its parts touch. Must not know:
how it is analysed (`asked`), ids, or messages.

A launch divides if no part writes what another reads or writes. Then each part is brought what it
may read, and what it may write as it was before, since it needn't write all of it; what it wrote
stays where it is. Of cuts along one dimension the one is taken that brings the fewest bytes. Boxes,
cut along two, bring fewer still, but have a run of bytes for each row of an array: they are taken
where they save more than their runs cost.

If parts may write the same bytes, or one may read what another may write, their changes have to be
merged; but where each may write is known nevertheless (its *hull*), so that nothing else has to be
brought, compared or sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from master.access.declared import CONST, DECLARED
from master.access.extents import Runs, in_order
from master.access.kernels import Footprint
from master.access.memory import Touch
from master.places import Place
from master.plan.looked import Looked, compared_cost, planned_cost
from master.plan.plan import BufferAnswer, Region
from master.plan.residency import Buffer
from master.plan.runs import hull, parts_meet, reads_meet, without
from master.plan.touched import Touched, given_regions, touched_by
from master.plan.uses import Use
from master.plan.worth import run_bytes
from vcl.ndrange import NDRange, counts_of_boxes, counts_of_slabs
from vcl.wire.messages import session

runs_together_max, runs_by_part = 256, 8
"""Runs of bytes of all parts together past which a launch isn't divided: each is planned apart.
Of many parts so many for each, as these cost more than that in any case."""

gap_bytes_max = 2**16
"""What is between two runs is merged with them up to here. A region more costs a copy and four
mappings, measured 0.9 ms; so many bytes 0.4 ms, as `links` counts them."""

looked_at_max, looked_at_by_part = 3000, 16
"""What looking for a division may cost, as `Footprint.cost` counts; some ten milliseconds. Over
many places so much for each: two or three times what a part costs whenever it is run."""

_WHERE = {DECLARED: "declared by vcl.access", CONST: "declared const"}
"""Where a touch comes from that has no line."""


class Part(NamedTuple):
    """reads: what is only read; writes: what may be written; each of any buffer, in bytes.

    Those of one buffer are together, in order and apart from each other.
    """

    piece: NDRange
    reads: tuple[tuple[Buffer, int, int], ...]
    writes: tuple[tuple[Buffer, int, int], ...]


def kept_beside(part: Part, uses: Sequence[Use]) -> list[Region]:
    """What has to stay as it is until a part has ended, besides what that touches.

    It must have memory of each buffer. Of an image that its node puts back, pixels that came
    meanwhile would be overwritten by what was there before.
    """
    kept = []
    for use in uses:
        touched = [(a, b) for buffer, a, b in [*part.reads, *part.writes] if buffer is use.buffer]
        if use.stored:
            rest = without([(use.start, use.end)], in_order(touched))
            kept += [Region(use.buffer.id, a, b) for a, b in rest]
        elif not touched:
            kept.append(Region(use.buffer.id, use.start, use.start + 1))
    return kept


class Division(NamedTuple):
    """counts: of parts along each dimension. missing_bytes: that have to be brought to the parts'
    places."""

    parts: list[Part]
    counts: tuple[int, ...]
    missing_bytes: int

    @property
    def runs(self) -> int:
        """Runs of bytes of all parts."""
        return sum(len(part.reads) + len(part.writes) for part in self.parts)

    @property
    def weight(self) -> int:
        """Bytes that have to be brought, and as many as would cost what its runs do."""
        return self.missing_bytes + run_bytes * self.runs

    def answers(self, footprint: Footprint, m: session.Launch) -> tuple[BufferAnswer, ...]:
        """How each buffer is treated, and where in the source that comes from."""
        return _answers(footprint, m, "regions", "parts write bytes of their own")


class Hulls(NamedTuple):
    """Parts whose changes are merged; what they write is of whole elements, as those are compared.

    why: they don't divide. meeting: ids of the buffers of which one part may write what another
    may touch. reads_meet: a part may read what another may write, so that the program is trusted
    to be free of races.
    """

    parts: list[Part]
    why: str
    meeting: tuple[int, ...]
    reads_meet: bool

    @property
    def changed_bytes(self) -> int:
        """How many the part that may change most may change."""
        return max(sum(end - start for _, start, end in part.writes) for part in self.parts)

    @property
    def reason(self) -> str:
        """Of the launch's answer."""
        races = "no part reads what another may write"
        if self.reads_meet:
            races = "trusted to be free of races, as parts may read what others may write"
        return f"changed bytes of what each part may write are merged ({self.why}); {races}"

    def answers(self, footprint: Footprint, m: session.Launch) -> tuple[BufferAnswer, ...]:
        """How each buffer is treated, and where in the source that comes from."""
        return _answers(footprint, m, "merge", "merge inside the hulls")


def _answers(
    footprint: Footprint, m: session.Launch, written: str, why: str
) -> tuple[BufferAnswer, ...]:
    """written, why: of a buffer that parts may write where that is bounded."""
    made = []
    for index, argument in enumerate(m.arguments):
        region = session.argument_region(argument)
        if region is None:
            continue
        touches = [t for t in footprint.touches if t.argument == index]
        where = {t.writes: _where(t) for t in reversed(touches)}
        anywhere = next((_where(t) for t in touches if t.writes and t.form is None), None)
        if anywhere is not None:
            what = written, f"where it is written isn't known ({anywhere})"
        elif True in where:
            what = written, f"{why} ({where[True]})"
        elif touches:
            what = "read", f"only read ({where[False]})"
        else:
            what = "untouched", "never touched"
        made.append(BufferAnswer(index, region[0], *what))
    return tuple(made)


def _where(touch: Touch) -> str:
    return _WHERE.get(touch.line, f"line {touch.line}")


def whole_regions(pieces: Sequence[NDRange], uses: Sequence[Use], why: str) -> Hulls:
    """Parts of which nothing is known: each may touch all of every region."""
    regions: tuple[list[tuple[Buffer, int, int]], ...] = ([], [])
    for use in uses:
        regions[use.may_write].append((use.buffer, use.start, use.end))
    reads, writes = map(tuple, regions)
    meeting = tuple(use.buffer.id for use in uses if use.may_write)
    return Hulls([Part(piece, reads, writes) for piece in pieces], why, meeting, True)


def divide(
    footprint: Footprint,
    m: session.Launch,
    ndrange: NDRange,
    uses: Sequence[Use],
    places: Sequence[Place],
    looked: Looked,
) -> Division | Hulls | str:
    """The cheapest division of a launch over these places.

    Where there is none, the parts whose hulls are least to bring and to merge; or why nothing is
    known of any. looked: of this launch, in this turn and those before. Raises PlanPaused if
    another turn is needed.
    """
    if any(use.buffer.is_cut_up for use in uses):
        return "a buffer is in very many pieces"
    best: Division | None = None
    hulls: Hulls | None = None
    least = cost = 0
    most = max(looked_at_max, looked_at_by_part * len(places))
    layouts = [use.buffer.layout for use in uses]
    if not looked.begin((footprint, ndrange, uses), (places, layouts)):
        _count_missing_anew(looked, places)
    for counts in counts_of_slabs(ndrange, len(places)):
        cost += footprint.cost * prod(counts)
        if cost > most:
            return best or hulls or "its parts touch memory in too many ways"
        made = looked.cuts.get(counts)
        if made is None:
            pieces = looked.pieces(ndrange, counts)
            made = _cut(footprint, m, ndrange, pieces, uses, counts, places, looked)
            looked.found(counts, made)
        if isinstance(made, Division):
            if best is None or made.missing_bytes < best.missing_bytes:
                best = made
        elif best is None:
            size = made.changed_bytes + _missing_of(made.parts, places)
            if hulls is None or size < least:
                hulls, least = made, size
    if best is None or _saved_at_most(best, places) <= run_bytes * len(places):
        looked.spend(planned_cost * len(places))
        return best or hulls or "one work-group is all there is"
    for counts in counts_of_boxes(ndrange, len(places)):
        cost += footprint.cost * (1 + len(places))
        if cost > most:
            break
        if counts in looked.rejected:
            continue
        made = looked.cuts.get(counts)
        if made is None:
            pieces = looked.pieces(ndrange, counts)
            if not looked.parts:
                # Parts are much alike: the first tells of most that all are looked at in vain.
                alone = Looked(in_turns=False)
                first = _cut(footprint, m, ndrange, pieces[:1], uses, counts, places, alone)
                few = min(_runs_most(len(pieces)), best.weight // run_bytes)
                if isinstance(first, Hulls) or first.runs * len(pieces) > few:
                    looked.rejected.add(counts)
                    continue
            made = _cut(footprint, m, ndrange, pieces, uses, counts, places, looked)
            looked.found(counts, made)
        if isinstance(made, Division) and made.weight < best.weight:
            best = made
    looked.spend(planned_cost * len(places))
    return best


def _count_missing_anew(looked: Looked, places: Sequence[Place]) -> None:
    """Places have come or gone since the last turn, or bytes are elsewhere."""
    for counts, cut in looked.cuts.items():
        if isinstance(cut, Division):
            missing = _missing_of(cut.parts, places)
            looked.cuts[counts] = cut._replace(missing_bytes=missing)


def _runs_most(parts: int) -> int:
    return max(runs_together_max, runs_by_part * parts)


def _saved_at_most(division: Division, places: Sequence[Place]) -> int:
    """How many bytes fewer another division might bring: all but what no place holds, once."""
    devices = {place.device for place in places}
    regions: dict[Buffer, Runs] = {}
    for part in division.parts:
        for buffer, start, end in [*part.reads, *part.writes]:
            regions.setdefault(buffer, []).append((start, end))
    return division.missing_bytes - sum(
        high - low
        for buffer, runs in regions.items()
        for start, end in in_order(runs)
        for low, high, contents in buffer.contents.segments(start, end)
        if devices.isdisjoint(contents.holders)
    )


def _cut(
    footprint: Footprint,
    m: session.Launch,
    ndrange: NDRange,
    pieces: Sequence[NDRange],
    uses: Sequence[Use],
    counts: tuple[int, ...],
    places: Sequence[Place],
    looked: Looked,
) -> Division | Hulls:
    """looked: has what the first parts touch, or not yet. Raises PlanPaused."""
    given = given_regions(m)
    for piece in pieces[len(looked.parts) :]:
        looked.spend(footprint.cost)
        looked.parts.append(touched_by(footprint, ndrange, piece, given))
    looked.spend(compared_cost * len(pieces))
    touched: list[Touched] = [one for one, _ in looked.parts]
    unknown = next((index for _, index in looked.parts if index is not None), None)
    why = None if unknown is None else f"where argument {unknown + 1} is written isn't known"
    if _pieces(touched) > _runs_most(len(pieces)):
        # What is between the pieces of a read may be brought, too; it mustn't be given back.
        touched = [{b: (hull(r), w) for b, (r, w) in one.items()} for one in touched]
    if _pieces(touched) > _runs_most(len(pieces)):
        why = why or "its parts touch too many pieces"
        touched = [{b: (r, hull(w)) for b, (r, w) in one.items()} for one in touched]
    rows = [[one[use.buffer.id] for one in touched] for use in uses]
    meeting = tuple(
        use.buffer.id for use, row in zip(uses, rows, strict=True) if parts_meet(row)
    )
    if why is None and meeting:
        why = "its parts touch the same bytes"
    if why is not None:
        for use, row in zip(uses, rows, strict=True):
            for one, (read, written) in zip(touched, row, strict=True):
                one[use.buffer.id] = read, _in_elements(written, use)
        return Hulls(_parts(pieces, touched, uses), why, meeting, any(map(reads_meet, rows)))
    parts = _parts(pieces, touched, uses)
    return Division(parts, counts, _missing_of(parts, places))


def _parts(
    pieces: Sequence[NDRange], touched: Sequence[Touched], uses: Sequence[Use]
) -> list[Part]:
    return [part_of(*pair, uses) for pair in zip(pieces, touched, strict=True)]


def part_of(piece: NDRange, touched: Touched, uses: Sequence[Use]) -> Part:
    """The part that a piece is, by what it touches."""
    reads: list[tuple[Buffer, int, int]] = []
    writes: list[tuple[Buffer, int, int]] = []
    for use in uses:
        read, written = touched[use.buffer.id]
        writes += [(use.buffer, start, end) for start, end in written]
        reads += [(use.buffer, start, end) for start, end in without(read, written)]
    return Part(piece, tuple(reads), tuple(writes))


def _in_elements(runs: Runs, use: Use) -> Runs:
    """Rounded out to elements of a region: a part that changed one byte sends all of its element.

    The region's last may be a part of one. Short gaps are closed.
    """
    size = use.element
    rounded = [
        (
            use.start + (start - use.start) // size * size,
            min(use.start - (use.start - end) // size * size, use.end),
        )
        for start, end in runs
    ]
    joined: Runs = []
    for start, end in in_order(rounded):
        if joined and start - joined[-1][1] <= gap_bytes_max:
            joined[-1] = joined[-1][0], end
        else:
            joined.append((start, end))
    return joined


def _missing_of(parts: Sequence[Part], places: Sequence[Place]) -> int:
    """Bytes that have to be brought to the parts' places."""
    pairs = zip(parts, places, strict=False)
    return sum(_missing(place, [*part.reads, *part.writes]) for part, place in pairs)


def _pieces(touched: Sequence[Touched]) -> int:
    return sum(len(r) + len(w) for one in touched for r, w in one.values())


def _missing(place: Place, regions: Sequence[tuple[Buffer, int, int]]) -> int:
    """Bytes of regions that a place doesn't hold."""
    return sum(
        high - low
        for buffer, start, end in regions
        for low, high, contents in buffer.contents.segments(start, end)
        if place.device not in contents.holders
    )


def missing_runs(part: Part, place: Place) -> dict[Buffer, Runs]:
    """Where the bytes of a part are that its place doesn't hold, by buffer."""
    found: dict[Buffer, Runs] = {}
    for buffer, start, end in [*part.reads, *part.writes]:
        for low, high, contents in buffer.contents.segments(start, end):
            if place.device not in contents.holders:
                found.setdefault(buffer, []).append((low, high))
    return {buffer: in_order(runs) for buffer, runs in found.items()}
