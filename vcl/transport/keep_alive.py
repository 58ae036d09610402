"""Whether a peer that says nothing for long is still there.

Owns: when to ping, and when to call the peer gone. Must not know what a connection is.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from vcl.transport.connection import Settings

LATE_S = 1.0
"""When the end of waiting for a ping's answer is noticed so much later, this side is slow: it may
not have read yet what has come meanwhile."""


class Watched(Protocol):
    """What `KeepAlive` asks of a connection; all on its loop."""

    @property
    def is_deaf(self) -> bool:
        """Whether this side doesn't read for now, which says nothing of the peer."""

    @property
    def unsent_bytes(self) -> int:
        """How much of what was written hasn't left."""

    def ping(self) -> None:
        """Write one."""

    def silent(self, reason: str) -> None:
        """The peer is gone; called at most once."""


class KeepAlive:
    """From `start` to `stop`, after which it refers to the connection no more: else only the
    garbage collector would find what is left of either.

    heard: to be set at whatever the peer says.
    """

    def __init__(
        self, watched: Watched, loop: asyncio.AbstractEventLoop, settings: Settings
    ) -> None:
        self._watched: Watched | None = watched
        self._loop, self._settings = loop, settings
        self._timer: asyncio.TimerHandle | None = None
        self.heard = False

    def start(self) -> None:
        """From now on; nothing once it was stopped."""
        if self._watched is not None:
            self.heard = False
            self._timer = self._loop.call_later(self._settings.ping_interval_s, self._look)

    def stop(self) -> None:
        """For good. Idempotent; before `start` too."""
        self._watched = None
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        watched = self._watched
        assert watched is not None
        if self.heard or watched.is_deaf:
            self.start()
            return
        watched.ping()
        if self._watched is None:
            return  # that was its end
        unsent_bytes = watched.unsent_bytes  # with the ping, if it hasn't left
        due_s = self._loop.time() + self._settings.ping_timeout_s
        self._timer = self._loop.call_at(due_s, self._judge, unsent_bytes, due_s)

    def _judge(self, unsent_bytes: int, due_s: float) -> None:
        watched = self._watched
        assert watched is not None
        late = self._loop.time() - due_s > LATE_S
        # On a slow link the ping may still wait behind bulk; bytes that leave are a sign of life.
        if late or self.heard or watched.is_deaf or watched.unsent_bytes != unsent_bytes:
            self.start()
        else:
            watched.silent(f"no answer to a ping within {self._settings.ping_timeout_s:g} s")
