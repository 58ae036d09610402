"""The types and constants that a program finds are OpenCL's, in every version and address width."""

from __future__ import annotations

import pytest

from master.access import tree
from master.access.analyser import base
from master.access.analyser.frontend import parse

SIZES = {
    **dict.fromkeys(("char", "uchar"), 1),
    **dict.fromkeys(("short", "ushort", "half"), 2),
    **dict.fromkeys(("int", "uint", "float"), 4),
    **dict.fromkeys(("long", "ulong", "double"), 8),
}


@pytest.mark.parametrize("options", ["", "-cl-std=CL1.1", "-cl-std=CL2.0", "-cl-std=CL3.0"])
@pytest.mark.parametrize("bits", [32, 64])
def test_types_have_their_sizes_in_all_versions(options: str, bits: int) -> None:
    lanes = {2: 2, 3: 4, 4: 4, 8: 8, 16: 16}
    names = {f"{n}{w}": size * k for n, size in SIZES.items() for w, k in lanes.items()}
    names |= SIZES | dict.fromkeys(("size_t", "ptrdiff_t", "intptr_t", "uintptr_t"), bits // 8)
    names["cl_mem_fence_flags"] = 4
    fields = " ".join(f"global {name} *p_{name};" for name in names)
    source = f"kernel void k(global int *a) {{ {fields} }}"
    found = {v.name: v.type for v in parse(source, options, bits).variables}
    for name, size in names.items():
        pointer = found[f"p_{name}"]
        assert isinstance(pointer, tree.Pointer)
        assert (pointer.to.size, pointer.size) == (size, bits // 8)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CHAR_MIN", -128),
        ("SHRT_MIN", -(2**15)),
        ("INT_MIN", -(2**31)),
        ("LONG_MIN", -(2**63)),
        ("ULONG_MAX", 2**64 - 1),
        ("UINT_MAX", 2**32 - 1),
        ("CHAR_BIT", 8),
    ],
)
def test_limits_have_their_values(name: str, value: int) -> None:
    # A wrong one makes a case that is there already.
    parse(f"kernel void k(long n) {{ switch (n) {{ case {name}: case {name} - 1: ; }} }}", "")
    equal = f"{name} == {value % 2**64}UL"
    source = f"kernel void k(int n) {{ switch (n) {{ case {equal}: case 0: ; }} }}"
    kernel = parse(source, "").functions["k"]
    (switch,) = kernel.body.statements
    assert isinstance(switch, tree.Switch) and isinstance(switch.body, tree.Block)
    case = switch.body.statements[0]
    assert isinstance(case, tree.Case) and case.value == 1


def test_only_what_is_used_is_declared_of_reinterpretations() -> None:
    assert base.reinterpretations("as_int4(x) as_intention(x)").count(" as_int4(") == 14
    assert base.reinterpretations("class_int(x)").strip() == ""
    source = """kernel void k(global float3 *a, global uchar4 *b) {
        a[0] = as_float3(as_int4(a[1])); b[0] = as_uchar4(1); }"""
    assert parse(source, "").builtins == {"as_float3", "as_int4", "as_uchar4"}


@pytest.mark.parametrize(
    ("call", "options"),
    [
        ("vstore4(vload4(0, a), 1, a)", ""),
        ("atomic_add((global int *)a, 1)", ""),
        ("async_work_group_copy(l, a, 4, 0)", ""),
        ("fract(a[0], l)", ""),
        ("convert_int_sat_rte(a[0])", ""),
        ("work_group_barrier(CLK_LOCAL_MEM_FENCE)", "-cl-std=CL2.0"),
        ("work_group_reduce_add(1)", "-cl-std=CL2.0"),
        ("sincos(a[0], a + 1)", "-cl-std=CL2.0"),
        ("sincos(a[0], a + 1)", "-cl-std=CL3.0"),
        ("vload_half(0, (global half *)a)", ""),
    ],
)
def test_builtins_are_known(call: str, options: str) -> None:
    parse(f"kernel void k(global float *a, local float *l) {{ {call}; }}", options)
