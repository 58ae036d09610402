"""What two ends of a session say to each other where no master is between them.

Owns: the greeting that opens a direct link, and the packets on one between two ends of the same
host. Must not know: sockets, or who may open a link. On a link between hosts each message is a bulk
frame, as it is when the master relays it.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

from vcl.errors import RemoteProtocolError
from vcl.wire.frame import (
    BULK_HEADER_BYTES,
    CHUNK,
    BulkFrame,
    Bytes,
    pack_bulk_header,
    pack_value,
    unpack_bulk,
    unpack_value,
)
from vcl.wire.limits import PROTOCOL_VERSION, shared_chunk_bytes_max, shared_memory_bytes_max

FRAME, IN_MEMORY, TAKEN, MEMORY, FORGOTTEN = b"\1", b"\2", b"\3", b"\4", b"\5"
_LOAN = struct.Struct("<Q")
_PLACE = struct.Struct("<QIQQ")
_MEMORY = struct.Struct("<IQ")
_NUMBER = struct.Struct("<I")


class Way(IntEnum):
    """How bulk gets from one end to another."""

    RELAY = 0
    """Through the master."""
    DIRECT = 1
    """A WebSocket between the two."""
    SHARED_MEMORY = 2
    """Memory that both have, on one host."""


class Greeting(NamedTuple):
    """The first thing on a direct link, both ways. endpoint: the greeter's. secret: what the master
    told both: of who dials the ticket, of who answers another. lz4: whether chunks that are
    compressed so may come to it."""

    endpoint: int
    secret: str
    lz4: bool = False


class InMemory(NamedTuple):
    """A chunk whose bytes are in memory of its sender. frame: without them. loan: its number, for
    Taken. memory: the number of a Memory."""

    frame: BulkFrame
    loan: int
    memory: int
    offset: int
    size: int


class Taken(NamedTuple):
    """The receiver is done with a chunk in memory."""

    loan: int


class Memory(NamedTuple):
    """With it comes the descriptor of memory of the sender's, of so many bytes."""

    number: int
    size: int


class Forgotten(NamedTuple):
    """Memory of the sender's in which there will be no chunk any more."""

    number: int


Packet = BulkFrame | InMemory | Taken | Memory | Forgotten


def pack_greeting(greeting: Greeting) -> bytes:
    """A greeting as one msgpack array."""
    return pack_value(["vcl-link", PROTOCOL_VERSION, *greeting])


def unpack_greeting(data: Bytes) -> Greeting:
    """Raises RemoteProtocolError for anything that isn't one of this version."""
    value = unpack_value(data, map_length=0, values=8)
    if type(value) is not list or len(value) != 5 or value[:2] != ["vcl-link", PROTOCOL_VERSION]:
        raise RemoteProtocolError(f"not the greeting of a direct link, version {PROTOCOL_VERSION}")
    if [type(each) for each in value[2:]] != [int, str, bool]:
        raise RemoteProtocolError("a malformed greeting of a direct link")
    return Greeting(*value[2:])


def pack_packet(packet: InMemory | Taken | Memory | Forgotten) -> bytes:
    """Any but a frame."""
    if isinstance(packet, InMemory):
        return IN_MEMORY + pack_bulk_header(packet.frame) + _PLACE.pack(*packet[1:])
    if isinstance(packet, Taken):
        return TAKEN + _LOAN.pack(*packet)
    if isinstance(packet, Memory):
        return MEMORY + _MEMORY.pack(*packet)
    return FORGOTTEN + _NUMBER.pack(*packet)


def unpack_packet(data: bytes) -> Packet:
    """Raises RemoteProtocolError for anything that isn't a packet."""
    kind, rest = data[:1], memoryview(data)[1:]
    if kind == FRAME:
        return unpack_bulk(rest)
    if kind == IN_MEMORY and len(rest) == BULK_HEADER_BYTES + _PLACE.size:
        frame = unpack_bulk(rest[:BULK_HEADER_BYTES])
        chunk = InMemory(frame, *_PLACE.unpack(rest[BULK_HEADER_BYTES:]))
        if frame.kind != CHUNK or not 0 < chunk.size <= shared_chunk_bytes_max:
            raise RemoteProtocolError(f"a chunk of {chunk.size} bytes in memory")
        return chunk
    if kind == TAKEN and len(rest) == _LOAN.size:
        return Taken(*_LOAN.unpack(rest))
    if kind == MEMORY and len(rest) == _MEMORY.size:
        memory = Memory(*_MEMORY.unpack(rest))
        if not 0 < memory.size <= shared_memory_bytes_max:
            raise RemoteProtocolError(f"shared memory of {memory.size} bytes")
        return memory
    if kind == FORGOTTEN and len(rest) == _NUMBER.size:
        return Forgotten(*_NUMBER.unpack(rest))
    raise RemoteProtocolError(f"no packet of a direct link: {len(data)} bytes")
