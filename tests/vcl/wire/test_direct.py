"""Packets and greetings of direct links: what is packed is unpacked, and nothing else is taken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcl.errors import RemoteProtocolError
from vcl.wire import direct, frame
from vcl.wire.direct import Forgotten, Greeting, InMemory, Memory, Taken
from vcl.wire.frame import BulkFrame
from vcl.wire.limits import shared_chunk_bytes_max, shared_memory_bytes_max

NUMBERS, LONG = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
CHUNKS = st.builds(
    BulkFrame, st.just(frame.CHUNK), st.booleans(), st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.just(b""),
)  # fmt: skip


@given(CHUNKS, st.binary(max_size=100))
def test_a_frame(chunk: BulkFrame, payload: bytes) -> None:
    packet = direct.FRAME + frame.pack_bulk_header(chunk) + payload
    assert direct.unpack_packet(packet) == chunk._replace(payload=payload)


PACKETS = (
    st.builds(InMemory, CHUNKS, LONG, NUMBERS, LONG, st.integers(1, shared_chunk_bytes_max))
    | st.builds(Taken, LONG)
    | st.builds(Memory, NUMBERS, st.integers(1, shared_memory_bytes_max))
    | st.builds(Forgotten, NUMBERS)
)


@given(PACKETS)
def test_a_packet(packet: InMemory | Taken | Memory | Forgotten) -> None:
    assert direct.unpack_packet(direct.pack_packet(packet)) == packet


@given(st.binary(max_size=60))
def test_junk_is_refused_or_a_packet(data: bytes) -> None:
    try:
        packet = direct.unpack_packet(data)
    except RemoteProtocolError:
        return
    assert isinstance(packet, direct.Packet)


CHUNK = BulkFrame(frame.CHUNK, True, 1, 2, 3, 0, b"")
CREDIT = BulkFrame(frame.CREDIT, False, 1, 2, 3, 0, b"")


@pytest.mark.parametrize(
    "packet",
    [InMemory(CREDIT, 0, 0, 0, 5), InMemory(CHUNK, 0, 0, 0, 0), Memory(1, 0),
     InMemory(CHUNK, 0, 0, 0, shared_chunk_bytes_max + 1), Memory(1, shared_memory_bytes_max + 1)],
    ids=str,
)  # fmt: skip
def test_what_may_not_be(packet: InMemory | Memory) -> None:
    with pytest.raises(RemoteProtocolError, match="bytes"):
        direct.unpack_packet(direct.pack_packet(packet))


@given(st.builds(Greeting, st.integers(0, 2**32), st.text(max_size=80), st.booleans()))
def test_a_greeting(greeting: Greeting) -> None:
    assert direct.unpack_greeting(direct.pack_greeting(greeting)) == greeting


@given(st.binary(max_size=60))
def test_junk_is_no_greeting(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        direct.unpack_greeting(data)
