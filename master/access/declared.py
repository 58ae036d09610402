"""What a launch touches by what the program declares of it (`vcl.access`).

Owns: the footprint of declarations. Must not know: kernels' sources, how declarations travel, or
whether they are true: the program answers for that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from master.access.forms import ZERO, Form, one, plus, times
from master.access.kernels import Footprint
from master.access.memory import Lost, Touch
from master.access.needed import needed
from master.access.symbols import Definition, Kind
from vcl.ndrange import NDRange
from vcl.wire.declared import WHOLE, Declaration, Reach

DECLARED = 0
"""In place of the line of a touch: it was declared by vcl.access."""

CONST = -1
"""The same: the kernel declares the argument const."""


def declared_footprint(
    declarations: Sequence[Declaration], buffers: Mapping[int, bool], ndrange: NDRange
) -> Footprint | str:
    """What a launch touches, or why that isn't known.

    buffers: the arguments that are buffers, by index whether the kernel may write them. What it may
    write has to be declared; what it can't isn't written, whatever is declared.
    """
    declared = {d.argument: d for d in declarations}
    definitions: list[Definition] = []
    touches: list[Touch] = []
    for index, may_be_written in buffers.items():
        declaration = declared.get(index)
        if declaration is None:
            if may_be_written:
                return f"argument {index + 1} is neither declared to vcl.access nor const"
            touches.append(Touch(index, False, None, 1, (), CONST))
            continue
        for writes, reach in ((False, declaration.reads), (True, declaration.writes)):
            if reach is not None and (may_be_written or not writes):
                form = _first_byte(definitions, declaration, reach, ndrange)
                touches.append(
                    Touch(index, writes, form, declaration.item_bytes, (), DECLARED)
                )
    try:
        needed_definitions, needed_touches, cost = needed(definitions, touches)
    except Lost as lost:
        return lost.reason
    return Footprint(needed_definitions, needed_touches, False, cost)


def _first_byte(
    definitions: list[Definition], declaration: Declaration, reach: Reach, ndrange: NDRange
) -> Form:
    """Of any element that a work-item may touch."""
    assert reach is not None
    form, stride = ZERO, declaration.item_bytes
    axes = zip(declaration.shape, declaration.ids, reach, strict=True)
    for length, dimension, radius in reversed(list(axes)):
        place = _place(definitions, length, dimension, radius, ndrange)
        form = plus(form, times(place, stride))
        stride *= length
    return form


def _place(
    definitions: list[Definition], length: int, dimension: int, radius: int, ndrange: NDRange
) -> Form:
    """Along an axis, inside the array."""

    def new(definition: Definition) -> Form:
        definitions.append(definition)
        return one(len(definitions) - 1)

    inside = (0, length - 1)
    if radius == WHOLE:
        return new(Definition(Kind.UNKNOWN, inside))
    around = new(Definition(Kind.UNKNOWN, (-radius, radius)))
    if dimension < len(ndrange.global_size):
        items = (0, ndrange.global_size[dimension] - 1)
        item = new(Definition(Kind.ITEM, items, number=dimension))
        around = plus(around, plus(item, Form(ndrange.global_offset[dimension])))
    # A symbol of its own, since only that can be told to lie inside: what is past the end of an
    # axis isn't the next row's first.
    return new(Definition(Kind.QUOTIENT, inside, (around,), 1))
