"""Which bytes the work-items of a launch touch: a kernel walked with only the launch known.

Owns: statements, loops, calls of the program's functions, and `footprint`, which does all of it.
Must not know: devices, parts (`extents`), or what is done about it.

Theory of operation. The kernel is walked once for all of its work-items: ids are symbols with the
launch's ranges, scalar arguments are what they are, and what memory holds is any value of its type.
Where ways meet, what differs becomes one of several (`Knowledge.joined`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from master.access import tree
from master.access.arguments import decoded
from master.access.builtins import GROUPED
from master.access.forms import ZERO, Form, one, plus, times
from master.access.loops import Loops, inside
from master.access.memory import Lost, Touch
from master.access.needed import needed
from master.access.symbols import Definition, Symbols
from master.access.values import (
    DATA,
    LOCAL,
    Address,
    Cells,
    Data,
    Number,
    State,
    Value,
)
from vcl.ndrange import NDRange

calls_depth_max = 32
"""Calls within calls that are followed."""

BUFFER, OTHER = "buffer", "other"
"""Arguments that aren't values: a region of a buffer; local memory, an image, a sampler, NULL."""

Argument = bytes | str


@dataclass(frozen=True, slots=True)
class Footprint:
    """What the work-items of a launch touch.

    definitions: of symbols, by number. cost: of looking through it for one part, in ranges of
    symbols that are looked at. ignored: arguments, by index, of which it's the same whatever their
    values are.
    """

    definitions: tuple[Definition, ...]
    touches: tuple[Touch, ...]
    cost: int
    ignored: tuple[int, ...] = ()


def footprint(
    program: tree.Program, kernel: str, arguments: Sequence[Argument], ndrange: NDRange
) -> Footprint:
    """What a launch touches; raises Lost.

    arguments: the bytes of values, BUFFER or OTHER. ndrange: has a local size.
    """
    walk = Walk(program, kernel, ndrange)
    walk.run(arguments)
    definitions, touches, cost = needed(walk.symbols.definitions, walk.touches)
    return Footprint(definitions, touches, cost)


