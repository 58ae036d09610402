"""Committing a plan again that is parts of a launch, where all they need is at hand already.

Owns: `Replay`, what such a plan's last commit found, whether that is so still, and doing the same
again. Must not know: why a plan is as it is, whether it is right again (`templates`), or the order
of commands.

What `Replay.commit` leaves behind is exactly what `Committer.commit` would: that one is the rule,
this is a copy of what it does where there is nothing to make, to build, to send or to receive, and
the test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from master.commands import Command
from master.ledger import Gives, Ledger
from master.objects import Program
from master.plan.plan import Kind, Makes, Plan, Step
from master.plan.residency import Buffer, Contents, Touched
from master.reports import LaunchRecord
from vcl.wire.messages import part
from vcl.wire.shapes import Numbered, ShapeNumbers, Told, changed

_new = tuple.__new__
"""A NamedTuple's own is a function of Python, and takes twice as long."""

Operand = tuple[Buffer, int, int]
"""A region, of a buffer that is known."""


parts_max = 64
"""A plan of more parts isn't replayed: others wait for as long as that takes."""


def only_runs(plan: Plan) -> bool:
    """Whether it is parts of a launch that run where all is at hand, and nothing else."""
    if not 0 < len(plan.steps) <= parts_max or plan.transfers or plan.deliveries or plan.regions:
        return False
    if plan.answer is None or plan.staged is not None or not plan.complete:
        return False
    return all(
        step.kind is Kind.RUN
        and step.makes in (Makes.VERSION, Makes.NOTHING)
        and not (step.shared or step.receives or step.sends is not None)
        for step in plan.steps
    )


class _Part:
    """A step, and what it names. runs: what it runs a kernel of. numbers: of the executor's shapes;
    said: what it was told the step with."""

    __slots__ = (
        "device", "endpoint", "holders", "main", "named", "node", "number", "numbers", "piece",
        "reads", "runs", "said", "step", "writes",
    )  # fmt: skip

    def __init__(
        self,
        step: Step,
        buffers: Mapping[int, Buffer],
        runs: Program,
        endpoint: int,
        numbers: ShapeNumbers,
        said: Numbered,
    ) -> None:
        self.step, self.runs = step, runs
        self.device, self.node = step.place.device, step.place.node
        self.endpoint, self.numbers, self.said = endpoint, numbers, said
        self.holders = frozenset((self.device,))
        self.main, self.number = step.main, step.part
        self.piece = None if step.rim else step.piece
        self.named = [buffers[n] for n in {n for n, _, _ in (*step.reads, *step.writes)}]
        self.reads = [(buffers[n], start, end) for n, start, end in step.reads]
        self.writes: list[Operand] = []
        if step.makes is Makes.VERSION:
            self.writes = [(buffers[n], start, end) for n, start, end in step.writes]

    def holds(self, shapes: Mapping[int, ShapeNumbers]) -> bool:
        """Whether the executor has memory, the program and the shape, and nothing is to be let
        go."""
        for buffer in self.named:
            if not buffer.at_hand(self.device):
                return False
        said = self.said
        return (
            shapes.get(self.endpoint) is self.numbers
            and said.number != 0
            and said.kept[0] is self.step
            and self.node in self.runs.nodes
        )


class Replay:
    """A plan of parts alone. told: by which its launch is repeated. `set_up` comes first."""

    __slots__ = ("_kernel", "_mode", "_parts", "_plan", "_program", "_reason", "_told")

    def __init__(self, plan: Plan, program: Program, told: Told) -> None:
        assert plan.answer is not None
        self._plan = plan
        self._mode, self._reason, _ = plan.answer
        self._kernel = program.kernels[told.message.kernel]
        self._program = program
        self._told = told
        self._parts: list[_Part] = []

    def set_up(
        self, named: Sequence[Buffer], endpoint: Callable[[int], int],
        shapes_of: Callable[[int], ShapeNumbers],
    ) -> bool:
        """Find what its steps name; answers whether all of them were told.

        named: the buffers of the launch. endpoint, shapes_of: of the executor on a node, its number
        and what it was told.
        """
        buffers = {buffer.id: buffer for buffer in named}
        for step in self._plan.steps:
            numbers = shapes_of(step.place.node)
            said = numbers.find((self._told, step.part))
            if said is None:
                return False
            runs = self._program.variant if step.rewritten else self._program
            assert isinstance(runs, Program)
            at = endpoint(step.place.node)
            self._parts.append(_Part(step, buffers, runs, at, numbers, said))
        return True

    def holds(self, told: Told, shapes: Mapping[int, ShapeNumbers]) -> bool:
        """Whether all of it can be done again as it was. shapes: what executors were told, by
        endpoint."""
        if told is not self._told:
            return False
        for each in self._parts:
            if not each.holds(shapes):
                return False
            if each.runs is not self._program and each.runs is not self._program.variant:
                return False
        return True

    def commit(self, command: Command, values: Sequence[bytes], ledger: Ledger) -> None:
        """Carry the plan out for a command, where it `holds`.

        values: as in session.Repeat, and not too many.
        """
        told = self._told
        command.record = LaunchRecord(
            self._mode, self._reason, self._kernel, told.message, self._plan
        )
        event, given = command.event, values
        for each in self._parts:
            device, said = each.device, each.said
            operation = ledger.begin(each.node, command, each.main, each.number, each.piece)
            number, live = operation.id, ledger.live
            waits: set[int] = set()
            for buffer, start, end in each.reads:
                buffer.read_by(number, device, start, end, live.keys(), waits)
            if each.writes:
                touched, holders, gives = Touched(number), each.holders, []
                for buffer, start, end in each.writes:
                    version = ledger.new_version()
                    gives.append(_new(Gives, (buffer, device, start, end, version, True)))
                    contents = _new(Contents, (version, holders, None, None))
                    buffer.rewritten_by(touched, device, start, end, contents, live, waits)
                operation.gives = tuple(gives)
            waits.discard(number)  # of a region that is named twice
            said.used = True
            known: list[bytes] = said.kept[1]
            if known is not told.values and given is values:
                given = [*values, *told.values[len(values) :]]
            again = (number, sorted(waits), said.number, changed(given, known), event)
            ledger.for_nodes[each.node].append(_new(part.Again, again))
            each.runs.note_operation(number, live.keys())
