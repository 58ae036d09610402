"""Encrypted links: TLS and the WebSocket's opening handshake on a socket of our own.

Owns: that, until the socket is handed on, and what is special about such a socket afterwards. Must
not know: greetings, or what comes after them.

A WebSocket library has asyncio speak TLS, which keeps in its own memory what it has read and not
decrypted yet: a socket can't be taken from it in mid-stream. So here OpenSSL works on the socket
itself, and of the library only the handshake is used, on bytes. They are read one by one, a few
hundred of them: nothing that is read is left over when the socket is handed on.

Who dials knows by the SHA-256 of the certificate, which is in the address, that it is at the right
place; who owns the certificate proves in the handshake that it has the key (RFC 8446, 4.4.3),
whether or not anybody vouches for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from vcl import transport
from vcl.errors import RemoteProtocolError
from vcl.running import Running
from vcl.transport import ConnectFailed, ConnectionClosed, Data, Settings
from vcl.transport.connection import CLOSE_ABNORMAL
from vcl.transport.failure import HANDSHAKE_CUT, explain
from vcl.transport.listening import ListeningSocket, listen
from vcl.wire.limits import handshake_timeout_s

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

record_bytes_max = 2**14
"""What TLS encrypts in one piece (RFC 8446, 5.1)."""

opening_bytes_max = 4096
"""Of a peer's, before its socket is handed on; ours are some hundreds."""

openings_max = 16
"""Dials in the handshake."""

accept_pause_s = 1.0
"""How long no dial is taken after one couldn't be."""

log = logging.getLogger("vcl-link")


class TlsSocket(ssl.SSLSocket):
    """A non-blocking socket that encrypts: where nothing is to be read, or there is no room, it
    raises BlockingIOError as a plain one does.

    What waits inside it, `pending()`, is nothing that a loop learns of. Neither end asks for new
    keys: reading never waits for room, and writing never for something to read.
    """

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        try:
            return super().recv(buflen, flags)
        except ssl.SSLWantReadError:
            raise BlockingIOError from None

    def recv_into(
        self, buffer: WriteableBuffer, nbytes: int | None = None, flags: int = 0
    ) -> int:
        try:
            return super().recv_into(buffer, nbytes, flags)
        except ssl.SSLWantReadError:
            raise BlockingIOError from None

    def send(self, data: ReadableBuffer, flags: int = 0) -> int:
        try:
            return super().send(data, flags)
        except ssl.SSLWantWriteError:
            raise BlockingIOError from None

    def send_parts(self, parts: Sequence[memoryview]) -> int:
        """As a plain socket's `sendmsg`, but of long parts only the first, and that whole or not at
        all; after BlockingIOError, when some of it may have left, the same parts must come again,
        before any others."""
        first = parts[0]
        data: Data = first
        if len(parts) > 1 and len(first) < record_bytes_max:
            # A head by itself would be a record, and a packet, by itself.
            data = b"".join((first, parts[1][: record_bytes_max - len(first)]))
        try:
            return self.send(data)
        except BlockingIOError:
            raise
        except OSError:
            # OpenSSL gave the link up, of which the loop has no sign unless it's cut.
            self.cut()
            raise

    def cut(self) -> None:
        """End it both ways, so that who waits for either finds out."""
        try:
            # Not TLS's own, after which this would go on as a plain socket.
            socket.socket.shutdown(self, socket.SHUT_RDWR)
        except OSError as error:
            log.debug("a link was cut already: %s", error)


class TlsConnection:
    """A WebSocket on such a socket, in its first messages. Has what `dialling` needs of a
    `transport.Connection`, which see."""

    def __init__(self, connected: TlsSocket, websocket: transport.ByHand) -> None:
        self._socket: TlsSocket | None = connected
        self._websocket = websocket
        self._room_bytes = opening_bytes_max

    async def send(self, *parts: Data) -> None:
        """Raises OSError."""
        assert self._socket is not None
        self._websocket.send(b"".join(parts))
        await send_all(self._socket, self._websocket.to_send())

    async def recv(self) -> bytes:
        """Raises OSError, RemoteProtocolError, ConnectionClosed."""
        while True:
            messages = await self._step()
            if messages:
                return messages[0]

    async def open(self) -> None:
        """Carry the opening handshake out. Raises as `recv`."""
        assert self._socket is not None
        await send_all(self._socket, self._websocket.to_send())
        while not self._websocket.is_open:
            await self._step()

    async def _step(self) -> list[bytes]:
        """Take the next byte; answers the messages that are whole with it, one at most."""
        assert self._socket is not None
        self._room_bytes -= 1
        if self._room_bytes < 0:
            raise RemoteProtocolError(f"more than {opening_bytes_max} bytes before a link is up")
        data = await receive(self._socket, 1)
        if not data:
            raise ConnectionClosed(CLOSE_ABNORMAL)
        messages = self._websocket.received(data)
        await send_all(self._socket, self._websocket.to_send())
        return messages

    def take_socket(self) -> socket.socket | None:
        """The socket is the caller's now."""
        taken, self._socket = self._socket, None
        return taken

    async def close(self) -> None:
        """End it, unless its socket was taken."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


async def connect(url: str, settings: Settings) -> TlsConnection:
    """Dial wss://HOST:PORT#FINGERPRINT. Raises ConnectFailed, RemoteProtocolError."""
    try:
        target = urlsplit(url)
        host, port, fingerprint = target.hostname, target.port, target.fragment
    except ValueError:
        host = port = None
    if not host or not port or not re.fullmatch("[0-9a-f]{64}", fingerprint):
        raise ConnectFailed(url, "not the address of an encrypted link")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the fingerprint is compared instead
    context.sslsocket_class = TlsSocket
    websocket = transport.by_hand(url.partition("#")[0], settings)
    try:
        connected = await _secured(await _connected(host, port), context)
    except OSError as error:
        raise ConnectFailed(url, explain(error, url, settings.open_timeout_s)) from error
    connection = TlsConnection(connected, websocket)
    try:
        certificate = connected.getpeercert(binary_form=True)
        found = hashlib.sha256(certificate or b"").hexdigest()
        if not hmac.compare_digest(found, fingerprint):
            raise RemoteProtocolError("its certificate isn't the one that the master told of")
        await connection.open()
    except ConnectionClosed as error:
        await connection.close()
        raise ConnectFailed(url, HANDSHAKE_CUT) from error
    except OSError as error:
        await connection.close()
        raise ConnectFailed(url, explain(error, url, settings.open_timeout_s)) from error
    except BaseException:
        await connection.close()
        raise
    return connection


