"""The two kinds of WebSocket message: control frames (msgpack) and bulk frames (header, bytes).

Owns: packing and unpacking of frames and the checks of their outermost shape. Must not know: what
the messages inside a control frame mean (`messages`), or who sends them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgpack

from vcl.errors import RemoteProtocolError
from vcl.wire.limits import (
    batch_count_max,
    chunk_bytes_max,
    control_bytes_max,
    message_bytes_max,
    message_values_max,
    trusted_message_bytes_max,
)

Bytes = bytes | bytearray | memoryview

CHUNK = 1
CREDIT = 2
COMPRESSED = 3  # a CHUNK, as it travels between two hosts whose ends agreed on that
LAST = 1  # flag of a CHUNK: nothing follows it in this transfer

_HEADER = struct.Struct("<BBHIIQQ")
BULK_HEADER_BYTES = _HEADER.size


class BulkFrame(NamedTuple):
    """One bulk frame.

    kind: CHUNK, CREDIT or COMPRESSED. last: of a CHUNK, that the transfer ends with it.
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


def unpack_bulk(data: Bytes, kinds: Sequence[int] = (CHUNK, CREDIT)) -> BulkFrame:
    """Take a bulk frame apart without copying its payload. kinds: those that may come.

    Raises RemoteProtocolError for anything that isn't one.
    """
    if len(data) < BULK_HEADER_BYTES:
        raise RemoteProtocolError(f"bulk frame of {len(data)} bytes is shorter than its header")
    kind, flags, reserved, destination, source, transfer, offset = _HEADER.unpack_from(data)
    payload = memoryview(data)[BULK_HEADER_BYTES:]
    if kind not in kinds or flags > LAST or reserved:
        raise RemoteProtocolError(f"bulk frame of unknown kind {kind}, flags {flags}")
    if len(payload) > chunk_bytes_max:
        raise RemoteProtocolError(
            f"bulk chunk of {len(payload)} bytes; at most {chunk_bytes_max} are allowed"
        )
    if kind == CREDIT and len(payload):
        raise RemoteProtocolError("credit with a payload")
    return BulkFrame(kind, bool(flags & LAST), destination, source, transfer, offset, payload)


class Piece(NamedTuple):
    """A stretch of one message that is too long for a frame. remaining: bytes that follow it."""

    data: bytes
    remaining: int


def pack_control(sequence: int, acknowledged: int, content: Sequence[bytes] | Piece) -> bytes:
    """A control frame: [sequence, acknowledged, messages], or a Piece in place of messages.

    The messages are msgpack already.
    """
    packer = msgpack.Packer(autoreset=False)
    packer.pack_array_header(3 if not isinstance(content, Piece) else 4)
    packer.pack(sequence)
    packer.pack(acknowledged)
    if isinstance(content, Piece):
        packer.pack(content.data)
        packer.pack(content.remaining)
        return bytes(packer.bytes())
    packer.pack_array_header(len(content))
    return b"".join((packer.bytes(), *content))


def cut_into_frames(messages: Sequence[bytes]) -> Iterator[list[bytes] | Piece]:
    """Contents of frames that carry these messages, in order.

    No frame has more than batch_count_max messages, or is longer than control_bytes_max.
    """
    batch: list[bytes] = []
    room = control_bytes_max
    for message in messages:
        if batch and (len(message) > room or len(batch) >= batch_count_max):
            yield batch
            batch, room = [], control_bytes_max
        if len(message) <= room:
            batch.append(message)
            room -= len(message)
            continue
        for start in range(0, len(message), control_bytes_max):
            end = start + control_bytes_max
            yield Piece(message[start:end], max(0, len(message) - end))
    if batch:
        yield batch


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


