"""One end's bulk connection at the master: WebSocket messages on a socket that is the relay's own.

Owns: that socket, after the handshakes, which a WebSocket library has carried out; all on the
relay's loop. Must not know: which ends there are, or to whom a frame goes.

A library would copy each byte three times on its way through the master. Here a chunk is read into
memory that was used before, unmasked there if who sent it chose a key, and written from there.

What waits for a socket to take it is bounded by those who send it: who has given one more than it
may have waiting isn't read from until that has gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from itertools import islice

from master import turns
from vcl.direct.pool import Pool
from vcl.errors import RemoteProtocolError
from vcl.transport.connection import (
    CLOSE_ABNORMAL,
    CLOSE_INTERNAL_ERROR,
    CLOSE_NO_STATUS,
    CLOSE_NORMAL,
    CLOSE_PROTOCOL_ERROR,
    CLOSE_REASON_BYTES_MAX,
    ConnectionClosed,
)
from vcl.wire.frame import (
    BULK_HEADER_BYTES,
    CREDIT,
    BulkFrame,
    pack_bulk_header,
    unpack_bulk,
)
from vcl.wire.limits import chunk_bytes_max
from vcl.wire.websocket import BINARY, CLOSE, PING, PONG, Head, pack_head, read_head, unmask

read_bytes = 65536
"""What is read in one go of heads and short payloads."""

unsent_bytes_max = chunk_bytes_max
"""What may wait for a socket to take it before others must wait to add to it."""

parts_max = 16
"""Pieces of memory that are given to a socket in one go."""

close_timeout_s = 5.0
"""How long the other end may take to answer a close frame, and to read what is before it."""

_UNMASKED = bytes(4)


class Leg:
    """connected: set up, and who has dialled it has heard Welcome, and nothing since; nor does it
    before it has said something, which shows that it has taken the socket from the library that
    read the Welcome. take(frame): to which leg it goes now, if to any; raises
    RemoteProtocolError."""

    def __init__(
        self,
        connected: socket.socket,
        take: Callable[[BulkFrame], Leg | None],
        pool: Pool,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.ended: Future[Exception] = Future()
        """How the connection ended, as soon as that is known."""
        self.gone: Future[None] = Future()
        """Done once the socket is closed."""
        self._socket, self._take, self._pool, self._loop = connected, take, pool, loop
        self._joined = self._heard = self._held = False
        self._writing = self._closing = self._garbled = False
        # What was read and not yet looked at.
        self._buffer = memoryview(bytearray(read_bytes))
        self._start = self._stop = 0
        # The frame whose payload is coming, and the key that it is masked by.
        self._frame: BulkFrame | None = None
        self._payload = memoryview(b"")
        self._filled = 0
        self._key = _UNMASKED
        self._unsent: deque[memoryview] = deque()
        self._unsent_bytes = 0
        self._held_by_this: list[Leg] = []

    def join(self) -> None:
        """Serve the socket from now on."""
        self._joined = True
        self._loop.add_reader(self._socket, self._readable)
        self._write()

    # ---- sending

    @property
    def is_full(self) -> bool:
        """Whether so much waits that nobody should add to it."""
        return self._unsent_bytes > unsent_bytes_max

    def push(self, frame: BulkFrame) -> None:
        """Send a frame, now or later; before `join`, on any thread."""
        if not self._closing:
            head = pack_head(BINARY, BULK_HEADER_BYTES + len(frame.payload), masked=False)
            self._queue(head + pack_bulk_header(frame), frame.payload)

    def _queue(self, *parts: bytes | bytearray | memoryview) -> None:
        for part in parts:
            if part:
                self._unsent.append(memoryview(part))
                self._unsent_bytes += len(part)
        if self._joined and not self._writing:
            self._write()

    def _write(self) -> None:
        if self.gone.done() or not (self._heard or self._closing):
            return
        try:
            while self._unsent:
                count = self._socket.sendmsg(list(islice(self._unsent, parts_max)))
                self._unsent_bytes -= count
                while self._unsent and count >= len(self._unsent[0]):
                    count -= len(self._unsent.popleft())
                if count:
                    self._unsent[0] = self._unsent[0][count:]
        except BlockingIOError:
            pass
        except OSError as error:
            self._lost(error)
            return
        if bool(self._unsent) is not self._writing:
            self._writing = bool(self._unsent)
            if self._writing:
                self._loop.add_writer(self._socket, self._write)
            else:
                self._loop.remove_writer(self._socket)
        if self._garbled and not self._unsent:
            self._hang_up()
        if not self.is_full:
            self._release_others()

    def _hang_up(self) -> None:
        """Say that nothing more comes; the other end's answer couldn't be made out."""
        with contextlib.suppress(OSError):  # it's gone already
            self._socket.shutdown(socket.SHUT_WR)

    def _release_others(self) -> None:
        held, self._held_by_this = self._held_by_this, []
        for leg in held:
            leg._go_on()

    def _hold(self) -> None:
        self._held = True
        self._loop.remove_reader(self._socket)

    def _go_on(self) -> None:
        if self._held and not self.gone.done():
            self._held = False
            self._loop.add_reader(self._socket, self._readable)
            self._loop.call_soon(self._readable)  # for what was read already

    # ---- receiving

    def _readable(self) -> None:
        if self._held or self.gone.done():
            return
        try:
            self._receive()
        except BlockingIOError:
            return
        except (EOFError, OSError) as error:
            self._lost(error)
        except RemoteProtocolError as error:
            self._fail(error, CLOSE_PROTOCOL_ERROR)
        except Exception as error:  # a mistake of ours ends this connection, and no other
            self._fail(error, CLOSE_INTERNAL_ERROR)
        else:
            if self._start < self._stop and not self._held:
                self._loop.call_soon(self._readable)  # no socket tells of that

    def _receive(self) -> None:
        """Read for one turn; raises BlockingIOError if there was less, EOFError at the end."""
        end = time.monotonic() + turns.turn_s_max
        while True:
            if self._garbled:
                self._read_into(self._buffer)
            elif self._frame is not None:
                self._filled += self._read_into(self._payload[self._filled :])
                if self._filled == len(self._payload):
                    self._take_payload(self._frame)
            elif not self._take_head():
                rest = bytes(self._buffer[self._start : self._stop])
                self._start, self._stop = 0, len(rest)
                self._buffer[: len(rest)] = rest
                self._stop += self._read_into(self._buffer[self._stop :])
            if self._held or self.gone.done() or time.monotonic() > end:
                return

    def _read_into(self, memory: memoryview) -> int:
        count = self._socket.recv_into(memory)
        if not count:
            raise EOFError
        return count

    def _take_head(self) -> bool:
        """Begin with the next frame, if its head is there."""
        here = self._buffer[self._start : self._stop]
        head = read_head(here)
        if head is None:
            return False
        if not self._heard:
            self._heard = True
            self._write()
        body = here[head.length :]
        if head.kind != BINARY:
            if len(body) < head.size:
                return False
            data = bytearray(body[: head.size])
            unmask(memoryview(data), head.key)
            self._start += head.length + head.size
            self._take_control(head.kind, data)
            return True
        if head.size < BULK_HEADER_BYTES:
            raise RemoteProtocolError(f"a bulk frame of {head.size} bytes has no whole header")
        if len(body) < BULK_HEADER_BYTES:
            return False
        frame, size = _checked(head, body)
        self._start += head.length + BULK_HEADER_BYTES
        if not size:
            self._pass_on(frame)
            return True
        body = body[BULK_HEADER_BYTES:][:size]
        self._start += len(body)
        self._frame, self._key = frame, head.key
        self._payload, self._filled = self._pool.room(size), len(body)
        self._payload[: len(body)] = body
        if len(body) == size:
            self._take_payload(frame)
        return True

    def _take_payload(self, frame: BulkFrame) -> None:
        payload, self._payload, self._frame = self._payload, memoryview(b""), None
        # The header is a whole number of keys long, so the payload's mask begins like the key.
        unmask(payload, self._key)
        self._pass_on(frame._replace(payload=payload))

    def _pass_on(self, frame: BulkFrame) -> None:
        if self._closing:
            return
        leg = self._take(frame)
        if leg is not None:
            leg.push(frame)
            if leg.is_full:
                leg._held_by_this.append(self)
                self._hold()

    def _take_control(self, kind: int, data: bytearray) -> None:
        if kind == PING and not (self._closing or self.is_full):
            self._queue(pack_head(PONG, len(data), masked=False), data)
        if kind != CLOSE:
            return
        if self._closing:
            self._finish()  # it has answered
            return
        code = int.from_bytes(data[:2], "big") if data else CLOSE_NO_STATUS
        reason = data[2:].decode(errors="replace")
        self._end(ConnectionClosed(code, reason, sent_by_peer=True))
        self._say_close(CLOSE_NORMAL if code == CLOSE_NO_STATUS else code, "")
        self._finish()  # the server closes first (RFC 6455, 7.1.1)

    # ---- the end

    def close(self, code: int, reason: str) -> None:
        """Close the connection; see RFC 6455, 7.4."""
        self._end(ConnectionClosed(code, reason))
        if not self._closing:
            self._say_close(code, reason)
            self._loop.call_later(close_timeout_s, self._finish)
            self._go_on()

    def _fail(self, error: Exception, code: int) -> None:
        """What comes isn't looked at any more."""
        self._garbled, self._start, self._stop = True, 0, 0
        self._end(error)
        self.close(code, str(error))
        self._write()  # where a close frame was sent before

    def _lost(self, error: Exception) -> None:
        self._end(ConnectionClosed(CLOSE_ABNORMAL, str(error) or "no close handshake"))
        self._finish()

    def _end(self, error: Exception) -> None:
        if not self.ended.done():
            self.ended.set_result(error)

    def _say_close(self, code: int, reason: str) -> None:
        self._closing = True
        said = reason.encode()[:CLOSE_REASON_BYTES_MAX].decode(errors="ignore")
        data = struct.pack("!H", code) + said.encode()
        self._queue(pack_head(CLOSE, len(data), masked=False), data)

    def _finish(self) -> None:
        if self.gone.done():
            return
        self._closing = True
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        self._unsent.clear()
        self._unsent_bytes = 0
        self.gone.set_result(None)
        self._release_others()


def _checked(head: Head, body: memoryview) -> tuple[BulkFrame, int]:
    """The frame that begins with a head, and the size of its payload."""
    size = head.size - BULK_HEADER_BYTES
    header = bytearray(body[:BULK_HEADER_BYTES])
    unmask(memoryview(header), head.key)
    frame = unpack_bulk(header)
    if size > (0 if frame.kind == CREDIT else chunk_bytes_max):
        raise RemoteProtocolError(f"{size} bytes in a bulk frame of kind {frame.kind}")
    return frame, size
