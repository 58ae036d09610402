"""Expressions have the tree that they should have."""

from __future__ import annotations

import pytest

from master.access import tree
from master.access.analyser.frontend import parse
from master.access.analyser.text import Unreadable
from master.access.tree import Space
from tests.master.access.analyser.reading import (
    CHAR,
    FLOAT,
    HEAD,
    INT,
    LONG,
    PARAMETERS,
    body,
    effect,
    literal,
    parts,
    value,
    variable,
)


def test_a_constant_of_an_enum_is_a_literal_but_for_those_that_each_device_chooses() -> None:
    program = parse("enum { A = -3 }; kernel void k(int n) { if (A) barrier(n); }", "")
    (statement,) = program.functions["k"].body.statements
    assert isinstance(statement, tree.If) and statement.condition == literal(-3)
    call = effect("barrier(CLK_LOCAL_MEM_FENCE)")
    assert isinstance(call, tree.Call)
    (argument,) = call.arguments
    assert isinstance(argument, tree.Cast)
    assert argument.value == tree.Named(INT, 0, "CLK_LOCAL_MEM_FENCE")


@pytest.mark.parametrize("operator", "* / % + - << >> < > <= >= == != & ^ | && ||".split())
def test_binary_operators(operator: str) -> None:
    found = value(f"n {operator} 2")
    assert isinstance(found, tree.Binary) and found.operator == operator and found.type == INT
    assert isinstance(found.left, tree.Variable) and found.right == literal(2)


@pytest.mark.parametrize("operator", "* / % + - << >> & ^ |".split())
def test_compound_assignments(operator: str) -> None:
    found = effect(f"a[(n)] {operator}= (2)")
    assert isinstance(found, tree.Assign) and found.operator == operator
    assert isinstance(found.target, tree.Subscript) and found.value == literal(2)


@pytest.mark.parametrize("operator", "+ - ~ !".split())
def test_unary_operators(operator: str) -> None:
    found = value(f"{operator} (n)")
    assert isinstance(found, tree.Unary) and found.operator == operator


@pytest.mark.parametrize(
    ("text", "by", "prefix"),
    [("n++", 1, False), ("++n", 1, True), ("(n)--", -1, False), ("--(n)", -1, True)],
)
def test_increments(text: str, by: int, prefix: bool) -> None:
    found = effect(text)
    assert isinstance(found, tree.Increment) and (found.by, found.prefix) == (by, prefix)


def test_memory_is_reached_by_subscripts_pointers_and_members() -> None:
    found = value("*(a + n)")
    assert isinstance(found, tree.Dereference) and isinstance(found.pointer, tree.Binary)
    assert found.pointer.type == tree.Pointer(INT, Space.GLOBAL, False, False, 8)
    swapped, straight = value("n[a]"), value("a[n]")
    assert swapped == straight and isinstance(straight, tree.Subscript)
    through = value("s->i")
    assert isinstance(through, tree.Member) and through.offset == 4 and through.through_pointer
    direct = value("s[1].i")
    assert isinstance(direct, tree.Member) and not direct.through_pointer
    anonymous = value("s->f > 0")
    assert isinstance(anonymous, tree.Binary)
    assert isinstance(anonymous.left, tree.Member) and anonymous.left.offset == 32
    address = effect("vload4(0, &s->c)")
    assert isinstance(address, tree.Call)
    assert any(isinstance(part, tree.AddressOf) for part in parts(address))


@pytest.mark.parametrize(
    ("text", "lanes"),
    [
        ("v->x", (0,)),
        ("v[n].w", (3,)),
        ("v[n].s3", (3,)),
        ("v[n].zyx", (2, 1, 0)),
        ("v[n].s1F", None),
        ("v[n].S03", (0, 3)),
        ("v[n].lo", (0, 1)),
        ("v[n].hi", (2, 3)),
        ("v[n].odd", (1, 3)),
        ("(v[n]) . even", (0, 2)),
        ("v[n].s012.hi", (2, 3)),
        ("((float4)(x)).y", (1,)),
    ],
)
def test_lanes(text: str, lanes: tuple[int, ...] | None) -> None:
    if lanes is None:
        with pytest.raises(Unreadable):
            value(f"any(isnan({text}))")
        return
    inner = parts(value(f"isnan({text}).x" if len(lanes) > 1 else text))
    assert lanes in [part.lanes for part in inner if isinstance(part, tree.Lanes)]


def test_casts_say_whether_they_are_implicit_and_fill_vectors() -> None:
    found = effect("v[n] = (float4)(n)")
    assert isinstance(found, tree.Assign)
    assert isinstance(found.value, tree.Cast) and not found.value.implicit
    assert found.value.type == tree.Vector(FLOAT, 4)
    assert isinstance(found.value.value, tree.Cast) and found.value.value.implicit
    widened = value("n + 1L")
    assert isinstance(widened, tree.Binary) and isinstance(widened.left, tree.Cast)
    assert widened.left.type == LONG and widened.left.implicit


def test_composed_values() -> None:
    found = effect("v[n] = (float4)(x, v[0].xy, 1)")
    assert isinstance(found, tree.Assign) and isinstance(found.value, tree.Compose)
    assert [type(part) for part in found.value.values] == [tree.Variable, tree.Lanes, tree.Cast]
    (declared,) = body("int t[3] = {n, 2};")
    assert isinstance(declared, tree.Declare) and isinstance(declared.initial, tree.Compose)
    assert len(declared.initial.values) == 2 and declared.initial.type == tree.Array(INT, 3)
    (nested,) = body("struct { int p; char q[2]; } t = {1, {2, 3}};")
    assert isinstance(nested, tree.Declare) and isinstance(nested.initial, tree.Compose)
    inner = nested.initial.values[1]
    assert isinstance(inner, tree.Compose)
    assert inner.values[0] == tree.Cast(CHAR, 0, literal(2), True)


@pytest.mark.parametrize(
    ("text", "used"),
    [
        ("g(n)", [False]),
        ("(void)g(n)", [False]),
        ("((g((n))))", [False]),
        ("g(g(n))", [False, True]),
        ("g(n), g(n)", [False, False]),
        ("n ? g(1) : g(2)", [False, False]),
        ("n = g(n)", [True]),
        ("n = (g(1), g(2))", [False, True]),
        ("g(n) + 1", [True]),
    ],
)
def test_calls_say_whether_their_result_is_used(text: str, used: list[bool]) -> None:
    calls = [part for part in parts(effect(text)) if isinstance(part, tree.Call)]
    assert [call.used for call in calls] == used


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("int t[4]; t[n] = 1;", False),
        ("int t[4]; int *p = t;", True),
        ("int t[4]; int *p = &t[1];", True),
        ("int t[4]; *t = 1;", True),
        ("int t[2][2]; t[n][1] = 1;", False),
        ("int t[2][2]; int *p = t[1];", True),
        ("struct S t; t.a[n] = 1;", False),
        ("struct S t; int *p = t.a;", True),
        ("struct S t; int *p = &t.i;", True),
        ("float4 t; float *p = (float *)&t;", True),
        ("int t[4], u = 1; t[g((int)(&u != 0))] = 1; int *p = t;", True),
        ("int *t = 0; int *p = &t[1];", False),
    ],
)
def test_whose_address_is_taken(text: str, taken: bool) -> None:
    program = parse(f"{HEAD}kernel void k({PARAMETERS}) {{ {text} }}", "")
    assert variable("t", program).address_taken is taken
    assert "u" not in [v.name for v in program.variables] or variable("u", program).address_taken
