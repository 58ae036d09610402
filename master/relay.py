"""Bulk that goes through the master: from one end of a session to another.

Owns: which connection is which end, and frames for ends that aren't connected yet. Must not know:
what is in a frame but its header, or why it travels.
"""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass, field

from master.turns import Turn
from vcl.errors import RemoteProtocolError
from vcl.links import deliver
from vcl.transport import Connection, ConnectionClosed
from vcl.wire import frame
from vcl.wire.frame import Bytes
from vcl.wire.limits import chunk_bytes_max, eager_frame_bytes, eager_total_bytes_max

End = tuple[int, int]
"""(session, endpoint)."""


@dataclass(slots=True)
class _Early:
    """Bulk frames for an end that isn't connected yet. sizes: their bytes, by their sender."""

    frames: list[Bytes] = field(default_factory=list)
    sizes: dict[int, int] = field(default_factory=dict)


class Relay:
    """Of one master; all on its loop."""

    def __init__(self) -> None:
        self._bulk: dict[End, Connection] = {}
        self._bound: dict[int, End] = {}
        self._early: dict[End, _Early] = {}

    def expect(self, end: End) -> None:
        """It is about to connect: what comes for it is kept."""
        self._early[end] = _Early()

    def bind(self, number: int, connection: Connection, end: End) -> None:
        """A connection is that end's. number: of the connection."""
        self._bound[number] = end
        self._bulk[end] = connection
        for data in self._early.pop(end, _Early()).frames:
            connection.send_soon(data)

    def forget(self, number: int) -> None:
        """A connection is gone, which may have been an end's."""
        end = self._bound.pop(number, None)
        if end is not None:
            self._bulk.pop(end, None)

    def forget_session(self, session: int) -> None:
        """Nothing more comes for any of its ends."""
        self._early = {end: kept for end, kept in self._early.items() if end[0] != session}

    async def run(self, number: int, connection: Connection) -> None:
        """Pass bulk frames on to the endpoint that they name, within the session only.

        number: of the connection, which is an end's. Raises ConnectionClosed, RemoteProtocolError.
        """
        session, endpoint = self._bound[number]
        turn = Turn()

        def take(data: Bytes) -> Awaitable[None] | None:
            turn.begin()
            header = frame.unpack_bulk(data)
            if header.source != endpoint:
                raise RemoteProtocolError(f"bulk frame in the name of endpoint {header.source}")
            end = session, header.destination
            destination = self._bulk.get(end)
            if destination is not None:
                with suppress(ConnectionClosed):  # its own reader is about to say so
                    destination.send_soon(data)
                if destination.unsent_bytes > chunk_bytes_max:
                    return _drained(destination)
            elif end in self._early:
                self._keep_early(end, endpoint, data)
            # Else the other end is gone, and the core has told this one, or is about to.
            return turn.others() if turn.is_over else None

        await deliver(connection, take, borrows=True)

    def _keep_early(self, end: End, sender: int, data: Bytes) -> None:
        """Without credit, an end may send this much before the other is even connected."""
        kept = self._early[end]
        kept.frames.append(bytes(data))
        size = kept.sizes[sender] = kept.sizes.get(sender, 0) + len(data) + eager_frame_bytes
        if size > 2 * eager_total_bytes_max:
            raise RemoteProtocolError("too many bytes without credit for an end not yet connected")


async def _drained(destination: Connection) -> None:
    with suppress(ConnectionClosed):  # as above
        await destination.drained()
