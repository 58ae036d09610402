"""How large an element a pointer argument points to, for the comparison in a merge.

Owns: `element_bytes`. Must not know: kernels' sources.
"""

from __future__ import annotations

from vcl.scalars import SIZES, scalar_and_width


def element_bytes(type_name: str) -> int:
    """Bytes of what `type_name` ("float4*", as get_arg_info tells) points to.

    A vector counts as its scalars, for it may be written by components. An unknown type (a
    structure, say) counts as bytes: its members may be written by different parts, and parts that
    write one member differently nearly always differ in a byte that both changed. (Programs in
    which they do are racy; comparing by more than a member would find conflicts in good ones.)
    """
    name = type_name.rstrip("* ").removeprefix("const ").removeprefix("volatile ").strip()
    found = scalar_and_width(name)
    return 1 if found is None else SIZES[found[0]]
