"""What is not understood is refused, wherever it is in a program."""

from __future__ import annotations

import pytest

from master.access.analyser.frontend import parse
from master.access.analyser.text import Unreadable
from tests.master.access.analyser.reading import (
    body,
)

REFUSED = {
    "goto end; end: ;": "goto is not read",
    "again: n = 1;": "unknown kind",
    'asm("nop");': "asm is not read",
    "int t[n];": "variable length",
    "size_t p = (size_t)a;": "an address becomes a number",
    "global int *p = (global int *)(size_t)n;": "a number an address",
    "n = ({ n + 1; });": "unknown kind",
    "n = n ?: 2;": "unknown kind",
    "n = __builtin_popcount(n);": "compiler's own",
    "struct { int b : 3; } t; t.b = 1;": "bit-field",
    "int t[2][2] = {1, 2, 3, 4};": "inner braces",
    "int t[2] = {[1] = 3};": "unknown kind",
    "struct S t = {.i = 3};": "unknown kind",
    "n = _Generic(n, int: 1);": "_Generic is not read",
    "switch (n) { case 1 ... 3: break; }": "unknown kind",
    "__typeof__(n) t;": "__typeof__ is not read",
    "n = undeclared;": "doesn't compile",
    "undeclared();": "doesn't compile",
    "int later(int); n = later(1);": "",
    "__attribute__((annotate(\"x\"))) int t;": "is not known",
    "v[n] = __builtin_shufflevector(v[0], v[1], 0, 1, 2, 3);": "unknown kind",
    "v[n] = __builtin_astype(v[0], float4);": "unknown kind",
    "n = __LINE__;": "__LINE__ is not read",
    "n = a[[0]];": "",
    "n = '\\\n';": "",
    "extern int t;": "extern is not read",
    "n = __real__ n;": "",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(Unreadable) as raised:
        body(text)
    assert REFUSED[text] in raised.value.reason


@pytest.mark.parametrize(
    ("source", "options", "reason"),
    [
        ("#define A 1\n", "", "#define A 1 is not read"),
        ("/**/ #define A 1\n", "", "# is not read"),
        ("#pragma omp parallel\n", "", "#pragma omp parallel is not read"),
        ("int f(int n);\nkernel void k(int n) { f(n); }", "", "f() has no body here"),
        ("int f(int n);int h(int n) { return f(n); } int f(int n) { return h(n); }", "", "itself"),
        ("int f(int n) { return n ? f(n - 1) : 0; }", "", "f() calls itself"),
        ("kernel void k(global atomic_int *a) {}", "-cl-std=CL2.0", "an atomic type is not read"),
        ("void f(int n, ...) {}", "", ""),
        ("struct N { global struct N *n; }; kernel void k(global struct N *n) {}", "", "its own"),
        ("kernel void k(queue_t q) { int (^b)(void) = ^{ return 1; }; }", "-cl-std=CL2.0", ""),
        ("typedef int v4 __attribute__((ext_vector_type(4)));", "", "is not known"),
        ("kernel void k(int n) {}", "-fancy", "-fancy is not a known option"),
        ("kernel void k(int n) {}", "-cl-std=CLC++", "not a known option"),
        ("kernel void k(int n) {}", "-D", "has no value"),
        ("kernel void k(int n) {}", '-D "a', "build options"),
        ("kernel void k(int n) { n = " + "(" * 5000 + "1" + ")" * 5000 + "; }", "", ""),
        ("kernel void k(int n) { n = " + "-~" * 150 + "1; }", "", "nested too deeply"),
        ("kernel void k(int n) {" + "{" * 230 + "}" * 230 + "}", "", ""),
        ("kernel void k(int n) { n = `; }", "", "` is not read"),
        ("_Static_assert(1, \"\");", "", "_Static_assert is not read"),
        ("long long f(void) { return 1; }", "", ""),
    ],
)
def test_programs_that_are_refused(source: str, options: str, reason: str) -> None:
    with pytest.raises(Unreadable) as raised:
        parse(source, options)
    assert reason in raised.value.reason
