"""The direct link between two hosts: WebSocket messages on a socket that is this module's own.

Owns: that link. Must not know: the handshakes, which a WebSocket
library has carried out (`dialling`), which ends there are, or when compressing pays
(`compressing`).

A library would copy each byte several times and mask what a client sends. Here a chunk is written
from where it is, with its header, and read into memory that was used before. The masking key of who
dialled is zeros: it is there so that a page can't make a browser write bytes of its choosing, and
here is no browser.

Where a chunk's bytes may be written to where they belong, they are read into that place. The rest
of a chunk that is on its way doesn't go there any more once it may not: it is asked anew whenever
the socket is read, and on the loop nothing comes in between.

Chunks are compressed and decompressed on the loop, without Python's lock: a few ms at most, on
links that are slower than that. A thread would let the loop go on, but a program's end still sends
bytes when Python starts no more threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import Callable

from vcl.direct.compressed import compress, decompress
from vcl.direct.compressing import Decision, Drain
from vcl.direct.link import Ends, Link
from vcl.direct.pool import Pool
from vcl.direct.tls import TlsSocket
from vcl.errors import RemoteProtocolError
from vcl.sockets import set_up
from vcl.transfers import Stream
from vcl.wire.direct import Way
from vcl.wire.frame import (
    BULK_HEADER_BYTES,
    CHUNK,
    COMPRESSED,
    CREDIT,
    BulkFrame,
    Bytes,
    pack_bulk_header,
    unpack_bulk,
)
from vcl.wire.limits import chunk_bytes_max
from vcl.wire.websocket import BINARY, CLOSE, PING, PONG, pack_head, unpack_head, wanted_bytes

unsent_count_max = 4
"""Frames that wait for the socket to take them, past which streams wait."""

turn_bytes_max = 4 * 2**20
"""What is written or read before the loop does something else."""

placed_bytes_min = 2**16
"""It isn't asked where smaller chunks belong: to copy them costs less."""

Place = Callable[[BulkFrame, int], memoryview | None]
"""Where so many bytes of the chunk with this header belong, if they may be written there now."""


def nowhere(frame: BulkFrame, size: int) -> memoryview | None:
    """A Place where nothing may be written."""
    return None


_PAYLOAD_BYTES = {
    CHUNK: range(chunk_bytes_max + 1),
    CREDIT: range(1),
    COMPRESSED: range(1, chunk_bytes_max),
}


