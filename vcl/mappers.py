"""How far a work-item reaches around its place in an array: what `vcl.access` is told.

Owns: the mappers, in the spirit of Celerity's range mappers, and which elements the work-items of a
part may touch by them. Must not know: kernels, or how it is told to anybody.

A work-item's place along an axis is one of its global ids, absolute as get_global_id answers: with
the launch's global offset, as in Celerity. What of its reach lies outside the array it doesn't
touch.
"""

from __future__ import annotations

from dataclasses import dataclass

from vcl.ndrange import NDRange
from vcl.wire.declared import WHOLE, Declaration, Reach


@dataclass(frozen=True)
class Mapper:
    """One of the functions below, called with these numbers."""

    name: str
    numbers: tuple[int, ...] = ()

    def reach(self, axes: int) -> Reach:
        """In an array of so many axes; raises ValueError where it doesn't fit that."""
        if self.name == "none":
            return None
        if self.name == "all":
            return (WHOLE,) * axes
        if self.name == "one_to_one":
            return (0,) * axes
        if self.name == "neighborhood":
            if len(self.numbers) != axes:
                raise ValueError(f"{self} has {len(self.numbers)} axes, the shape {axes}")
            return self.numbers
        assert self.name == "slice"
        (dimension,) = self.numbers
        if dimension >= axes:
            raise ValueError(f"{self} is of an axis that a shape of {axes} doesn't have")
        return tuple(WHOLE if axis == dimension else 0 for axis in range(axes))

    def __str__(self) -> str:
        """As a program writes it."""
        return f"{self.name}({', '.join(map(str, self.numbers))})"


def one_to_one() -> Mapper:
    """The element at its place."""
    return Mapper("one_to_one")


def neighborhood(*radius: int) -> Mapper:
    """The box of so many elements to both sides of its place, by axis; raises ValueError."""
    if not radius or min(radius) < 0:
        raise ValueError("neighborhood takes one radius per axis, none below 0")
    return Mapper("neighborhood", radius)


def slice(dimension: int) -> Mapper:
    """All of one axis, and along the others the element at its place; raises ValueError."""
    if dimension < 0:
        raise ValueError("slice takes the number of an axis, from 0")
    return Mapper("slice", (dimension,))


def all() -> Mapper:
    """The whole array."""
    return Mapper("all")


def none() -> Mapper:
    """Nothing."""
    return Mapper("none")


def touched(declaration: Declaration, reach: Reach, part: NDRange) -> list[range] | None:
    """The elements, by axis, that the work-items of a part may touch together; None for none."""
    if reach is None:
        return None
    box = []
    for length, dimension, radius in zip(declaration.shape, declaration.ids, reach, strict=True):
        first, count = 0, 1
        if dimension < len(part.global_size):
            first, count = part.global_offset[dimension], part.global_size[dimension]
        if radius == WHOLE:
            box.append(range(length))
        else:
            box.append(range(max(first - radius, 0), min(first + count + radius, length)))
    return box if min(map(len, box)) else None
