"""What all direct links share: their socket on a loop, streams that take turns, and their end.

Owns: that. Must not know: how bytes travel (`local`, `stream`), or which ends there are.
"""

from __future__ import annotations

import asyncio
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

from vcl.changes import Changes
from vcl.errors import RemoteProtocolError
from vcl.running import Running
from vcl.transfers import GrantCredit, Stream
from vcl.wire.direct import Way
from vcl.wire.frame import CHUNK, CREDIT, BulkFrame


class Ends(NamedTuple):
    """Between which endpoints a link is, and what this end is told of it.

    take(frames): on the loop, what comes; what it raises is the owner's affair.
    streamed(transfer): when its bytes may change; which it never tells of bytes that the peer may
    still read after the link has ended. lost(reason): once, if the link ends by itself.
    """

    own: int
    peer: int
    take: Callable[[Sequence[BulkFrame]], None]
    streamed: Callable[[int], None]
    lost: Callable[[str], None]


class Link(ABC):
    """A direct link to one end. connected: a socket on which both have greeted."""

    way: ClassVar[Way]

    def __init__(self, connected: socket.socket, ends: Ends) -> None:
        self._socket = connected
        self._own, self._peer, self._take, self._streamed, self._lost = ends
        self._changes = Changes()  # something was sent or given back, or the link is over
        self._streams = Running("a direct stream failed")
        self._over = False
        self._writing = False
        self._fault: RemoteProtocolError | None = None  # of the peer, if that ended the link

    # What a kind of link supplies.

    @abstractmethod
    async def _send_transfer(self, effect: Stream) -> None:
        """Send all chunks; to return early once the link is over is right."""

    @abstractmethod
    def _send_credit(self, credit: BulkFrame) -> None:
        """Send a frame without a payload."""

    @abstractmethod
    def _send_more(self) -> bool:
        """The socket has room: write what waits; answers whether there is more."""

    @abstractmethod
    def _receive(self, frames: list[BulkFrame]) -> None:
        """Read what is there, but not for long, and add the frames in it to `frames`.

        Raises BlockingIOError if that was all, EOFError, OSError, RemoteProtocolError.
        """

    @abstractmethod
    def _let_go(self) -> None:
        """The link is over: let go of what is kept for it."""

    # The loop.

    def join(self) -> None:
        """Serve the link on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._readable)
        if self._writing:
            self._loop.add_writer(self._socket, self._writable)

    def leave(self) -> None:
        """Serve it on its loop no longer; while nothing is under way."""
        if not self._over:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)

    def close(self) -> None:
        """End the link. What was to be sent counts as sent."""
        if self._over:
            return
        self.leave()
        self._over = True
        self._hang_up()
        self._let_go()
        self._changes.tell()

    def _hang_up(self) -> None:
        self._socket.close()

    def _end(self, reason: str) -> None:
        """The link ends by itself."""
        if not self._over:
            self.close()
            self._lost(reason)

    # Sending.

    def grant(self, effect: GrantCredit) -> None:
        """Send credit."""
        if not self._over:
            self._send_credit(
                BulkFrame(CREDIT, False, effect.endpoint, self._own, effect.transfer, 0, b"")
            )

    def stream(self, effect: Stream) -> None:
        """Send a transfer in chunks, taking turns with others."""
        self._streams.start(self._stream(effect))

    async def _stream(self, effect: Stream) -> None:
        await self._send_transfer(effect)
        self._streamed(effect.transfer)

    def _header(self, effect: Stream, offset: int, last: bool) -> BulkFrame:
        return BulkFrame(CHUNK, last, effect.endpoint, self._own, effect.transfer, offset, b"")

    def _write_later(self) -> None:
        """Something waits until the socket has room."""
        if not self._writing:
            self._writing = True
            self._loop.add_writer(self._socket, self._writable)

    def _writable(self) -> None:
        if not self._send_more():
            self._writing = False
            self._loop.remove_writer(self._socket)
        self._changes.tell()

    # Receiving.

    def _readable(self) -> None:
        frames: list[BulkFrame] = []
        reason = None
        try:
            self._receive(frames)
        except BlockingIOError:
            pass  # that was all for now
        except EOFError as error:
            reason = str(error) or "the other end is gone"
        except ConnectionResetError:  # it left with something unread, as tickets of TLS
            reason = "the other end is gone"
        except OSError as error:
            reason = str(error)
        except RemoteProtocolError as error:
            self._fault, reason = error, str(error)
        if frames:
            self._take(frames)
        if reason is not None:
            self._end(reason)

    def _checked(self, frame: BulkFrame) -> BulkFrame:
        if (frame.source, frame.destination) != (self._peer, self._own):
            raise RemoteProtocolError(
                f"a frame from {frame.source} to {frame.destination} between other two ends"
            )
        return frame
