"""What kernels touch: never less than they do; of common kernels, no more."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from master.access import expressions
from master.access.analyser.frontend import parse
from master.access.extents import Extent, extents
from master.access.kernels import BUFFER, Footprint, footprint
from master.access.memory import Lost
from tests.master.access.generated import SIZE, draw
from tests.master.access.machine import Machine, TooLong
from vcl.ndrange import NDRange, split


def packed(arguments: list[Any]) -> list[Any]:
    return [a if isinstance(a, str) else a.to_bytes(4, "little", signed=True) for a in arguments]


def parts(ndrange: NDRange, rng: Random) -> list[NDRange]:
    """Cut on work-group boundaries: along one dimension, or into boxes of two."""
    dimensions = list(range(len(ndrange.global_size)))
    rng.shuffle(dimensions)
    made = [ndrange]
    for d in dimensions[: rng.choice([1, 2])]:
        made = [part for one in made for part in slabs(one, d, rng)]
    return made


def slabs(ndrange: NDRange, d: int, rng: Random) -> list[NDRange]:
    """Up to three along a dimension."""
    assert ndrange.local_size is not None
    groups = ndrange.group_counts[d]
    cuts = sorted({0, groups, *(rng.randint(0, groups) for _ in range(2))})
    made = []
    for low, high in pairwise(cuts):
        offset, size = list(ndrange.global_offset), list(ndrange.global_size)
        offset[d] += low * ndrange.local_size[d]
        size[d] = (high - low) * ndrange.local_size[d]
        made.append(NDRange(tuple(offset), tuple(size), ndrange.local_size))
    return made


def inside(touched: set[tuple[int, int]], argument: int, runs: Any) -> bool:
    """Whether all bytes that were touched are in the runs (None: any)."""
    if runs is None:
        return True
    allowed = {byte for start, end in runs for byte in range(start, end)}
    return all(byte in allowed for one, byte in touched if one == argument)


def check(seed: int) -> str:
    """One random kernel in one random launch; answers what became of it."""
    rng = Random(seed)
    source, ndrange, numbers = draw(rng)
    program = parse(source, "")
    arguments: list[Any] = [BUFFER, BUFFER, *numbers]
    try:
        found = footprint(program, "k", packed(arguments), ndrange)
    except Lost as lost:
        return lost.reason
    try:
        for part in parts(ndrange, rng):
            predicted = extents(found, ndrange, part, {0: SIZE, 1: SIZE})
            run_part(program, ndrange, part, arguments, predicted, source)
    except TooLong:
        return "runs for too long"
    return "known"


def run_part(
    program: Any,
    ndrange: NDRange,
    part: NDRange,
    arguments: list[Any],
    predicted: dict[int, Extent],
    source: str,
) -> None:
    first = [a - b for a, b in zip(part.global_offset, ndrange.global_offset, strict=True)]
    for x in range(first[0], first[0] + part.global_size[0]):
        for y in range(first[1], first[1] + part.global_size[1]) if len(first) > 1 else (0,):
            machine = Machine(program, ndrange, (x, y)[: len(first)])
            machine.run("k", arguments)
            for argument, extent in predicted.items():
                where = f"argument {argument} of work-item {x}, {y} of {part} in {source}"
                assert inside(machine.reads, argument, extent.reads), f"reads: {where}"
                assert inside(machine.writes, argument, extent.writes), f"writes: {where}"


@pytest.mark.parametrize("first", range(0, 400, 50))
def test_random_kernels_touch_nothing_else(first: int) -> None:
    judge(range(first, first + 50))


def judge(seeds: range) -> None:
    """Nearly all of them must be judged."""
    became = Counter(map(check, seeds))
    assert became["known"] >= 0.98 * len(seeds), became


@pytest.mark.long
@pytest.mark.parametrize("first", range(1000, 11000, 500))
def test_many_random_kernels_touch_nothing_else(first: int) -> None:
    judge(range(first, first + 500))


def predicted(
    source: str, arguments: list[Any], ndrange: NDRange, count: int = 2
) -> list[dict[int, Extent]]:
    """What each of some parts touches."""
    program = parse(source, "")
    (name,) = (n for n, f in program.functions.items() if f.is_kernel)
    found: Footprint = footprint(program, name, packed(arguments), ndrange)
    sizes = {i: SIZE for i, a in enumerate(arguments) if a == BUFFER}
    return [extents(found, ndrange, part, sizes) for part in split(ndrange, count)]


ADD = "kernel void add(global const float *a, global float *b, int n) {"
COMMON: dict[str, tuple[str, list[Any], NDRange, list[tuple[Any, Any]]]] = {
    "a guard": (
        ADD + "int i = get_global_id(0); if (i < n) b[i] = a[i] + 1; }",
        [BUFFER, BUFFER, 100], NDRange((0,), (128,), (16,)),
        [([(0, 256)], [(0, 256)]), ([(256, 400)], [(256, 400)])],
    ),
    "a stencil held inside by hand": (
        ADD + "int i = get_global_id(0), l = i - 1; if (l < 0) l = 0;"
        "b[i] = a[l] + a[min(i + 1, n - 1)]; }",
        [BUFFER, BUFFER, 128], NDRange((0,), (128,), (16,)),
        [([(0, 260)], [(0, 256)]), ([(252, 512)], [(256, 512)])],
    ),
    "strides over the whole": (
        ADD + "for (int i = get_global_id(0); i < n; i += get_global_size(0)) b[i] = a[i]; }",
        [BUFFER, BUFFER, 64], NDRange((0,), (32,), (8,)),
        [([(0, 64), (128, 192)],) * 2, ([(64, 128), (192, 256)],) * 2],
    ),
    "rows and columns of a matrix": (
        ADD + "int x = get_global_id(0), y = get_global_id(1); float s = 0;"
        "for (int k = 0; k < n; k++) s += a[y * n + k] * a[k * n + x]; b[y * n + x] = s; }",
        [BUFFER, BUFFER, 8], NDRange((0, 0), (8, 8), (4, 4)),
        [([(0, 256)], [(0, 128)]), ([(0, 256)], [(128, 256)])],
    ),
    "one dimension for two": (
        ADD + "int g = get_global_id(0), r = g / n, c = g % n; b[r * n + c] = a[r]; }",
        [BUFFER, BUFFER, 8], NDRange((0,), (64,), (8,)),
        [([(0, 16)], [(0, 128)]), ([(16, 32)], [(128, 256)])],
    ),
    "a reduction of each group": (
        "kernel void r(global const int *a, global int *b, local int *t) {"
        "int l = get_local_id(0); t[l] = a[get_global_id(0)]; barrier(CLK_LOCAL_MEM_FENCE);"
        "for (int s = get_local_size(0) / 2; s > 0; s >>= 1) {"
        "if (l < s) t[l] += t[l + s]; barrier(CLK_LOCAL_MEM_FENCE); }"
        "if (l == 0) b[get_group_id(0)] = t[0]; }",
        [BUFFER, BUFFER, "other"], NDRange((0,), (64,), (16,)),
        [([(0, 128)], [(0, 8)]), ([(128, 256)], [(8, 16)])],
    ),
    "a step of a bitonic sort within parts": (
        "kernel void b(global const int *a, global int *c, int j) {"
        "int i = get_global_id(0), x = i ^ j; if (x > i) { c[i] = a[x]; c[x] = a[i]; } }",
        [BUFFER, BUFFER, 8], NDRange((0,), (64,), (16,)),
        [([(0, 128)], [(0, 128)]), ([(128, 256)], [(128, 256)])],
    ),
    "indices from memory": (
        "kernel void s(global const int *a, global int *b) {"
        "int i = get_global_id(0); b[i] = a[a[i]]; }",
        [BUFFER, BUFFER], NDRange((0,), (64,), (16,)),
        [([(0, SIZE)], [(0, 128)]), ([(0, SIZE)], [(128, 256)])],
    ),
    "one work-item alone": (
        "kernel void s(global int *a, global int *b) { if (get_global_id(0) == 3) b[7] = a[1]; }",
        [BUFFER, BUFFER], NDRange((0,), (64,), (16,)),
        [([(4, 8)], [(28, 32)]), ([], [])],
    ),
    "vectors and a helper": (
        "float4 g(global const float4 *p, int i) { return p[i]; }"
        "kernel void v(global const float4 *a, global float *b) {"
        "int i = get_global_id(0); float4 v = g(a, i); vstore4(v, i, b); b[4 * i + 1] = v.x; }",
        [BUFFER, BUFFER], NDRange((0,), (16,), (4,)),
        [([(0, 128)], [(0, 128)]), ([(128, 256)], [(128, 256)])],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", COMMON)
def test_common_kernels(name: str) -> None:
    """Reads of the first buffer and writes of the second, of each of two parts."""
    source, arguments, ndrange, expected = COMMON[name]
    found = predicted(source, arguments, ndrange)
    assert [(part[0].reads, part[1].writes) for part in found] == expected


WRITES = {
    "a counter that has wrapped around before the loop": (
        "for (uint i = n - 1u; i > 4294967292u; i--) a[i & 7] = 1;", 0, (0, 32),
    ),
    "a value of a function, indexed by that of another": ("a[f(3)[f(2).x]] = 1;", 0, (20, 24)),
    "a lane, written with those beside it": ("((global int4 *)a)[n].y = 1;", 1, (16, 32)),
    "a bool that is counted up": ("bool t = n > 0; t++; a[t] = 1;", 1, (4, 8)),
    "three halves, aligned as four": (
        "vstorea_half3((float3)(1), n, (global half *)a);", 1, (8, 16),
    ),
    "an unsigned label": ("switch (n - 1u) { case -1: a[5] = 1; }", 0, (20, 24)),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITES)
def test_bytes_that_are_written(name: str) -> None:
    body, n, run = WRITES[name]
    source = (
        "int4 f(int x) { return (int4)(x, x + 1, x + 2, x + 3); }"
        f"kernel void k(global int *a, int n) {{ {body} }}"
    )
    for extent in predicted(source, [BUFFER, n], NDRange((0,), (8,), (4,))):
        assert extent[0].writes == [run]


@pytest.mark.parametrize(("bits", "writes"), [(32, None), (64, [(0, 12)])])
def test_addresses_wrap_around(bits: int, writes: Any) -> None:
    """With addresses of 32 bits the sum is no more than an address; with 64 it's a number."""
    source = "kernel void k(global int *a, uint n) { a[n + 4294967295u + get_global_id(0)] = 1; }"
    program = parse(source, "", bits)
    ndrange = NDRange((0,), (3,), (1,))
    found = footprint(program, "k", [BUFFER, (1).to_bytes(4, "little")], ndrange)
    assert extents(found, ndrange, ndrange, {0: SIZE})[0].writes == writes


