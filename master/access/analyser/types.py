"""Types, as libclang shows them, to those of the tree.

Owns: which types are read, and what the members of structs and vectors are. Must not know what has
a type. libclang may crash on odd types: sizes are asked of structs alone, and all others computed
here.
"""

from __future__ import annotations

import re
from typing import Any

from master.access import tree
from master.access.analyser import libclang
from master.access.analyser.libclang import Kind
from master.access.analyser.source import Source
from master.access.tree import Space, Type

BOOL = tree.Scalar(1, False)

# As CXTypeKind numbers them.
_VOID, _ENUM, _POINTER, _RECORD = 2, 106, 101, 105
_FUNCTION_WITHOUT_PARAMETERS, _FUNCTION = 110, 111
_ARRAY, _INCOMPLETE_ARRAY, _VARIABLE_ARRAY, _VECTOR, _ATOMIC = 112, 114, 115, 176, 177
_SCALARS = {
    3: BOOL,
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
"""bool, char, unsigned char, ..., float, double, half."""

_OPAQUE = range(121, 161)
"""Images, sampler_t, event_t, queue_t and reserve_id_t."""

_OPAQUE_NAME = re.compile(r"(?:__(read_only|write_only|read_write) )?(image\w+_t|\w+_t)")

SPACES = {1: Space.GLOBAL, 2: Space.LOCAL, 3: Space.CONSTANT, 4: Space.PRIVATE, 5: Space.GENERIC}
"""As clang numbers address spaces; 0 is what has none."""

_LANES = {"x": 0, "y": 1, "z": 2, "w": 3, "r": 0, "g": 1, "b": 2, "a": 3}


class Types:
    """Those of one program: each is made once."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._pointer_bytes = source.address_bits // 8
        self._known: dict[int, Type] = {}
        """By the address of libclang's, qualifiers included."""
        self._within: list[str] = []
        """The structs whose fields are being read."""

    def of(self, cursor: Any) -> Type:
        """Raises Unreadable."""
        return self.read(libclang.type_of(cursor), cursor)

    def read(self, found: Any, cursor: Any) -> Type:
        """Of libclang's. cursor: where, if it's refused. Raises Unreadable."""
        key = found.data[0]
        if key is None:
            raise self._source.refused(cursor, "it has no type")
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._new_type(libclang.canonical(found), cursor)
        return known

    def _new_type(self, found: Any, cursor: Any) -> Type:
        found._tu = self._source.unit  # which plain calls leave out
        kind = found._kind_id
        if kind == _VOID:
            return tree.Void()
        if kind in _SCALARS:
            return _SCALARS[kind]
        if kind == _ENUM:
            return self.read(found.get_declaration().enum_type, cursor)
        if kind == _POINTER:
            return self._pointer(libclang.pointee(found), cursor)
        if kind == _VECTOR:
            element = self.read(libclang.element(found), cursor)
            if not isinstance(element, tree.Scalar):
                raise self._source.refused(cursor, "a vector of what isn't a number is not read")
            return tree.Vector(element, libclang.lib.clang_getNumElements(found))
        if kind == _ARRAY:
            element = self.read(libclang.array_element(found), cursor)
            return tree.Array(element, libclang.lib.clang_getArraySize(found))
        if kind == _RECORD:
            return self._struct(found, cursor)
        if kind in _OPAQUE and (match := _OPAQUE_NAME.search(found.spelling)):
            return tree.Opaque(match[2], match[1] or "", self._pointer_bytes)
        why = {
            _VARIABLE_ARRAY: "an array of variable length",
            _INCOMPLETE_ARRAY: "an array without a length",
            _ATOMIC: "an atomic type",
            _FUNCTION: "a function as a value",
        }
        what = why.get(kind) or f"the type {found.spelling:.40}"
        raise self._source.refused(cursor, f"{what} is not read")

    def _pointer(self, to: Any, cursor: Any) -> tree.Pointer:
        number, const, volatile = self.qualified(to)
        space = SPACES.get(number)
        if space is None:
            why = f"a pointer to {to.spelling:.40} has no address space"
            raise self._source.refused(cursor, why)
        return tree.Pointer(self.read(to, cursor), space, const, volatile, self._pointer_bytes)

    def qualified(self, found: Any) -> tuple[int, bool, bool]:
        """Address space as clang numbers it, const, volatile: an array's may be its elements'."""
        space, const, volatile = 0, False, False
        while True:
            found = libclang.canonical(found)
            space = space or libclang.address_space(found)
            const = const or bool(libclang.lib.clang_isConstQualifiedType(found))
            volatile = volatile or bool(libclang.lib.clang_isVolatileQualifiedType(found))
            if found._kind_id not in (_ARRAY, _INCOMPLETE_ARRAY, _VARIABLE_ARRAY):
                return space, const, volatile
            found = libclang.array_element(found)

    def _struct(self, found: Any, cursor: Any) -> tree.Struct:
        declared = found.get_declaration()
        spelling = found.spelling
        if spelling in self._within:
            raise self._source.refused(cursor, f"{spelling:.40} points to its own kind")
        size = found.get_size()
        if size <= 0 or declared._kind_id not in (Kind.STRUCT, Kind.UNION):
            raise self._source.refused(cursor, f"{spelling:.40} has no size")
        self._within.append(spelling)
        try:
            fields = tuple(self._field(field) for field in found.get_fields())
        finally:
            self._within.pop()
        return tree.Struct(_name(declared), size, fields, declared._kind_id == Kind.UNION)

    def _field(self, field: Any) -> tree.Field:
        bits = field.get_field_offsetof()
        if bits < 0 or bits % 8 or field.is_bitfield():
            raise self._source.refused(field, f"{field.spelling} is a bit-field or has no place")
        _, _, volatile = self.qualified(libclang.type_of(field))
        return tree.Field(_name(field), bits // 8, self.of(field), volatile)


def is_array(found: Any) -> bool:
    """Whether a type of libclang's is, with or without a length."""
    return libclang.canonical(found)._kind_id in (_ARRAY, _INCOMPLETE_ARRAY)


def is_function(found: Any) -> bool:
    """Whether a type of libclang's is, with or without a list of parameters."""
    return found._kind_id in (_FUNCTION, _FUNCTION_WITHOUT_PARAMETERS)


def is_variadic(found: Any) -> bool:
    """Whether a type of libclang's is a function's that takes any number of arguments."""
    return found._kind_id == _FUNCTION and bool(libclang.lib.clang_isFunctionTypeVariadic(found))


def _name(declared: Any) -> str:
    """What libclang calls what has no name is none."""
    spelling: str = declared.spelling
    return "" if re.search(r"\W", spelling) else spelling


def lanes_named(name: str, count: int) -> tuple[int, ...] | None:
    """By the name of a member: those of a vector of `count`, or None if it has no such lanes."""
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


def offset_of(within: tree.Struct, name: str) -> int | None:
    """Of a member, in bytes, also of one in an anonymous struct or union; None without one."""
    for field in within.fields:
        if field.name == name:
            return field.offset
        if not field.name and isinstance(field.type, tree.Struct):
            inner = offset_of(field.type, name)
            if inner is not None:
                return field.offset + inner
    return None
