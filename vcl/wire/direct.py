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
from vcl.wire.limits import PROTOCOL_VERSION, chunk_bytes_max, ring_slots_max

FRAME, IN_RING, TAKEN, RING = b"\1", b"\2", b"\3", b"\4"
_NUMBER = struct.Struct("<I")
_PLACE = struct.Struct("<II")


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
    told both: of who dials the ticket, of who answers another."""

    endpoint: int
    secret: str


class InRing(NamedTuple):
    """A chunk whose bytes are in the memory of its sender. frame: without them."""

    frame: BulkFrame
    slot: int
    size: int


class Taken(NamedTuple):
    """The receiver is done with a slot of the sender's."""

    slot: int


class NewRing(NamedTuple):
    """With it comes the descriptor of the sender's memory, of so many slots."""

    slots: int


def pack_greeting(greeting: Greeting) -> bytes:
    """A greeting as one msgpack array."""
    return pack_value(["vcl-link", PROTOCOL_VERSION, *greeting])


def unpack_greeting(data: Bytes) -> Greeting:
    """Raises RemoteProtocolError for anything that isn't one of this version."""
    value = unpack_value(data, map_length=0, values=8)
    if type(value) is not list or len(value) != 4 or value[:2] != ["vcl-link", PROTOCOL_VERSION]:
        raise RemoteProtocolError(f"not the greeting of a direct link, version {PROTOCOL_VERSION}")
    if type(value[2]) is not int or type(value[3]) is not str:
        raise RemoteProtocolError("a malformed greeting of a direct link")
    return Greeting(value[2], value[3])


def pack_in_ring(chunk: InRing) -> bytes:
    """A chunk by reference, as one packet."""
    return IN_RING + pack_bulk_header(chunk.frame) + _PLACE.pack(chunk.slot, chunk.size)


def pack_taken(slot: int) -> bytes:
    """Leave to use a slot again, as one packet."""
    return TAKEN + _NUMBER.pack(slot)


def pack_ring(slots: int) -> bytes:
    """The packet that a descriptor travels with."""
    return RING + _NUMBER.pack(slots)


def unpack_packet(data: bytes) -> BulkFrame | InRing | Taken | NewRing:
    """Raises RemoteProtocolError for anything that isn't a packet."""
    kind, rest = data[:1], memoryview(data)[1:]
    if kind == FRAME:
        return unpack_bulk(rest)
    if kind == IN_RING and len(rest) == BULK_HEADER_BYTES + _PLACE.size:
        frame = unpack_bulk(rest[:BULK_HEADER_BYTES])
        slot, size = _PLACE.unpack(rest[BULK_HEADER_BYTES:])
        if frame.kind != CHUNK or not 0 < size <= chunk_bytes_max or slot >= ring_slots_max:
            raise RemoteProtocolError(f"a chunk of {size} bytes in slot {slot}")
        return InRing(frame, slot, size)
    if kind in (TAKEN, RING) and len(rest) == _NUMBER.size:
        (number,) = _NUMBER.unpack(rest)
        if kind == TAKEN and number < ring_slots_max:
            return Taken(number)
        if kind == RING and 0 < number <= ring_slots_max:
            return NewRing(number)
    raise RemoteProtocolError(f"no packet of a direct link: {len(data)} bytes")
