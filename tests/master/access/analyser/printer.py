"""Prints a tree as OpenCL C: what it says, parsed again, must be the same tree."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator
from typing import Any

from master.access import tree

_NAMES = {
    (1, False, False): "bool",
    (8, True, False): "char",
    (8, False, False): "uchar",
    (16, True, False): "short",
    (16, False, False): "ushort",
    (32, True, False): "int",
    (32, False, False): "uint",
    (64, True, False): "long",
    (64, False, False): "ulong",
    (16, True, True): "half",
    (32, True, True): "float",
    (64, True, True): "double",
}


def _numbers(node: Any) -> Iterator[int]:
    """Of all variables that are declared or used in a part of a tree."""
    if isinstance(node, tree.Declare):
        yield node.variable
    if isinstance(node, tree.Variable):
        yield node.number
    if isinstance(node, tuple):
        for part in node:
            yield from _numbers(part)
    elif dataclasses.is_dataclass(node):
        for member in dataclasses.fields(node):
            if member.name != "type":
                yield from _numbers(getattr(node, member.name))


def printed(program: tree.Program) -> str:
    return _Printer(program).program()


class _Printer:
    def __init__(self, program: tree.Program) -> None:
        self._program = program
        self._structs: dict[tree.Struct, str] = {}
        self._head: list[str] = []

    def program(self) -> str:
        parts, left = [], list(self._program.globals)
        own = {declare.variable for declare in left}
        for function in self._program.functions.values():
            # Numbers are in the order of the source.
            numbers = {*function.parameters, *_numbers(function.body)}
            needed = max([n for n in numbers if n in own] + [min(numbers - own, default=0) - 1])
            while left and left[0].variable <= needed:
                parts.append(self._statement(left.pop(0)))
            parts.append(self._function(function))
        parts += map(self._statement, left)
        # Before they are called from above.
        prototypes = [f"{self._function_head(f)};" for f in self._program.functions.values()]
        return "\n".join([*self._head, *prototypes, *parts]) + "\n"

    # Types.

    def _name(self, kind: tree.Type) -> str:
        """Of what isn't an array or a pointer."""
        match kind:
            case tree.Void():
                return "void"
            case tree.Scalar(bits, signed, floating):
                return _NAMES[bits, signed, floating]
            case tree.Vector(element, count):
                return f"{self._name(element)}{count}"
            case tree.Struct():
                return self._struct(kind)
            case tree.Opaque(name, access):
                return f"{access} {name}".strip()
        raise AssertionError(kind)

    def _struct(self, kind: tree.Struct) -> str:
        keyword = "union" if kind.union else "struct"
        if kind not in self._structs:
            assert kind.name, "a struct without a name can't be printed"
            self._structs[kind] = kind.name
            self._head.append(f"{self._layout(kind, kind.name)};")
        return f"{keyword} {kind.name}"

    def _layout(self, kind: tree.Struct, tag: str) -> str:
        fields = []
        for member in kind.fields:
            if not member.name:
                assert isinstance(member.type, tree.Struct)
                fields.append(f"{self._layout(member.type, '')};")
            else:
                volatile = "volatile " if member.volatile else ""
                fields.append(f"{volatile}{self._declarator(member.type, member.name)};")
        packed = " __attribute__((packed))" if self._is_packed(kind) else ""
        aligned = f" __attribute__((aligned({kind.size & -kind.size})))" if packed else ""
        keyword = "union" if kind.union else "struct"
        return f"{keyword} {tag} {{ {' '.join(fields)} }}{packed}{aligned}"

    def _alignment(self, kind: tree.Type) -> int:
        match kind:
            case tree.Array(element, _):
                return self._alignment(element)
            case tree.Struct():
                if self._is_packed(kind):
                    return kind.size & -kind.size
                return max((self._alignment(member.type) for member in kind.fields), default=1)
        return kind.size

    def _is_packed(self, kind: tree.Struct) -> bool:
        end, most = 0, 1
        for member in kind.fields:
            alignment = self._alignment(member.type)
            most = max(most, alignment)
            start = 0 if kind.union else -(-end // alignment) * alignment
            if member.offset != start:
                return True
            end = max(end, start + member.type.size)
        return kind.size != -(-end // most) * most

    def _declarator(self, kind: tree.Type, name: str) -> str:
        match kind:
            case tree.Array(element, count):
                return self._declarator(element, f"{name}[{count}]")
            case tree.Pointer(to, space, const, volatile, _):
                qualifiers = [space.value] if space is not tree.Space.GENERIC else ["generic"]
                qualifiers += ["const"] * const + ["volatile"] * volatile
                inner = f"(* {name})" if isinstance(to, tree.Array) else f"* {name}"
                if isinstance(to, tree.Pointer):
                    return self._declarator(to, f"{' '.join(qualifiers)} {inner}")
                return f"{' '.join(qualifiers)} {self._declarator(to, inner)}"
        return f"{self._name(kind)} {name}"

    # Statements.

    def _variable(self, number: int, parameter: bool = False) -> str:
        variable = self._program.variables[number]
        name = variable.name
        qualifiers = ["const"] * variable.const + ["volatile"] * variable.volatile
        space = "" if parameter or isinstance(variable.type, tree.Opaque) else variable.space.value
        pointer = isinstance(variable.type, tree.Pointer)
        if pointer:
            return self._declarator(variable.type, " ".join([space, *qualifiers, name]))
        return " ".join([space, *qualifiers, self._declarator(variable.type, name)])

    def _function(self, function: tree.Function) -> str:
        attributes = "".join(
            f"__attribute__(({a.name}{'(' + ','.join(a.arguments) + ')' if a.arguments else ''})) "
            for a in function.attributes
        )
        return f"{attributes}{self._function_head(function)}\n{self._statement(function.body)}"

    def _function_head(self, function: tree.Function) -> str:
        parameters = ", ".join(self._variable(n, True) for n in function.parameters) or "void"
        head = self._declarator(function.result, f"{function.name}({parameters})")
        return f"{'kernel ' if function.is_kernel else ''}{head}"

    def _statement(self, statement: tree.Statement) -> str:
        match statement:
            case tree.Block(_, statements):
                return "{\n" + "\n".join(map(self._statement, statements)) + "\n}"
            case tree.Declare(_, number, initial):
                value = "" if initial is None else f" = {self._initial(initial)}"
                return f"{self._variable(number)}{value};"
            case tree.If(_, condition, then, otherwise):
                text = f"if ({self._value(condition)}) {self._own(then)}"
                return text if otherwise is None else f"{text} else {self._own(otherwise)}"
            case tree.For(_, initial, condition, step, body):
                return self._for(initial, condition, step, body)
            case tree.While(_, condition, body):
                return f"while ({self._value(condition)}) {self._own(body)}"
            case tree.DoWhile(_, body, condition):
                return f"do {self._own(body)} while ({self._value(condition)});"
            case tree.Switch(_, value, body):
                return f"switch ({self._value(value)}) {self._own(body)}"
            case tree.Case(_, number, inner):
                return f"case {number}: {self._own(inner)}"
            case tree.Default(_, inner):
                return f"default: {self._own(inner)}"
            case tree.Return(_, value):
                return "return;" if value is None else f"return {self._value(value)};"
            case tree.Break():
                return "break;"
            case tree.Continue():
                return "continue;"
            case tree.Express(_, expression):
                return f"{self._value(expression)};"
        raise AssertionError(statement)

    def _own(self, statement: tree.Statement) -> str:
        """An empty block is what an empty statement is read as."""
        return self._statement(statement)

    def _for(
        self,
        initial: tuple[tree.Statement, ...],
        condition: tree.Expression | None,
        step: tree.Expression | None,
        body: tree.Statement,
    ) -> str:
        declared = [statement for statement in initial if isinstance(statement, tree.Declare)]
        if len(declared) > 1:
            # The first with its type; they share it but for * and [].
            first, *rest = [self._statement(d).rstrip(";") for d in declared]
            begun = first
            for one, declare in zip(rest, declared[1:], strict=True):
                variable = self._program.variables[declare.variable]
                name = variable.name
                star = "* " if isinstance(variable.type, tree.Pointer) else ""
                _, rest_of_it = re.split(rf"\b{name}\b", one, maxsplit=1)
                begun += f", {star}{name}{rest_of_it}"
        else:
            begun = "".join(self._statement(statement).rstrip(";") for statement in initial)
        texts = ["" if part is None else self._value(part) for part in (condition, step)]
        return f"for ({begun}; {texts[0]}; {texts[1]}) {self._own(body)}"

    # Expressions.

    def _initial(self, value: tree.Expression) -> str:
        if isinstance(value, tree.Compose) and not isinstance(value.type, tree.Vector):
            return "{" + ", ".join(map(self._initial, value.values)) + "}"
        return self._value(value)

    def _literal(self, value: tree.Literal) -> str:
        assert isinstance(value.type, tree.Scalar | tree.Array | tree.Pointer)
        if isinstance(value.value, str):
            return f'"{value.value}"'
        assert isinstance(value.type, tree.Scalar)
        if value.type.floating:
            bits = value.type.bits
            if math.isnan(value.value):
                return "NAN"
            if math.isinf(value.value):
                return "INFINITY" if bits == 32 else "HUGE_VAL"
            return float(value.value).hex() + {16: "h", 32: "f", 64: ""}[bits]
        if value.type.bits == 1:
            return "true" if value.value else "false"
        if value.value < 0:
            # No literal, but a constant of an enum, or a character: -1 would be a Unary.
            name = f"minus_{-value.value}"
            declared = f"enum {{ {name} = {value.value} }};"
            if declared not in self._head:
                self._head.append(declared)
            return name
        suffix = {32: "", 64: "L"}[value.type.bits] + ("" if value.type.signed else "U")
        return f"{value.value}{suffix}"

    def _value(self, value: tree.Expression) -> str:
        show = self._value
        match value:
            case tree.Literal():
                return self._literal(value)
            case tree.Named():
                return value.name
            case tree.Variable():
                return self._program.variables[value.number].name
            case tree.Unary():
                return f"({value.operator} {show(value.operand)})"
            case tree.Binary():
                return f"({show(value.left)} {value.operator} {show(value.right)})"
            case tree.Assign():
                return f"({show(value.target)} {value.operator}= {show(value.value)})"
            case tree.Increment():
                mark = "++" if value.by == 1 else "--"
                text = show(value.target)
                return f"({mark} {text})" if value.prefix else f"({text} {mark})"
            case tree.Call():
                return f"{value.function}({', '.join(map(show, value.arguments))})"
            case tree.Conditional():
                parts = show(value.condition), show(value.then), show(value.otherwise)
                return "({} ? {} : {})".format(*parts)
            case tree.Subscript():
                return f"{show(value.base)}[{show(value.index)}]"
            case tree.Dereference():
                return f"(* {show(value.pointer)})"
            case tree.AddressOf():
                return f"(& {show(value.operand)})"
            case tree.Member():
                return f"{show(value.base)}{'->' if value.through_pointer else '.'}{value.name}"
            case tree.Lanes():
                mark = "->" if isinstance(value.base.type, tree.Pointer) else "."
                return f"({show(value.base)}){mark}{self._lanes(value)}"
            case tree.Cast():
                if value.implicit:
                    return show(value.value)
                return f"(({self._declarator(value.type, '')})({show(value.value)}))"
            case tree.Compose():
                return self._composed(value)
            case tree.Comma():
                return f"({show(value.left)}, {show(value.right)})"
        raise AssertionError(value)

    @staticmethod
    def _lanes(value: tree.Lanes) -> str:
        vector = value.base.type
        if isinstance(vector, tree.Pointer):
            vector = vector.to
        assert isinstance(vector, tree.Vector)
        if max(value.lanes) >= vector.count:
            return {(2, 3): "hi", (1, 3): "odd"}[value.lanes]
        return "s" + "".join(f"{lane:x}" for lane in value.lanes)

    def _composed(self, value: tree.Compose) -> str:
        texts = ", ".join(map(self._initial, value.values))
        opening, closing = ("(", ")") if isinstance(value.type, tree.Vector) else ("{", "}")
        return f"(({self._declarator(value.type, '')}){opening}{texts}{closing})"