LOST = {
    "global int *p = n ? a : b; p = *(global int *global *)a; *p = 1;": "comes from memory",
    "int4 v = (int4)(n); a[v.xyz.hi.y] = 1;": "a lane is named that there isn't",
    "a[0] = work_group_all(n);": "nothing is known of the function 'work_group_all'",
    "switch (n) { case 0: a[0] = 1; break; { case 1: a[1] = 1; } }": "within another statement",
}


@pytest.mark.parametrize("body", LOST)
def test_what_is_not_understood_is_said(body: str) -> None:
    source = f"kernel void k(global int *a, global int *b, int n) {{\n{body} }}"
    program = parse(source, "-cl-std=CL2.0")
    with pytest.raises(Lost, match=LOST[body]) as caught:
        footprint(program, "k", packed([BUFFER, BUFFER, 1]), NDRange((0,), (4,), (2,)))
    assert caught.value.line == 2


@pytest.mark.parametrize("body", ["for (int j = f(); j < n; j++) a[j] = 1;", "a[v[f()]] = 1;"])
def test_nobody_comes_past_a_loop_without_an_end(body: str) -> None:
    source = (
        "int f(void) { for (;;) ; return 1; }"
        f"kernel void k(global int *a, int n) {{ int4 v = (int4)(n); {body} }}"
    )
    (part,) = predicted(source, [BUFFER, 1], NDRange((0,), (4,), (2,)), 1)
    assert part[0] == Extent([], [])


