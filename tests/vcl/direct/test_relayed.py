"""The bulk connection of an end by its own socket: what it says, and what becomes of what comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from tests.master.test_leg import TIMEOUT_S, tcp_pair
from tests.node_agent.fake_master import FakeMaster
from vcl.direct import relayed, stream
from vcl.direct.pool import Pool
from vcl.direct.relayed import RelayLink, dial_bulk
from vcl.errors import ConnectionProblem, RemoteProtocolError
from vcl.transfers import GrantCredit, Stream
from vcl.transport import ConnectionClosed
from vcl.wire import frame
from vcl.wire.frame import CHUNK, CREDIT, BulkFrame
from vcl.wire.messages.handshake import Hello
from vcl.wire.websocket import BINARY, CLOSE, PING, pack_head

OWN = 5
PING_FRAME = pack_head(PING, 0, masked=True)


def unmasked(payload: bytes, source: int = 3, destination: int = OWN) -> bytes:
    """A frame as the master sends it."""
    head = BulkFrame(CHUNK, True, destination, source, 7, 0, b"")
    data = frame.pack_bulk_header(head) + payload
    return pack_head(BINARY, len(data), masked=False) + data


class Rig:
    """A link whose other end is a plain socket."""

    def __init__(self) -> None:
        self.far, near = tcp_pair()
        self.far.setblocking(False)
        self.loop = asyncio.get_running_loop()
        self.streamed: list[int] = []
        self.taken: list[tuple[int, bytes]] = []
        self.link = RelayLink(near, OWN, self.streamed.append, Pool(shares=False))
        self.running = asyncio.create_task(self.link.run(self._take))

    def _take(self, frames: Sequence[BulkFrame]) -> None:
        self.taken += [(each.source, bytes(each.payload)) for each in frames]

    async def receive(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = await self.loop.sock_recv(self.far, size - len(data))
            assert more
            data += more
        return data

    async def until_taken(self, count: int) -> None:
        while len(self.taken) < count:
            assert not self.running.done()
            await asyncio.sleep(0)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    async with asyncio.timeout(TIMEOUT_S):
        assert await made.receive(len(PING_FRAME)) == PING_FRAME, "the master may send now"
        yield made
        made.link.close()
        made.far.close()
        made.running.cancel()
        await asyncio.gather(made.running, return_exceptions=True)


async def test_it_speaks_to_all_ends(rig: Rig) -> None:
    rig.link.grant(GrantCredit(7, 2))
    rig.link.stream(Stream(9, 3, (b"there",)))
    head = len(pack_head(BINARY, frame.BULK_HEADER_BYTES, masked=True))
    credit = frame.unpack_bulk((await rig.receive(head + frame.BULK_HEADER_BYTES))[head:])
    assert credit._replace(payload=b"") == BulkFrame(CREDIT, False, 2, OWN, 7, 0, b"")
    data = (await rig.receive(head + frame.BULK_HEADER_BYTES + 5))[head:]
    chunk = frame.unpack_bulk(data)
    assert (chunk.destination, chunk.source, chunk.last) == (3, OWN, True)
    assert bytes(chunk.payload) == b"there"
    while not rig.streamed:
        await asyncio.sleep(0)
    assert rig.streamed == [9]


async def test_it_hears_from_all_ends(rig: Rig) -> None:
    rig.far.sendall(unmasked(b"one", source=2) + unmasked(b"two", source=0))
    await rig.until_taken(2)
    assert rig.taken == [(2, b"one"), (0, b"two")]


async def test_what_is_for_another_end_ends_it(rig: Rig) -> None:
    rig.far.sendall(unmasked(b"x", destination=4))
    with pytest.raises(RemoteProtocolError, match="a frame for end 4 at end 5"):
        await rig.running


async def test_the_master_s_reason_is_told(rig: Rig) -> None:
    rig.far.sendall(pack_head(CLOSE, 12, masked=False) + b"\x03\xe8the reason")
    with pytest.raises(ConnectionClosed, match="the reason"):
        await rig.running


async def test_a_connection_that_breaks(rig: Rig) -> None:
    rig.far.close()
    with pytest.raises(ConnectionClosed, match="the other end is gone"):
        await rig.running
    with pytest.raises(ConnectionClosed, match="gone already"):
        await rig.link.run(lambda frames: None)


async def test_what_taking_raises_is_the_owner_s(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(frames: Sequence[BulkFrame]) -> None:
        raise RemoteProtocolError("no such transfer")

    monkeypatch.setattr(rig, "_take", fail)
    rig.running.cancel()
    running = asyncio.create_task(rig.link.run(fail))
    await asyncio.sleep(0)
    rig.far.sendall(unmasked(b"x"))
    with pytest.raises(RemoteProtocolError, match="no such transfer"):
        await running


async def test_it_is_kept_alive_while_nothing_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relayed, "ping_interval_s", 0.01)
    rig = Rig()
    async with asyncio.timeout(TIMEOUT_S):
        assert await rig.receive(3 * len(PING_FRAME)) == 3 * PING_FRAME
    await rig.link.end()
    rig.far.close()
    with pytest.raises(ConnectionClosed, match="it was closed"):
        await rig.running


async def test_dialling() -> None:
    hello = Hello(software="9", role="client-bulk", token="t", session=1)
    async with FakeMaster() as master, asyncio.timeout(TIMEOUT_S):
        link = await dial_bulk(master.url, hello, OWN, lambda transfer: None, Pool(shares=False))
        assert isinstance(link, RelayLink)
        _, far = await master.arrival("client-bulk")
        taken: list[bytes] = []
        running = asyncio.create_task(
            link.run(lambda frames: taken.extend(bytes(each.payload) for each in frames))
        )
        header = BulkFrame(CHUNK, True, OWN, 0, 7, 0, b"")
        await far.connection.send(frame.pack_bulk_header(header), b"hello")
        while not taken:
            await asyncio.sleep(0)
        assert taken == [b"hello"]
        await link.end()
        with pytest.raises(ConnectionClosed):
            await running


async def test_a_master_that_is_gone_when_the_socket_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(connected: object) -> None:
        raise OSError(22, "invalid argument")

    monkeypatch.setattr(stream, "set_up", fail)
    hello = Hello(software="9", role="client-bulk", token="t", session=1)
    async with FakeMaster() as master, asyncio.timeout(TIMEOUT_S):
        with pytest.raises(ConnectionProblem, match="closed the connection in the handshake"):
            await dial_bulk(master.url, hello, OWN, lambda transfer: None, Pool(shares=False))
