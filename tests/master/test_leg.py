"""One bulk connection at the master, its far end a plain socket that says what it likes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from master import leg as subject
from master import turns
from master.leg import Leg
from vcl.direct.pool import Pool
from vcl.errors import RemoteProtocolError
from vcl.sockets import set_up
from vcl.transport import ConnectionClosed
from vcl.wire import frame
from vcl.wire.frame import BulkFrame
from vcl.wire.limits import chunk_bytes_max
from vcl.wire.websocket import BINARY, CLOSE, PING, PONG, pack_head

KEY = b"\x01\x80\xff\x3c"
TIMEOUT_S = 20


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """The ends of a connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        near = socket.create_connection(listening.getsockname())
        far, _ = listening.accept()
    return near, far


def masked(kind: int, payload: bytes, key: bytes = KEY) -> bytes:
    """A frame as who dialled sends it, made as RFC 6455, 5.3, says it and not as vcl does."""
    head = bytearray(pack_head(kind, len(payload), masked=True))
    head[-4:] = key
    if not any(key):
        return bytes(head) + payload
    return bytes(head) + bytes(b ^ key[n % 4] for n, b in enumerate(payload))


def bulk(payload: bytes, offset: int = 0, kind: int = frame.CHUNK) -> bytes:
    return frame.pack_bulk_header(BulkFrame(kind, False, 1, 0, 7, offset, b"")) + payload


