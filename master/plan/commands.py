"""Plans of all commands but launches.

Owns: where each of them runs, and what it reads and writes. Must not know: ids, versions, waits,
messages, or the order of commands.
"""

from __future__ import annotations

from typing import Any

from master.checks import regions
from master.objects import Queue
from master.places import Place, PlanFailed
from master.plan import movement
from master.plan.contents import Written, unchanged
from master.plan.movement import bring, gather, lost, sources
from master.plan.plan import NOBODY, Draft, Kind, Makes, Plan, Region, Step
from master.plan.residency import Buffer, Contents
from master.plan.view import View
from vcl.errors import OUT_OF_RESOURCES
from vcl.wire.limits import staging_bytes_max
from vcl.wire.messages import session

copied_max = 16
"""Pieces of earlier bytes past which a Write's bytes aren't copied from there."""


def written(view: View, message: Any) -> list[tuple[Buffer, int, int]]:
    """The region that any command but a launch writes, if it writes one."""
    if isinstance(message, (session.Copy, session.CopyRect)):
        number, start, size = regions(message)[1]
    elif isinstance(message, (session.Write, session.Fill)):
        number, start, size = regions(message)[0]
    else:
        return []
    return [(view.buffers[number], start, start + size)]


def plan_write(draft: Draft, view: View, queue: Queue, m: session.Write) -> Plan:
    """The client keeps the bytes, unless it has much already or the buffer is in many pieces.

    It will soon have to wait, or a command will have many pieces to gather: so they are handed on
    before somebody asks for them. Where such bytes are already, nothing is to be done; where they
    are on a device in another place, it makes a copy.
    """
    buffer, end = view.buffers[m.buffer], m.offset + m.size
    region = Region(buffer.id, m.offset, end)
    ranges = view.written.find(m.digest)
    for one in ranges:
        if one[:3] == region and unchanged(buffer, one):
            return draft.plan()
    if not buffer.is_cut_up and _copied(draft, view, queue, ranges, region):
        return draft.plan(staged=region)
    if buffer.is_cut_up or view.staged_bytes + m.size > staging_bytes_max // 2:
        place = view.nearest(queue, [(buffer, 0, buffer.size)])
        gather(draft, view, buffer, m.offset, end, place)
        draft.carry(buffer, m.offset, end, None, place, shared=False)
    return draft.plan(staged=region)


def _copied(
    draft: Draft, view: View, queue: Queue, ranges: list[Written], to: Region
) -> bool:
    """The devices that hold such bytes copy them; false if there is none for some of them.

    The client keeps its own until they have, and the command waits for nothing of it.
    """
    buffer = view.buffers[to.buffer]
    for one in ranges:
        number, first, last, _ = one
        source = view.buffers.get(number)
        if source is None or source.context != buffer.context:
            continue
        if last - first != to.end - to.start:
            continue
        if source is buffer and first < to.end and to.start < last:
            continue
        pieces = unchanged(source, one)
        if not 0 < len(pieces) <= copied_max:
            continue
        holders = [_holder(view, queue, contents) for _, _, contents in pieces]
        if None in holders:
            continue
        for (low, high, _), place in zip(pieces, holders, strict=True):
            assert place is not None
            reads = Region(number, low, high)
            writes = Region(to.buffer, to.start + low - first, to.start + high - first)
            draft.add(
                Step(
                    Kind.COPY, place, reads=(reads,), writes=(writes,), makes=Makes.COPY,
                    shared=True,
                )
            )  # fmt: skip
        return True
    return False


def _holder(view: View, queue: Queue, contents: Contents) -> Place | None:
    """A device that holds a piece and may be used: the queue's own, if that does."""
    holders = sorted(contents.holders, key=lambda device: (device != queue.device, device))
    return next(iter(view.places(holders[: movement.sources_max])), None)


def plan_read(draft: Draft, view: View, queue: Queue, m: session.Read) -> Plan:
    """From one holder for neighbouring pieces: fewer and longer transfers."""
    buffer, end = view.buffers[m.buffer], m.offset + m.size
    pieces = list(buffer.contents.segments(m.offset, end))
    for _, _, contents in pieces:
        if contents.lost is not None:
            raise PlanFailed(OUT_OF_RESOURCES, lost(contents))
    joined = _joined(pieces)
    if sum(contents.staging is None for _, _, contents in joined) > movement.brought_max:
        place = view.nearest(queue, [(buffer, m.offset, end)])
        bring(draft, view, buffer, m.offset, end, place)
        draft.deliver(buffer, m.offset, end, place)
        return draft.plan()
    for start, stop, contents in joined:
        found: list[Place] = []
        if contents.staging is None:
            found = sources(view, draft.traffic, contents, contents.holders)
        draft.deliver(buffer, start, stop, found[0] if found else None)
    return draft.plan()


def plan_copy(draft: Draft, view: View, queue: Queue, m: session.Copy | session.CopyRect) -> Plan:
    """On the place that holds most of both regions. Of boxes the hulls are meant, whose gaps keep
    their contents."""
    (from_id, start, size), (to_id, first, to_size) = regions(m)
    source, destination = view.buffers[from_id], view.buffers[to_id]
    end, last = start + size, first + to_size
    place = view.nearest(queue, [(source, start, end), (destination, first, last)])
    bring(draft, view, source, start, end, place)
    kind = Kind.COPY
    if isinstance(m, session.CopyRect):
        kind = Kind.COPY_BOX
        bring(draft, view, destination, first, last, place)
    gather(draft, view, destination, first, last, place)
    reads, writes = Region(from_id, start, end), Region(to_id, first, last)
    draft.add(
        Step(kind, place, reads=(reads,), writes=(writes,), makes=Makes.VERSION, main=True)
    )
    return draft.plan()


def plan_fill(draft: Draft, view: View, queue: Queue, m: session.Fill) -> Plan:
    """On the place that holds most of the buffer."""
    buffer, end = view.buffers[m.buffer], m.offset + m.size
    place = view.nearest(queue, [(buffer, 0, buffer.size)])
    gather(draft, view, buffer, m.offset, end, place)
    writes = (Region(buffer.id, m.offset, end),)
    draft.add(Step(Kind.FILL, place, writes=writes, makes=Makes.VERSION, main=True))
    return draft.plan()


def _joined(pieces: list[tuple[int, int, Contents]]) -> list[tuple[int, int, Contents]]:
    """Join neighbouring pieces that one place or one staging copy can serve in one go."""
    joined: list[tuple[int, int, Contents]] = []
    for start, end, contents in pieces:
        if joined:
            before = joined[-1]
            old = before[2]
            common = old.holders & contents.holders
            same_staging = old.staging == contents.staging
            if same_staging and (common or old.holders == contents.holders == NOBODY):
                joined[-1] = (before[0], end, Contents(old.version, common, old.staging))
                continue
        joined.append((start, end, contents))
    return joined
