"""Kernels, a launch of each, and along which dimensions it divides or why not.

Owns: the table CASES. Must not know: the analysis, or how it is validated (`validator`).

In a source @ stands for what tells a case's functions from those of others, as they are all in one
program. Buffers A and B have integers from 0 to 63, F and G fractions, each `ITEMS` of four bytes;
unless it says otherwise a launch has 64 work-items in groups of 4, and n is 50.

Long because it is a table.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tests.master.access.validator import Bytes, Launch, Local, Region
from vcl.ndrange import NDRange

OPTIONS = "-cl-std=CL3.0"
ITEMS = 512
SIZE = 4 * ITEMS

A, B, F, G = (Region(number, 0, SIZE) for number in range(4))
SAME = "its parts touch the same bytes"
ANYWHERE = "where argument 1 is written isn't known"

Argument = Region | Local | bytes | int


def contents() -> tuple[Bytes, ...]:
    """What is in the buffers, the same each time."""
    rng = np.random.default_rng(1)
    integers = [rng.integers(0, 64, ITEMS, dtype=np.int32) for _ in range(2)]
    fractions = [rng.random(ITEMS, dtype=np.float32) for _ in range(2)]
    return tuple(np.frombuffer(one.tobytes(), np.uint8) for one in (*integers, *fractions))


class Case(NamedTuple):
    """along: the dimensions along which it divides. why: in the reason, where it doesn't."""

    source: str
    arguments: tuple[Argument, ...]
    ndrange: NDRange
    along: str
    why: str

    def launch(self, mark: str) -> Launch:
        """mark: what stands for @."""
        arguments = tuple(
            struct.pack("<i", a) if isinstance(a, int) else a for a in self.arguments
        )
        return Launch(f"k{mark}", arguments, self.ndrange, contents())


def case(
    source: str,
    arguments: Sequence[Argument],
    along: str,
    why: str = "",
    size: Sequence[int] = (64,),
    local: Sequence[int] = (4,),
    offset: Sequence[int] | None = None,
) -> Case:
    start = tuple(offset or [0] * len(size))
    return Case(source, tuple(arguments), NDRange(start, tuple(size), tuple(local)), along, why)


def line(
    body: str, along: str = "x", why: str = "", n: int = 50, offset: int = 0, before: str = "",
    a: Region = A, b: Region = B,
) -> Case:  # fmt: skip
    """A kernel of integers a[], b[] and n on a line of work-items i."""
    head = "kernel void k@(global int *a, global int *b, int n) { int i = get_global_id(0);\n"
    return case(f"{before}\n{head}{body} }}", (a, b, n), along, why, offset=(offset,))


def plane(body: str, along: str, why: str = "", offset: Sequence[int] = (0, 0)) -> Case:
    """The same on a plane of 16 * 8 work-items x, y in groups of 4 * 2; w is 16."""
    head = (
        "kernel void k@(global int *a, global int *b, int n) {"
        " int x = get_global_id(0), y = get_global_id(1), w = 16;\n"
    )
    return case(f"{head}{body} }}", (A, B, 50), along, why, (16, 8), (4, 2), offset)


GUARDS = {
    "a guard": line("if (i < n) a[i] = b[i];"),
    "an early return": line("if (i >= n) return; a[i] = b[i];"),
    "either way": line("if (i < n) a[i] = b[i]; else a[i + 64] = 1;"),
    "between two": line("if (i > 3 && i <= n) a[i] = b[i - 3];"),
    "outside of two": line("if (i < 5 || i >= n) a[i] = 1;"),
    "not beyond": line("if (!(i >= n)) a[i] = b[i];"),
    "one work-item alone": line("if (i == 3) a[100] = b[1];"),
    "all but the first": line("if (i != 0) a[i] = b[i - 1];"),
    "guards within guards": line("if (i < n) if (i > 7) if (n > 20) a[i - 7] = b[i];"),
    "never": line("if (n < 0) a[0] = i;"),
    "a guard from memory": line("if (b[i] > 30) a[i] = 1;"),
    "a guard that wraps around": line("if ((uint)i - 8u < 40u) a[i - 8] = b[i];"),
    "a guard as a number": line("int in = i < n; if (in) a[i] = 1; a[i + 64] = in;"),
    "a guard on another": line("int j = i - 10; if (j >= 0 && j < n) a[j] = b[i];"),
    "a value kept in range": line("int j = i - 5; if (j < 0) j = i; a[j + 64] = b[i];", "", SAME),
    "a product guarded": line("if (i * 4 + 3 < n) { a[4 * i] = 1; a[4 * i + 3] = b[i]; }"),
    "the first of each group": line("if (get_local_id(0) == 0) a[get_group_id(0)] = b[i];"),
    "the first of all": line("if (get_global_id(0) == 0) a[0] = b[n];"),
    "the last of all": line("if (i == get_global_size(0) - 1) a[i + 1] = b[i];"),
    "beside itself": line("a[i + 1] = b[i];"),
    "two neighbours": line("a[i] = 1; a[i + 1] = 2;", "", SAME),
    "one for all": line("a[0] = i;", "", SAME),
    "equal for all": line("if (i < n) a[7] = 1;", "", SAME),
    "what the next one writes": line("a[i] = a[i + 1];", "", SAME),
    "what it writes itself": line("a[i] = a[i] * 2 + b[i];"),
    "backwards": line("a[63 - i] = b[i];"),
    "what nobody writes": line("a[i] = a[i + 64] + a[200];"),
    "nothing": line("int j = b[i]; (void)j;"),
}

