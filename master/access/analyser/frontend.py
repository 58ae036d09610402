"""OpenCL C to the tree of `master.access.tree`, by libclang.

Owns reading: which programs have a tree. Must not know what a tree is used for, nor macros, which
are gone by now (`expand`). Everything is on a list: a cursor, type, operator, attribute, pragma or
option that isn't raises Unreadable, so that nothing of a program is ever left out of its tree.

Functions and variables of program scope are read one by one, when somebody asks after a kernel
that reaches them: most programs have more than one launch needs, and what can't be read matters
to nobody else. They reach each other by calls and names alone, as a function is never a value.

libclang shows less than it knows, and what it hides is found in the text, which has no macros but
those of `base`: operators and lanes stand between or behind the operands; FOR_STMT drops its empty
parts, so semicolons tell which are there; an implicit conversion has the extent of its operand.
It may crash on odd types: sizes are asked of structs alone, and all others computed here.

Long because a case for each kind of node is what it is.
"""

from __future__ import annotations

import re
import shlex
import struct
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from clang import cindex

from master.access import tree
from master.access.analyser import base
from master.access.analyser.places import (
    PlacedCall,
    PlacedFunction,
    PlacedVariable,
    Places,
    Unread,
)
from master.access.analyser.text import Lines, Unreadable, checked_text
from master.access.tree import Declared, Expression, Space, Statement, Type

depth_max = 200
"""Of nested expressions and statements: Python's own stack and libclang's are not endless."""

_SOURCE, _BASE = "/vcl/program.cl", "/vcl/base.h"

_lib: Any = cindex.conf.lib
for _name, _result, *_taken in (
    ("clang_Cursor_getVarDeclInitializer", cindex.Cursor, cindex.Cursor),
    ("clang_Cursor_Evaluate", cindex.c_void_p, cindex.Cursor),
    ("clang_EvalResult_getKind", cindex.c_int, cindex.c_void_p),
    ("clang_EvalResult_isUnsignedInt", cindex.c_uint, cindex.c_void_p),
    ("clang_EvalResult_getAsUnsigned", cindex.c_ulonglong, cindex.c_void_p),
    ("clang_EvalResult_getAsLongLong", cindex.c_longlong, cindex.c_void_p),
    ("clang_EvalResult_getAsDouble", cindex.c_double, cindex.c_void_p),
    ("clang_EvalResult_dispose", None, cindex.c_void_p),
    ("clang_getAddressSpace", cindex.c_uint, cindex.Type),
):
    getattr(_lib, _name).argtypes = _taken
    getattr(_lib, _name).restype = _result


def _plain(name: str, result: Any, *taken: Any) -> Any:
    """A function of libclang without what cindex does with results: that takes twice as long."""
    function = _lib[name]
    function.argtypes, function.restype = taken, result
    return function


_type_of = _plain("clang_getCursorType", cindex.Type, cindex.Cursor)
_referenced = _plain("clang_getCursorReferenced", cindex.Cursor, cindex.Cursor)
_extent_of = _plain("clang_getCursorExtent", cindex.SourceRange, cindex.Cursor)
_visit = _lib.clang_visitChildren
_canonical = _plain("clang_getCanonicalType", cindex.Type, cindex.Type)
_pointee = _plain("clang_getPointeeType", cindex.Type, cindex.Type)
_element = _plain("clang_getElementType", cindex.Type, cindex.Type)
_array_element = _plain("clang_getArrayElementType", cindex.Type, cindex.Type)
_result_type = _plain("clang_getResultType", cindex.Type, cindex.Type)
_argument_type = _plain("clang_getArgType", cindex.Type, cindex.Type, cindex.c_uint)

_VOID, _BOOL, _ENUM, _POINTER, _RECORD, _FUNCTION = 2, 3, 106, 101, 105, 111
_ARRAY, _INCOMPLETE_ARRAY, _VARIABLE_ARRAY, _VECTOR, _ATOMIC = 112, 114, 115, 176, 177
_SCALARS = {
    3: tree.Scalar(1, False),
    4: tree.Scalar(8, False),
    5: tree.Scalar(8, False),
    8: tree.Scalar(16, False),
    9: tree.Scalar(32, False),
    10: tree.Scalar(64, False),
    13: tree.Scalar(8, True),
    14: tree.Scalar(8, True),
    16: tree.Scalar(16, True),
    17: tree.Scalar(32, True),
    18: tree.Scalar(64, True),
    21: tree.Scalar(32, True, True),
    22: tree.Scalar(64, True, True),
    31: tree.Scalar(16, True, True),
}
"""By CXTypeKind: bool, char, unsigned char, ..., float, double, half."""

_OPAQUE = range(121, 161)
"""Images, sampler_t, event_t, queue_t and reserve_id_t."""

_OPAQUE_NAME = re.compile(r"(?:__(read_only|write_only|read_write) )?(image\w+_t|\w+_t)")

# As clang numbers address spaces; 0 is what has none.
_SPACES = {1: Space.GLOBAL, 2: Space.LOCAL, 3: Space.CONSTANT, 4: Space.PRIVATE, 5: Space.GENERIC}

_BINARY = frozenset("* / % + - << >> < > <= >= == != & ^ | && ||".split())
_COMPOUND = frozenset("*= /= %= += -= <<= >>= &= ^= |=".split())
_LANES = {"x": 0, "y": 1, "z": 2, "w": 3, "r": 0, "g": 1, "b": 2, "a": 3}
_SWIZZLE = re.compile(r"[\s)]*(\.|->)\s*(\w+)[\s)]*")
_INTEGER = re.compile(r"(0[xX][0-9a-fA-F]+|0[bB][01]+|[0-9]+)(?:[uUlL]{0,3})")
_FLOAT = re.compile(r"((?:0[xX][0-9a-fA-F.]+[pP][+-]?\d+)|(?:[0-9.]+(?:[eE][+-]?\d+)?))([fFhH]?)")
_SPECIAL = {
    "__builtin_inff": float("inf"),
    "__builtin_inf": float("inf"),
    "__builtin_nanf": float("nan"),
}
_HARMLESS_OPTION = re.compile(
    r"-w|-Werror|-g|-cl-(?:mad-enable|fast-relaxed-math|finite-math-only"
    "|unsafe-math-optimizations|no-signed-zeros|denorms-are-zero|opt-disable|strict-aliasing"
    "|fp32-correctly-rounded-divide-sqrt|kernel-arg-info|uniform-work-group-size|no-subgroup-ifp)"
)
_PASSED_OPTION = re.compile(r"-cl-std=CL[123]\.[0-2]|-cl-single-precision-constant")


