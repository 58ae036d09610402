"""Boxes of buffers: origins, regions and pitches (OpenCL 3.0 API, 5.2.3).

Owns: `Box`, the checks of a box's arguments, whether boxes overlap, and a box of host memory as a
run of bytes. Must not know: commands (`box_commands`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vcl.api.errors import fail
from vcl.api.integers import sizes


def triple(values: Sequence[int], missing: int, what: str, routine: str) -> list[int]:
    """Three components, where up to three are given. Raises CallError for more, TypeError for
    what isn't a size."""
    numbers = sizes(values, what)
    if len(numbers) > 3:
        fail(routine, "INVALID_VALUE", f"{what} has more than three components")
    return numbers + [missing] * (3 - len(numbers))


@dataclass(frozen=True)
class Box:
    """Where a box lies in a linear memory, in bytes."""

    offset: int
    row_pitch: int
    slice_pitch: int

    def size(self, region: Sequence[int]) -> int:
        """Bytes from the box's first to its last."""
        width, height, depth = region
        return width + (height - 1) * self.row_pitch + (depth - 1) * self.slice_pitch


def make_box(
    origin: Sequence[int],
    region: Sequence[int],
    pitches: Sequence[int] | None,
    what: str,
    routine: str,
) -> Box:
    """Where a region lies. pitches: of rows and slices in bytes; what is 0 or missing is packed.

    Raises CallError for pitches that are too small.
    """
    start = triple(origin, 0, f"{what} origin", routine)
    given = sizes(pitches or (), f"{what} pitches")
    if len(given) > 2:
        fail(routine, "INVALID_VALUE", f"{what} pitches has more than two components")
    row, slice_ = [*given, 0, 0][:2]
    row = row or region[0]
    slice_ = slice_ or row * region[1]
    if row < region[0] or slice_ < row * region[1] or slice_ % row:
        fail(routine, "INVALID_VALUE", f"{what} pitches ({row}, {slice_}) are too small")
    return Box(start[0] + start[1] * row + start[2] * slice_, row, slice_)


def check_inside(box: Box, region: Sequence[int], size: int, what: str, routine: str) -> None:
    """Raise CallError unless the box lies within `size` bytes."""
    if box.offset + box.size(region) > size:
        fail(routine, "INVALID_VALUE", f"the box doesn't fit into the {what} of {size} bytes")


def extent_of(region: Sequence[int], routine: str) -> list[int]:
    """Width in bytes, height, depth. Raises CallError for an empty region."""
    extent = triple(region, 1, "region", routine)
    if 0 in extent:
        fail(routine, "INVALID_VALUE", f"region {tuple(extent)} is empty")
    return extent


def packed(region: Sequence[int]) -> Box:
    """A box without gaps."""
    return Box(0, region[0], region[0] * region[1])


def gather(host: memoryview, box: Box, region: Sequence[int]) -> Any:
    """The bytes of a box in host memory, packed: an array of (slices, rows, bytes)."""
    return np.ascontiguousarray(_host_view(host, box, region))


def _host_view(host: memoryview, box: Box, region: Sequence[int]) -> Any:
    """The box in host memory as an array of (slices, rows, bytes)."""
    flat = np.frombuffer(host, np.uint8)[box.offset : box.offset + box.size(region)]
    return np.lib.stride_tricks.as_strided(
        flat, (region[2], region[1], region[0]), (box.slice_pitch, box.row_pitch, 1)
    )


class Scattered:
    """A box in host memory as a flat destination of its bytes."""

    def __init__(self, host: memoryview, box: Box, region: Sequence[int]) -> None:
        self._box = _host_view(host, box, region)

    def __len__(self) -> int:
        return int(self._box.size)

    def __setitem__(self, where: slice, data: Any) -> None:
        """Store packed bytes; a run may begin and end inside a row."""
        _, rows, width = self._box.shape
        flat = np.frombuffer(data, np.uint8)
        at, taken = where.start, 0
        while taken < flat.size:
            row, column = divmod(at, width)
            slice_, row = divmod(row, rows)
            whole = min(rows - row, (flat.size - taken) // width) if column == 0 else 0
            if whole:  # as many whole rows of this slice as there are
                count = whole * width
                self._box[slice_, row : row + whole] = flat[taken : taken + count].reshape(
                    whole, width
                )
            else:
                count = min(width - column, flat.size - taken)
                self._box[slice_, row, column : column + count] = flat[taken : taken + count]
            at, taken = at + count, taken + count


def overlap(a: Box, b: Box, region: Sequence[int], origin_a: int, origin_b: int) -> bool:
    """Whether two boxes in one buffer share a byte (as OpenCL's appendix on overlap, exactly)."""

    def rows(box: Box, origin: int) -> Any:
        slices = np.arange(region[2])[:, None] * box.slice_pitch
        return (origin + box.offset + slices + np.arange(region[1]) * box.row_pitch).ravel()

    starts_a, starts_b = np.sort(rows(a, origin_a)), np.sort(rows(b, origin_b))
    # For each row of a: the first row of b that ends after it begins.
    at = np.searchsorted(starts_b + region[0], starts_a, side="right")
    inside = at < len(starts_b)
    return bool(np.any(starts_b[at[inside]] < starts_a[inside] + region[0]))