LOOPS = {
    "four each": line("for (int j = 0; j < 4; j++) a[4 * i + j] = b[i] + j;"),
    "down": line("for (int j = 3; j >= 0; j--) a[4 * i + j] = b[i] + j;"),
    "a while": line("int j = 0; while (j < 4) { a[4 * i + j] = b[j]; j++; }"),
    "by three": line("for (int j = 0; j < 8; j += 3) a[8 * i + j] = j;"),
    "over the whole": line(
        "for (int j = i; j < n; j += get_global_size(0)) a[j] = b[j];", n=200
    ),
    "over the whole, unsigned": line(
        "for (size_t j = get_global_id(0); j < n; j += get_global_size(0)) a[j] = b[j];", n=200
    ),
    "without a head": line("int j = 0; for (;;) { if (j >= 4) break; a[4 * i + j] = 1; j++; }"),
    "a break from memory": line(
        "int j; for (j = 0; j < 4; j++) { if (b[j] == i) break; a[4 * i + j] = j; } a[4 * i] = j;"
    ),
    "a continue": line(
        "for (int j = 0; j < 4; j++) { if (b[j] & 1) continue; a[4 * i + j] = j; }"
    ),
    "a loop in a loop": line(
        "for (int j = 0; j < 2; j++) for (int k = 0; k < 4; k++) a[8 * i + 4 * j + k] = k;"
    ),
    "a triangle": line(
        "int s = 0; for (int j = 0; j < 8; j++) for (int k = 0; k < j; k++) s += b[8 * j + k];"
        " a[i] = s;"
    ),
    "as far as itself": line("int s = 0; for (int j = 0; j <= i; j++) s += b[j]; a[i] = s;"),
    "as far as memory says": line(
        "int s = 0; for (int j = 0; j < b[i]; j++) s += b[j & 127]; a[i] = s;"
    ),
    "writes as far as memory says": line(
        "for (int j = 0; j < b[i] && i + j < 128; j++) a[i + j] = 1;", "", SAME
    ),
    "doubled": line("int s = 0; for (int j = 1; j < n; j <<= 1) s += b[i + j]; a[i] = s;"),
    "halved": line("int s = 0; for (int j = n; j > 0; j /= 2) s += b[j]; a[i] = s;"),
    "another that grows": line(
        "int k = 4 * i; for (int j = 0; j < 4; j++) { a[k] = b[j]; k += 1; }"
    ),
    "another that grows and starts low": line(
        "int k = 4 * i - 6; for (int j = 0; j < 4; j++) { k++; if (k >= 0) a[k] = j; }"
    ),
    "a pointer that grows": line(
        "global int *p = a + 4 * i; for (int j = 0; j < 4; j++) *p++ = b[j];"
    ),
    "a pointer that shrinks": line(
        "global int *p = a + 4 * i + 4; for (int j = 0; j < 4; j++) *--p = b[j];"
    ),
    "a pointer up to another": line(
        "global int *p = a + 4 * i, *e = p + 4; while (p < e) *p++ = i;", "", ANYWHERE
    ),
    "what grows by chance": line(
        "int k = 0; for (int j = 0; j < 9; j++) { if (b[j] > i) k++; a[4 * i + (k & 3)] = j; }"
    ),
    "pointers that change places": line(
        "global int *p = a, *q = b; for (int j = 0; j < 3; j++) {"
        " p[i] = q[i] + j; global int *t = p; p = q; q = t; }"
    ),
    "a counter of eight bits": line(
        "for (uchar j = 250; j != 2; j++) a[i] += b[j];"
    ),
    "a counter that jumps over the end": line(
        "for (uchar j = 0; j < 254; j += 4) { a[i] += b[j]; if (a[i] > 9999) break; }"
    ),
    "a signed counter of eight bits": line(
        "int s = 0; for (char j = 100; j > 0; j += 9) s += b[j]; a[i] = s;"
    ),
    "a vector that grows": line(
        "int2 v = (int2)(4 * i, 0); for (int j = 0; j < 4; j++) { a[v.x] = v.y; v += 1; }",
        "", SAME,
    ),
    "an interval of each group, as far as there is one": line(
        "int s = get_group_id(0) * 16, e = min(s + 16, n);"
        " for (int j = s + get_local_id(0); j < e; j += 4) a[j] = b[j];", n=150,
    ),
    "an interval of each group, downwards": line(
        "int s = get_group_id(0) * 16, e = max(s - 16, 0);"
        " for (int j = s - 1 - get_local_id(0); j >= e; j -= 4) a[j] = b[j];", n=150,
    ),
    "an interval that ends at the greater": line(
        "int s = 4 * i, e = max(s + 4, n); for (int j = s; j < e; j++) a[j] = j;", "", SAME
    ),
    "none at all": line("for (int j = 0; j < 0; j++) a[j] = i; a[i] = 1;"),
    "rounds by arguments": line(
        "for (int j = 0; j < n; j++) a[n * i + j] = j;", n=7
    ),
    "what an array holds": line(
        "int t[4]; for (int j = 0; j < 4; j++) t[j] = b[4 * i + j]; a[i] = t[3] + t[i & 3];"
    ),
    "one after another": line(
        "int j; for (j = 0; j < 3; j++) a[8 * i + j] = 0; for (; j < 8; j++) a[8 * i + j] = 1;"
    ),
    "a pragma": line("\n#pragma unroll 2\nfor (int j = 0; j < 4; j++) a[4 * i + j] = j;"),
}  # fmt: skip

HELPERS = {
    "a value": line("a[h@(i, 1)] = b[i];", before="int h@(int p, int q) { return p + q; }"),
    "an element": line(
        "put@(a, i, b[i]);", before="void put@(global int *p, int at, int v) { p[at] = v; }"
    ),
    "an early answer": line(
        "int j = h@(i, n); if (j >= 0) a[j] = b[i];",
        before="int h@(int p, int n) { if (p >= n) return -1; return p; }",
    ),
    "an answer from a loop": line(
        "a[i] = h@(b, i);",
        before="int h@(global int *p, int v) {"
        " for (int j = 0; j < 64; j++) if (p[j] == v) return j; return -1; }",
    ),
    "through a pointer": line(
        "int j; h@(i, &j); a[j & 63] = b[i];", "", SAME, before="void h@(int p, int *q) { *q = p; }"
    ),
    "a pointer back": line(
        "*h@(a, i) = b[i];", before="global int *h@(global int *p, int at) { return p + 2 * at; }"
    ),
    "helpers of helpers": line(
        "a[g@(i)] = b[g@(i + 1)];",
        before="int h@(int p) { return p + 1; } int g@(int p) { return h@(h@(p)); }",
    ),
    "that know the launch": line(
        "a[h@()] = g@();",
        before="int h@() { return get_group_id(0) * get_local_size(0) + get_local_id(0); }"
        " int g@(void) { return get_num_groups(0) + get_global_size(0); }",
    ),
    "that changes its parameter": line(
        "int j = i; h@(j); a[j] = h@(j);", before="int h@(int p) { p *= 7; p += 1; return p; }"
    ),
    "a struct back": line(
        "struct R@ r = h@(i); a[r.at] = r.v;",
        before="struct R@ { int at, v; };"
        " struct R@ h@(int p) { struct R@ r; r.at = p; r.v = 2 * p; return r; }",
    ),
    "called in a loop": line(
        "for (int j = 0; j < 4; j++) a[h@(i, j)] = h@(j, i);",
        before="int h@(int p, int q) { int r = 4 * p; r += q; return r; }",
    ),
}  # fmt: skip