class StreamLink(Link):
    """A link to an end that may be on another host.

    connected: plain, or a TlsSocket. dialled: whether this end did. pool: for what comes, where
    `place` has no place for it. compresses: whether both ends can, and agreed that chunks may be
    compressed.
    """

    way = Way.DIRECT

    def __init__(
        self,
        connected: socket.socket,
        ends: Ends,
        pool: Pool,
        dialled: bool,
        compresses: bool = False,
        place: Place = nowhere,
    ) -> None:
        super().__init__(connected, ends)
        self._compresses = compresses
        self._kinds = (CHUNK, CREDIT, COMPRESSED) if compresses else (CHUNK, CREDIT)
        self._decision = Decision()
        self._drain = Drain(self._decision.drained)
        self._pool, self._place = pool, place
        self._dialled = dialled
        self._unsent: deque[list[memoryview]] = deque()
        self._head = bytearray()  # of the frame that is coming
        self._payload: memoryview | None = None
        self._missing = 0
        self._placed = False  # the payload is where it belongs
        self._frame: BulkFrame | None = None
        self._send_parts: Callable[[list[memoryview]], int] = connected.sendmsg
        self._inside_bytes = _nothing
        if isinstance(connected, TlsSocket):
            self._send_parts, self._inside_bytes = connected.send_parts, connected.pending
        set_up(connected)
        self.join()

    def join(self) -> None:
        """As of Link."""
        super().join()
        if self._inside_bytes():
            self._loop.call_soon(self._readable)

    def close(self) -> None:
        """As of Link, with a close frame, where that doesn't cut another."""
        if not self._over and not self._unsent:
            with contextlib.suppress(OSError):  # it's gone already
                self._socket.send(pack_head(CLOSE, 0, self._dialled))
        super().close()

    def _let_go(self) -> None:
        self._unsent.clear()
        self._payload = self._frame = None

    # ---- sending

    def _send_credit(self, credit: BulkFrame) -> None:
        self._send(credit, b"")

    async def _send_transfer(self, effect: Stream) -> None:
        last_parts: list[memoryview] = []
        for offset, chunk, last in effect.chunks(chunk_bytes_max):
            while len(self._unsent) > unsent_count_max and not self._over:
                await self._changes.wait()
            if self._over:
                return  # nobody is there to whom it matters
            frame, payload = self._header(effect, offset, last), chunk
            if self._compresses and self._decision.wants(len(chunk)):
                frame, payload = self._compressed(frame, chunk)
            last_parts = self._send(frame, payload, len(chunk))
            await asyncio.sleep(0)
        # Until all has left, the bytes are read where they are.
        while last_parts and self._unsent:
            await self._changes.wait()

    def _compressed(self, frame: BulkFrame, chunk: memoryview) -> tuple[BulkFrame, memoryview]:
        """A chunk as it shall be sent, after it was tried."""
        begun_s = self._loop.time()
        payload = compress(chunk)
        took_s = self._loop.time() - begun_s
        if not self._decision.compressed(len(chunk), len(payload), took_s):
            return frame, chunk
        return frame._replace(kind=COMPRESSED), memoryview(payload)

    def _send(self, frame: BulkFrame, payload: Bytes, plain: int = 0) -> list[memoryview]:
        """Write a frame, now or later; answers what is still to be written of it, a list that
        becomes empty. plain: of how many bytes the chunk is."""
        head = pack_head(BINARY, BULK_HEADER_BYTES + len(payload), self._dialled)
        parts = [memoryview(head + pack_bulk_header(frame)), memoryview(payload)]
        self._push(parts, plain)
        return parts

    def _push(self, parts: list[memoryview], plain: int = 0) -> None:
        self._unsent.append(parts)
        self._drain.queued(sum(map(len, parts)), plain)
        if not self._writing and self._send_more():
            self._write_later()

    def _send_more(self) -> bool:
        written = 0
        try:
            while self._unsent and written < turn_bytes_max:
                parts = self._unsent[0]
                count = self._send_parts(parts)
                written += count
                self._drain.wrote(count)
                while parts and count >= len(parts[0]):
                    count -= len(parts.pop(0))
                if parts:
                    parts[0] = parts[0][count:]
                else:
                    self._unsent.popleft()
        except BlockingIOError:
            self._drain.full(self._loop.time())
        except OSError:
            self._unsent.clear()  # the reader is about to find out why
        if not self._unsent:
            self._drain.idle()
        return bool(self._unsent)

    # ---- receiving

    def _receive(self, frames: list[BulkFrame]) -> None:
        read = 0
        if self._payload is not None and self._placed:
            self._look_again(self._payload)
        # What has been decrypted already makes no socket readable.
        while read < turn_bytes_max or self._inside_bytes():
            if self._payload is None:
                read += self._receive_head(frames)
                continue
            count = self._socket.recv_into(self._payload[len(self._payload) - self._missing :])
            if not count:
                raise EOFError
            read += count
            self._missing -= count
            if not self._missing:
                assert self._frame is not None
                frame = self._frame._replace(payload=self._payload)
                self._payload = self._frame = None
                if frame.kind == COMPRESSED:
                    frame = _plain(frame)
                    read += len(frame.payload)  # few bytes may become many, which takes time
                frames.append(frame)

    def _receive_head(self, frames: list[BulkFrame]) -> int:
        """Read towards the end of a frame's head; answers how many bytes."""
        data = self._socket.recv(wanted_bytes(self._head) - len(self._head))
        if not data:
            raise EOFError
        self._head += data
        if wanted_bytes(self._head) == len(self._head):
            head, self._head = self._head, bytearray()
            self._take_head(head, frames)
        return len(data)

    def _take_head(self, head: bytearray, frames: list[BulkFrame]) -> None:
        size, here = unpack_head(head, masked=not self._dialled)
        if head[0] == CLOSE:
            raise EOFError(here[2:].decode(errors="replace"))  # RFC 6455, 5.5.1
        if head[0] == PING:
            self._push([memoryview(pack_head(PONG, size, self._dialled) + here)])
        if head[0] != BINARY:
            return
        frame = self._checked(unpack_bulk(here, self._kinds))
        size -= BULK_HEADER_BYTES
        if size not in _PAYLOAD_BYTES[frame.kind]:
            raise RemoteProtocolError(f"{size} bytes in a bulk frame of kind {frame.kind}")
        if not size:
            frames.append(frame)
            return
        plain = frame.kind == CHUNK and size >= placed_bytes_min
        place = self._place(frame, size) if plain else None
        self._placed = place is not None
        self._frame, self._missing = frame, size
        self._payload = self._pool.room(size) if place is None else place

    def _look_again(self, payload: memoryview) -> None:
        """Write no more of a payload where it may have been written before, but mayn't now."""
        assert self._frame is not None
        if self._place(self._frame, len(payload)) is None:
            self._placed, self._payload = False, self._pool.room(len(payload))
            self._payload[:] = payload


def _nothing() -> int:
    """What is inside a plain socket and not in the kernel."""
    return 0


def _plain(frame: BulkFrame) -> BulkFrame:
    return frame._replace(kind=CHUNK, payload=decompress(frame.payload))
