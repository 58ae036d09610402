"""Expressions of a program to those of the tree, and what variables begin with.

Owns: a case for each kind of expression, conversions that libclang leaves out, and noting what is
called, used and whose address is taken. Must not know statements, nor who asks.

libclang shows less than it knows, and what it hides is found in the text, which has no macros but
those of `base`: operators and lanes stand between or behind the operands; an implicit conversion
has the extent of its operand.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from master.access import tree
from master.access.analyser import base, libclang
from master.access.analyser.definitions import Definitions
from master.access.analyser.libclang import Kind
from master.access.analyser.literals import KINDS, literal
from master.access.analyser.places import PlacedCall
from master.access.analyser.source import Source
from master.access.analyser.types import BOOL, Types, is_array, lanes_named, offset_of
from master.access.analyser.variables import Variables
from master.access.tree import Expression, Type

_BINARY = frozenset("* / % + - << >> < > <= >= == != & ^ | && ||".split())
_COMPOUND = frozenset("*= /= %= += -= <<= >>= &= ^= |=".split())
_SWIZZLE = re.compile(r"[\s)]*(\.|->)\s*(\w+)[\s)]*")
_SPECIAL = {
    "__builtin_inff": float("inf"),
    "__builtin_inf": float("inf"),
    "__builtin_nanf": float("nan"),
}


class Expressions:
    """Reads those of one program. All its methods raise Unreadable."""

    def __init__(
        self, source: Source, types: Types, variables: Variables, definitions: Definitions
    ) -> None:
        self._source = source
        self._types = types
        self._variables = variables
        self._definitions = definitions

    def read(self, cursor: Any, used: bool = True) -> Expression:
        """used: whether anything is made of its value."""
        read = _KINDS.get(cursor._kind_id)
        if read is None:
            raise self._source.unknown(cursor)
        self._definitions.deeper(cursor)
        found = read(self, cursor, used)
        self._definitions.back()
        return found

    def _only(self, cursor: Any) -> Any:
        """Its one operand."""
        children = libclang.children(cursor)
        operands = [child for child in children if child._kind_id != Kind.TYPE_REFERENCE]
        if len(operands) != 1:
            raise self._source.unknown(cursor)
        return operands[0]

    def _value_type(self, cursor: Any) -> Type:
        """Of what is no place in memory, and so no array: of array parameters libclang says it."""
        found = self._types.of(cursor)
        if isinstance(found, tree.Array):
            why = "arithmetic on a parameter that is an array is not read"
            raise self._source.refused(cursor, why)
        return found

    def _unexposed(self, cursor: Any, used: bool, indexed: bool = False) -> Expression:
        """An implicit conversion, or lanes of a vector.

        indexed: what it gives is only indexed, so that no address of an array is taken.
        """
        child = self._only(cursor)
        extent, inner = self._source.extent(cursor), self._source.extent(child)
        if extent == inner:
            value = self.read(child, used)
            shown = libclang.type_of(cursor)
            if isinstance(value.type, tree.Pointer) and is_array(shown):
                # A parameter, or what is passed to one: not the array that it is declared as.
                _, const, volatile = self._types.qualified(shown)
                pointer = replace(value.type, const=const, volatile=volatile)
                return self._cast(cursor, value, pointer, implicit=True)
            to = self._types.of(cursor)
            if indexed and isinstance(value.type, tree.Array):
                return tree.Cast(to, self._source.line(cursor), value, True)
            return self._cast(cursor, value, to, implicit=True)
        match = _SWIZZLE.fullmatch(self._source.text(inner[1], extent[1]))
        if extent[0] != inner[0] or match is None:
            raise self._source.unknown(cursor)
        value = self.read(child)
        vector = value.type
        if (match[1] == "->") != isinstance(vector, tree.Pointer):
            raise self._source.unknown(cursor)
        if isinstance(vector, tree.Pointer):
            vector = vector.to
        if not isinstance(vector, tree.Vector):
            raise self._source.unknown(cursor)
        lanes = lanes_named(match[2], vector.count)
        found = self._types.of(cursor)
        if lanes is None or len(lanes) != (found.count if isinstance(found, tree.Vector) else 1):
            raise self._source.unknown(cursor)
        return tree.Lanes(found, self._source.line(cursor), value, lanes)

    def _cast(self, cursor: Any, value: Expression, to: Type, implicit: bool) -> Expression:
        """To the type that `value` has, it is `value`. Addresses stay addresses."""
        if isinstance(to, tree.Array) and not isinstance(value, tree.Literal):
            raise self._source.refused(cursor, "a conversion to an array is not read")
        if to == value.type and implicit:
            return value
        pointers = isinstance(to, tree.Pointer), isinstance(value.type, tree.Pointer | tree.Array)
        zero = isinstance(value, tree.Literal) and value.value == 0
        truth = to == BOOL
        if pointers[0] != pointers[1] and not (zero or truth or isinstance(to, tree.Void)):
            why = "an address becomes a number, or a number an address"
            raise self._source.refused(cursor, why)
        if isinstance(value.type, tree.Array):
            self._mark(value)
        return tree.Cast(to, self._source.line(cursor), value, implicit)

    def _mark(self, value: Expression) -> None:
        """Note that the address of what `value` names is taken."""
        while not isinstance(value, tree.Variable):
            parts = tree.Member | tree.Lanes | tree.Subscript
            inner = value.base if isinstance(value, parts) else None
            if isinstance(inner, tree.Cast) and isinstance(inner.value.type, tree.Array):
                inner = inner.value
            elif inner is not None and isinstance(inner.type, tree.Pointer):
                inner = None
            if inner is None:
                return
            value = inner
        self._definitions.now.taken.add(value.number)

    def _explicit_cast(self, cursor: Any, used: bool) -> Expression:
        to = self._value_type(cursor)
        child = self._only(cursor)
        value = self.read(child, used and not isinstance(to, tree.Void))
        return self._cast(cursor, value, to, False)

    def _literal(self, cursor: Any, used: bool) -> Expression:
        return literal(self._source, self._types, cursor)

    def _paren(self, cursor: Any, used: bool) -> Expression:
        return self.read(self._only(cursor), used)

    def _compound_literal(self, cursor: Any, used: bool) -> Expression:
        child = self._only(cursor)
        if child._kind_id != Kind.INITIALISER_LIST:
            raise self._source.unknown(cursor)
        return self._list(child, self._types.of(cursor))

    def _initialiser_list(self, cursor: Any, used: bool) -> Expression:
        return self._list(cursor, self._types.of(cursor))

    def _list(self, cursor: Any, to: Type) -> Expression:
        children = libclang.children(cursor)
        if isinstance(to, tree.Vector):
            values = [self.read(child) for child in children]
            lanes = sum(v.type.count if isinstance(v.type, tree.Vector) else 1 for v in values)
            if lanes not in (1, to.count):
                why = f"{lanes} lanes for a vector of {to.count} are not read"
                raise self._source.refused(cursor, why)
            values = [self._lane(cursor, value, to.element) for value in values]
            if lanes == 1 and to.count != 1:
                return tree.Cast(to, self._source.line(cursor), values[0], True)
            return tree.Compose(to, self._source.line(cursor), tuple(values))
        if isinstance(to, tree.Array):
            kinds: list[Type] = [to.element] * min(to.count, len(children))
        elif isinstance(to, tree.Struct):
            kinds = [field.type for field in to.fields[: 1 if to.union else None]]
        else:
            kinds = [to]
        if len(children) > len(kinds):
            why = "an initialiser without its inner braces is not read"
            raise self._source.refused(cursor, why)
        found = [self._converted(c, kind) for c, kind in zip(children, kinds, strict=False)]
        if isinstance(to, tree.Scalar | tree.Pointer | tree.Opaque) and len(found) == 1:
            return found[0]
        return tree.Compose(to, self._source.line(cursor), tuple(found))

    def _lane(self, cursor: Any, value: Expression, element: tree.Scalar) -> Expression:
        """As a lane, or lanes, of a vector of `element`."""
        if isinstance(value.type, tree.Vector):
            if value.type.element != element:
                raise self._source.refused(cursor, "lanes of another type are not read")
            return value
        return self._cast(cursor, value, element, True)

    def _converted(self, cursor: Any, to: Type) -> Expression:
        """An initialiser of what has the type `to`: libclang may leave out the conversion."""
        if cursor._kind_id == Kind.INITIALISER_LIST:
            return self._list(cursor, to)
        value = self.read(cursor)
        if value.type == to:
            return value
        text = isinstance(value, tree.Literal) and isinstance(value.value, str)
        if text and isinstance(to, tree.Array):
            return value
        if isinstance(value.type, tree.Scalar) and isinstance(to, tree.Scalar | tree.Opaque):
            return self._cast(cursor, value, to, True)
        if isinstance(to, tree.Pointer) and isinstance(value.type, tree.Pointer | tree.Array):
            return self._cast(cursor, value, to, True)
        raise self._source.refused(cursor, "an initialiser of another type is not read")

    def declaration(self, cursor: Any, at_program_scope: bool = False) -> tree.Declare:
        """cursor: a variable's."""
        number = self._variables.declare(cursor, at_program_scope)
        initial = libclang.initialiser_of(cursor)
        value = None
        if initial._kind_id != Kind.NONE:
            value = self._converted(initial, self._variables.declared[number].type)
        return tree.Declare(self._source.line(cursor), number, value)

    def global_declaration(self, cursor: Any) -> tree.Declare:
        """cursor: that of a variable of program scope."""
        return self.declaration(cursor, at_program_scope=True)

    def _reference(self, cursor: Any, used: bool) -> Expression:
        declared = libclang.referenced(cursor)
        place = self._definitions.variables.get(declared.data[0])
        if place is not None:
            self._use(place)
        number = self._variables.numbers.get(declared.data[0])
        line = self._source.line(cursor)
        if number is not None and declared._kind_id in (Kind.VARIABLE, Kind.PARAMETER):
            return tree.Variable(self._variables.declared[number].type, line, number)
        if declared._kind_id != Kind.ENUM_CONSTANT:
            raise self._source.refused(cursor, f"{cursor.spelling} is not a variable")
        if cursor.spelling in base.chosen:
            return tree.Named(self._types.of(cursor), line, cursor.spelling)
        value = int(libclang.lib.clang_getEnumConstantDeclValue(declared))
        return tree.Literal(self._types.of(cursor), line, value)

    def _use(self, place: int) -> None:
        """A variable of program scope."""
        one = self._definitions.every[place]
        if one is not self._definitions.now:
            self._definitions.now.used.add(place)
            self._definitions.read(one, self.global_declaration).ensure_read()

    def _unary(self, cursor: Any, used: bool) -> Expression:
        child = self._only(cursor)
        (start, end), inner = self._source.extent(cursor), self._source.extent(child)
        before, after = self._operator(start, inner[0]), self._operator(inner[1], end)
        line = self._source.line(cursor)
        value = self.read(child)
        operator = before or after
        if operator in ("++", "--") and (before == "" or after == ""):
            to = self._value_type(cursor)
            return tree.Increment(to, line, 1 if operator == "++" else -1, after == "", value)
        if after:
            raise self._source.unknown(cursor)
        if operator == "*":
            return tree.Dereference(self._types.of(cursor), line, value)
        to = self._value_type(cursor)
        if operator == "&":
            self._mark(value)
            return tree.AddressOf(to, line, value)
        if operator not in ("+", "-", "~", "!"):
            raise self._source.unknown(cursor)
        return tree.Unary(to, line, operator, value)

    def _operator(self, start: int, end: int) -> str:
        return self._source.text(start, end).strip(" \t\n()")

    def _operator_between(self, left: Any, right: Any) -> str:
        return self._operator(self._source.extent(left)[1], self._source.extent(right)[0])

    def _binary(self, cursor: Any, used: bool) -> Expression:
        left, right = self._source.parts(cursor, 2)
        operator = self._operator_between(left, right)
        to, line = self._value_type(cursor), self._source.line(cursor)
        if operator == ",":
            first = self.read(left, used=False)
            return tree.Comma(to, line, first, self.read(right, used))
        one, other = self.read(left), self.read(right)
        if operator == "=":
            return tree.Assign(to, line, "", one, other)
        if operator not in _BINARY:
            raise self._source.unknown(cursor)
        return tree.Binary(to, line, operator, one, other)

    def _compound_assignment(self, cursor: Any, used: bool) -> Expression:
        left, right = self._source.parts(cursor, 2)
        operator = self._operator_between(left, right)
        if operator not in _COMPOUND:
            raise self._source.unknown(cursor)
        one, other = self.read(left), self.read(right)
        to, line = self._value_type(cursor), self._source.line(cursor)
        return tree.Assign(to, line, operator[:-1], one, other)

    def _conditional(self, cursor: Any, used: bool) -> Expression:
        condition, then, otherwise = self._source.parts(cursor, 3)
        return tree.Conditional(
            self._value_type(cursor),
            self._source.line(cursor),
            self.read(condition),
            self.read(then, used),
            self.read(otherwise, used),
        )

    def _subscript(self, cursor: Any, used: bool) -> Expression:
        bases, index = (self._indexed(part) for part in self._source.parts(cursor, 2))
        if isinstance(index.type, tree.Pointer):
            bases, index = index, bases
        if not isinstance(bases.type, tree.Pointer | tree.Vector):
            raise self._source.unknown(cursor)
        return tree.Subscript(self._types.of(cursor), self._source.line(cursor), bases, index)

    def _indexed(self, cursor: Any) -> Expression:
        """An array that becomes a pointer only to be indexed: its address goes nowhere."""
        if cursor._kind_id == Kind.UNEXPOSED:
            return self._unexposed(cursor, True, indexed=True)
        return self.read(cursor)

    def _member(self, cursor: Any, used: bool) -> Expression:
        value = self.read(self._only(cursor))
        through = isinstance(value.type, tree.Pointer)
        struct_type = value.type.to if isinstance(value.type, tree.Pointer) else value.type
        name = cursor.spelling
        offset = offset_of(struct_type, name) if isinstance(struct_type, tree.Struct) else None
        if offset is None:
            raise self._source.unknown(cursor)
        to = self._types.of(cursor)
        return tree.Member(to, self._source.line(cursor), value, name, offset, through)

    def _call(self, cursor: Any, used: bool) -> Expression:
        callee, *arguments = libclang.children(cursor)
        while callee._kind_id in (Kind.UNEXPOSED, Kind.PAREN):
            callee = self._only(callee)
        declared = libclang.referenced(callee)
        if callee._kind_id != Kind.REFERENCE or declared._kind_id != Kind.FUNCTION:
            why = "a function that is called by its address is not followed"
            raise self._source.refused(cursor, why)
        name = callee.spelling
        if name in _SPECIAL:
            to = self._value_type(cursor)
            return tree.Literal(to, self._source.line(cursor), _SPECIAL[name])
        now = self._definitions.now
        now.called.add(name)  # first, as what is called may say better why it isn't read
        to, line = self._value_type(cursor), self._source.line(cursor)
        if name.startswith("__"):
            raise self._source.refused(cursor, f"{name}() is a compiler's own")
        if (declared.data[0] in self._definitions.own) != (name in self._definitions.prototypes):
            raise self._source.refused(cursor, f"{name}() is both a builtin and not")
        start, close = self._source.extent(callee)[0], self._source.extent(cursor)[1] - 1
        now.calls.append(PlacedCall(now.name, name, start, close, len(arguments)))
        given = tuple(self.read(argument) for argument in arguments)
        return tree.Call(to, line, name, given, used)


_KINDS: dict[int, Callable[[Expressions, Any, bool], Expression]] = {
    **dict.fromkeys(KINDS, Expressions._literal),
    Kind.UNEXPOSED: Expressions._unexposed,
    Kind.REFERENCE: Expressions._reference,
    Kind.MEMBER: Expressions._member,
    Kind.CALL: Expressions._call,
    Kind.PAREN: Expressions._paren,
    Kind.UNARY: Expressions._unary,
    Kind.SUBSCRIPT: Expressions._subscript,
    Kind.BINARY: Expressions._binary,
    Kind.COMPOUND_ASSIGNMENT: Expressions._compound_assignment,
    Kind.CONDITIONAL: Expressions._conditional,
    Kind.CAST: Expressions._explicit_cast,
    Kind.COMPOUND_LITERAL: Expressions._compound_literal,
    Kind.INITIALISER_LIST: Expressions._initialiser_list,
}