def parse(text: str, options: str, address_bits: int = 64) -> tree.Program:
    """The tree of all of an expanded program, for devices of this address width (32 or 64).

    options: those of the build; macros and folders in them are no longer looked at.
    Raises Unreadable.
    """
    return Parsed(text, options, address_bits).program()


def parse_placed(text: str, options: str, address_bits: int = 64) -> Places:
    """Where functions, variables and calls stand in the text of a program. Raises Unreadable."""
    return Parsed(text, options, address_bits).places()


class Parsed:
    """An expanded program that compiles, of which that is read which somebody asks after."""

    def __init__(self, text: str, options: str, address_bits: int = 64) -> None:
        """As `parse`, but what can't be read within a function or variable isn't raised yet."""
        arguments = _arguments(options)
        source, lines = checked_text(text)
        target = {32: "spir", 64: "spir64"}[address_bits]
        before = base.declarations() + base.reinterpretations(text)
        try:
            unit = cindex.Index.create().parse(
                _SOURCE,
                args=[
                    *("-x", "cl", "-target", f"{target}-unknown-unknown", "-w", *arguments),
                    *("-Xclang", "-fdeclare-opencl-builtins", "-fbracket-depth=256"),
                    *("-include", _BASE, "-cl-no-stdinc"),
                ],
                unsaved_files=[(_SOURCE, source), (_BASE, before)],
            )
        except cindex.TranslationUnitLoadError:
            raise Unreadable(0, "the parser gives up on it") from None
        for diagnostic in unit.diagnostics:
            if diagnostic.severity >= cindex.Diagnostic.Error:
                inside = diagnostic.location.file and diagnostic.location.file.name == _SOURCE
                line = lines.of(diagnostic.location.line) if inside else 0
                raise Unreadable(line, f"it doesn't compile: {diagnostic.spelling}")
        self.chars = len(text)
        self._reader = _Reader(unit, source, lines, address_bits, len(before))
        self._programs: dict[str | None, tree.Program] = {}
        self.functions = frozenset(self._reader.bodies)
        """The names of those that have a body here."""
        self.kernels = tuple(f.name for f in self._reader.functions if f.is_kernel and f.has_body)
        """Their names, in the order of the text."""

    def program(self, kernel: str | None = None) -> tree.Program:
        """What a kernel, or any other of `functions`, reaches; without one all there is.

        Raises Unreadable, of what was found the first in the text.
        """
        try:
            if kernel not in self._programs:
                self._programs[kernel] = self._reader.program(kernel)
            return self._programs[kernel]
        except RecursionError:
            raise Unreadable(0, "it is nested too deeply") from None

    def places(self) -> Places:
        """Of all of the text."""
        return self._reader.places()


def _arguments(options: str) -> list[str]:
    try:
        words = iter(shlex.split(options))
    except ValueError as error:
        raise Unreadable(0, f"build options: {error}") from None
    passed = []
    for word in words:
        if word[:2] in ("-D", "-I", "-U"):
            if not (word[2:] or next(words, "")):
                raise Unreadable(0, f"build options: {word} has no value")
        elif _PASSED_OPTION.fullmatch(word):
            passed.append(word)
        elif not _HARMLESS_OPTION.fullmatch(word):
            raise Unreadable(0, f"build options: {word} is not a known option")
    return passed


def _collect(child: Any, _parent: Any, children: list[Any]) -> int:
    children.append(child)
    return 1  # next to it, not into it


# One for all visits: to make a callback is slower than most visits.
_COLLECT = cindex.callbacks["cursor_visit"](_collect)


class _Definition:
    """A function's or variable's, and what was met in reading it."""

    def __init__(self, cursor: Any, name: str) -> None:
        self.cursor = cursor
        self.name = name
        """"" for a variable of program scope."""
        self.read: tree.Function | tree.Declare | None = None
        self.unreadable: tuple[int, str] | None = None
        """Line and reason, once that is known."""
        self.calls: list[PlacedCall] = []
        self.called: set[str] = set()
        self.used: set[int] = set()
        """The definitions of variables, by their places among all."""
        self.taken: set[int] = set()
        """The numbers of variables whose address is."""
        self.depth = 0
        """Of what is being read."""


