"""How large an element a pointer argument points to, for the comparison in a merge.

Owns: `element_bytes`. Must not know: kernels' sources.
"""

from __future__ import annotations

from vcl.scalars import SIZES, scalar_and_width

LARGEST = 128
"""Size of the largest builtin type (double16, long16): what an unknown type is taken for."""


def element_bytes(type_name: str) -> int:
    """Bytes of what `type_name` ("float4*", as get_arg_info tells) points to.

    A vector counts as its scalars, for it may be written by components. An unknown type (a
    structure, say) counts as the largest builtin type: coarser elements can only make a merge
    find conflicts that aren't there, and then the launch runs whole.
    """
    name = type_name.rstrip("* ").removeprefix("const ").removeprefix("volatile ").strip()
    found = scalar_and_width(name)
    return LARGEST if found is None else SIZES[found[0]]
