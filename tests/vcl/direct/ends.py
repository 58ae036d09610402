"""One end of a direct link, for tests: it keeps what it is told.

Owns: that. Must not know: which kind of link it is.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from vcl.direct import certificate
from vcl.direct.link import Ends, Link
from vcl.direct.local import LocalLink
from vcl.direct.pool import Pool
from vcl.direct.stream import StreamLink
from vcl.direct.tls import TlsSocket
from vcl.wire.frame import BulkFrame

LONG_S = 20.0
Make = Callable[..., Link]


class End:
    """make: the link. hold: whether it keeps the bytes where they came."""

    def __init__(
        self, make: Make, connected: socket.socket, own: int, peer: int, hold: bool = False
    ) -> None:
        self.frames: list[BulkFrame] = []
        self.streamed: list[int] = []
        self.lost: list[str] = []
        self._hold = hold
        self._changed = asyncio.Event()
        connected.setblocking(False)
        told = Ends(own, peer, self._take, self._streamed, self._lost)
        self.link = make(connected, told)

    def _take(self, frames: Sequence[BulkFrame]) -> None:
        kept = frames if self._hold else [f._replace(payload=bytes(f.payload)) for f in frames]
        self.frames += kept
        self._changed.set()

    def _streamed(self, transfer: int) -> None:
        self.streamed.append(transfer)
        self._changed.set()

    def _lost(self, reason: str) -> None:
        self.lost.append(reason)
        self._changed.set()

    def renew(self) -> None:
        """It is on another loop now."""
        self._changed = asyncio.Event()

    async def until(self, what: str) -> None:
        """Wait until an expression of this end is true."""
        async with asyncio.timeout(LONG_S):
            while not eval(what, {"end": self}):
                self._changed.clear()
                await self._changed.wait()


def local_sockets() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def stream_sockets() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        dialled = socket.create_connection(listening.getsockname())
        accepted, _ = listening.accept()
    return dialled, accepted


def local_ends(hold: bool = False) -> tuple[End, End]:
    """Of one host."""
    one, other = local_sockets()
    return End(LocalLink, one, 1, 2), End(LocalLink, other, 2, 1, hold)


def tls_sockets() -> tuple[TlsSocket, TlsSocket]:
    """As stream_sockets, and both have shaken hands."""
    dialling = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    dialling.check_hostname, dialling.verify_mode = False, ssl.CERT_NONE
    dialling.sslsocket_class = TlsSocket
    listening, _ = certificate.listening_context()
    made = []
    for context, each in zip((dialling, listening), stream_sockets(), strict=True):
        each.setblocking(False)
        serves = context is listening
        made.append(context.wrap_socket(each, serves, do_handshake_on_connect=False))
    unready, end_s = list(made), time.monotonic() + LONG_S
    while unready:
        assert time.monotonic() < end_s
        for one in list(unready):
            with suppress(ssl.SSLWantReadError):
                one.do_handshake()
                unready.remove(one)
    one, other = made
    assert isinstance(one, TlsSocket) and isinstance(other, TlsSocket)
    return one, other


def tls_ends(hold: bool = False) -> tuple[End, End]:
    """As stream_ends, encrypted."""
    return _streams(tls_sockets(), hold)


def stream_ends(hold: bool = False) -> tuple[End, End]:
    """Of two hosts; the first has dialled."""
    return _streams(stream_sockets(), hold)


def _streams(sockets: tuple[socket.socket, socket.socket], hold: bool) -> tuple[End, End]:
    one, other = sockets
    first, second = (partial(StreamLink, pool=Pool(shares=False), dialled=d) for d in (True, False))
    return End(first, one, 1, 2), End(second, other, 2, 1, hold)


def whole(frames: Sequence[BulkFrame]) -> bytes:
    """The bytes of a transfer, of which each chunk must begin where the one before ended."""
    offset = 0
    for each in frames:
        assert each.offset == offset
        offset += len(each.payload)
    assert [each.last for each in frames] == [False] * (len(frames) - 1) + [True]
    return b"".join(each.payload for each in frames)
