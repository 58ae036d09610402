"""Packets and greetings of direct links: what is packed is unpacked, and nothing else is taken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcl.errors import RemoteProtocolError
from vcl.wire import direct, frame
from vcl.wire.direct import Greeting, InRing, NewRing, Taken
from vcl.wire.frame import BulkFrame
from vcl.wire.limits import chunk_bytes_max, ring_slots_max

SLOTS = st.integers(0, ring_slots_max - 1)
CHUNKS = st.builds(
    BulkFrame, st.just(frame.CHUNK), st.booleans(), st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.just(b""),
)  # fmt: skip


@given(CHUNKS, st.binary(max_size=100))
def test_a_frame(chunk: BulkFrame, payload: bytes) -> None:
    packet = direct.FRAME + frame.pack_bulk_header(chunk) + payload
    assert direct.unpack_packet(packet) == chunk._replace(payload=payload)


@given(CHUNKS, SLOTS, st.integers(1, chunk_bytes_max))
def test_a_chunk_by_reference(chunk: BulkFrame, slot: int, size: int) -> None:
    packed = InRing(chunk, slot, size)
    assert direct.unpack_packet(direct.pack_in_ring(packed)) == packed


@given(SLOTS)
def test_slots_and_rings(slot: int) -> None:
    assert direct.unpack_packet(direct.pack_taken(slot)) == Taken(slot)
    assert direct.unpack_packet(direct.pack_ring(slot + 1)) == NewRing(slot + 1)


@given(st.binary(max_size=60))
def test_junk_is_refused_or_a_packet(data: bytes) -> None:
    try:
        packet = direct.unpack_packet(data)
    except RemoteProtocolError:
        return
    assert isinstance(packet, BulkFrame | InRing | Taken | NewRing)


def test_credit_isnt_in_a_ring() -> None:
    credit = BulkFrame(frame.CREDIT, False, 1, 2, 3, 0, b"")
    with pytest.raises(RemoteProtocolError, match="a chunk of 5 bytes in slot 0"):
        direct.unpack_packet(direct.pack_in_ring(InRing(credit, 0, 5)))


@given(st.builds(Greeting, st.integers(0, 2**32), st.text(max_size=80)))
def test_a_greeting(greeting: Greeting) -> None:
    assert direct.unpack_greeting(direct.pack_greeting(greeting)) == greeting


@given(st.binary(max_size=60))
def test_junk_is_no_greeting(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        direct.unpack_greeting(data)
