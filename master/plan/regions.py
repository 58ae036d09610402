"""Parts of a launch that write bytes of their own, by what its analysis found or
the program declares.

Owns: the question that an analysis answers, and whether and along which dimension a launch divides.
Must not know: how it is analysed, ids, or messages.

A launch divides if no part writes what another reads or writes. Then each part is brought what it
may read, and what it may write as it was before, since it needn't write all of it; what it wrote
stays where it is.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, NamedTuple

from master.access.declared import CONST, DECLARED, declared_footprint
from master.access.extents import Extent, Runs, extents, in_order
from master.access.kernels import BUFFER, OTHER, Footprint
from master.ledger import Question, RewriteQuestion
from master.objects import KernelFacts, Program
from master.places import KIND, Place
from master.plan.plan import BufferAnswer
from master.plan.residency import Buffer
from master.plan.uses import Use, may_be_written
from vcl.ndrange import NDRange, split
from vcl.wire.declared import unpack
from vcl.wire.messages import session

runs_together_max = 256
"""Runs of bytes of all parts together past which a launch isn't divided: each is planned apart."""

program_id_max = 2**63
"""A variant has the negative id, which has to travel."""

looked_at_max = 3000
"""What looking for a division may cost, as `Footprint.cost` counts; some ten milliseconds."""

_WHERE = {DECLARED: "declared by vcl.access", CONST: "declared const"}
"""Where a touch comes from that has no line."""

FLOATING = ("float", "double", "half")


class NotAnalysed(Exception):
    """What a launch touches, or how its parts can see it, isn't known: this has to be asked first.

    key: equal for those that wait for the same answer.
    """

    def __init__(
        self, program: Program, key: tuple[Any, ...], question: Question | RewriteQuestion
    ) -> None:
        super().__init__(key)
        self.program = program
        self.key = key
        self.question = question


class Part(NamedTuple):
    """reads: what is only read; writes: what may be written; each of any buffer, in bytes."""

    piece: NDRange
    reads: tuple[tuple[Buffer, int, int], ...]
    writes: tuple[tuple[Buffer, int, int], ...]


class Division(NamedTuple):
    """missing_bytes: that have to be brought to the parts' places. dimension: of the cuts."""

    parts: list[Part]
    dimension: int
    missing_bytes: int

    def answers(self, footprint: Footprint, m: session.Launch) -> tuple[BufferAnswer, ...]:
        """How each buffer is treated, and where in the source that comes from."""
        made = []
        for index, argument in enumerate(m.arguments):
            region = session.argument_region(argument)
            if region is None:
                continue
            touches = [t for t in footprint.touches if t.argument == index]
            where = {t.writes: _WHERE.get(t.line, f"line {t.line}") for t in reversed(touches)}
            if True in where:
                what = "regions", f"parts write bytes of their own ({where[True]})"
            elif touches:
                what = "read", f"only read ({where[False]})"
            else:
                what = "untouched", "never touched"
            made.append(BufferAnswer(index, region[0], *what))
        return tuple(made)


def footprint_of(
    program: Program, kernel: KernelFacts, m: session.Launch, ndrange: NDRange, place: Place
) -> Footprint | str:
    """What a launch touches, or why that isn't known. Raises NotAnalysed.

    What the program declares counts in place of what an analysis would find.
    """
    if m.declared:
        named = [i for i, a in enumerate(m.arguments) if session.argument_region(a) is not None]
        buffers = {i: may_be_written(program, kernel, i) for i in named}
        return declared_footprint(unpack(m.declared), buffers, ndrange)
    if not place.kind:
        return ""
    if (why := program.not_analysed.get(m.kernel)) is not None:
        return why
    assert ndrange.local_size is not None
    arguments: list[bytes | str] = []
    for argument, (_, type_name, _) in zip(m.arguments, kernel.arguments, strict=True):
        if isinstance(argument, bytes) and not type_name.startswith(FLOATING):
            arguments.append(argument)
        else:
            arguments.append(OTHER if session.argument_region(argument) is None else BUFFER)
    key = (m.kernel, ndrange, place.kind, *arguments)
    found = program.footprints.get(key)
    if found is not None:
        program.footprints.move_to_end(key)
        return found
    device = dict(zip(KIND, map(str, place.kind), strict=True))
    shape = [list(ndrange.global_offset), list(ndrange.global_size), list(ndrange.local_size)]
    question = Question(0, program.units, device, m.kernel, arguments, shape)
    raise NotAnalysed(program, key, question)


def variant_of(program: Program, place: Place) -> Program | str:
    """The program whose parts see their launch, or why there is none. Raises NotAnalysed."""
    if not place.kind or program.id > program_id_max:
        return ""
    device = dict(zip(KIND, map(str, place.kind), strict=True))
    if program.rewritten_for not in (None, device):
        return "it was rewritten for devices of another kind"
    if program.variant is None:
        raise NotAnalysed(program, (), RewriteQuestion(0, program.units, device))
    return program.variant


