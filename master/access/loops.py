"""Loops of a kernel: what holds in each of their rounds.

Owns: how often a loop goes round, and what its variables are meanwhile. Must not know: other
statements (`kernels`).

A loop is walked several times, without noting anything but the last time. First from anything, to
see which variables grow by the same each time round: these are their start and so many times that.
Then, for the others, with ranges that grow until they hold what comes out at the end. Then, to see
how often it can go round: the variables that grow are taken to be what they are as integers without
bounds, which gives a greatest count; it counts only if up to it and one past it none of them leaves
its type. At last with all that, noting what is touched.
"""

from __future__ import annotations

from dataclasses import dataclass

from master.access import tree
from master.access.builtins import Builtins
from master.access.forms import (
    ANYTHING,
    INFINITY,
    Form,
    Range,
    hull,
    minus,
    one,
    plus,
    times,
    within,
)
from master.access.memory import Lost
from master.access.symbols import Symbols
from master.access.values import (
    DATA,
    Address,
    Cells,
    Lanes,
    Number,
    State,
    Trust,
    Value,
    type_range,
)


@dataclass(frozen=True, slots=True)
class _Loop:
    condition: tree.Expression | None
    step: tree.Expression | None
    body: tree.Statement
    test_first: bool


class Loops(Builtins):
    """Walks loops, whose bodies are statements."""

    def __init__(self, program: tree.Program, symbols: Symbols) -> None:
        super().__init__(program, symbols)
        self._returns: list[list[State]] = []
        self._breaks: list[list[State | None]] = []
        self._continues: list[list[State | None]] = []
        self._assigned: dict[int, frozenset[int]] = {}

    def statement(self, s: tree.Statement) -> None:
        """Walk a statement in the current state."""
        raise NotImplementedError

    def loop(
        self,
        s: tree.Statement,
        condition: tree.Expression | None,
        step: tree.Expression | None,
        body: tree.Statement,
        test_first: bool,
    ) -> None:
        """Walk a loop in the current state."""
        if self.state is None:
            return
        entry = self.state
        changed = sorted(v for v in self._changed(s) if v in entry.values)
        counted: list[int] = []
        for variable in changed:
            if isinstance(entry.values[variable], (Number, Address)):
                counted.append(variable)
            else:
                entry.values[variable] = self._anything(variable, entry.values[variable])
        loop = _Loop(condition, step, body, test_first)
        recording, self.recording = self.recording, False
        steps = self._steps_of(loop, entry, counted)
        ranges = self._settled(loop, entry, counted, steps)
        most = self._most_rounds(loop, entry, steps, ranges)
        self.recording = recording
        head = self._head(entry, steps, ranges, one(self.symbols.new((0, most))))
        _, exits = self._once(loop, head)
        self.state = self.knowledge.joined(exits)

    def _anything(self, variable: int, value: Value) -> Value:
        if isinstance(value, Lanes):
            lanes = [
                Number(one(self.symbols.new(type_range(v.type))), v.type) for v in value.lanes
            ]
            return Lanes(tuple(lanes))
        return Cells() if isinstance(value, Cells) else DATA

    def _once(
        self, loop: _Loop, head: State
    ) -> tuple[State | None, list[State | None]]:
        """Once round: the state in which it comes back, and those in which it's left."""
        exits: list[State | None] = []
        self.state = head
        if loop.test_first:
            self._test(loop, exits)
        self._breaks.append([])
        self._continues.append([])
        self.statement(loop.body)
        self.state = self.knowledge.joined([self.state, *self._continues.pop()])
        if loop.step is not None and self.state is not None:
            self.value(loop.step)
        if not loop.test_first:
            self._test(loop, exits)
        return self.state, [*exits, *self._breaks.pop()]

    def _test(self, loop: _Loop, exits: list[State | None]) -> None:
        if loop.condition is not None and self.state is not None:
            self.state, no = self.condition(loop.condition)
            exits.append(no)

    def _tried(self, loop: _Loop, head: State) -> State | None:
        """Once round, of which nothing but the state at the end is kept."""
        returns = len(self._returns[-1])
        end, _ = self._once(loop, head)
        del self._returns[-1][returns:]
        return end

    def _steps_of(self, loop: _Loop, entry: State, variables: list[int]) -> dict[int, int]:
        """The variables that grow by the same each time round, and by how much."""
        head, starts = entry.copy(), {}
        for variable in variables:
            value = entry.values[variable]
            range_ = type_range(value.type) if isinstance(value, Number) else ANYTHING
            starts[variable] = one(self.symbols.new(range_))
            head.values[variable] = _with(value, starts[variable])
        end = self._tried(loop, head)
        steps: dict[int, int] = {}
        for variable in variables if end is not None else ():
            assert end is not None
            before, after = entry.values[variable], end.values.get(variable)
            if isinstance(after, (Number, Address)) and _alike(before, after):
                grown = minus(after.form, starts[variable])
                if not grown.terms:
                    steps[variable] = grown.constant
        return steps

    def _head(
        self, entry: State, steps: dict[int, int], ranges: dict[int, Value], rounds: Form
    ) -> State:
        """The state at the beginning of any round. ranges: of the others, as values."""
        head = entry.copy()
        for variable, step in steps.items():
            value = entry.values[variable]
            assert isinstance(value, (Number, Address))
            head.values[variable] = _with(value, plus(value.form, times(rounds, step)))
        head.values.update(ranges)
        return head

    def _settled(
        self, loop: _Loop, entry: State, variables: list[int], steps: dict[int, int]
    ) -> dict[int, Value]:
        """Values of the variables that don't grow steadily, as wide as they have to be."""
        others = {v: self._span(entry, entry.values[v]) for v in variables if v not in steps}
        widens = False
        while True:
            values = {v: self._spanning(entry.values[v], *span) for v, span in others.items()}
            head = self._head(entry, steps, values, one(self.symbols.new((0, INFINITY))))
            end = self._tried(loop, head)
            wider = {}
            for variable, (places, range_) in others.items() if end is not None else ():
                assert end is not None
                after = end.values.get(variable)
                value = entry.values[variable]
                if after is None or not _kin(value, after):
                    raise Lost(loop.body.line, "a variable changes its kind in this loop")
                more, reached = self._span(end, after)
                now = hull([range_, reached])
                if widens:
                    now = _widened(range_, now, value)
                if (places | more, now) != (places, range_):
                    wider[variable] = (places | more, now)
            if not wider:
                return values
            others.update(wider)
            widens = True

    def _span(self, state: State, value: Value) -> tuple[frozenset[int], Range]:
        if isinstance(value, Number):
            exact = self.knowledge.exact(state, value)
            return frozenset(), self.knowledge.range_of(state, exact)
        assert isinstance(value, Address)
        return value.places, self.knowledge.range_of(state, value.form)

    def _spanning(self, value: Value, places: frozenset[int], range_: Range) -> Value:
        form = one(self.symbols.new(range_))
        if isinstance(value, Number):
            return Number(form, value.type)
        return Address(places, form)

    def _most_rounds(
        self, loop: _Loop, entry: State, steps: dict[int, int], others: dict[int, Value]
    ) -> int:
        """How often it can come back to its beginning at most."""
        refused: set[tuple[int, int]] = set()
        while True:
            rounds = self.symbols.new((0, INFINITY))
            head = self._head(entry, steps, others, one(rounds))
            holding = {v: value for v in steps if isinstance(value := head.values[v], Number)}
            trust = Trust({value: v for v, value in holding.items()}, refused)
            outer, self.knowledge.trust = self.knowledge.trust, trust
            end = self._tried(loop, head)
            self.knowledge.trust = outer
            # That it never comes back follows from what is trusted, too.
            most = -1 if end is None else self.knowledge.ranges(end, rounds)[1]
            if most >= INFINITY:
                return INFINITY
            bounded = State(ranges={**entry.ranges, rounds: (0, most + 1)})
            leaving = set()
            for variable, added in trust.leaned:
                value = holding[variable]
                reached = self.knowledge.range_of(bounded, plus(value.form, Form(added)))
                if not within(reached, type_range(value.type)):
                    leaving.add((variable, added))
            if not leaving:
                return most + 1
            refused |= leaving

    def _changed(self, s: tree.Statement) -> frozenset[int]:
        """The variables that a loop may change."""
        found = self._assigned.get(id(s))
        if found is None:
            changed: set[int] = set()
            _find_changed(s, changed)
            found = self._assigned[id(s)] = frozenset(changed)
        return found


