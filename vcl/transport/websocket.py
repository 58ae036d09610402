"""The default transport: the `websockets` library behind the port.

Owns everything that knows `websockets`; no other module imports it. The library does the opening
handshake, the framing and the closing handshake. Its receive queue (counted in frames, not bytes),
its keep-alive (blind to a slow link) and its waiting `send` are replaced by those of `base`,
through the subclasses that its `create_connection` argument is for. `ByHand` is its handshake and
framing alone, for who does the rest.
"""

from __future__ import annotations

import asyncio
import ssl as tls
from http import HTTPStatus
from typing import Any, cast

from websockets.asyncio import client, server
from websockets.asyncio.connection import Connection as LibraryConnection
from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI
from websockets.frames import DATA_OPCODES, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import OPEN, Event
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from vcl.errors import RemoteProtocolError
from vcl.transport import base, failure
from vcl.transport.connection import (
    CLOSE_ABNORMAL,
    ConnectFailed,
    Connection,
    Data,
    Handler,
    HttpAnswer,
    Server,
    Settings,
)
from vcl.transport.listening import listen

SMALL_READ_BYTES, LARGE_READ_BYTES = 16384, 262144
LARGE_BYTES = 65536
"""The loop takes all frames that one read brings in one go, at some microseconds each: so little is
read at a time while frames are small."""


class WebSocketConnection(base.BaseConnection):
    """A connection whose frames come from and go to a connection of the library."""

    def __init__(self, library: LibraryConnection, settings: Settings) -> None:
        peer = library.transport.get_extra_info("peername")
        super().__init__(settings, base.peer_name(peer))
        self._library = library

    def _write(self, parts: tuple[Data, ...]) -> None:
        data: Data = parts[0] if len(parts) == 1 else b"".join(parts)
        if isinstance(data, memoryview):
            # The library counts items where the frame header wants bytes.
            data = data.cast("B")
        self._library.protocol.send_binary(data)
        self._library.send_data()

    def _write_close(self, code: int, reason: str) -> None:
        if self._library.protocol.state is OPEN:
            self._library.protocol.send_close(code, reason)
            self._library.send_data()

    def _write_ping(self) -> None:
        if self._library.protocol.state is OPEN:
            self._library.protocol.send_ping(b"")
            self._library.send_data()

    def _set_reading(self, reading: bool) -> None:
        if self._library.transport.is_closing():
            return
        if reading:
            self._library.transport.resume_reading()
        else:
            self._library.transport.pause_reading()

    def _unsent_bytes(self) -> int:
        return self._library.transport.get_write_buffer_size()

    def _link(self) -> asyncio.Transport:
        return self._library.transport

    def _abort(self) -> None:
        self._library.transport.abort()

    def follow_library(self) -> None:
        """Take over an end that the library brought about itself: a limit or a protocol error."""
        protocol = self._library.protocol
        if protocol.state is OPEN or protocol.close_rcvd is not None:
            return
        if protocol.close_sent is not None:
            self.ended(int(protocol.close_sent.code), protocol.close_sent.reason, False)
        elif protocol.handshake_exc is None:
            self.ended(CLOSE_ABNORMAL, "no close handshake", False)


class _Reporting(LibraryConnection):
    """Hands what happens to a `WebSocketConnection`, `link`."""

    settings: Settings
    link: WebSocketConnection
    _may_set_read_size = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # First, because the library's own method starts to use the connection.
        self.transport = cast(asyncio.Transport, transport)
        self.link = WebSocketConnection(self, self.settings)
        self._may_set_read_size = hasattr(transport, "max_size")  # asyncio's own have it
        super().connection_made(transport)

    def process_event(self, event: Event) -> None:
        if not isinstance(event, Frame):
            super().process_event(event)
            return
        if self.link.is_over:
            return  # what else was read with it
        self.link.frame_taken(len(event.data))
        if event.opcode in DATA_OPCODES:
            if self._may_set_read_size:
                large = len(event.data) >= LARGE_BYTES
                self.transport.max_size = LARGE_READ_BYTES if large else SMALL_READ_BYTES  # type: ignore[attr-defined]
            self.link.frame_arrived(event.opcode, event.data, event.fin)
        elif event.opcode is Opcode.PING:
            self.link.frame_taken(len(event.data), base.PING_WEIGHT)
        elif event.opcode is Opcode.CLOSE and self.protocol.close_rcvd is not None:
            received = self.protocol.close_rcvd
            self.link.peer_closed(int(received.code), received.reason)

    def data_received(self, data: bytes) -> None:
        self.link.heard()
        super().data_received(data)
        if self.request is not None and self.response is not None:
            self.link.follow_library()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.link.link_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self.link.pause_writing()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.link.resume_writing()


class _ClientConnection(_Reporting, client.ClientConnection):
    pass


class _ServerConnection(_Reporting, server.ServerConnection):
    pass


class _Connect(client.connect):
    def process_redirect(self, exc: Exception) -> Exception | str:
        # A redirect could lead credentials to another host; the caller named the one it means.
        return exc


