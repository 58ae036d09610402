"""The relay by itself, its ends plain sockets: what goes where.

What one connection does is in `test_leg`, what the server makes of it in `test_server`.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator

import pytest

from master import relay as subject
from master.relay import Relay
from tests.master.test_leg import TIMEOUT_S, masked, tcp_pair
from tests.master.test_server import chunk
from vcl.errors import RemoteProtocolError
from vcl.transport import ConnectionClosed
from vcl.wire import frame
from vcl.wire.limits import chunk_bytes_max, eager_total_bytes_max
from vcl.wire.websocket import BINARY, CLOSE, PING, PONG


class Rig:
    """Ends of session 1 by their endpoints, each with its connection's near side."""

    def __init__(self) -> None:
        self.relay = Relay()
        self.near: dict[int, socket.socket] = {}
        self.running: dict[int, asyncio.Task[None]] = {}
        self.pongs: dict[int, int] = {}
        """That are still to come, by endpoint; first is what came for it before it was there."""

    def join(self, *endpoints: int) -> None:
        for endpoint in endpoints:
            near, far = tcp_pair()
            near.setblocking(False)
            self.near[endpoint] = near
            self.relay.bind(100 + endpoint, far, (1, endpoint))
            self.running[endpoint] = asyncio.create_task(self.relay.run(100 + endpoint))
            near.sendall(masked(PING, b""))  # it may send from now on
            self.pongs[endpoint] = 1

    async def send(self, source: int, destination: int, payload: bytes) -> None:
        data = masked(BINARY, b"".join(chunk(destination, source, payload)), bytes(4))
        await asyncio.get_running_loop().sock_sendall(self.near[source], data)

    async def received(self, endpoint: int, size: int) -> bytes:
        """The payload of the next message, which is short."""
        head = await self._read(endpoint, 2)
        if head == bytes([PONG, 0]):
            self.pongs[endpoint] -= 1
            assert not self.pongs[endpoint]
            head = await self._read(endpoint, 2)
        wanted = 2 + frame.BULK_HEADER_BYTES + size
        data = head + await self._read(endpoint, wanted - 2)
        assert data[:2] == bytes([BINARY, wanted - 2])
        return bytes(frame.unpack_bulk(data[2:]).payload)

    async def _read(self, endpoint: int, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = await asyncio.get_running_loop().sock_recv(
                self.near[endpoint], size - len(data)
            )
            assert more
            data += more
        return data


@pytest.fixture
async def r() -> AsyncIterator[Rig]:
    made = Rig()
    async with asyncio.timeout(TIMEOUT_S):
        yield made
        for near in made.near.values():
            near.close()
        await made.relay.close()
        await asyncio.gather(*made.running.values(), return_exceptions=True)


async def test_frames_go_where_they_say_in_order(r: Rig) -> None:
    r.join(0, 1, 2)
    for number in range(5):
        await r.send(0, 1 + number % 2, b"%d" % number)
    assert [await r.received(1, 1) for _ in range(3)] == [b"0", b"2", b"4"]
    assert [await r.received(2, 1) for _ in range(2)] == [b"1", b"3"]


async def test_a_frame_in_the_name_of_another_ends_the_connection(r: Rig) -> None:
    r.join(0, 1)
    data = masked(BINARY, b"".join(chunk(0, 0, b"not mine")))
    await asyncio.get_running_loop().sock_sendall(r.near[1], data)
    with pytest.raises(RemoteProtocolError, match="in the name of endpoint 0"):
        await r.running[1]


async def test_what_comes_for_an_end_that_is_expected_is_kept_for_it(r: Rig) -> None:
    r.join(0)
    r.relay.expect((1, 7))
    await r.send(0, 7, b"early")
    await r.send(0, 8, b"for nobody")
    await r.send(0, 0, b"taken in")
    assert await r.received(0, 8) == b"taken in"
    r.join(7)
    assert await r.received(7, 5) == b"early"
    await r.send(0, 7, b"later")
    assert await r.received(7, 5) == b"later"


async def test_nothing_is_kept_for_ends_of_a_session_that_is_over(r: Rig) -> None:
    r.relay.expect((1, 9))
    r.relay.expect((2, 9))
    r.relay.forget_session(1)
    assert list(r.relay._early) == [(2, 9)]


async def test_what_is_kept_is_bounded(r: Rig) -> None:
    r.join(0)
    r.relay.expect((1, 7))
    for _ in range(2 * eager_total_bytes_max // chunk_bytes_max):
        await r.send(0, 7, bytes(chunk_bytes_max))
    with pytest.raises(RemoteProtocolError, match="too many bytes without credit"):
        await r.running[0]


async def test_what_is_for_an_end_that_has_gone_is_dropped(r: Rig) -> None:
    r.join(0, 1)
    r.near[1].close()
    with pytest.raises(ConnectionClosed):
        await r.running[1]
    r.relay.forget(101)
    await r.send(0, 1, b"nobody")
    await r.send(0, 0, b"still here")
    assert await r.received(0, 10) == b"still here"


async def test_an_end_that_comes_again_is_another(r: Rig) -> None:
    r.join(0, 1)
    near, far = tcp_pair()
    r.relay.bind(200, far, (1, 1))
    r.relay.forget(101)
    r.near[1].close()
    r.near[1] = near
    near.setblocking(False)
    near.sendall(masked(PING, b""))
    await r.send(0, 1, b"to the second")
    assert await r.received(1, 13) == b"to the second"


async def test_an_end_that_is_forgotten_is_told_why(r: Rig) -> None:
    r.join(0)
    await asyncio.sleep(0)  # it is run from now on
    assert await r._read(0, 2) == bytes([PONG, 0])
    r.relay.forget(100, reason="the session is over")
    with pytest.raises(ConnectionClosed, match="the session is over"):
        await r.running[0]
    data = await asyncio.get_running_loop().sock_recv(r.near[0], 100)
    assert data == bytes([CLOSE, 21]) + b"\x03\xe8the session is over"


async def test_bytes_go_on_while_the_masters_loop_is_busy(r: Rig) -> None:
    """And the other way round: what they are passed on by is a thread of its own."""
    r.join(0, 1)
    data = masked(BINARY, b"".join(chunk(1, 0, b"meanwhile")))
    r.near[1].setblocking(True)
    r.near[1].settimeout(TIMEOUT_S)
    r.near[0].sendall(data)
    said = b""
    while b"meanwhile" not in said:  # before or after the answer to the ping
        said += r.near[1].recv(100)
        assert said, "this loop had no turn"


async def test_its_thread_ends_with_it() -> None:
    relay = Relay()
    near, far = tcp_pair()
    relay.bind(1, far, (1, 0))
    near.close()
    before = {thread.name for thread in threading.enumerate()}
    await relay.close()
    assert "vcl-relay" in before
    assert "vcl-relay" not in {thread.name for thread in threading.enumerate()}


async def test_an_end_that_comes_too_late() -> None:
    relay = Relay()
    await relay.close()
    near, far = tcp_pair()
    relay.bind(1, far, (1, 0))
    assert near.recv(1) == b""
    near.close()
    with pytest.raises(ConnectionClosed, match="the server stops"):
        await relay.run(1)


async def test_an_end_whose_socket_is_gone_already(
    r: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(connected: socket.socket) -> None:
        raise OSError("Invalid argument")

    near, far = tcp_pair()
    with monkeypatch.context() as patched:
        patched.setattr(subject, "set_up", fail)
        r.relay.bind(1, far, (1, 0))
    assert near.recv(1) == b""
    near.close()
    with pytest.raises(ConnectionClosed, match="gone already"):
        await r.relay.run(1)


async def test_one_that_was_never_used_has_none() -> None:
    relay = Relay()
    relay.forget(1)
    await relay.close()
    assert relay._thread is None
