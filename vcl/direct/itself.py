"""From one device of an executor to another: bytes that needn't leave the process.

Owns: that way, which takes the part of a direct link. Must not know: devices, or whose bytes they
are.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import Callable, Sequence

from vcl.direct.pool import Pool
from vcl.running import Running
from vcl.transfers import GrantCredit, Stream
from vcl.wire.frame import CHUNK, CREDIT, BulkFrame

copied_bytes_max = 8 * 2**20
"""What is copied in one go, on the loop."""

under_way_max = 4
"""Chunks that are copied and not yet taken to their device, past which streams wait."""


class ToItself:
    """own: the endpoint. take, streamed, pool: as of links."""

    def __init__(
        self,
        own: int,
        take: Callable[[Sequence[BulkFrame]], None],
        streamed: Callable[[int], None],
        pool: Pool,
    ) -> None:
        self._own = own
        self._take, self._streamed, self._pool = take, streamed, pool
        self._loop = asyncio.get_running_loop()
        self._under_way = 0
        self._room = asyncio.Event()
        self._streams = Running("a stream within the process failed")

    def grant(self, effect: GrantCredit) -> None:
        """Give credit; not at once, as the owner is in the middle of something."""
        credit = BulkFrame(CREDIT, False, self._own, self._own, effect.transfer, 0, b"")
        self._loop.call_soon(self._take, [credit])

    def stream(self, effect: Stream) -> None:
        """Copy a transfer in chunks, taking turns with others."""
        self._streams.start(self._stream(effect))

    async def _stream(self, effect: Stream) -> None:
        for offset, chunk, last in effect.chunks(copied_bytes_max):
            while self._under_way >= under_way_max:
                self._room.clear()
                await self._room.wait()
            # The bytes may change once all count as sent, and the device takes them later.
            kept = self._pool.keep(chunk)
            if isinstance(kept, memoryview):
                self._under_way += 1
                weakref.finalize(kept.obj, self._taken).atexit = False
            transfer = effect.transfer
            self._take([BulkFrame(CHUNK, last, self._own, self._own, transfer, offset, kept)])
            del kept
            await asyncio.sleep(0)
        self._streamed(effect.transfer)

    def _taken(self) -> None:
        """From any thread: nothing refers to a chunk any more."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._make_room)

    def _make_room(self) -> None:
        self._under_way -= 1
        self._room.set()