async def connect(url: str, settings: Settings, ssl: tls.SSLContext | None) -> Connection:
    """Open a connection; see `vcl.transport.connect`."""

    class Opening(_ClientConnection):
        pass

    Opening.settings = settings
    arguments: dict[str, Any] = {} if ssl is None else {"ssl": ssl}
    try:
        library = await _Connect(
            url,
            create_connection=Opening,
            compression=None,
            proxy=None,
            open_timeout=settings.open_timeout_s,
            close_timeout=settings.close_timeout_s,
            ping_interval=None,
            ping_timeout=None,
            max_size=settings.message_bytes_max,
            max_queue=None,
            write_limit=settings.write_buffer_bytes,
            **arguments,
        )
    except InvalidURI as error:
        raise ConnectFailed(url, f"not a WebSocket URL: {error.msg}") from error
    except InvalidStatus as error:
        answer = error.response
        why = failure.http_status(answer.status_code, answer.reason_phrase)
        raise ConnectFailed(url, why) from error
    except InvalidHandshake as error:
        cut = isinstance(error.__cause__, EOFError)
        why = failure.HANDSHAKE_CUT if cut else f"{failure.NOT_WEBSOCKET}: {error}"
        raise ConnectFailed(url, why) from error
    except OSError as error:
        raise ConnectFailed(url, failure.explain(error, url, settings.open_timeout_s)) from error
    link = cast(_ClientConnection, library).link
    link.opened()
    return link


class _Server:
    """A server of the library and the handlers that it runs."""

    def __init__(self, listening: server.Server, handlers: base.Handlers) -> None:
        self._listening = listening
        self._handlers = handlers
        host, port = next(iter(listening.sockets)).getsockname()[:2]
        self.address: tuple[str, int] = (host, port)

    async def close(self) -> None:
        """Stop listening, close every connection with 1001 and wait for their handlers."""
        self._listening.close(close_connections=False)
        await self._handlers.close()
        await self._listening.wait_closed()


async def serve(
    handler: Handler,
    host: str,
    port: int,
    settings: Settings,
    ssl: tls.SSLContext | None,
    http: HttpAnswer | None,
) -> Server:
    """Listen; see `vcl.transport.serve`."""
    handlers = base.Handlers(handler, settings)

    class Accepting(_ServerConnection):
        pass

    Accepting.settings = settings

    async def handle(library: server.ServerConnection) -> None:
        assert library.request is not None
        link = cast(_ServerConnection, library).link
        await handlers.start(link, library.request.path)

    def answer(_: server.ServerConnection, request: Request) -> Response | None:
        upgrade = "Upgrade" in request.headers
        if upgrade and "Origin" not in request.headers:
            return None
        found = base.FROM_BROWSER if upgrade else http(request.path) if http is not None else None
        status, content_type, body = found or (404, "text/plain", b"not found\n")
        headers = Headers()
        headers["Content-Type"] = content_type
        headers["Content-Length"] = str(len(body))
        headers["Connection"] = "close"
        return Response(status, HTTPStatus(status).phrase, headers, body)

    listening = await server.serve(
        handle,
        sock=await listen(host, port),
        create_connection=Accepting,
        process_request=answer,
        compression=None,
        open_timeout=settings.open_timeout_s,
        close_timeout=settings.close_timeout_s,
        ping_interval=None,
        ping_timeout=None,
        max_size=settings.message_bytes_max,
        max_queue=None,
        write_limit=settings.write_buffer_bytes,
        ssl=ssl,
    )
    return _Server(listening, handlers)


class ByHand:
    """One end of a WebSocket without a link; see `vcl.transport.by_hand`."""

    def __init__(self, url: str | None, settings: Settings) -> None:
        limit = settings.message_bytes_max
        self._protocol: ClientProtocol | ServerProtocol
        if url is None:
            self._protocol = ServerProtocol(origins=[None], max_size=limit)
        else:
            self._protocol = ClientProtocol(parse_uri(url), max_size=limit)
            self._protocol.send_request(self._protocol.connect())

    @property
    def is_open(self) -> bool:
        """See vcl.transport.ByHand."""
        return self._protocol.state is OPEN

    def received(self, data: bytes) -> list[bytes]:
        """See vcl.transport.ByHand."""
        self._protocol.receive_data(data)
        messages = []
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                assert isinstance(self._protocol, ServerProtocol)
                response = self._protocol.accept(event)
                self._protocol.send_response(response)
            elif isinstance(event, Frame) and event.opcode is Opcode.BINARY and event.fin:
                messages.append(bytes(event.data))
            elif isinstance(event, Frame):
                raise RemoteProtocolError("not a whole binary message")
        if (why := self._protocol.handshake_exc) is not None:
            raise RemoteProtocolError(f"{failure.NOT_WEBSOCKET}: {why}")
        if self._protocol.close_sent is not None:
            raise RemoteProtocolError(self._protocol.close_sent.reason)
        return messages

    def send(self, message: bytes) -> None:
        """See vcl.transport.ByHand."""
        self._protocol.send_binary(message)

    def to_send(self) -> bytes:
        """See vcl.transport.ByHand."""
        return b"".join(self._protocol.data_to_send())
