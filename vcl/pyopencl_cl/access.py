"""What a program declares of a kernel's access: `access`.

Owns: turning shapes, dtypes and mappers into a declaration. Must not know: what follows from it, or
how it is checked (`checked`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vcl.mappers import Mapper
from vcl.pyopencl_cl.context import expect
from vcl.pyopencl_cl.errors import translated
from vcl.pyopencl_cl.kernel import Kernel
from vcl.settings import Environment
from vcl.wire.declared import Declaration

_size_max = 2**63 - 1


@translated("vcl.access")
def access(
    kernel: Kernel,
    arg: int | str,
    *,
    reads: Mapper,
    writes: Mapper,
    shape: Any,
    dtype: Any,
    ids: Any,
    check: bool | None,
) -> None:
    """Declare what is touched of an argument; see `vcl.access`."""
    expect(kernel, Kernel, "kernel")
    index = kernel._index(arg)
    lengths = _integers(shape, "shape")
    if not 1 <= len(lengths) <= 3 or min(lengths) < 1:
        raise ValueError(f"the shape {shape} isn't one of one to three axes that aren't empty")
    axes = len(lengths)
    dimensions = tuple(range(axes))[::-1] if ids is None else _integers(ids, "ids")
    if len(set(dimensions)) != len(dimensions) or not {0, 1, 2}.issuperset(dimensions):
        raise ValueError(f"the ids {ids} aren't 0, 1 or 2, each once")
    if len(dimensions) != axes:
        raise ValueError(f"the ids {ids} aren't one for each axis of the shape {shape}")
    element = np.dtype(dtype)
    if element.hasobject or not element.itemsize:
        raise ValueError(f"{element} isn't the type of an element of a buffer")
    expect(reads, Mapper, "reads")
    expect(writes, Mapper, "writes")
    declaration = Declaration(
        index, element.itemsize, lengths, dimensions, reads.reach(axes), writes.reach(axes)
    )
    if declaration.size > _size_max:
        raise ValueError(f"an array of {declaration.size} bytes is larger than any buffer")
    kernel._declare(declaration)
    kernel._elements[index] = element
    kernel._checks |= Environment().check_access if check is None else check


def _integers(given: Any, name: str) -> tuple[int, ...]:
    values = given if isinstance(given, (tuple, list)) else (given,)
    if not all(isinstance(v, (int, np.integer)) for v in values):
        raise TypeError(f"{name} is an integer or a tuple of them, not {given!r}")
    return tuple(map(int, values))
