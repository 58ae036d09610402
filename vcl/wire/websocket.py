"""WebSocket frames where they travel without a library (RFC 6455, 5.2).

Owns: making and reading them. Must not know: sockets. At the master's end of control connections a
library does this, and at the other end where that is encrypted.

A message of bulk is one binary frame that begins with the header of a bulk frame. What the end that
dialled sends has a masking key of zeros, which leaves the bytes as they are.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

from vcl.errors import RemoteProtocolError
from vcl.wire.frame import BULK_HEADER_BYTES

BINARY, CLOSE, PING, PONG = 0x82, 0x88, 0x89, 0x8A
"""First bytes: the last, and only, frame of a message of that kind."""

control_payload_max = 125
"""RFC 6455, 5.5."""

_LAST, _RESERVED, _GOES_ON = 0x80, 0x70, 0x00
_MASKED = 0x80
_KEY = bytes(4)


def pack_head(kind: int, size: int, masked: bool) -> bytes:
    """The head of a frame with a payload of so many bytes."""
    mask = _MASKED if masked else 0
    if size < 126:
        head = struct.pack("!BB", kind, mask | size)
    elif size < 2**16:
        head = struct.pack("!BBH", kind, mask | 126, size)
    else:
        head = struct.pack("!BBQ", kind, mask | 127, size)
    return head + _KEY if masked else head


def wanted_bytes(data: bytes | bytearray) -> int:
    """How long the head of the frame that begins so is, as far as can be told: not longer than
    `data` once it is whole. The head of a binary frame has the header of the bulk frame, that of
    another all of its payload.

    Raises RemoteProtocolError for a frame that no end sends on a direct link.
    """
    if len(data) < 2:
        return 2
    kind, size = data[0], data[1] & 0x7F
    if kind not in (BINARY, CLOSE, PING, PONG):
        raise RemoteProtocolError(f"a WebSocket frame of another kind: {kind:#x}")
    wanted = _start(data)
    if kind == BINARY:
        return wanted + BULK_HEADER_BYTES
    if size > control_payload_max:
        raise RemoteProtocolError("a long control frame (RFC 6455, 5.5)")
    return wanted + size


def unpack_head(data: bytes | bytearray, masked: bool) -> tuple[int, bytes]:
    """(size of the payload, the part of it that is here) of a head that is whole.

    masked: whether the peer is the end that dialled. Raises RemoteProtocolError.
    """
    start = _start(data)
    if bool(data[1] & _MASKED) is not masked:
        raise RemoteProtocolError("who dialled masks its frames, and only it (RFC 6455, 5.1)")
    if masked and data[start - len(_KEY) : start] != _KEY:
        raise RemoteProtocolError("a masking key that isn't zeros, on a direct link")
    size = data[1] & 0x7F
    if size == 126:
        (size,) = struct.unpack_from("!H", data, 2)
    elif size == 127:
        (size,) = struct.unpack_from("!Q", data, 2)
    if data[0] == BINARY and size < BULK_HEADER_BYTES:
        raise RemoteProtocolError(f"a bulk frame of {size} bytes is shorter than its header")
    return size, bytes(data[start:])


class Head(NamedTuple):
    """kind: its first byte. size: of the payload. key: that it's masked by. length: of the head."""

    kind: int
    size: int
    key: bytes
    length: int


def read_head(data: memoryview) -> Head | None:
    """The head of the frame that begins so, of one that who dialled a server sends; None if more
    of it is to come. Raises RemoteProtocolError for one that no end sends."""
    if len(data) < 2:
        return None
    kind, size = data[0], data[1] & 0x7F
    if kind not in (BINARY, CLOSE, PING, PONG):
        raise RemoteProtocolError(f"a WebSocket frame of another kind: {kind:#x}")
    if not data[1] & _MASKED:
        raise RemoteProtocolError("who dials masks its frames (RFC 6455, 5.1)")
    if kind != BINARY and size > control_payload_max:
        raise RemoteProtocolError("a long control frame (RFC 6455, 5.5)")
    length = 2 + {126: 2, 127: 8}.get(size, 0) + len(_KEY)
    if len(data) < length:
        return None
    if size > control_payload_max:
        size = int.from_bytes(data[2 : length - len(_KEY)], "big")
    return Head(kind, size, bytes(data[length - len(_KEY) : length]), length)