S = "struct S@ { char c; int v; short t[3]; float4 f; };\n"
STRUCTS = {
    "a member": case(
        S + "kernel void k@(global struct S@ *a) { a[get_global_id(0)].v = 1; }", [A], "x",
        size=(32,),
    ),
    "a member of the next": case(
        S + "kernel void k@(global struct S@ *a) {"
        " int i = get_global_id(0); a[i].v = a[i + 1].t[2]; }",
        [A], "x", size=(32,),
    ),
    "a whole struct": case(
        S + "kernel void k@(global struct S@ *a, global struct S@ *b) {"
        " int i = get_global_id(0); a[i] = b[i]; }",
        [A, B], "x", size=(32,),
    ),
    "an arrow": case(
        S + "kernel void k@(global struct S@ *a) {"
        " global struct S@ *p = a + get_global_id(0); p->t[1] = 3; p->f.y = 1; (p++)->c = 1; }",
        [A], "x", size=(32,),
    ),
    "by value": case(
        "struct S@ { int at; char c; int step; };\n"
        "kernel void k@(global int *a, struct S@ s) { a[s.at + s.step * get_global_id(0)] = s.c; }",
        [A, struct.pack("<ibxxxi", 7, 5, 3)], "x",
    ),
    "by value, one for all": case(
        "struct S@ { int at; char c; int step; };\n"
        "kernel void k@(global int *a, struct S@ s) { a[s.at + s.step * get_global_id(0)] = s.c; }",
        [A, struct.pack("<ibxxxi", 7, 5, 0)], "", SAME,
    ),
    "a struct within": line(
        "struct T@ t; t.s.x = i; t.s.y = i + 64; a[t.s.x] = 1; a[t.s.y] = 2;",
        before="struct P@ { int x, y; }; struct T@ { int n; struct P@ s; };",
    ),
    "copies of structs": line(
        "struct P@ p, q; p.x = i; p.y = 5; q = p; p.x = 0; a[q.x] = p.x;",
        before="struct P@ { int x, y; };",
    ),
    "a union": line(
        "union U@ u; u.n = 0x01010101; u.c[0] = i; a[u.n & 63] = 1;", "", SAME,
        before="union U@ { int n; uchar c[4]; };",
    ),
    "padding": case(
        "struct S@ { char c; int v; };\n"
        "kernel void k@(global struct S@ *a) {"
        " int i = get_global_id(0); struct S@ s; s.c = 1; s.v = 2; a[i].v = s.v; a[i].c = s.c; }",
        [A], "x",
    ),
    "an array of pairs": line("int t[2][2]; t[1][0] = i; t[0][1] = 3; a[t[1][0]] = t[0][1];"),
    "a pointer in a struct": line(
        "struct P@ p; p.at = a + i; *p.at = b[i];", before="struct P@ { global int *at; };"
    ),
}  # fmt: skip


def vectors(body: str, along: str = "x", why: str = "", type_: str = "float4", n: int = 64) -> Case:
    head = f"kernel void k@(global {type_} *a, global const {type_} *b) {{ int i = "
    return case(f"{head}get_global_id(0); {body} }}", [F, G], along, why, size=(n,))


VECTORS = {
    "whole vectors": vectors("a[i] = b[i] * 2;"),
    "one lane": vectors("a[i].y = b[i].x;"),
    "lanes apart": vectors("a[i].xw = b[i].zy;"),
    "halves": vectors("a[i].lo = b[i].hi; a[i].odd += b[i + 1].even;"),
    # Compilers store a lane with those beside it.
    "lanes of several": vectors("a[i / 4].x = 1; a[i].y = b[i].x;", "", SAME),
    "lanes between": vectors("if (i < 60) a[i].x = a[i + 1].y;", "", SAME),
    "three lanes": vectors("a[i] = b[i];", type_="float3"),
    "a lane of three": vectors("a[i].z = b[i].x;", type_="float3"),
    "lanes by number": line("int4 v = (int4)(1, i, 3, 4); a[v.s1] = v.s3 + v.x;"),
    "lanes by index": line("int4 v = (int4)(1, i, 3, 4); a[v[1]] = v[i & 3];"),
    "a splat of a lane by index": line(
        "int4 v = (int4)(1, 2, 3, 4); v = (int4)(v[i & 3]); a[v.x] = 1;", "", SAME
    ),
    "a lane by index, counted up": line(
        "int4 v = (int4)(1, 2, 3, 4); v[i & 3]++; a[v.x] = 1;", "", SAME
    ),
    "a lane by index for all": line(
        "int2 v = (int2)(1, 2); int2 w = (int2)(n, n); a[min(w, v[i & 1]).x] = 1;", "", SAME
    ),
    "a lane of lanes": line("int4 v = (int4)(1, 2, 3, i); v.zw[1] += 5; a[v.wz[0]] = v.zw[0];"),
    "a lane of lanes in memory": line("((global int4 *)a)[i].zw[1] = b[i];"),
    "lanes that are set": line("int2 v = (int2)(i, 5); v.y = v.x + 64; v.x = 0; a[v.y] = v.x;"),
    "a swizzle": line("int2 v = (int2)(5, i); a[v.yx.x] = 2;"),
    "a splat": line("int4 v = (int4)(i); v = v * 4 + (int4)(0, 1, 2, 3); a[v.z] = v.w;"),
    "small lanes": line("uchar4 v = (uchar4)(i, i + 250, 0, 0); a[v.x] = v.y;"),
    "converted lanes": line("char2 c = (char2)(i, 1); int2 v = convert_int2(c); a[v.x] = v.y;"),
    "lanes as others": line("uint2 v = as_uint2((int2)(i, -i)); a[v.x] = b[v.x];", "", SAME),
    "vload and vstore": line("vstore4(vload4(i, b) + 1, i, a);"),
    "of two": line("vstore2(vload2(i + 1, b), i, a + 3);"),
    "of three": line("vstore3(vload3(i, b), i, a);"),
    "of eight": line("if (i < 32) vstore8(vload8(i, b), i, a + 8);"),
    "of sixteen": line("if (i < 16) vstore16(vload16(i + 1, b), i, a);"),
    "vstore over each other": line("vstore4((int4)(i), 0, a + i);", "", SAME),
    "vload over the edge": line("int4 v = vload4(0, b + i); a[i] = v.x + v.w;"),
    "vstore of bytes": line("vstore4((uchar4)(1, 2, 3, i), i, (global uchar *)a);"),
    "vstore_half": line("vstore_half((float)b[i], i, (global half *)a);"),
    "vstore_half, rounded": line("vstore_half2_rtz((float2)(i, n), i, (global half *)a);"),
    "vstore_half3": line("vstore_half3((float3)(i, n, 3), i, (global half *)a);"),
    "vstorea_half3": line("vstorea_half3((float3)(i, n, 3), i, (global half *)a);"),
    "vstorea_half4": line("vstorea_half4((float4)(i, n, 3, 4), i, (global half *)a);"),
    "vload_half": line("a[i] = vload_half(i, (global half *)b) * 1000;"),
    "vload_half3": line("a[i] = dot(vload_half3(i, (global half *)b), (float3)(9, 8, 7));"),
    "vloada_half3": line("a[i] = dot(vloada_half3(i, (global half *)b), (float3)(9, 8, 7));"),
    "frexp into memory": case(
        "kernel void k@(global float *f, global int *a) {"
        " int i = get_global_id(0); f[i] = frexp(f[i], &a[i]); }",
        [F, A], "x",
    ),
    "sincos into memory": vectors("float4 c; a[i] = sincos(b[i], &c) + c;"),
    "modf of all into one": case(
        "kernel void k@(global float *f, global float *g) {"
        " int i = get_global_id(0); f[i] = modf(f[i], g); }",
        [F, G], "", SAME,
    ),
}  # fmt: skip

