"""const is trusted where no token could take it away, and nowhere else."""

# ruff: noqa: E501  a case is easiest read on one line

from __future__ import annotations

import time

import pytest

from master.access.constness import keeps_const, source_bytes_max

KEPT = {
    "nothing to take it away": "__kernel void f(__global const int *a, __global int *o) { o[0] = a[0] * 2; }",
    "a const helper and pointer": """
        float h(const __global float *a, int i) { return a[i]; }
        __kernel void f(const __global float *restrict a, __global float *o, int n) {
            const __global float *p = a + 1;
            if (o[0] == 1) o[0] = h(p, 1) * n;
            o[1] = vload4(0, a).x;
        }""",
    "attributes": "__kernel __attribute__((reqd_work_group_size(8,1,1))) "
    "void f(global int const *a, global int *o) { o[0] = a[0]; }",
    "numbers from macros": "#define N 5\n__kernel void f(global const int *a, global int *o) { o[0] = a[N]; }",
    "comments and strings": '/* (global int *) */ __kernel void f(global const int *a) { } // (global int*)',
    "a cast that keeps it": "kernel void f(global const char *a, global int *o)"
    " { o[0] = *(global const int *)a; }",
    "several kernels": "kernel void f(global const int *a, global int *o) { *o = *a; }"
    "kernel void g(global const int *a, global int *o) { o[1] = a[1]; }",
}  # fmt: skip
LOST = {
    "a cast": "kernel void f(global const int *a) { ((global int *)a)[0] = 1; }",
    "a pointer": "kernel void f(global const int *a) { global int *p = a; p[0] = 1; }",
    "a const pointer to what isn't": "kernel void f(global const int *a) { global int *const p = a; }",
    "a helper": "void h(global int *p) { *p = 1; } kernel void f(global const int *a) { h(a); }",
    "a helper of const pointer": "void h(global int *const p) { *p = 1; }"
    "kernel void f(global const int *a) { h(a); }",
    "another argument": "kernel void f(global const int *a, global int *o) { o = a; o[0] = 1; }",
    "another kernel": "kernel void g(global int *o) { *o = 1; }"
    "kernel void f(global const int *a) { g(a); }",
    "a builtin that stores": "kernel void f(global const float *a) { vstore4((float4)1, 0, a); }",
    "an atomic": "kernel void f(global const int *a) { atomic_inc(a); }",
    "a result by pointer": "kernel void f(global const float *a) { float x = modf(1.5f, a); }",
    "a typedef": "typedef global int *gp; kernel void f(global const int *a) { ((gp)a)[0] = 1; }",
    "a macro for a type": "#define G global int *\nkernel void f(global const int *a) { ((G)a)[0] = 1; }",
    "a macro for the address space": "#define G global\nkernel void f(G const int *a) { *(G int *)a = 1; }",
    "a macro for const": "#define const\nkernel void f(global const int *a) { }",
    "a structure": "struct s { global int *p; }; kernel void f(global const int *a)"
    " { struct s x; x.p = a; x.p[0] = 1; }",
    "a pointer to pointers": "kernel void f(global const int *a) { const global int **p; }",
    "the type of an expression": "kernel void f(global const int *a) { __typeof__(*a) x; }",
    "an anonymous structure": "kernel void f(global const int *a)"
    " { ((global struct { int x; } *)a)->x = 1; }",
    "a splice": "kernel void f(global const int *a) { ((glo\\\nbal int *)a)[0] = 1; }",
    "a splice in a comment": "// \\\n \nkernel void f(global const int *a) { ((global int *)a)[0] = 1; }",
    "an open string": 'kernel void f(global const int *a) { char *s = "; }',
    "a digraph for a directive": "%:define G global\nkernel void f(global const int *a) { *(G int *)a = 1; }",
}  # fmt: skip


@pytest.mark.parametrize("case", KEPT)
def test_kept(case: str) -> None:
    assert keeps_const([KEPT[case]], "-cl-fast-relaxed-math -DN=4 -cl-std=CL1.2")


@pytest.mark.parametrize("case", LOST)
def test_lost(case: str) -> None:
    assert not keeps_const([LOST[case]], "")


@pytest.mark.parametrize("options", ["-cl-std=CL2.0", "-cl-std=CLC++", "-DG=__global", "-D const=", "-D G=global"])  # fmt: skip
def test_options_that_change_the_meaning(options: str) -> None:
    """Where a pointer needs no address space, or a name isn't what it seems."""
    assert not keeps_const([KEPT["nothing to take it away"]], options)


def test_every_file_counts() -> None:
    assert not keeps_const([KEPT["several kernels"], LOST["a cast"]], "")


@pytest.mark.parametrize("unit", ["/*", '"\\', "kernel void f(", "__attribute__((", "global int *"])
def test_hostile_text_takes_linear_time(unit: str) -> None:
    start = time.process_time()
    keeps_const([unit * ((source_bytes_max - 1) // len(unit))], "")
    assert time.process_time() - start < 5
