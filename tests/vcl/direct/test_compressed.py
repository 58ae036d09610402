"""Compressed chunks: what is compressed comes back, and nothing else is taken."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcl.direct import compressed
from vcl.errors import RemoteProtocolError
from vcl.wire.limits import chunk_bytes_max

pytestmark = pytest.mark.skipif(not compressed.HAS_LZ4, reason="lz4 isn't installed")


@given(st.binary(min_size=1, max_size=40), st.integers(5, 500))
def test_chunks_come_back(piece: bytes, times: int) -> None:
    chunk = piece * 20 + bytes(100 * times)
    payload = compressed.compress(memoryview(chunk))
    assert len(payload) < len(chunk)
    assert compressed.decompress(memoryview(payload)) == chunk


def test_the_layout_of_a_payload() -> None:
    payload = compressed.compress(bytes(100_000))
    assert payload[:4] == struct.pack("<I", 100_000)
    # Nibbles: one literal, a match of 15 and more at the distance 1 (LZ4 block format).
    assert payload[4:8] == b"\x1f\x00\x01\x00"


def resized(size: int) -> bytes:
    return struct.pack("<I", size) + compressed.compress(bytes(100_000))[4:]


if compressed.HAS_LZ4:
    BAD = {
        "no size": b"\1\0\0",
        "nothing but a size": struct.pack("<I", 10),
        "too short": resized(100_001),
        "too long": resized(99_999),
        "much too long": resized(1000),
        "cut off": compressed.compress(bytes(100_000))[:-1],
        "more than a block": compressed.compress(bytes(100_000)) + b"\0",
        "not smaller": compressed.compress(bytes(range(256))),
        "empty": resized(0),
        "garbage": struct.pack("<I", 100_000) + b"\xff" * 300,
        "larger than a chunk": compressed.compress(bytes(chunk_bytes_max + 1)),
        "a bomb": resized(2**32 - 1),
    }
else:
    BAD = {}


@pytest.mark.parametrize("name", BAD)
def test_what_may_not_be(name: str) -> None:
    with pytest.raises(RemoteProtocolError, match="bytes"):
        compressed.decompress(memoryview(BAD[name]))


@given(st.binary(max_size=100), st.integers(0, 2 * chunk_bytes_max))
def test_junk_is_refused_or_of_its_size(junk: bytes, size: int) -> None:
    try:
        chunk = compressed.decompress(struct.pack("<I", size) + junk)
    except RemoteProtocolError:
        return
    assert len(junk) + 4 < len(chunk) == size <= chunk_bytes_max