LOCALS = {
    "a tile turned around": line(
        "local int t[4]; int l = get_local_id(0); t[l] = b[i]; barrier(CLK_LOCAL_MEM_FENCE);"
        " a[i] = t[3 - l];"
    ),
    "local memory given": case(
        "kernel void k@(global int *a, global int *b, local int *t) {"
        " int i = get_global_id(0), l = get_local_id(0); t[l] = b[i];"
        " barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE); a[i] = t[l ^ 1]; }",
        [A, B, Local(16)], "x",
    ),
    "a reduction": case(
        "kernel void k@(global int *a, global int *b, local int *t) {"
        " int l = get_local_id(0); t[l] = b[get_global_id(0)]; barrier(CLK_LOCAL_MEM_FENCE);"
        " for (int s = get_local_size(0) / 2; s > 0; s >>= 1) {"
        " if (l < s) t[l] += t[l + s]; barrier(CLK_LOCAL_MEM_FENCE); }"
        " if (l == 0) a[get_group_id(0)] = t[0]; }",
        [A, B, Local(64)], "x", local=(16,),
    ),
    "a reduction of strides": case(
        "kernel void k@(global int *a, global int *b, local int *t, int n) {"
        " int l = get_local_id(0), s = 0;"
        " for (int j = get_global_id(0); j < n; j += get_global_size(0)) s += b[j];"
        " t[l] = s; barrier(CLK_LOCAL_MEM_FENCE);"
        " if (l == 0) { for (int j = 1; j < get_local_size(0); j++) s += t[j];"
        " a[get_group_id(0)] = s; } }",
        [A, B, Local(32), 400], "x", local=(8,),
    ),
    "a scan in each group": case(
        "kernel void k@(global int *a, global int *b, global int *sums, local int *t) {"
        " int l = get_local_id(0), n = get_local_size(0); t[l] = b[get_global_id(0)];"
        " for (int d = 1; d < n; d <<= 1) { barrier(CLK_LOCAL_MEM_FENCE);"
        " int v = l >= d ? t[l - d] : 0; barrier(CLK_LOCAL_MEM_FENCE); t[l] += v; }"
        " a[get_global_id(0)] = t[l]; if (l == n - 1) sums[get_group_id(0)] = t[l]; }",
        [A, B, F, Local(32)], "x", local=(8,),
    ),
    "copied in": line(
        "local int t[4]; event_t e = async_work_group_copy(t, b + 4 * get_group_id(0), 4, 0);"
        " wait_group_events(1, &e); a[i] = t[get_local_id(0)] + 1;"
    ),
    "copied out": line(
        "local int t[4]; t[get_local_id(0)] = b[i]; barrier(CLK_LOCAL_MEM_FENCE);"
        " event_t e = async_work_group_copy(a + 4 * get_group_id(0), t, 4, 0);"
        " wait_group_events(1, &e);"
    ),
    "copied out too far": line(
        "local int t[5]; t[get_local_id(0)] = b[i]; t[4] = 1; barrier(CLK_LOCAL_MEM_FENCE);"
        " event_t e = async_work_group_copy(a + 4 * get_group_id(0), t, 5, 0);"
        " wait_group_events(1, &e);",
        "", SAME,
    ),
    "copied in by strides": line(
        "local int t[4];"
        " event_t e = async_work_group_strided_copy(t, b + get_group_id(0), 4, 16, 0);"
        " wait_group_events(1, &e); a[i] = t[get_local_id(0)];"
    ),
    "copied out by strides": line(
        "local int t[4]; t[get_local_id(0)] = b[i]; barrier(CLK_LOCAL_MEM_FENCE);"
        " event_t e = async_work_group_strided_copy(a + get_group_id(0), t, 4, 16, 0);"
        " wait_group_events(1, &e);",
        "", SAME,
    ),
    "a histogram in each group": line(
        "local int t[16]; int l = get_local_id(0); for (int j = l; j < 16; j += 4) t[j] = 0;"
        " barrier(CLK_LOCAL_MEM_FENCE); atomic_inc(&t[b[i] & 15]); barrier(CLK_LOCAL_MEM_FENCE);"
        " for (int j = l; j < 16; j += 4) a[16 * get_group_id(0) + j] = t[j];"
    ),
}  # fmt: skip

