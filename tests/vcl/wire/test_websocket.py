"""Heads of WebSocket frames: what is packed is read again, however it is cut, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcl.errors import RemoteProtocolError
from vcl.wire.frame import BULK_HEADER_BYTES
from vcl.wire.websocket import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    FromServer,
    pack_head,
    unpack_head,
    wanted_bytes,
)

SIZES = st.sampled_from([28, 125, 126, 127, 65_535, 65_536, 2**20 + 28]) | st.integers(28, 2**40)


def read(data: bytes) -> bytes:
    """The head that a receiver takes of a stream of bytes: as much as is wanted, never more."""
    head = b""
    while wanted_bytes(head) > len(head):
        more = data[len(head) : wanted_bytes(head)]
        assert more, "it wants what there isn't"
        head += more
    return head


@given(SIZES, st.booleans())
def test_a_binary_frame(size: int, masked: bool) -> None:
    header = bytes(range(BULK_HEADER_BYTES))
    head = pack_head(BINARY, size, masked) + header
    assert read(head + b"payload") == head
    assert unpack_head(head, masked) == (size, header)


@given(st.sampled_from([CLOSE, PING, PONG]), st.binary(max_size=125), st.booleans())
def test_a_control_frame(kind: int, payload: bytes, masked: bool) -> None:
    whole = pack_head(kind, len(payload), masked) + payload
    assert read(whole + b"next") == whole
    assert unpack_head(whole, masked) == (len(payload), payload)


def test_the_examples_of_the_rfc() -> None:
    """RFC 6455, 5.7: 256 bytes, and 64 KiB, of binary data in a single unmasked message."""
    assert pack_head(BINARY, 256, False).hex() == "827e0100"
    assert pack_head(BINARY, 65536, False).hex() == "827f0000000000010000"
    assert pack_head(PONG, 5, True).hex() == "8a8500000000"


@pytest.mark.parametrize("data", ["81 05", "02 05", "80 00", "c2 05", "89 7e", "8b 00", "00 00"])
def test_frames_that_no_end_sends(data: str) -> None:
    with pytest.raises(RemoteProtocolError):
        wanted_bytes(bytes.fromhex(data))


@pytest.mark.parametrize(
    ("head", "masked", "why"),
    [
        (pack_head(BINARY, 28, True) + bytes(28), False, "masks"),
        (pack_head(BINARY, 28, False) + bytes(28), True, "masks"),
        (pack_head(BINARY, 28, True)[:2] + b"key!" + bytes(28), True, "zeros"),
        (pack_head(BINARY, 27, False) + bytes(28), False, "shorter"),
    ],
)
def test_heads_that_are_wrong(head: bytes, masked: bool, why: str) -> None:
    with pytest.raises(RemoteProtocolError, match=why):
        unpack_head(head, masked)


@given(st.binary(max_size=60), st.booleans())
def test_junk_is_refused_or_a_head(data: bytes, masked: bool) -> None:
    try:
        wanted = wanted_bytes(data)
        if wanted <= len(data):
            size, here = unpack_head(data[:wanted], masked)
            assert size >= 0 and len(here) <= 125
    except RemoteProtocolError:
        pass


FRAMES = st.lists(
    st.tuples(
        st.sampled_from([BINARY, BINARY, CLOSE, PING, PONG]),
        st.binary(max_size=125) | st.integers(126, 70_000).map(bytes),
        st.lists(st.integers(0, 200), max_size=3),
    ),
    max_size=6,
)


@given(FRAMES, st.lists(st.integers(1, 70_000), max_size=20))
def test_what_a_server_sends_is_the_same_however_it_is_cut(frames: list, cuts: list[int]) -> None:
    """The messages in fragments, with pings between these."""
    stream, expected = b"", []
    for kind, payload, fragments in frames:
        if kind != BINARY:
            payload = payload[:125]
        elif fragments:
            first, rest = 0x02, payload
            for size in fragments:
                part, rest = rest[:size], rest[size:]
                stream += bytes((first,)) + pack_head(BINARY, len(part), False)[1:] + part
                stream += pack_head(PING, 0, False)
                expected.append((PING, b""))
                first = 0x00
            stream += b"\x80" + pack_head(BINARY, len(rest), False)[1:] + rest
            expected.append((BINARY, payload))
            continue
        stream += pack_head(kind, len(payload), False) + payload
        expected.append((kind, payload))
    one, found = FromServer(70_000), []
    for cut in cuts:
        piece, stream = stream[:cut], stream[cut:]
        found += one.take(piece)
    assert found + one.take(stream) == expected


@pytest.mark.parametrize(
    "data",
    [
        "81 01 61", "c2 00", "a2 00", "92 00", "82 80 00000000", "89 7e", "09 00", "8b 00", "83 00",
        "80 00", "00 00", "02 00 82 00", "02 00 02 00", "82 7e 0065", "82 7f 0000000000000065",
        "02 40" + "00" * 64 + "80 40" + "00" * 64,
    ],
)  # fmt: skip
def test_what_no_server_sends(data: str) -> None:
    """Text, reserved bits, masked frames, control frames that are long, cut or unknown, fragments
    out of order, and messages of more than 100 bytes."""
    with pytest.raises(RemoteProtocolError):
        FromServer(100).take(bytes.fromhex(data))