def _with(value: Value, form: Form) -> Value:
    if isinstance(value, Number):
        return Number(form, value.type)
    assert isinstance(value, Address)
    return Address(value.places, form)


def _kin(before: Value, after: Value) -> bool:
    if isinstance(before, Number):
        return isinstance(after, Number) and after.type == before.type
    return isinstance(after, Address)


def _alike(before: Value, after: Value) -> bool:
    if isinstance(before, Address) and isinstance(after, Address):
        return before.places == after.places
    return isinstance(before, Number) and _kin(before, after)


def _widened(before: Range, now: Range, value: Value) -> Range:
    """A bound that moved may go on moving."""
    least, greatest = type_range(value.type) if isinstance(value, Number) else ANYTHING
    return (
        least if now[0] < before[0] else now[0],
        greatest if now[1] > before[1] else now[1],
    )


def _find_changed(node: object, changed: set[int]) -> None:
    """The variables that are assigned in a part of a tree, in whole or in part."""
    if isinstance(node, (tree.Assign, tree.Increment)):
        target: object = node.target
        while isinstance(target, (tree.Subscript, tree.Member, tree.Lanes, tree.Cast)):
            target = target.value if isinstance(target, tree.Cast) else target.base
        if isinstance(target, tree.Variable):
            changed.add(target.number)
    if isinstance(node, tree.Declare):
        changed.add(node.variable)
    for inner in inside(node):
        _find_changed(inner, changed)


def inside(node: object) -> list[object]:
    """What a part of a tree consists of."""
    found: list[object] = []
    for name in getattr(node, "__match_args__", ()):
        value = getattr(node, name)
        if isinstance(value, tuple):
            found.extend(value)
        elif isinstance(value, _NODES):
            found.append(value)
    return found


_NODES = (*tree.Expression.__args__, *tree.Statement.__args__)
