"""The argument that a rewritten kernel takes behind the user's: the launch that a part belongs to.

Owns: its layout and the bytes of its value. Must not know: programs, or how they are rewritten
(`analyser.rewrite`).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from vcl.ndrange import NDRange

DIMENSIONS = 3

FIELDS = ("group_start", "group_counts", "global_size", "global_offset")
"""Each has a number a dimension, as wide as size_t, without padding.

`group_start` is the whole launch's number of the part's first work-group; the others are the whole
launch's. They answer every work-item function without a division in the kernel.
"""


_WORD = {32: "I", 64: "Q"}


def hidden(whole: NDRange, part: NDRange, address_bits: int) -> bytes:
    """The argument's value for a part of a launch, little-endian.

    whole: has the local size that all parts share. part: whole work-groups of it; may be all.
    address_bits: 32 or 64, that for which the program was rewritten.
    """
    assert whole.local_size is not None and part.local_size == whole.local_size
    start = []
    for first, size, offset, all_of_it, local in zip(
        part.global_offset,
        part.global_size,
        whole.global_offset,
        whole.global_size,
        whole.local_size,
        strict=True,
    ):
        assert offset <= first and first + size <= offset + all_of_it < 2**address_bits
        assert (first - offset) % local == 0, "a part begins within a work-group"
        start.append((first - offset) // local)
    # Of a dimension that the launch doesn't have: OpenCL C 3.0, section 6.15.1.
    numbers = [
        *_filled(start, 0),
        *_filled(whole.group_counts, 1),
        *_filled(whole.global_size, 1),
        *_filled(whole.global_offset, 0),
    ]
    return struct.pack(f"<{len(numbers)}{_WORD[address_bits]}", *numbers)


def _filled(numbers: Sequence[int], more: int) -> list[int]:
    return [*numbers, *[more] * (DIMENSIONS - len(numbers))]
