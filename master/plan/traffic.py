"""When the transfers of a plan are over, and where each has its bytes from.

Owns: that estimate, and the choice by it. Must not know: what is brought where and why, how bytes
travel, or how rates are known.

Theory of operation. What an end sends goes one after the other, each for as long as links tell, and
a device can't send what it hasn't got yet. Of those who have the bytes, or will, the one is asked
with which the transfer ends first, if what each takes besides its bytes keeps its sender busy. So
where many need the same bytes, each that has got them hands them on: a tree, whose depth is the
logarithm of how many there are, where all would otherwise wait for one. A piece is handed on when
all of it is there, so a chain is no better.

How long all of it takes is told otherwise. What was measured of a transfer besides its bytes is
that its receiver waits: so it counts for each that a device gets, or that its bytes come by one
after the other, but doesn't keep the sender from sending more. Else it would seem not to pay to
hand one device's bytes out to many.

What an end receives takes as long as all of it together, whenever each begins: plans are put
together receiver by receiver, and neighbours that exchange their borders would otherwise seem to
wait for each other, one after the other along the whole launch.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence, Set
from itertools import islice
from typing import NamedTuple

from master.places import Place
from master.plan.links import CLIENT, Links, besides_ns
from master.plan.residency import Buffer
from vcl.region import RegionMap

CLIENT_DEVICE = 0
"""Among devices: the client."""

idle_looked_max = 32
"""So many of those that are free first are looked at for such that have certain bytes."""


class Arrival(NamedTuple):
    """When bytes come to a device.

    there_ns: as sources are chosen by. bytes_ns: by what bytes take alone. hops: transfers that
    they come by, one after the other.
    """

    there_ns: float = 0.0
    bytes_ns: float = 0.0
    hops: int = 0


BEFORE = Arrival()
"""Of what a device has already."""


class Traffic:
    """Of one plan's transfers so far, in estimated nanoseconds from when it begins."""

    def __init__(self) -> None:
        self._count = 0
        self._arrivals: dict[tuple[int, int], RegionMap[Arrival]] = {}  # by buffer and device
        self._sends_until: dict[int, float] = {}  # as sources are chosen by
        self._free: dict[int, float] = {}  # when those that send or receive could send again
        self._freed: list[tuple[float, int]] = []  # the same in order, once it is asked for
        self._sent: dict[int, float] = {}  # when a device's bytes are
        self._received: dict[int, tuple[float, int]] = {}  # what its bytes take, and transfers
        self._bytes_ns = 0.0  # when the last bytes come, by what these take alone
        self._waits = 0  # the most transfers to one device, or one after the other

    @property
    def ends_ns(self) -> float:
        """When the last of them is over."""
        return self._bytes_ns + besides_ns * self._waits

    def choose(
        self,
        links: Links,
        buffer: Buffer,
        start: int,
        end: int,
        sources: Sequence[Place],
        to: Place,
    ) -> Place | None:
        """Where bytes [start, end) of a buffer come from, which counts as a transfer from now.

        On the same node if they can; of equals the lowest device; None for the client, if there is
        no other.
        """
        source, sender, arrival = None, CLIENT_DEVICE, BEFORE
        size, here, sends_until = end - start, to.node, self._sends_until
        if sources:
            best: tuple[bool, float, int] | None = None
            for place in sources:
                device, node = place.device, place.node
                comes = self._arrival(buffer, start, end, device)
                begins = max(sends_until.get(device, 0.0), comes.there_ns)
                key = node != here, begins + links.transfer_ns(node, here, size), device
                if best is None or key < best:
                    best, source, sender, arrival = key, place, device, comes
        takes = links.transfer_ns(CLIENT if source is None else source.node, here, size)
        goes = self._add(sender, to.device, arrival, takes)
        found = self._arrivals.get((buffer.id, to.device))
        if found is None:
            found = self._arrivals[buffer.id, to.device] = RegionMap(buffer.size, BEFORE)
        found.assign(start, end, goes)
        return source

    def _arrival(self, buffer: Buffer, start: int, end: int, device: int) -> Arrival:
        """Of the last of these bytes."""
        found = self._arrivals.get((buffer.id, device))
        if found is None:
            return BEFORE
        values = found.values(start, end)
        return values[0] if len(values) == 1 else Arrival(*map(max, zip(*values, strict=True)))

    def _add(self, sender: int, to: int, ready: Arrival, takes: float) -> Arrival:
        """A transfer of bytes that come to its sender then."""
        self._count += 1
        bytes_ns = takes - besides_ns
        received, count = self._received.get(to, (0.0, 0))
        received, count = self._received[to] = received + bytes_ns, count + 1
        sent = self._sent[sender] = max(self._sent.get(sender, 0.0), ready.bytes_ns) + bytes_ns
        ends = max(self._sends_until.get(sender, 0.0), ready.there_ns) + takes
        self._sends_until[sender] = ends
        there = max(ends, received + besides_ns * count)
        self._busy(sender, ends)
        self._busy(to, there)
        goes = Arrival(there, max(sent, received), ready.hops + 1)
        self._bytes_ns = max(self._bytes_ns, goes.bytes_ns)
        self._waits = max(self._waits, count, goes.hops)
        return goes

    def idle(self, have: Set[int], holders: Set[int], most: int) -> list[int]:
        """Some of many holders, that could send soonest; have: those of them that aren't to come.

        So many at most of those that do something in this plan, and so many of the others.
        """
        if not self._freed:
            self._freed = sorted((until, device) for device, until in self._free.items())
        free = islice(self._freed, idle_looked_max)
        found = [device for _, device in free if device in holders][:most]
        # Of those that may not have sent yet others each time.
        ordered = sorted(have)
        if ordered:
            at = self._count % len(ordered)
            found += ordered[at : at + most]
        return found

    def _busy(self, device: int, until: float) -> None:
        before = self._free.get(device, 0.0)
        if until <= before:
            return
        self._free[device] = until
        if self._freed:
            if before:
                del self._freed[bisect_left(self._freed, (before, device))]
            insort(self._freed, (until, device))
