"""What a launch touches by what the program declares of it (`vcl.access`).

Owns: the footprint of declarations. Must not know: kernels' sources, how declarations travel, or
whether they are true: the program answers for that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from master.access.forms import ZERO, Form, one, plus, times
from master.access.kernels import Footprint
from master.access.memory import Touch
from master.access.symbols import Definition, Kind, Symbols
from vcl.ndrange import NDRange
from vcl.wire.declared import WHOLE, Declaration

DECLARED = 0
"""In place of the line of a touch: it was declared by vcl.access."""

CONST = -1
"""The same: the kernel declares the argument const."""

cost_max = 500
"""As `Footprint.cost` counts, past which a launch isn't divided by declarations: making a footprint
of more takes longer than one session's turn. Some twenty arguments of three axes are less."""


def declared_footprint(
    declarations: Sequence[Declaration], buffers: Mapping[int, bool], ndrange: NDRange
) -> Footprint | str:
    """What a launch touches, or why that isn't known.

    buffers: the arguments that are buffers, by index whether the kernel may write them. What it may
    write has to be declared; what it can't isn't written, whatever is declared.
    """
    declared = {d.argument: d for d in declarations}
    places = _Places(ndrange)
    touches: list[Touch] = []
    cost = 0
    for index, may_be_written in buffers.items():
        declaration = declared.get(index)
        if declaration is None:
            if may_be_written:
                return f"argument {index + 1} is neither declared to vcl.access nor const"
            touches.append(Touch(index, False, None, 1, (), CONST))
            cost += 1
            continue
        for writes, reach in ((False, declaration.reads), (True, declaration.writes)):
            if reach is not None and (may_be_written or not writes):
                form = places.first_byte(declaration, reach)
                touches.append(Touch(index, writes, form, declaration.item_bytes, (), DECLARED))
                cost += 1 + sum(_looked_at(places.definitions[n]) for n, _ in form.terms)
        if cost > cost_max:
            return "the kernel touches memory in too many ways"
    return Footprint(tuple(places.definitions), tuple(touches), cost)


def _looked_at(definition: Definition) -> int:
    """Ranges of symbols that are looked at for the range of one."""
    return 1 + sum(len(form.terms) for form in definition.forms)


class _Places:
    """Where along the axes of arrays work-items may touch them."""

    def __init__(self, ndrange: NDRange) -> None:
        self._ndrange = ndrange
        self._symbols = Symbols()
        self._known: dict[tuple[int, int, int, int], Form] = {}

    @property
    def definitions(self) -> list[Definition]:
        """Of the symbols of all forms."""
        return self._symbols.definitions

    def first_byte(self, declaration: Declaration, reach: tuple[int, ...]) -> Form:
        """Of any element that a work-item may touch."""
        form, stride = ZERO, declaration.item_bytes
        for axis in reversed(range(len(reach))):
            length = declaration.shape[axis]
            # An axis has symbols of its own: no two of one form are the same.
            key = axis, length, declaration.ids[axis], reach[axis]
            place = self._known.get(key)
            if place is None:
                place = self._known[key] = self._place(*key[1:])
            form = plus(form, times(place, stride))
            stride *= length
        return form

    def _place(self, length: int, dimension: int, radius: int) -> Form:
        """Along an axis, inside the array."""
        inside = (0, length - 1)
        if radius == WHOLE:
            return one(self._symbols.new(inside))
        around = one(self._symbols.new((-radius, radius))) if radius else ZERO
        if dimension < len(self._ndrange.global_size):
            count = self._ndrange.global_size[dimension]
            item = self._symbols.id(dimension, count)
            offset = self._ndrange.global_offset[dimension]
            around = plus(around, Form(offset, ((item, 1),)))
        # A symbol of its own, since only that can be told to lie inside: what is past the end of
        # an axis isn't the next row's first.
        return one(self._symbols.function(Kind.QUOTIENT, (around,), 1, inside))
