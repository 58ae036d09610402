"""What is read, printed as OpenCL C and read again is the same: no node loses a part."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pyopencl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from master.access.analyser.expand import expand
from master.access.analyser.frontend import parse
from master.access.analyser.text import Unreadable
from master.access.files import Files
from tests.master.access.analyser.printer import printed

HEAD = """
struct S { char c; int i; float4 v; union { int u; float f; }; int a[3]; };
__constant int table[] = {1, 2, 3};
int g(int n) { return n; }
"""
PARAMETERS = "global int *a, global float4 *v, global struct S *s, int n, float x"

_ROOT = Path(__file__).parents[4]
_KERNEL = re.compile(r"\b(?:__)?kernel\s+(?:\w+\s+)*void\s+\w+\s*\(")


def _sources() -> list[str]:
    """All kernels that stand as literals in the project's own Python files."""
    found = []
    for folder in ("examples", "benchmarks", "tests"):
        for path in sorted((_ROOT / folder).rglob("*.py")):
            found += [
                node.value
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and _KERNEL.search(node.value)
            ]
    return found


def assert_same_when_printed(text: str, options: str = "") -> None:
    program = parse(text, options)
    again = printed(program)
    assert parse(again, options) == program, again


def test_the_projects_kernels_are_the_same_when_printed() -> None:
    read = 0
    for source in _sources():
        try:
            text = expand(source, "").text
            parse(text, "")
        except Unreadable:
            continue  # a template, or one that a test wants refused
        assert_same_when_printed(text)
        read += 1
    assert read >= 50


@pytest.mark.parametrize("name", ["complex", "eval-tbl", "airy"])
def test_kernels_that_pyopencl_brings_are_the_same_when_printed(name: str) -> None:
    folder = Path(pyopencl.__file__).parent / "cl"
    files = [["file", str(p), p.read_bytes()] for p in folder.rglob("*") if p.is_file()]
    (path,) = folder.glob(f"pyopencl-{name}.*")
    head = "#define PYOPENCL_DEFINE_CDOUBLE\n" if name == "complex" else ""
    given = Files([str(folder)], files)
    assert_same_when_printed(
        expand(head + path.read_text(), "", given, {"cl_khr_fp64": "1"}).text
    )


def test_every_kind_of_node_is_the_same_when_printed() -> None:
    assert_same_when_printed(
        HEAD
        + """
        kernel __attribute__((reqd_work_group_size(8, 1, 1)))
        void k(global int *a, global float4 *v, global struct S *s, int n, float x) {
            local float3 t[2][2]; int own[2] = {1}; struct S one = {1, n, (float4)(x)};
            for (int i = 0, *p = own; i < n; i++, p++) { if (i == 3) continue; *p = -i; }
            for (;;) break;
            do { n--; } while (!n);
            while (n > 0) n >>= 1;
            switch (n) { case 1: a[n] = table[0]; case -2: break; default: ; }
            v[n].s13 = v->hi + (float2)(1, x); t[0][1].xy = v[1].yx; s[1].a[2] = one.u;
            a[n] = n ? sizeof(one) : (g(n), 2); (void)g(1); v[0] = v[1] + 1;
            barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE); vstore4(v[0], 0, &x);
            bool b = true; long l = INT_MIN; x = M_PI; global int *z = NULL; printf("%d" "\\n", n);
            return;
        }
        """.replace("&x", "(global float *)a")
    )


_NAMES = st.sampled_from(["n", "m", "a[n]", "a[m & 7]", "own[1]", "v[n].x", "s->i", "u", "c"])


def _extend(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = st.sampled_from("* + - < > <= >= == != && || , =".split())
    integers = st.sampled_from("<< >> & | ^ % /".split())
    types = st.sampled_from(["int", "uchar", "float", "ulong", "bool", "short"])
    return st.one_of(
        st.builds("({} {} {})".format, inner, operators.filter(lambda o: o != "="), inner),
        st.builds("((int)({}) {} (int)({}))".format, inner, integers, inner),
        st.builds("({}{})".format, st.sampled_from(["-", "!", "+"]), inner.map("({})".format)),
        st.builds("(({})({}))".format, types, inner),
        st.builds("((int)({}) ? {} : {})".format, inner, inner, inner),
        st.builds("g({})".format, inner),
        st.builds("a[(int)({})]".format, inner),
        st.builds("((float4)({}, v[n].yzw)).s{}".format, inner, st.integers(0, 3)),
        st.builds("({} {} {})".format, _NAMES, st.sampled_from(["=", "+=", "*="]), inner),
        st.builds("({}{})".format, _NAMES, st.sampled_from(["++", "--"])),
    )


_EXPRESSIONS = st.recursive(
    _NAMES | st.sampled_from(["1", "2u", "3.5f", "'x'"]), _extend, max_leaves=8
)


def _nest(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    slot = st.one_of(st.just(""), _EXPRESSIONS)
    return st.one_of(
        st.builds("if ({}) {} else {}".format, _EXPRESSIONS, inner, inner),
        st.builds("for ({}; {}; {}) {}".format, slot, slot, slot, inner),
        st.builds("while ({}) {}".format, _EXPRESSIONS, inner),
        st.builds("do {} while ({});".format, inner, _EXPRESSIONS),
        st.builds("{{ int n = {}; {} {} }}".format, _EXPRESSIONS, inner, inner),
        st.builds("switch (2) {{ case 2: {} default: {} }}".format, inner, inner),
    )


_STATEMENTS = st.recursive(
    st.one_of(_EXPRESSIONS.map("{};".format), st.sampled_from([";", "return;", "{}"])), _nest
)


@settings(max_examples=60, deadline=None)
@given(st.lists(_STATEMENTS, max_size=4).map("\n".join))
def test_small_programs_are_the_same_when_printed(text: str) -> None:
    declared = f"{HEAD}kernel void k({PARAMETERS}) {{ int m = 1, own[2]; uint u = 2; char c = 3;\n"
    assert_same_when_printed(f"{declared}{text}\n}}")
