"""Plans of launches: whether to split, and into which parts.

Owns: the answer for each launch (*regions*, *merge* or *whole*, and why), and its parts. Must not
know: how changes are merged, ids, versions, waits, messages to executors, or the order of commands.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

from master.access.hidden import hidden
from master.access.kernels import Footprint
from master.objects import KernelFacts, Program, Queue
from master.places import Place, PlanFailed, PlanPaused
from master.plan import movement
from master.plan.apart import Shared, shared_of
from master.plan.asked import footprint_of, looked_at, variant_of
from master.plan.cores import Cores, Piece, pieces_of
from master.plan.looked import Looked
from master.plan.merges import plan_merge
from master.plan.movement import bring, gather
from master.plan.plan import Answer, BufferAnswer, Draft, Kind, Makes, Plan, Region, Step
from master.plan.regions import Division, Hulls, Part, divide, kept_beside, whole_regions
from master.plan.residency import Buffer
from master.plan.uses import Use, uses_of
from master.plan.view import View
from master.plan.worth import TOO_SMALL, Worth, merge_worth, regions_worth
from vcl.ndrange import NDRange, axes_told, choose_local_size, count_of_split, split
from vcl.wire.messages import session


def written(view: View, message: session.Launch) -> list[tuple[Buffer, int, int]]:
    """The regions that a launch may write."""
    return [(u.buffer, u.start, u.end) for u in uses_of(view, message) if u.may_write]


def plan_launch(
    draft: Draft, view: View, queue: Queue, message: session.Launch, looked: Looked
) -> Plan:
    """Decide how a launch runs, and plan that.

    looked: what was found of it in turns before. Raises PlanPaused, PlanFailed and NotAnalysed.
    """
    uses = uses_of(view, message)
    places = view.candidates(queue).alike
    ndrange = NDRange(
        tuple(message.global_offset),
        tuple(message.global_size),
        None if message.local_size is None else tuple(message.local_size),
    )
    program = view.programs[message.program]
    kernel = program.kernels[message.kernel]
    why_whole = _why_whole(queue, places, kernel, ndrange, uses)
    if why_whole is None:
        split_ndrange = _with_local_size(ndrange, kernel, places)
        plan = _plan_split(draft, view, queue, message, split_ndrange, uses, places, looked)
        if isinstance(plan, Plan):
            return plan
        why_whole = plan
    place = view.nearest(queue, [(u.buffer, u.start, u.end) for u in uses])
    answer = Answer("whole", why_whole, _answers(message, uses, "whole", why_whole))
    return _plan_whole(draft, view, ndrange, uses, place, answer)


def _answers(
    message: session.Launch, uses: Sequence[Use], answer: str, why: str
) -> tuple[BufferAnswer, ...]:
    """Of buffers that are whole where a launch runs."""
    writes = {use.buffer.id for use in uses if use.may_write}
    made = []
    for index, argument in enumerate(message.arguments):
        region = session.argument_region(argument)
        if region is not None:
            what = (answer, why) if region[0] in writes else ("read", "declared const")
            made.append(BufferAnswer(index, region[0], *what))
    return tuple(made)


def _plan_split(
    draft: Draft,
    view: View,
    queue: Queue,
    message: session.Launch,
    ndrange: NDRange,
    uses: Sequence[Use],
    places: Sequence[Place],
    looked: Looked,
) -> Plan | str:
    """In parts that write bytes of their own, or whose changes are merged; or why in none."""
    program = view.programs[message.program]
    kernel, count = program.kernels[message.kernel], count_of_split(ndrange, len(places))
    if count < 2:
        return "one work-group is all there is"
    draft.make_room(movement.brought_by_part * count)
    always, size = view.policy.split_always, ndrange.global_size

    def pays(worth: Worth) -> bool:
        return always or draft.pays(worth, kernel.item_ns)

    if not pays(regions_worth(size, 0, count)):
        return TOO_SMALL
    allowed = _allowed(program, kernel.name, ndrange, places[0])
    if isinstance(allowed, str):
        return allowed
    sees, why_apart = allowed
    if why_apart is not None:
        # What the program declares is no proof.
        message = message._replace(declared=b"")
    found = footprint_of(program, kernel, message, ndrange, places[0])
    shared = Shared()
    division: Division | Hulls | str = found if isinstance(found, str) else ""
    if isinstance(found, Footprint):
        draft.depends = looked_at(found, kernel, message)
        if why_apart is not None:
            shared = shared_of(found, message)
            uses = shared.uses(uses)
        division = divide(found, message, ndrange, uses, places, looked)
    if isinstance(division, Division):
        moving = 0 if always else _moving_ns(view, queue, division.parts, uses, places)
        if not pays(regions_worth(size, moving, count)):
            return TOO_SMALL
        assert isinstance(found, Footprint)
        cuts = f"each part writes bytes of its own, cut along {axes_told(division.counts)}"
        answer = Answer("regions", cuts, division.answers(found, message))
        pieces = pieces_of(division.parts, places, Cores(found, message, ndrange, uses), pays)
        return _plan_regions(draft, view, pieces, uses, answer, sees)
    if why_apart is not None:
        why = division if isinstance(division, str) else shared.why_not(division)
        if why is not None:
            return f"{why_apart} ({why})"
    hulls = division
    if isinstance(hulls, str):  # of whole buffers
        hulls = whole_regions(split(ndrange, len(places)), uses, hulls)
    if why_apart is None and hulls.reads_meet and not view.policy.trusts:
        why = f" ({hulls.why})" if hulls.why else ""
        return f"it isn't known that no part reads what another writes{why}"
    moving = 0 if always else _moving_ns(view, queue, hulls.parts, uses, places)
    if not pays(merge_worth(size, hulls.changed_bytes, moving, len(hulls.parts))):
        return TOO_SMALL
    if isinstance(division, str):
        why = f" ({division})" if division else ""
        reason = f"changed bytes of whole buffers are merged{why}; trusted to be free of races"
        answer = Answer("merge", reason, _answers(message, uses, "merge", division))
    else:
        assert isinstance(found, Footprint)
        answer = shared.answer(division, division.answers(found, message))
    hidden = None if sees is None else sees.hidden
    return plan_merge(draft, view, ndrange, hulls.parts, uses, places, answer, hidden, shared.how)


def _moving_ns(
    view: View, queue: Queue, parts: Sequence[Part], uses: Sequence[Use], places: Sequence[Place]
) -> float:
    """How much longer it takes to bring what parts need than what the whole launch does."""
    regions = [(u.buffer, u.start, u.end) for u in uses]
    apart = [([*part.reads, *part.writes], p) for part, p in zip(parts, places, strict=False)]
    bringing = _bringing_ns(view, apart)
    if bringing == inf:
        return inf
    return max(0.0, bringing - _bringing_ns(view, [(regions, view.nearest(queue, regions))]))


def _bringing_ns(
    view: View, wanted: Sequence[tuple[Sequence[tuple[Buffer, int, int]], Place]]
) -> float:
    """How long it takes to bring regions to places, all at the same time."""
    draft = Draft(movement.brought_max * len(wanted))
    try:
        for regions, place in wanted:
            for buffer, start, end in regions:
                bring(draft, view, buffer, start, end, place)
    except PlanPaused:
        return inf  # very many pieces
    except PlanFailed:
        pass  # so much at least; who really needs them meets that again
    return draft.traffic.ends_ns


class _Allowed(NamedTuple):
    """sees: what parts are told, if they run in the variant. why_apart: why only parts that are
    known to be apart may run, or None."""

    sees: _Sees | None
    why_apart: str | None


def _allowed(program: Program, kernel: str, ndrange: NDRange, place: Place) -> _Allowed | str:
    """How a kernel may run in parts, or why it may not. Raises NotAnalysed."""
    if (why_whole := program.why_whole(kernel)) is None:
        return _Allowed(None, None)
    if (why_apart := program.why_whole_apart(kernel)) is not None:
        return why_apart
    variant = variant_of(program, place)
    if isinstance(variant, str):
        return f"{why_whole}{variant and f' ({variant})'}"
    return _Allowed(_Sees(variant, kernel, ndrange, place), variant.why_whole(kernel))


class _Sees:
    """How the parts of a launch see all of it: by the variant of their program."""

    def __init__(self, variant: Program, kernel: str, ndrange: NDRange, place: Place) -> None:
        self._takes = variant.hidden.get(kernel) is not None
        self._ndrange = ndrange
        self._address_bits = int(str(place.kind[0]))

    def hidden(self, piece: NDRange) -> bytes | None:
        """What the kernel is told of the launch."""
        return hidden(self._ndrange, piece, self._address_bits) if self._takes else None


def _plan_regions(
    draft: Draft,
    view: View,
    pieces: Sequence[Piece],
    uses: Sequence[Use],
    answer: Answer,
    sees: _Sees | None,
) -> Plan:
    for part, place, _ in pieces:
        for buffer, start, end in [*part.reads, *part.writes]:
            bring(draft, view, buffer, start, end, place)
    for index, (part, place, rim) in enumerate(pieces):
        reads = [Region(buffer.id, start, end) for buffer, start, end in part.reads]
        reads += kept_beside(part, uses)
        writes = tuple(Region(buffer.id, start, end) for buffer, start, end in part.writes)
        draft.add(
            Step(
                Kind.RUN, place, tuple(reads), writes, Makes.VERSION, main=True, part=index,
                piece=part.piece, rim=rim, rewritten=sees is not None,
                hidden=sees.hidden(part.piece) if sees else None,
            )
        )  # fmt: skip
    return draft.plan(answer=answer)


def _with_local_size(ndrange: NDRange, kernel: KernelFacts, places: Sequence[Place]) -> NDRange:
    """Chosen once for all parts, so that every part sees the same local size."""
    if ndrange.local_size is not None:
        return ndrange
    limits = zip(*(p.item_sizes_max for p in places), strict=True)
    local = choose_local_size(
        ndrange.global_size,
        min(kernel.group_items_max, *(p.group_items_max for p in places)),
        [min(sizes) for sizes in limits],
    )
    return NDRange(ndrange.global_offset, ndrange.global_size, local)


def _why_whole(
    queue: Queue,
    places: Sequence[Place],
    kernel: KernelFacts,
    ndrange: NDRange,
    uses: Sequence[Use],
) -> str | None:
    """Why the launch can't be split, or None."""
    if not queue.context.split or queue.device:
        return "the queue is on a single device"
    if len(places) == 1:
        return "the cluster has one device, or none that is like it"
    if kernel.conflicts is not None:
        return kernel.conflicts
    if any(u.buffer.shared for u in uses):
        return "a buffer was made with USE_HOST_PTR, or is shared virtual memory"
    if min(ndrange.global_size) == 0:
        return "the NDRange is empty"
    if ndrange.local_size is not None and any(
        size % local
        for size, local in zip(ndrange.global_size, ndrange.local_size, strict=True)
    ):
        return "the local size doesn't divide the global size"
    return None


def _plan_whole(
    draft: Draft, view: View, ndrange: NDRange, uses: Sequence[Use], place: Place, answer: Answer
) -> Plan:
    for use in uses:
        bring(draft, view, use.buffer, use.start, use.end, place)
    for use in uses:
        if use.may_write:
            gather(draft, view, use.buffer, use.start, use.end, place)
    reads, writes = _regions(uses)
    draft.add(
        Step(
            Kind.RUN, place, reads, writes, Makes.VERSION, main=True, part=0, piece=ndrange
        )
    )
    return draft.plan(answer=answer)


def _regions(uses: Sequence[Use]) -> tuple[tuple[Region, ...], tuple[Region, ...]]:
    """(only read, perhaps written)."""
    reads = tuple(u.region for u in uses if not u.may_write)
    return reads, tuple(u.region for u in uses if u.may_write)
