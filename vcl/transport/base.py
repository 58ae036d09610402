"""What every transport shares: the receive queue, back-pressure and closing.

Owns the behaviour that the port promises, once for all libraries. An adapter supplies the six
methods that touch its library and reports what happens through `frame_arrived`, `peer_closed`,
`link_lost`, `pause_writing` and `resume_writing`. Must not know any WebSocket library.

Life of a connection: open -> ended -> lost. *Ended* is the moment at which the outcome is known (a
close frame was sent or received, or the link broke): `_end` is set once and never changes. *Lost*
is when the link itself is gone; a timer of `close_timeout_s` sees to it that ended leads to lost.

Long because every promise of the port is kept here.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable

from vcl.changes import Changes
from vcl.transport.connection import (
    CLOSE_ABNORMAL,
    CLOSE_GOING_AWAY,
    CLOSE_INTERNAL_ERROR,
    CLOSE_NORMAL,
    CLOSE_POLICY_VIOLATION,
    CLOSE_PROTOCOL_ERROR,
    CLOSE_REASON_BYTES_MAX,
    CLOSE_TOO_BIG,
    CLOSE_UNSUPPORTED_DATA,
    ConnectionClosed,
    Data,
    Handler,
    Settings,
)
from vcl.transport.keep_alive import KeepAlive

OPCODE_CONTINUATION = 0x0
OPCODE_TEXT = 0x1
OPCODE_BINARY = 0x2

FROM_BROWSER = (403, "text/plain", b"not for browsers: a request with an Origin is refused\n")
"""Answer to an upgrade with an Origin: any page may dial a loopback port from its reader's host."""

SMALL_BYTES_MAX = 65536
"""Up to this size a received message is worth copying into plain bytes."""

UNYIELDED_BYTES_MAX = 262144
UNYIELDED_BYTES_PER_MESSAGE = 1024
"""A sender that never has to wait gives way to the loop after so much, so that it can't starve the
connection's own receiving end; each message counts as at least the second figure."""

FRAMES_PER_TURN = 1000
"""Frames of one connection after which reading rests for a turn of the loop."""

FRAMES_UNCOUNTED = 8
"""Fewer frames don't tell turns apart: that costs as much as to take a frame."""

TINY_BYTES = 24
"""A payload below this is no bulk frame and hardly a message."""

TINY_PER_TURN_MAX = 16384
"""Tiny frames, fragments and pings in one turn of the loop that no honest peer sends. Frames of any
size count as long as nothing was received from the peer: then it has one thing to say, its Hello.
Later many come in one go when a buffer that bulk has made large is read."""

PING_WEIGHT, FRAGMENT_WEIGHT = 256, 16
"""As how many frames these count: no honest peer sends many of them."""

log = logging.getLogger(__name__)


def size_bytes(part: Data) -> int:
    """Return the size of `part` in bytes, whatever its item type."""
    return part.nbytes if isinstance(part, memoryview) else len(part)


