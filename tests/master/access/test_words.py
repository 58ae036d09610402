"""Accesses in words."""

from __future__ import annotations

import pytest

from master.access.analyser.frontend import parse
from master.access.kernels import BUFFER, footprint
from master.access.words import access
from vcl.ndrange import NDRange


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("a[2 * i + 1] = 1;", "byte 8*x + 4, 4 bytes (line 2)"),
        ("a[get_group_id(0) + i] = 1;", "byte 20*(x)/4 + 4*(x)%4, 4 bytes (line 2)"),
        ("a[i / 3] = 1;", "byte 4*(x)/3, 4 bytes (line 2)"),
        ("a[b[i] & 7] = 1;", "byte 4*(?)%8, 4 bytes (line 2)"),
        ("a[0] = 1;", "byte 0, 4 bytes (line 2)"),
    ],
)
def test_an_access(body: str, words: str) -> None:
    source = f"kernel void k(global int *a, global int *b) {{ int i = get_global_id(0);\n{body} }}"
    found = footprint(parse(source, ""), "k", [BUFFER] * 2, NDRange((0,), (16,), (4,)))
    (written,) = (t for t in found.touches if t.writes)
    assert access(written, found.definitions) == words


def test_pixels() -> None:
    source = "kernel void k(write_only image2d_t a) { write_imagef(a, (int2)(0), (float4)(0)); }"
    found = footprint(parse(source, ""), "k", [BUFFER], NDRange((0,), (4,), (1,)))
    (touch,) = found.touches
    assert access(touch, found.definitions) == "pixels (line 1)"
