"""Plans that are used again: a launch that is repeated needn't be planned again.

Owns: which launches are repetitions, and what must be as it was for their plan to be right again.
Must not know: what is in a plan.

A plan depends on the rates of links and on why something isn't known, and is forgotten when these
change. Besides, it depends on the launch (kernel, what is declared of it, geometry, regions, other
arguments where it may be split), on the verdict of its program, on whether parts pay by what is
known of the kernel, on which places there are, and on where the bytes of its regions are: in which
pieces, on which devices, at the client, or nowhere yet. Versions don't matter: commit reads them.
What depends on more than that isn't kept.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from master.access.guard import Verdict
from master.commands import Command
from master.objects import KernelFacts, Program, Queue
from master.plan.plan import Plan
from master.plan.residency import Buffer
from master.plan.uses import Use
from vcl.wire.messages import session
from vcl.wire.shapes import Told

templates_max = 256
"""Launches whose last plan is kept, of a session."""

pieces_together_max, pieces_by_device, pieces_ceiling = 2**15, 8, 2**17
"""What all of a session's kept plans together are of: pieces of their regions, steps, and what
these touch. On many devices so many for each, and at most the last, some 100 MB. A plan of more
isn't kept."""

ZEROS, AT_CLIENT, HELD = range(3)

Shape = list[tuple[int, int, frozenset[int], int]]


def key_of(queue: Queue, m: session.Launch, told: Told | None) -> tuple[Any, ...]:
    """What is the same for all repetitions of a launch; told: by which it may be repeated.

    The values of other arguments are, too, where a launch may be split: what it touches depends on
    them. Of one that was told it is known which of them its last plan depends on.
    """
    if told is not None:  # which stands for all but the values
        arguments = m.arguments
        return told, told.depends, *[arguments[i] for i in told.depends]
    splits = queue.context.split and not queue.device
    return (
        queue.id, m.program, m.kernel, m.declared, *m.global_offset, None, *m.global_size, None,
        *(m.local_size or ()), None,
        *[tuple(a) if type(a) is list else a if splits else None for a in m.arguments],
    )  # fmt: skip


def most_pieces(queue: Queue) -> int:
    """What the kept plans may be of together, for one of them that is of this queue."""
    by_devices = pieces_by_device * len(queue.context.devices)
    return max(pieces_together_max, min(by_devices, pieces_ceiling))


def shape_of(uses: Sequence[Use], most: int) -> Shape | None:
    """Where the bytes of regions are, in at most so many pieces; None if that isn't simple enough
    to compare."""
    shape: list[tuple[int, int, frozenset[int], int]] = []
    for use in uses:
        if use.buffer.is_cut_up:
            return None  # then a plan may touch more than its regions
        for start, end, contents in use.buffer.contents.segments(use.start, use.end):
            if contents.lost is not None:
                return None
            where = HELD if contents.staging is None else AT_CLIENT
            shape.append((start, end, contents.holders, where if contents.version else ZEROS))
        if len(shape) > most:
            return None
    return shape


def layouts_of(uses: Sequence[Use]) -> list[tuple[Buffer, int]]:
    """The buffers of regions, with the layouts that they have now."""
    return [(use.buffer, use.buffer.layout) for use in uses]


@dataclass(slots=True)
class Template:
    """A plan, and what it depends on besides the launch itself.

    buffers: that the launch names, as often as it does. layouts: of those of the uses when their
    shape was this. pieces: what it counts among all that are kept.
    """

    key: tuple[Any, ...]
    queue: Queue
    program: Program
    buffers: tuple[Buffer, ...]
    uses: list[Use]
    kernel: KernelFacts
    verdict: Verdict | None
    conflicts: str | None
    shape: Shape
    layouts: list[tuple[Buffer, int]]
    plan: Plan
    pieces: int
    replay: Any = None
    """Who commits the plan keeps here what it needs to do so again."""

    def holds(self) -> bool:
        """Whether the plan is right again, for a launch of the same kernel on the same buffers."""
        kernel = self.kernel
        if (
            self.program.kernels.get(kernel.name) is not kernel
            or self.program.verdict is not self.verdict
            or kernel.conflicts != self.conflicts
        ):
            return False
        for worth, pays in self.plan.compared:
            if worth.pays(kernel.item_ns) != pays:
                return False
        for buffer, layout in self.layouts:
            if buffer.layout != layout:  # else it isn't worth looking at the pieces
                if shape_of(self.uses, len(self.shape)) != self.shape:
                    return False
                self.layouts = layouts_of(self.uses)
                break
        return True


class Templates:
    """The last plans of a session's launches."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Any, ...], Template] = OrderedDict()
        self._pieces = 0
        self.used = 0
        """Launches that weren't planned anew."""

    def clear(self) -> None:
        """What was kept may be wrong."""
        self._kept.clear()
        self._pieces = 0

    def named(
        self,
        key: tuple[Any, ...],
        queue: Queue,
        programs: Mapping[int, Program],
        buffers: Mapping[int, Buffer],
    ) -> Template | None:
        """That of a launch which repeats one that was found right, on the very same objects.

        programs, buffers: the session's, by id, which others may have by now.
        """
        found = self._kept.get(key)
        if (
            found is None
            or found.queue is not queue
            or programs.get(found.program.id) is not found.program
        ):
            return None
        for buffer in found.buffers:
            if buffers.get(buffer.id) is not buffer:
                return None
        return found

    def repeated(self, told: Told, values: Sequence[bytes], queue: Queue) -> Template | None:
        """As `named` and `find` in one, of a launch by which another is repeated, but whether the
        client still holds the buffers.

        values: as in session.Repeat, and not too many.
        """
        key: tuple[Any, ...] = (told, told.depends)
        if told.depends:
            arguments = told.arguments(values)
            key = (*key, *[arguments[i] for i in told.depends])
        found = self._kept.get(key)
        # A program that wasn't let go of is the one that its id names.
        if (
            found is None
            or found.queue is not queue
            or found.program.released
            or not found.holds()
        ):
            return None
        return found

    def find(self, command: Command) -> Plan | None:
        """The plan of a repetition, if all is as it was."""
        key = command.key
        found = None if key is None else self._kept.get(key)
        if (
            found is None
            or found.queue is not command.queue
            or found.program is not command.program
            or found.buffers != command.buffers
            or not found.holds()
        ):
            return None
        self.use(found)
        return found.plan

    def use(self, template: Template) -> None:
        """The plan of a template that was found is used."""
        self._kept.move_to_end(template.key)
        self.used += 1

    def keep(self, command: Command, uses: list[Use], plan: Plan) -> None:
        """A launch was planned, and nothing has changed since."""
        if not plan.complete or command.key is None:
            return
        most = most_pieces(command.queue)
        shape = shape_of(uses, most)
        if shape is None:
            return
        m, program = command.message, command.program
        kernel = program.kernels[m.kernel]
        if command.told is not None:
            command.told.depends = plan.depends
            command.key = key_of(command.queue, m, command.told)
        if (before := self._kept.pop(command.key, None)) is not None:
            self._pieces -= before.pieces
        pieces = len(shape) + sum(1 + len(s.reads) + len(s.writes) for s in plan.steps)
        self._pieces += pieces
        self._kept[command.key] = Template(
            command.key, command.queue, program, command.buffers, uses, kernel, program.verdict,
            kernel.conflicts, shape, layouts_of(uses), plan, pieces,
        )  # fmt: skip
        while len(self._kept) > templates_max or self._pieces > most:
            self._pieces -= self._kept.popitem(last=False)[1].pieces
