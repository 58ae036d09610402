"""Variables lie where the language puts them."""

from __future__ import annotations

import pytest

from master.access.analyser.frontend import parse
from master.access.tree import Space
from tests.master.access.analyser.reading import variable


@pytest.mark.parametrize(
    ("scope", "within", "space"),
    [
        ("__constant int v = 1;", "", Space.CONSTANT),
        ("__constant int v[2][2] = {{1, 2}, {3, 4}};", "", Space.CONSTANT),
        ("const sampler_t v = 0;", "", Space.CONSTANT),
        ("", "__constant int v = 1;", Space.CONSTANT),
        ("", "__local int v[2];", Space.LOCAL),
        ("", "int v[2];", Space.PRIVATE),
        ("", "for (int v = 0; v < 1; v++) ;", Space.PRIVATE),
        ("", "__global int *v;", Space.PRIVATE),
    ],
)
def test_where_variables_lie(scope: str, within: str, space: Space) -> None:
    program = parse(f"{scope}\nkernel void k(int n) {{ {within} }}", "")
    assert variable("v", program).space is space


def test_a_global_variable_of_program_scope_is_one_in_later_versions() -> None:
    program = parse("int v[2]; kernel void k(int n) { v[0] = n; }", "-cl-std=CL2.0")
    assert variable("v", program).space is Space.GLOBAL


@pytest.mark.parametrize("text", ["int v[2]", "volatile int v", "const int v = 1"])
def test_qualifiers(text: str) -> None:
    found = variable("v", parse(f"kernel void k(int n) {{ {text}; }}", ""))
    assert (found.const, found.volatile) == ("const" in text, "volatile" in text)


def test_variables_have_numbers_in_the_order_of_the_text() -> None:
    program = parse("__constant int a = 1; kernel void k(int b) { int c = a; { int b; } }", "")
    assert [declared.name for declared in program.variables] == ["a", "b", "c", "b"]
    assert program.globals[0].variable == 0 and program.functions["k"].parameters == (1,)
