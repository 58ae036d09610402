"""Two ends in one process, whose links are opened as a master would have it."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from vcl.direct import dialling, ways
from vcl.direct.data_listen import DataListen
from vcl.direct.pool import Pool
from vcl.direct.ways import Ways
from vcl.transfers import GrantCredit, Stream
from vcl.wire import direct
from vcl.wire.direct import Greeting, Way
from vcl.wire.frame import BulkFrame
from vcl.wire.limits import handshake_timeout_s
from vcl.wire.messages.direct import ExpectLink, Linked, OpenLink

LONG_S = 20.0
TICKET, ANSWER = "ticket", "answer"


class Relay:
    """What goes through the master."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def stream(self, effect: Stream) -> None:
        self.sent.append(effect)

    def grant(self, effect: GrantCredit) -> None:
        self.sent.append(effect)


class End:
    """One end and all that it is told."""

    def __init__(self, own: int, encrypted: bool = False) -> None:
        self.relay = Relay()
        self.frames: asyncio.Queue[BulkFrame] = asyncio.Queue()
        self.said: asyncio.Queue[Linked] = asyncio.Queue()
        self.streamed: list[int] = []
        relay: Any = self.relay
        self.ways = Ways(
            relay,
            own,
            self._take,
            self.streamed.append,
            self.said.put_nowait,
            Pool(shares=False),
            encrypted,
        )

    def _take(self, frames: Sequence[BulkFrame]) -> None:
        for frame in frames:
            self.frames.put_nowait(frame._replace(payload=bytes(frame.payload)))


HERE = DataListen("127.0.0.1")


LOCAL, PLAIN, TLS = "local", "plain", "tls"


@asynccontextmanager
async def two(kind: str = LOCAL) -> AsyncIterator[tuple[End, End, list[str]]]:
    """The client, which dials, executor 3, which listens, and where."""
    client, executor = End(0, kind == TLS), End(3, kind == TLS)
    local = kind == LOCAL
    addresses = await executor.ways.listen(local, None if local else HERE)
    try:
        async with asyncio.timeout(LONG_S):
            yield client, executor, addresses
    finally:
        client.ways.close()
        executor.ways.close()


ALL = pytest.mark.parametrize("kind", [LOCAL, PLAIN, TLS])


async def linked(client: End, executor: End, addresses: list[str], kind: str = LOCAL) -> None:
    executor.ways.expect(ExpectLink(0, TICKET, ANSWER))
    client.ways.open(OpenLink(3, TICKET, ANSWER, addresses))
    assert await client.said.get() == Linked(3, way(kind), "")


def way(kind: str) -> Way:
    return Way.SHARED_MEMORY if kind == LOCAL else Way.DIRECT


@ALL
async def test_until_a_link_is_up_the_master_relays(kind: str) -> None:
    async with two(kind) as (client, executor, addresses):
        before = Stream(1, 3, (b"before",))
        client.ways.stream(before)
        assert client.relay.sent == [before]
        assert client.ways.way(3) is Way.RELAY
        await linked(client, executor, addresses, kind)
        assert [client.ways.way(end) for end in (3, 4)] == [way(kind), Way.RELAY]
        assert client.ways.way(0) is Way.SHARED_MEMORY, "to itself"
        client.ways.stream(Stream(2, 3, (b"after",)))
        got = await executor.frames.get()
        assert (got.transfer, got.payload, got.source) == (2, b"after", 0)
        executor.ways.grant(GrantCredit(2, 0))
        assert (await client.frames.get()).transfer == 2
        client.ways.grant(GrantCredit(5, 4))
        assert client.relay.sent == [before, GrantCredit(5, 4)], "to others still by the master"
        assert client.streamed == [2]


@ALL
async def test_a_dial_may_come_before_what_the_master_says_of_it(kind: str) -> None:
    async with two(kind) as (client, executor, addresses):
        client.ways.open(OpenLink(3, TICKET, ANSWER, addresses))
        while not executor.ways._expected:
            await asyncio.sleep(0)  # the dial is there
        executor.ways.expect(ExpectLink(0, TICKET, ANSWER))
        assert await client.said.get() == Linked(3, way(kind), "")


@pytest.mark.parametrize("address", ["unix:vcl-nobody", "ws://127.0.0.1:9", "junk", ""])
async def test_where_nobody_is_the_next_address_is_tried(address: str) -> None:
    async with two() as (client, executor, addresses):
        await linked(client, executor, [address, *addresses])


