"""libclang's C functions, called plainly.

Owns: which of them are called beside cindex's own methods, with the types of what they take and
give, and the numbers by which cursors are of a kind. Must not know what a cursor stands for in a
tree, nor any program.

Most are called without what cindex does with results, which takes twice as long: a type from them
has no `_tu`, by which cindex finds its declaration.
"""

from __future__ import annotations

from typing import Any

from clang import cindex


class Kind:
    """Of cursors: as CXCursorKind numbers them."""

    STRUCT, UNION, ENUM, TYPEDEF = 2, 3, 5, 20
    ENUM_CONSTANT, FUNCTION, VARIABLE, PARAMETER = 7, 8, 9, 10
    TYPE_REFERENCE = 43
    NONE = 70
    UNEXPOSED, REFERENCE, MEMBER, CALL = 100, 101, 102, 103
    INTEGER, FLOATING, STRING, CHARACTER = 106, 107, 109, 110
    PAREN, UNARY, SUBSCRIPT, BINARY, COMPOUND_ASSIGNMENT, CONDITIONAL = range(111, 117)
    CAST, COMPOUND_LITERAL, INITIALISER_LIST, TRUTH, SIZEOF = 117, 118, 119, 130, 136
    UNEXPOSED_STATEMENT, BLOCK, CASE, DEFAULT, IF, SWITCH = 200, 202, 203, 204, 205, 206
    WHILE, DO, FOR, CONTINUE, BREAK, RETURN = 207, 208, 209, 212, 213, 214
    EMPTY_STATEMENT, DECLARATIONS = 230, 231
    ATTRIBUTES = range(400, 500)
    TYPES = frozenset({STRUCT, UNION, ENUM, TYPEDEF})
    LOOPS = frozenset({WHILE, DO, FOR})


lib: Any = cindex.conf.lib


def _plain(name: str, result: Any, *taken: Any) -> Any:
    function = lib[name]  # another object than cindex's own, which is an attribute
    function.argtypes, function.restype = taken, result
    return function


type_of = _plain("clang_getCursorType", cindex.Type, cindex.Cursor)
referenced = _plain("clang_getCursorReferenced", cindex.Cursor, cindex.Cursor)
extent_of = _plain("clang_getCursorExtent", cindex.SourceRange, cindex.Cursor)
initialiser_of = _plain("clang_Cursor_getVarDeclInitializer", cindex.Cursor, cindex.Cursor)

canonical = _plain("clang_getCanonicalType", cindex.Type, cindex.Type)
pointee = _plain("clang_getPointeeType", cindex.Type, cindex.Type)
element = _plain("clang_getElementType", cindex.Type, cindex.Type)
array_element = _plain("clang_getArrayElementType", cindex.Type, cindex.Type)
result_type = _plain("clang_getResultType", cindex.Type, cindex.Type)
argument_type = _plain("clang_getArgType", cindex.Type, cindex.Type, cindex.c_uint)
address_space = _plain("clang_getAddressSpace", cindex.c_uint, cindex.Type)

_evaluate = _plain("clang_Cursor_Evaluate", cindex.c_void_p, cindex.Cursor)
_kind = _plain("clang_EvalResult_getKind", cindex.c_int, cindex.c_void_p)
_is_unsigned = _plain("clang_EvalResult_isUnsignedInt", cindex.c_uint, cindex.c_void_p)
_unsigned = _plain("clang_EvalResult_getAsUnsigned", cindex.c_ulonglong, cindex.c_void_p)
_signed = _plain("clang_EvalResult_getAsLongLong", cindex.c_longlong, cindex.c_void_p)
_floating = _plain("clang_EvalResult_getAsDouble", cindex.c_double, cindex.c_void_p)
_dispose = _plain("clang_EvalResult_dispose", None, cindex.c_void_p)

_INTEGER_RESULT, _FLOATING_RESULT = 1, 2


def evaluated(cursor: Any) -> int | float | None:
    """What libclang takes the constant for, if it is one."""
    result = _evaluate(cursor)
    if not result:
        return None
    try:
        kind = _kind(result)
        if kind == _FLOATING_RESULT:
            return float(_floating(result))
        if kind != _INTEGER_RESULT:
            return None
        return int(_unsigned(result) if _is_unsigned(result) else _signed(result))
    finally:
        _dispose(result)


def children(cursor: Any) -> list[Any]:
    """The cursors right within it."""
    found: list[Any] = []
    lib.clang_visitChildren(cursor, _COLLECT, found)
    return found


def _collect(child: Any, _parent: Any, found: list[Any]) -> int:
    found.append(child)
    return 1  # next to it, not into it


# One for all visits: to make a callback is slower than most visits.
_COLLECT = cindex.callbacks["cursor_visit"](_collect)
