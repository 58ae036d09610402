"""libclang's constants have their values, and its kinds of cursors their numbers."""

from __future__ import annotations

import pytest
from clang import cindex

from master.access.analyser import libclang
from master.access.analyser.libclang import Kind
from master.access.analyser.source import Source


@pytest.mark.parametrize(
    ("initial", "value"),
    [
        ("18446744073709551615ul", 2**64 - 1),
        ("-7", -7),
        ("1.5 * 2", 3.0),
        ("(char)200", -56),
        ("{1, 2}", None),
    ],
)
def test_constants_are_evaluated(initial: str, value: float | None) -> None:
    kind = "ulong" if "ul" in initial else "double" if "." in initial else "int"
    brackets = "[2]" if value is None else ""
    source = Source(f"__constant {kind} c{brackets} = {initial};", [], 64)
    (variable,) = source.declarations()
    found = libclang.evaluated(libclang.initialiser_of(variable))
    assert found == value and type(found) is type(value)


def test_a_variable_without_an_initialiser_has_none() -> None:
    source = Source("void f(void) { int a; }", [], 64)
    (function,) = source.declarations()
    (block,) = libclang.children(function)
    (statement,) = libclang.children(block)
    (variable,) = libclang.children(statement)
    assert variable._kind_id == Kind.VARIABLE
    assert libclang.initialiser_of(variable)._kind_id == Kind.NONE


def test_kinds_are_numbered_as_libclang_does() -> None:
    names = {
        Kind.STRUCT: "STRUCT_DECL",
        Kind.UNION: "UNION_DECL",
        Kind.ENUM: "ENUM_DECL",
        Kind.TYPEDEF: "TYPEDEF_DECL",
        Kind.ENUM_CONSTANT: "ENUM_CONSTANT_DECL",
        Kind.FUNCTION: "FUNCTION_DECL",
        Kind.VARIABLE: "VAR_DECL",
        Kind.PARAMETER: "PARM_DECL",
        Kind.TYPE_REFERENCE: "TYPE_REF",
        Kind.NONE: "INVALID_FILE",
        Kind.UNEXPOSED: "UNEXPOSED_EXPR",
        Kind.REFERENCE: "DECL_REF_EXPR",
        Kind.MEMBER: "MEMBER_REF_EXPR",
        Kind.CALL: "CALL_EXPR",
        Kind.INTEGER: "INTEGER_LITERAL",
        Kind.FLOATING: "FLOATING_LITERAL",
        Kind.STRING: "STRING_LITERAL",
        Kind.CHARACTER: "CHARACTER_LITERAL",
        Kind.PAREN: "PAREN_EXPR",
        Kind.UNARY: "UNARY_OPERATOR",
        Kind.SUBSCRIPT: "ARRAY_SUBSCRIPT_EXPR",
        Kind.BINARY: "BINARY_OPERATOR",
        Kind.COMPOUND_ASSIGNMENT: "COMPOUND_ASSIGNMENT_OPERATOR",
        Kind.CONDITIONAL: "CONDITIONAL_OPERATOR",
        Kind.CAST: "CSTYLE_CAST_EXPR",
        Kind.COMPOUND_LITERAL: "COMPOUND_LITERAL_EXPR",
        Kind.INITIALISER_LIST: "INIT_LIST_EXPR",
        Kind.TRUTH: "CXX_BOOL_LITERAL_EXPR",
        Kind.SIZEOF: "CXX_UNARY_EXPR",
        Kind.UNEXPOSED_STATEMENT: "UNEXPOSED_STMT",
        Kind.BLOCK: "COMPOUND_STMT",
        Kind.CASE: "CASE_STMT",
        Kind.DEFAULT: "DEFAULT_STMT",
        Kind.IF: "IF_STMT",
        Kind.SWITCH: "SWITCH_STMT",
        Kind.WHILE: "WHILE_STMT",
        Kind.DO: "DO_STMT",
        Kind.FOR: "FOR_STMT",
        Kind.CONTINUE: "CONTINUE_STMT",
        Kind.BREAK: "BREAK_STMT",
        Kind.RETURN: "RETURN_STMT",
        Kind.EMPTY_STATEMENT: "NULL_STMT",
        Kind.DECLARATIONS: "DECL_STMT",
    }
    numbers = {number for number in vars(Kind).values() if isinstance(number, int)}
    assert numbers == names.keys()
    for number, name in names.items():
        assert cindex.CursorKind.from_id(number) is getattr(cindex.CursorKind, name)
