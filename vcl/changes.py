"""Waiting on an event loop until something has changed.

Owns: who waits. Must not know what for: they look again once they are woken.
"""

from __future__ import annotations

import asyncio


class Changes:
    """Of something; used on one loop."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[None], None] = {}  # in their order

    async def wait(self) -> None:
        """Until `tell` is called."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting[waiter] = None
        try:
            await waiter
        finally:
            del self._waiting[waiter]

    def tell(self) -> None:
        """Wake all that wait now."""
        for waiter in self._waiting:
            if not waiter.done():  # it was told before, or has been given up
                waiter.set_result(None)
