"""What a program says that a kernel's work-items touch, as it travels with a launch.

Owns: `Declaration`, its limits and its packed form. Must not know: what a program writes to say it
(`vcl.mappers`), or what follows for parts.

An argument is an array of one to three axes in C order, from the first byte of the argument's
region on. Along each axis a work-item's place is one of its global ids, as get_global_id answers
(global offset included); what it touches is a box around that place, cut off at the array's ends:
so many elements to both sides, or all of the axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

from vcl.errors import RemoteProtocolError
from vcl.wire.frame import pack_value, unpack_value
from vcl.wire.limits import declared_bytes_max

WHOLE = -1
"""In place of a radius: all of the axis."""

Reach = tuple[int, ...] | None
"""By axis how many elements to both sides of a work-item's place, or WHOLE; None for nothing."""

_size_max = 2**63 - 1


class Declaration(NamedTuple):
    """What is read and written of one argument (its index).

    item_bytes: of an element. shape: in elements. ids: by axis the dimension of the global id, each
    once; an id of a dimension that the launch doesn't have is 0.
    """

    argument: int
    item_bytes: int
    shape: tuple[int, ...]
    ids: tuple[int, ...]
    reads: Reach
    writes: Reach

    @property
    def size(self) -> int:
        """Bytes of the array."""
        return prod(self.shape) * self.item_bytes


def pack(declarations: Sequence[Declaration]) -> bytes:
    """What travels; empty if there are none."""
    return pack_value([list(d) for d in declarations]) if declarations else b""


def unpack(data: bytes) -> list[Declaration]:
    """What arrived, each argument once; raises RemoteProtocolError unless it is of this form."""
    if not data:
        return []
    if len(data) > declared_bytes_max:
        raise RemoteProtocolError(f"declared access of more than {declared_bytes_max} bytes")
    rows = unpack_value(data)
    if type(rows) is not list or not all(map(_is_row, rows)):
        raise RemoteProtocolError("malformed declared access")
    found = [
        Declaration(argument, item_bytes, tuple(shape), tuple(ids), _reach(reads), _reach(writes))
        for argument, item_bytes, shape, ids, reads, writes in rows
    ]
    if len({d.argument for d in found}) != len(found):
        raise RemoteProtocolError("the access of an argument is declared twice")
    if any(d.size > _size_max for d in found):
        raise RemoteProtocolError("a declared array is larger than any buffer")
    return found


def _is_row(row: Any) -> bool:
    if type(row) is not list or len(row) != 6:
        return False
    argument, item_bytes, shape, ids, reads, writes = row
    return (
        _are_ints([argument], 0)
        and _are_ints([item_bytes], 1)
        and _are_ints(shape, 1)
        and 1 <= len(shape) <= 3
        and _are_ints(ids, 0)
        and len(set(ids)) == len(ids) == len(shape)
        and max(ids) <= 2
        and all(_is_reach(reach, len(shape)) for reach in (reads, writes))
    )


def _is_reach(radii: Any, axes: int) -> bool:
    return radii is None or (_are_ints(radii, WHOLE) and len(radii) == axes)


def _are_ints(values: Any, least: int) -> bool:
    return type(values) is list and all(
        type(value) is int and least <= value <= _size_max for value in values
    )


def _reach(radii: list[int] | None) -> Reach:
    return None if radii is None else tuple(radii)
