"""Bytes within a process: they arrive, in chunks, and not more than a few at a time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

import pytest

from tests.vcl.direct.ends import LONG_S, whole
from vcl.direct.itself import ToItself, copied_bytes_max, under_way_max
from vcl.direct.pool import Pool
from vcl.transfers import GrantCredit, Stream
from vcl.wire import frame
from vcl.wire.frame import BulkFrame


class Rig:
    """hold: whether the bytes stay where they came."""

    def __init__(self, hold: bool = False) -> None:
        self._hold = hold
        self.frames: list[BulkFrame] = []
        self.streamed: asyncio.Queue[int] = asyncio.Queue()
        pool = Pool(shares=False)
        self.itself = ToItself(4, self._take, self.streamed.put_nowait, pool)

    def _take(self, frames: Sequence[BulkFrame]) -> None:
        kept = frames if self._hold else [f._replace(payload=bytes(f.payload)) for f in frames]
        self.frames += kept


@pytest.mark.parametrize("size", [0, 5, copied_bytes_max, 5 * copied_bytes_max + 3])
async def test_bytes_arrive_and_may_change_afterwards(size: int) -> None:
    rig = Rig()
    data = bytearray(os.urandom(size))
    sent = bytes(data)
    rig.itself.stream(Stream(7, 4, (memoryview(data), b"tail")))
    async with asyncio.timeout(LONG_S):
        assert await rig.streamed.get() == 7
    data[:] = bytes(size)
    assert whole(rig.frames) == sent + b"tail"
    assert {(f.kind, f.source, f.destination, f.transfer) for f in rig.frames} == {
        (frame.CHUNK, 4, 4, 7)
    }


async def test_a_device_that_is_slow_holds_the_stream_up() -> None:
    rig = Rig(hold=True)
    data = os.urandom(3 * under_way_max * copied_bytes_max)
    rig.itself.stream(Stream(7, 4, (data,)))
    got = b""
    async with asyncio.timeout(LONG_S):
        while rig.streamed.empty():
            await asyncio.sleep(0.001)
            assert len(rig.frames) <= under_way_max
            got += b"".join(f.payload for f in rig.frames)
            rig.frames.clear()
    assert got + b"".join(f.payload for f in rig.frames) == data


async def test_credit_comes_but_not_at_once() -> None:
    rig = Rig()
    rig.itself.grant(GrantCredit(9, 4))
    assert rig.frames == []
    await asyncio.sleep(0)
    assert [(f.kind, f.transfer) for f in rig.frames] == [(frame.CREDIT, 9)]
