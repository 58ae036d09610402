"""The steps of a launch whose parts' changes are merged.

Owns: what is brought, kept, sent and merged. Must not know: whether to merge, or what parts touch.

Theory of operation. The *home* is brought all regions of the launch; each other part's place what
that part may read and write. Each place keeps a snapshot of what its part may write, of which the
home keeps what any part may; the parts run with a global offset; each place but the home sends what
changed against its snapshot to the home, which takes the changes in, or, finding that two parts
changed one element differently, restores its snapshot and runs the launch whole. So the home holds
the result whatever happens, and the plan of everything that follows doesn't wait for it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence

from master.access.extents import Runs, in_order
from master.places import Candidates, Place
from master.plan.movement import bring
from master.plan.plan import Answer, Draft, Kind, Makes, MergedRegion, Plan, Region, Step, Transfer
from master.plan.regions import Part, kept_beside
from master.plan.residency import Buffer
from master.plan.runs import without
from master.plan.uses import Use
from master.plan.view import View
from vcl.ndrange import NDRange
from vcl.wire.messages.part import How


def plan_merge(
    draft: Draft,
    view: View,
    ndrange: NDRange,
    parts: Sequence[Part],
    uses: Sequence[Use],
    places: Sequence[Place],
    answer: Answer,
    hidden: Callable[[NDRange], bytes | None] | None,
    how: Callable[[int], How],
) -> Plan:
    """Parts on the first of these places, and the merge of what they wrote, if anything.

    hidden: what a part's kernel is told of the launch, if it is one of the program's variant. how:
    what parts changed in a buffer comes together.
    """
    places = places[: len(parts)]
    everything = [(u.buffer, u.start, u.end) for u in uses]
    home = Candidates(list(places)).nearest(everything)
    for part, place in zip(parts, places, strict=True):
        for buffer, start, end in everything if place is home else [*part.reads, *part.writes]:
            bring(draft, view, buffer, start, end, place)
    merged = _Merged(parts, uses, how)
    for index, (part, place) in enumerate(zip(parts, places, strict=True)):
        writes = _regions(part.writes)
        kept = merged.regions if place is home else writes
        if kept:
            draft.add(Step(Kind.SNAPSHOT, place, reads=kept))
        draft.add(
            Step(
                Kind.RUN, place, (*_regions(part.reads), *kept_beside(part, uses)), writes,
                main=True, part=index, piece=part.piece, rewritten=hidden is not None,
                hidden=None if hidden is None else hidden(part.piece),
            )
        )  # fmt: skip
    if not merged.regions:
        return draft.plan(answer=answer)
    senders = [
        (part, place)
        for part, place in zip(parts, places, strict=True)
        if place is not home and part.writes
    ]
    merge = len(draft.steps) + len(senders)
    received = []
    for part, place in senders:
        transfer = len(draft.transfers)
        received.append(transfer)
        writes = _regions(part.writes)
        source = draft.add(Step(Kind.SEND_CHANGES, place, reads=writes, sends=transfer))
        draft.transfers.append(Transfer(source, merge, merged.pieces(writes)))
    # The rerun after a conflict reads what any part may.
    step = Step(
        Kind.MERGE, home, merged.rest, merged.regions, Makes.VERSION, receives=tuple(received),
        piece=ndrange,
    )  # fmt: skip
    assert draft.add(step) == merge
    return draft.plan(answer=answer, regions=merged.rows)


class _Merged:
    """What any part may write. rest: what else of the launch's regions there is."""

    def __init__(
        self, parts: Sequence[Part], uses: Sequence[Use], how: Callable[[int], How]
    ) -> None:
        runs: dict[int, Runs] = {use.buffer.id: [] for use in uses}
        for part in parts:
            for buffer, start, end in part.writes:
                runs[buffer.id].append((start, end))
        self._first: dict[int, int] = {}  # by buffer: index of its first region
        self._starts: dict[int, list[int]] = {}
        rows: list[MergedRegion] = []
        rest: list[tuple[Buffer, int, int]] = []
        for use in uses:
            number = use.buffer.id
            written = in_order(runs[number])
            self._first[number] = len(rows)
            self._starts[number] = [start for start, _ in written]
            rows += [(number, a, b - a, use.element, how(number)) for a, b in written]
            rest += [(use.buffer, a, b) for a, b in without([(use.start, use.end)], written)]
        self.rows = tuple(rows)
        self.regions = tuple(Region(number, at, at + size) for number, at, size, _, _ in rows)
        self.rest = _regions(rest)

    def pieces(self, writes: Sequence[Region]) -> tuple[tuple[int, int, int], ...]:
        """(index of a region, offset in it, size) of what a part sends changes of."""
        made = []
        for number, start, end in writes:
            starts = self._starts[number]
            at = bisect_right(starts, start) - 1
            made.append((self._first[number] + at, start - starts[at], end - start))
        return tuple(made)


def _regions(runs: Sequence[tuple[Buffer, int, int]]) -> tuple[Region, ...]:
    return tuple(Region(buffer.id, start, end) for buffer, start, end in runs)
