"""Links between two ends of this host, over real sockets, in one process."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Sequence

import pytest

from vcl.direct import local
from vcl.direct.local import LocalLink
from vcl.direct.pool import Pool
from vcl.direct.shared import SharedMemory
from vcl.transfers import GrantCredit, Stream
from vcl.wire import direct, frame
from vcl.wire.direct import Forgotten, InMemory, Memory, Taken
from vcl.wire.frame import BulkFrame
from vcl.wire.limits import chunk_bytes_max, packet_bytes_max

LONG_S = 20.0


class End:
    """One end, which keeps what it is told. hold: whether it keeps the bytes where they came."""

    def __init__(
        self, connected: socket.socket, own: int, peer: int, hold: bool = False,
        find: local.Find = lambda data: None,
    ) -> None:
        self.frames: list[BulkFrame] = []
        self.streamed: list[int] = []
        self.lost: list[str] = []
        self._hold = hold
        self._changed = asyncio.Event()
        connected.setblocking(False)
        self.link = LocalLink(
            connected, own, peer, self._take, self._streamed, self._lost, find
        )

    def _take(self, frames: Sequence[BulkFrame]) -> None:
        kept = frames if self._hold else [f._replace(payload=bytes(f.payload)) for f in frames]
        self.frames += kept
        self._changed.set()

    def _streamed(self, transfer: int) -> None:
        self.streamed.append(transfer)
        self._changed.set()

    def _lost(self, reason: str) -> None:
        self.lost.append(reason)
        self._changed.set()

    async def until(self, what: str) -> None:
        """Wait until an expression of this end is true."""
        async with asyncio.timeout(LONG_S):
            while not eval(what, {"end": self}):
                self._changed.clear()
                await self._changed.wait()


def raw() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def ends(hold: bool = False) -> tuple[End, End]:
    one, other = raw()
    return End(one, 1, 2), End(other, 2, 1, hold)


def whole(frames: Sequence[BulkFrame]) -> bytes:
    """The bytes of a transfer, of which each chunk must begin where the one before ended."""
    offset = 0
    for each in frames:
        assert each.offset == offset
        offset += len(each.payload)
    assert [each.last for each in frames] == [False] * (len(frames) - 1) + [True]
    return b"".join(each.payload for each in frames)


SIZES = [0, 1, packet_bytes_max, packet_bytes_max + 1, 3 * chunk_bytes_max + 5, 20 * 2**20]


@pytest.mark.parametrize("size", SIZES)
async def test_bytes_arrive(size: int) -> None:
    a, b = ends()
    data = os.urandom(size)
    a.link.stream(Stream(7, 2, (data,)))
    await b.until("end.frames and end.frames[-1].last")
    await a.until("end.streamed == [7]")
    assert whole(b.frames) == data
    assert {(f.kind, f.source, f.destination, f.transfer) for f in b.frames} == {
        (frame.CHUNK, 1, 2, 7)
    }


async def test_pieces_and_credit() -> None:
    a, b = ends()
    pieces = (b"a" * 8, os.urandom(2 * 2**20), b"", b"tail")
    a.link.stream(Stream(7, 2, pieces))
    a.link.grant(GrantCredit(9, 2))
    await b.until("any(f.last for f in end.frames)")
    await b.until(f"any(f.kind == {frame.CREDIT} for f in end.frames)")
    assert whole([f for f in b.frames if f.kind == frame.CHUNK]) == b"".join(pieces)
    assert [f.transfer for f in b.frames if f.kind == frame.CREDIT] == [9]


async def test_streams_take_turns_and_both_ways_at_once() -> None:
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


async def test_a_receiver_that_keeps_the_bytes_holds_the_sender_up() -> None:
    a, b = ends(hold=True)
    data = os.urandom(10 * chunk_bytes_max)
    a.link.stream(Stream(7, 2, (data,)))
    await b.until("len(end.frames) == 8")
    assert a.streamed == []
    assert b"".join(f.payload for f in b.frames) == data[: 8 * chunk_bytes_max]
    b.frames.clear()
    await b.until("end.frames and end.frames[-1].last")
    await a.until("end.streamed == [7]")


async def test_without_memory_the_bytes_travel_in_packets(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "memfd_create", refuse)
    a, b = ends()
    data = os.urandom(5 * chunk_bytes_max)
    with caplog.at_level(logging.WARNING):
        for n in (1, 2):
            a.link.stream(Stream(n, 2, (data,)))
        await b.until("sum(f.last for f in end.frames) == 2")
    for n in (1, 2):
        assert whole([f for f in b.frames if f.transfer == n]) == data
    said = [r.getMessage() for r in caplog.records]
    assert len(said) == 1 and "no shared memory: [Errno 38]" in said[0], "it is said once"


async def test_the_bytes_may_change_once_they_count_as_sent() -> None:
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


async def test_a_link_ends_with_its_peer_and_streams_with_it() -> None:
    a, b = ends(hold=True)
    a.link.stream(Stream(7, 2, (bytes(20 * 2**20),)))
    await b.until("len(end.frames) == 8")
    b.link.close()
    await a.until("end.lost")
    assert a.lost == ["the other end is gone"] and b.lost == []
    await a.until("end.streamed == [7]")
    a.link.stream(Stream(8, 2, (b"x",)))
    a.link.stream(Stream(9, 2, (bytes(2**20),)))
    await a.until("sorted(end.streamed) == [7, 8, 9]")


async def test_nothing_is_left_open() -> None:
    before = set(os.listdir("/proc/self/fd"))
    a, b = ends()
    a.link.stream(Stream(7, 2, (bytes(3 * 2**20),)))
    await b.until("end.frames and end.frames[-1].last")
    a.link.close()
    b.link.close()
    assert set(os.listdir("/proc/self/fd")) == before


async def test_another_loop_goes_on_with_a_link() -> None:
    a, b = ends()
    a.link.stream(Stream(7, 2, (b"first",)))
    await b.until("len(end.frames) == 1")
    for end in (a, b):
        end.link.leave()

    def elsewhere() -> list[bytes]:
        async def run() -> list[bytes]:
            a.link.join()
            b.link.join()
            b._changed = asyncio.Event()
            a.link.stream(Stream(8, 2, (bytes(2**20),)))
            await b.until("end.frames[-1].last and len(end.frames) == 2")
            a.link.close()
            b.link.close()
            return [bytes(f.payload) for f in b.frames]

        return asyncio.run(run())

    assert await asyncio.to_thread(elsewhere) == [b"first", bytes(2**20)]


CHUNK = BulkFrame(frame.CHUNK, True, 2, 1, 7, 0, b"")
BAD = {
    "a stranger's": direct.FRAME + frame.pack_bulk_header(CHUNK._replace(source=3)),
    "for another": direct.FRAME + frame.pack_bulk_header(CHUNK._replace(destination=0)),
    "no kind": b"\x09" + bytes(28),
    "too short": direct.FRAME + bytes(5),
    "too long": direct.FRAME + frame.pack_bulk_header(CHUNK) + bytes(packet_bytes_max + 1),
    "no memory": direct.pack_packet(InMemory(CHUNK, 1, 1, 0, 5)),
    "of size 0": direct.pack_packet(InMemory(CHUNK, 1, 1, 0, 0)),
    "never lent": direct.pack_packet(Taken(1)),
    "never shared": direct.pack_packet(Forgotten(1)),
    "no descriptor": direct.pack_packet(Memory(1, 4096)),
    "no bytes": direct.pack_packet(Memory(1, 0)),
}


@pytest.mark.parametrize("name", BAD)
async def test_what_no_honest_peer_sends_ends_the_link(name: str) -> None:
    one, other = raw()
    end = End(other, 2, 1)
    one.send(BAD[name])
    await end.until("end.lost")
    assert end.frames == [] and len(end.lost) == 1
    assert one.recv(1) == b"", "the socket is closed"


def share(connected: socket.socket, number: int) -> None:
    memory = SharedMemory(4096)
    packet = direct.pack_packet(Memory(number, memory.size))
    socket.send_fds(connected, [packet], [memory.descriptor])


async def test_memory_is_shared_once() -> None:
    one, other = raw()
    end = End(other, 2, 1)
    for number in (1, 2, 2):
        share(one, number)
    await end.until("end.lost")
    assert end.lost == ["memory is shared once, with its descriptor"]


async def test_memory_has_an_end() -> None:
    one, other = raw()
    end = End(other, 2, 1)
    share(one, 1)
    one.send(direct.pack_packet(InMemory(CHUNK, 1, 1, 4090, 7)))
    await end.until("end.lost")
    assert end.lost == ["bytes 4090 to 4097 of 4096 that are shared"]


async def test_so_many_memories_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "shared_memories_max", 2)
    one, other = raw()
    end = End(other, 2, 1)
    for number in (1, 2):
        share(one, number)
    one.send(direct.pack_packet(Forgotten(2)))
    for number in (3, 4):
        share(one, number)
    await end.until("end.lost")
    assert end.lost == ["more than 2 shared memories"]


@pytest.mark.parametrize("mib", [2, 30])
async def test_what_is_in_shared_memory_isnt_copied(mib: int) -> None:
    pool = Pool()
    one, other = raw()
    a, b = End(one, 1, 2, find=pool.find), End(other, 2, 1, hold=True)
    data = os.urandom(mib * 2**20)
    kept = memoryview(pool.keep(memoryview(data)))
    for transfer, start in ((7, 0), (8, 100)):
        a.link.stream(Stream(transfer, 2, (kept[start:],)))
    await b.until("sum(f.last for f in end.frames) == 2")
    assert len(b.frames) == 2 * -(-mib // 8), "in large chunks"
    for transfer, start in ((7, 0), (8, 100)):
        assert whole([f for f in b.frames if f.transfer == transfer]) == data[start:]
    assert a.link._ring is None, "nothing passed through a ring"
    del kept
    pool.trim()
    assert not pool._returned and pool._idle_bytes == (30 if mib == 2 else 0) * 2**20
    b.frames.clear()
    await asyncio.sleep(0)
    async with asyncio.timeout(LONG_S):
        while not pool._returned:  # until it was said that nobody reads it
            await asyncio.sleep(0.001)


async def test_memory_that_is_gone_is_forgotten_by_the_peer() -> None:
    pool = Pool()
    one, other = raw()
    a, b = End(one, 1, 2, find=pool.find), End(other, 2, 1)
    a.link.stream(Stream(7, 2, (memoryview(pool.keep(memoryview(bytes(20 * 2**20)))),)))
    await b.until("any(f.last for f in end.frames)")
    assert len(b.link._peers) == 1
    async with asyncio.timeout(LONG_S):
        while a.link._loans:
            await asyncio.sleep(0.001)
        del pool
        a.link._find = lambda data: None
        while b.link._peers:
            await asyncio.sleep(0.001)
    assert not a.link._told and not a.lost and not b.lost
