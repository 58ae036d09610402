"""What has to travel before a command can run where it shall.

Owns: `bring` and `gather`. Must not know: commands, or how bytes travel.
"""

from __future__ import annotations

from bisect import bisect_left

from master.places import Place, PlanFailed
from master.plan.plan import Draft
from master.plan.residency import Buffer, Contents
from master.plan.traffic import Traffic
from master.plan.view import View
from vcl.errors import OUT_OF_RESOURCES

brought_max = 128
"""Pieces that are brought somewhere in one turn."""

brought_by_part = 3
"""For a launch in many parts so many for each, as a plan in turns can't be used again: what it
reads beyond either end, and something else."""

holders_by_piece = 32
"""So many holders of a piece are as much to look through as another piece is to bring."""

sources_max = 12
"""Of more holders so many are weighed as where bytes come from: a third of them those next to the
receiver's number, as the devices of one node are, the others those that could send soonest."""

LOST = "bytes it needs were lost: "


def lost(contents: Contents) -> str:
    """Why contents are lost; the first cause, however many commands it has passed through."""
    assert contents.lost is not None
    return LOST + contents.lost.removeprefix(LOST)


def sources(
    view: View, traffic: Traffic, contents: Contents, holders: frozenset[int], device: int = 0
) -> list[Place]:
    """Where bytes for a device can come from, 0 for the client; some of them if they are many.

    holders: those to come, too. None if that is the client, or if they were never written. Raises
    PlanFailed if they are nowhere else than where nothing may be sent from now.
    """
    ordered = sorted(holders)
    places: list[Place] = []
    if len(ordered) > sources_max:
        third = sources_max // 3
        first = max(0, bisect_left(ordered, device) - third // 2)
        weighed = {*ordered[first : first + third]}
        weighed.update(traffic.idle(contents.holders, holders, third))
        places = view.places(sorted(weighed))
    if ordered and not places:
        places = view.places(ordered)
    if holders and not places and contents.staging is None:
        raise PlanFailed(OUT_OF_RESOURCES, LOST + "no node that holds them can be reached")
    return places


def bring(
    draft: Draft,
    view: View,
    buffer: Buffer,
    start: int,
    end: int,
    to: Place,
    shared: bool = False,
) -> None:
    """A device shall hold the current contents of a region.

    shared: the command doesn't need them, so that bytes that were lost are left out. Raises
    PlanFailed for bytes that it needs and that were lost, PlanPaused if there is no more room.
    """
    if buffer.held.get(to.device) == buffer.size:
        return  # the usual case, told without looking at each piece
    for low, high, contents, holders in draft.pieces(buffer, start, end):
        if to.device in holders:
            continue
        if contents.lost is not None:
            if not shared:
                raise PlanFailed(OUT_OF_RESOURCES, lost(contents))
        elif contents.version == 0:
            draft.zero(buffer, low, high, to, shared)
        else:
            found = sources(view, draft.traffic, contents, holders, to.device)
            source = draft.traffic.choose(view.links, buffer, low, high, found, to)
            draft.carry(buffer, low, high, source, to, shared)
            draft.take_room(len(holders) // holders_by_piece)


def gather(
    draft: Draft, view: View, buffer: Buffer, start: int, end: int, to: Place
) -> None:
    """Whoever cuts a buffer that is in very many pieces has the rest of it brought together first.

    Else who needs the buffer whole would have to bring them all. start, end: what will be
    overwritten. Raises PlanPaused.
    """
    if buffer.is_cut_up:
        bring(draft, view, buffer, 0, start, to, shared=True)
        bring(draft, view, buffer, end, buffer.size, to, shared=True)