def unpack_control(data: Bytes) -> tuple[int, int, list[list[Any]] | Piece]:
    """Take a control frame apart and check its outermost shape.

    Raises RemoteProtocolError for anything that isn't one.
    """
    if len(data) > control_bytes_max + _CONTROL_HEAD_BYTES:
        raise RemoteProtocolError(
            f"control frame of {len(data)} bytes; longer messages travel in pieces"
        )
    frame = unpack_value(data, map_length=0)
    if type(frame) is not list or len(frame) not in (3, 4):
        raise RemoteProtocolError("control frame isn't [sequence, acknowledged, messages]")
    sequence, acknowledged, content = frame[:3]
    if not _is_count(sequence) or not _is_count(acknowledged):
        raise RemoteProtocolError("control frame isn't [sequence, acknowledged, messages]")
    if len(frame) == 4:
        if type(content) is not bytes or not _is_count(frame[3]):
            raise RemoteProtocolError("a piece isn't bytes and how many follow")
        return sequence, acknowledged, Piece(content, frame[3])
    if type(content) is not list or len(content) > batch_count_max:
        raise RemoteProtocolError(f"messages of a frame aren't an array of {batch_count_max}")
    for message in content:
        _check_message(message)
    return sequence, acknowledged, content


_CONTROL_HEAD_BYTES = 64


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _check_message(message: Any) -> None:
    if type(message) is not list or not message or type(message[0]) is not int:
        raise RemoteProtocolError("message isn't an array that begins with its code")


class Pieces:
    """Puts one long message after another together.

    trusted: they come from the master, who is told only what passed its own limits, but tells of
    the devices of all nodes.
    """

    def __init__(self, trusted: bool = False) -> None:
        self._bytes_max = trusted_message_bytes_max if trusted else message_bytes_max
        self._values_max = None if trusted else message_values_max
        self._data: list[bytes] = []
        self._remaining: int | None = None

    def take(self, piece: Piece) -> list[Any] | None:
        """The message, with its last piece; raises RemoteProtocolError for a wrong piece."""
        if self._remaining is None:
            if len(piece.data) + piece.remaining > self._bytes_max:
                raise RemoteProtocolError(f"a message is longer than {self._bytes_max} bytes")
        elif self._remaining != len(piece.data) + piece.remaining or not piece.data:
            raise RemoteProtocolError("a piece doesn't go on where the one before it ended")
        self._data.append(piece.data)
        self._remaining = piece.remaining
        if piece.remaining:
            return None
        data, self._data, self._remaining = b"".join(self._data), [], None
        message: list[Any] = unpack_value(data, map_length=0, values=self._values_max)
        _check_message(message)
        return message

    @property
    def under_way(self) -> bool:
        """Whether a message has begun and not ended."""
        return self._remaining is not None


def pack_value(value: Any) -> bytes:
    """One msgpack value."""
    packed: bytes = msgpack.packb(value)
    return packed


def unpack_value(data: Bytes, map_length: int = -1, values: int | None = None) -> Any:
    """One msgpack value; raises RemoteProtocolError when `data` isn't exactly one.

    Keys of maps are str. map_length: entries that a map may have, -1 for any number. values: how
    many arrays, and values in them, there may be; None for any number.
    """
    count = 0

    def counted(array: list[Any]) -> list[Any]:
        nonlocal count
        count += _counts(array)
        if values is not None and count > values:
            raise RemoteProtocolError(too_many_values(values))
        return array

    try:
        return msgpack.unpackb(
            data,
            strict_map_key=True,
            max_str_len=trusted_message_bytes_max,
            max_bin_len=trusted_message_bytes_max,
            max_array_len=-1 if values is None else values,
            max_map_len=map_length,
            max_ext_len=0,
            ext_hook=_refuse_extension,
            list_hook=None if values is None else counted,
        )
    except (ValueError, TypeError, msgpack.UnpackException, RecursionError) as error:
        if "max_array_len" in str(error) and values is not None:
            raise RemoteProtocolError(too_many_values(values)) from error
        raise RemoteProtocolError(f"not a msgpack value: {type(error).__name__}") from error


def values_in(message: Sequence[Any]) -> int:
    """Arrays, and values in them, as `unpack_value` counts them."""
    arrays = (value for value in message if isinstance(value, (list, tuple)))
    return _counts(message) + sum(map(values_in, arrays))


def too_many_values(most: int) -> str:
    """What is said of a message with more values than `most`."""
    return f"a message has more than {most} values"


def _counts(array: Sequence[Any]) -> int:
    return 1 + len(array)


def _refuse_extension(code: int, data: bytes) -> Any:
    raise ValueError("extension types aren't part of the protocol")
