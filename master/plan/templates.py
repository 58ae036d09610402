"""Plans that are used again: a launch that is repeated needn't be planned again.

Owns: which launches are repetitions, and what must be as it was for their plan to be right again.
Must not know: what is in a plan.

A plan depends on the launch (kernel, geometry, regions; the values of other arguments aren't in
it), on the verdict of its program, on whether parts pay by what is known of the kernel, on which
places there are, and on where the bytes of its regions are: in which pieces, on which devices, at
the client, or nowhere yet. Versions don't matter: commit reads them. What depends on more than that
isn't kept.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from master.access.guard import Verdict
from master.objects import KernelFacts, Program, Queue
from master.plan.plan import Plan
from master.plan.residency import Buffer
from master.plan.uses import Use
from master.plan.worth import Worth, worth
from vcl.wire.messages import session

templates_max = 256
"""Launches whose last plan is kept, of a session."""

pieces_max = 16
"""Pieces of all regions together past which it isn't: comparing would cost as much as planning."""

ZEROS, AT_CLIENT, HELD = range(3)

Shape = tuple[tuple[int, int, frozenset[int], int], ...]


def key_of(queue: Queue, m: session.Launch) -> tuple[Any, ...]:
    """What is the same for all repetitions of a launch."""
    return (
        queue.id, m.program, m.kernel, *m.global_offset, None, *m.global_size, None,
        *(m.local_size or ()), None,
        *[tuple(a) if type(a) is list else None for a in m.arguments],
    )  # fmt: skip


def shape_of(uses: Sequence[Use]) -> Shape | None:
    """Where the bytes of regions are; None if that isn't simple enough to compare."""
    shape: list[tuple[int, int, frozenset[int], int]] = []
    for use in uses:
        if use.buffer.is_cut_up:
            return None  # then a plan may touch more than its regions
        for start, end, contents in use.buffer.contents.segments(use.start, use.end):
            if contents.lost is not None:
                return None
            where = HELD if contents.staging is None else AT_CLIENT
            shape.append((start, end, contents.holders, where if contents.version else ZEROS))
        if len(shape) > pieces_max:
            return None
    return tuple(shape)


class Template(NamedTuple):
    """A plan, and what it depends on besides the launch itself."""

    uses: list[Use]
    kernel: KernelFacts
    verdict: Verdict | None
    conflicts: str | None
    worth: Worth
    pays: bool
    shape: Shape
    plan: Plan


class Templates:
    """The last plans of a session's launches."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Any, ...], Template] = OrderedDict()
        self.used = 0
        """Launches that weren't planned anew."""

    def clear(self) -> None:
        """There are other places than before."""
        self._kept.clear()

    def find(
        self, key: tuple[Any, ...], program: Program, buffers: Mapping[int, Buffer]
    ) -> Plan | None:
        """The plan of a repetition, if all is as it was. buffers: the session's, by id."""
        found = self._kept.get(key)
        if (
            found is None
            or program.kernels.get(found.kernel.name) is not found.kernel
            or program.verdict is not found.verdict
            or found.kernel.conflicts != found.conflicts
            or found.worth.pays(found.kernel) != found.pays
            or any(buffers.get(use.buffer.id) is not use.buffer for use in found.uses)
            or shape_of(found.uses) != found.shape
        ):
            return None
        self._kept.move_to_end(key)
        self.used += 1
        return found.plan

    def keep(
        self,
        key: tuple[Any, ...],
        program: Program,
        m: session.Launch,
        uses: list[Use],
        count: int,
        plan: Plan,
    ) -> None:
        """A launch was planned, and nothing has changed since. count: places it may have."""
        shape = shape_of(uses)
        if shape is None or not plan.complete:
            return
        kernel = program.kernels[m.kernel]
        gain = worth(m.global_size, uses, count)
        self._kept[key] = Template(
            uses, kernel, program.verdict, kernel.conflicts, gain, gain.pays(kernel), shape, plan
        )
        if len(self._kept) > templates_max:
            self._kept.popitem(last=False)