def test_bytes_of_a_struct_by_value_are_known() -> None:
    source = (
        "struct S { char c; int from; int2 v; }; kernel void k(global int *a, struct S s) {"
        "a[s.from + get_global_id(0)] = s.v.y; }"
    )
    program = parse(source, "")
    data = bytes([1, 0, 0, 0]) + (16).to_bytes(4, "little") + bytes(8)
    ndrange = NDRange((0,), (8,), (4,))
    found = footprint(program, "k", [BUFFER, data], ndrange)
    runs = [extents(found, ndrange, part, {0: SIZE})[0].writes for part in split(ndrange, 2)]
    assert runs == [[(64, 80)], [(80, 96)]]


UNSPECIFIED = {
    "by zero, perhaps": "a[b[i] % (b[0] & 3)] = 1;",
    "between bounds that cross": "a[clamp(i, 9, n)] = 1;",
    "between bounds that may": "a[clamp(i, b[0] & 3, 2)] = 1;",
}


@pytest.mark.parametrize("name", UNSPECIFIED)
def test_what_opencl_leaves_open_may_be_anything(name: str) -> None:
    head = "kernel void k(global int *a, global int *b, int n) { int i = get_global_id(0); "
    ndrange = NDRange((0,), (64,), (4,))
    (part,) = predicted(head + UNSPECIFIED[name] + "}", [BUFFER, BUFFER, 5], ndrange, 1)
    assert part[0].writes == [(0, SIZE)]


