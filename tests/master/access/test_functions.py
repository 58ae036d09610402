"""Each kernel is judged with what it may reach, and all as one where functions can't be told."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from master.access import functions as subject
from master.access.files import Files
from master.access.guard import examine, judge
from master.access.programs import judge_program

ATOMIC = "atomic_add may let work-groups of different parts reach each other"
BAD = "kernel void bad(global int *a) { atomic_add(a, 1); }\n"
GOOD = "kernel void good(global int *a) { a[get_global_id(0)] = 1; }\n"


def kernels(
    *sources: str, options: str = "", headers: Mapping[str, str] | None = None
) -> Mapping[str, str]:
    files = [["file", f"/i/{name}", text.encode()] for name, text in (headers or {}).items()]
    judgement = judge_program([[source, options, ["/i"], files] for source in sources])
    verdicts = [judge(s, options, Files(["/i"], files)) for s in sources]
    assert judgement.verdict.may_split == all(v.may_split for v in verdicts)
    assert judgement.verdict.may_split or judgement.verdict.reason in [v.reason for v in verdicts]
    if judgement.verdict.may_split:
        assert not judgement.kernels
    return judgement.kernels


def refused(*sources: str, options: str = "") -> set[str]:
    """The kernels that may not run in parts; asserts that they can be told apart."""
    found = kernels(*sources, options=options)
    assert found
    return {name for name, reason in found.items() if reason}


def test_an_innocent_neighbour_may_split() -> None:
    assert kernels(BAD + GOOD) == {"bad": f"line 1: {ATOMIC}", "good": ""}
    assert kernels(GOOD + BAD) == {"bad": f"line 2: {ATOMIC}", "good": ""}


def test_a_good_program_needs_no_kernels() -> None:
    assert kernels(GOOD) == {}


@pytest.mark.parametrize(
    "bad",
    [
        "kernel void bad(volatile global int *a) { a[0] = 1; }",
        "kernel void bad(global int *a, read_only image2d_t i) { }",
        "kernel void bad(global int *a) { vendor(a); }",
        "kernel void bad(global int *a) { F(a); }",
        'kernel void bad(global int *a) { printf("}{"); }',
        "kernel void bad(global int *a) { x: goto x; }",
        "kernel void bad(global int *a) { { if (a) { a[0] = get_group_id(0); } } }",
        "__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void bad(int a) { mem_fence(1); }",
        "__attribute__((reqd_work_group_size(1, 1, 1))) __kernel void bad(int a) { mem_fence(1); }",
        "kernel void bad(int a) __attribute__((vec_type_hint(int))) { mem_fence(1); }",
        "void kernel bad(int a) { mem_fence(1); }",
        "KERNEL void bad(int a) { mem_fence(1); }",
        "kernel void bad(int a) { /* } */ mem_fence(1); // {\n char c = '}'; }",
        "kernel void bad(int a) {\n#if 1\n{ mem_fence(1); }\n#else\n{ }\n#endif\n }",
        "kernel void bad(int a\n#if 1\n, volatile int b\n#endif\n) { }",
        "kernel void bad(int a) { for (;;) { float4 f = (float4){1}; } mem_fence(1); }",
        "struct s { int a[2]; };\nkernel void bad(struct s a) { mem_fence(1); }",
        "constant int t[] = {1, (2)};\nkernel void bad(int a) { mem_fence(1); }",
    ],
)
@pytest.mark.parametrize("before", [False, True])
def test_a_fault_stays_with_its_function(bad: str, before: bool) -> None:
    parts = [bad + "\n", GOOD]
    source = "#define F vendor2\n#define KERNEL __kernel\n" + "".join(parts[:: 1 - 2 * before])
    assert refused(source) == {"bad"}
    assert set(kernels(source)) == {"bad", "good"}


@pytest.mark.parametrize(
    "source",
    [
        "int h(global int *a);\nkernel void bad(global int *a) { h(a); }\n"
        "int h(global int *a) { return atomic_add(a, 1); }\n",
        "int h(global int *a) { return atomic_add(a, 1); }\nint i(global int *a) { return h(a); }"
        "kernel void bad(global int *a) { i(a); }\n",
        "int h(global int *a) { return atomic_add(a, 1); }\n#define H h\n#define I(x) H(x)\n"
        "kernel void bad(global int *a) { I(a); }\n",
        "int h(global int *a) { return atomic_add(a, 1); }\n#define H 1\n#undef H\n#define H h\n"
        "kernel void bad(global int *a) { H(a); }\n",
        # A variable that is named as the helper is taken for it.
        "int h(global int *a) { return atomic_add(a, 1); }\n"
        "kernel void bad(global int *a) { int h = 1; a[0] = h; }\n",
        "kernel void bad(global int *h) { h[0] = 1; }\n"
        "int h(global int *a) { return atomic_add(a, 1); }\n",
    ],
)
def test_a_fault_reaches_who_may_call(source: str) -> None:
    assert refused(GOOD + source) == {"bad"}
    assert refused(source + GOOD) == {"bad"}


def test_a_kernel_that_calls_a_kernel() -> None:
    calls = "kernel void calls(global int *a) { bad(a); good(a); }\n"
    assert refused(BAD + GOOD + calls) == {"bad", "calls"}


def test_a_macro_of_the_options_is_followed() -> None:
    helper = "int h(global int *a) { return atomic_add(a, 1); }\n"
    uses = "kernel void uses(global int *a) { H(a); }\n"
    assert refused(helper + uses + GOOD, options="-DH=h") == {"uses"}
    # Some drivers ignore the quotes.
    uses = "kernel void uses(global int *a) { H; }\n"
    assert refused(helper + uses + GOOD, options="-DH='\"h\"'") == {"uses"}


@pytest.mark.parametrize(
    "outside",
    [
        "#define A atomic_add(a, 1)\n",
        "#define A(x) vendor(x)\n",
        "#pragma vendor\n",
        "volatile int x;\n",
        "int x = get_group_id(0);\n",
        "void printf(int x);\n",
        "typedef image2d_t image;\n",
        "struct s { volatile int x; };\n",
        "volatile int f(int a) { return a; }\n",
        "__attribute__((weak)) int f(int a) { return a; }\n",
        "kernel void x(int a) { asm(\"\"); }\n",
        "kernel void x(int a) { extern int f(int); }\n",
        "kernel void x(int a) { uintptr_t y = 1; }\n",
        "kernel void x(int a) { _Pragma(\"\"); }\n",
        "kernel void x(int a) { __builtin_trap(); }\n",
        "kernel void x(int a) { atomic_intptr_t y; }\n",
        "kernel void x(int a) { ^{ }; }\n",
        "kernel void x(int a) {\n#define y volatile\n}\n",
        # What a declaration names is everybody's.
        "constant int y = bad(1);\n",
        "#define DEF(n) void n(global int *a) { bad(a); }\nDEF(h);\n",
    ],
)
def test_a_fault_elsewhere_is_everybodys(outside: str) -> None:
    assert kernels(BAD + outside + GOOD) == {}
    assert kernels(outside + BAD + GOOD) == {}


@pytest.mark.parametrize(
    "uncertain",
    [
        # Half a function in a branch.
        "kernel void f(int a) {\n#if 0\n}\nkernel void g(int a) {\n#endif\n}\n",
        "kernel void f(int a)\n#if 0\n;\nkernel void g(int a)\n#endif\n{ }\n",
        "#if 1\nkernel void f(int a) {\n#else\nkernel void f(int b) {\n#endif\n}\n",
        "#if 1\nkernel void f(int a)\n#endif\n{ }\n",
        "kernel void f(int a) { if (a) {\n#if 1\n} {\n#endif\n} }\n",
        "kernel void f(int a) {\n#if 1\n}\n",
        "kernel\n#ifdef X\nvoid\n#endif\nf(int a) { }\n",
        "#endif\n",
        "#if 1\n",
        # Macros that could move a border, or a name.
        "#define OPEN {\n",
        "#define CLOSE }\n",
        "#define BOTH } kernel void g(int a) {\n",
        "#define ODD [\n",
        "#define if while\n",
        "#define struct kernel void g(int a)\n",
        "#define f g\nkernel void f(int a) { }\n",
        "#define f(x) g(x)\nkernel void f(int a) { }\n",
        "#define M\nkernel void f(int a) M { }\n",
        "#define M\nkernel void f M (int a) { }\n",
        "#define M(x) x\nM(kernel void f(int a) { })\n",
        "#define M(x) x\nM(kernel void f(int a) { });\n",
        "#define M(x) x\nM(kernel) void f(int a) { }\n",
        "#define S s; kernel void g(int a)\nstruct S { int a; };\n",
        # Not read as functions are.
        "void f(a) int a; { }\n",
        "void (*f(int a))(int) { }\n",
        "kernel void f(int a) { void g(int b) { } }\n",
        "#define EACH(i) while (i)\nkernel void f(int a) { EACH(a) { } }\n",
        "int x = 1, f(int a) { }\n",
        "int f(int a) { return a; }\n#if 0\nint f(int b) { return b; }\n#endif\n",
        "__attribute__((unused)) { }\n",
        "int x = (1;\n",
        "}\n",
    ],
)
def test_where_functions_cannot_be_told_all_are_judged_as_one(uncertain: str) -> None:
    assert refused(BAD + GOOD) == {"bad"}
    assert kernels(BAD + GOOD + uncertain) == {}
    assert kernels(uncertain + BAD + GOOD) == {}


def test_the_source_ends_behind_a_declaration() -> None:
    assert kernels(BAD + GOOD + "int x") == {}


def test_included_files_begin_and_end_between_declarations() -> None:
    both = '#include "bad.h"\n' + GOOD
    assert kernels(both, headers={"bad.h": "#pragma once\n" + BAD}) == {
        "bad": f"bad.h, line 2: {ATOMIC}".replace("bad.h", "/i/bad.h"), "good": ""
    }  # fmt: skip
    guarded = "#ifndef H\n#define H\n" + BAD + "#endif\n"
    assert kernels('#include "bad.h"\n' + both, headers={"bad.h": guarded})["good"] == ""
    nested = {"a.h": '#include "bad.h"\nint x;\n', "bad.h": BAD}
    assert kernels('#include "a.h"\n' + both, headers=nested)["good"] == ""
    for text in ("kernel void f(int a) {", "#if 1\n", "int"):
        assert kernels('#include "x.h"\n }\n' + BAD + GOOD, headers={"x.h": text}) == {}
    inside = 'kernel void f(int a) {\n#include "x.h"\n}\n'
    assert kernels(inside + BAD + GOOD, headers={"x.h": "int b;\n"}) == {}


def test_units_are_judged_together() -> None:
    assert refused(BAD, GOOD) == {"bad"}
    # With a type of that name in one branch the call passes for a cast; then the name is of all.
    calls = "#if 0\ntypedef int h;\n#endif\nkernel void calls(global int *a) { h(a); }\n"
    helper = "void h(global int *a) { atomic_add(a, 1); }\n"
    assert kernels(calls, helper + GOOD) == {}
    named = "kernel void named(global int *h) { h[0] = 1; }\n"
    assert refused(named, helper + GOOD) == {"named"}
    assert refused("kernel void calls(global int *a) { good(a); }", GOOD) == {"calls"}
    assert kernels(BAD, "volatile int x;" + GOOD) == {}
    assert kernels(BAD + GOOD, GOOD) == {}
    assert kernels(BAD, GOOD + "int x") == {}


def test_a_unit_without_source_is_everybodys() -> None:
    assert examine(None, "").parts is None
    assert examine(BAD, "").parts and not examine(BAD, "-x spir").parts


def test_the_answer_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [GOOD.replace("good", f"good{i}") for i in range(subject.kernels_max)]
    assert len(kernels(BAD + "".join(many[1:]))) == subject.kernels_max
    assert kernels(BAD + "".join(many)) == {}
    assert kernels("".join(BAD.replace("bad", f"b{i}") for i in range(1001)) + GOOD) == {}
    for fault in ("atomic_add(a, 1);", "vendor(a);"):
        bad = BAD.replace("atomic_add(a, 1);", fault)
        assert examine(bad + "int a[] = {1};\n" * 7_000, "").parts
        assert not examine(bad + "int a[] = {1};\n" * 8_000, "").parts
    monkeypatch.setattr(subject, "kernel_chars_max", 7 + len(f"line 1: {ATOMIC}"))
    assert kernels(BAD + GOOD)
    monkeypatch.setattr(subject, "kernel_chars_max", 6 + len(f"line 1: {ATOMIC}"))
    assert kernels(BAD + GOOD) == {}


FRAGMENTS = [*"{}()[];,=*#\n", "\n#if 1\n", "\n#else\n", "\n#endif\n", "\n#define M {}\n", " M "]
FRAGMENTS += ["__attribute__((unused))", " struct ", " kernel ", " void ", " f", " if ", "f()"]
FRAGMENTS += ["volatile ", BAD, GOOD]


@settings(derandomize=True, deadline=None, max_examples=1000)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join))
def test_random_text_never_raises(source: str) -> None:
    for name, reason in kernels(source).items():
        assert name in source and (reason or "volatile" in source or BAD in source)


def test_it_takes_linear_time() -> None:
    start = time.process_time()
    for text in (
        "{" * 60_000, "struct s " * 30_000 + "{", "int a[] = {1};\n" * 7_000,
        "__attribute__((unused)) " * 5_000 + "{", "int bad(int a);\n" * 9_000,
        "kernel void f(int a) { int b[] = {a}; }\n" + "#if 1\n#endif\n" * 20_000,
        "".join(f"int f{i}(int a) {{ return f{i - 1}(a); }}\n" for i in range(1, 4_000)),
    ):  # fmt: skip
        parts = examine(BAD + text, "").parts
        assert parts
        subject.judge_kernels([parts])
    assert time.process_time() - start < 20


STATEMENTS = {
    "a[0] = 1;": False,
    "if (a[0]) { a[1] = 2; } else { a[2] = (int)(3); }": False,
    'constant char *s = "} atomic_add {"; /* } volatile */': False,
    "#ifdef X\n{ a[1] = 3; }\n#else\n{ }\n#endif\n": False,
    "atomic_inc(a);": True,
    "{ volatile int v = 1; }": True,
    "a[0] = vendor(a[1]);": True,
    "#if 0\na[0] = get_group_id(0);\n#endif\n": True,
}


@st.composite
def programs(draw: st.DrawFn) -> tuple[str, dict[str, bool], dict[str, set[str]], set[str]]:
    """(source, whether each function has a fault, what it calls, which are kernels)."""
    names = [f"f{i}" for i in range(draw(st.integers(1, 8)))]
    faulty, calls, parts = {}, {}, []
    macros = {name: draw(st.sampled_from(["", f"M{name}", f"A{name}"])) for name in names}
    is_kernel = {name for name in names if draw(st.booleans())}
    for name in names:
        statements = draw(st.lists(st.sampled_from(sorted(STATEMENTS)), max_size=3))
        calls[name] = draw(st.sets(st.sampled_from(names), max_size=2))
        faulty[name] = any(STATEMENTS[statement] for statement in statements)
        body = statements + [f"{macros[called] or called}(a);" for called in sorted(calls[name])]
        head = draw(st.sampled_from(["__kernel ", "kernel "])) if name in is_kernel else ""
        text = "\n".join(draw(st.permutations(body)))
        parts.append(f"{head}void {name}(global int *a)\n{{\n{text}\n}}\n")
        parts.append(f"void {name}(global int *a);\n")
        if macros[name]:
            parameter = "(x)" if macros[name][0] == "M" else ""
            argument = "(x)" if parameter else ""
            parts.append(f"#define {macros[name]}{parameter} {name}{argument}\n")
    return "".join(draw(st.permutations(parts))), faulty, calls, is_kernel


@settings(derandomize=True, deadline=None, max_examples=200)
@given(programs())
def test_each_kernel_is_refused_that_reaches_a_fault(
    program: tuple[str, dict[str, bool], dict[str, set[str]], set[str]],
) -> None:
    source, faulty, calls, is_kernel = program
    reached = {name for name, bad in faulty.items() if bad}
    while more := {name for name in calls if calls[name] & reached} - reached:
        reached |= more
    assert judge(source, "").may_split == (not any(faulty.values()))
    found = kernels(source)
    if not any(faulty.values()):
        return
    assert set(found) == is_kernel
    assert {name for name, reason in found.items() if reason} == reached & is_kernel
    for reason in filter(None, found.values()):
        line = re.match(r"line (\d+): (\w+)", reason)
        assert line and line[2] in source.split("\n")[int(line[1]) - 1]
