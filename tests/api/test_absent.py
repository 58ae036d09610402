"""What isn't built raises NotImplementedError naming itself; nothing is silently skipped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import vcl as cl
from vcl.pyopencl_cl import absent

SOURCE = "__kernel void f(__global int *a) { a[0] = 1; }"
SPIR_V = b"\x03\x02\x23\x07" + bytes(16)

# What a program would write, by what the error must name.
WAYS: dict[str, Callable[[Any], Any]] = {
    "pipes": lambda ctx: cl.Pipe(ctx, 0, 4, 16, []),
    "IL": lambda ctx: cl.Program(ctx, SPIR_V),
    "sub_group": lambda ctx: (
        cl.Program(ctx, SOURCE)
        .build()
        .f.get_sub_group_info(
            ctx.devices[0], cl.kernel_sub_group_info.MAX_SUB_GROUP_SIZE_FOR_NDRANGE, [64]
        )
    ),
}


@pytest.mark.parametrize("name", WAYS)
def test_says_what_is_missing(ctx: Any, name: str) -> None:
    with pytest.raises(NotImplementedError, match=f"vcl doesn't have .*{name}"):
        WAYS[name](ctx)


@pytest.mark.parametrize("name", absent.FUNCTIONS)
def test_absent_functions_name_themselves(platform: Any, name: str) -> None:
    from pyopencl import _cl

    with pytest.raises(NotImplementedError, match=name.lstrip("_")):
        getattr(_cl, name)()
