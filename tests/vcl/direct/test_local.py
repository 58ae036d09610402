"""Links between two ends of this host, over real sockets, in one process: what is theirs alone."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
from functools import partial

import numpy as np
import numpy.typing as npt
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
from vcl.wire.limits import chunk_bytes_max, packet_bytes_max, shared_chunk_bytes_max


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


@pytest.mark.parametrize("mib", [2, 130])
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
    assert len(b.frames) == 2 * -(-mib * 2**20 // shared_chunk_bytes_max), "in large chunks"
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


def lending(count: int, hold: bool = True) -> tuple[End, End, npt.NDArray[np.uint8]]:
    """Two ends, and bytes that the first lends though they change; the second keeps them there."""
    pool = Pool(changing=True)
    room = pool.buffer_room(count)
    assert room is not None
    room[:] = np.frombuffer(os.urandom(count), np.uint8)
    one, other = local_sockets()
    a = End(partial(LocalLink, find=pool.find), one, 1, 2)
    return a, End(LocalLink, other, 2, 1, hold), room


async def settled() -> None:
    """Whatever was under way between two ends of this process has come."""
    for _ in range(50):
        await asyncio.sleep(0.001)


async def test_memory_that_changes_is_lent_until_the_receiver_has_its_copy() -> None:
    a, b, room = lending(20 * 2**20)
    sent = room.tobytes()
    a.link.stream(Stream(7, 2, (room.data,)))
    a.link.stream(Stream(8, 2, (room[: 2**20].data,)))
    await b.until("sum(f.last for f in end.frames) == 2")
    assert a.link._ring is None, "nothing passed through a ring"
    await settled()
    assert a.streamed == [], "the receiver hasn't copied"
    assert whole([f for f in b.frames if f.transfer == 7]) == sent
    b.frames[:] = [f for f in b.frames if f.transfer == 8 or f.last]
    await settled()
    assert a.streamed == [], "one of three chunks is kept"
    b.frames[:] = [f for f in b.frames if f.transfer == 8]
    await a.until("end.streamed == [7]")
    b.frames.clear()
    await a.until("end.streamed == [7, 8]")
    assert not a.link._owing and not a.link._owed and not a.link._loans


async def test_bytes_that_change_once_they_count_as_sent_came_as_they_were() -> None:
    a, b, room = lending(4 * 2**20, hold=False)
    for n in range(1, 50):
        room[:] = n
        a.link.stream(Stream(n, 2, (room.data,)))
        await a.until("end.streamed")
        room[:] = 0
        assert a.streamed == [n]
        a.streamed.clear()
        await b.until("end.frames and end.frames[-1].last")
        assert whole(b.frames) == bytes([n]) * len(room)
        b.frames.clear()


async def test_a_peer_that_never_gives_back_holds_up_only_what_it_was_lent() -> None:
    a, b, room = lending(2**20)
    a.link.stream(Stream(7, 2, (room.data,)))
    await b.until("end.frames")
    a.link.stream(Stream(8, 2, (os.urandom(3 * 2**20),)))
    await a.until("end.streamed == [8]")
    await settled()
    assert a.streamed == [8] and not a.lost


async def test_an_end_with_bytes_of_its_peers_is_not_gone() -> None:
    a, b, room = lending(2**20)
    a.link.stream(Stream(7, 2, (room.data,)))
    await b.until("end.frames")
    b.link.close()
    await settled()
    assert a.streamed == [] and a.lost == []
    b.frames.clear()
    await a.until("end.lost")
    await a.until("end.streamed == [7]")


@pytest.mark.parametrize("both", [False, True])
async def test_a_link_that_ends_at_the_lender_ends_no_loan(both: bool) -> None:
    """both: whether the lender has bytes of its peer's, too."""
    a, b, room = lending(2**20)
    a._hold = True
    a.link.stream(Stream(7, 2, (room.data,)))
    await b.until("end.frames")
    if both:
        b.link.stream(Stream(3, 1, (os.urandom(2**20),)))
        await a.until("end.frames")
    sent = room.tobytes()
    b.link._send(direct.pack_packet(Taken(99)))
    await a.until("end.lost")
    assert a.lost == ["loan 99 isn't under way"]
    await settled()
    assert a.streamed == [] and b.lost == ([] if both else ["the other end is gone"])
    a.frames.clear()
    await b.until("end.lost")
    await settled()
    assert a.streamed == [] and whole(b.frames) == sent
    b.frames.clear()
    await a.until("end.streamed == [7]")
    assert a.link._socket.fileno() == b.link._socket.fileno() == -1


KEEPER = """
import asyncio, socket, sys
from tests.vcl.direct.ends import End
from vcl.direct.local import LocalLink

async def main():
    end = End(LocalLink, socket.socket(fileno=int(sys.argv[1])), 2, 1, True)
    await end.until("end.frames")
    print("kept", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_a_process_that_is_killed_gives_back_all() -> None:
    pool = Pool(changing=True)
    room = pool.buffer_room(2**20)
    assert room is not None
    one, other = local_sockets()
    a = End(partial(LocalLink, find=pool.find), one, 1, 2)
    command = [sys.executable, "-c", KEEPER, str(other.fileno())]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, pass_fds=[other.fileno()]
    ) as keeper:
        other.close()
        assert keeper.stdout is not None
        a.link.stream(Stream(7, 2, (room.data,)))
        assert await asyncio.to_thread(keeper.stdout.readline) == b"kept\n"
        await settled()
        assert a.streamed == [] and a.lost == []
        keeper.send_signal(signal.SIGKILL)
        await a.until("end.streamed == [7]")
        await a.until("end.lost == ['the other end is gone']")


async def test_a_loan_has_one_number() -> None:
    one, other = local_sockets()
    end = End(LocalLink, other, 2, 1, hold=True)
    share(one, 1)
    for _ in range(2):
        one.send(direct.pack_packet(InMemory(CHUNK, 5, 1, 0, 7)))
    await end.until("end.lost")
    assert end.lost == ["loan 5 is under way"]


async def test_a_peer_is_told_of_no_more_memories_than_it_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(local, "shared_memories_max", 3)
    pool = Pool(changing=True)
    rooms = [pool.buffer_room(16 * 2**20) for _ in range(4)]
    one, other = local_sockets()
    a = End(partial(LocalLink, find=pool.find), one, 1, 2)
    b = End(LocalLink, other, 2, 1)
    for n, room in enumerate(rooms):
        assert room is not None
        room[:] = n
        a.link.stream(Stream(n, 2, (room.data,)))
    await b.until("sum(f.last for f in end.frames) == 4")
    for n in range(4):
        assert whole([f for f in b.frames if f.transfer == n]) == bytes([n]) * (16 * 2**20)
    assert len(a.link._told) == 3 and not b.lost, "the others passed through a ring"


async def test_a_forked_child_doesn_t_keep_what_was_lent() -> None:
    """It has the socket as well, and uses nothing of the peer's."""
    one, other = local_sockets()
    pool = Pool(changing=True)
    room = pool.buffer_room(2**21)
    assert room is not None
    lender = End(partial(LocalLink, find=pool.find), one, 1, 2)
    borrower = End(LocalLink, other, 2, 1, hold=True)
    lender.link.stream(Stream(7, 2, (room.data,)))
    await borrower.until("end.frames and end.frames[-1].last")
    assert lender.streamed == []
    childs = other.dup()
    borrower.frames.clear()
    borrower.link.close()
    await lender.until("end.streamed == [7]")
    assert lender.lost == ["the other end is gone"]
    childs.close()
