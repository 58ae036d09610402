"""What was found so far for a launch whose division takes several turns.

Owns: how much is looked at in one turn, and what of it needn't be looked at again in the next. Must
not know: how a launch is divided.
"""

from __future__ import annotations

from math import inf, prod
from typing import Any

from master.places import PlanPaused
from vcl.ndrange import NDRange, boxes

looked_at_in_turn_max = 2000
"""What is looked at in one turn, as `Footprint.cost` counts; some seven milliseconds."""

compared_cost, planned_cost = 4, 4
"""What else is done for each part counts so much: comparing all with each other; planning them."""

Counts = tuple[int, ...]
"""Of parts along each dimension, which tell one way to cut a launch from the others."""


class Looked:
    """Of one launch.

    What parts touch is kept while places come and go, as it depends only on how many there are.
    What has to be brought for them isn't: `begin` tells if that may be another.
    """

    def __init__(self, in_turns: bool = True) -> None:
        self._most = looked_at_in_turn_max if in_turns else inf
        self._spent = 0
        self._of: Any = None
        self._now: Any = None
        self.cuts: dict[Counts, Any] = {}
        """What was found of a way to cut."""
        self.rejected: set[Counts] = set()
        """Ways that aren't worth to be looked at."""
        self.parts: list[Any] = []
        """What the first parts touch, of the way that is being looked at."""
        self._pieces: tuple[Counts, list[NDRange]] = (), []

    def begin(self, of: Any, now: Any) -> bool:
        """A turn. of: what parts touch depends on this; if it's another all is found anew. now: and
        what has to be brought for them on this, too; answers whether it is as it was."""
        self._spent = 0
        as_it_was = bool(self._now == now)
        self._now = now
        if self._of != of:
            self._of = of
            self.cuts, self.rejected, self.parts, self._pieces = {}, set(), [], ((), [])
        if not as_it_was:
            self.rejected.clear()
        return as_it_was

    def pieces(self, ndrange: NDRange, counts: Counts) -> list[NDRange]:
        """The parts of a way to cut. Raises PlanPaused."""
        if self._pieces[0] != counts:
            self.spend(2 * prod(counts))
            self._pieces, self.parts = (counts, boxes(ndrange, counts)), []
        return self._pieces[1]

    def found(self, counts: Counts, cut: Any) -> None:
        """All of a way to cut."""
        self.cuts[counts] = cut
        self.parts = []

    def spend(self, cost: int) -> None:
        """Something comes next that costs so much.

        Raises PlanPaused if that is more than is left of the turn: it's for another then, in which
        it comes first.
        """
        if self._spent and self._spent + cost > self._most:
            raise PlanPaused
        self._spent += cost
