"""Declared access as it travels: there and back, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcl.errors import RemoteProtocolError
from vcl.wire.declared import WHOLE, Declaration, pack, unpack
from vcl.wire.frame import pack_value
from vcl.wire.limits import declared_bytes_max

ROW: list[Any] = [0, 4, [8, 9], [1, 0], [1, WHOLE], None]


def test_there_and_back() -> None:
    declarations = [
        Declaration(0, 4, (8, 9), (1, 0), (1, WHOLE), None),
        Declaration(3, 16, (2**40,), (2,), None, (0,)),
    ]
    assert unpack(pack(declarations)) == declarations
    assert declarations[0].size == 288
    assert pack([]) == b""
    assert unpack(b"") == []


@pytest.mark.parametrize(
    "row",
    [
        None,
        ROW[:5],
        [-1, *ROW[1:]],
        [True, *ROW[1:]],
        [0, 0, *ROW[2:]],
        [0, 4, [], [], [], []],
        [0, 4, [8, 0], *ROW[3:]],
        [0, 4, [8, "9"], *ROW[3:]],
        [0, 4, [1] * 4, [0, 1, 2, 3], [0] * 4, None],
        [0, 4, [8, 9], [1, 1], *ROW[4:]],
        [0, 4, [8, 9], [1, 3], *ROW[4:]],
        [0, 4, [8, 9], [1], *ROW[4:]],
        [0, 4, [8, 9], [[], 0], *ROW[4:]],
        [*ROW[:4], [1], None],
        [*ROW[:4], [1, -2], None],
        [*ROW[:4], None, [2**63, 0]],
        [0, 2**40, [2**40, 1], [1, 0], None, None],
    ],
)
def test_what_is_no_declaration(row: Any) -> None:
    with pytest.raises(RemoteProtocolError, match="declared"):
        unpack(pack_value([row]))


@given(st.binary(max_size=40))
def test_any_bytes_are_refused_or_declarations(data: bytes) -> None:
    try:
        found = unpack(data)
    except RemoteProtocolError:
        return
    assert unpack(pack(found)) == found


def test_what_is_no_list_of_them() -> None:
    for value in (None, {}, 7):
        with pytest.raises(RemoteProtocolError, match="malformed"):
            unpack(pack_value(value))
    with pytest.raises(RemoteProtocolError, match="twice"):
        unpack(pack_value([ROW, ROW]))
    with pytest.raises(RemoteProtocolError, match="not a msgpack value"):
        unpack(b"\xc1")
    with pytest.raises(RemoteProtocolError, match=str(declared_bytes_max)):
        unpack(bytes(declared_bytes_max + 1))
