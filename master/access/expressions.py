"""What expressions of a kernel amount to.

Owns: values of expressions, and conditions. Must not know: statements (`kernels`), builtins'
meanings (`builtins`), or what becomes of what is touched.

Whatever has no case here raises Lost: nothing is guessed, and nothing left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from master.access import tree
from master.access.forms import ZERO, Form, minus, plus, times
from master.access.memory import Lost, Memory
from master.access.symbols import Symbols
from master.access.values import (
    DATA,
    Cells,
    Lanes,
    Number,
    State,
    Value,
)

steps_max = 200_000
"""Expressions that an analysis evaluates before it is given up."""


class Expressions(Memory):
    """Evaluates expressions in the current state, which they may change."""

    def __init__(self, program: tree.Program, symbols: Symbols) -> None:
        super().__init__(program, symbols)
        self._steps = 0

    def call(self, expression: tree.Call) -> Value:
        """What a function answers."""
        raise NotImplementedError

    # ---- values

    def value(self, e: tree.Expression) -> Value:
        """What an expression amounts to, in the state, which it may change."""
        self._steps += 1
        if self._steps > steps_max:
            raise Lost(e.line, "the kernel takes too long to analyse")
        if self.state is None:
            return DATA
        return _VALUES[type(e)](self, e)

    def _literal(self, e: tree.Literal) -> Value:
        if isinstance(e.value, int) and isinstance(e.type, tree.Scalar) and not e.type.floating:
            return Number(Form(e.value), e.type)
        return DATA

    def _named(self, e: tree.Named) -> Value:
        return self.knowledge.unknown(e.type)

    def _place(self, e: Any) -> Value:
        return self.load(self.spot(e), e.line)

    def _unary(self, e: tree.Unary) -> Value:
        if e.operator == "!":
            if isinstance(e.type, tree.Scalar):
                return self._truth(e)
            self.value(e.operand)
            return self.knowledge.unknown(e.type)
        value = self.value(e.operand)
        return self.lanewise(e.type, lambda v: self._negated(e.operator, v), value)

    def _negated(self, operator: str, value: Number) -> Number:
        if operator == "+":
            return value
        form = times(value.form, -1)
        return Number(plus(form, Form(-1)) if operator == "~" else form, value.type)

    def _binary(self, e: tree.Binary) -> Value:
        if e.operator in _RELATIONS or e.operator in ("&&", "||"):
            if isinstance(e.type, tree.Scalar):
                return self._truth(e)
            self.value(e.left)
            self.value(e.right)
            return self.knowledge.unknown(e.type)
        left, right = self.value(e.left), self.value(e.right)
        return self.combined(e.operator, e.type, left, right, e.left.type, e.right.type)

    # ---- truth

    def _truth(self, e: tree.Expression) -> Value:
        """A condition as a number, of which 0 and 1 remember what they mean."""
        yes, no = self.condition(e)
        self.state = self.knowledge.joined([yes, no])
        assert isinstance(e.type, tree.Scalar)
        if self.state is None:
            return DATA
        ways = [(s, form) for s, form in ((yes, Form(1)), (no, ZERO)) if s is not None]
        form = self.knowledge.choice([s for s, _ in ways], [f for _, f in ways], self.state)
        return Number(form, e.type)

    def condition(self, e: tree.Expression) -> tuple[State | None, State | None]:
        """The states in which it is true and false; the current one is used up."""
        if self.state is None:
            return None, None
        if isinstance(e, tree.Unary) and e.operator == "!":
            yes, no = self.condition(e.operand)
            return no, yes
        if isinstance(e, tree.Binary) and e.operator in ("&&", "||"):
            return self._both(e)
        if isinstance(e, tree.Binary) and e.operator in _RELATIONS:
            left, right = self.value(e.left), self.value(e.right)
            if self.state is None:
                return None, None
            if isinstance(left, Number) and isinstance(right, Number):
                difference = minus(self.exact(left), self.exact(right))
                return self._related(e.operator, difference)
            return self.state.copy(), self.state
        if isinstance(e, tree.Cast) and isinstance(e.type, tree.Scalar) and e.type.bits == 1:
            return self.condition(e.value)
        value = self.value(e)
        if self.state is not None and isinstance(value, Number):
            return self._related("!=", self.exact(value))
        return (self.state and self.state.copy()), self.state

    def _both(self, e: tree.Binary) -> tuple[State | None, State | None]:
        yes, no = self.condition(e.left)
        if e.operator == "&&":
            self.state = yes
            second_yes, second_no = self.condition(e.right)
            return second_yes, self.knowledge.joined([no, second_no])
        self.state = no
        second_yes, second_no = self.condition(e.right)
        return self.knowledge.joined([yes, second_yes]), second_no

    def _related(self, operator: str, form: Form) -> tuple[State | None, State | None]:
        """How a difference compares with zero."""
        state, know = self.now(), self.knowledge
        if operator in (">", ">=", "==", "!="):
            opposite = times(form, -1)
        if operator in ("==", "!="):
            same, other = state.copy(), state
            equal = know.narrow(same, form, 0) and know.narrow(same, opposite, 0)
            unequal = know.differs(other, form, 0)
            ways = (same if equal else None), (other if unequal else None)
            return ways if operator == "==" else (ways[1], ways[0])
        if operator in (">", ">="):
            form, operator = opposite, {">": "<", ">=": "<="}[operator]
        bound = -1 if operator == "<" else 0
        yes, no = state.copy(), state
        below = know.narrow(yes, form, bound)
        above = know.narrow(no, times(form, -1), -bound - 1)
        return (yes if below else None), (no if above else None)

    def _conditional(self, e: tree.Conditional) -> Value:
        if isinstance(e.condition.type, tree.Vector):
            self.value(e.condition)
            self.value(e.then)
            self.value(e.otherwise)
            return self.knowledge.unknown(e.type)
        yes, no = self.condition(e.condition)
        self.state = yes
        first = self.value(e.then)
        yes, self.state = self.state, no
        second = self.value(e.otherwise)
        no = self.state
        if yes is not None:
            yes.values[_RESULT] = first
        if no is not None:
            no.values[_RESULT] = second
        self.state = self.knowledge.joined([yes, no])
        return DATA if self.state is None else self.state.values.pop(_RESULT)

    # ---- casts and assignments

    def _cast(self, e: tree.Cast) -> Value:
        source, target = e.value.type, e.type
        if isinstance(source, tree.Array):
            spot = self.spot(e.value)
            return self.address_of(spot)
        if isinstance(target, tree.Scalar) and target.bits == 1 and not isinstance(
            source, tree.Vector
        ):
            return self._truth(e)
        value = self.value(e.value)
        return self.converted(value, source, target)

    def _compose(self, e: tree.Compose) -> Value:
        values = [self.value(v) for v in e.values]
        if isinstance(e.type, tree.Vector):
            lanes: list[Number] = []
            for value in values:
                if isinstance(value, Number):
                    lanes.append(value)
                elif isinstance(value, Lanes):
                    lanes.extend(value.lanes)
            if len(lanes) == e.type.count and not e.type.element.floating:
                return Lanes(tuple(lanes))
            return self.knowledge.unknown(e.type)
        return Cells()

    def _comma(self, e: tree.Comma) -> Value:
        self.value(e.left)
        return self.value(e.right)

    def _address(self, e: tree.AddressOf) -> Value:
        return self.address_of(self.spot(e.operand))

    def _assign(self, e: tree.Assign) -> Value:
        if not e.operator:
            value = self.value(e.value)
            self.store(self.spot(e.target), value, e.line)
            return value
        spot = self.spot(e.target)
        value = self.value(e.value)
        if self.state is None:
            return DATA
        old = self.load(spot, e.line)
        if isinstance(e.target.type, tree.Pointer):
            new = self.moved(old, e.target.type, value, -1 if e.operator == "-" else 1)
        else:
            new = self._compound(e, old, value)
        self.store(spot, new, e.line)
        return new

    def _increment(self, e: tree.Increment) -> Value:
        spot = self.spot(e.target)
        old = self.load(spot, e.line)
        if self.state is None:
            return DATA
        if isinstance(e.target.type, tree.Pointer):
            size = tree.Scalar(self.program.address_bits, True)
            new = self.moved(old, e.target.type, Number(Form(e.by), size), 1)
        elif isinstance(old, Number) and old.type.bits == 1:
            # One more than true is true.
            wide = tree.Scalar(32, True)
            new = self.converted(Number(plus(self.exact(old), Form(e.by)), wide), wide, old.type)
        elif isinstance(old, Number):
            new = Number(plus(old.form, Form(e.by)), old.type)
        elif isinstance(old, Lanes):
            new = Lanes(tuple(Number(plus(v.form, Form(e.by)), v.type) for v in old.lanes))
        else:
            new = self.knowledge.unknown(e.target.type)
        self.store(spot, new, e.line)
        return new if e.prefix else old


_RESULT = -1
"""In place of a variable's number: the value of a conditional."""

_RELATIONS = ("<", ">", "<=", ">=", "==", "!=")

_VALUES: dict[type, Callable[[Expressions, Any], Value]] = {
    tree.Literal: Expressions._literal,
    tree.Named: Expressions._named,
    tree.Variable: Expressions._place,
    tree.Subscript: Expressions._place,
    tree.Dereference: Expressions._place,
    tree.Member: Expressions._place,
    tree.Lanes: Expressions._place,
    tree.Unary: Expressions._unary,
    tree.Binary: Expressions._binary,
    tree.Assign: Expressions._assign,
    tree.Increment: Expressions._increment,
    tree.Call: lambda self, e: self.call(e),
    tree.Conditional: Expressions._conditional,
    tree.AddressOf: Expressions._address,
    tree.Cast: Expressions._cast,
    tree.Compose: Expressions._compose,
    tree.Comma: Expressions._comma,
}