NUMBERS = {
    "every other": line("a[2 * i] = b[2 * i + 1];"),
    "both, each its turn": line("a[2 * i] = 1; a[2 * i + 1] = b[i];"),
    "interleaved": line("a[2 * i] = a[2 * i + 1];"),
    "overlapping strides": line("a[2 * i] = 1; a[2 * i + 2] = 2;", "", SAME),
    "columns": line("for (int j = 0; j < 8; j++) a[64 * j + i] = b[64 * j + i];"),
    "columns of the next": line("for (int j = 0; j < 7; j++) a[64 * j + i] = a[64 * j + i + 1];",
                                "", SAME),
    "put together again": line("int r = i / 8, c = i % 8; a[8 * r + c] = b[c * 8 + r];"),
    "put together, unsigned": line("uint u = i; a[u / 4 * 4 + u % 4] = b[u / 16 + u % 16];"),
    "turned over": line("int r = i / 8, c = i % 8; a[8 * c + r] = b[i];", "", SAME),
    "four for one": line("a[i / 4] = n;"),
    "eight for one": line("a[i / 8] = n;", "", SAME),
    "round and round": line("a[i % 32] = i;", "", SAME),
    "towards zero": line("int j = (i - 32) / 4; a[j + 8] = n;", "", SAME),
    "a rest below zero": line("a[i] = b[(i - 32) % 16 + 16];"),
    "by what isn't known": line("a[i] = b[i % (b[0] + 1)] + b[i / (b[1] + 1)];"),
    "by zero, perhaps": line("int d = b[i] & 3; if (d) a[i] = b[i % d];"),
    "shifted": line("a[(i << 1) | 1] = b[i << 1];"),
    "shifted down": line("a[i >> 2] = n;"),
    "shifted down, below zero": line("a[i] = b[((i - 32) >> 3) + 4];"),
    "shifted as far as it says": line("a[i] = b[(1 << (i & 7)) & 127] + b[i >> (b[i] & 3)];"),
    "low bits": line("a[(i & ~3) + (i & 3)] = b[i & 15];"),
    "bits put together": line("a[(i >> 2 << 2) | (i & 3)] = b[i];"),
    "masked to less": line("a[i & 31] = i;", "", SAME),
    "odd masks": line("a[i & 37] = i;", "", SAME),
    "its partner": line("a[i ^ 1] = b[i];"),
    "its partner in another group": line("a[i ^ 4] = b[i];", "", SAME),
    "turned bits": line("a[i] = b[~i & 63];"),
    "below": line("a[i] = b[max(i - 1, 0)];"),
    "above": line("a[i] = b[min(i + 1, n - 1)];"),
    "held in": line("a[i] = b[clamp(i - 3, 0, n)];"),
    "held in crosswise": line("a[clamp(i, n, 10)] = b[i];", "", SAME),
    "at most": line("a[min(i, 40)] = i;", "", SAME),
    "at least": line("a[max(i, 5)] = b[max(i, n)];", "", SAME),
    "its distance": line("a[i] = b[abs(i - 32)];"),
    "24 bits": line("a[mad24(i, 4, 1)] = b[mul24(i, 2)];"),
    "24 bits that aren't enough": line("a[i] = b[mul24(i + 16777216, 3) & 63];"),
    "counted bits": line("a[i] = b[popcount(i) + clz(i)];"),
    "rotated": line("a[rotate(i, 1) & 127] = 1;", "", SAME),
    "wrapped around": line("uint u = i; u -= 40; a[u & 63] = b[i];", "", SAME),
    "wrapped around and back": line("uint u = i; u -= 40; u += 40; a[u] = b[i];"),
    "below zero, unsigned": line("uint u = i; uint v = u - 1; a[i] = v < 64 ? b[v] : 0;"),
    "a product that wraps": line("uint u = 2 * i * 0x80000001u; a[u] = b[i];", "", SAME),
    "a product of two": line("int r = i / 8; a[i] = b[r * (i % 8)];"),
    "a byte": line("uchar c = i; a[c] = b[i];"),
    "a byte that wraps": line("uchar c = i * 8; a[c] = i;", "", SAME),
    "a byte below zero": line("char c = i + 100; a[i] = b[c + 128];"),
    "a short": line("short s = i; s *= 2; a[s] = b[s + 1];"),
    "shorts in memory": line("global short *s = (global short *)a; s[i] = b[i]; s[i + 64] = 2;"),
    "bytes in memory": line("global uchar *s = (global uchar *)a; s[i] = b[i];"),
    "64 bits": line("long l = i; a[l * 2 + 1] = b[l];"),
    "64 bits that wrap": line("ulong l = i; l -= 40; a[l + 40] = b[i];"),
    "64 bits times more": line("ulong l = i; a[(l * 0x100000001UL) >> 32 & 63] = b[i];"),
    "64 bits times more, less as much": line(
        "ulong o = 1UL << 41, x = b[i] + o, y = b[i + 1] + o; a[(x * y - x * x) & 63] = 1;",
        "", SAME,
    ),
    "64 bits turned into a sign": line("ulong l = i - 10; a[i] = b[(long)l + 10];"),
    "a size_t": line("size_t s = get_global_id(0); a[s] = b[s + 1];"),
    "a size_t less one": line("size_t s = get_global_id(0); if (s > 0) a[s - 1] = b[s];"),
    "a float as an index": line("a[i] = b[(int)(i * 0.5f)];"),
    "a float where it writes": line("a[(int)(i * 1.0f)] = 1;", "", SAME),
    "a truth": line("a[i] = b[(i > 3) + (i < 60)];"),
    "a truth where it writes": line("a[i + 64 * (i >= 32)] = b[i];"),
    "a logical": line("int j = i; if (i > 5 && (j += 64)) a[j] = 1; a[i + 256] = j;"),
    "a comma": line("int j = (i++, i); a[j] = b[i - 1];"),
    "assigned within": line("int j, k = (j = i) + 1; a[j] = k;"),
}  # fmt: skip

CHOICES = {
    "one or the other": line("a[i < 32 ? i : i + 64] = b[i];"),
    "a pointer to one or the other": line("global int *p = i < 32 ? a : a + 100; p[i] = 1;"),
    "one buffer or the other": line("global int *p = n > 9 ? a : b; p[i] = 1;"),
    "one buffer or the other, each": line("global int *p = i & 1 ? a : b; p[i] = 1;"),
    "a choice that meets": line("a[b[i] > 30 ? i : 63 - i] = 1;", "", SAME),
    "a choice of choices": line("int j = i < 9 ? 0 : i < 20 ? 1 : 2; a[64 * j + i] = b[j];"),
    "a switch that falls through": line(
        "switch (n) { case 50: a[i] = 1; case 51: a[i + 64] = 2; break; case 52: a[0] = i; }"
    ),
    "a switch on memory": line(
        "switch (b[i] & 3) { case 0: a[i] = 1; break; case 3: case 2: a[i + 64] = 2; }"
    ),
    "a switch on memory that meets": line(
        "switch (b[i] & 3) { case 0: a[i] = 1; break; default: a[5] = 2; }", "", SAME
    ),
    "a label out of reach": line(
        "uchar c = i; switch (c) { case 300: a[0] = i; break; default: a[i] = 2; }"
    ),
    "a continue within a switch": line(
        "for (int j = 0; j < 4; j++) { switch (j) { case 1: continue; case 2: break; }"
        " a[4 * i + j] = j; }"
    ),
    "a default in the middle": line(
        "switch (i) { case 1: a[i] = 1; break; default: a[i] = 3; break; case 2: a[64] = 2; }"
    ),
    "two pointers compared": line("if (a != b) a[i] = 1; else a[0] = i;", "", SAME),
    "a vector of choices": line("int2 v = i > 5 ? (int2)(i, 1) : (int2)(i, 2); a[v.x] = v.y;"),
    "choices of lanes": line(
        "int2 v = select((int2)(i), (int2)(1), (int2)(i) > (int2)(9)); a[v.x & 63] = 1;", "", SAME
    ),
}  # fmt: skip

