"""What all kinds of direct links promise, over real sockets, in one process."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable

import pytest

from tests.vcl.direct.ends import End, local_ends, stream_ends, tls_ends, whole
from vcl.transfers import GrantCredit, Stream
from vcl.wire import frame
from vcl.wire.limits import chunk_bytes_max, packet_bytes_max

Ends = Callable[..., tuple[End, End]]
ALL = pytest.mark.parametrize(
    "ends", [local_ends, stream_ends, tls_ends], ids=["local", "stream", "tls"]
)

SIZES = [0, 1, packet_bytes_max, packet_bytes_max + 1, 3 * chunk_bytes_max + 5, 20 * 2**20]


@pytest.mark.parametrize("size", SIZES)
@ALL
async def test_bytes_arrive(ends: Ends, size: int) -> None:
    a, b = ends()
    data = os.urandom(size)
    a.link.stream(Stream(7, 2, (data,)))
    await b.until("end.frames and end.frames[-1].last")
    await a.until("end.streamed == [7]")
    assert whole(b.frames) == data
    assert {(f.kind, f.source, f.destination, f.transfer) for f in b.frames} == {
        (frame.CHUNK, 1, 2, 7)
    }


@ALL
async def test_pieces_and_credit(ends: Ends) -> None:
    a, b = ends()
    pieces = (b"a" * 8, os.urandom(2 * 2**20), b"", b"tail")
    a.link.stream(Stream(7, 2, pieces))
    a.link.grant(GrantCredit(9, 2))
    await b.until("any(f.last for f in end.frames)")
    await b.until(f"any(f.kind == {frame.CREDIT} for f in end.frames)")
    assert whole([f for f in b.frames if f.kind == frame.CHUNK]) == b"".join(pieces)
    assert [f.transfer for f in b.frames if f.kind == frame.CREDIT] == [9]


@ALL
async def test_streams_take_turns_and_both_ways_at_once(ends: Ends) -> None:
    a, b = ends()
    data = {n: os.urandom(6 * 2**20) for n in range(4)}
    for n in (0, 1):
        a.link.stream(Stream(n, 2, (data[n],)))
    for n in (2, 3):
        b.link.stream(Stream(n, 1, (data[n],)))
    await a.until("sorted(end.streamed) == [0, 1] and sum(f.last for f in end.frames) == 2")
    await b.until("sorted(end.streamed) == [2, 3] and sum(f.last for f in end.frames) == 2")
    for n in data:
        end = b if n < 2 else a
        assert whole([f for f in end.frames if f.transfer == n]) == data[n]
    firsts = [f.transfer for f in b.frames[:4]]
    assert set(firsts) == {0, 1}, "the second doesn't wait for the first"


@ALL
async def test_the_bytes_may_change_once_they_count_as_sent(ends: Ends) -> None:
    a, b = ends()
    buffers = [bytearray(os.urandom(n)) for n in (60_000, 2 * 2**20)]
    sent = [bytes(buffer) for buffer in buffers]
    for n, buffer in enumerate(buffers * 8):
        a.link.stream(Stream(n, 2, (memoryview(buffer),)))
    await a.until("len(end.streamed) == 16")
    for buffer in buffers:
        buffer[:] = bytes(len(buffer))
    await b.until("sum(f.last for f in end.frames) == 16")
    for n in range(16):
        assert whole([f for f in b.frames if f.transfer == n]) == sent[n % 2]


@ALL
async def test_a_link_ends_with_its_peer_and_streams_with_it(ends: Ends) -> None:
    a, b = ends(True)
    a.link.stream(Stream(7, 2, (bytes(20 * 2**20),)))
    await b.until("len(end.frames) == 8")
    b.link.close()
    b.frames.clear()
    await a.until("end.lost")
    assert a.lost == ["the other end is gone"] and b.lost == []
    await a.until("end.streamed == [7]")
    a.link.stream(Stream(8, 2, (b"x",)))
    a.link.stream(Stream(9, 2, (bytes(2**20),)))
    await a.until("sorted(end.streamed) == [7, 8, 9]")


@ALL
async def test_nothing_is_left_open(ends: Ends) -> None:
    gc.collect()  # what other tests left
    before = set(os.listdir("/proc/self/fd"))
    a, b = ends()
    a.link.stream(Stream(7, 2, (bytes(3 * 2**20),)))
    await b.until("end.frames and end.frames[-1].last")
    a.link.close()
    b.link.close()
    assert set(os.listdir("/proc/self/fd")) == before


@ALL
async def test_another_loop_goes_on_with_a_link(ends: Ends) -> None:
    a, b = ends()
    a.link.stream(Stream(7, 2, (b"first",)))
    await b.until("len(end.frames) == 1")
    for end in (a, b):
        end.link.leave()

    def elsewhere() -> list[bytes]:
        async def run() -> list[bytes]:
            a.link.join()
            b.link.join()
            b.renew()
            a.link.stream(Stream(8, 2, (bytes(2**20),)))
            await b.until("end.frames[-1].last and len(end.frames) == 2")
            a.link.close()
            b.link.close()
            return [bytes(f.payload) for f in b.frames]

        return asyncio.run(run())

    assert await asyncio.to_thread(elsewhere) == [b"first", bytes(2**20)]
