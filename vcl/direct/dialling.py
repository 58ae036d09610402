"""Dialling an end, taking dials, and the greetings.

Owns: sockets until both ends have greeted. Must not know: who may dial whom, or what comes after
the greetings (`local`, `stream`).

Both ends share a host if one reaches the other's Unix socket, whose name is in Linux's abstract
namespace: it's in no file system, and gone with its process. Between hosts it is a WebSocket, whose
handshake a library carries out, or `tls` where it is encrypted. The greetings are its first
messages; then the socket is taken. So that nothing is lost in there, who was dialled says nothing
after its greeting until the other has said, by a pong, that it has taken its socket.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from vcl import transport
from vcl.direct import certificate, tls
from vcl.direct.data_listen import DataListen
from vcl.errors import RemoteProtocolError
from vcl.transport import ConnectFailed, ConnectionClosed, Data, Settings
from vcl.wire import direct
from vcl.wire.limits import handshake_timeout_s
from vcl.wire.websocket import PONG, pack_head

SCHEME = "unix:"

greeting_bytes_max = 4096

strangers_max = 16
"""Dials that haven't proved who they are."""

log = logging.getLogger("vcl-link")

_READY = pack_head(PONG, 0, masked=True)
"""Of who dialled: it has taken its socket (RFC 6455, 5.5.3: an unsolicited pong)."""

_SETTINGS = Settings(message_bytes_max=greeting_bytes_max)


async def dial(address: str) -> socket.socket:
    """Connect to an address of a LocalListener; raises OSError."""
    dialled = _socket()
    try:
        await asyncio.get_running_loop().sock_connect(dialled, _name(address))
    except BaseException:
        dialled.close()
        raise
    return dialled


class LocalListener:
    """Takes dials of ends on this host. Raises OSError where there are no such sockets."""

    def __init__(self) -> None:
        self.address = f"{SCHEME}vcl-{secrets.token_hex(16)}"
        """Where to dial."""
        self._socket = _socket()
        try:
            self._socket.bind(_name(self.address))
            self._socket.listen()
        except BaseException:
            self._socket.close()
            raise

    async def accept(self) -> socket.socket:
        """The next that dials."""
        accepted, _ = await asyncio.get_running_loop().sock_accept(self._socket)
        return accepted

    def close(self) -> None:
        """Take no more."""
        self._socket.close()


async def send_greeting(connected: socket.socket, greeting: direct.Greeting) -> None:
    """Send the first packet; raises OSError."""
    packed = direct.pack_greeting(greeting)
    await asyncio.get_running_loop().sock_sendall(connected, packed)


async def receive_greeting(connected: socket.socket) -> direct.Greeting:
    """The peer's first packet; raises OSError, RemoteProtocolError."""
    data = await asyncio.get_running_loop().sock_recv(connected, greeting_bytes_max)
    return direct.unpack_greeting(data)


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    made.setblocking(False)
    return made


def _name(address: str) -> str:
    """In the abstract namespace."""
    return "\0" + address.removeprefix(SCHEME)


class _Opened(Protocol):
    """What greetings need of a `transport.Connection`."""

    async def send(self, *parts: Data) -> None: ...
    async def recv(self) -> bytes | memoryview: ...
    async def close(self) -> None: ...
    def take_socket(self) -> socket.socket | None: ...


async def dial_stream(
    url: str, greeting: direct.Greeting, check: Callable[[direct.Greeting], None]
) -> socket.socket:
    """Connect to a StreamListener, and greet; the socket is then ours alone.

    check: raises RemoteProtocolError for a wrong answer. Raises OSError, RemoteProtocolError.
    """
    way = tls if transport.is_encrypted(url) else transport
    try:
        connection: _Opened = await way.connect(url, _SETTINGS)
    except ConnectFailed as error:
        raise OSError(error.why) from error
    try:
        await connection.send(direct.pack_greeting(greeting))
        check(direct.unpack_greeting(await connection.recv()))
    except ConnectionClosed as error:
        await connection.close()
        raise RemoteProtocolError("it wasn't let in") from error
    except BaseException:
        await connection.close()
        raise
    taken = _take(connection)
    try:
        await tls.send_all(taken, _READY)
    except BaseException:
        taken.close()
        raise
    return taken


class StreamListener:
    """Takes dials of ends that may be on other hosts.

    take(greeting): the answer to who dials; raises RemoteProtocolError for who isn't let in.
    taken(greeting, socket): it was, and has taken its end. encrypted: whether they speak TLS; only
    where `certificate.AVAILABLE`.
    """

    def __init__(
        self,
        take: Callable[[direct.Greeting], Awaitable[direct.Greeting]],
        taken: Callable[[direct.Greeting, socket.socket], None],
        encrypted: bool,
    ) -> None:
        self._take, self._taken, self._encrypted = take, taken, encrypted
        self._server: transport.Server | None = None
        self._strangers = 0

    async def listen(self, where: DataListen) -> str:
        """Listen; answers the URL. Raises OSError where no port is to be had."""
        scheme, mark = "ws", ""
        serve: Callable[..., Awaitable[transport.Server]] = transport.serve
        if self._encrypted:
            context, fingerprint = certificate.listening_context()
            serve = partial(tls.serve, context=context)
            scheme, mark = "wss", f"#{fingerprint}"
        for port in range(where.low, where.high + 1):
            try:
                self._server = await serve(self._handle, where.host, port, _SETTINGS)
            except OSError:
                if port == where.high:
                    raise
                continue
            break
        assert self._server is not None
        host, port = self._server.address
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{mark}"

    async def _handle(self, connection: _Opened, path: str) -> None:
        if self._strangers >= strangers_max:
            return
        self._strangers += 1
        try:
            async with asyncio.timeout(handshake_timeout_s):
                greeting = direct.unpack_greeting(await connection.recv())
                answer = await self._take(greeting)
                await connection.send(direct.pack_greeting(answer))
                taken = _take(connection)
                await _await_ready(taken)
        except (OSError, RemoteProtocolError) as error:
            log.warning("a direct link wasn't let in: %s", str(error) or "no greeting in time")
            return
        finally:
            self._strangers -= 1
        self._taken(greeting, taken)

    async def close(self) -> None:
        """Take no more."""
        if self._server is not None:
            await self._server.close()


def _take(connection: _Opened) -> socket.socket:
    taken = connection.take_socket()
    if taken is None:
        raise RemoteProtocolError("more than a greeting came, or the socket can't be taken")
    taken.setblocking(False)
    return taken


async def _await_ready(taken: socket.socket) -> None:
    """Wait until who dialled has taken its socket. Raises OSError, RemoteProtocolError."""
    data = b""
    try:
        while len(data) < len(_READY):
            more = await tls.receive(taken, len(_READY) - len(data))
            data += more
            if not more or not _READY.startswith(data):
                raise RemoteProtocolError("who dialled didn't take its socket")
    except BaseException:
        taken.close()
        raise