class FromServer:
    """What a server sends: messages put together, and control frames.

    bytes_max: of a message.
    """

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._rest = bytearray()  # a frame that isn't whole
        self._message: bytearray | None = None  # one whose last frame is to come

    def take(self, data: bytes) -> list[tuple[int, bytes]]:
        """(kind, payload) of each message, as BINARY, and control frame that is whole now.

        Raises RemoteProtocolError for what no master sends (RFC 6455, 5.2 to 5.5).
        """
        if self._rest:
            self._rest += data
        seen: bytes | bytearray = self._rest or data
        found: list[tuple[int, bytes]] = []
        at = 0
        while (stretch := self._stretch(seen, at)) is not None:
            start, end = stretch
            self._put(found, seen[at], bytes(seen[start:end]))
            at = end
        if seen is self._rest:
            del self._rest[:at]
        else:
            self._rest += memoryview(seen)[at:]
        return found

    def _stretch(self, data: bytes | bytearray, at: int) -> tuple[int, int] | None:
        """Where the payload of the frame there is, if all of it has come."""
        if len(data) < at + 2:
            return None
        first, size = data[at], data[at + 1]
        if first & _RESERVED or size & _MASKED:
            raise RemoteProtocolError("a WebSocket frame with reserved bits, or masked by a server")
        control = first in (CLOSE, PING, PONG)
        if not control and first & ~_LAST not in (_GOES_ON, BINARY & ~_LAST):
            raise RemoteProtocolError(f"a WebSocket frame of another kind: {first:#x}")
        if control and size > control_payload_max:
            raise RemoteProtocolError("a long control frame (RFC 6455, 5.5)")
        start = at + 2 + {126: 2, 127: 8}.get(size, 0)
        if len(data) < start:
            return None
        if size > control_payload_max:
            size = int.from_bytes(data[at + 2 : start], "big")
        if size + len(self._message or b"") > self._bytes_max:
            raise RemoteProtocolError(f"a message of more than {self._bytes_max} bytes")
        return (start, start + size) if len(data) >= start + size else None

    def _put(self, found: list[tuple[int, bytes]], first: int, payload: bytes) -> None:
        """A frame that begins so is whole."""
        if first in (CLOSE, PING, PONG) or (first == BINARY and self._message is None):
            found.append((first, payload))
            return
        if (first & ~_LAST == _GOES_ON) != (self._message is not None):
            raise RemoteProtocolError("fragments out of order (RFC 6455, 5.4)")
        self._message = (self._message or bytearray()) + payload
        if first & _LAST:
            found.append((BINARY, bytes(self._message)))
            self._message = None


def unmask(data: memoryview, key: bytes) -> None:
    """Undo, in place, what the key did to a payload from its first byte on (RFC 6455, 5.3)."""
    if key == _KEY:
        return
    taken = np.frombuffer(data, np.uint8)
    whole = len(taken) // 8 * 8
    words, rest = taken[:whole].view(np.uint64), taken[whole:]
    np.bitwise_xor(words, np.frombuffer(2 * key, np.uint64), out=words)
    np.bitwise_xor(rest, np.frombuffer(2 * key, np.uint8)[: len(rest)], out=rest)


def _start(data: bytes | bytearray) -> int:
    """Where the payload begins."""
    size = data[1] & 0x7F
    return 2 + {126: 2, 127: 8}.get(size, 0) + (len(_KEY) if data[1] & _MASKED else 0)