async def test_why_there_is_no_link_is_told() -> None:
    async with two() as (client, _, _):
        client.ways.open(OpenLink(3, TICKET, ANSWER, ["unix:vcl-nobody", "junk"]))
        said = await client.said.get()
        assert said[:2] == (3, Way.RELAY)
        assert "unix:vcl-nobody: [Errno 111]" in said.message
        assert "junk: this end can't dial there" in said.message
        late = Stream(4, 3, (b"late",))
        client.ways.stream(late)
        assert client.relay.sent == [late]


async def dialled(address: str, greeting: bytes) -> socket.socket:
    connected = await dialling.dial(address)
    await asyncio.get_running_loop().sock_sendall(connected, greeting)
    return connected


async def is_closed(connected: socket.socket) -> bool:
    return await asyncio.get_running_loop().sock_recv(connected, 1000) == b""


GREETING = direct.pack_greeting(Greeting(0, TICKET))


@pytest.mark.parametrize(
    "greeting",
    [b"junk", direct.pack_greeting(Greeting(0, "forged")), b"\xc0" * 70_000],
    ids=["junk", "forged", "long"],
)
async def test_a_stranger_isnt_let_in(greeting: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        async with two() as (client, executor, addresses):
            executor.ways.expect(ExpectLink(0, TICKET, ANSWER))
            stranger = await dialled(addresses[0], greeting)
            assert await is_closed(stranger)
            client.ways.open(OpenLink(3, TICKET, ANSWER, addresses))
            assert (await client.said.get()).way == Way.SHARED_MEMORY, "the right one still is"
    assert "a direct link wasn't let in" in caplog.text
    assert TICKET not in caplog.text


async def test_a_ticket_is_good_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "handshake_timeout_s", 0.5)
    async with two() as (_client, executor, addresses):
        first = await dialled(addresses[0], GREETING)
        again = await dialled(addresses[0], GREETING)
        executor.ways.expect(ExpectLink(0, TICKET, ANSWER))
        answers = [await asyncio.get_running_loop().sock_recv(s, 1000) for s in (first, again)]
        assert sorted(map(bool, answers)) == [False, True]


async def test_a_ticket_is_good_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "handshake_timeout_s", 0.05)
    assert handshake_timeout_s > 1
    async with two() as (_client, executor, addresses):
        executor.ways.expect(ExpectLink(0, TICKET, ANSWER))
        while executor.ways._expected:
            await asyncio.sleep(0.01)
        assert await is_closed(await dialled(addresses[0], GREETING))


async def test_strangers_leave_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "handshake_timeout_s", 0.05)
    async with two() as (_, executor, addresses):
        for endpoint in range(50, 60):
            greeting = direct.pack_greeting(Greeting(endpoint, "junk"))
            assert await is_closed(await dialled(addresses[0], greeting))
        assert not executor.ways._expected and not executor.ways._provers


@ALL
async def test_an_impostor_is_found_out_by_its_answer(kind: str) -> None:
    async with two(kind) as (client, executor, addresses):
        executor.ways.expect(ExpectLink(0, TICKET, "something else"))
        client.ways.open(OpenLink(3, TICKET, ANSWER, addresses))
        said = await client.said.get()
        assert said.way == Way.RELAY and "isn't the one that was expected" in said.message


@ALL
async def test_the_loss_of_a_link_is_told_and_the_master_relays_again(kind: str) -> None:
    async with two(kind) as (client, executor, addresses):
        await linked(client, executor, addresses, kind)
        executor.ways.close()
        assert await client.said.get() == Linked(
            3, Way.RELAY, "the direct link broke: the other end is gone"
        )
        late = Stream(4, 3, (b"late",))
        client.ways.stream(late)
        assert client.relay.sent == [late]


async def test_strangers_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialling, "strangers_max", 2)
    async with two() as (_, _, addresses):
        silent = [await dialling.dial(addresses[0]) for _ in range(3)]
        assert await is_closed(silent[2])
        for each in silent:
            each.close()