async def serve(
    handler: Callable[[TlsConnection, str], Awaitable[None]],
    host: str,
    port: int,
    settings: Settings,
    context: ssl.SSLContext,
) -> TlsServer:
    """Listen, and run `handler` for each that has opened a WebSocket; see `transport.serve`."""
    return TlsServer(handler, await listen(host, port), settings, context)


class TlsServer:
    """Takes dials, each on its own: one that stalls holds up no other."""

    def __init__(
        self,
        handler: Callable[[TlsConnection, str], Awaitable[None]],
        listening: ListeningSocket,
        settings: Settings,
        context: ssl.SSLContext,
    ) -> None:
        self._handler, self._listening = handler, listening
        self._settings, self._context = settings, context
        self._openings = 0
        self._running = Running("taking an encrypted direct link failed")
        self._listening.listen()
        self.address: tuple[str, int] = listening.getsockname()[:2]
        """Host and port."""
        self._running.start(self._accept())

    async def close(self) -> None:
        """Take no more, and break off what hasn't come to an end."""
        self._running.cancel()
        await asyncio.sleep(0)  # the loop lets go of the socket first
        self._listening.close()

    async def _accept(self) -> None:
        while True:
            try:
                accepted, _ = await asyncio.get_running_loop().sock_accept(self._listening)
            except OSError as error:
                log.warning("a direct link wasn't let in: %s", error)
                await asyncio.sleep(accept_pause_s)
                continue
            if self._openings < openings_max:
                self._openings += 1
                self._running.start(self._accepted(accepted))
            else:
                accepted.close()

    async def _accepted(self, accepted: socket.socket) -> None:
        connection = None
        try:
            try:
                async with asyncio.timeout(handshake_timeout_s):
                    connected = await _secured(accepted, self._context)
                    websocket = transport.by_hand(None, self._settings)
                    connection = TlsConnection(connected, websocket)
                    await connection.open()
            finally:
                self._openings -= 1
            await self._handler(connection, "")
        except (OSError, RemoteProtocolError) as error:
            log.warning("a direct link wasn't let in: %s", str(error) or "no handshake in time")
        except ConnectionClosed as error:
            log.debug("who dialled has gone: %s", error)
        finally:
            if connection is not None:
                await connection.close()


async def _connected(host: str, port: int) -> socket.socket:
    """A socket that has reached it; raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    family, kind, number, _, address = found[0]
    dialled = socket.socket(family, kind, number)
    try:
        dialled.setblocking(False)
        await loop.sock_connect(dialled, address)
    except BaseException:
        dialled.close()
        raise
    return dialled


async def _secured(plain: socket.socket, context: ssl.SSLContext) -> TlsSocket:
    """The TLS handshake; the plain socket is used up. Raises OSError."""
    serves = context.protocol is ssl.PROTOCOL_TLS_SERVER
    try:
        wrapped = context.wrap_socket(plain, server_side=serves, do_handshake_on_connect=False)
    except BaseException:
        plain.close()
        raise
    connected = cast(TlsSocket, wrapped)
    try:
        while True:
            try:
                connected.do_handshake()
                return connected
            except ssl.SSLWantReadError:
                await _until(connected, writable=False)
            except ssl.SSLWantWriteError:
                await _until(connected, writable=True)
    except BaseException:
        connected.close()
        raise


async def receive(connected: socket.socket, size: int) -> bytes:
    """As `recv` of a non-blocking socket, of either kind, but it waits. Raises OSError."""
    while True:
        try:
            return connected.recv(size)
        except BlockingIOError:
            await _until(connected, writable=False)


async def send_all(connected: socket.socket, data: bytes) -> None:
    """Send all, waiting for room. Raises OSError."""
    while data:
        try:
            data = data[connected.send(data) :]
        except BlockingIOError:
            await _until(connected, writable=True)


async def _until(connected: socket.socket, writable: bool) -> None:
    """Wait for room to write, or else for something to read."""
    loop = asyncio.get_running_loop()
    is_so = asyncio.Event()
    add, remove = (
        (loop.add_writer, loop.remove_writer) if writable else (loop.add_reader, loop.remove_reader)
    )
    add(connected, is_so.set)
    try:
        await is_so.wait()
    finally:
        remove(connected)
