"""Sizes of OpenCL C's scalar and vector types by name (OpenCL C 3.0, 6.3).

Owns: the table. Must not know: kernels.
"""

from __future__ import annotations

SIZES = {
    "char": 1,
    "uchar": 1,
    "unsigned char": 1,
    "bool": 1,
    "short": 2,
    "ushort": 2,
    "unsigned short": 2,
    "half": 2,
    "int": 4,
    "uint": 4,
    "unsigned int": 4,
    "float": 4,
    "long": 8,
    "ulong": 8,
    "unsigned long": 8,
    "double": 8,
}
"""Bytes of the scalar types whose size doesn't depend on the device."""


def scalar_and_width(type_name: str) -> tuple[str, int] | None:
    """("float", 4) of "float4"; width 1 of a scalar; None for any other type."""
    if type_name in SIZES:
        return type_name, 1
    for width in (16, 8, 4, 3, 2):
        scalar = type_name.removesuffix(str(width))
        if scalar != type_name and scalar in SIZES:
            return scalar, width
    return None


def value_bytes(type_name: str) -> int | None:
    """Bytes of a by-value argument; None for what only the device knows (structures...).

    A vector of three takes the room of four (OpenCL C 3.0, 6.3.5).
    """
    found = scalar_and_width(type_name)
    if found is None or found[0] == "bool":
        return None
    scalar, width = found
    return SIZES[scalar] * (4 if width == 3 else width)