class _Reader:
    """Reads one translation unit. Cursors and types are libclang's."""

    def __init__(
        self, unit: Any, source: bytes, lines: Lines, address_bits: int, base_bytes: int
    ) -> None:
        """Finds what there is to read. base_bytes: how many the text of `base` has."""
        self._unit = unit
        self._source = source
        self._lines = lines
        self._pointer_size = address_bits // 8
        self._file = unit.get_file(_SOURCE)
        self._start = _lib.clang_getLocationForOffset(unit, self._file, 0).int_data
        """Locations in the source count on from it."""
        self._types: dict[int, Type] = {}
        """By the address of libclang's, qualifiers included."""
        self._within: list[str] = []
        """The structs whose fields are being read."""
        self._variables: list[Declared] = []
        self._numbers: dict[int, int] = {}
        """By the address of a variable's declaration."""
        self._definitions: list[_Definition] = []
        """In the order of the text."""
        self.bodies: dict[str, int] = {}
        """Of each function the place of its definition among all."""
        self._globals: dict[int, int] = {}
        """The same of variables, by the addresses of their declarations."""
        self._prototypes: dict[str, int] = {}
        """Of functions in the program, with or without a body: where they are."""
        self._own: set[int] = set()
        """The addresses of their declarations; those of builtins lie where they are first used."""
        self.functions: list[PlacedFunction] = []
        self._now = _Definition(None, "")
        """The definition that is being read."""
        self._find(base_bytes)

    # Places and text.

    @staticmethod
    def _children(cursor: Any) -> list[Any]:
        children: list[Any] = []
        _visit(cursor, _COLLECT, children)
        return children

    def _extent(self, cursor: Any) -> tuple[int, int]:
        """Offsets of its first byte and past its last one; of a macro of `base`, its name's."""
        span: tuple[int, int] | None = getattr(cursor, "span", None)
        if span is None:
            found, first = _extent_of(cursor), self._start
            span = found.begin_int_data - first, found.end_int_data - first
            if not 0 <= span[0] <= span[1] <= len(self._source):
                span = found.start.offset, found.end.offset
            cursor.span = span  # asked for again and again
        return span

    def _text(self, start: int, end: int) -> str:
        return self._source[start:end].decode(errors="replace")

    def _line(self, cursor: Any) -> int:
        return self._lines.at(self._extent(cursor)[0])

    def _refused(self, cursor: Any, why: str) -> Unreadable:
        return self._lines.unreadable(self._extent(cursor)[0], why)

    def _unknown(self, cursor: Any) -> Unreadable:
        start, end = self._extent(cursor)
        shown = " ".join(self._text(start, min(end, start + 40)).split())
        return self._refused(cursor, f"{shown} is of an unknown kind ({cursor._kind_id})")

    # Types.

    def _type_of(self, cursor: Any) -> Type:
        return self._type(_type_of(cursor), cursor)

    def _type(self, found: Any, cursor: Any) -> Type:
        """cursor: where, if it's refused."""
        key = found.data[0]
        if key is None:
            raise self._refused(cursor, "it has no type")
        known = self._types.get(key)
        if known is None:
            known = self._types[key] = self._new_type(_canonical(found), cursor)
        return known

    def _new_type(self, found: Any, cursor: Any) -> Type:
        found._tu = self._unit  # which `_plain` leaves out
        kind = found._kind_id
        if kind == _VOID:
            return tree.Void()
        if kind in _SCALARS:
            return _SCALARS[kind]
        if kind == _ENUM:
            return self._type(found.get_declaration().enum_type, cursor)
        if kind == _POINTER:
            return self._pointer(_pointee(found), cursor)
        if kind == _VECTOR:
            element = self._type(_element(found), cursor)
            if not isinstance(element, tree.Scalar):
                raise self._refused(cursor, "a vector of what isn't a number is not read")
            return tree.Vector(element, _lib.clang_getNumElements(found))
        if kind == _ARRAY:
            element = self._type(_array_element(found), cursor)
            return tree.Array(element, _lib.clang_getArraySize(found))
        if kind == _RECORD:
            return self._struct(found, cursor)
        if kind in _OPAQUE and (match := _OPAQUE_NAME.search(found.spelling)):
            return tree.Opaque(match[2], match[1] or "", self._pointer_size)
        why = {
            _VARIABLE_ARRAY: "an array of variable length",
            _INCOMPLETE_ARRAY: "an array without a length",
            _ATOMIC: "an atomic type",
            _FUNCTION: "a function as a value",
        }
        what = why.get(kind) or f"the type {found.spelling:.40}"
        raise self._refused(cursor, f"{what} is not read")

    def _pointer(self, to: Any, cursor: Any) -> tree.Pointer:
        number, const, volatile = self._qualified(to)
        space = _SPACES.get(number)
        if space is None:
            raise self._refused(cursor, f"a pointer to {to.spelling:.40} has no address space")
        return tree.Pointer(self._type(to, cursor), space, const, volatile, self._pointer_size)

    def _qualified(self, found: Any) -> tuple[int, bool, bool]:
        """Address space as clang numbers it, const, volatile: an array's may be its elements'."""
        space, const, volatile = 0, False, False
        while True:
            found = _canonical(found)
            space = space or _lib.clang_getAddressSpace(found)
            const = const or bool(_lib.clang_isConstQualifiedType(found))
            volatile = volatile or bool(_lib.clang_isVolatileQualifiedType(found))
            if found._kind_id not in (_ARRAY, _INCOMPLETE_ARRAY, _VARIABLE_ARRAY):
                return space, const, volatile
            found = _array_element(found)

    def _struct(self, found: Any, cursor: Any) -> tree.Struct:
        declared = found.get_declaration()
        spelling = found.spelling
        if spelling in self._within:
            raise self._refused(cursor, f"{spelling:.40} points to its own kind")
        size = found.get_size()
        if size <= 0 or declared._kind_id not in (2, 3):
            raise self._refused(cursor, f"{spelling:.40} has no size")
        self._within.append(spelling)
        try:
            fields = tuple(self._field(field) for field in found.get_fields())
        finally:
            self._within.pop()
        name = declared.spelling
        name = "" if re.search(r"\W", name) else name
        return tree.Struct(name, size, fields, declared._kind_id == 3)

    def _field(self, field: Any) -> tree.Field:
        bits = field.get_field_offsetof()
        if bits < 0 or bits % 8 or field.is_bitfield():
            raise self._refused(field, f"{field.spelling} is a bit-field or has no place")
        _, _, volatile = self._qualified(_type_of(field))
        name = "" if re.search(r"\W", field.spelling) else field.spelling
        return tree.Field(name, bits // 8, self._type_of(field), volatile)

    # Declarations.

    def _find(self, base_bytes: int) -> None:
        base_start = _lib.clang_getLocationForOffset(
            self._unit, self._unit.get_file(_BASE), 0
        ).int_data
        for cursor in self._children(self._unit.cursor):
            at = _extent_of(cursor).begin_int_data
            start = at - self._start
            if not 0 <= start <= len(self._source):
                if 0 <= at - base_start <= base_bytes:
                    continue
                if cursor.location.file is None:
                    continue  # the parser's own
                raise self._unknown(cursor)
            if cursor.extent.start.offset != start:
                raise self._refused(cursor, "the parser places it where it isn't")
            if cursor._kind_id == 8:
                self._found_function(cursor)
            elif cursor._kind_id == 9:
                self._globals[cursor.data[0]] = len(self._definitions)
                self._definitions.append(_Definition(cursor, ""))
            elif not self._is_type(cursor) and self._text(*self._extent(cursor)).strip() != ";":
                raise self._unknown(cursor)

    def _found_function(self, cursor: Any) -> None:
        name = cursor.spelling
        self._prototypes.setdefault(name, self._extent(cursor)[0])
        self._own.add(cursor.data[0])
        children = self._children(cursor)
        has_body = bool(children) and children[-1]._kind_id == 202
        taken = sum(child._kind_id == 10 for child in children)
        is_kernel = any(
            400 <= child._kind_id < 500 and self._attribute(child).name == "kernel"
            for child in children
        )
        self.functions.append(
            PlacedFunction(
                name, cursor.location.offset, self._line(cursor), taken, has_body, is_kernel
            )
        )
        if has_body and name not in self.bodies:
            self.bodies[name] = len(self._definitions)
            self._definitions.append(_Definition(cursor, name))
        elif has_body:
            why = self._refused(cursor, f"{name}() is not one function")
            self._definitions[self.bodies[name]].unreadable = why.line, why.reason

    def program(self, name: str | None) -> tree.Program:
        """Of what a function reaches, or of all."""
        reached, builtins = self._reached(name)
        self._refuse_recursion(reached)
        functions: dict[str, tree.Function] = {}
        initialised: list[tree.Declare] = []
        for one in reached:
            if isinstance(one.read, tree.Function):
                functions[one.name] = one.read
            elif one.read is not None:
                initialised.append(one.read)
        taken = set[int]().union(*(one.taken for one in reached))
        variables = tuple(
            replace(variable, address_taken=True) if number in taken else variable
            for number, variable in enumerate(self._variables)
        )
        width = self._pointer_size * 8
        return tree.Program(
            functions, tuple(initialised), variables, frozenset(builtins), width
        )

    def _reached(self, name: str | None) -> tuple[list[_Definition], set[str]]:
        """The definitions, in the order of the text, and the names of builtins that are called.

        Raises Unreadable.
        """
        if name is None:
            places = list(range(len(self._definitions)))
            called = set(self._prototypes).union(*(self._definition(p).called for p in places))
        else:
            places, called = self._followed(self.bodies[name])
        for place in places:
            self._ensure_read(self._definitions[place])
        for declared, offset in self._prototypes.items():
            if declared in called and declared not in self.bodies:
                raise self._lines.unreadable(offset, f"{declared}() has no body here")
        return [self._definitions[place] for place in places], called - self.bodies.keys()

    def _followed(self, first: int) -> tuple[list[int], set[str]]:
        """The places of what a definition reaches, in order, and the names of all calls there."""
        waiting, reached, called = [first], set[int](), set[str]()
        while waiting:
            place = waiting.pop()
            if place not in reached:
                reached.add(place)
                one = self._definition(place)
                called |= one.called
                waiting += sorted(one.used.union(
                    self.bodies[f] for f in one.called if f in self.bodies
                ))  # fmt: skip
        return sorted(reached), called

    def _definition(self, place: int) -> _Definition:
        """What was read there, or why it isn't."""
        one = self._definitions[place]
        if one.read is None and one.unreadable is None:
            outer, self._now = self._now, one
            try:
                if one.name:
                    one.read = self._function(one.cursor)
                else:
                    one.read = self._declaration(one.cursor, at_program_scope=True)
            except Unreadable as why:
                one.unreadable = why.line, why.reason
            except RecursionError:
                one.unreadable = 0, "it is nested too deeply"
            finally:
                self._now = outer
        return one

    @staticmethod
    def _ensure_read(one: _Definition) -> None:
        if one.unreadable is not None:
            raise Unreadable(*one.unreadable)

    def places(self) -> Places:
        """Of the whole text, all of which is read now."""
        every = [self._definition(place) for place in range(len(self._definitions))]
        return Places(
            tuple(self.functions),
            tuple(
                PlacedVariable(one.cursor.spelling, self._line(one.cursor))
                for one in every
                if not one.name
            ),
            tuple(call for one in every for call in one.calls if one.unreadable is None),
            tuple(
                Unread(one.name, *self._extent(one.cursor), *one.unreadable)
                for one in every
                if one.unreadable is not None
            ),
            self._pointer_size * 8,
        )

    @staticmethod
    def _is_array_type(found: Any) -> bool:
        return _canonical(found)._kind_id in (_ARRAY, _INCOMPLETE_ARRAY)

    @staticmethod
    def _is_type(cursor: Any) -> bool:
        return cursor._kind_id in (2, 3, 5, 20)  # struct, union, enum, typedef

    def _function(self, cursor: Any) -> tree.Function:
        name = cursor.spelling
        children = self._children(cursor)
        found = _type_of(cursor)
        if found._kind_id not in (110, _FUNCTION):
            raise self._refused(cursor, f"{name}() is not one function")
        if found._kind_id == _FUNCTION and _lib.clang_isFunctionTypeVariadic(found):
            raise self._refused(cursor, f"{name}() takes any number of arguments")
        attributes: list[tree.Attribute] = []
        parameters: list[int] = []
        for child in children[:-1]:
            if child._kind_id == 10:
                # The canonical type of a function has pointers where arrays were written.
                taken = _argument_type(_canonical(found), len(parameters))
                parameters.append(self._declare(child, False, taken))
            elif 400 <= child._kind_id < 500:
                attributes.append(self._attribute(child))
            elif child._kind_id not in (43,) and not self._is_type(child):  # a type's name
                raise self._unknown(child)
        body = self._block(children[-1])
        return tree.Function(
            name,
            tuple(parameters),
            self._type(_result_type(found), cursor),
            body,
            any(attribute.name == "kernel" for attribute in attributes),
            tuple(attribute for attribute in attributes if attribute.name != "kernel"),
            self._line(cursor),
        )

    def _attribute(self, cursor: Any) -> tree.Attribute:
        name, _, arguments = self._text(*self._extent(cursor)).partition("(")
        listed = arguments.rpartition(")")[0].split(",") if arguments else []
        return tree.Attribute(name.strip().strip("_"), tuple(part.strip() for part in listed))

    def _declare(self, cursor: Any, at_program_scope: bool, taken: Any = None) -> int:
        """taken: the type of a parameter without its qualifiers."""
        found = _type_of(cursor)
        declared = self._type(taken or found, cursor)
        if taken and self._is_array_type(found):
            found = taken
        number, const, volatile = self._qualified(found)
        space = _SPACES.get(number)
        if number == 0 and not at_program_scope:
            space = Space.PRIVATE
        elif number == 0 and isinstance(declared, tree.Opaque):
            space = Space.CONSTANT  # a sampler
        if space is None or cursor.storage_class == cindex.StorageClass.EXTERN:
            raise self._refused(cursor, f"{cursor.spelling} lies in no known place")
        number = self._numbers[cursor.data[0]] = len(self._variables)
        self._variables.append(Declared(cursor.spelling, declared, space, False, const, volatile))
        return number

    def _declaration(self, cursor: Any, at_program_scope: bool = False) -> tree.Declare:
        number = self._declare(cursor, at_program_scope)
        initial = _lib.clang_Cursor_getVarDeclInitializer(cursor)
        value = None
        if initial._kind_id != 70:
            value = self._converted(initial, self._variables[number].type)
        return tree.Declare(self._line(cursor), number, value)

    @staticmethod
    def _refuse_recursion(reached: Iterable[_Definition]) -> None:
        functions = {one.name: one for one in reached if one.name}
        done: set[str] = set()

        def visit(name: str, above: tuple[str, ...]) -> None:
            one = functions[name]
            if name in above:
                assert isinstance(one.read, tree.Function)
                why = f"{name}() calls itself, perhaps by way of others"
                raise Unreadable(one.read.line, why)
            if name not in done:
                for called in sorted(one.called & functions.keys()):
                    visit(called, (*above, name))
                done.add(name)

        for name in functions:
            visit(name, ())

    # Statements.

    def _block(self, cursor: Any) -> tree.Block:
        found: list[Statement] = []
        for child in self._children(cursor):
            found += self._statements(child)
        return tree.Block(self._line(cursor), tuple(found))

    def _statement(self, cursor: Any) -> Statement:
        found = self._statements(cursor)
        return found[0] if len(found) == 1 else tree.Block(self._line(cursor), tuple(found))

    def _statements(self, cursor: Any) -> list[Statement]:
        """Declarations may be many, and an empty statement is none."""
        kind = cursor._kind_id
        if kind == 230:  # null statement
            return []
        if kind == 231:  # declarations
            children = self._children(cursor)
            for child in children:
                if child._kind_id != 9 and not self._is_type(child):
                    raise self._unknown(child)
            return [self._declaration(child) for child in children if child._kind_id == 9]
        now = self._now
        now.depth += 1
        if now.depth > depth_max:
            raise self._refused(cursor, "it is nested too deeply")
        read = _STATEMENTS.get(kind)
        if read is None:
            found: Statement = tree.Express(
                self._line(cursor), self._expression(cursor, used=False)
            )
        else:
            found = read(self, cursor)
        now.depth -= 1
        return [found]

    def _attributed(self, cursor: Any) -> Statement:
        """A loop below #pragma unroll or opencl_unroll_hint."""
        children = self._children(cursor)
        loops = [child for child in children if child._kind_id in (207, 208, 209)]
        others = [child for child in children if not 400 <= child._kind_id < 500]
        if len(loops) != 1 or others != loops:
            raise self._unknown(cursor)
        before = self._text(self._extent(cursor)[0], self._extent(loops[0])[0])
        if not re.search("unroll", before):
            raise self._unknown(cursor)
        return self._statement(loops[0])

    def _parts(self, cursor: Any, *counts: int) -> list[Any]:
        children = self._children(cursor)
        if len(children) not in counts:
            raise self._unknown(cursor)
        return children

    def _if(self, cursor: Any) -> Statement:
        condition, then, *otherwise = self._parts(cursor, 2, 3)
        return tree.If(
            self._line(cursor),
            self._expression(condition),
            self._statement(then),
            self._statement(otherwise[0]) if otherwise else None,
        )

    def _while(self, cursor: Any) -> Statement:
        condition, body = self._parts(cursor, 2)
        return tree.While(self._line(cursor), self._expression(condition), self._statement(body))

    def _do(self, cursor: Any) -> Statement:
        body, condition = self._parts(cursor, 2)
        found = self._statement(body)
        return tree.DoWhile(self._line(cursor), found, self._expression(condition))

    def _for(self, cursor: Any) -> Statement:
        start, end = self._extent(cursor)
        first, second, closing = self._for_header(cursor, start, end)
        *header, body = self._parts(cursor, 1, 2, 3, 4)
        slots: list[Any] = [None, None, None]
        for part in header:
            at = self._extent(part)[0]
            slot = 0 if at < first else 1 if at < second else 2
            if slots[slot] is not None or at > closing:
                raise self._unknown(cursor)
            slots[slot] = part
        bounds = (self._source.index(b"(", start), first, second, closing)
        for slot, part in enumerate(slots):
            between = self._source[bounds[slot] + 1 : bounds[slot + 1]].strip()
            if (part is None) == bool(between):
                raise self._unknown(cursor)
        if self._extent(body)[0] <= closing:
            raise self._unknown(cursor)
        initial, condition, step = slots
        line = self._line(cursor)
        begun = tuple(self._statements(initial)) if initial is not None else ()
        return tree.For(
            line,
            begun,
            None if condition is None else self._expression(condition),
            None if step is None else self._expression(step, used=False),
            self._statement(body),
        )

    def _for_header(self, cursor: Any, start: int, end: int) -> list[int]:
        """Offsets of its two semicolons and its closing parenthesis."""
        depth, places = 0, []
        for match in _BRACKETS.finditer(self._source, start, end):
            mark = match[0]
            if mark in b"([{":
                depth += 1
            elif mark in b")]}":
                depth -= 1
            if (mark == b";" and depth == 1) or (mark == b")" and depth == 0):
                places.append(match.start())
            if mark == b")" and depth == 0:
                break
        if len(places) != 3:
            raise self._unknown(cursor)
        return places

    def _switch(self, cursor: Any) -> Statement:
        value, body = self._parts(cursor, 2)
        return tree.Switch(self._line(cursor), self._expression(value), self._statement(body))

    def _case(self, cursor: Any) -> Statement:
        value, statement = self._parts(cursor, 2)
        number = self._evaluated(value)
        if not isinstance(number, int):
            raise self._unknown(value)
        return tree.Case(self._line(cursor), number, self._statement(statement))

    def _default(self, cursor: Any) -> Statement:
        (statement,) = self._parts(cursor, 1)
        return tree.Default(self._line(cursor), self._statement(statement))

    def _return(self, cursor: Any) -> Statement:
        value = self._parts(cursor, 0, 1)
        return tree.Return(self._line(cursor), self._expression(value[0]) if value else None)

    def _break(self, cursor: Any) -> Statement:
        return tree.Break(self._line(cursor))

    def _continue(self, cursor: Any) -> Statement:
        return tree.Continue(self._line(cursor))

    # Expressions.

    def _expression(self, cursor: Any, used: bool = True) -> Expression:
        """used: whether anything is made of its value."""
        read = _EXPRESSIONS.get(cursor._kind_id)
        if read is None:
            raise self._unknown(cursor)
        now = self._now
        now.depth += 1
        if now.depth > depth_max:
            raise self._refused(cursor, "it is nested too deeply")
        found = read(self, cursor, used)
        now.depth -= 1
        return found

    def _only(self, cursor: Any) -> Any:
        """Its one operand."""
        children = [child for child in self._children(cursor) if child._kind_id != 43]
        if len(children) != 1:
            raise self._unknown(cursor)
        return children[0]

    def _value_type(self, cursor: Any) -> Type:
        """Of what is no place in memory, and so no array: of array parameters libclang says it."""
        found = self._type_of(cursor)
        if isinstance(found, tree.Array):
            raise self._refused(cursor, "arithmetic on a parameter that is an array is not read")
        return found

    def _unexposed(self, cursor: Any, used: bool, indexed: bool = False) -> Expression:
        """An implicit conversion, or lanes of a vector.

        indexed: what it gives is only indexed, so that no address of an array is taken.
        """
        child = self._only(cursor)
        extent, inner = self._extent(cursor), self._extent(child)
        if extent == inner:
            value = self._expression(child, used)
            shown = _type_of(cursor)
            if isinstance(value.type, tree.Pointer) and self._is_array_type(shown):
                # A parameter, or what is passed to one: not the array that it is declared as.
                _, const, volatile = self._qualified(shown)
                pointer = replace(value.type, const=const, volatile=volatile)
                return self._cast(cursor, value, pointer, implicit=True)
            to = self._type_of(cursor)
            if indexed and isinstance(value.type, tree.Array):
                return tree.Cast(to, self._lines.at(extent[0]), value, True)
            return self._cast(cursor, value, to, implicit=True)
        match = _SWIZZLE.fullmatch(self._text(inner[1], extent[1]))
        if extent[0] != inner[0] or match is None:
            raise self._unknown(cursor)
        value = self._expression(child)
        vector = value.type
        if (match[1] == "->") != isinstance(vector, tree.Pointer):
            raise self._unknown(cursor)
        if isinstance(vector, tree.Pointer):
            vector = vector.to
        if not isinstance(vector, tree.Vector):
            raise self._unknown(cursor)
        lanes = _lanes(match[2], vector.count)
        found = self._type_of(cursor)
        if lanes is None or len(lanes) != (found.count if isinstance(found, tree.Vector) else 1):
            raise self._unknown(cursor)
        return tree.Lanes(found, self._lines.at(extent[0]), value, lanes)

    def _cast(self, cursor: Any, value: Expression, to: Type, implicit: bool) -> Expression:
        """To the type that `value` has, it is `value`. Addresses stay addresses."""
        if isinstance(to, tree.Array) and not isinstance(value, tree.Literal):
            raise self._refused(cursor, "a conversion to an array is not read")
        if to == value.type and implicit:
            return value
        pointers = isinstance(to, tree.Pointer), isinstance(value.type, tree.Pointer | tree.Array)
        zero = isinstance(value, tree.Literal) and value.value == 0
        truth = to == _SCALARS[_BOOL]
        if pointers[0] != pointers[1] and not (zero or truth or isinstance(to, tree.Void)):
            raise self._refused(cursor, "an address becomes a number, or a number an address")
        if isinstance(value.type, tree.Array):
            self._mark(value)
        return tree.Cast(to, self._line(cursor), value, implicit)

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
        self._now.taken.add(value.number)

    def _explicit_cast(self, cursor: Any, used: bool) -> Expression:
        to = self._value_type(cursor)
        child = self._only(cursor)
        value = self._expression(child, used and not isinstance(to, tree.Void))
        return self._cast(cursor, value, to, False)

    def _paren(self, cursor: Any, used: bool) -> Expression:
        return self._expression(self._only(cursor), used)

    def _compound_literal(self, cursor: Any, used: bool) -> Expression:
        child = self._only(cursor)
        if child._kind_id != 119:
            raise self._unknown(cursor)
        return self._list(child, self._type_of(cursor))

    def _initialiser_list(self, cursor: Any, used: bool) -> Expression:
        return self._list(cursor, self._type_of(cursor))

    def _list(self, cursor: Any, to: Type) -> Expression:
        children = self._children(cursor)
        if isinstance(to, tree.Vector):
            values = [self._expression(child) for child in children]
            lanes = sum(v.type.count if isinstance(v.type, tree.Vector) else 1 for v in values)
            if lanes not in (1, to.count):
                why = f"{lanes} lanes for a vector of {to.count} are not read"
                raise self._refused(cursor, why)
            values = [self._lane(cursor, value, to.element) for value in values]
            if lanes == 1 and to.count != 1:
                return tree.Cast(to, self._line(cursor), values[0], True)
            return tree.Compose(to, self._line(cursor), tuple(values))
        if isinstance(to, tree.Array):
            kinds: list[Type] = [to.element] * min(to.count, len(children))
        elif isinstance(to, tree.Struct):
            kinds = [field.type for field in to.fields[: 1 if to.union else None]]
        else:
            kinds = [to]
        if len(children) > len(kinds):
            raise self._refused(cursor, "an initialiser without its inner braces is not read")
        found = [self._converted(c, kind) for c, kind in zip(children, kinds, strict=False)]
        if isinstance(to, tree.Scalar | tree.Pointer | tree.Opaque) and len(found) == 1:
            return found[0]
        return tree.Compose(to, self._line(cursor), tuple(found))

    def _lane(self, cursor: Any, value: Expression, element: tree.Scalar) -> Expression:
        """As a lane, or lanes, of a vector of `element`."""
        if isinstance(value.type, tree.Vector):
            if value.type.element != element:
                raise self._refused(cursor, "lanes of another type are not read")
            return value
        return self._cast(cursor, value, element, True)

    def _converted(self, cursor: Any, to: Type) -> Expression:
        """An initialiser of what has the type `to`: libclang may leave out the conversion."""
        if cursor._kind_id == 119:
            return self._list(cursor, to)
        value = self._expression(cursor)
        if value.type == to:
            return value
        text = isinstance(value, tree.Literal) and isinstance(value.value, str)
        if text and isinstance(to, tree.Array):
            return value
        if isinstance(value.type, tree.Scalar) and isinstance(to, tree.Scalar | tree.Opaque):
            return self._cast(cursor, value, to, True)
        if isinstance(to, tree.Pointer) and isinstance(value.type, tree.Pointer | tree.Array):
            return self._cast(cursor, value, to, True)
        raise self._refused(cursor, "an initialiser of another type is not read")

    def _literal(self, cursor: Any, used: bool) -> Expression:
        start, end = self._extent(cursor)
        text = self._text(start, end)
        to = self._type_of(cursor)
        assert isinstance(to, tree.Scalar)
        value: int | float | str | None
        if to.floating:
            match = _FLOAT.fullmatch(text)
            digits = match[1] if match else ""
            if not match:
                value = self._evaluated(cursor)
            elif digits[:2] in ("0x", "0X"):
                value = float.fromhex(digits)
            else:
                value = float(digits)
            if isinstance(value, float):
                value = _rounded(value, to)
        elif (match := _INTEGER.fullmatch(text)) is not None:
            digits = match[1]
            octal = digits[0] == "0" and digits.isdecimal()
            value = int(digits, 8 if octal else 0)
        else:
            value = self._evaluated(cursor)
        if value is None:
            raise self._unknown(cursor)
        return tree.Literal(to, self._lines.at(start), value)

    def _truth(self, cursor: Any, used: bool) -> Expression:
        start, end = self._extent(cursor)
        value = {"true": 1, "false": 0}.get(self._text(start, end))
        if value is None:
            raise self._unknown(cursor)
        return tree.Literal(self._type_of(cursor), self._lines.at(start), value)

    def _sizeof(self, cursor: Any, used: bool) -> Expression:
        value = self._evaluated(cursor)
        if not isinstance(value, int):
            raise self._unknown(cursor)
        return tree.Literal(self._type_of(cursor), self._line(cursor), value)

    def _string(self, cursor: Any, used: bool) -> Expression:
        start, end = self._extent(cursor)
        parts = _STRINGS.findall(self._text(start, end))
        if not parts or _STRINGS.sub("", self._text(start, end)).strip():
            raise self._unknown(cursor)
        # Apart, as an escape of one could go on in the next.
        text = '" "'.join(part[1:-1] for part in parts)
        return tree.Literal(self._type_of(cursor), self._lines.at(start), text)

    def _evaluated(self, cursor: Any) -> int | float | None:
        """What libclang takes the constant for, if it is one."""
        result = _lib.clang_Cursor_Evaluate(cursor)
        if not result:
            return None
        try:
            kind = _lib.clang_EvalResult_getKind(result)
            if kind == 2:
                return float(_lib.clang_EvalResult_getAsDouble(result))
            if kind != 1:
                return None
            if _lib.clang_EvalResult_isUnsignedInt(result):
                return int(_lib.clang_EvalResult_getAsUnsigned(result))
            return int(_lib.clang_EvalResult_getAsLongLong(result))
        finally:
            _lib.clang_EvalResult_dispose(result)

    def _reference(self, cursor: Any, used: bool) -> Expression:
        declared = _referenced(cursor)
        place = self._globals.get(declared.data[0])
        if place is not None:
            self._use(place)
        number = self._numbers.get(declared.data[0])
        line = self._line(cursor)
        if number is not None and declared._kind_id in (9, 10):
            return tree.Variable(self._variables[number].type, line, number)
        if declared._kind_id != 7:
            raise self._refused(cursor, f"{cursor.spelling} is not a variable")
        if cursor.spelling in base.chosen:
            return tree.Named(self._type_of(cursor), line, cursor.spelling)
        value = int(_lib.clang_getEnumConstantDeclValue(declared))
        return tree.Literal(self._type_of(cursor), line, value)

    def _use(self, place: int) -> None:
        """A variable of program scope."""
        one = self._definitions[place]
        if one is not self._now:
            self._now.used.add(place)
            self._ensure_read(self._definition(place))

    def _unary(self, cursor: Any, used: bool) -> Expression:
        child = self._only(cursor)
        (start, end), inner = self._extent(cursor), self._extent(child)
        before = self._text(start, inner[0]).strip(" \t\n()")
        after = self._text(inner[1], end).strip(" \t\n()")
        line = self._lines.at(start)
        value = self._expression(child)
        operator = before or after
        if operator in ("++", "--") and (before == "" or after == ""):
            to = self._value_type(cursor)
            return tree.Increment(to, line, 1 if operator == "++" else -1, after == "", value)
        if after:
            raise self._unknown(cursor)
        if operator == "*":
            return tree.Dereference(self._type_of(cursor), line, value)
        to = self._value_type(cursor)
        if operator == "&":
            self._mark(value)
            return tree.AddressOf(to, line, value)
        if operator not in ("+", "-", "~", "!"):
            raise self._unknown(cursor)
        return tree.Unary(to, line, operator, value)

    def _operator(self, cursor: Any, left: Any, right: Any) -> str:
        return self._text(self._extent(left)[1], self._extent(right)[0]).strip(" \t\n()")

    def _binary(self, cursor: Any, used: bool) -> Expression:
        left, right = self._parts(cursor, 2)
        operator = self._operator(cursor, left, right)
        to, line = self._value_type(cursor), self._line(cursor)
        if operator == ",":
            first = self._expression(left, used=False)
            return tree.Comma(to, line, first, self._expression(right, used))
        one, other = self._expression(left), self._expression(right)
        if operator == "=":
            return tree.Assign(to, line, "", one, other)
        if operator not in _BINARY:
            raise self._unknown(cursor)
        return tree.Binary(to, line, operator, one, other)

    def _compound_assignment(self, cursor: Any, used: bool) -> Expression:
        left, right = self._parts(cursor, 2)
        operator = self._operator(cursor, left, right)
        if operator not in _COMPOUND:
            raise self._unknown(cursor)
        one, other = self._expression(left), self._expression(right)
        return tree.Assign(self._value_type(cursor), self._line(cursor), operator[:-1], one, other)

    def _conditional(self, cursor: Any, used: bool) -> Expression:
        condition, then, otherwise = self._parts(cursor, 3)
        return tree.Conditional(
            self._value_type(cursor),
            self._line(cursor),
            self._expression(condition),
            self._expression(then, used),
            self._expression(otherwise, used),
        )

    def _subscript(self, cursor: Any, used: bool) -> Expression:
        bases, index = (self._indexed(part) for part in self._parts(cursor, 2))
        if isinstance(index.type, tree.Pointer):
            bases, index = index, bases
        if not isinstance(bases.type, tree.Pointer | tree.Vector):
            raise self._unknown(cursor)
        return tree.Subscript(self._type_of(cursor), self._line(cursor), bases, index)

    def _indexed(self, cursor: Any) -> Expression:
        """An array that becomes a pointer only to be indexed: its address goes nowhere."""
        if cursor._kind_id == 100:
            return self._unexposed(cursor, True, indexed=True)
        return self._expression(cursor)

    def _member(self, cursor: Any, used: bool) -> Expression:
        value = self._expression(self._only(cursor))
        through = isinstance(value.type, tree.Pointer)
        struct_type = value.type.to if isinstance(value.type, tree.Pointer) else value.type
        name = cursor.spelling
        offset = _offset(struct_type, name) if isinstance(struct_type, tree.Struct) else None
        if offset is None:
            raise self._unknown(cursor)
        to = self._type_of(cursor)
        return tree.Member(to, self._line(cursor), value, name, offset, through)

    def _call(self, cursor: Any, used: bool) -> Expression:
        callee, *arguments = self._children(cursor)
        while callee._kind_id in (100, 111):
            callee = self._only(callee)
        declared = _referenced(callee)
        if callee._kind_id != 101 or declared._kind_id != 8:
            raise self._refused(cursor, "a function that is called by its address is not followed")
        name = callee.spelling
        if name in _SPECIAL:
            to = self._value_type(cursor)
            return tree.Literal(to, self._line(cursor), _SPECIAL[name])
        self._now.called.add(name)  # first, as what is called may say better why it isn't read
        to, line = self._value_type(cursor), self._line(cursor)
        if name.startswith("__"):
            raise self._refused(cursor, f"{name}() is a compiler's own")
        if (declared.data[0] in self._own) != (name in self._prototypes):
            raise self._refused(cursor, f"{name}() is both a builtin and not")
        start, close = self._extent(callee)[0], self._extent(cursor)[1] - 1
        self._now.calls.append(PlacedCall(self._now.name, name, start, close, len(arguments)))
        given = tuple(self._expression(argument) for argument in arguments)
        return tree.Call(to, line, name, given, used)


_BRACKETS = re.compile(rb"""[()\[\]{};]|"(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*'""")
_STRINGS = re.compile(r'"(?:[^"\\\n]|\\[^\n])*"')


def _lanes(name: str, count: int) -> tuple[int, ...] | None:
    """Of a vector of `count`, or None if it has no such lanes."""
    whole = 4 if count == 3 else count
    halves = {"lo": (0, whole // 2, 1), "hi": (whole // 2, whole, 1)}
    parts = {**halves, "even": (0, whole, 2), "odd": (1, whole, 2)}
    if name in parts:
        return tuple(range(*parts[name]))
    if name[0] in "sS" and len(name) > 1 and all(c in "0123456789abcdefABCDEF" for c in name[1:]):
        lanes = tuple(int(digit, 16) for digit in name[1:])
    elif all(letter in _LANES for letter in name):
        lanes = tuple(_LANES[letter] for letter in name)
    else:
        return None
    return lanes if max(lanes) < count else None


def _offset(within: tree.Struct, name: str) -> int | None:
    """Of a member, also of one in an anonymous struct or union."""
    for field in within.fields:
        if field.name == name:
            return field.offset
        if not field.name and isinstance(field.type, tree.Struct):
            inner = _offset(field.type, name)
            if inner is not None:
                return field.offset + inner
    return None


def _rounded(value: float, to: tree.Scalar) -> float:
    try:
        form = {16: "<e", 32: "<f", 64: "<d"}[to.bits]
        return float(struct.unpack(form, struct.pack(form, value))[0])
    except OverflowError:
        return float("inf")


_EXPRESSIONS: dict[int, Callable[[_Reader, Any, bool], Expression]] = {
    100: _Reader._unexposed,
    101: _Reader._reference,
    102: _Reader._member,
    103: _Reader._call,
    106: _Reader._literal,  # an integer
    107: _Reader._literal,  # a floating one
    109: _Reader._string,
    110: _Reader._literal,  # a character
    111: _Reader._paren,
    112: _Reader._unary,
    113: _Reader._subscript,
    114: _Reader._binary,
    115: _Reader._compound_assignment,
    116: _Reader._conditional,
    117: _Reader._explicit_cast,
    118: _Reader._compound_literal,
    119: _Reader._initialiser_list,
    130: _Reader._truth,
    136: _Reader._sizeof,
}
"""By CXCursorKind."""

_STATEMENTS: dict[int, Callable[[_Reader, Any], Statement]] = {
    200: _Reader._attributed,
    202: _Reader._block,
    203: _Reader._case,
    204: _Reader._default,
    205: _Reader._if,
    206: _Reader._switch,
    207: _Reader._while,
    208: _Reader._do,
    209: _Reader._for,
    212: _Reader._continue,
    213: _Reader._break,
    214: _Reader._return,
}
