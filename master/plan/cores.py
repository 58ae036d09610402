"""What of a part needn't wait for the bytes that are brought for it: its core, and the rims.

Owns: cutting a part so, and when that pays. Must not know: how a launch is divided, or what is
brought from where.

A stencil's part needs a few rows of its neighbours', which come after these have computed them. All
of it but the rows next to those can be computed meanwhile; and when the rims are done, the next
launch's core may begin while they travel. The pieces of a part are held to what parts are: none
writes what another touches, so that their order makes no difference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from master.access.extents import Runs
from master.access.kernels import Footprint
from master.places import Place
from master.plan.regions import Part, missing_runs, part_of
from master.plan.residency import Buffer
from master.plan.runs import common, parts_meet
from master.plan.touched import Touched, given_regions, touched_by
from master.plan.uses import Use
from master.plan.worth import Worth
from vcl.ndrange import NDRange
from vcl.wire.messages import session

core_ns_min = 3_000_000
"""What a core has to take: each piece more is an operation more, and so is what waits for it."""

rim_share_max = 8
"""A part's rims are at most this fraction (1 / it) of its work-items."""

looked_at_max = 2000
"""What cutting all parts may cost, as `Footprint.cost` counts."""

looked_at_by_part = 10
"""Pieces of a part that are looked at, at most or nearly so."""

runs_max = 16
"""Runs of bytes of a piece past which it isn't worth it: each is ordered apart."""


class Piece(NamedTuple):
    """Of a part, or all of it. rim: it comes after the core of the same part."""

    part: Part
    place: Place
    rim: bool


def pieces_of(
    parts: Sequence[Part], places: Sequence[Place], cores: Cores, pays: Callable[[Worth], bool]
) -> list[Piece]:
    """The parts at their places, in cores and rims where that pays."""
    at = list(zip(parts, places, strict=False))
    missing = [missing_runs(part, place) for part, place in at]
    worth = Worth(parts[0].piece.work_items, core_ns_min)
    cuts = any(missing) and cores.affords(len(parts)) and pays(worth)
    made = []
    for (part, place), runs in zip(at, missing, strict=True):
        apart = cores.cut(part, runs) if cuts else [part]
        made += [Piece(one, place, rim=n > 0) for n, one in enumerate(apart)]
    return made


class Cores:
    """Cuts the parts of one launch."""

    def __init__(
        self, footprint: Footprint, m: session.Launch, ndrange: NDRange, uses: Sequence[Use]
    ) -> None:
        self._footprint = footprint
        self._given = given_regions(m)
        self._ndrange = ndrange
        self._uses = uses

    def affords(self, parts: int) -> bool:
        """Whether so many parts may be looked at in one go."""
        return self._footprint.cost * looked_at_by_part * parts <= looked_at_max

    def cut(self, part: Part, missing: dict[Buffer, Runs]) -> list[Part]:
        """The core and the rims, in this order, or the part alone.

        missing: bytes of what the part touches that it has to wait for.
        """
        if not missing or any(use.stored for use in self._uses):
            return [part]
        for groups in (1, 2, 4):
            pieces = self._peeled(part.piece, missing, groups)
            most = part.piece.work_items // rim_share_max
            if pieces is not None:
                rims = sum(rim.work_items for rim in pieces[1:])
                return (self._apart(part, pieces) if rims <= most else None) or [part]
        return [part]

    def _peeled(
        self, piece: NDRange, missing: dict[Buffer, Runs], groups: int
    ) -> list[NDRange] | None:
        """What is left when so many work-groups are taken from each end that has to wait, and
        these; None if what is left has to wait, too."""
        rims: list[NDRange] = []
        for dimension in reversed(range(len(piece.global_size))):
            for low in (True, False):
                if piece.group_counts[dimension] <= groups:
                    continue
                rim, rest = _slab(piece, dimension, low, groups)
                if self._needs(rim, missing):
                    piece = rest
                    rims.append(rim)
            if not self._needs(piece, missing):
                return [piece, *rims]
        return None

    def _needs(self, piece: NDRange, missing: dict[Buffer, Runs]) -> bool:
        touched = self._touched(piece)
        return any(
            common(runs, missing.get(use.buffer, []))
            for use in self._uses
            for runs in touched[use.buffer.id]
        )

    def _touched(self, piece: NDRange) -> Touched:
        return touched_by(self._footprint, self._ndrange, piece, self._given)[0]

    def _apart(self, part: Part, pieces: Sequence[NDRange]) -> list[Part] | None:
        """As parts of their own, of what the part as a whole is known to touch."""
        touched = [self._touched(piece) for piece in pieces]
        for use in self._uses:
            number = use.buffer.id
            writes = [(a, b) for buffer, a, b in part.writes if buffer is use.buffer]
            reads = [(a, b) for buffer, a, b in part.reads if buffer is use.buffer]
            for one in touched:
                read, written = one[number]
                one[number] = common(read, sorted(reads + writes)), common(written, writes)
            row = [one[number] for one in touched]
            if parts_meet(row) or any(len(r) + len(w) > runs_max for r, w in row):
                return None
        return [part_of(*pair, self._uses) for pair in zip(pieces, touched, strict=True)]


def _slab(piece: NDRange, dimension: int, low: bool, groups: int) -> tuple[NDRange, NDRange]:
    """So many work-groups at one end of a dimension, and the rest."""
    assert piece.local_size is not None
    size = piece.global_size[dimension]
    first = groups * piece.local_size[dimension]
    if not low:  # the last work-group may be smaller
        first = (piece.group_counts[dimension] - groups) * piece.local_size[dimension]
    ends = [_along(piece, dimension, 0, first), _along(piece, dimension, first, size)]
    return (ends[0], ends[1]) if low else (ends[1], ends[0])


def _along(piece: NDRange, dimension: int, start: int, end: int) -> NDRange:
    offset, size = list(piece.global_offset), list(piece.global_size)
    offset[dimension] += start
    size[dimension] = end - start
    return NDRange(tuple(offset), tuple(size), piece.local_size)
