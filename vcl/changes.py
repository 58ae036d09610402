"""Waiting on an event loop until something has changed.

Owns: who waits. Must not know what for: they look again once they are woken.
"""

from __future__ import annotations

import asyncio


class Changes:
    """Of something; used on one loop."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []

    async def wait(self) -> None:
        """Until `tell` is called."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        await waiter

    def tell(self) -> None:
        """Wake all that wait now."""
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():  # it may have been given up
                waiter.set_result(None)