class Rig:
    """A leg on the running loop, and the socket at its other end."""

    def __init__(self) -> None:
        self.near, far = tcp_pair()
        self.near.setblocking(False)
        set_up(far)
        self.loop = asyncio.get_running_loop()
        self.taken: list[tuple[int, bytes]] = []
        self.to: Leg | None = None
        self.leg = Leg(far, self._take, Pool(shares=False), self.loop)
        self.leg.join()

    def _take(self, taken: BulkFrame) -> Leg | None:
        self.taken.append((taken.offset, bytes(taken.payload)))
        return self.to

    async def send(self, data: bytes) -> None:
        await self.loop.sock_sendall(self.near, data)

    async def receive(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = await self.loop.sock_recv(self.near, size - len(data))
            assert more, f"the end came after {data!r}"
            data += more
        return data

    async def receive_frame(self) -> tuple[int, bytes]:
        kind, size = await self.receive(2)
        if size == 126:
            (size,) = struct.unpack("!H", await self.receive(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self.receive(8))
        return kind, await self.receive(size)

    async def until_taken(self, count: int) -> None:
        while len(self.taken) < count:
            assert not self.leg.ended.done(), self.leg.ended.result()
            await asyncio.sleep(0)

    async def ended(self) -> Exception:
        return await asyncio.wrap_future(self.leg.ended)

    async def end(self) -> None:
        self.near.close()
        await asyncio.wrap_future(self.leg.gone)


async def greeted() -> Rig:
    """Whose far end has taken its socket."""
    made = Rig()
    await made.send(masked(PING, b""))
    assert await made.receive_frame() == (PONG, b"")
    return made


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with asyncio.timeout(TIMEOUT_S):
        made = await greeted()
        yield made
        await made.end()


async def test_nothing_is_said_to_an_end_before_it_has_said_something() -> None:
    """It may still have its socket in a library's hands, which would read what comes."""
    rig = Rig()
    async with asyncio.timeout(TIMEOUT_S):
        rig.leg.push(BulkFrame(frame.CHUNK, True, 1, 0, 7, 0, b"early"))
        await asyncio.sleep(0)
        with pytest.raises(BlockingIOError):
            rig.near.recv(1)
        await rig.send(masked(PING, b""))
        kind, data = await rig.receive_frame()
        assert kind == BINARY and data[frame.BULK_HEADER_BYTES :] == b"early"
        assert await rig.receive_frame() == (PONG, b"")
        await rig.end()


async def test_an_end_that_never_says_anything_is_told_that_it_is_over() -> None:
    rig = Rig()
    async with asyncio.timeout(TIMEOUT_S):
        rig.leg.close(1000, "enough")
        kind, data = await rig.receive_frame()
        assert (kind, data[2:]) == (CLOSE, b"enough")
        await rig.end()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 400), st.binary(min_size=4, max_size=4)), max_size=6),
    st.lists(st.integers(1, 700), min_size=1, max_size=5),
)
async def test_frames_are_the_same_however_they_are_cut(
    frames: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    made = Rig()
    payloads = [bytes([n % 251 for n in range(size)]) for size, _ in frames]
    data = b"".join(
        masked(BINARY, bulk(payload, number), key)
        for number, (payload, (_, key)) in enumerate(zip(payloads, frames, strict=True))
    )
    async with asyncio.timeout(TIMEOUT_S):
        at = 0
        while at < len(data):
            cut = cuts[at % len(cuts)]
            await made.send(data[at : at + cut])
            at += cut
            await asyncio.sleep(0)
        await made.until_taken(len(frames))
        assert made.taken == list(enumerate(payloads))
        await made.end()


@pytest.mark.parametrize("size", [0, 1, 97, 98, 65507, 65508, 65536, chunk_bytes_max])
@pytest.mark.parametrize("key", [KEY, bytes(4)])
async def test_payloads_of_all_sizes_are_whole(rig: Rig, size: int, key: bytes) -> None:
    payload = (bytes(range(251)) * (size // 251 + 1))[:size]
    sending = asyncio.create_task(rig.send(masked(BINARY, bulk(payload), key) * 2))
    await rig.until_taken(2)
    await sending
    assert rig.taken == [(0, payload)] * 2


async def test_a_frame_goes_out_as_a_server_sends_it(rig: Rig) -> None:
    for size in (0, 5, 200, chunk_bytes_max):
        payload = bytes(size)
        rig.leg.push(BulkFrame(frame.CHUNK, True, 1, 0, 7, size, payload))
        kind, message = await rig.receive_frame()
        assert kind == BINARY
        sent = frame.unpack_bulk(message)
        assert (sent.offset, sent.last, bytes(sent.payload)) == (size, True, payload)


async def test_what_is_pushed_before_it_is_served_comes_first() -> None:
    near, far = tcp_pair()
    near.setblocking(False)
    set_up(far)
    loop = asyncio.get_running_loop()
    leg = Leg(far, lambda _: None, Pool(shares=False), loop)
    early = BulkFrame(frame.CHUNK, True, 1, 0, 7, 1, b"")
    leg.push(early)
    leg.push(early._replace(offset=2))
    leg.join()
    near.sendall(masked(BINARY, bulk(b"")))
    data = await loop.sock_recv(near, 2 * (2 + frame.BULK_HEADER_BYTES))
    size = len(data) // 2
    assert [frame.unpack_bulk(d[2:]).offset for d in (data[:size], data[size:])] == [1, 2]
    near.close()
    await asyncio.wrap_future(leg.gone)


async def test_a_ping_is_answered(rig: Rig) -> None:
    await rig.send(masked(PING, b"still there?"))
    assert await rig.receive_frame() == (PONG, b"still there?")
    await rig.send(masked(PONG, b"") + masked(BINARY, bulk(b"after")))
    await rig.until_taken(1)


async def test_pings_whose_answers_nobody_reads_are_not_answered(rig: Rig) -> None:
    rig.leg.push(BulkFrame(frame.CHUNK, True, 1, 0, 7, 0, bytes(16 * chunk_bytes_max)))
    assert rig.leg.is_full
    before = rig.leg._unsent_bytes
    await rig.send(masked(PING, b"x" * 125) * 100 + masked(BINARY, bulk(b"after")))
    await rig.until_taken(1)
    assert rig.leg._unsent_bytes == before


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (pack_head(BINARY, 40, masked=False) + bytes(40), "masks its frames"),
        (b"\x81\x85" + bytes(9), "of another kind"),
        (b"\x02\x85" + bytes(9), "of another kind"),
        (b"\xc2\x85" + bytes(9), "of another kind"),
        (b"\x89\xfe\x01\x00" + bytes(4), "long control frame"),
        (masked(BINARY, b"short"), "no whole header"),
        (masked(BINARY, b"\xff" * 40), "unknown kind"),
        (masked(BINARY, bulk(b"x", kind=frame.CREDIT)), "1 bytes in a bulk frame"),
        (masked(BINARY, bulk(b"", kind=frame.COMPRESSED)), "unknown kind"),
        (masked(BINARY, bulk(bytes(chunk_bytes_max + 1))), "bytes in a bulk frame"),
        (b"\x82\xff" + b"\xff" * 8 + KEY + masked(BINARY, bulk(b""))[6:], "bytes in a bulk frame"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_no_end_sends_ends_the_connection(rig: Rig, data: bytes, error: str) -> None:
    sending = asyncio.create_task(rig.send(data))
    ended = await rig.ended()
    assert isinstance(ended, RemoteProtocolError) and error in str(ended)
    kind, said = await rig.receive_frame()
    assert kind == CLOSE and said[:2] == struct.pack("!H", 1002) and error in said.decode("latin1")
    with contextlib.suppress(ConnectionError):
        await sending
    assert await rig.loop.sock_recv(rig.near, 1) == b""
    await rig.send(masked(BINARY, bulk(b"of no use")))
    assert not rig.leg.gone.done(), "else what it says might be lost with the connection"
    rig.near.close()
    await asyncio.wrap_future(rig.leg.gone)
    assert not rig.taken


async def test_garbage_after_this_end_has_closed(rig: Rig) -> None:
    """The answer to the close frame can't be found in it: nobody waits for that."""
    rig.leg.close(1000, "")
    await rig.ended()
    await rig.send(b"\x81 garbage" + masked(CLOSE, b""))
    assert await rig.receive_frame() == (CLOSE, struct.pack("!H", 1000))
    assert await rig.loop.sock_recv(rig.near, 1) == b""


async def test_the_other_end_closes(rig: Rig) -> None:
    await rig.send(masked(CLOSE, struct.pack("!H", 1001) + b"enough"))
    ended = await rig.ended()
    assert isinstance(ended, ConnectionClosed)
    assert (ended.code, ended.reason, ended.sent_by_peer) == (1001, "enough", True)
    assert await rig.receive_frame() == (CLOSE, struct.pack("!H", 1001))
    assert await rig.loop.sock_recv(rig.near, 1) == b""


async def test_a_close_frame_without_a_code(rig: Rig) -> None:
    await rig.send(masked(CLOSE, b""))
    ended = await rig.ended()
    assert isinstance(ended, ConnectionClosed) and ended.code == 1005
    assert await rig.receive_frame() == (CLOSE, struct.pack("!H", 1000))


@pytest.mark.parametrize("before", [b"", masked(BINARY, bulk(b"half of it"))[:-3], b"\x82"])
async def test_a_link_that_breaks(rig: Rig, before: bytes) -> None:
    await rig.send(before)
    rig.near.close()
    ended = await rig.ended()
    assert isinstance(ended, ConnectionClosed) and ended.code == 1006
    assert not rig.taken


async def test_this_end_closes_and_waits_for_the_answer(rig: Rig) -> None:
    rig.leg.push(BulkFrame(frame.CHUNK, True, 1, 0, 7, 0, bytes(8 * chunk_bytes_max)))
    rig.leg.close(1000, "the session is over")
    ended = await rig.ended()
    assert isinstance(ended, ConnectionClosed) and not ended.sent_by_peer
    await rig.send(masked(BINARY, bulk(b"too late")))
    assert len((await rig.receive_frame())[1]) > 8 * chunk_bytes_max, "what was pushed is sent"
    assert await rig.receive_frame() == (CLOSE, struct.pack("!H", 1000) + b"the session is over")
    assert not rig.leg.gone.done()
    await rig.send(masked(CLOSE, struct.pack("!H", 1000)))
    await asyncio.wrap_future(rig.leg.gone)
    assert not rig.taken


async def test_who_never_answers_is_not_waited_for(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "close_timeout_s", 0.01)
    rig.leg.push(BulkFrame(frame.CHUNK, True, 1, 0, 7, 0, bytes(64 * chunk_bytes_max)))
    rig.leg.close(1000, "")
    await asyncio.wrap_future(rig.leg.gone)


async def test_a_mistake_in_taking_a_frame_ends_this_connection(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(taken: BulkFrame) -> None:
        raise ZeroDivisionError("a mistake")

    monkeypatch.setattr(rig.leg, "_take", fail)
    await rig.send(masked(BINARY, bulk(b"")))
    assert isinstance(await rig.ended(), ZeroDivisionError)
    assert (await rig.receive_frame())[1] == struct.pack("!H", 1011) + b"a mistake"


async def test_who_sends_to_one_that_does_not_read_is_not_read_from(rig: Rig) -> None:
    """Else the master would keep all of it."""
    slow = await greeted()
    rig.to = slow.leg
    data = masked(BINARY, bulk(bytes(chunk_bytes_max)), bytes(4))
    sending = asyncio.create_task(rig.send(64 * data))
    while not rig.leg._held:
        await asyncio.sleep(0)
    assert len(rig.taken) < 32 and not sending.done()
    for _ in range(64):
        assert len((await slow.receive_frame())[1]) > chunk_bytes_max
    await sending
    assert not rig.leg._held and len(rig.taken) == 64
    await slow.end()


@pytest.mark.parametrize("ends", ["it goes", "it is closed"])
async def test_nobody_waits_for_one_that_is_gone(
    rig: Rig, ends: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "close_timeout_s", 0.01)
    slow = await greeted()
    rig.to = slow.leg
    sending = asyncio.create_task(rig.send(64 * masked(BINARY, bulk(bytes(2**20)), bytes(4))))
    while not rig.leg._held:
        await asyncio.sleep(0)
    if ends == "it goes":
        slow.near.close()
    else:
        slow.leg.close(1000, "")
    await asyncio.wrap_future(slow.leg.gone)
    await sending
    await rig.until_taken(64)
    slow.near.close()


async def test_others_have_their_turn_between_many_frames(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "turn_s_max", -1.0)
    rig.near.sendall(masked(BINARY, bulk(b"")) * 50)
    turns_of_others = 0
    while len(rig.taken) < 50:
        await asyncio.sleep(0)
        turns_of_others += 1
    assert turns_of_others >= 50
