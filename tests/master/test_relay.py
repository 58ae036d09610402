"""The relay by itself, over connections in memory: what goes where, and who waits for whom.

What the server makes of it is in `test_server` and `test_server_turns`.
"""

from __future__ import annotations

import asyncio

import pytest

from master import turns
from master.relay import Relay
from tests.master.test_server import chunk
from vcl.errors import RemoteProtocolError
from vcl.transport import Connection, ConnectionClosed, Settings, memory
from vcl.wire import frame
from vcl.wire.limits import chunk_bytes_max

SMALL = Settings(write_buffer_bytes=chunk_bytes_max)


class Rig:
    """Ends of session 1 by their endpoints, each with its connection's near side."""

    def __init__(self, *endpoints: int, settings: Settings | None = None) -> None:
        self.relay = Relay()
        self.near: dict[int, Connection] = {}
        self.running: dict[int, asyncio.Task[None]] = {}
        for endpoint in endpoints:
            self.join(endpoint, settings)

    def join(self, endpoint: int, settings: Settings | None = None) -> None:
        near, far = memory.pair(settings or Settings())
        self.near[endpoint] = near
        self.relay.bind(100 + endpoint, far, (1, endpoint))
        self.running[endpoint] = asyncio.create_task(self.relay.run(100 + endpoint, far))

    async def received(self, endpoint: int) -> bytes:
        return bytes(frame.unpack_bulk(await self.near[endpoint].recv()).payload)

    async def end(self) -> None:
        for near in self.near.values():
            await near.close()
        await asyncio.gather(*self.running.values(), return_exceptions=True)


async def test_frames_go_where_they_say_in_order() -> None:
    r = Rig(0, 1, 2)
    for number in range(5):
        await r.near[0].send(*chunk(1 + number % 2, 0, b"%d" % number))
    assert [await r.received(1) for _ in range(3)] == [b"0", b"2", b"4"]
    assert [await r.received(2) for _ in range(2)] == [b"1", b"3"]
    await r.end()


async def test_a_frame_in_the_name_of_another_ends_the_connection() -> None:
    r = Rig(0, 1)
    await r.near[1].send(*chunk(0, 0, b"not mine"))
    with pytest.raises(RemoteProtocolError, match="in the name of endpoint 0"):
        await r.running[1]
    await r.end()


async def test_what_comes_for_an_end_that_is_expected_is_kept_for_it() -> None:
    r = Rig(0)
    r.relay.expect((1, 7))
    await r.near[0].send(*chunk(7, 0, b"early"))
    await r.near[0].send(*chunk(8, 0, b"for nobody"))
    await r.near[0].send(*chunk(0, 0, b"taken in"))
    assert await r.received(0) == b"taken in"
    r.join(7)
    assert await r.received(7) == b"early"
    r.relay.expect((1, 9))
    r.relay.forget_session(1)
    await r.end()


async def test_what_is_kept_is_not_what_was_lent(monkeypatch: pytest.MonkeyPatch) -> None:
    deliver = memory.MemoryConnection.deliver

    def lend(self: Connection, take, borrows: bool = False) -> None:  # type: ignore[no-untyped-def]
        def lent(message: bytes) -> None:
            buffer = bytearray(message)
            take(memoryview(buffer))
            buffer[:] = bytes(len(buffer))  # the next message

        deliver(self, None if take is None else lent if borrows else take)

    monkeypatch.setattr(memory.MemoryConnection, "deliver", lend)
    r = Rig(0)
    r.relay.expect((1, 7))
    await r.near[0].send(*chunk(7, 0, b"early"))
    await r.near[0].send(*chunk(0, 0, b"taken in"))
    assert await r.received(0) == b"taken in"
    r.join(7)
    assert await r.received(7) == b"early"
    await r.end()


async def test_who_sends_waits_for_who_does_not_read() -> None:
    """Else the master would keep all of it."""
    r = Rig(0, 1, settings=SMALL)
    sent = 0

    async def send() -> None:
        nonlocal sent
        for _ in range(50):
            await r.near[0].send(*chunk(1, 0, bytes(chunk_bytes_max)))
            sent += 1

    sending = asyncio.create_task(send())
    while True:
        before = sent
        for _ in range(100):
            await asyncio.sleep(0)
        if sent == before:
            break
    assert 0 < sent < 25
    for _ in range(50):
        await r.received(1)
    await sending
    await r.end()


async def test_what_is_for_an_end_that_has_gone_is_dropped() -> None:
    r = Rig(0, 1)
    await r.near[1].close()
    with pytest.raises(ConnectionClosed):
        await r.running[1]
    r.relay.forget(101)
    await r.near[0].send(*chunk(1, 0, b"nobody"))
    await r.near[0].send(*chunk(0, 0, b"still here"))
    assert await r.received(0) == b"still here"
    await r.end()


async def test_others_have_their_turn_between_many_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "turn_s_max", -1.0)
    r = Rig(0, 1)
    for number in range(5):
        r.near[0].send_soon(*chunk(1, 0, b"%d" % number))
    turns_of_others = 0
    arrived = 0
    while arrived < 5:
        await asyncio.sleep(0)
        turns_of_others += 1
        arrived = len(r.near[1]._messages)  # type: ignore[attr-defined]
    assert turns_of_others >= 5
    await r.end()