def divide(
    footprint: Footprint,
    m: session.Launch,
    ndrange: NDRange,
    uses: Sequence[Use],
    places: Sequence[Place],
) -> Division | str:
    """The cheapest division of a launch over these places, or why there is none."""
    if any(use.buffer.is_cut_up for use in uses):
        return "a buffer is in very many pieces"
    why = "one work-group is all there is"
    best: Division | None = None
    cost = 0
    for dimension in reversed(range(len(ndrange.global_size))):
        if ndrange.group_counts[dimension] < 2:
            continue
        pieces = split(ndrange, len(places), dimension)
        cost += footprint.cost * len(pieces)
        if cost > looked_at_max:
            return best or "its parts touch memory in too many ways"
        made = _along(footprint, m, ndrange, pieces, uses, dimension, places)
        if isinstance(made, str):
            why = made
        elif best is None or made.missing_bytes < best.missing_bytes:
            best = made
    return why if best is None else best


def _along(
    footprint: Footprint,
    m: session.Launch,
    ndrange: NDRange,
    pieces: Sequence[NDRange],
    uses: Sequence[Use],
    dimension: int,
    places: Sequence[Place],
) -> Division | str:
    given = {i: r for i, a in enumerate(m.arguments) if (r := session.argument_region(a))}
    sizes = {index: size for index, (_, _, size) in given.items()}
    starts = {index: (buffer, offset) for index, (buffer, offset, _) in given.items()}
    touched = []
    for piece in pieces:
        found = extents(footprint, ndrange, piece, sizes)
        by_buffer = _by_buffer(found, starts, sizes)
        if isinstance(by_buffer, str):
            return by_buffer
        touched.append(by_buffer)
    if sum(len(r) + len(w) for one in touched for r, w in one.values()) > runs_together_max:
        return "its parts touch too many pieces"
    for use in uses:
        if parts_meet([one[use.buffer.id] for one in touched]):
            return "its parts touch the same bytes"
    parts, absent = [], 0
    for piece, one, place in zip(pieces, touched, places, strict=False):
        reads: list[tuple[Buffer, int, int]] = []
        writes: list[tuple[Buffer, int, int]] = []
        for use in uses:
            read, written = one[use.buffer.id]
            writes += [(use.buffer, start, end) for start, end in written]
            reads += [(use.buffer, start, end) for start, end in _without(read, written)]
        absent += missing(place, [*reads, *writes])
        parts.append(Part(piece, tuple(reads), tuple(writes)))
    return Division(parts, dimension, absent)


def _by_buffer(
    found: dict[int, Extent], starts: dict[int, tuple[int, int]], sizes: dict[int, int]
) -> dict[int, tuple[Runs, Runs]] | str:
    """(reads, writes) of each buffer, whichever arguments it was given for."""
    by_buffer: dict[int, tuple[Runs, Runs]] = {}
    for index, extent in found.items():
        buffer, offset = starts[index]
        reads, writes = by_buffer.setdefault(buffer, ([], []))
        if extent.writes is None:
            return f"where argument {index + 1} is written isn't known"
        anywhere = [(0, sizes[index])]
        runs = anywhere if extent.reads is None else extent.reads
        reads += [(offset + start, offset + end) for start, end in runs]
        writes += [(offset + start, offset + end) for start, end in extent.writes]
    return {
        buffer: (in_order(reads), in_order(writes)) for buffer, (reads, writes) in by_buffer.items()
    }


def parts_meet(touched: Sequence[tuple[Runs, Runs]]) -> bool:
    """Whether one writes what another reads or writes."""
    written = sorted(
        (start, end, part) for part, (_, writes) in enumerate(touched) for start, end in writes
    )
    last = 0
    for start, end, _ in written:
        if start < last:
            return True
        last = end
    begins = [start for start, _, _ in written]
    for part, (reads, _) in enumerate(touched):
        for start, end in reads:
            at = max(bisect_right(begins, start) - 1, 0)
            while at < len(written) and written[at][0] < end:
                if written[at][1] > start and written[at][2] != part:
                    return True
                at += 1
    return False


def _without(runs: Runs, others: Runs) -> Runs:
    """What of these runs isn't in the others."""
    left: Runs = []
    for start, end in runs:
        for other_start, other_end in others:
            if other_end <= start or other_start >= end:
                continue
            if other_start > start:
                left.append((start, other_start))
            start = max(start, other_end)
        if start < end:
            left.append((start, end))
    return left


def missing(place: Place, regions: Sequence[tuple[Buffer, int, int]]) -> int:
    """Bytes of regions that a place doesn't hold."""
    return sum(
        high - low
        for buffer, start, end in regions
        for low, high, contents in buffer.contents.segments(start, end)
        if place.device not in contents.holders
    )
