"""Whether a peer that says nothing for long is still there.

Owns: when to ping, and when to call the peer gone. Must not know what a connection is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from vcl.transport.connection import Settings

LATE_S = 1.0
"""When the end of waiting for a ping's answer is noticed so much later, this side is slow: it may
not have read yet what has come meanwhile."""


class KeepAlive:
    """From `start` to `stop`.

    loop: all is called on it. settings: how long. ping: writes one. is_deaf: whether this side
    doesn't read for now, which says nothing of the peer. unsent_bytes: what was written and hasn't
    left. lost: is called once, with the reason.

    heard: to be set at whatever the peer says.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: Settings,
        ping: Callable[[], None],
        is_deaf: Callable[[], bool],
        unsent_bytes: Callable[[], int],
        lost: Callable[[str], None],
    ) -> None:
        self._loop, self._settings = loop, settings
        self._ping, self._is_deaf = ping, is_deaf
        self._unsent_bytes, self._lost = unsent_bytes, lost
        self._timer: asyncio.TimerHandle | None = None
        self.heard = False

    def start(self) -> None:
        """From now on."""
        self.heard = False
        self._timer = self._loop.call_later(self._settings.ping_interval_s, self._look)

    def stop(self) -> None:
        """Idempotent; before `start` too."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        if self.heard or self._is_deaf():
            self.start()
            return
        self._ping()
        due_s = self._loop.time() + self._settings.ping_timeout_s
        self._timer = self._loop.call_at(due_s, self._judge, self._unsent_bytes(), due_s)

    def _judge(self, unsent_bytes: int, due_s: float) -> None:
        late = self._loop.time() - due_s > LATE_S
        # On a slow link the ping may still wait behind bulk; bytes that leave are a sign of life.
        if late or self.heard or self._is_deaf() or self._unsent_bytes() != unsent_bytes:
            self.start()
        else:
            self._lost(f"no answer to a ping within {self._settings.ping_timeout_s:g} s")