class Walk(Loops):
    """One launch."""

    def __init__(self, program: tree.Program, kernel: str, ndrange: NDRange) -> None:
        super().__init__(program, Symbols())
        assert ndrange.local_size is not None
        self.ndrange = ndrange
        self._kernel = program.functions[kernel]
        self._depth = 0
        items = [self.symbols.id(d, size) for d, size in enumerate(ndrange.global_size)]
        self.ids = _three([one(item) for item in items])
        self.groups = self.locals = _three([])
        # Where nobody asks for them, they would only be more to look through.
        if _called(program, kernel) & GROUPED:
            sizes = zip(items, ndrange.local_size, strict=True)
            groupings = [self.symbols.grouped(item, size) for item, size in sizes]
            self.groups = _three([group for group, _ in groupings])
            self.locals = _three([local for _, local in groupings])

    def run(self, arguments: Sequence[Argument]) -> None:
        """Walk the kernel. Raises Lost."""
        self.state = State()
        for declare in self.program.globals:
            self._global(declare)
        for index, (number, argument) in enumerate(
            zip(self._kernel.parameters, arguments, strict=True)
        ):
            declared = self.program.variables[number]
            self.now().values[number] = self._argument(index, declared.type, argument)
        self._returns.append([])
        self.statement(self._kernel.body)

    def _global(self, declare: tree.Declare) -> None:
        declared = self.program.variables[declare.variable]
        if declared.space is tree.Space.CONSTANT and isinstance(declared.type, tree.Scalar):
            initial = declare.initial
            if isinstance(initial, tree.Cast):
                initial = initial.value
            if isinstance(initial, tree.Literal) and isinstance(initial.value, int):
                value = self.converted(self.value(initial), initial.type, declared.type)
                self.now().values[declare.variable] = value

    def _argument(self, index: int, type_: tree.Type, argument: Argument) -> Value:
        if argument == BUFFER:
            return Address(frozenset((index,)), ZERO)
        if isinstance(type_, tree.Opaque) and type_.name.startswith("image"):
            return Address(frozenset((index,)), ZERO)
        if isinstance(argument, str):
            if isinstance(type_, tree.Pointer):
                return Address(frozenset((LOCAL,)), ZERO)
            return DATA
        return decoded(type_, argument, 0)

    # ---- calls

    def call(self, e: tree.Call) -> Value:
        """What a call answers: of the program's function if it has one of that name."""
        function = self.program.functions.get(e.function)
        if function is None:
            return self.builtin(e)
        values = [self.value(argument) for argument in e.arguments]
        if self.state is None:
            return DATA
        if self._depth >= calls_depth_max:
            raise Lost(e.line, "functions call each other too deeply")
        for number, value in zip(function.parameters, values, strict=True):
            self.state.values[number] = value
        self._depth += 1
        breaks, continues = self._breaks, self._continues
        self._breaks, self._continues = [], []
        self._returns.append([])
        self.statement(function.body)
        returned = self._returns.pop()
        self._breaks, self._continues = breaks, continues
        self._depth -= 1
        self.state = self.knowledge.joined([self.state, *returned])
        if self.state is None or isinstance(function.result, tree.Void):
            return DATA
        value = self.state.values.pop(_RETURNED, DATA)
        return self.knowledge.unknown(function.result) if isinstance(value, Data) else value

    # ---- statements

    def statement(self, s: tree.Statement) -> None:
        """Walk a statement in the current state."""
        if self.state is None:
            return
        if isinstance(s, tree.Block):
            for inner in s.statements:
                self.statement(inner)
        elif isinstance(s, tree.Express):
            self.value(s.expression)
        elif isinstance(s, tree.Declare):
            self._declare(s)
        elif isinstance(s, tree.If):
            self._if(s)
        elif isinstance(s, tree.For):
            for initial in s.initial:
                self.statement(initial)
            self.loop(s, s.condition, s.step, s.body, test_first=True)
        elif isinstance(s, tree.While):
            self.loop(s, s.condition, None, s.body, test_first=True)
        elif isinstance(s, tree.DoWhile):
            self.loop(s, s.condition, None, s.body, test_first=False)
        elif isinstance(s, tree.Switch):
            self._switch(s)
        elif isinstance(s, tree.Return):
            self._return(s)
        elif isinstance(s, tree.Break):
            self._breaks[-1].append(self.state)
            self.state = None
        elif isinstance(s, tree.Continue):
            self._continues[-1].append(self.state)
            self.state = None
        else:
            raise Lost(s.line, "a case stands outside of a switch's own block")

    def _declare(self, s: tree.Declare) -> None:
        declared = self.program.variables[s.variable]
        value: Value | None = None
        if s.initial is not None:
            value = self.value(s.initial)
        if self.state is None or declared.space is not tree.Space.PRIVATE:
            return
        if value is None:
            aggregate = isinstance(declared.type, (tree.Struct, tree.Array))
            value = Cells() if aggregate else self.knowledge.unknown(declared.type)
        self.state.values[s.variable] = value

    def _if(self, s: tree.If) -> None:
        yes, no = self.condition(s.condition)
        self.state = yes
        self.statement(s.then)
        yes, self.state = self.state, no
        if s.otherwise is not None:
            self.statement(s.otherwise)
        self.state = self.knowledge.joined([yes, self.state])

    def _return(self, s: tree.Return) -> None:
        value = None if s.value is None else self.value(s.value)
        if self.state is not None:
            if value is not None:
                self.state.values[_RETURNED] = value
            self._returns[-1].append(self.state)
        self.state = None

    def _switch(self, s: tree.Switch) -> None:
        value = self.value(s.value)
        entry = self.state
        if entry is None:
            return
        self._breaks.append([])
        self.state = None
        has_default = False
        statements = s.body.statements if isinstance(s.body, tree.Block) else (s.body,)
        for inner in statements:
            while isinstance(inner, (tree.Case, tree.Default)):
                came: State | None = entry.copy()
                if isinstance(inner, tree.Case):
                    came = self._case(came, value, inner.value)
                else:
                    has_default = True
                self.state = self.knowledge.joined([self.state, came])
                inner = inner.statement
            if _has_label(inner):
                # Whoever comes there by its label would be missed.
                raise Lost(s.line, "a case stands within another statement")
            self.statement(inner)
        ways = [self.state, *self._breaks.pop()]
        self.state = self.knowledge.joined(ways if has_default else [*ways, entry])

    def _case(self, state: State | None, value: Value, label: int) -> State | None:
        if state is None or not isinstance(value, Number):
            return state
        form = plus(self.knowledge.exact(state, value), Form(-label))
        narrow = self.knowledge.narrow
        possible = narrow(state, form, 0) and narrow(state, times(form, -1), 0)
        return state if possible else None


_RETURNED = -3
"""In place of a variable's number: what a function answers."""


def _three(forms: list[Form]) -> tuple[Form, Form, Form]:
    """Of the dimensions that there aren't, too."""
    x, y, z = (forms + [ZERO] * 3)[:3]
    return x, y, z


def _has_label(node: object) -> bool:
    """Whether a switch around this can go on within it."""
    if isinstance(node, (tree.Case, tree.Default)):
        return True
    return not isinstance(node, tree.Switch) and any(map(_has_label, inside(node)))


def _called(program: tree.Program, name: str) -> set[str]:
    """The builtins that a function calls, and those that it calls."""
    seen: set[str] = set()
    waiting: list[str] = [name]
    builtins: set[str] = set()
    while waiting:
        one_name = waiting.pop()
        if one_name in seen:
            continue
        seen.add(one_name)
        if one_name not in program.functions:
            builtins.add(one_name)
            continue
        nodes: list[object] = [program.functions[one_name].body]
        while nodes:
            node = nodes.pop()
            if isinstance(node, tree.Call):
                waiting.append(node.function)
            nodes.extend(inside(node))
    return builtins