@pytest.mark.parametrize(
    ("bits", "expected"), [(32, None), (64, [(0, 4)])], ids=["32 bits", "64 bits"]
)
def test_an_address_wraps_around_at_the_devices_width(bits: int, expected: Any) -> None:
    source = "kernel void k(global int *a) { a[get_global_id(0) * 0x40000001u] = 1; }"
    ndrange = NDRange((0,), (64,), (4,))
    found = footprint(parse(source, "", bits), "k", [BUFFER], ndrange)
    assert extents(found, ndrange, ndrange, {0: SIZE})[0].writes == expected


@pytest.mark.parametrize(("bits", "expected"), [(32, None), (64, [(0, 4)])])
def test_a_distance_that_may_have_wrapped_around_may_be_anything(bits: int, expected: Any) -> None:
    source = (
        "kernel void k(global int *a) {"
        " global int *p = a + get_global_id(0) * 0x40000001u; a[(int)(p - a)] = 1; }"
    )
    ndrange = NDRange((0,), (2,), (1,))
    found = footprint(parse(source, "", bits), "k", [BUFFER], ndrange)
    assert extents(found, ndrange, ndrange, {0: SIZE})[0].writes == expected


def test_vstorea_half3_may_write_the_fourth() -> None:
    source = (
        "kernel void k(global half *a) { int i = get_global_id(0);"
        " if (i == 1) vstorea_half3((float3)(i), i, a); }"
    )
    (part,) = predicted(source, [BUFFER], NDRange((0,), (4,), (2,)), 1)
    assert part[0].writes == [(8, 16)]


def test_an_analysis_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expressions, "steps_max", 100)
    loops = "for (int i%d = 0; i%d < 9; i%d++) "
    body = "".join(loops % (n, n, n) for n in range(6)) + "a[i0] = i5;"
    program = parse(f"kernel void k(global int *a) {{ {body} }}", "")
    with pytest.raises(Lost, match="too long to analyse"):
        footprint(program, "k", [BUFFER], NDRange((0,), (4,), (2,)))
