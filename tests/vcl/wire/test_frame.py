"""Frames: what is packed comes back, and nothing else passes."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.frames import control
from vcl.errors import RemoteProtocolError
from vcl.wire import frame
from vcl.wire.limits import (
    batch_count_max,
    chunk_bytes_max,
    control_bytes_max,
    message_bytes_max,
    message_values_max,
)

NO_MAP_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=12,
)
U32, U64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)

NO_MAPS = bytes(0x90 if b & 0xF0 == 0x80 or b in (0xDE, 0xDF) else b for b in range(256))
"""Junk is without maps here: the messages that carry any are in test_golden."""

JUNK_BYTES = st.binary(max_size=60).map(lambda junk: junk.translate(NO_MAPS))
JUNK_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary()
    | st.floats(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


@given(st.booleans(), U32, U32, U64, U64, st.binary(max_size=50))
def test_chunks_come_back(
    last: bool, destination: int, source: int, transfer: int, offset: int, payload: bytes
) -> None:
    sent = frame.BulkFrame(frame.CHUNK, last, destination, source, transfer, offset, payload)
    data = bytearray(frame.pack_bulk_header(sent) + payload)
    arrived = frame.unpack_bulk(data)
    assert arrived._replace(payload=bytes(arrived.payload)) == sent
    if payload:
        data[-1] ^= 1
        assert bytes(arrived.payload) != payload, "the payload was copied"


def test_the_layout_of_a_bulk_frame() -> None:
    header = frame.pack_bulk_header(
        frame.BulkFrame(frame.CHUNK, True, 0x11121314, 0x21222324, 0x3132333435363738, 0x4748, b"x")
    )
    assert frame.BULK_HEADER_BYTES == 28
    assert header.hex(" ") == (
        "01 01 00 00 14 13 12 11 24 23 22 21 38 37 36 35 34 33 32 31 48 47 00 00 00 00 00 00"
    )
    credit = frame.pack_bulk_header(frame.BulkFrame(frame.CREDIT, False, 1, 2, 3, 0, b""))
    assert credit.hex() == "02000000" "01000000" "02000000" "0300000000000000" + "00" * 8


@pytest.mark.parametrize(
    ("header", "payload_bytes", "text"),
    [
        ("00" * 28, 0, "unknown kind 0"),
        ("03" + "00" * 27, 0, "unknown kind 3"),  # of links between two hosts only,
        ("0102" + "00" * 26, 0, "flags 2"),
        ("01000001" + "00" * 24, 0, "unknown kind 1"),
        ("01" + "00" * 26, 0, "27 bytes is shorter than its header"),
        ("", 0, "0 bytes is shorter"),
        ("02" + "00" * 27, 1, "credit with a payload"),
        ("01" + "00" * 27, chunk_bytes_max + 1, "at most 1048576 are allowed"),
    ],
)
def test_what_is_no_bulk_frame(header: str, payload_bytes: int, text: str) -> None:
    with pytest.raises(RemoteProtocolError, match=text):
        frame.unpack_bulk(bytes.fromhex(header) + bytes(payload_bytes))


def test_the_largest_chunk() -> None:
    header = bytes.fromhex("01" + "00" * 27)
    assert len(frame.unpack_bulk(header + bytes(chunk_bytes_max)).payload) == chunk_bytes_max


@given(st.binary(max_size=80))
def test_junk_is_no_bulk_frame_or_one(junk: bytes) -> None:
    try:
        arrived = frame.unpack_bulk(junk)
    except RemoteProtocolError:
        return
    again = frame.pack_bulk_header(arrived) + bytes(arrived.payload)
    assert again == junk


@given(U64, U64, st.lists(st.lists(NO_MAP_VALUES, max_size=3).map(lambda m: [7, *m]), max_size=3))
def test_control_frames_come_back(sequence: int, acknowledged: int, messages: list[object]) -> None:
    data = control(sequence, acknowledged, messages)
    assert frame.unpack_control(memoryview(data)) == (sequence, acknowledged, messages)


@given(st.lists(st.integers(1, 90_000), max_size=40), st.integers(0, 600))
def test_messages_are_cut_into_frames_and_put_together(sizes: list[int], small: int) -> None:
    messages = [[7, bytes(size)] for size in sizes] + [[8]] * small
    pieces = frame.Pieces()
    arrived: list[Any] = []
    for content in frame.cut_into_frames([frame.pack_value(m) for m in messages]):
        data = frame.pack_control(1, 0, content)
        assert len(data) <= control_bytes_max + 64
        received = frame.unpack_control(data)[2]
        if isinstance(received, frame.Piece):
            message = pieces.take(received)
            arrived += [] if message is None else [message]
            assert pieces.under_way == (message is None)
        else:
            assert 0 < len(received) <= batch_count_max
            arrived += received
    assert arrived == messages


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ([(b"", message_bytes_max + 1)], "longer than 6291456 bytes"),
        ([(b"ab", 5), (b"ab", 4)], "doesn't go on"),
        ([(b"ab", 5), (b"", 5)], "doesn't go on"),
        ([(b"\xc1", 0)], "not a msgpack value"),
        ([(b"\xa1", 1), (b"a", 0)], "isn't an array that begins with its code"),
        ([(b"\x92\x01\x81\xa1a", 1), (b"a", 0)], "not a msgpack value"),
    ],
)
def test_pieces_that_do_not_fit(pieces: list[tuple[bytes, int]], text: str) -> None:
    together = frame.Pieces()
    with pytest.raises(RemoteProtocolError, match=text):
        for data, remaining in pieces:
            together.take(frame.Piece(data, remaining))


def test_a_message_in_pieces_has_so_many_values() -> None:
    many = [[0] * 1000] * (message_values_max // 1000)
    for message in [7, *many], [0] * (message_values_max + 1):
        with pytest.raises(RemoteProtocolError, match=r"^a message has more than 20000 values$"):
            frame.Pieces().take(frame.Piece(frame.pack_value(message), 0))


@given(st.recursive(st.integers(0, 9), lambda inner: st.lists(inner, max_size=4), max_leaves=20))
def test_values_are_counted_before_they_are_sent_as_afterwards(value: Any) -> None:
    count = frame.values_in([value])
    data = frame.pack_value([value])
    assert frame.unpack_value(data, values=count) == [value]
    with pytest.raises(RemoteProtocolError, match="more than"):
        frame.unpack_value(data, values=count - 1)


def test_a_long_control_frame() -> None:
    with pytest.raises(RemoteProtocolError, match="longer messages travel in pieces"):
        frame.unpack_control(control(1, 0, [[7, bytes(control_bytes_max + 64)]]))


@pytest.mark.parametrize(
    "value",
    [
        None, 1, "x", {}, [], [1, 2], [1, 2, [], 3], [-1, 0, []], [0, -1, []], [True, 0, []],
        [0, 0.0, []], [0, 0, None], [0, 0, {}], ["0", 0, []], [0, 0, [[]]], [0, 0, [1]],
        [0, 0, [["1"]]], [0, 0, [[True]]], [0, 0, [[1], None]],
    ],
)  # fmt: skip
def test_what_is_no_control_frame(value: object) -> None:
    with pytest.raises(RemoteProtocolError):
        frame.unpack_control(msgpack.packb(value))


@given(JUNK_BYTES)
def test_junk_bytes_are_no_control_frame(junk: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        frame.unpack_control(junk + b"\xc1")  # a byte that msgpack never uses


@given(JUNK_BYTES)
def test_junk_bytes_are_one_value_or_none(junk: bytes) -> None:
    try:
        value = frame.unpack_value(junk)
    except RemoteProtocolError:
        return
    frame.pack_value(value)


@given(JUNK_VALUES)
def test_junk_values_are_no_control_frame_or_one(value: object) -> None:
    data = msgpack.packb(value)
    assert frame.pack_value(frame.unpack_value(data)) == data
    try:
        sequence, acknowledged, content = frame.unpack_control(data)
    except RemoteProtocolError:
        return
    pieces = content if isinstance(content, frame.Piece) else [content]
    assert [sequence, acknowledged, *pieces] == value


@pytest.mark.parametrize(
    "data",
    [
        b"\x81\x01\x01", b"\x81\xc0\x01", b"\xd4\x05a",
        b"", b"\xc1", b"\x92\x01", b"\x01\x01", b"\xdd\xff\xff\xff\xff", b"\xdb\x7f\xff\xff\xff",
        b"\xa1\xff", b"\xd7\xff" + b"\xff" * 8, b"\x91" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_value(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        frame.unpack_value(data)


def test_the_master_may_say_more() -> None:
    message = [7, [0] * (message_values_max + 1)]
    piece = frame.Piece(frame.pack_value(message), 0)
    assert frame.Pieces(trusted=True).take(piece) == message
    with pytest.raises(RemoteProtocolError):
        frame.Pieces().take(piece)
