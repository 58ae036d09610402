"""Links between two hosts, over real TCP on loopback, in one process: what is theirs alone."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import struct
from functools import partial

import pytest

from tests.vcl.direct.ends import End, stream_ends, stream_sockets, whole
from vcl.direct import compressing, stream
from vcl.direct.compressed import HAS_LZ4, compress
from vcl.direct.pool import Pool, is_at
from vcl.direct.stream import StreamLink, placed_bytes_min
from vcl.transfers import Stream
from vcl.wire import frame
from vcl.wire.frame import BulkFrame, pack_bulk_header
from vcl.wire.limits import chunk_bytes_max
from vcl.wire.websocket import BINARY, CLOSE, PING, PONG, pack_head

CHUNK = BulkFrame(frame.CHUNK, True, 2, 1, 7, 0, b"")
CREDIT = BulkFrame(frame.CREDIT, False, 2, 1, 7, 0, b"")
COMPRESSED = CHUNK._replace(kind=frame.COMPRESSED)

needs_lz4 = pytest.mark.skipif(not HAS_LZ4, reason="lz4 isn't installed")


def packed(chunk: BulkFrame, payload: bytes = b"", masked: bool = True) -> bytes:
    head = pack_head(BINARY, frame.BULK_HEADER_BYTES + len(payload), masked)
    return head + pack_bulk_header(chunk) + payload


def end(compresses: bool = False) -> tuple[socket.socket, End]:
    """A raw socket that has dialled, and the end that it has dialled."""
    one, other = stream_sockets()
    make = partial(StreamLink, pool=Pool(shares=False), dialled=False, compresses=compresses)
    return one, End(make, other, 2, 1)


async def test_frames_that_come_byte_by_byte() -> None:
    one, receiver = end()
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    data = packed(CREDIT) + packed(CHUNK, os.urandom(300))
    for byte in data:
        one.send(bytes([byte]))
        await asyncio.sleep(0)
    await receiver.until("len(end.frames) == 2")
    assert receiver.frames == [CREDIT, CHUNK._replace(payload=data[-300:])]


async def test_many_frames_at_once() -> None:
    one, receiver = end()
    one.send(b"".join(packed(CHUNK._replace(transfer=n), b"x" * n) for n in range(200)))
    await receiver.until("len(end.frames) == 200")
    assert [len(f.payload) for f in receiver.frames] == list(range(200))


async def test_who_dialled_masks_with_zeros_and_the_other_not() -> None:
    one, other = stream_sockets()
    for dialled, connected, raw in ((True, one, other), (False, other, one)):
        connected.setblocking(False)
        make = partial(StreamLink, pool=Pool(shares=False), dialled=dialled)
        sender = End(make, connected, 1, 2)
        sender.link.stream(Stream(7, 2, (b"payload",)))
        await sender.until("end.streamed == [7]")
        raw.setblocking(True)
        wanted = packed(BulkFrame(frame.CHUNK, True, 2, 1, 7, 0, b""), b"payload", dialled)
        assert raw.recv(1000) == wanted
        sender.link.leave()


class Places:
    """Where bytes of transfer 7 belong, as long as they may be written there."""

    def __init__(self, size: int) -> None:
        self.memory, self.open = bytearray(size), True

    def place(self, header: BulkFrame, size: int) -> memoryview | None:
        if not self.open or header.transfer != 7:
            return None
        return memoryview(self.memory)[header.offset : header.offset + size]


def placing(places: Places, compresses: bool = False) -> tuple[socket.socket, End]:
    """As `end`, of one whose bytes have places."""
    one, other = stream_sockets()
    make = partial(
        StreamLink, pool=Pool(shares=False), dialled=False, compresses=compresses,
        place=places.place,
    )  # fmt: skip
    return one, End(make, other, 2, 1, hold=True)


MANY = placed_bytes_min


async def test_bytes_are_read_to_where_they_belong() -> None:
    places, data = Places(3 * MANY), os.urandom(3 * MANY)
    one, receiver = placing(places)
    one.setblocking(True)
    one.sendall(packed(CHUNK._replace(last=False), data[:MANY]))
    one.sendall(packed(CHUNK._replace(transfer=8), b"elsewhere" * MANY)[:-1])
    await receiver.until("len(end.frames) == 1")
    one.sendall(b"e" + packed(CHUNK._replace(offset=MANY), data[MANY:])[:-1])
    await receiver.until("len(end.frames) == 2")
    one.sendall(data[-1:])
    await receiver.until("len(end.frames) == 3")
    assert places.memory == data
    first, second, third = (f.payload for f in receiver.frames)
    assert bytes(first) == data[:MANY] and second == b"elsewhere" * MANY
    assert is_at(first, memoryview(places.memory))
    assert is_at(third, memoryview(places.memory)[MANY:])


async def test_so_few_bytes_that_they_are_copied() -> None:
    places = Places(MANY)
    one, receiver = placing(places)
    one.send(packed(CHUNK, b"x" * (MANY - 1)))
    await receiver.until("end.frames")
    assert not any(places.memory)


async def test_the_rest_of_bytes_goes_no_longer_where_it_may_not() -> None:
    places, data = Places(MANY), os.urandom(MANY)
    one, receiver = placing(places)
    one.send(packed(CHUNK, data)[:-200])
    while places.memory[-201] != data[-201]:
        await asyncio.sleep(0)
    places.open = False
    places.memory[:] = b"x" * MANY  # by others, who may now
    one.send(data[-200:-100])
    for _ in range(20):
        await asyncio.sleep(0)
    places.open = True  # for others' bytes
    one.send(data[-100:])
    await receiver.until("end.frames")
    assert places.memory == b"x" * MANY
    assert bytes(receiver.frames[0].payload[-200:]) == data[-200:]


@needs_lz4
async def test_what_is_compressed_has_no_place() -> None:
    places, data = Places(8 * MANY), random.Random(1).randbytes(MANY) + bytes(7 * MANY)
    one, receiver = placing(places, compresses=True)
    one.setblocking(True)
    payload = compress(data)
    assert len(payload) >= placed_bytes_min
    one.sendall(packed(COMPRESSED, payload))
    await receiver.until("end.frames")
    assert receiver.frames[0].payload == data and not any(places.memory)


async def test_a_receiver_that_doesnt_read_holds_the_sender_up() -> None:
    a, b = stream_ends()
    b.link.leave()
    data = os.urandom(64 * 2**20)
    a.link.stream(Stream(7, 2, (data,)))
    for _ in range(100):
        await asyncio.sleep(0)
    assert a.streamed == []
    b.link.join()
    await a.until("end.streamed == [7]")
    await b.until("end.frames and end.frames[-1].last")
    assert whole(b.frames) == data


async def test_pings_are_answered() -> None:
    one, receiver = end()
    one.send(pack_head(PING, 5, True) + b"hello" + pack_head(PONG, 0, True) + packed(CREDIT))
    await receiver.until("end.frames")
    one.setblocking(True)
    assert one.recv(100) == pack_head(PONG, 5, False) + b"hello"


@pytest.mark.parametrize("polite", [True, False])
async def test_the_end_of_a_link(polite: bool) -> None:
    one, receiver = end()
    if polite:
        one.send(pack_head(CLOSE, 2, True) + b"\x03\xe8")
    else:
        one.send(packed(CHUNK, bytes(100))[:50])
        one.close()
    await receiver.until("end.lost")
    assert receiver.lost == ["the other end is gone"] and receiver.frames == []


async def test_a_link_that_is_closed_says_so() -> None:
    one, receiver = end()
    receiver.link.close()
    one.setblocking(True)
    assert one.recv(100) == pack_head(CLOSE, 0, False)
    assert one.recv(100) == b"" and receiver.lost == []


BAD = {
    "a stranger's": packed(CHUNK._replace(source=3)),
    "for another": packed(CHUNK._replace(destination=0)),
    "too long": packed(CHUNK, bytes(chunk_bytes_max + 1)),
    "credit with a payload": packed(CREDIT, b"x"),
    "not masked": packed(CHUNK, masked=False),
    "text": b"\x81" + packed(CHUNK)[1:],
    "a fragment": b"\x02" + packed(CHUNK)[1:],
    "no header": pack_head(BINARY, 5, True) + bytes(28),
    "another key": packed(CHUNK)[:2] + b"key!" + packed(CHUNK)[6:],
    "compressed, which wasn't agreed": packed(COMPRESSED, struct.pack("<I", 1000) + bytes(20)),
}


@pytest.mark.parametrize("name", BAD)
async def test_what_no_honest_peer_sends_ends_the_link(name: str) -> None:
    one, receiver = end()
    one.sendall(BAD[name][:1000])
    await receiver.until("end.lost")
    assert receiver.frames == [] and len(receiver.lost) == 1


# Compressed chunks

BAD_COMPRESSED = {
    "none": b"",
    "no size": b"\1",
    "a size and nothing else": struct.pack("<I", 1000),
    "garbage": struct.pack("<I", 1000) + b"\xff" * 100,
    "larger than a chunk": struct.pack("<I", chunk_bytes_max + 1) + bytes(100),
    "not smaller": struct.pack("<I", 100) + bytes(100),
}


@needs_lz4
@pytest.mark.parametrize("name", BAD_COMPRESSED)
async def test_a_compressed_chunk_that_is_none_ends_the_link(name: str) -> None:
    one, receiver = end(compresses=True)
    one.sendall(packed(CREDIT) + packed(COMPRESSED, BAD_COMPRESSED[name]))
    await receiver.until("end.lost")
    assert receiver.frames == [CREDIT] and len(receiver.lost) == 1
    assert "gone" not in receiver.lost[0]


@needs_lz4
async def test_a_compressed_chunk_comes_as_any_other() -> None:
    one, receiver = end(compresses=True)
    one.setblocking(True)
    one.sendall(packed(COMPRESSED, compress(bytes(1000))) + packed(CHUNK, b"plain"))
    await receiver.until("len(end.frames) == 2")
    assert receiver.frames == [CHUNK._replace(payload=data) for data in (bytes(1000), b"plain")]


def compressing_ends(monkeypatch: pytest.MonkeyPatch, one: bool, other: bool) -> tuple[End, End]:
    """Who is told that both can compress, and then does if a chunk becomes smaller."""

    class Always(compressing.Decision):
        def wants(self, size: int) -> bool:
            return size > 0

        def compressed(self, plain: int, left: int, seconds: float) -> bool:
            return left < plain

    monkeypatch.setattr(stream, "Decision", Always)
    dialled, accepted = stream_sockets()
    pool = Pool(shares=False)
    first = partial(StreamLink, pool=pool, dialled=True, compresses=one)
    second = partial(StreamLink, pool=pool, dialled=False, compresses=other)
    return End(first, dialled, 1, 2), End(second, accepted, 2, 1)


@needs_lz4
async def test_compressed_and_plain_chunks_arrive_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = compressing_ends(monkeypatch, True, True)
    data = tuple(bytes([n]) * 3_000_000 if n % 2 else os.urandom(1_500_000) for n in range(9))
    a.link.stream(Stream(7, 2, (*data, b"")))
    b.link.stream(Stream(8, 1, data))
    for receiver, sender in ((a, b), (b, a)):
        await receiver.until("end.frames and end.frames[-1].last")
        assert whole(receiver.frames) == b"".join(data)
        assert {f.kind for f in receiver.frames} == {frame.CHUNK}
        await sender.until("end.streamed")


async def test_without_agreement_nothing_is_compressed(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = compressing_ends(monkeypatch, False, False)
    a.link.stream(Stream(7, 2, (bytes(3_000_000),)))
    await b.until("end.frames and end.frames[-1].last")
    assert whole(b.frames) == bytes(3_000_000)


async def forward(source: socket.socket, sink: socket.socket, passed: list[int]) -> None:
    """Carry bytes on, not faster than 16 MB/s."""
    loop = asyncio.get_running_loop()
    while data := await loop.sock_recv(source, 16_000):
        passed.append(len(data))
        await loop.sock_sendall(sink, data)
        await asyncio.sleep(0.001)


@needs_lz4
@pytest.mark.parametrize("compressible", [True, False])
async def test_a_slow_link_finds_out_what_pays(
    compressible: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compressing, "sample_share", 0.5)  # so that it's soon
    (dialled, near), (far, accepted) = stream_sockets(), stream_sockets()
    for each in (dialled, near):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 100_000)
        each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 100_000)
        each.setblocking(False)
    far.setblocking(False)
    first, second = (
        partial(StreamLink, pool=Pool(shares=False), dialled=d, compresses=True)
        for d in (True, False)
    )
    a, b = End(first, dialled, 1, 2), End(second, accepted, 2, 1)
    passed: list[int] = []
    forwarding = asyncio.create_task(forward(near, far, passed))
    data = bytes(24 * 2**20) if compressible else os.urandom(6 * 2**20)
    a.link.stream(Stream(7, 2, (data,)))
    await b.until("end.frames and end.frames[-1].last")
    assert whole(b.frames) == data
    assert (sum(passed) < len(data) / 2) is compressible
    a.link.close()
    await forwarding