async def test_a_dial_that_cannot_be_taken_is_not_the_last(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    accept, failures = dialling.LocalListener.accept, [OSError(24, "Too many open files")]

    async def accept_at_last(listener: dialling.LocalListener) -> socket.socket:
        if failures:
            raise failures.pop()
        return await accept(listener)

    monkeypatch.setattr(ways, "accept_pause_s", 0.0)
    monkeypatch.setattr(dialling.LocalListener, "accept", accept_at_last)
    async with two() as (client, executor, addresses):
        await linked(client, executor, addresses)
    assert "Too many open files" in caplog.text


async def test_where_there_are_no_such_sockets_nobody_listens(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse() -> None:
        raise OSError(97, "Address family not supported by protocol")

    monkeypatch.setattr(dialling, "_socket", refuse)
    end = End(3)
    with caplog.at_level(logging.WARNING):
        assert await end.ways.listen(True, None) == []
    assert "no direct links on this host: [Errno 97]" in caplog.text
    monkeypatch.setattr(ways, "HAS_LOCAL", False)
    assert await End(3).ways.listen(True, None) == []


@ALL
async def test_nothing_is_left_open(kind: str) -> None:
    before = set(os.listdir("/proc/self/fd"))
    async with two(kind) as (client, executor, addresses):
        await linked(client, executor, addresses, kind)
        client.ways.stream(Stream(2, 3, (bytes(2**20),)))
        await executor.frames.get()
    async with asyncio.timeout(LONG_S):
        while not set(os.listdir("/proc/self/fd")) <= before:
            await asyncio.sleep(0.01)  # closing handshakes


async def test_a_dial_that_nobody_answers_puts_nothing_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ways, "leave_timeout_s", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        async with two() as (client, _, _):
            url = f"ws://127.0.0.1:{deaf.getsockname()[1]}"
            client.ways.open(OpenLink(3, TICKET, ANSWER, [url]))
            async with asyncio.timeout(LONG_S / 4):
                await client.ways.leave()
            assert client.said.empty() and not client.relay.sent


async def test_another_certificate_is_refused_before_anything_is_said() -> None:
    async with two(TLS) as (client, executor, [address]):
        where, _, fingerprint = address.partition("#")
        executor.ways.expect(ExpectLink(0, TICKET, ANSWER))
        forged = fingerprint[::-1]
        client.ways.open(OpenLink(3, TICKET, ANSWER, [f"{where}#{forged}"]))
        said = await client.said.get()
        assert said == Linked(
            3, Way.RELAY, f"{where}: its certificate isn't the one that the master told of"
        )
        client.ways.open(OpenLink(3, TICKET, ANSWER, [address]))
        assert (await client.said.get()).way == Way.DIRECT, "the ticket wasn't used"


@pytest.mark.parametrize("mark", ["", "#", "#" + "0" * 63, "#" + "0" * 63 + "g"])
async def test_an_address_without_a_fingerprint_is_not_dialled(mark: str) -> None:
    async with two(TLS) as (client, _, [address]):
        where = address.partition("#")[0]
        client.ways.open(OpenLink(3, TICKET, ANSWER, [f"{where}{mark}", "wss://["]))
        said = await client.said.get()
        assert said.way == Way.RELAY
        assert said.message == (
            f"{where}: not the address of an encrypted link; "
            "wss://[: not the address of an encrypted link"
        )


async def test_where_the_way_to_the_master_is_encrypted_no_link_is_plain() -> None:
    client, executor = End(0, encrypted=True), End(3)
    addresses = await executor.ways.listen(False, HERE)
    executor.ways.expect(ExpectLink(0, TICKET, ANSWER))
    client.ways.open(OpenLink(3, TICKET, ANSWER, addresses))
    said = await client.said.get()
    assert said.way == Way.RELAY and "isn't encrypted" in said.message
    executor.ways.close()


async def test_who_needs_no_encryption_dials_who_does() -> None:
    client, executor = End(0), End(3, encrypted=True)
    addresses = await executor.ways.listen(False, HERE)
    assert addresses[0].startswith("wss:")
    await linked(client, executor, addresses, TLS)
    client.ways.close()
    executor.ways.close()


async def test_an_encrypted_dial_where_links_are_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "handshake_timeout_s", 0.2)
    async with two(PLAIN) as (client, executor, [address]):
        wrong = address.replace("ws:", "wss:")
        client.ways.open(OpenLink(3, TICKET, ANSWER, [f"{wrong}#{'0' * 64}"]))
        said = await client.said.get()
        assert said.way == Way.RELAY and said.message.startswith(f"{wrong}: ")
        assert not executor.ways._links


@pytest.mark.parametrize("has", [(True, True), (True, False), (False, True), (False, False)])
async def test_chunks_may_be_compressed_where_both_can(has: tuple[bool, bool]) -> None:
    async with two(PLAIN) as (client, executor, addresses):
        client.ways._lz4, executor.ways._lz4 = has
        await linked(client, executor, addresses, PLAIN)
        client.ways.stream(Stream(1, 3, (b"x" * 100_000,)))
        assert (await executor.frames.get()).payload == b"x" * 100_000
        links: list[Any] = [client.ways._links[3], executor.ways._links[0]]
        assert [link._compresses for link in links] == [all(has)] * 2
