"""Links between two ends of this host, over real sockets, in one process: what is theirs alone."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from functools import partial

import pytest

from tests.vcl.direct.ends import LONG_S, End, local_ends, local_sockets, whole
from vcl.direct import local
from vcl.direct.local import LocalLink
from vcl.direct.pool import Pool
from vcl.direct.shared import SharedMemory
from vcl.transfers import GrantCredit, Stream
from vcl.wire import direct, frame
from vcl.wire.direct import Forgotten, InMemory, Memory, Taken
from vcl.wire.frame import BulkFrame
from vcl.wire.limits import chunk_bytes_max, packet_bytes_max


async def test_a_receiver_that_keeps_the_bytes_holds_the_sender_up() -> None:
    a, b = local_ends(hold=True)
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
    a, b = local_ends()
    data = os.urandom(5 * chunk_bytes_max)
    with caplog.at_level(logging.WARNING):
        for n in (1, 2):
            a.link.stream(Stream(n, 2, (data,)))
        await b.until("sum(f.last for f in end.frames) == 2")
    for n in (1, 2):
        assert whole([f for f in b.frames if f.transfer == n]) == data
    said = [r.getMessage() for r in caplog.records]
    assert len(said) == 1 and "no shared memory: [Errno 38]" in said[0], "it is said once"


async def test_a_packet_that_cannot_be_sent_ends_the_link() -> None:
    one, other = local_sockets()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, packet_bytes_max // 4)
    a, b = End(LocalLink, one, 1, 2), End(LocalLink, other, 2, 1)
    a.link.grant(GrantCredit(9, 2))
    a.link.stream(Stream(7, 2, (bytes(packet_bytes_max),)))
    await b.until("end.lost")
    await a.until("end.lost")
    assert [f.transfer for f in b.frames] == [9], "what was sent before has come"


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
    one, other = local_sockets()
    end = End(LocalLink, other, 2, 1)
    one.send(BAD[name])
    await end.until("end.lost")
    assert end.frames == [] and len(end.lost) == 1
    assert one.recv(1) == b"", "the socket is closed"


def share(connected: socket.socket, number: int) -> None:
    memory = SharedMemory(4096)
    packet = direct.pack_packet(Memory(number, memory.size))
    socket.send_fds(connected, [packet], [memory.descriptor])


async def test_memory_is_shared_once() -> None:
    one, other = local_sockets()
    end = End(LocalLink, other, 2, 1)
    for number in (1, 2, 2):
        share(one, number)
    await end.until("end.lost")
    assert end.lost == ["memory is shared once, with its descriptor"]


async def test_memory_has_an_end() -> None:
    one, other = local_sockets()
    end = End(LocalLink, other, 2, 1)
    share(one, 1)
    one.send(direct.pack_packet(InMemory(CHUNK, 1, 1, 4090, 7)))
    await end.until("end.lost")
    assert end.lost == ["bytes 4090 to 4097 of 4096 that are shared"]


async def test_so_many_memories_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "shared_memories_max", 2)
    one, other = local_sockets()
    end = End(LocalLink, other, 2, 1)
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
    one, other = local_sockets()
    make = partial(LocalLink, find=pool.find)
    a, b = End(make, one, 1, 2), End(LocalLink, other, 2, 1, hold=True)
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
    one, other = local_sockets()
    make = partial(LocalLink, find=pool.find)
    a, b = End(make, one, 1, 2), End(LocalLink, other, 2, 1)
    a.link.stream(Stream(7, 2, (memoryview(pool.keep(memoryview(bytes(20 * 2**20)))),)))
    await b.until("any(f.last for f in end.frames)")
    assert len(b.link._peers) == 1
    async with asyncio.timeout(LONG_S):
        while a.link._loans:
            await asyncio.sleep(0.001)
        del pool, make
        a.link._find = lambda data: None
        while b.link._peers:
            await asyncio.sleep(0.001)
    assert not a.link._told and not a.lost and not b.lost
