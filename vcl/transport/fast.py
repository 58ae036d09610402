"""The fast transport: the `picows` library behind the port (extra `fast`).

Owns everything that knows `picows`; no other module imports it. The library does the opening
handshake, framing and answers to pings; what it leaves to its user is done here: answering close
frames, dropping the link after the closing handshake, and assembling fragments (in `base`).

The library's `send` hands large messages of a server to the event loop as views of the caller's
memory. The port promises that parts may be changed after sending, so these take the path through
`send_reuse_external_bytearray`, which copies what the socket doesn't take at once.
"""

from __future__ import annotations

import asyncio
import ssl as tls
from http import HTTPStatus
from typing import Any, cast

import picows
from multidict import CIMultiDict

from vcl.transport import base, failure
from vcl.transport.connection import (
    CLOSE_NO_STATUS,
    CLOSE_NORMAL,
    CLOSE_PROTOCOL_ERROR,
    ConnectFailed,
    Connection,
    Data,
    Handler,
    HttpAnswer,
    Server,
    Settings,
)
from vcl.transport.listening import listen

SMALL_MESSAGE_BYTES_MAX = 8192
"""Up to this size the library copies a message into its own buffer, header included."""

HEADER_ROOM = bytes(14)
"""Where `send_reuse_external_bytearray` puts the frame header: the longest there is."""

READ_BUFFER_BYTES = 65536

# Looked up once: attribute access on the library's enums costs more than the comparison.
_BINARY = picows.WSMsgType.BINARY
_CLOSE = picows.WSMsgType.CLOSE
_PING = picows.WSMsgType.PING
_DATA_TYPES: dict[Any, int] = {
    picows.WSMsgType.CONTINUATION: base.OPCODE_CONTINUATION,
    picows.WSMsgType.TEXT: base.OPCODE_TEXT,
    picows.WSMsgType.BINARY: base.OPCODE_BINARY,
}


class PicowsConnection(base.BaseConnection):
    """A connection whose frames come from and go to a transport of the library."""

    def __init__(self, library: picows.WSTransport, settings: Settings) -> None:
        self._library = library
        self._socket = library.underlying_transport
        super().__init__(settings, base.peer_name(self._socket.get_extra_info("peername")))
        self._socket.set_write_buffer_limits(settings.write_buffer_bytes)

    def _write(self, parts: tuple[Data, ...]) -> None:
        library = self._library
        if library.is_close_frame_sent or library.is_disconnected:
            self.follow_library()
            raise self._closed()
        if sum(map(base.size_bytes, parts)) <= SMALL_MESSAGE_BYTES_MAX:
            library.send(_BINARY, parts[0] if len(parts) == 1 else b"".join(parts))
        else:
            frame = bytearray().join((HEADER_ROOM, *parts))
            library.send_reuse_external_bytearray(_BINARY, frame, len(HEADER_ROOM))

    def _write_close(self, code: int, reason: str) -> None:
        self._library.send_close(cast(picows.WSCloseCode, code), reason.encode())

    def _write_ping(self) -> None:
        self._library.send_ping()

    def _set_reading(self, reading: bool) -> None:
        if self._socket.is_closing():
            return
        if reading:
            self._socket.resume_reading()
        else:
            self._socket.pause_reading()

    def _unsent_bytes(self) -> int:
        return self._socket.get_write_buffer_size()

    def _link(self) -> asyncio.Transport:
        return self._socket

    def _abort(self) -> None:
        self._library.disconnect(graceful=False)

    def ping_arrived(self, payload: bytes) -> None:
        """Answer a ping (RFC 6455, 5.5.3), unless the answers before aren't read."""
        self.heard()
        self.frame_taken(len(payload), base.PING_WEIGHT)
        library = self._library
        if not (self._writing_paused or library.is_close_frame_sent or library.is_disconnected):
            library.send_pong(payload)

    def close_frame_arrived(self, payload: bytes) -> None:
        """Answer the peer's close frame, or finish the handshake that this side began."""
        code = int.from_bytes(payload[:2], "big") if payload else CLOSE_NO_STATUS
        self.peer_closed(code, payload[2:].decode(errors="replace"))
        echo = CLOSE_NORMAL if code == CLOSE_NO_STATUS else code
        self._write_close(echo, "")
        # The server closes the TCP connection first (RFC 6455 section 7.1.1).
        if not self._library.is_client_side:
            self._library.disconnect()

    def follow_library(self) -> None:
        """Take over an end that the library brought about itself: a limit or a protocol error."""
        handshake = self._library.close_handshake
        if handshake is not None and handshake.sent is not None:
            self.ended(int(cast(int, handshake.sent.code)), handshake.sent.reason or "", False)
        elif self._library.is_disconnected:
            self.link_lost(None)


