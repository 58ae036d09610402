"""Connections inside one process, for tests: the same contract without a network.

Owns a pair of ends that hand messages to each other through the event loop, with the write buffers,
receive queues, limits and closing handshake of the real transports, and a way to break the link.
Has no keep-alive: such a link can't fall silent.
"""

from __future__ import annotations

import asyncio
from collections import deque

from vcl.transport import base
from vcl.transport.connection import Data, Settings


class MemoryConnection(base.BaseConnection):
    """One end of a pair. What it wrote and its peer has not read yet is its write buffer."""

    def __init__(self, settings: Settings, peer: str) -> None:
        super().__init__(settings, peer)
        self._other: MemoryConnection
        # Messages, and as (code, reason) a close frame.
        self._outgoing: deque[bytes | tuple[int, str]] = deque()
        self._outgoing_bytes = 0
        self._delivery: asyncio.Handle | None = None
        self._reading = True
        self._close_written = False
        self._close_read = False

    def join(self, other: MemoryConnection) -> None:
        """Make `other` the far end."""
        self._other = other

    def cut(self) -> None:
        """Break the link: what is under way is lost, and both ends learn of it with 1006."""
        self._abort()

    def _write(self, parts: tuple[Data, ...]) -> None:
        message = b"".join(parts)
        self._outgoing.append(message)
        self._outgoing_bytes += len(message)
        if self._outgoing_bytes > self._settings.write_buffer_bytes:
            self.pause_writing()
        self._deliver_soon()

    def _write_close(self, code: int, reason: str) -> None:
        if not self._close_written:
            self._close_written = True
            self._outgoing.append((code, reason))
            self._deliver_soon()

    def _write_ping(self) -> None:
        raise AssertionError("a memory connection has no keep-alive")

    def _set_reading(self, reading: bool) -> None:
        self._reading = reading
        if reading:
            self._other._deliver_soon()

    def _unsent_bytes(self) -> int:
        return self._outgoing_bytes

    def _abort(self) -> None:
        for end in (self, self._other):
            end._outgoing.clear()
            end._outgoing_bytes = 0
        if not self._lost.done():
            self.link_lost(None)
            self._loop.call_soon(self._other.link_lost, None)

    def _deliver_soon(self) -> None:
        if self._delivery is None and not self._lost.done():
            self._delivery = self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        self._delivery = None
        other = self._other
        while self._outgoing and other._reading and not self._lost.done():
            item = self._outgoing.popleft()
            if isinstance(item, bytes):
                self._outgoing_bytes -= len(item)
                other.frame_arrived(base.OPCODE_BINARY, item, True)
            else:
                other._take_close(*item)
        if self._writing_paused and self._outgoing_bytes <= self._settings.write_buffer_bytes // 4:
            self.resume_writing()

    def _take_close(self, code: int, reason: str) -> None:
        self._close_read = True
        self.peer_closed(code, reason)
        self._write_close(code, reason)
        if self._other._close_read:
            for end in (self, self._other):
                end.link_lost(None)


def pair(settings: Settings | None = None) -> tuple[MemoryConnection, MemoryConnection]:
    """Return the two ends of a new link, on the running event loop."""
    settings = settings or Settings()
    left, right = MemoryConnection(settings, "memory:1"), MemoryConnection(settings, "memory:0")
    left.join(right)
    right.join(left)
    return left, right
