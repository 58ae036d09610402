"""The way through the master, to all other ends: a stream link where the socket can be had.

Owns: that link, at a client or an executor, and dialling it. Must not know: which ends there are.

As on a direct link, bytes are written from where they are and read into memory that was used
before; a WebSocket library would copy them twice more, and mask them.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence

from vcl.direct.link import Ends
from vcl.direct.pool import Pool
from vcl.direct.stream import Place, StreamLink, nowhere
from vcl.errors import ConnectionProblem, RemoteProtocolError
from vcl.links import BulkLink, dial
from vcl.transport.connection import CLOSE_ABNORMAL, ConnectionClosed
from vcl.wire.direct import Way
from vcl.wire.frame import BulkFrame
from vcl.wire.messages.handshake import Hello
from vcl.wire.websocket import PING, pack_head

ping_interval_s = 20.0
"""Proxies close a connection on which nothing goes for long."""

Take = Callable[[Sequence[BulkFrame]], None]


async def dial_bulk(
    url: str,
    hello: Hello,
    own: int,
    streamed: Callable[[int], None],
    pool: Pool,
    place: Place = nowhere,
) -> RelayLink | BulkLink:
    """The bulk connection of this end. Raises as `dial`."""
    connection, _ = await dial(url, hello)
    # The master says nothing before it has heard a frame, so no byte of its is in the library.
    connected = connection.take_socket()
    if connected is not None:
        try:
            return RelayLink(connected, own, streamed, pool, place)
        except OSError as error:  # some systems set nothing on a socket whose peer has gone
            connected.close()
            raise ConnectionProblem(f"{url} closed the connection in the handshake") from error
    connection.ping()
    return BulkLink(connection, own, streamed)


class RelayLink(StreamLink):
    """The bulk connection of an end, which has dialled the master and heard Welcome.

    streamed: as of Ends. pool, place: as of StreamLink. `run` begins with it.
    """

    way = Way.RELAY

    def __init__(
        self,
        connected: socket.socket,
        own: int,
        streamed: Callable[[int], None],
        pool: Pool,
        place: Place = nowhere,
    ) -> None:
        self._ended: asyncio.Future[None] | None = None
        self._pinging: asyncio.TimerHandle | None = None
        ends = Ends(own, own, lambda frames: None, streamed, self._lost_it)
        super().__init__(connected, ends, pool, dialled=True, place=place)

    async def run(self, take: Take) -> None:
        """Give frames to `take` as they come, until it ends. Raises ConnectionClosed,
        RemoteProtocolError, or what `take` raises."""
        ended: asyncio.Future[None] = self._loop.create_future()
        if self._over:
            raise ConnectionClosed(CLOSE_ABNORMAL, "it is gone already")

        def guarded(frames: Sequence[BulkFrame]) -> None:
            try:
                take(frames)
            except Exception as error:
                if not ended.done():
                    ended.set_exception(error)

        self._take, self._ended = guarded, ended
        self._ping()
        await ended

    async def end(self) -> None:
        """Close it."""
        self.close()
        self._lost_it("it was closed")

    def leave(self) -> None:
        """As of Link."""
        if self._pinging is not None:
            self._pinging.cancel()
        super().leave()

    def _ping(self) -> None:
        """The first tells the master that the socket is this link's, the others go on."""
        if not self._unsent:
            self._push([memoryview(pack_head(PING, 0, masked=True))])
        self._pinging = self._loop.call_later(ping_interval_s, self._ping)

    def _lost_it(self, reason: str) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_exception(self._fault or ConnectionClosed(CLOSE_ABNORMAL, reason))

    def _checked(self, frame: BulkFrame) -> BulkFrame:
        if frame.destination != self._own:
            raise RemoteProtocolError(f"a frame for end {frame.destination} at end {self._own}")
        return frame
