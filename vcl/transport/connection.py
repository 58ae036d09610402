"""The port that every transport implements: message connections, their settings and their errors.

Owns the contract (what `send`, `recv` and `close` promise), not any way of keeping it. Must not
know a WebSocket library, the wire format, or who talks to whom.

The contract, the same for every implementation:

- One message is one binary WebSocket message (RFC 6455 section 5.6); boundaries survive concurrent
  senders, and messages arrive in the order in which `send` and `send_soon` were called.
- Messages that arrived before the peer closed or the link broke are delivered by `recv` before it
  raises. This side's own `close` discards what nobody has received yet.
- `send` hands its message over at once and then waits, so that order is call order; what is held
  in memory is the write buffer plus one message for each concurrent caller.
- Both directions push back: `send` waits while the write buffer is above its high-water mark, and
  a receiver that does not call `recv` stops reading from the network.
- Once closed, always closed: every later `send`, `send_soon` and `recv` raises `ConnectionClosed`
  with the same code, reason and origin.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

Data = bytes | bytearray | memoryview

CLOSE_NORMAL = 1000
CLOSE_GOING_AWAY = 1001
CLOSE_PROTOCOL_ERROR = 1002
CLOSE_UNSUPPORTED_DATA = 1003
CLOSE_NO_STATUS = 1005
CLOSE_ABNORMAL = 1006
CLOSE_POLICY_VIOLATION = 1008
CLOSE_TOO_BIG = 1009
CLOSE_INTERNAL_ERROR = 1011
CLOSE_REASON_BYTES_MAX = 123
"""A control frame carries 125 bytes, two of them the code (RFC 6455 section 5.5)."""


class ConnectionClosed(Exception):
    """The connection is closed; says how it ended.

    code: the close code (RFC 6455 section 7.4); 1006 when the link broke without a close handshake.
    reason: the closing side's words, "" when it gave none.
    sent_by_peer: True when the peer closed first; False when this side did, or when the link broke.
    """

    def __init__(self, code: int, reason: str = "", sent_by_peer: bool = False) -> None:
        self.code = code
        self.reason = reason
        self.sent_by_peer = sent_by_peer
        who = "the peer" if sent_by_peer else "this side"
        how = "the link broke" if code == CLOSE_ABNORMAL else f"closed by {who} with code {code}"
        super().__init__(f"{how}: {reason}" if reason else how)


class ConnectFailed(Exception):
    """No connection could be made to `url`; `why` is one clear sentence for a person to read."""

    def __init__(self, url: str, why: str) -> None:
        self.url = url
        self.why = why
        super().__init__(f"cannot connect to {url}: {why}")


@dataclass(frozen=True)
class Settings:
    """Limits and time-outs of a connection; both ends may have their own.

    message_bytes_max: a longer incoming message closes the connection with 1009.
    open_timeout_s: name look-up, TCP, TLS and WebSocket handshake together.
    close_timeout_s: bound on `close`, after which the link is dropped.
    ping_interval_s, ping_timeout_s: a ping after an interval in which nothing arrived; when then
        nothing arrives in time and no byte of the write buffer leaves, the link counts as broken.
        A receiver that leaves its queue full answers no pings, so it must not do so for longer.
    write_buffer_bytes: high-water mark above which `send` waits.
    unread_bytes_max: a peer that leaves so much in the write buffer, in which `send_soon` and
        answers to pings don't wait, doesn't read: the link is dropped.
    receive_messages_max, receive_bytes_max: above either, the receiver stops reading from the
        network until `recv` has made room. One message more than `receive_bytes_max` may be held.
    """

    message_bytes_max: int = 64 * 2**20 + 4096
    open_timeout_s: float = 10.0
    close_timeout_s: float = 5.0
    ping_interval_s: float = 20.0
    ping_timeout_s: float = 20.0
    write_buffer_bytes: int = 4 * 2**20
    unread_bytes_max: int = 64 * 2**20
    receive_messages_max: int = 1024
    receive_bytes_max: int = 8 * 2**20


class Connection(Protocol):
    """One open connection, seen from one end. Belongs to the event loop that made it."""

    unread_bytes_max: int
    """As in Settings; may be set anew for a peer that more may be sent to."""

    @property
    def peer(self) -> str:
        """The far end's address, such as "127.0.0.1:5123"."""
        ...

    async def send(self, *parts: Data) -> None:
        """Send one binary message made of `parts` joined.

        Returns when it is written or the write buffer is below its high-water mark; `parts` may
        then be changed again. Concurrent calls keep message boundaries. Cancelling a waiting call
        doesn't unsend the message. Raises ConnectionClosed.
        """
        ...

    def send_soon(self, *parts: Data) -> None:
        """The same without waiting: for small control messages, from the loop's thread only."""
        ...

    def ping(self) -> None:
        """Send a ping (RFC 6455, 5.5.2), unless the connection has ended."""
        ...

    @property
    def unsent_bytes(self) -> int:
        """How much of what was sent hasn't left: the size of the write buffer's content."""
        ...

    async def drained(self) -> None:
        """Wait as `send` does, for room in the write buffer. Raises ConnectionClosed."""
        ...

    async def recv(self) -> bytes | memoryview:
        """Return the next binary message, empty ones included. One caller at a time.

        Large messages may come as a memoryview of memory that is the caller's alone.

        Cancelling it loses no message. Raises ConnectionClosed when the connection has ended and
        all that arrived before has been delivered. A text message closes with 1003.
        """
        ...

    def deliver(self, take: Callable[[bytes | memoryview], None] | None) -> None:
        """Give each message to `take` at once when it has arrived, those that have already first.

        It saves a future and a turn of the loop for each, compared to `recv`, which isn't to be
        called meanwhile. take: mustn't raise. None: messages wait from now on.
        """
        ...

    async def wait_closed(self) -> None:
        """Wait until the connection has ended. Messages that arrived before may still wait for
        `deliver`, or `recv`."""
        ...

    async def close(self, code: int = CLOSE_NORMAL, reason: str = "") -> None:
        """Close with the closing handshake, within `close_timeout_s`. Idempotent; never raises."""
        ...

    def take_socket(self) -> socket.socket | None:
        """Answer the socket, on which another goes on; the connection is over.

        The peer must have nothing to say meanwhile: what has arrived in part is lost. None, and
        nothing has changed, if the link can't be handed on (TLS), something has arrived that wasn't
        received, or what was sent hasn't left yet.
        """
        ...


Handler = Callable[[Connection, str], Awaitable[None]]
"""Called by a server for each connection with the request path; the connection is closed with 1000
when it returns and with 1011 when it raises."""

HttpAnswer = Callable[[str], tuple[int, str, bytes] | None]
"""Answers a plain GET of a path with (status, content type, body), or None: not found."""


class Server(Protocol):
    """A listening server."""

    address: tuple[str, int]
    """Host and the real port, also when port 0 was asked for."""

    async def close(self) -> None:
        """Stop listening, close every connection with 1001 and wait for their handlers."""
        ...


class ByHand(Protocol):
    """One end of a WebSocket as bytes, which its user carries: handshake and whole messages."""

    @property
    def is_open(self) -> bool:
        """Whether the opening handshake is done."""
        ...

    def received(self, data: bytes) -> list[bytes]:
        """Take bytes of the peer's; answers the messages that are whole with them.

        Raises RemoteProtocolError for a handshake that fails, and for any frame that isn't a whole
        binary message.
        """
        ...

    def send(self, message: bytes) -> None:
        """Put one binary message into what is to be sent; only once it is open."""
        ...

    def to_send(self) -> bytes:
        """What is to be sent now; it counts as sent."""
        ...
