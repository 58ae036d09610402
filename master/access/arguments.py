"""What the arguments of a kernel are by value.

Owns: decoding their bytes. Must not know: kernels.
"""

from __future__ import annotations

from master.access import tree
from master.access.forms import Form
from master.access.values import DATA, Cells, Lanes, Number, Value


def decoded(type_: tree.Type, data: bytes, offset: int) -> Value:
    """An argument by value: what its bytes mean (little-endian)."""
    if isinstance(type_, tree.Scalar):
        if type_.floating:
            return DATA
        raw = data[offset : offset + type_.size]
        return Number(Form(int.from_bytes(raw, "little", signed=type_.signed)), type_)
    if isinstance(type_, tree.Vector) and not type_.element.floating:
        element = type_.element
        lanes = [
            decoded(element, data, offset + n * element.size) for n in range(type_.count)
        ]
        return Lanes(tuple(lane for lane in lanes if isinstance(lane, Number)))
    if isinstance(type_, tree.Struct) and not type_.union:
        cells: list[tuple[int, Value]] = []
        for field in type_.fields:
            value = decoded(field.type, data, offset + field.offset)
            if isinstance(value, Number):
                cells.append((field.offset, value))
            elif isinstance(value, Cells):
                cells += [(field.offset + at, v) for at, v in value.cells]
        return Cells(tuple(cells))
    if isinstance(type_, tree.Array):
        size = type_.element.size
        cells = []
        for n in range(min(type_.count, 64)):
            element_value = decoded(type_.element, data, offset + n * size)
            if isinstance(element_value, Number):
                cells.append((n * size, element_value))
        return Cells(tuple(cells))
    return DATA