SPACES = {
    "rows": plane("a[y * w + x] = b[y * w + x];", "xy"),
    "columns first": plane("a[x * 8 + y] = b[y * w + x];", "xy"),
    "rows above and below": plane(
        "if (y > 0 && y < 7) a[y * w + x] = b[(y - 1) * w + x] + b[(y + 1) * w + x];", "xy"
    ),
    "one for each row": plane("if (x == 0) a[y] = b[y];", "xy"),
    "one for each column": plane("a[x] = y;", "x", SAME),
    "one for each row, by all": plane("a[y] = n;", "y", SAME),
    "the next in its row": plane("a[y * w + x] = a[y * w + x + 1];", "", SAME),
    "groups": plane(
        "a[get_group_id(1) * get_num_groups(0) + get_group_id(0)] = n;", "xy"
    ),
    "groups and those in them": plane(
        "int g = get_group_id(1) * get_num_groups(0) + get_group_id(0);"
        " a[8 * g + get_local_id(1) * 4 + get_local_id(0)] = x + 100 * y;",
        "xy",
    ),
    "offsets": plane("a[y * 32 + x] = b[x];", "xy", offset=(3, 2)),
    "offsets taken off": plane(
        "a[(y - get_global_offset(1)) * w + x - get_global_offset(0)] = x;", "xy", offset=(3, 2)
    ),
    "linear ids": plane("a[get_global_linear_id()] = get_local_linear_id();", "xy"),
    "linear ids and offsets": plane("a[get_global_linear_id()] = x;", "xy", offset=(5, 7)),
    "sizes": plane(
        "a[y * get_global_size(0) + x] = get_global_size(1) + get_num_groups(1) + get_work_dim()"
        " + get_local_size(1) + get_global_size(2) + get_global_id(2);",
        "xy",
    ),
    "a dimension by number": plane(
        "int s = 0; for (int d = 0; d < 3; d++) s += get_global_size(d); a[y * w + x] = s;", "xy"
    ),
    "an id by number": plane("a[get_global_id(n & 1) * w + get_global_id((n & 1) + 1)] = 1;",
                             "xy"),
    "three dimensions": case(
        "kernel void k@(global int *a, global int *b) {"
        " int x = get_global_id(0), y = get_global_id(1), z = get_global_id(2);"
        " a[(z * 6 + y) * 8 + x] = b[z * 48 + x]; }",
        [A, B], "xyz", size=(8, 6, 6), local=(2, 2, 1),
    ),
    "three dimensions, one left out": case(
        "kernel void k@(global int *a, global int *b) {"
        " int x = get_global_id(0), y = get_global_id(1), z = get_global_id(2);"
        " a[z * 8 + x] = b[y]; }",
        [A, B], "xz", SAME, size=(8, 6, 6), local=(2, 2, 1),
    ),
    "three dimensions and offsets": case(
        "kernel void k@(global int *a) { a[get_global_linear_id()] = get_group_id(2) * 100"
        " + get_group_id(1) * 10 + get_group_id(0); }",
        [A], "xyz", size=(8, 6, 6), local=(2, 2, 1), offset=(1, 2, 3),
    ),
    "the first items of each group": line("if (get_local_id(0) < 2) a[i] = a[i ^ 2];"),
    "an item of each group, guarded": line(
        "if (get_local_id(0) == 1 && i < n) { a[i] = a[i + 1]; a[i + 2] = n; }"
    ),
    "groups after the first": line(
        "if (i >= 4) a[i] = b[(uint)(get_group_id(0) - 1)] + get_local_id(0);"
    ),
    "where its group starts": line(
        "int s = get_group_id(0) * 4; a[s + 3 - (i - s)] = b[i - get_local_id(0)];"
    ),
    "items, groups and places in them": line(
        "a[4 * i - 3 * get_local_id(0)] = b[i + get_group_id(0)];"
    ),
    "an item by another size than its group's": line(
        "a[get_group_id(0) * 8 + get_local_id(0)] = 1; if (i < n) a[i / 8 * 8 + i % 4 + 4] = i;",
        "", SAME,
    ),
    "all of a group but its edge": case(
        "kernel void k@(global int *a, global const int *b, int w, int h) {"
        " int u = get_local_id(0), v = get_local_id(1), x = get_group_id(0) * 2 + u - 1,"
        " y = get_group_id(1) * 2 + v - 1; if (u > 0 && v > 0 && u < 3 && v < 3)"
        " if (x < w && y < h) a[y * w + x] = b[(y + 1) * w + x] + b[y * w + x + 1]; }",
        [A, B, 16, 8], "xy", size=(32, 16), local=(4, 4),
    ),
    "ids and places in groups, guarded": plane(
        "int u = get_local_id(0); if (x < 13 && y < 7) a[y * 13 + x] = u + b[x - u];", "xy"
    ),
    "sums of ids, guarded": plane("if (2 * y + x < 13) a[2 * y + x + 1] = b[x];", "", SAME),
    "a sum of ids, from both sides": plane(
        "int j = 16 * y + x; if (j >= 3 && j < 101) a[j - 3] = b[j];", "xy"
    ),
    "a sum of ids, backwards": plane(
        "int j = 128 - 16 * y - x; if (j > 20) { a[j] = b[j]; a[j + 200] = a[j]; }", "xy"
    ),
    "a sum of ids and a local one": plane(
        "int j = 16 * y + x; if (get_local_id(0) == 0 && j < 90) a[j] = a[j + 3];", "xy"
    ),
    "an offset": line("a[i] = b[i];", offset=30),
    "an offset, groups": line("a[get_group_id(0) * 4 + get_local_id(0)] = i;", offset=30),
    "an offset, guarded": line("if (i < n) a[i - 30] = b[i];", offset=30),
}  # fmt: skip

UPPER, LATER = Region(0, 1024, 1024), Region(0, 128, 1024)
LOWER = Region(0, 0, 1024)
BUFFERS = {
    "a volatile buffer": case(
        "kernel void k@(global volatile int *a) { a[get_global_id(0)] = 1; }", [A], "x",
    ),
    "halves of one buffer": line("a[i] = b[i];", a=LOWER, b=UPPER),
    "the same buffer twice": line("a[i] = b[i] + 1;", a=A, b=A),
    "the same buffer twice, shifted": line("a[i] = b[i + 1];", "", SAME, a=A, b=A),
    "regions that overlap": line("a[i] = b[i];", "", SAME, a=LOWER, b=LATER),
    "regions that overlap, in step": line("if (i < 32) a[i + 32] = b[i];", a=LOWER, b=LATER),
    "both written": line("a[i] = 1; b[i] = 2;", a=LATER, b=UPPER),
    "both written, the same": line("a[i] = 1; b[i] = 2;", "x", a=A, b=A),
    "scattered": line("a[b[i]] = i;", "", SAME),
    "gathered": line("a[i] = b[b[i]];"),
    "gathered from what it writes": line("a[i] = a[b[i]];", "", SAME),
    "scattered near by": line("a[4 * i + (b[i] & 3)] = 1;"),
    "counted": line("atomic_inc(&a[b[i] & 15]);", "", SAME),
    "counted by itself": line("atomic_add(&a[i], b[i]); atomic_max(&a[i + 64], n);"),
    "counted for all": line("atomic_add(a, b[i]);", "", SAME),
    "constant memory": case(
        "constant int t@[4] = {3, 1, 2, 0}; constant int one@ = 1;\n"
        "kernel void k@(global int *a, constant int *c) {"
        " int i = get_global_id(0); a[i * one@ + one@] = c[i] + t@[i & 3]; }",
        [A, B], "x",
    ),
    "a pointer to constant memory, kept elsewhere": case(
        "void h@(constant int **p) { *p += 2; }\n"
        "kernel void k@(global int *a, constant int *c) {"
        " int i = get_global_id(0); constant int *p = c; h@(&p); a[i] = p[i]; }",
        [A, B], "", "comes from memory",
    ),
    "constant indices": case(
        "constant int t@[4] = {3, 1, 2, 0};\n"
        "kernel void k@(global int *a) { int i = get_global_id(0); a[t@[i & 3]] = i; }",
        [A], "", SAME,
    ),
    "a second round of pointers": line(
        "global int *p = a + i; p += 64; p[-1] = b[i]; *(p - 3) = 2;", "", SAME
    ),
    "the distance of pointers": line("global int *p = a + 2 * i; int d = p - a; a[d] = b[i];"),
    "a pointer from another type": line(
        "global int4 *v = (global int4 *)(a + 4 * i); *v = (int4)(i); ((global short *)v)[1] = 5;"
    ),
}  # fmt: skip

