"""Kernels that may run in parts only if these are known to be apart, but for what comes together.

Owns: which buffers parts may share, and how that is merged. Must not know: why a kernel is one of
these (`master.access.programs`), or how parts are found.

Atomic operations, fences, volatile memory and images let work-groups meet, in the bytes that they
share and nowhere else. So parts that share none can't tell that they are parts; what they do share
has to be something of which the outcome is the same however it comes about (`sharing`). No such
launch is trusted to be free of races.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from master.access.kernels import Footprint
from master.access.sharing import Sharing, sharing
from master.plan.plan import Answer, BufferAnswer
from master.plan.regions import Hulls
from master.plan.uses import Use
from vcl.wire.messages import session
from vcl.wire.messages.part import How

_HOWS = {
    "image": How.CHANGED,
    "add": How.ADD,
    "min": How.MIN,
    "max": How.MAX,
    "umin": How.MIN_UNSIGNED,
    "umax": How.MAX_UNSIGNED,
    "and": How.AND,
    "or": How.OR,
    "xor": How.XOR,
}


class Shared(dict[int, Sharing]):
    """By id, the buffers that parts may share."""

    def how(self, buffer: int) -> How:
        """How what parts changed in a buffer comes together."""
        return _HOWS[self[buffer].how] if buffer in self else How.CHANGED

    def is_reduction(self, buffer: int) -> bool:
        """Whether in whichever order parts change a buffer makes no difference."""
        return buffer in self and self[buffer].how != "image"

    def why_not(self, hulls: Hulls) -> str | None:
        """Why parts that touch the same bytes can't run as such, or None if they may."""
        return None if self.keys() >= set(hulls.meeting) else hulls.why

    def answer(self, hulls: Hulls, answers: Sequence[BufferAnswer]) -> Answer:
        """The answer for parts whose changes are merged, from that of each buffer without it."""
        told = []
        for one in answers:
            if self.is_reduction(one.buffer):
                how = self[one.buffer]
                reason = f"atomic {how.operation} of all parts (line {how.line})"
                one = one._replace(answer="reduce", reason=reason)
            told.append(one)
        if hulls.meeting and all(map(self.is_reduction, hulls.meeting)):
            why = "what parts do to the same bytes by atomic operations is put together"
            return Answer("reduce", why, tuple(told))
        reason = hulls.reason
        if any(map(self.is_reduction, hulls.meeting)):
            reason = "what parts change in images is merged, what they do by atomic operations put"
            reason += " together"
        return Answer("merge", reason, tuple(told))

    def uses(self, uses: Sequence[Use]) -> list[Use]:
        """The same, of the elements that are merged."""
        return [
            replace(use, element=self[use.buffer.id].size)
            if self.is_reduction(use.buffer.id) else use
            for use in uses
        ]  # fmt: skip


def shared_of(footprint: Footprint, m: session.Launch) -> Shared:
    """What parts of a launch may share."""
    regions: dict[int, dict[int, tuple[int, int]]] = {}
    for index, argument in enumerate(m.arguments):
        if (region := session.argument_region(argument)) is not None:
            buffer, offset, size = region
            regions.setdefault(buffer, {})[index] = offset, size
    found = Shared()
    for buffer, by_argument in regions.items():
        touches = [t for t in footprint.touches if t.argument in by_argument]
        if touches and (how := sharing(touches, by_argument)) is not None:
            found[buffer] = how
    return found
