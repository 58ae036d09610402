"""What runs beside its owner on the owner's loop.

Owns: that it isn't lost while it runs, and that an error in it is the loop's affair, at once. Must
not know: what it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class Running:
    """what: is said of an error."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._all: set[asyncio.Task[None]] = set()

    def start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run it on the running loop."""
        started = asyncio.get_running_loop().create_task(coroutine)
        self._all.add(started)
        started.add_done_callback(self._ended)

    def _ended(self, ended: asyncio.Task[None]) -> None:
        self._all.discard(ended)
        if not ended.cancelled() and (error := ended.exception()) is not None:
            context = {"message": self._what, "exception": error}
            ended.get_loop().call_exception_handler(context)

    def cancel(self) -> None:
        """Have all end that haven't."""
        for each in self._all:
            each.cancel()

    async def end(self, timeout_s: float) -> None:
        """Wait for all, but not longer than that; those that last longer are cancelled."""
        if self._all:
            _, tardy = await asyncio.wait(self._all, timeout=timeout_s)
            for each in tardy:
                each.cancel()
