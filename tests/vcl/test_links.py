"""Dialling over real loopback: each way to fail has its text. Then links over joined memory.

Long because each way to fail is tried, and each kind of link.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from master.server import MasterServer
from tests.frames import control
from vcl import links, transport
from vcl.errors import ConnectionProblem, NotReached, RemoteProtocolError
from vcl.numbering import Numbering
from vcl.transfers import GrantCredit, Stream
from vcl.transport import Connection, ConnectionClosed, memory
from vcl.wire import frame
from vcl.wire.limits import chunk_bytes_max, unacknowledged_batches_max
from vcl.wire.messages import session
from vcl.wire.messages.handshake import (
    Hello,
    Refused,
    Welcome,
    pack_answer,
    unpack_hello,
    unpack_knock,
)

HELLO = Hello(software="9.9", role="client", token="right")
LONG_S = 20.0

Act = Callable[[Connection, bytes], Awaitable[None]]


def url_of(host: str, port: int) -> str:
    return f"ws://{host}:{port}"


async def dialled(act: Act, hello: Hello = HELLO) -> tuple[Connection, Welcome]:
    """Dial a server that does `act` with the first message of a connection."""

    async def handler(connection: Connection, path: str) -> None:
        await act(connection, bytes(await connection.recv()))

    server = await transport.serve(handler, "127.0.0.1", 0)
    try:
        async with asyncio.timeout(LONG_S):
            return await links.dial(url_of(*server.address), hello)
    finally:
        await server.close()


async def problem(act: Act) -> str:
    with pytest.raises(ConnectionProblem) as caught:
        await dialled(act)
    text = str(caught.value)
    assert "ws://127.0.0.1:" in text, "it says where"
    return text


def answering(data: bytes) -> Act:
    async def act(connection: Connection, hello: bytes) -> None:
        await connection.send(data)
        with pytest.raises(ConnectionClosed):
            await connection.recv()

    return act


async def test_a_welcome() -> None:
    hellos = []

    async def act(connection: Connection, hello: bytes) -> None:
        hellos.append(unpack_hello(unpack_knock(hello)))
        await connection.send(pack_answer(Welcome(software="1.0", session=4, key="k")))
        await connection.send(b"next")

    connection, welcome = await dialled(act)
    assert hellos == [HELLO]
    assert (welcome.session, welcome.key) == (4, "k")
    assert await connection.recv() == b"next", "nothing after the answer is lost"
    await connection.close()


async def test_nobody_listens() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(NotReached) as caught:
            await links.dial(url, HELLO)
    text = str(caught.value)
    assert text.startswith(f"can't reach a vcl-master at {url}: refused")
    assert "Is vcl-master running there" in text


async def test_a_url_that_is_none() -> None:
    with pytest.raises(ConnectionProblem, match="master at there: not a WebSocket URL") as caught:
        await links.dial("there", HELLO)
    assert type(caught.value) is ConnectionProblem, "nobody will be there later either"


async def test_something_else_listens() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectionProblem, match="can't reach") as caught:
            await links.dial(f"ws://127.0.0.1:{port}", HELLO)
    assert type(caught.value) is ConnectionProblem


async def test_a_server_that_is_no_websocket() -> None:
    async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(web, "127.0.0.1", 0) as server:
        url = url_of(*server.sockets[0].getsockname())
        with pytest.raises(ConnectionProblem, match="not a WebSocket endpoint: HTTP status 404"):
            await links.dial(url, HELLO)


async def test_a_silent_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "handshake_timeout_s", 0.05)
    ended = []

    async def act(connection: Connection, hello: bytes) -> None:
        try:
            await connection.recv()
        except ConnectionClosed as closed:
            ended.append(closed.sent_by_peer)

    text = await problem(act)
    assert "didn't answer the handshake within 0.05 s" in text
    assert ended == [True], "the connection was closed"


async def test_a_server_that_closes() -> None:
    async def act(connection: Connection, hello: bytes) -> None:
        await connection.close(1000, "too busy")

    text = await problem(act)
    assert "closed the connection in the handshake" in text and "too busy" in text


@pytest.mark.parametrize(
    "data",
    [b"", b"hello", b"\xc1", frame.pack_value([1, 0, []]), frame.pack_value({"answer": "maybe"}),
     frame.pack_value({"answer": "welcome", "software": 1})],
)  # fmt: skip
async def test_a_server_that_answers_garbage(data: bytes) -> None:
    assert "isn't a vcl-master of this version" in await problem(answering(data))


async def test_a_server_of_another_version_that_welcomes() -> None:
    text = await problem(answering(pack_answer(Welcome(version=1, software="9"))))
    assert "speaks version 1 of the protocol, this side 2: install the same vcl on both" in text


async def test_a_refusal_shows_its_reason() -> None:
    refused = Refused(software="9", code="name", reason="choose another --name")
    assert "refused: choose another --name" in await problem(answering(pack_answer(refused)))


# The real master's refusals


async def refusal(hello: Hello) -> str:
    server = MasterServer("right", "right for agents")
    address = await server.start("127.0.0.1", 0)
    try:
        async with asyncio.timeout(LONG_S):
            with pytest.raises(ConnectionProblem) as caught:
                await links.dial(url_of(*address), hello)
    finally:
        await server.close()
    return str(caught.value)


@pytest.mark.parametrize("role", ["client", "agent"])
@pytest.mark.parametrize("token", ["", "wrong", "right ", "falsch \N{GREEK SMALL LETTER PHI}"])
async def test_the_masters_word_on_a_wrong_token(role: str, token: str) -> None:
    text = await refusal(HELLO.model_copy(update={"role": role, "token": token}))
    said = "the token is wrong" if token else "no token was given"
    assert f"refused: {said} (from 127.0.0.1:" in text
    ways = {
        "client": ("`token`", "VCL_TOKEN", "connect(token=...)"),
        "agent": ("`agent-token`", "--token-file", "VCL_AGENT_TOKEN"),
    }
    for way in ways[role]:
        assert way in text


@pytest.mark.parametrize(
    ("role", "token", "said"),
    [
        ("client", "right for agents", "this is the agents' token; a client needs the users'"),
        ("agent", "right", "this is the users' token; an agent needs another"),
    ],
)
async def test_the_masters_word_on_the_other_token(role: str, token: str, said: str) -> None:
    text = await refusal(HELLO.model_copy(update={"role": role, "token": token}))
    assert said in text and "in its state directory" in text


async def test_the_masters_word_on_another_version() -> None:
    text = await refusal(HELLO.model_copy(update={"version": 7}))
    assert "the peer version 7: install the same vcl on both" in text


@pytest.mark.parametrize("role", ["client-bulk", "executor", "executor-bulk"])
async def test_the_masters_word_on_an_unknown_session(role: str) -> None:
    text = await refusal(HELLO.model_copy(update={"role": role, "session": 1, "endpoint": 1}))
    assert "there is no such session" in text


# Links


async def test_batches_arrive_in_order_and_are_acknowledged() -> None:
    left, right = memory.pair()
    sender = links.ControlLink(left, session.TO_CLIENT, Numbering())
    receiver = links.ControlLink(right, session.TO_MASTER, Numbering())
    batches = [[session.Release([n])] for n in range(unacknowledged_batches_max + 1)]
    for batch in batches:
        sender.send(batch)
    for batch in batches:
        assert await receiver.receive() == batch
    number, acknowledged, messages = frame.unpack_control(await left.recv())
    assert (number, acknowledged, messages) == (0, unacknowledged_batches_max, [])
    receiver.send([session.DropStaging([1])])
    assert await sender.receive() == [session.DropStaging([1])]
    assert sender._numbering.kept_count == 0
    await left.close()
    with pytest.raises(ConnectionClosed):
        receiver.send([session.DropStaging([1])])


def released(messages: list[Any]) -> list[int]:
    return [number for message in messages for number in message.objects]


async def test_batches_are_given_as_they_come_and_none_while_one_is_waited_for() -> None:
    left, right = memory.pair()
    sender = links.ControlLink(left, session.TO_CLIENT, Numbering())
    receiver = links.ControlLink(right, session.TO_MASTER, Numbering())
    given, go_on, reached = list[int](), asyncio.Event(), asyncio.Event()

    def take(messages: list[Any]) -> Awaitable[None] | None:
        given.extend(released(messages))
        if given[-1] != 3:
            return None
        reached.set()
        return wait()

    async def wait() -> None:
        await go_on.wait()

    for number in (1, 2):
        sender.send([session.Release([number])])
    running = asyncio.create_task(receiver.run(take))
    for number in (3, 4):
        sender.send([session.Release([number])])
    await reached.wait()
    sender.send([session.Release([5])])
    await left.close()
    assert given == [1, 2, 3] and not running.done()
    go_on.set()
    with pytest.raises(ConnectionClosed) as caught:
        await running
    assert given == [1, 2, 3, 4, 5], "all that came before the end"
    assert caught.value.sent_by_peer


async def test_a_link_runs_until_taking_fails() -> None:
    left, right = memory.pair()
    sender = links.ControlLink(left, session.TO_CLIENT, Numbering())
    given = []

    def take(messages: list[Any]) -> None:
        given.extend(released(messages))
        raise KeyError(given[-1])

    for number in (1, 2):
        sender.send([session.Release([number])])
    with pytest.raises(KeyError):
        await links.ControlLink(right, session.TO_MASTER, Numbering()).run(take)
    assert given == [1]
    await left.close()


async def test_a_link_that_runs_no_more_leaves_what_comes() -> None:
    left, right = memory.pair()
    sender = links.ControlLink(left, session.TO_CLIENT, Numbering())
    receiver = links.ControlLink(right, session.TO_MASTER, Numbering())
    running = asyncio.create_task(receiver.run(lambda messages: None))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    sender.send([session.Release([1])])
    assert await receiver.receive() == [session.Release([1])]
    await left.close()


async def test_a_bad_frame_ends_a_link_that_runs() -> None:
    left, right = memory.pair()
    await left.send(b"junk")
    with pytest.raises(RemoteProtocolError, match="not a msgpack value"):
        await links.ControlLink(right, session.TO_MASTER, Numbering()).run(lambda messages: None)
    await left.close()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"junk", "not a msgpack value"),
        (control(2, 0, [[8, [1]]]), "one is missing"),
        (control(1, 9, []), "was acknowledged"),
        (control(1, 0, [[8, [1]], [8, "x"]]), "malformed Release"),
        (control(1, 0, [[99]]), "client to master: unknown message code 99"),
    ],
)
async def test_a_bad_control_frame(data: bytes, text: str) -> None:
    left, right = memory.pair()
    await left.send(data)
    with pytest.raises(RemoteProtocolError, match=text):
        await links.ControlLink(right, session.TO_MASTER, Numbering()).receive()
    await left.close()


async def test_a_second_link_goes_on_where_the_first_was_lost() -> None:
    ours, theirs = Numbering(), Numbering()
    left, right = memory.pair()
    client = links.ControlLink(left, session.TO_CLIENT, ours)
    master = links.ControlLink(right, session.TO_MASTER, theirs)
    client.send([session.Release([1])])
    assert await master.receive() == [session.Release([1])]
    client.send([session.Release([2])])
    master.send([session.DropStaging([1])])
    master.send([session.DropStaging([2])])
    left.cut()
    with pytest.raises(ConnectionClosed):
        await master.receive()
    left, right = memory.pair()
    client = links.ControlLink(left, session.TO_CLIENT, ours)
    master = links.ControlLink(right, session.TO_MASTER, theirs)
    for end, peer, connection in ((ours, theirs, left), (theirs, ours, right)):
        for data in end.resume(peer.received):
            connection.send_soon(data)
    client.send([session.Release([3])])
    master.send([session.DropStaging([3])])
    for n in (2, 3):
        assert await master.receive() == [session.Release([n])]
    for n in (1, 2, 3):
        assert await client.receive() == [session.DropStaging([n])]
    await left.close()
    with pytest.raises(ConnectionClosed):
        await master.receive()


async def test_streams_go_in_chunks_and_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    assert links.chunk_bytes_max == chunk_bytes_max
    monkeypatch.setattr(links, "chunk_bytes_max", 4)
    # A buffer this small makes every message wait for the one before.
    left, right = memory.pair(transport.Settings(write_buffer_bytes=1))
    streamed: list[int] = []
    sender = links.BulkLink(left, 3, streamed.append)
    receiver = links.BulkLink(right, 5, streamed.append)
    contents = {1: (b"0123456789",), 2: (b"abcd", b"", b"efghi"), 3: (b"",)}
    for transfer, data in contents.items():
        sender.stream(Stream(transfer, 5, data))
    arrived = dict.fromkeys(contents, b"")
    order, open_transfers = [], set(contents)
    async with asyncio.timeout(LONG_S):
        while open_transfers:
            got = await receiver.receive()
            assert (got.kind, got.destination, got.source) == (frame.CHUNK, 5, 3)
            assert got.offset == len(arrived[got.transfer]) and len(got.payload) <= 4
            arrived[got.transfer] += bytes(got.payload)
            order.append(got.transfer)
            if got.last:
                open_transfers.remove(got.transfer)
    assert arrived == {transfer: b"".join(data) for transfer, data in contents.items()}
    assert order[:3] == [1, 2, 3], "none waits for another's end"
    await asyncio.gather(*sender._streams._all)
    assert sorted(streamed) == [1, 2, 3]
    await left.close()


async def test_credit() -> None:
    left, right = memory.pair()
    links.BulkLink(left, 5, lambda transfer: None).grant(GrantCredit(7, 3))
    got = await links.BulkLink(right, 3, lambda transfer: None).receive()
    assert got._replace(payload=b"") == frame.BulkFrame(frame.CREDIT, False, 3, 5, 7, 0, b"")
    await left.close()


async def test_a_stream_ends_with_its_connection() -> None:
    left, right = memory.pair(transport.Settings(write_buffer_bytes=1))
    streamed: list[int] = []
    sender = links.BulkLink(left, 3, streamed.append)
    sender.stream(Stream(1, 5, (bytes(3 * chunk_bytes_max),)))
    await right.recv()
    left.cut()
    async with asyncio.timeout(LONG_S):
        while sender._streams._all:
            await asyncio.gather(*sender._streams._all)
    assert streamed == []