def peer_name(address: object) -> str:
    """Return a socket address as text: "127.0.0.1:5123", "[::1]:5123"."""
    if not isinstance(address, tuple) or len(address) < 2:
        return str(address)
    host, port = address[0], address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class BaseConnection(ABC):
    """A Connection without its link; see the module's docstring for what an adapter adds."""

    def __init__(self, settings: Settings, peer: str) -> None:
        self._settings = settings
        self._peer = peer
        self.unread_bytes_max = settings.unread_bytes_max
        self._loop = asyncio.get_running_loop()
        # What has arrived and was not asked for yet, and its size in bytes.
        self._messages: deque[bytes | memoryview] = deque()
        self._messages_bytes = 0
        # The fragments so far of a message that came in several frames.
        self._fragments: bytearray | None = None
        self._reading_paused = False
        self._receiver: asyncio.Future[None] | None = None
        self._take: Callable[[bytes | memoryview], None] | None = None
        self._writing_paused = False
        self._room = Changes()  # writing isn't paused any more, or it is over
        self._unyielded_bytes = 0
        # Code, reason and whether the peer closed; None while open.
        self._end: tuple[int, str, bool] | None = None
        self._closing: asyncio.Future[None] = self._loop.create_future()  # done once it has ended
        self._lost: asyncio.Future[None] = self._loop.create_future()
        self._close_timer: asyncio.TimerHandle | None = None
        self._keep_alive = KeepAlive(self, self._loop, settings)
        # Whether the link was dropped, and whether a message of the peer's was ever received.
        self._dropped = False
        self._received_any = False
        # Of this turn of the loop; whether reading rests until its end.
        self._frames_in_turn = 0
        self._tiny_in_turn = 0
        self._turn_ends = False
        self._resting = False

    # What an adapter supplies. None of these may raise because the link is closing or gone.

    @abstractmethod
    def _write(self, parts: tuple[Data, ...]) -> None:
        """Write one binary message; `parts` may be changed as soon as this returns."""

    @abstractmethod
    def _write_close(self, code: int, reason: str) -> None:
        """Write a close frame; the link is to be dropped once the peer's has arrived."""

    @abstractmethod
    def _write_ping(self) -> None:
        """Write a ping."""

    @abstractmethod
    def _set_reading(self, reading: bool) -> None:
        """Stop or go on reading from the network."""

    @abstractmethod
    def _unsent_bytes(self) -> int:
        """Return the size of the write buffer's content."""

    @abstractmethod
    def _abort(self) -> None:
        """Drop the link at once; `link_lost` follows."""

    def _link(self) -> asyncio.Transport | None:
        """Return the transport below the library, if there is one with a socket."""
        return None

    # The port.

    @property
    def peer(self) -> str:
        """The far end's address."""
        return self._peer

    async def send(self, *parts: Data) -> None:
        """See Connection.send."""
        self.send_soon(*parts)
        if self._writing_paused:
            await self._writable()
            return
        self._unyielded_bytes += UNYIELDED_BYTES_PER_MESSAGE + sum(map(size_bytes, parts))
        if self._unyielded_bytes > UNYIELDED_BYTES_MAX:
            self._unyielded_bytes = 0
            await asyncio.sleep(0)

    def send_soon(self, *parts: Data) -> None:
        """See Connection.send_soon."""
        if self._end is not None:
            raise self._closed()
        self._write(parts)
        if self._writing_paused:
            self._check_unread()

    @property
    def unsent_bytes(self) -> int:
        """See Connection.unsent_bytes."""
        return self._unsent_bytes()

    async def drained(self) -> None:
        """See Connection.drained."""
        if self._end is not None:
            raise self._closed()
        if self._writing_paused:
            await self._writable()

    async def recv(self) -> bytes | memoryview:
        """See Connection.recv."""
        while not self._messages:
            if self._end is not None:
                raise self._closed()
            assert self._receiver is None, "recv has one caller at a time"
            self._receiver = self._loop.create_future()
            try:
                await self._receiver
            finally:
                self._receiver = None
        return self._next_message()

    def _next_message(self) -> bytes | memoryview:
        message = self._messages.popleft()
        self._received_any = True
        self._messages_bytes -= len(message)
        if (
            self._reading_paused
            and len(self._messages) <= self._settings.receive_messages_max // 2
            and self._messages_bytes <= self._settings.receive_bytes_max // 2
        ):
            self._resume_reading()
        return message

    def deliver(self, take: Callable[[bytes | memoryview], None] | None) -> None:
        """See Connection.deliver."""
        self._take = take
        while self._take is not None and self._messages:
            self._take(self._next_message())

    async def wait_closed(self) -> None:
        """See Connection.wait_closed."""
        if self._end is None:
            await asyncio.shield(self._closing)

    async def close(self, code: int = CLOSE_NORMAL, reason: str = "") -> None:
        """See Connection.close."""
        assert 1000 <= code < 5000 and code not in (1004, 1005, 1006, 1015), code
        self._messages.clear()
        self._messages_bytes = 0
        self.fail(code, reason)
        # Room was made: what the peer sent before its close frame must get past.
        self._resume_reading()
        await asyncio.shield(self._lost)

    def ping(self) -> None:
        """See Connection.ping."""
        if self._end is None:
            self._write_ping()

    def take_socket(self) -> socket.socket | None:
        """See Connection.take_socket."""
        link = self._link()
        if link is None or link.get_extra_info("ssl_object") is not None:
            return None
        if self._messages or self._fragments is not None or self._end is not None:
            return None
        if self._unsent_bytes():
            return None
        # Said here too, or what rests until the next turn would go on reading.
        self._reading_paused = True
        link.pause_reading()
        self._keep_alive.stop()
        own: socket.socket = link.get_extra_info("socket")
        taken = own.dup()
        self._reading_paused = False  # nothing resumes: what comes now is the taker's
        # At once: a close frame would be one of the taker's bytes.
        self._drop(CLOSE_NORMAL, "its socket was taken")
        return taken

    # What an adapter reports.

    @property
    def is_over(self) -> bool:
        """Whether the link was dropped: nothing more of what it brought matters."""
        return self._dropped

    def opened(self) -> None:
        """Start the keep-alive: the opening handshake is done."""
        self._keep_alive.start()

    def frame_taken(self, payload_bytes: int, weight: int = 1) -> None:
        """Note that the library has taken a frame of any kind from what was read.

        weight: as how many frames it counts; above 1 it's one that no honest peer sends many of.

        It may find thousands of tiny ones in one go, and read on as long as more come: then reading
        rests until the loop has come round. But what was read is taken to its end, however much.
        """
        self._frames_in_turn += weight
        if self._frames_in_turn >= FRAMES_UNCOUNTED and not self._turn_ends:
            self._turn_ends = True
            self._loop.call_soon(self._next_turn)
        if payload_bytes < TINY_BYTES or weight > 1 or not self._received_any:
            self._tiny_in_turn += weight
            if self._tiny_in_turn >= TINY_PER_TURN_MAX:
                self._drop(CLOSE_POLICY_VIOLATION, "too many tiny frames at once")
                return
        if self._frames_in_turn >= FRAMES_PER_TURN and not self._resting:
            self._resting = True
            self._set_reading(False)

    def _next_turn(self) -> None:
        self._frames_in_turn = self._tiny_in_turn = 0
        self._turn_ends = False
        if self._resting:
            self._resting = False
            if not self._reading_paused:
                self._set_reading(True)

    def heard(self) -> None:
        """Note that the peer gave a sign of life. Its pings are answered even if it never reads."""
        self._keep_alive.heard = True
        if self._writing_paused:
            self._check_unread()

    def frame_arrived(self, opcode: int, payload: Data, fin: bool) -> None:
        """Take a data frame; `payload` is handed over to this connection."""
        self._keep_alive.heard = True
        if self._end is not None:
            return
        if opcode == OPCODE_BINARY and fin and self._fragments is None:
            self._message_arrived(payload)
            return
        if opcode == OPCODE_TEXT:
            self.fail(CLOSE_UNSUPPORTED_DATA, "text messages are not part of the protocol")
            return
        if (opcode == OPCODE_CONTINUATION) != (self._fragments is not None):
            self.fail(CLOSE_PROTOCOL_ERROR, "fragments out of order")
            return
        self.frame_taken(len(payload), FRAGMENT_WEIGHT)
        if self._fragments is None:
            self._fragments = bytearray()
        if len(self._fragments) + len(payload) > self._settings.message_bytes_max:
            self._fragments = None
            self.fail(CLOSE_TOO_BIG, self._too_big())
            return
        self._fragments += payload
        if fin:
            whole, self._fragments = self._fragments, None
            self._message_arrived(whole)

    def fail(self, code: int, reason: str) -> None:
        """Close because of what arrived, or by request, without waiting for the peer."""
        if self._end is not None:
            return
        clipped = reason.encode()[:CLOSE_REASON_BYTES_MAX].decode(errors="ignore")
        # Written before the end is set: that the outcome is known stops all other writes.
        self._write_close(code, clipped)
        self.ended(code, clipped, sent_by_peer=False)

    def peer_closed(self, code: int, reason: str) -> None:
        """Note that a close frame arrived."""
        self.ended(code, reason, sent_by_peer=True)

    def ended(self, code: int, reason: str, sent_by_peer: bool) -> None:
        """Fix the outcome, once, and let everybody who waits know."""
        if self._end is not None:
            return
        self._end = (code, reason, sent_by_peer)
        if not self._closing.done():
            self._closing.set_result(None)
        self._fragments = None
        self._keep_alive.stop()
        if self._receiver is not None and not self._receiver.done():
            self._receiver.set_result(None)
        self._room.tell()
        # The peer's close frame and the end of the stream must get past a full queue.
        self._resume_reading()
        if not self._lost.done():
            self._close_timer = self._loop.call_later(self._settings.close_timeout_s, self._abort)

    def link_lost(self, error: BaseException | None) -> None:
        """Note that the link is gone, with or without a close handshake before."""
        if not self._lost.done():
            self._lost.set_result(None)
        self.ended(CLOSE_ABNORMAL, str(error) if error else "no close handshake", False)
        if self._close_timer is not None:
            self._close_timer.cancel()

    def pause_writing(self) -> None:
        """Note that the write buffer is above its high-water mark."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        """Note that the write buffer is below its low-water mark again."""
        self._writing_paused = False
        self._room.tell()

    # What the keep-alive asks.

    @property
    def is_deaf(self) -> bool:
        """Whether reading is paused."""
        return self._reading_paused

    def silent(self, reason: str) -> None:
        """Note that the peer gave no sign of life for long."""
        self._drop(CLOSE_ABNORMAL, reason)

    # Inside.

    def _closed(self) -> ConnectionClosed:
        assert self._end is not None
        return ConnectionClosed(*self._end)

    def _too_big(self) -> str:
        return f"message longer than {self._settings.message_bytes_max} bytes"

    def _message_arrived(self, message: Data) -> None:
        size = len(message)
        if size > self._settings.message_bytes_max:
            self.fail(CLOSE_TOO_BIG, self._too_big())
            return
        if isinstance(message, bytearray):
            message = bytes(message) if size <= SMALL_BYTES_MAX else memoryview(message)
        if self._take is not None and not self._messages:
            self._received_any = True
            self._take(message)
            return
        self._messages.append(message)
        self._messages_bytes += size
        if self._receiver is not None and not self._receiver.done():
            self._receiver.set_result(None)
        if not self._reading_paused and (
            len(self._messages) >= self._settings.receive_messages_max
            or self._messages_bytes >= self._settings.receive_bytes_max
        ):
            self._reading_paused = True
            self._set_reading(False)

    def _resume_reading(self) -> None:
        if self._reading_paused:
            self._reading_paused = False
            self._set_reading(True)

    def _check_unread(self) -> None:
        if self._end is None and self._unsent_bytes() > self.unread_bytes_max:
            reason = f"more than {self.unread_bytes_max} bytes weren't read"
            self._drop(CLOSE_POLICY_VIOLATION, reason)

    def _drop(self, code: int, reason: str) -> None:
        """End without a closing handshake, and without taking what else was read."""
        if self._end is None:
            self._dropped = True
            self.ended(code, reason, sent_by_peer=False)
            self._abort()

    async def _writable(self) -> None:
        await self._room.wait()
        # Without this a message that died in the write buffer would count as sent.
        if self._writing_paused and self._end is not None:
            raise self._closed()


class Handlers:
    """The handlers that run for one server, and the connections they serve."""

    def __init__(self, handler: Handler, settings: Settings) -> None:
        self._handler = handler
        self._settings = settings
        self._running: dict[asyncio.Task[None], BaseConnection] = {}
        self.closing = False

    def start(self, connection: BaseConnection, path: str) -> asyncio.Task[None]:
        """Run the handler for `connection` and close the connection after it."""
        connection.opened()
        running = asyncio.get_running_loop().create_task(self._run(connection, path))
        self._running[running] = connection
        running.add_done_callback(self._running.pop)
        return running

    async def _run(self, connection: BaseConnection, path: str) -> None:
        code, reason = CLOSE_INTERNAL_ERROR, "the handler failed"
        try:
            await self._handler(connection, path)
            code, reason = CLOSE_NORMAL, ""
        except ConnectionClosed as closed:
            # Where most handlers end: nothing to tell a peer that has gone.
            log.debug("%s: %s", connection.peer, closed)
        except Exception:
            log.exception("the handler of %s failed", connection.peer)
        finally:
            await connection.close(code, reason)

    async def close(self) -> None:
        """Close every connection with 1001, then wait for the handlers, cancelling the tardy."""
        self.closing = True
        running = dict(self._running)
        if not running:
            return
        reason = "the server stops"
        await asyncio.gather(*(each.close(CLOSE_GOING_AWAY, reason) for each in running.values()))
        _, tardy = await asyncio.wait(running, timeout=self._settings.close_timeout_s)
        for handler in tardy:
            log.warning("the handler of %s outlived its connection", running[handler].peer)
            handler.cancel()
        if tardy:
            await asyncio.wait(tardy)
