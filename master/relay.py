"""Bulk that goes through the master: from one end of a session to another.

Owns: which connection is which end, frames for ends that aren't connected yet, and the thread on
which bytes are passed on, so that they never hold up what the master's own loop has to say. Must
not know: what is in a frame but its header, or why it travels.

Everything public is called on the master's loop. What it changes is there at once, under a lock,
and not by a callback: an end may send to one of which it was told before the thread comes to it.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from dataclasses import dataclass, field

from master.leg import Leg
from vcl.direct.pool import Pool
from vcl.errors import RemoteProtocolError
from vcl.sockets import set_up
from vcl.transport.connection import (
    CLOSE_ABNORMAL,
    CLOSE_GOING_AWAY,
    CLOSE_NORMAL,
    ConnectionClosed,
)
from vcl.wire.frame import BulkFrame
from vcl.wire.limits import eager_frame_bytes, eager_total_bytes_max

STOPS = "the server stops"

End = tuple[int, int]
"""(session, endpoint)."""


@dataclass(slots=True)
class _Early:
    """Bulk frames for an end that isn't connected yet. sizes: their bytes, by their sender."""

    frames: list[BulkFrame] = field(default_factory=list)
    sizes: dict[int, int] = field(default_factory=dict)


class Relay:
    """Of one master."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._legs: dict[End, Leg] = {}
        self._bound: dict[int, tuple[End, Leg]] = {}
        self._early: dict[End, _Early] = {}
        self._leaving: set[Leg] = set()
        self._pool = Pool(shares=False)
        self._loop = asyncio.new_event_loop()
        self._thread: threading.Thread | None = None
        self._closed = False

    def expect(self, end: End) -> None:
        """It is about to connect: what comes for it is kept."""
        with self._lock:
            self._early[end] = _Early()

    def bind(self, number: int, connected: socket.socket, end: End) -> None:
        """A connection is that end's. number: of the connection. connected: its socket, which is
        the relay's from now on."""
        if self._closed:
            connected.close()
            return
        try:
            set_up(connected)
        except OSError:  # it's gone already, which `run` says
            connected.close()
            return
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._loop.run_forever, name="vcl-relay", daemon=True
            )
            self._thread.start()

        def take(frame: BulkFrame) -> Leg | None:
            return self._take(end, frame)

        leg = Leg(connected, take, self._pool, self._loop)
        with self._lock:
            for frame in self._early.pop(end, _Early()).frames:
                leg.push(frame)
            self._bound[number] = end, leg
            self._legs[end] = leg
        self._loop.call_soon_threadsafe(leg.join)

    def forget(self, number: int, code: int = CLOSE_NORMAL, reason: str = "") -> None:
        """A connection, which may be an end's, is gone or shall be closed; see RFC 6455, 7.4."""
        with self._lock:
            end, leg = self._bound.pop(number, (None, None))
            if end is not None and self._legs.get(end) is leg:
                del self._legs[end]
        if leg is not None:
            self._leaving.add(leg)
            leg.gone.add_done_callback(lambda _: self._leaving.discard(leg))
            self._loop.call_soon_threadsafe(leg.close, code, reason)

    def forget_session(self, session: int) -> None:
        """Nothing more comes for any of its ends."""
        with self._lock:
            self._early = {end: kept for end, kept in self._early.items() if end[0] != session}

    async def run(self, number: int) -> None:
        """Wait until a connection, which is an end's, is over.

        Raises ConnectionClosed, RemoteProtocolError.
        """
        if number not in self._bound:
            raise ConnectionClosed(CLOSE_ABNORMAL, STOPS if self._closed else "it is gone already")
        _, leg = self._bound[number]
        raise await asyncio.shield(asyncio.wrap_future(leg.ended))

    async def close(self) -> None:
        """Close all connections; those that come now are closed at once."""
        self._closed = True
        for number in list(self._bound):
            self.forget(number, CLOSE_GOING_AWAY, STOPS)
        if self._thread is not None:
            await asyncio.gather(*(asyncio.wrap_future(leg.gone) for leg in list(self._leaving)))
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()

    def _take(self, sender: End, frame: BulkFrame) -> Leg | None:
        """On the relay's thread: to whom a frame goes now, if to anybody."""
        session, endpoint = sender
        if frame.source != endpoint:
            raise RemoteProtocolError(f"bulk frame in the name of endpoint {frame.source}")
        end = session, frame.destination
        with self._lock:
            leg = self._legs.get(end)
            if leg is None and end in self._early:
                self._keep_early(self._early[end], endpoint, frame)
        # Else the other end is gone, and the core has told this one, or is about to.
        return leg

    def _keep_early(self, kept: _Early, sender: int, frame: BulkFrame) -> None:
        """Without credit, an end may send this much before the other is even connected."""
        kept.frames.append(frame)
        size = kept.sizes.get(sender, 0) + len(frame.payload) + eager_frame_bytes
        kept.sizes[sender] = size
        if size > 2 * eager_total_bytes_max:
            raise RemoteProtocolError("too many bytes without credit for an end not yet connected")
