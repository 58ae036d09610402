"""Which buffers parts may share: by what is done to them in a kernel."""

from __future__ import annotations

from typing import Any

import pytest

from master.access.analyser.frontend import parse
from master.access.kernels import BUFFER, footprint
from master.access.sharing import Sharing, sharing
from vcl.ndrange import NDRange


def shared(
    body: str, parameter: str = "global int *a", regions: Any = ((0, 64),), options: str = ""
) -> Sharing | None:
    """Of the last argument; with more regions it comes more than once."""
    names = "".join(f", {parameter.replace('*a', f'*a{i}')}" for i in range(1, len(regions)))
    source = (
        "#pragma OPENCL EXTENSION cl_khr_int64_base_atomics : enable\n"
        f"kernel void k(global const int *b, {parameter}{names}) {{\n"
        f"int i = get_global_id(0); {body} }}"
    )
    count = len(regions)
    found = footprint(
        parse(source, options), "k", [BUFFER] * (1 + count), NDRange((0,), (16,), (4,))
    )
    touches = [t for t in found.touches if t.argument]
    return sharing(touches, {1 + i: region for i, region in enumerate(regions)})


@pytest.mark.parametrize(
    ("body", "how"),
    [
        ("atomic_add(a + b[i], 3);", "add"),
        ("atomic_inc(&a[b[i] & 7]); atomic_dec(a); atomic_sub(a + 1, i);", "add"),
        ("atom_add(a, 3);", "add"),
        ("if (b[i]) atomic_max(a, i);", "max"),
        ("atomic_min(a, i); (void)atomic_min(a + 1, i);", "min"),
        ("for (int j = 0; j < b[i]; j++) atomic_xor(a + j, j);", "xor"),
        ("atomic_and(a, i);", "and"),
        ("atomic_or((global int *)a + i, i);", "or"),
    ],
)
def test_a_reduction(body: str, how: str) -> None:
    assert shared(body) == Sharing(how, 4, 3)


@pytest.mark.parametrize(("of", "how"), [("uint", "umin"), ("int", "min")])
def test_the_smallest_is_that_of_its_type(of: str, how: str) -> None:
    found = shared("atomic_min(a, b[i]);", f"volatile global {of} *a")
    assert found is not None and (found.how, found.operation) == (how, "min")


def test_long_integers() -> None:
    assert shared("atom_add(a + i, 1L);", "global long *a") == Sharing("add", 8, 3)
    assert shared("atom_add(a + i, 1L);", "global long *a", ((4, 64),)) is None
    assert shared("atom_add(a + i, 1L);", "global long *a", ((8, 60),)) is None


@pytest.mark.parametrize(
    "body",
    [
        "atomic_add(a, 3); a[1] = 2;",
        "atomic_add(a, 3); int x = a[1]; if (x) atomic_add(a, x);",
        "int x = atomic_add(a, 3); atomic_add(a + x, 1);",
        "if (atomic_inc(a)) atomic_inc(a);",
        "atomic_add(a, 3); atomic_max(a, 3);",
        "atomic_xchg(a, 3);",
        "atomic_cmpxchg(a, 3, 4);",
        "a[i] = 1;",
        "atomic_add((global int *)((global char *)a + i), 1);",
        "atomic_add((global int *)((global char *)a + 2), 1);",
    ],
)
def test_no_reduction(body: str) -> None:
    assert shared(body) is None


def test_a_buffer_that_is_given_twice_is_one() -> None:
    assert shared("atomic_inc(a); atomic_inc(a1);", regions=((0, 64), (32, 64))) is not None
    assert shared("atomic_inc(a); atomic_max(a1, 1);", regions=((0, 64), (32, 64))) is None


def test_images_that_are_written_are_shared_and_those_that_are_read_are_not() -> None:
    body = "write_imagef(a, (int2)(i, b[i]), (float4)(1));"
    assert shared(body, "write_only image2d_t a") == Sharing("image", 1, 3)
    read = "sampler_t s = 0; float4 v = read_imagef(a, s, (int2)(i)); if (v.x > 0) return;"
    assert shared(read, "read_only image2d_t a") is None
