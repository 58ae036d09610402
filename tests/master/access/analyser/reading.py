"""Small pieces of programs, and what is read of them.

Owns: a program around a statement or an expression, and finding parts of its tree. Must not know
what they should be.
"""

from __future__ import annotations

from collections.abc import Iterator

from master.access import tree
from master.access.analyser.frontend import parse

INT, UINT, LONG = tree.Scalar(32, True), tree.Scalar(32, False), tree.Scalar(64, True)
ULONG, CHAR, BOOL = tree.Scalar(64, False), tree.Scalar(8, True), tree.Scalar(1, False)
FLOAT, DOUBLE = tree.Scalar(32, True, True), tree.Scalar(64, True, True)

HEAD = """
struct S { char c; int i; float4 v; union { int u; float f; }; int a[3]; };
__constant int table[] = {1, 2, 3};
int g(int n) { return n; }
"""
PARAMETERS = "global int *a, global float4 *v, global struct S *s, int n, float x"


def body(text: str, parameters: str = PARAMETERS, options: str = "") -> tuple[tree.Statement, ...]:
    program = parse(f"{HEAD}kernel void k({parameters}) {{ {text} }}", options)
    return program.functions["k"].body.statements


def value(text: str, options: str = "") -> tree.Expression:
    """Of an expression whose value is used."""
    (statement,) = body(f"if ({text}) ;", options=options)
    assert isinstance(statement, tree.If)
    return statement.condition


def effect(text: str) -> tree.Expression:
    (statement,) = body(f"{text};")
    assert isinstance(statement, tree.Express)
    return statement.expression


def literal(number: float, kind: tree.Scalar = INT) -> tree.Literal:
    return tree.Literal(kind, 0, number)


def variable(name: str, program: tree.Program) -> tree.Declared:
    (found,) = [declared for declared in program.variables if declared.name == name]
    return found


def parts(node: object) -> Iterator[object]:
    yield node
    for name in getattr(node, "__dataclass_fields__", {}):
        if name != "type":
            inner = getattr(node, name)
            for part in inner if isinstance(inner, tuple) else (inner,):
                yield from parts(part)
