"""A machine that runs kernels work-item by work-item and writes down each byte that is touched.

Owns: the meaning of OpenCL C's integers, variables, loops and calls, as far as generated kernels
have them. Must not know: the analysis, which it is to judge. Memory holds what a function of the
address says, until it is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from master.access import tree
from vcl.ndrange import NDRange

steps_max = 200_000


class TooLong(Exception):
    """A loop whose counter wraps around may have hardly an end."""


class Break(Exception):
    pass


class Continue(Exception):
    pass


class Return(Exception):
    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


def wrapped(value: int, type_: tree.Type) -> int:
    assert isinstance(type_, tree.Scalar) and not type_.floating, type_
    if type_.bits == 1:
        return int(value != 0)
    value %= 1 << type_.bits
    return value - (1 << type_.bits) if type_.signed and value >> type_.bits - 1 else value


def toward_zero(a: int, b: int) -> int:
    if b == 0:
        return 0
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


class Machine:
    """One work-item. Arguments are ints, or "buffer"; pointers are (argument, byte)."""

    def __init__(self, program: tree.Program, ndrange: NDRange, ids: Sequence[int]) -> None:
        self.program = program
        self.ndrange = ndrange
        self.ids = list(ids)  # less the global offset
        self.variables: dict[int, Any] = {}
        self.memory: dict[tuple[int, int], int] = {}
        self.reads: set[tuple[int, int]] = set()
        self.writes: set[tuple[int, int]] = set()
        self.steps = 0

    def run(self, kernel: str, arguments: Sequence[Any]) -> None:
        values = [(i, 0) if a == "buffer" else a for i, a in enumerate(arguments)]
        self.called(self.program.functions[kernel], values)

    def called(self, function: tree.Function, values: Sequence[Any]) -> Any:
        for number, value in zip(function.parameters, values, strict=True):
            self.variables[number] = value
        try:
            self.do(function.body)
        except Return as answer:
            return answer.value
        return None

    def _go_on(self) -> None:
        if self.steps >= steps_max:
            raise TooLong

    # ---- statements

    def do(self, s: tree.Statement) -> None:
        self.steps += 1
        self._go_on()
        match s:
            case tree.Block():
                for inner in s.statements:
                    self.do(inner)
            case tree.Declare():
                value = 0 if s.initial is None else self.value(s.initial)
                self.variables[s.variable] = value
            case tree.Express():
                self.value(s.expression)
            case tree.If():
                if self.value(s.condition):
                    self.do(s.then)
                elif s.otherwise is not None:
                    self.do(s.otherwise)
            case tree.For() | tree.While() | tree.DoWhile():
                self.loop(s)
            case tree.Switch():
                self.switch(s)
            case tree.Return():
                raise Return(None if s.value is None else self.value(s.value))
            case tree.Break():
                raise Break
            case tree.Continue():
                raise Continue
            case tree.Case() | tree.Default():
                self.do(s.statement)
            case _:
                raise AssertionError(s)

    def loop(self, s: tree.For | tree.While | tree.DoWhile) -> None:
        if isinstance(s, tree.For):
            for initial in s.initial:
                self.do(initial)
        first = isinstance(s, tree.DoWhile)
        while first or s.condition is None or self.value(s.condition):
            first = False
            try:
                self.do(s.body)
            except Break:
                return
            except Continue:
                pass
            if isinstance(s, tree.For) and s.step is not None:
                self.value(s.step)
            self.steps += 1
            self._go_on()

    def switch(self, s: tree.Switch) -> None:
        value = self.value(s.value)
        assert isinstance(s.body, tree.Block)
        labels = []
        for index, inner in enumerate(s.body.statements):
            while isinstance(inner, (tree.Case, tree.Default)):
                labels.append((index, inner.value if isinstance(inner, tree.Case) else None))
                inner = inner.statement
        at = [i for i, v in labels if v == value] or [i for i, v in labels if v is None]
        try:
            for inner in s.body.statements[at[0] :] if at else ():
                self.do(inner)
        except Break:
            return

    # ---- expressions

    def value(self, e: tree.Expression) -> Any:
        match e:
            case tree.Literal():
                return e.value
            case tree.Variable() | tree.Subscript() | tree.Dereference() | tree.Lanes():
                return self.load(self.spot(e), e.type)
            case tree.Unary():
                if e.operator == "!":
                    return int(not self.value(e.operand))
                number = self.value(e.operand)
                return wrapped({"-": -number, "+": number, "~": ~number}[e.operator], e.type)
            case tree.Binary():
                return self.binary(e)
            case tree.Assign():
                return self.assign(e)
            case tree.Increment():
                spot = self.spot(e.target)
                old = self.load(spot, e.target.type)
                new = self.added(old, e.by, e.target.type)
                self.store(spot, new, e.target.type)
                return new if e.prefix else old
            case tree.Call():
                return self.call(e)
            case tree.Conditional():
                return self.value(e.then if self.value(e.condition) else e.otherwise)
            case tree.Cast():
                return self.cast(e)
            case tree.Compose():
                return [v for part in e.values for v in self.lanes(self.value(part))]
            case tree.Comma():
                self.value(e.left)
                return self.value(e.right)
        raise AssertionError(e)

    def lanes(self, value: Any) -> list[int]:
        return value if isinstance(value, list) else [value]

    def cast(self, e: tree.Cast) -> Any:
        if isinstance(e.value.type, tree.Array):
            return self.spot(e.value)
        value = self.value(e.value)
        if isinstance(e.type, tree.Pointer):
            return value
        if isinstance(e.type, tree.Vector):
            values = self.lanes(value) * (1 if isinstance(value, list) else e.type.count)
            return [wrapped(v, e.type.element) for v in values]
        return wrapped(value, e.type)

    def binary(self, e: tree.Binary) -> Any:
        if e.operator in ("&&", "||"):
            left = bool(self.value(e.left))
            if left == (e.operator == "||"):
                return int(left)
            return int(bool(self.value(e.right)))
        left, right = self.value(e.left), self.value(e.right)
        if isinstance(e.type, tree.Pointer):
            return self.added(left, right if e.operator == "+" else -right, e.type)
        if e.operator in ("<", ">", "<=", ">=", "==", "!="):
            compare = {"<": left < right, ">": left > right, "<=": left <= right,
                       ">=": left >= right, "==": left == right, "!=": left != right}
            return int(compare[e.operator])  # fmt: skip
        return self.combined(e.operator, left, right, e.type)

    def combined(self, operator: str, left: Any, right: Any, type_: tree.Type) -> Any:
        if isinstance(type_, tree.Vector):
            rights = right if isinstance(right, list) else [right] * type_.count
            pairs = zip(left, rights, strict=True)
            return [self.combined(operator, a, b, type_.element) for a, b in pairs]
        assert isinstance(type_, tree.Scalar)
        amount = right % type_.bits
        results = {
            "+": lambda: left + right,
            "-": lambda: left - right,
            "*": lambda: left * right,
            "/": lambda: toward_zero(left, right),
            "%": lambda: left - right * toward_zero(left, right) if right else 0,
            "<<": lambda: left << amount,
            ">>": lambda: left >> amount,
            "&": lambda: left & right,
            "|": lambda: left | right,
            "^": lambda: left ^ right,
        }
        return wrapped(results[operator](), type_)

    def added(self, value: Any, by: int, type_: tree.Type) -> Any:
        if isinstance(type_, tree.Pointer):
            return value[0], value[1] + by * type_.to.size
        return wrapped(value + by, type_)

    def assign(self, e: tree.Assign) -> Any:
        target = e.target.type
        if not e.operator:
            value = self.value(e.value)
            self.store(self.spot(e.target), value, target)
            return value
        spot = self.spot(e.target)
        value = self.value(e.value)
        old = self.load(spot, target)
        if isinstance(target, tree.Pointer):
            new = self.added(old, value if e.operator == "+" else -value, target)
        else:
            assert isinstance(target, tree.Scalar) and isinstance(e.value.type, tree.Scalar)
            shift = e.operator in ("<<", ">>")
            bits = max(32, target.bits, 0 if shift else e.value.type.bits)
            operands = [target] if shift else [target, e.value.type]
            signed = not any(t.bits == bits and not t.signed for t in operands)
            common = tree.Scalar(bits, signed)
            right = value if shift else wrapped(value, common)
            left = wrapped(old, common)
            new = wrapped(self.combined(e.operator, left, right, common), target)
        self.store(spot, new, target)
        return new

    def call(self, e: tree.Call) -> Any:
        values = [self.value(argument) for argument in e.arguments]
        function = self.program.functions.get(e.function)
        if function is not None:
            return self.called(function, values)
        d = values[0] if values else 0
        offset, size = self.ndrange.global_offset, self.ndrange.global_size
        assert self.ndrange.local_size is not None
        local = self.ndrange.local_size
        match e.function:
            case "get_global_id":
                return self.ids[d] + offset[d] if d < len(size) else 0
            case "get_local_id":
                return self.ids[d] % local[d] if d < len(size) else 0
            case "get_group_id":
                return self.ids[d] // local[d] if d < len(size) else 0
            case "get_global_size":
                return size[d] if d < len(size) else 1
            case "get_local_size":
                return local[d] if d < len(size) else 1
            case "get_num_groups":
                return size[d] // local[d] if d < len(size) else 1
            case "min":
                return min(values)
            case "max":
                return max(values)
            case "clamp":
                return min(max(values[0], values[1]), values[2])
            case "abs":
                return abs(values[0])
            case "mul24":
                return wrapped(values[0] * values[1], e.type)
            case "barrier":
                return None
        raise AssertionError(e.function)

    # ---- variables and memory

    def spot(self, e: tree.Expression) -> Any:
        match e:
            case tree.Variable():
                return ("variable", e.number, None)
            case tree.Lanes():
                base = self.spot(e.base)
                return (*base[:2], e.lanes)
            case tree.Dereference():
                return self.value(e.pointer)
            case tree.Subscript():
                base = e.base
                if isinstance(base, tree.Cast) and isinstance(base.value.type, tree.Array):
                    inner = self.spot(base.value)
                    return ("element", inner[1], self.value(e.index))
                pointer = self.value(base)
                return pointer[0], pointer[1] + self.value(e.index) * e.type.size
        raise AssertionError(e)

    def load(self, spot: Any, type_: tree.Type) -> Any:
        if spot[0] == "variable":
            value = self.variables[spot[1]]
            if spot[2] is not None:
                lanes = [value[n] for n in spot[2]]
                return lanes[0] if len(lanes) == 1 else lanes
            return value
        if spot[0] == "element":
            held = self.variables.get(spot[1])
            return held.get(spot[2], 0) if isinstance(held, dict) else 0
        argument, byte = spot
        self.reads.update((argument, byte + n) for n in range(type_.size))
        return wrapped(self.memory.get((argument, byte), byte * 2654435761 >> 7), type_)

    def store(self, spot: Any, value: Any, type_: tree.Type) -> None:
        if spot[0] == "variable":
            if spot[2] is not None:
                for lane, one in zip(spot[2], self.lanes(value), strict=True):
                    self.variables[spot[1]][lane] = one
                return
            self.variables[spot[1]] = list(value) if isinstance(value, list) else value
            return
        if spot[0] == "element":
            held = self.variables.get(spot[1])
            if not isinstance(held, dict):
                held = self.variables[spot[1]] = {}
            held[spot[2]] = value
            return
        argument, byte = spot
        self.writes.update((argument, byte + n) for n in range(type_.size))
        self.memory[argument, byte] = value
