"""The kernels of the simulation: OpenCL C source for the guard, Python for the fake devices.

Owns: what each kernel computes, work-item by work-item in order, on views of bytes. Must not
know: parts, devices or the master.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

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
    )
}
"""By name."""

WHOLE = frozenset(("total",))
"""Those in the program whose source the guard doesn't let be split."""


def source_of(names: Sequence[str]) -> str:
    """A program that the guard judges as it should; fake devices find the kernels by name."""
    text = ["typedef unsigned char mystruct;"]
    for name in names:
        body = "int i = get_global_id(0);"
        if name in WHOLE:
            body = "int i = atomic_inc((global int *)p);"
        text.append(f"__kernel void {name}(__global uchar *p) {{ {body} p[i] = 1; }}")
    return "\n".join(text)


def kernels_in(source: str) -> list[Kernel]:
    """The kernels that a source made by `source_of` defines."""
    return [k for k in KERNELS.values() if f"__kernel void {k.name}(" in source]