ALGORITHMS = {
    "saxpy": case(
        "kernel void k@(global float *y, global const float *x, float a, int n) {"
        " int i = get_global_id(0); if (i < n) y[i] += a * x[i]; }",
        [F, G, struct.pack("<f", 0.75), 60], "x",
    ),
    "mandelbrot": case(
        "kernel void k@(global int *a, int w, int h) {"
        " int x = get_global_id(0), y = get_global_id(1); if (x >= w || y >= h) return;"
        " float u = 3.0f * x / w - 2, v = 2.0f * y / h - 1, p = u, q = v; int n = 0;"
        " while (p * p + q * q < 4 && n < 50) { float t = p * p - q * q + u; q = 2 * p * q + v;"
        " p = t; n++; } a[y * w + x] = n; }",
        [A, 23, 14], "xy", size=(24, 16), local=(4, 4),
    ),
    "a product of matrices": case(
        "kernel void k@(global float *c, global const float *a, global const float *b, int n) {"
        " int x = get_global_id(0), y = get_global_id(1); float s = 0;"
        " for (int j = 0; j < n; j++) s += a[y * n + j] * b[j * n + x]; c[y * n + x] = s; }",
        [F, G, A, 16], "xy", size=(16, 16), local=(4, 2),
    ),
    "a product of matrices in tiles": case(
        "kernel void k@(global float *c, global const float *a, global const float *b, int n) {"
        " local float p[4][4], q[4][4]; int x = get_global_id(0), y = get_global_id(1);"
        " int u = get_local_id(0), v = get_local_id(1); float s = 0;"
        " for (int t = 0; t < n / 4; t++) { p[v][u] = a[y * n + t * 4 + u];"
        " q[v][u] = b[(t * 4 + v) * n + x]; barrier(CLK_LOCAL_MEM_FENCE);"
        " for (int j = 0; j < 4; j++) s += p[v][j] * q[j][u]; barrier(CLK_LOCAL_MEM_FENCE); }"
        " c[y * n + x] = s; }",
        [F, G, G, 16], "xy", size=(16, 16), local=(4, 4),
    ),
    "a product of matrices in tiles that overlap its edge": case(
        "kernel void k@(global float *c, global const float *a, global const float *b,"
        " int h, int w, int n) {"
        " local float p[4][4], q[4][4]; int u = get_local_id(0), v = get_local_id(1);"
        " int x = get_group_id(0) * 4 + u, y = get_group_id(1) * 4 + v; float s = 0;"
        " for (int t = 0; t < n; t += 4) {"
        " p[v][u] = y < h && t + u < n ? a[y * n + t + u] : 0;"
        " q[v][u] = x < w && t + v < n ? b[(t + v) * w + x] : 0; barrier(CLK_LOCAL_MEM_FENCE);"
        " for (int j = 0; j < 4; j++) s += p[v][j] * q[j][u]; barrier(CLK_LOCAL_MEM_FENCE); }"
        " if (y < h && x < w) c[y * w + x] = s; }",
        [F, G, G, 11, 13, 9], "xy", size=(16, 12), local=(4, 4),
    ),
    "a convolution": case(
        "kernel void k@(global float *o, global const float *f, constant float *m, int w, int h) {"
        " int x = get_global_id(0), y = get_global_id(1); float s = 0;"
        " for (int v = -1; v <= 1; v++) for (int u = -1; u <= 1; u++) {"
        " int p = clamp(x + u, 0, w - 1), q = clamp(y + v, 0, h - 1);"
        " s += f[q * w + p] * m[(v + 1) * 3 + u + 1]; } o[y * w + x] = s; }",
        [F, G, A, 16, 16], "xy", size=(16, 16), local=(4, 2),
    ),
    "a step of Jacobi": case(
        "kernel void k@(global float *o, global const float *f, int w, int h) {"
        " int x = get_global_id(0), y = get_global_id(1);"
        " if (x > 0 && y > 0 && x < w - 1 && y < h - 1) { int i = y * w + x;"
        " o[i] = 0.25f * (f[i - 1] + f[i + 1] + f[i - w] + f[i + w]); } }",
        [F, G, 16, 16], "xy", size=(16, 16), local=(4, 2),
    ),
    "a step of Jacobi in place": case(
        "kernel void k@(global float *f, int w, int h) {"
        " int x = get_global_id(0), y = get_global_id(1);"
        " if (x > 0 && y > 0 && x < w - 1 && y < h - 1) { int i = y * w + x;"
        " f[i] = 0.25f * (f[i - 1] + f[i + 1] + f[i - w] + f[i + w]); } }",
        [F, 16, 16], "", SAME, size=(16, 16), local=(4, 2),
    ),
    "bodies": case(
        "kernel void k@(global float4 *o, global const float4 *p, int n) {"
        " int i = get_global_id(0); float4 f = 0; for (int j = 0; j < n; j++) {"
        " float4 d = p[j] - p[i]; f += d * rsqrt(dot(d, d) + 0.01f) * p[j].w; } o[i] = f; }",
        [F, G, 64], "x",
    ),
    "bodies, moved in place": case(
        "kernel void k@(global float4 *p, global float4 *v, int n) {"
        " int i = get_global_id(0); float4 f = 0; for (int j = 0; j < n; j++) f += p[j] - p[i];"
        " v[i] += f; p[i] += v[i]; }",
        [F, G, 64], "", SAME,
    ),
    "a sparse matrix and a vector": case(
        "kernel void k@(global float *y, global const int *rows, global const int *columns,"
        " global const float *v) { int i = get_global_id(0); float s = 0;"
        " for (int j = rows[i]; j < rows[i] + 5; j++) s += v[columns[j]]; y[i] = s; }",
        [F, A, B, G], "x",
    ),
    "a step of a bitonic sort in groups": case(
        "kernel void k@(global int *a, int j, int m) { int i = get_global_id(0), p = i ^ j;"
        " if (p > i) { int u = a[i], v = a[p]; if ((u > v) == ((i & m) == 0)) {"
        " a[i] = v; a[p] = u; } } }",
        [A, 2, 8], "x",
    ),
    "a step of a bitonic sort across groups": case(
        "kernel void k@(global int *a, int j, int m) { int i = get_global_id(0), p = i ^ j;"
        " if (p > i) { int u = a[i], v = a[p]; if ((u > v) == ((i & m) == 0)) {"
        " a[i] = v; a[p] = u; } } }",
        [A, 32, 64], "", SAME,
    ),
    "a transposition": plane("a[x * 8 + y] = b[y * w + x];", "xy"),
    "a transposition in tiles": case(
        "kernel void k@(global int *a, global const int *b, int w, int h) { local int t[4][5];"
        " int x = get_global_id(0), y = get_global_id(1), u = get_local_id(0), v = get_local_id(1);"
        " t[v][u] = b[y * w + x]; barrier(CLK_LOCAL_MEM_FENCE);"
        " x = get_group_id(1) * 4 + u; y = get_group_id(0) * 4 + v; a[y * h + x] = t[u][v]; }",
        [A, B, 16, 16], "xy", size=(16, 16), local=(4, 4),
    ),
    "a transposition in tiles that overlap its edge": case(
        "kernel void k@(global int *a, global const int *b, int w, int h) { local int t[4][5];"
        " int x = get_global_id(0), y = get_global_id(1), u = get_local_id(0), v = get_local_id(1);"
        " if (x < w && y < h) t[v][u] = b[y * w + x]; barrier(CLK_LOCAL_MEM_FENCE);"
        " x = get_group_id(1) * 4 + u; y = get_group_id(0) * 4 + v;"
        " if (x < h && y < w) a[y * h + x] = t[u][v]; }",
        [A, B, 14, 11], "xy", size=(16, 12), local=(4, 4),
    ),
    "a transposition in place": plane(
        "if (x < y) { int t = a[y * w + x]; a[y * w + x] = a[x * w + y]; a[x * w + y] = t; }",
        "", SAME,
    ),
    "a step of a scan": line("a[i] = i >= 4 ? b[i] + b[i - 4] : b[i];"),
    "a step of a scan in place": line("if (i >= 4) a[i] += a[i - 4];", "", SAME),
    "sums added to a scan": line("a[i] += b[get_group_id(0)];"),
    "rows summed": line("int s = 0; for (int j = 0; j < 8; j++) s += b[8 * i + j]; a[i] = s;"),
    "pixels of four bytes": case(
        "kernel void k@(global uchar4 *a, global const uchar4 *b, int w) {"
        " int i = get_global_id(1) * w + get_global_id(0); uchar4 p = b[i];"
        " uchar g = (p.x * 77 + p.y * 151 + p.z * 28) >> 8; a[i] = (uchar4)(g, g, g, p.w); }",
        [A, B, 16], "xy", size=(16, 16), local=(4, 2),
    ),
    "pixels of three bytes": case(
        "kernel void k@(global uchar *a, global const uchar *b, int w) {"
        " int i = 3 * (get_global_id(1) * w + get_global_id(0));"
        " a[i] = b[i + 2]; a[i + 1] = b[i + 1]; a[i + 2] = b[i]; }",
        [A, B, 16], "xy", size=(16, 16), local=(4, 2),
    ),
    "a red and black step": plane(
        "if ((x + y) % 2 == 0 && y > 0 && y < 7) a[y * w + x] += a[(y - 1) * w + x];", "x", SAME
    ),
    "shortest ways": plane(
        "a[y * w + x] = min(a[y * w + x], a[y * w + 3] + a[3 * w + x]);", "", SAME
    ),
    "merged by rank": line(
        "int v = b[i], r = 0; for (int j = 0; j < 64; j++)"
        " r += b[j] < v || (b[j] == v && j < i); a[r] = v;",
        "", SAME,
    ),
}  # fmt: skip

