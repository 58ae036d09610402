"""Committing a plan again that is a single part of a launch, where all of it is at hand already.

Owns: `Replay`, what such a plan's last commit found, whether that is so still, and doing the same
again. Must not know: why a plan is as it is, whether it is right again (`templates`), or the order
of commands.

What `Replay.commit` leaves behind is exactly what `Committer.commit` would: that one is the rule,
this is a copy of what it does where there is nothing to make, to build, to send or to receive, and
the test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Sequence

from master.commands import Command
from master.ledger import Gives, Ledger
from master.objects import Program
from master.plan.plan import Kind, Makes, Plan
from master.plan.residency import Buffer, Contents, Touched
from master.reports import LaunchRecord
from vcl.wire.messages import part
from vcl.wire.shapes import Numbered, ShapeNumbers, Told, changed

_new = tuple.__new__
"""A NamedTuple's own is a function of Python, and takes twice as long."""

Operand = tuple[Buffer, int, int]
"""A region, of a buffer that is known."""


def is_lone(plan: Plan) -> bool:
    """Whether it is one part that runs a program as it was given, and nothing else."""
    if len(plan.steps) != 1 or plan.transfers or plan.deliveries or plan.regions:
        return False
    step = plan.steps[0]
    return (
        step.kind is Kind.RUN
        and plan.answer is not None
        and plan.staged is None
        and plan.complete
        and step.makes in (Makes.VERSION, Makes.NOTHING)
        and not (step.shared or step.rewritten or step.receives or step.sends is not None)
    )


class Replay:
    """A lone plan, and what its step names.

    named: the buffers of the launch. told: by which it is repeated. numbers: of the executor's
    shapes; said: what it was told the step with.
    """

    __slots__ = (
        "_device", "_holders", "_kernel", "_main", "_mode", "_named", "_node", "_numbers",
        "_part", "_piece", "_plan", "_program", "_reads", "_reason", "_said", "_step", "_told",
        "_writes", "endpoint",
    )  # fmt: skip

    def __init__(
        self,
        plan: Plan,
        program: Program,
        named: Sequence[Buffer],
        told: Told,
        endpoint: int,
        numbers: ShapeNumbers,
        said: Numbered,
    ) -> None:
        assert plan.answer is not None
        self.endpoint = endpoint
        """Of the executor that the launch runs on."""
        self._plan = plan
        self._step = step = plan.steps[0]
        self._mode, self._reason, _ = plan.answer
        self._kernel = program.kernels[told.message.kernel]
        self._program = program
        self._told = told
        self._device, self._node = step.place.device, step.place.node
        self._holders = frozenset((self._device,))
        self._numbers, self._said = numbers, said
        self._main, self._part, self._piece = step.main, step.part, step.piece
        buffers = {buffer.id: buffer for buffer in named}
        self._named = list(buffers.values())
        self._reads = [(buffers[n], start, end) for n, start, end in step.reads]
        self._writes: list[Operand] = []
        if step.makes is Makes.VERSION:
            self._writes = [(buffers[n], start, end) for n, start, end in step.writes]

    def holds(self, told: Told, numbers: ShapeNumbers | None) -> bool:
        """Whether the executor has memory, the program and the shape, and nothing is to be let go.

        numbers: of the executor's shapes now.
        """
        for buffer in self._named:
            if not buffer.at_hand(self._device):
                return False
        said = self._said
        return (
            numbers is self._numbers
            and said.number != 0
            and said.kept[0] is self._step
            and told is self._told
            and self._node in self._program.nodes
        )

    def commit(self, command: Command, values: Sequence[bytes], ledger: Ledger) -> None:
        """Carry the plan out for a command, where it `holds`.

        values: as in session.Repeat, and not too many.
        """
        device, told, said, writes = self._device, self._told, self._said, self._writes
        command.record = LaunchRecord(
            self._mode, self._reason, self._kernel, told.message, self._plan
        )
        operation = ledger.begin(self._node, command, self._main, self._part, self._piece)
        number, live = operation.id, ledger.live
        waits: set[int] = set()
        for buffer, start, end in self._reads:
            buffer.read_by(number, device, start, end, live.keys(), waits)
        if writes:
            touched, holders, gives = Touched(number), self._holders, []
            for buffer, start, end in writes:
                version = ledger.new_version()
                gives.append(_new(Gives, (buffer, device, start, end, version, True)))
                contents = _new(Contents, (version, holders, None, None))
                buffer.rewritten_by(touched, device, start, end, contents, live, waits)
            operation.gives = tuple(gives)
        waits.discard(number)  # of a region that is named twice
        said.used = True
        known: list[bytes] = said.kept[1]
        if known is not told.values:
            values = [*values, *told.values[len(values) :]]
        again = (number, sorted(waits), said.number, changed(values, known), command.event)
        ledger.for_nodes[self._node].append(_new(part.Again, again))
        self._program.note_operation(number, live.keys())
