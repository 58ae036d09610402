"""How large the elements of a merge are."""

from __future__ import annotations

import pytest

from master.access.elements import element_bytes


@pytest.mark.parametrize(
    ("type_name", "expected"),
    [
        ("char*", 1),
        ("uchar*", 1),
        ("unsigned char*", 1),
        ("short*", 2),
        ("half*", 2),
        ("int*", 4),
        ("uint*", 4),
        ("unsigned int*", 4),
        ("float*", 4),
        ("double*", 8),
        ("ulong*", 8),
        ("float *", 4),
        ("const float*", 4),
        ("volatile int*", 4),
        ("const volatile uint*", 4),
        # A vector may be written by components.
        ("float4*", 4),
        ("float3*", 4),
        ("double16*", 8),
        ("uchar2*", 1),
        # What isn't known is taken for the largest.
        ("struct pixel*", 1),
        ("pixel_t*", 1),
        ("float5*", 1),
        ("float44*", 1),
        ("image2d_t", 1),
        ("void*", 1),
        ("", 1),
    ],
)
def test_element_bytes(type_name: str, expected: int) -> None:
    assert element_bytes(type_name) == expected
