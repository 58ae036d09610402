"""How large the elements of a merge are."""

from __future__ import annotations

import pytest

from master.access.elements import LARGEST, element_bytes


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
        ("struct pixel*", LARGEST),
        ("pixel_t*", LARGEST),
        ("float5*", LARGEST),
        ("float44*", LARGEST),
        ("image2d_t", LARGEST),
        ("void*", LARGEST),
        ("", LARGEST),
    ],
)
def test_element_bytes(type_name: str, expected: int) -> None:
    assert element_bytes(type_name) == expected


def test_the_largest_is_that_of_the_largest_builtin_type() -> None:
    assert 16 * element_bytes("double*") == LARGEST
