"""Constants have the values that they have in C."""

from __future__ import annotations

import pytest

from master.access import tree
from tests.master.access.analyser.reading import (
    BOOL,
    DOUBLE,
    FLOAT,
    INT,
    LONG,
    UINT,
    ULONG,
    literal,
    value,
)


@pytest.mark.parametrize(
    ("text", "kind", "number"),
    [
        ("7", INT, 7),
        ("017", INT, 15),
        ("0x80000000", UINT, 2**31),
        ("3000000000", LONG, 3_000_000_000),
        ("0xffffffffffffffff", ULONG, 2**64 - 1),
        ("5ul", ULONG, 5),
        ("'a'", INT, 97),
        ("'\\n'", INT, 10),
        ("true", BOOL, 1),
        ("false", BOOL, 0),
        ("1.5f", FLOAT, 1.5),
        ("0.1f", FLOAT, 0.10000000149011612),
        (".5", DOUBLE, 0.5),
        ("0x1.8p1f", FLOAT, 3.0),
        ("sizeof(int)", ULONG, 4),
        ("sizeof(struct S)", ULONG, 48),
        ("sizeof(float3)", ULONG, 16),
        ("M_PI", DOUBLE, 3.141592653589793),
        ("INFINITY", FLOAT, float("inf")),
        ("INT_MAX", INT, 2**31 - 1),
    ],
)
def test_literals(text: str, kind: tree.Scalar, number: float) -> None:
    assert value(text) == literal(number, kind)
