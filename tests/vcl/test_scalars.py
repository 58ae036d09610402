"""Sizes of OpenCL C's types, against NumPy's and the specification's."""

from __future__ import annotations

import pytest

from vcl.scalars import SIZES, scalar_and_width, value_bytes


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("char", 1), ("uchar", 1), ("unsigned char", 1), ("short", 2), ("ushort", 2), ("half", 2),
        ("int", 4), ("uint", 4), ("unsigned int", 4), ("float", 4), ("long", 8), ("ulong", 8),
        ("unsigned long", 8), ("double", 8),
        ("float2", 8), ("float3", 16), ("float4", 16), ("double16", 128), ("uchar16", 16),
        ("half8", 16), ("char3", 4),
    ],
)  # fmt: skip
def test_bytes_of_a_value(name: str, size: int) -> None:
    assert value_bytes(name) == size


@pytest.mark.parametrize(
    "name",
    ["bool", "bool2", "size_t", "image2d_t", "float*", "float5", "float32", "struct s", "4", ""],
)
def test_what_only_the_device_knows(name: str) -> None:
    assert value_bytes(name) is None


def test_scalar_and_width() -> None:
    assert all(scalar_and_width(name) == (name, 1) for name in SIZES)
    assert scalar_and_width("int16") == ("int", 16)
    assert scalar_and_width("uint3") == ("uint", 3)
    assert scalar_and_width("int1") is None
    assert scalar_and_width("event_t") is None
