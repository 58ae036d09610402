"""Formats of images: the bytes of a pixel, and of a colour."""

from __future__ import annotations

import math
import struct

import pytest

from tests.vcl.api.world import refused
from vcl.api import pixels
from vcl.api.pixels import ORDER, TYPE

RGBA, FLOAT = ORDER["RGBA"], TYPE["FLOAT"]
NAN, INF, MOST = math.nan, math.inf, 2**31 - 1


@pytest.mark.parametrize(
    ("order", "kind", "channels", "size"),
    [("RGBA", "FLOAT", 4, 4), ("R", "UNSIGNED_INT8", 1, 1), ("RG", "HALF_FLOAT", 2, 2)],
)
def test_formats_have_sizes(order: str, kind: str, channels: int, size: int) -> None:
    assert pixels.channel_count(ORDER[order], "r") == channels
    assert pixels.channel_bytes(TYPE[kind], "r") == size
    assert pixels.packed_bytes(TYPE[kind]) is None


def test_formats_whose_channels_share_bytes() -> None:
    assert pixels.packed_bytes(TYPE["UNORM_INT_101010"]) == 4
    with refused("r", "INVALID_VALUE", "channel type"):
        pixels.channel_bytes(TYPE["UNORM_INT_101010"], "r")
    with refused("r", "INVALID_VALUE", "channel order"):
        pixels.channel_count(1, "r")


@pytest.mark.parametrize(
    ("order", "kind", "color", "found"),
    [
        ("RGBA", "UNSIGNED_INT8", (1, 2, 3, 4), struct.pack("4B", 1, 2, 3, 4)),
        ("RGBA", "UNSIGNED_INT8", (-1, 256, NAN, INF), struct.pack("4B", 0, 255, 0, 255)),
        ("RGBA", "SIGNED_INT16", (1e9, -1e9, 1.9, -1.9), struct.pack("4h", 32767, -32768, 1, -1)),
        ("RGBA", "UNSIGNED_INT32", (1 << 33, 7, -7, 0), struct.pack("4I", 2**32 - 1, 7, 0, 0)),
        ("RGBA", "SIGNED_INT32", (2.0**31, 0, 0, -INF), struct.pack("4i", MOST, 0, 0, ~MOST)),
        ("RGBA", "UNORM_INT8", (0.0, 0.5, 1.0, 2.0), struct.pack("4B", 0, 128, 255, 255)),
        ("RGBA", "UNORM_INT8", (-1.0, NAN, 2.5 / 255, 3.5 / 255), struct.pack("4B", 0, 0, 2, 4)),
        ("RGBA", "SNORM_INT8", (-1.0, -2.0, 1.0, 0.0), struct.pack("4b", -127, -127, 127, 0)),
        ("RGBA", "SNORM_INT16", (-0.5, 0.5, 1.0, 0), struct.pack("4h", -16384, 16384, 32767, 0)),
        ("RGBA", "FLOAT", (0.1, -0.0, 1e300, -1e300), struct.pack("4f", 0.1, -0.0, INF, -INF)),
        ("RGBA", "HALF_FLOAT", (0.1, 7e4, -7e4, 1), struct.pack("4e", 0.1, INF, -INF, 1.0)),
        ("BGRA", "UNSIGNED_INT8", (1, 2, 3, 4), bytes([3, 2, 1, 4])),
        ("A", "UNSIGNED_INT8", (1, 2, 3, 4), bytes([4])),
        ("RA", "UNSIGNED_INT8", (1, 2, 3, 4), bytes([1, 4])),
        ("RG", "UNSIGNED_INT8", (1, 2, 3, 4), bytes([1, 2])),
        ("LUMINANCE", "UNSIGNED_INT8", (1, 2, 3, 4), bytes([1])),
    ],
)
def test_pixels_of_colours(
    order: str, kind: str, color: tuple[float, ...], found: bytes
) -> None:
    assert pixels.pixel(ORDER[order], TYPE[kind], color, "r") == found


def test_colours_that_are_refused() -> None:
    with refused("r", "INVALID_VALUE", "a colour of 3 components for FLOAT"):
        pixels.pixel(RGBA, FLOAT, (1, 2, 3), "r")
    with refused("r", "INVALID_VALUE", "a colour of 4 components for UNORM_SHORT_565"):
        pixels.pixel(ORDER["RGB"], TYPE["UNORM_SHORT_565"], (1, 2, 3, 4), "r")
    assert pixels.pixel_bytes(RGBA, FLOAT, "r") == 16
    assert pixels.pixel_bytes(ORDER["RGB"], TYPE["UNORM_SHORT_565"], "r") == 2
