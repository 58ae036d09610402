"""What planning may look at: where bytes are, which places there are. It changes nothing.

Owns: `View`. Must not know: what is planned, ids, or messages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from master.ledger import Ledger
from master.objects import Program, Queue
from master.places import NONE_CONNECTED, Candidates, Place, PlanFailed
from master.plan.contents import WrittenContents
from master.plan.links import Links
from master.plan.residency import Buffer
from vcl.errors import DEVICE_NOT_AVAILABLE


class Policy(NamedTuple):
    """What the cluster's owner wants of launches that may be split.

    split_always: they are, though it doesn't pay. trusts: also such of which nobody knows whether a
    part reads what another writes, as no program does that is free of data races.
    """

    split_always: bool = True
    trusts: bool = True


DEFAULT_POLICY = Policy()


class View:
    """The state of a session, for its planner.

    places: answers the usable places among device ids, in a stable order. why_none: why there is
    none, for the user.
    """

    def __init__(
        self,
        ledger: Ledger,
        buffers: dict[int, Buffer],
        programs: dict[int, Program],
        places: Callable[[Sequence[int]], list[Place]],
        why_none: Callable[[Sequence[int]], str] = lambda devices: NONE_CONNECTED,
        policy: Policy = DEFAULT_POLICY,
    ) -> None:
        self.buffers = buffers
        """By id."""
        self.programs = programs
        """By id."""
        self.places = places
        self.links = Links()
        self.written = WrittenContents()
        self.policy = policy
        self._ledger = ledger
        self._why_none = why_none
        self._candidates: dict[int, Candidates] = {}

    @property
    def staged_bytes(self) -> int:
        """Bytes that the client keeps for writes."""
        return self._ledger.staged_bytes

    def places_changed(self) -> None:
        """`places` may answer otherwise from now on."""
        self._candidates.clear()

    def candidates(self, queue: Queue) -> Candidates:
        """The places where a command of this queue may run; raises PlanFailed if there is none."""
        key = queue.device or -queue.context.id
        devices = [queue.device] if queue.device else queue.context.devices
        found = self._candidates.get(key)
        if found is None:
            found = self._candidates[key] = Candidates(self.places(devices))
        if not found.places:
            raise PlanFailed(DEVICE_NOT_AVAILABLE, self._why_none(devices))
        return found

    def nearest(self, queue: Queue, regions: Sequence[tuple[Buffer, int, int]]) -> Place:
        """The place that holds most bytes of the regions; the first of equals."""
        return self.candidates(queue).nearest(regions)
