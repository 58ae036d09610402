"""Formats of images: the bytes of a pixel, and of a colour (OpenCL 3.0 API, 5.3.1.1).

Owns: those of each channel order and type. Must not know: images, or what devices take (`images`).

`order` is of channel_order, `kind` of channel_type.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

from vcl.api.errors import fail
from vcl.constants import CLASSES

ORDER = CLASSES["channel_order"]
TYPE = CLASSES["channel_type"]
_CHANNELS = {
    **dict.fromkeys(("R", "A", "INTENSITY", "LUMINANCE", "DEPTH", "Rx"), 1),
    **dict.fromkeys(("RG", "RA", "RGx", "DEPTH_STENCIL"), 2),
    **dict.fromkeys(("RGB", "RGBx", "sRGB"), 3),
    **dict.fromkeys(("RGBA", "BGRA", "ARGB", "ABGR", "sRGBA", "sBGRA", "sRGBx"), 4),
}
_CHANNEL_BYTES = {
    **dict.fromkeys(("SNORM_INT8", "UNORM_INT8", "SIGNED_INT8", "UNSIGNED_INT8"), 1),
    **dict.fromkeys(
        ("SNORM_INT16", "UNORM_INT16", "SIGNED_INT16", "UNSIGNED_INT16", "HALF_FLOAT"), 2
    ),
    **dict.fromkeys(("SIGNED_INT32", "UNSIGNED_INT32", "FLOAT"), 4),
}
_PACKED_BYTES = {"UNORM_SHORT_565": 2, "UNORM_SHORT_555": 2, "UNORM_INT_101010": 4}
_LETTERS = {
    "SNORM_INT8": "b", "UNORM_INT8": "B", "SIGNED_INT8": "b", "UNSIGNED_INT8": "B",
    "SNORM_INT16": "h", "UNORM_INT16": "H", "SIGNED_INT16": "h", "UNSIGNED_INT16": "H",
    "HALF_FLOAT": "e", "SIGNED_INT32": "i", "UNSIGNED_INT32": "I", "FLOAT": "f",
}  # fmt: skip
"""Of module struct, by channel type."""
# Which of red, green, blue and alpha the channels are, where they aren't the first ones in order.
_COMPONENTS = {"BGRA": (2, 1, 0, 3), "ARGB": (3, 0, 1, 2), "A": (3,), "RA": (0, 3)}
ORDER_NAMES = {v: k for k, v in ORDER.items()}
TYPE_NAMES = {v: k for k, v in TYPE.items()}


def channel_count(order: int, routine: str) -> int:
    """Channels of a pixel. Raises CallError for what isn't an order."""
    count = _CHANNELS.get(ORDER_NAMES.get(order, ""))
    if count is None:
        fail(routine, "INVALID_VALUE", "unrecognized channel order")
    return count


def channel_bytes(kind: int, routine: str) -> int:
    """Bytes of a channel. Raises CallError for what isn't a type, or has no whole bytes."""
    size = _CHANNEL_BYTES.get(TYPE_NAMES.get(kind, ""))
    if size is None:
        fail(routine, "INVALID_VALUE", "unrecognized channel type")
    return size


def packed_bytes(kind: int) -> int | None:
    """Bytes of a pixel whose channels share them; None if each has its own."""
    return _PACKED_BYTES.get(TYPE_NAMES.get(kind, ""))


def pixel_bytes(order: int, kind: int, routine: str) -> int:
    """Bytes of a pixel. Raises CallError for what has no whole bytes."""
    return packed_bytes(kind) or channel_count(order, routine) * channel_bytes(kind, routine)


def pixel(order: int, kind: int, color: Sequence[float], routine: str) -> bytes:
    """A pixel of a format from red, green, blue and alpha (OpenCL 3.0 API, 5.3.1.1 and C, 6.15.15).

    Numbers are brought into the range of the channels' type; what isn't a number is 0 there, but
    for floats. Raises CallError for formats that can't be filled, and if there aren't four.
    """
    name = TYPE_NAMES.get(kind, "")
    letter = _LETTERS.get(name)
    if letter is None or len(color) != 4:
        fail(routine, "INVALID_VALUE", f"a colour of {len(color)} components for {name}")
    first = range(channel_count(order, routine))
    chosen = [color[at] for at in _COMPONENTS.get(ORDER_NAMES.get(order, ""), first)]
    if letter in "ef":
        return b"".join(_float_bytes(letter, float(number)) for number in chosen)
    bits = 8 * struct.calcsize(letter)
    signed = letter.islower()
    most = (1 << bits - signed) - 1
    least = -most - 1 if signed else 0
    if "NORM" in name:
        low = -1.0 if signed else 0.0
        values = [round(_clamped(float(number), low, 1.0) * most) for number in chosen]
    else:
        values = [int(_clamped(number, least, most)) for number in chosen]
    return struct.pack(f"{len(values)}{letter}", *values)


def _clamped(number: float, least: float, most: float) -> float:
    return 0 if number != number else min(max(number, least), most)


def _float_bytes(letter: str, number: float) -> bytes:
    try:
        return struct.pack(letter, number)
    except OverflowError:  # as a conversion does: infinity
        return struct.pack(letter, math.copysign(math.inf, number))
