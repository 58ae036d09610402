"""Whose turn it is on the master's loop, where one peer says so much that others would wait.

Owns: how long a turn may be, and when it is over. Must not know: what is done in one.
"""

from __future__ import annotations

import asyncio
import time

turn_s_max = 0.005
"""How long the loop works for one session or connection in one go, while others wait."""


class Turn:
    """Of one connection, for which much may have arrived at once; on its loop."""

    def __init__(self) -> None:
        self._end: float | None = None

    def begin(self) -> None:
        """Something is about to be done; it's part of this turn until others have had theirs."""
        if self._end is None:
            self._end = time.monotonic() + turn_s_max
            asyncio.get_running_loop().call_soon(self._others_passed)

    @property
    def is_over(self) -> bool:
        """Whether others have waited for long enough."""
        return self._end is not None and time.monotonic() > self._end

    async def others(self) -> None:
        """Let them have theirs."""
        await asyncio.sleep(0)

    def _others_passed(self) -> None:
        self._end = None