# Their parts do write bytes of their own, but it isn't seen.
COUNTED = {
    "down and below zero": line("for (uint j = 4; j-- > 0;) a[4 * i + j] = j;", "x"),
    "a do": line("int j = 0; do { a[4 * i + j] = b[j]; } while (++j < 4);", "x"),
    "a continue in a do": line(
        "int j = 0; do { if (b[j] & 1) continue; a[4 * i + j] = j; } while (++j < 4);",
        "x",
    ),
    "high bits": line("a[i & ~3] = n;", "x"),
    "a switch": line(
        "int j; switch (i & 3) { case 0: j = 1; break; case 1: j = 0; break; default: j = i & 3; }"
        " a[(i & ~3) + j] = b[i];",
        "x",
    ),
    "a pass of an FFT": case(
        "kernel void k@(global float2 *o, global const float2 *f, int p) {"
        " int i = get_global_id(0), t = get_global_size(0), j = ((i - (i & (p - 1))) << 1)"
        " + (i & (p - 1)); float2 u = f[i], v = f[i + t]; o[j] = u + v; o[j + p] = u - v; }",
        [F, G, 4], "x",
    ),
}  # fmt: skip
"""Loops and indices that more has to be known of than ranges."""

UNSEEN = {
    "down until it wraps": line("for (uint j = 3; j < 4; j--) a[4 * i + j] = j;", "", SAME),
    "a break": line(
        "for (int j = 0; j < 9; j++) { if (j == 4) break; a[4 * i + j] = j; }", "", SAME
    ),
    "two that change places": line(
        "int p = 0, q = 64; for (int j = 0; j < 3; j++) { a[i + q] = j; int t = p; p = q; q = t; }",
        "", SAME,
    ),
    "vstore of groups": line("if (i % 4 == 0) vstore4((int4)(i), 0, a + i);", "", SAME),
    "rows and columns of one number": line(
        "int r = i / 8, c = i % 8; a[16 * r + c] = b[8 * r];", "", SAME
    ),
    "wrapped around, guarded": line("uint u = i; u -= 40; if (u < 10) a[u] = b[i];", "", SAME),
    "64 bits cut to 32": line("ulong l = i + 0x700000000UL; a[(uint)l] = b[i];", "", SAME),
    "a choice from memory": line("a[b[i] > 30 ? i : i + 64] = 1;", "", SAME),
    "labels below zero": line(
        "uint u = i - 1; switch (u) { case -1: a[100] = 1; break; default: a[i] = 2; }",
        "", SAME,
    ),
}  # fmt: skip

LOST = {
    "a label within a block": line(
        "switch (n) { case 0: a[i] = 1; break; { case 50: a[i] = 2; } }", "", "another statement"
    ),
}


class Table(NamedTuple):
    """Kernels that are one program."""

    cases: dict[str, Case]

    @property
    def source(self) -> str:
        """Of all of them; the mark of a case is its place."""
        return "\n".join(
            one.source.replace("@", str(mark)) for mark, one in enumerate(self.cases.values())
        )


def _table(**groups: dict[str, Case]) -> Table:
    """Few large programs are built sooner than many small ones."""
    return Table(
        {f"{group}: {name}": one for group, cases in groups.items() for name, one in cases.items()}
    )


TABLES = {
    "control": _table(guards=GUARDS, loops=LOOPS, helpers=HELPERS),
    "values": _table(numbers=NUMBERS, choices=CHOICES),
    "memory": _table(structs=STRUCTS, vectors=VECTORS, locals=LOCALS, buffers=BUFFERS),
    "launches": _table(
        spaces=SPACES, algorithms=ALGORITHMS, counted=COUNTED, unseen=UNSEEN, lost=LOST
    ),
}
