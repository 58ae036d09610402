"""The two kinds of WebSocket message: control frames (msgpack) and bulk frames (header, bytes).

Owns: packing and unpacking of frames and the checks of their outermost shape. Must not know: what
the messages inside a control frame mean (`messages`), or who sends them.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgpack

from vcl.errors import RemoteProtocolError
from vcl.wire.limits import chunk_bytes_max, message_bytes_max

Bytes = bytes | bytearray | memoryview

CHUNK = 1
CREDIT = 2
LAST = 1  # flag of a CHUNK: nothing follows it in this transfer

_HEADER = struct.Struct("<BBHIIQQ")
BULK_HEADER_BYTES = _HEADER.size


class BulkFrame(NamedTuple):
    """One bulk frame.

    kind: CHUNK or CREDIT. last: of a CHUNK, that the transfer ends with it.
    destination, source: endpoints. transfer: its id. offset: of the payload in the transfer, in
    bytes; of a CREDIT, from where the sender shall send. payload: the bytes of a CHUNK, else empty.
    """

    kind: int
    last: bool
    destination: int
    source: int
    transfer: int
    offset: int
    payload: Bytes


def pack_bulk_header(frame: BulkFrame) -> bytes:
    """The header of a bulk frame; the payload follows it in the same WebSocket message."""
    return _HEADER.pack(
        frame.kind,
        LAST if frame.last else 0,
        0,
        frame.destination,
        frame.source,
        frame.transfer,
        frame.offset,
    )


def unpack_bulk(data: Bytes) -> BulkFrame:
    """Take a bulk frame apart without copying its payload.

    Raises RemoteProtocolError for anything that isn't one.
    """
    if len(data) < BULK_HEADER_BYTES:
        raise RemoteProtocolError(f"bulk frame of {len(data)} bytes is shorter than its header")
    kind, flags, reserved, destination, source, transfer, offset = _HEADER.unpack_from(data)
    payload = memoryview(data)[BULK_HEADER_BYTES:]
    if kind not in (CHUNK, CREDIT) or flags > LAST or reserved:
        raise RemoteProtocolError(f"bulk frame of unknown kind {kind}, flags {flags}")
    if len(payload) > chunk_bytes_max:
        raise RemoteProtocolError(
            f"bulk chunk of {len(payload)} bytes; at most {chunk_bytes_max} are allowed"
        )
    if kind == CREDIT and len(payload):
        raise RemoteProtocolError("credit with a payload")
    return BulkFrame(kind, bool(flags & LAST), destination, source, transfer, offset, payload)


def pack_control(sequence: int, acknowledged: int, messages: Sequence[Sequence[Any]]) -> bytes:
    """A control frame: [sequence, acknowledged, messages]."""
    packed: bytes = msgpack.packb((sequence, acknowledged, messages))
    return packed


def pack_encoded_control(sequence: int, acknowledged: int, messages: Sequence[bytes]) -> bytes:
    """As `pack_control`, of messages that an Encoder has packed."""
    packer = msgpack.Packer(autoreset=False)
    packer.pack_array_header(3)
    packer.pack(sequence)
    packer.pack(acknowledged)
    packer.pack_array_header(len(messages))
    return b"".join((packer.bytes(), *messages))


class Encoder:
    """Packs values one by one; for one thread at a time."""

    def __init__(self) -> None:
        self._packer = msgpack.Packer()

    def pack(self, value: Any) -> bytes:
        """One msgpack value; raises ValueError if it can't be one, and can go on afterwards."""
        try:
            packed: bytes = self._packer.pack(value)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            self._packer = msgpack.Packer()  # what it had begun would be left inside
            raise ValueError(str(error)) from error
        return packed


def unpack_control(data: Bytes) -> tuple[int, int, list[list[Any]]]:
    """Take a control frame apart and check its outermost shape.

    Raises RemoteProtocolError for anything that isn't one.
    """
    frame = unpack_value(data)
    if (
        type(frame) is not list
        or len(frame) != 3
        or type(frame[0]) is not int
        or type(frame[1]) is not int
        or type(frame[2]) is not list
        or frame[0] < 0
        or frame[1] < 0
    ):
        raise RemoteProtocolError("control frame isn't [sequence, acknowledged, messages]")
    for message in frame[2]:
        if type(message) is not list or not message or type(message[0]) is not int:
            raise RemoteProtocolError("message isn't an array that begins with its code")
    return frame[0], frame[1], frame[2]


def pack_value(value: Any) -> bytes:
    """One msgpack value."""
    packed: bytes = msgpack.packb(value)
    return packed


def unpack_value(data: Bytes) -> Any:
    """One msgpack value; raises RemoteProtocolError when `data` isn't exactly one."""
    try:
        return msgpack.unpackb(
            data,
            strict_map_key=False,
            max_str_len=message_bytes_max,
            max_bin_len=message_bytes_max,
        )
    except (ValueError, TypeError, msgpack.UnpackException, RecursionError) as error:
        raise RemoteProtocolError(f"not a msgpack value: {error!r}") from error