class _Listener(picows.WSListener):
    """Hands what the library reports to a `PicowsConnection`, `link`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.link: PicowsConnection

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self.link = PicowsConnection(transport, self._settings)

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        link = self.link
        if link.is_over:
            return  # what else was read with it
        payload = frame.get_payload_as_bytes()
        link.frame_taken(len(payload))
        opcode = _DATA_TYPES.get(frame.msg_type)
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            link.fail(CLOSE_PROTOCOL_ERROR, "reserved bits are set")
        elif opcode is not None:
            link.frame_arrived(opcode, payload, frame.fin)
        elif frame.msg_type == _PING:
            link.ping_arrived(payload)
        elif frame.msg_type == _CLOSE:
            link.close_frame_arrived(payload)
        else:
            link.heard()

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        self.link.follow_library()
        self.link.link_lost(None)

    def pause_writing(self) -> None:
        self.link.pause_writing()

    def resume_writing(self) -> None:
        self.link.resume_writing()


def _limits(settings: Settings) -> dict[str, Any]:
    return {
        "websocket_handshake_timeout": settings.open_timeout_s,
        "enable_auto_ping": False,
        "enable_auto_pong": False,  # it tells nobody: a peer could have answers pile up
        "max_frame_size": settings.message_bytes_max,
        "read_buffer_init_size": READ_BUFFER_BYTES,
    }


async def connect(url: str, settings: Settings, ssl: tls.SSLContext | None) -> Connection:
    """Open a connection; see `vcl.transport.connect`."""
    try:
        async with asyncio.timeout(settings.open_timeout_s):
            _, listener = await picows.ws_connect(
                lambda: _Listener(settings),
                url,
                ssl_context=ssl,
                max_redirects=0,
                **_limits(settings),
            )
    except picows.WSInvalidURL as error:
        raise ConnectFailed(url, f"not a WebSocket URL: {error}") from error
    except picows.WSHandshakeError as error:
        answer = error.response
        if isinstance(error, picows.WSInvalidStatusError) and answer is not None:
            why = failure.http_status(answer.status.value, answer.status.phrase)
        else:
            why = f"{failure.NOT_WEBSOCKET}: {error}"
        raise ConnectFailed(url, why) from error
    except OSError as error:
        raise ConnectFailed(url, failure.explain(error, url, settings.open_timeout_s)) from error
    if listener is None:
        # How the library reports that the stream ended before an answer.
        raise ConnectFailed(url, failure.HANDSHAKE_CUT)
    link = cast(_Listener, listener).link
    link.opened()
    return link


class _ServingListener(_Listener):
    """The server's side: starts the handler once the opening handshake is done."""

    def __init__(self, settings: Settings, handlers: base.Handlers, path: str) -> None:
        super().__init__(settings)
        self._handlers = handlers
        self._path = path

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        super().on_ws_connected(transport)
        self._handlers.start(self.link, self._path)


class _Server:
    """A listening socket and the handlers that run for it."""

    def __init__(self, listening: asyncio.Server, handlers: base.Handlers) -> None:
        self._listening = listening
        self._handlers = handlers
        host, port = listening.sockets[0].getsockname()[:2]
        self.address: tuple[str, int] = (host, port)

    async def close(self) -> None:
        """Stop listening, close every connection with 1001 and wait for their handlers."""
        self._listening.close()
        await self._handlers.close()
        await self._listening.wait_closed()


def _http_response(status: int, content_type: str, body: bytes) -> picows.WSUpgradeResponse:
    response = picows.WSUpgradeResponse()
    response.version = b"HTTP/1.1"
    response.status = HTTPStatus(status)
    response.headers = CIMultiDict({"Content-Type": content_type})
    response.body = body
    return response


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

    def accept(
        request: picows.WSUpgradeRequest,
    ) -> picows.WSListener | picows.WSUpgradeResponseWithListener:
        path = request.path.decode("ascii", "replace")
        upgrade = "Upgrade" in request.headers
        if upgrade and "Origin" not in request.headers and not handlers.closing:
            return _ServingListener(settings, handlers, path)
        if handlers.closing:
            found: tuple[int, str, bytes] | None = (503, "text/plain", b"the server stops\n")
        elif upgrade:
            found = base.FROM_BROWSER
        else:
            found = http(path) if http is not None else None
        response = _http_response(*(found or (404, "text/plain", b"not found\n")))
        return picows.WSUpgradeResponseWithListener(response, None)

    own = await listen(host, port)
    listening = await picows.ws_create_server(accept, sock=own, ssl=ssl, **_limits(settings))
    return _Server(listening, handlers)
