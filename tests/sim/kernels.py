"""The kernels of the simulation: OpenCL C source for the guard, Python for the fake devices.

Owns: what each kernel computes, work-item by work-item in order, on views of bytes. Must not
know: parts, devices or the master.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from master.access import tree
from master.access.analyser.frontend import parse
from master.access.declared import declared_footprint
from master.access.extents import extents
from master.access.kernels import Footprint, footprint
from vcl.ndrange import NDRange
from vcl.wire.declared import Declaration

GLOBAL, CONSTANT, PRIVATE = 0x119B, 0x119C, 0x119E


@dataclass(frozen=True, slots=True)
class Kernel:
    """arguments: (address qualifier, type name) each. reads, writes: indices of buffer arguments
    that it truly reads and writes. run(arguments, items): items has a range per dimension."""

    name: str
    arguments: tuple[tuple[int, str], ...]
    reads: frozenset[int]
    writes: frozenset[int]
    run: Callable[[Sequence[Any], Sequence[range]], None]


def _number(value: Any) -> int:
    return int.from_bytes(bytes(value), "little")


def _add(a: Sequence[Any], items: Sequence[range]) -> None:
    out, left, right = a
    for i in items[0]:
        out[i] = (left[i] + right[i]) & 255


def _scale(a: Sequence[Any], items: Sequence[range]) -> None:
    data, number = a[0], _number(a[1])
    for i in items[0]:
        data[i] = (data[i] * 3 + number) & 255


def _scatter(a: Sequence[Any], items: Sequence[range]) -> None:
    out, data = a[0].cast("I"), a[1].cast("I")
    stride, count = _number(a[2]), len(out)
    for i in items[0]:
        out[i * stride % count] = (data[i] + i) & 0xFFFFFFFF


def _stencil(a: Sequence[Any], items: Sequence[range]) -> None:
    out, data = a
    last = len(data) - 1
    for i in items[0]:
        out[i] = (data[max(i - 1, 0)] + data[i] + data[min(i + 1, last)]) & 255


def _conflict(a: Sequence[Any], items: Sequence[range]) -> None:
    out, number = a[0].cast("Q"), _number(a[1])
    for i in items[0]:
        out[0] = number + i


def _total(a: Sequence[Any], items: Sequence[range]) -> None:
    out, data = a
    total = sum(data)
    for i in items[0]:
        out[i] = (total + i) & 255


def _pick(a: Sequence[Any], items: Sequence[range]) -> None:
    out, table, data = a
    count = len(table)
    for i in items[0]:
        out[i] = table[data[i] % count]


def _both(a: Sequence[Any], items: Sequence[range]) -> None:
    first, second, data = a[0], a[1].cast("I"), a[2]
    for i in items[0]:
        first[i] ^= data[i]
        if i < len(second):
            second[i] = data[i] * 65537


def _plane(a: Sequence[Any], items: Sequence[range]) -> None:
    out, data, width = a[0], a[1], _number(a[2])
    height = len(data) // width
    for y in items[1]:
        for x in items[0]:
            out[y * width + x] = data[x * height + y]


def _record(a: Sequence[Any], items: Sequence[range]) -> None:
    for i in items[0]:
        a[0][i] = (a[0][i] + 1) & 255


def _swap(a: Sequence[Any], items: Sequence[range]) -> None:
    out, data, block = a[0], a[1], _number(a[2])
    for i in items[0]:
        to = i - block if i // block % 2 else i + block
        if to < len(out):
            out[to] = (data[i] + i) & 255


def _comb(a: Sequence[Any], items: Sequence[range]) -> None:
    out, data, teeth = a[0], a[1], _number(a[2])
    for i in items[0]:
        to = i % 4 * teeth + i // 4
        if i // 4 < teeth and to < len(out):
            out[to] = data[i]


def _spread(a: Sequence[Any], items: Sequence[range]) -> None:
    out, marks, data = a[0].cast("I"), a[1], a[2]
    stride, count = _number(a[3]), len(out)
    for i in items[0]:
        out[i * stride % count] = (data[i] + i) & 0xFFFFFFFF
        marks[i] = data[i]


def _count(a: Sequence[Any], items: Sequence[range]) -> None:
    out, data = a[0].cast("I"), a[1]
    for i in items[0]:
        at = data[i] % len(out)
        out[at] = (out[at] + i + 1) & 0xFFFFFFFF


def _kernel(name: str, types: str, reads: str, writes: str, run: Any) -> Kernel:
    """types: one per argument; "=" marks a by-value argument, "!" a __constant one."""
    arguments = []
    for text in types.split():
        address = PRIVATE if text[0] == "=" else CONSTANT if text[0] == "!" else GLOBAL
        arguments.append((address, text.lstrip("=!")))
    sets = [frozenset(map(int, indices)) for indices in (reads, writes)]
    return Kernel(name, tuple(arguments), sets[0], sets[1], run)


KERNELS = {
    kernel.name: kernel
    for kernel in (
        _kernel("add", "uchar* uchar* uchar*", "12", "0", _add),
        _kernel("scale", "uchar* =uint", "0", "0", _scale),
        _kernel("scatter", "uint* uint* =uint", "1", "0", _scatter),
        _kernel("stencil", "uchar* uchar*", "1", "0", _stencil),
        _kernel("conflict", "ulong* =ulong", "", "0", _conflict),
        _kernel("total", "uchar* uchar*", "1", "0", _total),
        _kernel("pick", "uchar* !uchar* uchar*", "12", "0", _pick),
        _kernel("both", "uchar* uint* uchar*", "02", "01", _both),
        _kernel("plane", "uchar* uchar* =uint", "1", "0", _plane),
        _kernel("record", "mystruct*", "0", "0", _record),
        _kernel("swap", "uchar* uchar* =uint", "1", "0", _swap),
        _kernel("comb", "uchar* uchar* =uint", "1", "0", _comb),
        _kernel("count", "uint* uchar*", "01", "0", _count),
        _kernel("spread", "uint* uchar* uchar* =uint", "2", "01", _spread),
    )
}
"""By name."""

_TRUE = """
kernel void add(global uchar *o, global uchar *l, global uchar *r)
{ int i = get_global_id(0); o[i] = l[i] + r[i]; }
kernel void scale(global uchar *d, uint n)
{ int i = get_global_id(0); d[i] = d[i] * 3 + n; }
kernel void stencil(global uchar *o, global uchar *d)
{ int i = get_global_id(0); o[i] = d[i - 1] + d[i] + d[i + 1]; }
kernel void pick(global uchar *o, constant uchar *t, global uchar *d)
{ int i = get_global_id(0); o[i] = t[d[i]]; }
kernel void both(global uchar *f, global uint *s, global uchar *d)
{ int i = get_global_id(0); f[i] ^= d[i]; s[i] = d[i]; }
kernel void record(global uchar *d)
{ int i = get_global_id(0); d[i]++; }
kernel void swap(global uchar *o, global uchar *d, uint n)
{ int i = get_global_id(0), b = n; o[i + (i / b % 2 ? -b : b)] = d[i]; }
kernel void comb(global uchar *o, global uchar *d, uint n)
{ int i = get_global_id(0), t = n; o[i % 4 * t + i / 4] = d[i]; }
kernel void spread(global uint *o, global uchar *m, global uchar *d, uint n)
{ int i = get_global_id(0); o[((global uint *)o)[0]] = 1; m[i] = d[i]; }
kernel void count(global uint *o, global uchar *d)
{ int i = get_global_id(0); atomic_add(o + d[i], i + 1); }
kernel void conflict(global ulong *o, ulong n)
{ int i = get_global_id(0); o[0] = n + i; }
"""
"""What kernels touch, or more: bytes past the end of a region nobody touches."""


def footprint_of(
    name: str, arguments: Sequence[bytes | str], ndrange: Sequence[Sequence[int]]
) -> Footprint | str:
    """What the analysis finds of a launch, or why it finds nothing."""
    program = _true_program()
    if name not in program.functions:
        return f"{name} isn't analysed here"
    offset, size, local = map(tuple, ndrange)
    return footprint(program, name, arguments, NDRange(offset, size, local))


def touched(
    name: str, arguments: Sequence[Any], offset: Sequence[int], size: Sequence[int]
) -> list[tuple[int, int, int, bool]] | None:
    """(argument, start, end, written) of what a launch touches in its regions; None for all.

    arguments: ("region", buffer, offset, size), bytes, or anything else.
    """
    kinds = tuple("buffer" if type(a) is tuple else bytes(a) for a in arguments)
    shape = tuple(offset), tuple(size), (1,) * len(size)
    ndrange = NDRange(*shape)
    sizes = {index: a[3] for index, a in enumerate(arguments) if type(a) is tuple}
    declared = declared_of(name, arguments)
    if declared:
        found = declared_footprint(declared, dict.fromkeys(sizes, True), ndrange)
    else:
        found = footprint_of(name, kinds, shape)
    if isinstance(found, str):
        return None
    made = []
    for index, extent in extents(found, ndrange, ndrange, sizes).items():
        for runs, written in ((extent.reads, False), (extent.writes, True)):
            anywhere = [(0, sizes[index])] if runs is None else runs
            made += [(index, start, end, written) for start, end in anywhere]
    return made


def declared_of(name: str, arguments: Sequence[Any]) -> list[Declaration]:
    """What a program may declare of a launch, of which no analysis finds what it touches.

    arguments: as of `touched`.
    """
    if name != "plane":
        return []
    width = _number(arguments[2])
    height = arguments[0][3] // width
    return [
        Declaration(0, 1, (height, width), (1, 0), None, (0, 0)),
        Declaration(1, 1, (width, height), (0, 1), (0, 0), None),
    ]


@cache
def _true_program() -> tree.Program:
    return parse(_TRUE, "")


ATOMIC = frozenset(("total", "count"))
"""Those that the guard lets run in parts only if these are known to be apart: of the first that
isn't known."""


def source_of(names: Sequence[str]) -> str:
    """A program that the guard judges as it should; fake devices find the kernels by name."""
    text = ["typedef unsigned char mystruct;"]
    for name in names:
        body = "int i = get_global_id(0);"
        if name in ATOMIC:
            body += " atomic_inc((__global int *)p);"
        text.append(f"__kernel void {name}(__global uchar *p) {{ {body} p[i] = 1; }}")
    return "\n".join(text)


def kernels_in(source: str) -> list[Kernel]:
    """The kernels that a source made by `source_of` defines."""
    return [k for k in KERNELS.values() if f"__kernel void {k.name}(" in source]
