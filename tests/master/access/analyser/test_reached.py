"""What is read of a program is what somebody asks after and what that reaches."""

from __future__ import annotations

import pytest

from master.access.analyser.frontend import Parsed, parse
from master.access.analyser.text import Unreadable
from tests.master.access.analyser.reading import (
    variable,
)

PARTLY = """
ulong low(ulong a) { return a & (ulong)(unsigned long long)1; }
int middle(int n) { return (int)low(n); }
struct B { long long b; };
__constant struct B bits = { 1 };
int given(struct B b) { return 1; }
struct B result(int n) { struct B b = { n }; return b; }
int missing(int n);
int self(int n) { return n ? self(n - 1) : 0; }
__constant int fine[] = {1, 2};
int good(int n) { return fine[n & 1]; }
kernel void calls(global int *a) { a[0] = middle(1); }
kernel void names(global int *a) { a[0] = bits.b; }
kernel void points(global int *a) { __constant struct B *p = &bits; a[0] = 1; }
kernel void passes(global int *a) { struct B b; a[0] = given(b); }
kernel void gets(global int *a) { result(1); }
kernel void lacks(global int *a) { a[0] = missing(1); }
kernel void circles(global int *a) { a[0] = self(1); }
kernel void sees(global int *a) { a[0] = good(1) + sizeof(low(1)); }
kernel void alone(global int *a) { int b[2]; global int *p = &a[0]; p[0] = max(1, 2); }
"""
"""Programs that are read in parts: of each kernel the line and reason, or None."""


WHYS = {
    "calls": (2, "the type unsigned long long is not read"),
    "names": (4, "the type long long is not read"),
    "points": (4, "the type long long is not read"),
    "passes": (4, "the type long long is not read"),
    "gets": (4, "the type long long is not read"),
    "lacks": (8, "missing() has no body here"),
    "circles": (9, "self() calls itself, perhaps by way of others"),
    "sees": None,
    "alone": None,
}


@pytest.mark.parametrize("order", [list(WHYS), list(WHYS)[::-1]])
def test_what_cannot_be_read_counts_for_those_that_reach_it(order: list[str]) -> None:
    parsed = Parsed(PARTLY, "")
    assert parsed.kernels == tuple(WHYS) and parsed.functions > set(WHYS)
    for name in [*order, *order]:
        why = WHYS[name]
        if why is None:
            assert name in parsed.program(name).functions
        else:
            with pytest.raises(Unreadable) as raised:
                parsed.program(name)
            assert (raised.value.line, raised.value.reason) == why
    with pytest.raises(Unreadable, match="long long"):
        parsed.program()


def test_a_kernel_has_what_it_reaches_and_nothing_else() -> None:
    parsed = Parsed(PARTLY, "")
    sees, alone = parsed.program("sees"), parsed.program("alone")
    assert list(sees.functions) == ["good", "sees"] and sees.builtins == frozenset()
    assert [sees.variables[one.variable].name for one in sees.globals] == ["fine"]
    assert list(alone.functions) == ["alone"] and alone.builtins == {"max"}
    assert alone.globals == ()


def test_the_first_in_the_text_is_the_reason() -> None:
    text = "void b(void) { int a[2][2] = {1, 2, 3}; }\nvoid d(void) { long long n; }\n"
    parsed = Parsed(f"{text}kernel void k() {{ d(); b(); }}", "")
    with pytest.raises(Unreadable, match=r"^line 1: an initialiser"):
        parsed.program("k")


def test_an_address_is_taken_by_what_is_reached() -> None:
    head = "__constant int t[] = {1, 2};\n"
    takes = "kernel void takes(global int *a) { __constant int *p = t; a[0] = p[1]; }\n"
    reads = "kernel void reads(global int *a) { a[0] = t[1]; }\n"
    parsed = Parsed(head + takes + reads, "")
    assert variable("t", parsed.program("takes")).address_taken
    assert not variable("t", parsed.program("reads")).address_taken
    assert variable("t", parsed.program()).address_taken


def test_builtins_that_are_called_are_named() -> None:
    program = parse("kernel void k(int n) { printf(\"%d\", n); as_float(n); sin(1.0f); }", "")
    assert program.builtins == {"printf", "as_float", "sin"}
