"""The master's shell over real WebSockets on the loopback, with clients made by hand.

Long because each way to misuse a connection has its case here.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest

from master import server as subject
from master.ledger import SECOND_LIVES
from master.server import MasterServer
from tests.described import device
from tests.frames import control as control_frame
from tests.master.rigs import GLOBAL, kernel
from vcl import transport
from vcl.links import BulkLink, ControlLink, dial
from vcl.numbering import Numbering
from vcl.transfers import GrantCredit
from vcl.transport import Connection, ConnectionClosed
from vcl.transport.base import BaseConnection
from vcl.wire import frame
from vcl.wire.messages import node, part, session
from vcl.wire.messages.handshake import (
    Hello,
    Refused,
    Welcome,
    pack_hello,
    unpack_answer,
)

TOKEN = "the token"
AGENT_TOKEN = "the agents' token"
TIMEOUT_S = 10
Connect = Callable[[], Awaitable[Connection]]


class Cluster:
    """A master, and what was opened to it."""

    def __init__(self) -> None:
        self.server = MasterServer(TOKEN, AGENT_TOKEN)
        self.url = ""
        self.opened: list[Connection] = []

    async def connect(self) -> Connection:
        connection = await transport.connect(self.url)
        self.opened.append(connection)
        return connection

    async def dial(self, role: str, token: str = TOKEN, **fields: Any) -> tuple[Any, Welcome]:
        hello = Hello.model_validate({"software": "9", "role": role, "token": token, **fields})
        connection, welcome = await dial(self.url, hello)
        self.opened.append(connection)
        return connection, welcome

    async def agent(self, name: str = "a") -> ControlLink:
        connection, _ = await self.dial(
            "agent", AGENT_TOKEN, name=name, incarnation=name, devices=[device()]
        )
        return ControlLink(connection, node.TO_AGENT, Numbering(trusted=True))

    async def client(self) -> tuple[ControlLink, BulkLink, Welcome]:
        connection, welcome = await self.dial("client")
        bulk, _ = await self.dial("client-bulk", welcome.key, session=welcome.session)
        bulk.ping()
        link = ControlLink(connection, session.TO_CLIENT, Numbering(trusted=True))
        link.send([session.CreateContext(1, [1], True), session.CreateQueue(2, 1, 0, 0),
                   session.CreateBuffer(10, 1, 64)])  # fmt: skip
        return link, BulkLink(bulk, 0, lambda transfer: None), welcome

    async def executor(self, agent: ControlLink) -> tuple[ControlLink, BulkLink]:
        (start,) = await agent.receive()
        return await self.join(start)

    async def join(self, start: node.StartExecutor) -> tuple[ControlLink, BulkLink]:
        fields = {"token": start.ticket, "session": start.session, "endpoint": start.node}
        bulk, _ = await self.dial("executor-bulk", **fields)
        bulk.ping()
        control, _ = await self.dial("executor", **fields)
        link = BulkLink(bulk, start.node, lambda transfer: None)
        return ControlLink(control, part.TO_EXECUTOR, Numbering(trusted=True)), link


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    made = Cluster()
    host, port = await made.server.start("127.0.0.1", 0)
    made.url = f"ws://{host}:{port}"
    async with asyncio.timeout(TIMEOUT_S):
        yield made
        for connection in made.opened:
            await connection.close()
        await made.server.close()


async def closed(connection: Connection) -> ConnectionClosed:
    """How a connection ends, whatever still comes before."""
    while True:
        try:
            await connection.recv()
        except ConnectionClosed as error:
            return error


def fill(event: int) -> session.Fill:
    return session.Fill(event, 2, [], 10, 0, 64, b"x")


def chunk(destination: int, source: int, payload: bytes = b"bytes") -> tuple[bytes, bytes]:
    header = frame.BulkFrame(frame.CHUNK, True, destination, source, 7, 0, b"")
    return frame.pack_bulk_header(header), payload


# The handshake


async def test_a_first_message_that_is_garbage(cluster: Cluster) -> None:
    connection = await cluster.connect()
    await connection.send(b"\xc1 garbage")
    answer = unpack_answer(await connection.recv())
    assert isinstance(answer, Refused) and answer.code == "malformed"
    assert (await closed(connection)).code == 1002


@pytest.mark.parametrize(
    "change", [{"name": 7}, {"surprise": 1}, {"devices": [{}]}, {"software": 1.5}]
)
async def test_a_hello_with_wrong_fields(cluster: Cluster, change: dict[str, Any]) -> None:
    rest = frame.pack_value({"software": "9", **change})
    connection = await cluster.connect()
    await connection.send(frame.pack_value(["vcl", 2, "client", TOKEN, None, None, rest]))
    answer = unpack_answer(await connection.recv())
    assert isinstance(answer, Refused) and answer.code == "malformed"
    assert next(iter(change)) in answer.reason
    await closed(connection)


async def test_another_version(cluster: Cluster) -> None:
    hello = Hello(software="99", role="client", token=TOKEN, version=7)
    connection = await cluster.connect()
    await connection.send(pack_hello(hello))
    answer = unpack_answer(await connection.recv())
    assert isinstance(answer, Refused) and answer.code == "version"
    assert "version 7" in answer.reason
    await closed(connection)


async def test_a_wrong_token_is_refused_and_the_connection_closed(cluster: Cluster) -> None:
    connection = await cluster.connect()
    await connection.send(pack_hello(Hello(software="9", role="client", token="wrong")))
    answer = unpack_answer(await connection.recv())
    assert isinstance(answer, Refused) and answer.code == "token"
    assert "127.0.0.1" in answer.reason
    assert (await closed(connection)).sent_by_peer


async def test_who_says_nothing_is_dropped(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "handshake_timeout_s", 0.01)
    connection = await cluster.connect()
    assert (await closed(connection)).sent_by_peer


async def test_who_hangs_up_before_hello_leaves_nothing(cluster: Cluster) -> None:
    connection = await cluster.connect()
    await connection.close()
    await cluster.client()
    assert len(cluster.server._connections) == 2


async def test_the_health_check(cluster: Cluster) -> None:
    host, port = cluster.url.removeprefix("ws://").split(":")
    for path, status in [("/healthz", b"200"), ("/other", b"404")]:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert status in await reader.readline()
        writer.close()


# Control


async def test_a_command_goes_to_an_executor_and_its_end_comes_back(cluster: Cluster) -> None:
    agent = await cluster.agent()
    client, _, _ = await cluster.client()
    client.send([fill(20)])
    executor, _ = await cluster.executor(agent)
    allocate, operation = await executor.receive()
    assert isinstance(allocate, part.Allocate) and isinstance(operation, part.FillRegion)
    executor.send([part.Done([[operation.operation, 0, 5, 6, None, None]])])
    assert await client.receive() == [session.EventsDone([[20, 0, 5, 6, None]])]


async def test_whatever_waits_for_an_executor_finds_it_trusted(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = []
    send = ControlLink.send

    def noted(link: ControlLink, messages: Sequence[Any]) -> None:
        limits.append(link.connection.unread_bytes_max)
        send(link, messages)

    agent = await cluster.agent()
    client, _, _ = await cluster.client()
    client.send([fill(20)])
    (start,) = await agent.receive()
    monkeypatch.setattr(ControlLink, "send", noted)
    executor, _ = await cluster.join(start)
    await executor.receive()
    assert set(limits) == {subject.unread_trusted_bytes_max}


async def test_a_build_is_answered_with_the_guards_verdict(cluster: Cluster) -> None:
    agent = await cluster.agent()
    client, _, _ = await cluster.client()
    units = [["kernel void k(global int *x) { printf; }", "", [], []]]
    client.send([session.BuildProgram(5, 1, 7, session.BUILD, units, "")])
    executor, _ = await cluster.executor(agent)
    (build,) = await executor.receive()
    assert isinstance(build, part.Build)
    executor.send([part.BuildDone(7, 0, "", [], [kernel("k", (GLOBAL, "int*"))])])
    assert [m.request for m in await client.receive()] == [7]
    verdict = cluster.server._core.sessions[1].session.programs[5].verdict
    assert verdict is not None and verdict.reason.startswith("line 1: printf")


async def test_the_guard_forgets_a_session_that_is_over(cluster: Cluster) -> None:
    agent = await cluster.agent()
    client, _, _ = await cluster.client()
    hostile = [["x += y - z;\n" * 100_000, "", [], []]]
    client.send([session.BuildProgram(n, 1, n, session.BUILD, hostile, "") for n in (5, 6)])
    await agent.receive()
    judging = cluster.server._judging
    (reading,) = judging._reading.values()
    await client.connection.close()
    await asyncio.wait([reading])
    assert reading.cancelled() and not judging._waiting


@pytest.mark.parametrize(
    "data", [b"", b"\xc1", frame.pack_value([1, 0]), control_frame(1, 0, [[99]]),
             control_frame(3, 0, [[8, []]]), control_frame(1, 9, [[8, []]])],
)  # fmt: skip
async def test_bad_control_frames_end_their_session_only(cluster: Cluster, data: bytes) -> None:
    agent = await cluster.agent()
    connection, welcome = await cluster.dial("client")
    other, _, _ = await cluster.client()
    await connection.send(data)
    assert (await closed(connection)).sent_by_peer
    other.send([fill(20)])
    assert [m.session for m in await agent.receive()] == [welcome.session + 1]


async def test_who_sends_a_bad_frame_is_told_why(cluster: Cluster) -> None:
    connection, _ = await cluster.dial("client")
    await connection.send(control_frame(3, 0, [[8, []]]))
    assert "one is missing" in (await closed(connection)).reason


async def test_what_an_executor_or_agent_says_is_checked_as_theirs(cluster: Cluster) -> None:
    agent = await cluster.agent()
    client, _, _ = await cluster.client()
    client.send([fill(20)])
    executor, _ = await cluster.executor(agent)
    for link, who in ((executor, "executor"), (agent, "agent")):
        link.send([session.Release([10])])
        said = await closed(link.connection)
        assert said.code == 1002 and said.reason.startswith(f"{who} to master: ")


async def test_control_messages_on_a_bulk_connection(cluster: Cluster) -> None:
    client, bulk, _ = await cluster.client()
    link = ControlLink(bulk.connection, session.TO_CLIENT, Numbering())
    link.send([session.Release([10])])
    assert (await closed(bulk.connection)).code == 1002
    await closed(client.connection)


async def test_nothing_is_read_of_who_has_no_token(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    monkeypatch.setattr(subject, "ControlLink", lambda *of, **_: made.append(of))
    connection = await cluster.connect()
    hello = Hello(software="9", role="client", token="wrong")
    await connection.send(pack_hello(hello))
    await connection.send(control_frame(1, 0, [[99]]))
    answer = unpack_answer(await connection.recv())
    assert isinstance(answer, Refused) and answer.code == "token"
    await closed(connection)
    assert not made


async def test_an_end_of_the_session_reaches_everybody_in_it(cluster: Cluster) -> None:
    agent = await cluster.agent()
    client, bulk, _ = await cluster.client()
    client.send([fill(20)])
    control, executor_bulk = await cluster.executor(agent)
    await control.receive()
    await client.connection.close()
    for connection in (bulk.connection, control.connection, executor_bulk.connection):
        assert (await closed(connection)).sent_by_peer
    assert await agent.receive() == [node.StopExecutor(1)]
    server = cluster.server
    relay = server._relay
    assert len(server._connections) == 1 and not relay._legs and not relay._bound


async def test_nothing_is_kept_of_a_session_that_is_over(cluster: Cluster) -> None:
    agent = await cluster.agent()
    client, _, _ = await cluster.client()
    client.send([fill(20)])
    control, bulk = await cluster.executor(agent)
    await control.receive()
    await client.connection.close()
    await closed(bulk.connection)
    relay = cluster.server._relay
    assert not relay._early and not relay._legs


# Bulk


async def pair(cluster: Cluster, agent: ControlLink) -> tuple[BulkLink, BulkLink, ControlLink]:
    """A session's two ends: the client's bulk, the executor's, and the client's control."""
    client, bulk, _ = await cluster.client()
    client.send([fill(20)])
    control, executor_bulk = await cluster.executor(agent)
    await control.receive()
    return bulk, executor_bulk, client


async def test_bulk_is_relayed_both_ways(cluster: Cluster) -> None:
    client, executor, _ = await pair(cluster, await cluster.agent())
    await client.connection.send(*chunk(1, 0))
    received = await executor.receive()
    assert (received.source, received.transfer, bytes(received.payload)) == (0, 7, b"bytes")
    executor.grant(GrantCredit(7, 0))
    assert (await client.receive()).kind == frame.CREDIT


async def test_two_sessions_do_not_see_each_other(cluster: Cluster) -> None:
    agent = await cluster.agent()
    one, its_executor, control = await pair(cluster, agent)
    two, other_executor, _ = await pair(cluster, agent)
    # The endpoints have the same numbers in both sessions: 0 and 1.
    await one.connection.send(*chunk(1, 0, b"of one"))
    await two.connection.send(*chunk(1, 0, b"of two"))
    assert bytes((await its_executor.receive()).payload) == b"of one"
    assert bytes((await other_executor.receive()).payload) == b"of two"
    await its_executor.connection.send(*chunk(0, 1, b"for one"))
    await other_executor.connection.send(*chunk(0, 1, b"for two"))
    assert bytes((await one.receive()).payload) == b"for one"
    assert bytes((await two.receive()).payload) == b"for two"
    await control.connection.close()
    await closed(its_executor.connection)
    await two.connection.send(*chunk(1, 0, b"still there"))
    assert bytes((await other_executor.receive()).payload) == b"still there"


@pytest.mark.parametrize(
    "parts",
    [chunk(1, 1), chunk(1, 2), (b"short",), (b"\xff" * 40,), chunk(1, 0, bytes(2**20 + 1))],
    ids=["in the executor's name", "in an unknown name", "short", "garbage", "too long"],
)
async def test_a_bad_bulk_frame_ends_its_session_only(
    cluster: Cluster, parts: tuple[bytes, ...]
) -> None:
    agent = await cluster.agent()
    client, executor, control = await pair(cluster, agent)
    other, other_executor, _ = await pair(cluster, agent)
    await client.connection.send(*parts)
    assert (await closed(client.connection)).sent_by_peer
    for end in (control.connection, executor.connection):
        await closed(end)
    await other.connection.send(*chunk(1, 0))
    assert (await other_executor.receive()).source == 0


async def test_bulk_for_who_is_gone_does_no_harm(cluster: Cluster) -> None:
    client, executor, control = await pair(cluster, await cluster.agent())
    await executor.connection.close()
    told: list[Any] = []
    while not any(isinstance(m, session.EventsDone) for m in told):
        told += await control.receive()
    ((ended,),) = [m.events for m in told if isinstance(m, session.EventsDone)]
    assert ended[1] < 0
    await client.connection.send(*chunk(1, 0))
    await client.connection.send(*chunk(5, 0))
    control.send([session.Read(21, 2, [], 10, 0, 64)])
    assert any(isinstance(m, session.EventsDone) for m in await control.receive())


async def test_bulk_may_come_before_its_receiver_is_connected(cluster: Cluster) -> None:
    agent = await cluster.agent()
    client, bulk, _ = await cluster.client()
    client.send([fill(20)])
    (start,) = await agent.receive()
    await bulk.connection.send(*chunk(1, 0, b"early"))
    _, executor = await cluster.join(start)
    assert bytes((await executor.receive()).payload) == b"early"


async def test_bulk_may_come_before_an_executor_that_starts_again(cluster: Cluster) -> None:
    # The client sends short transfers without credit, and never again: the receiver would hang.
    agent = await cluster.agent()
    client, bulk, _ = await cluster.client()
    client.send([fill(20)])
    control, executor = await cluster.executor(agent)
    await executor.connection.close()
    await closed(control.connection)
    await client.receive()
    client.send([fill(21)])
    assert await agent.receive() == [node.StopExecutor(1)]
    (start,) = await agent.receive()
    await bulk.connection.send(*chunk(SECOND_LIVES + 1, 0, b"early"))
    _, executor = await cluster.join(start)
    await bulk.connection.send(*chunk(SECOND_LIVES + 1, 0, b"late"))
    assert bytes((await executor.receive()).payload) == b"early"


async def test_bulk_for_ends_that_will_never_be_is_not_kept(cluster: Cluster) -> None:
    _, bulk, _ = await cluster.client()
    for endpoint in range(100, 120):
        await bulk.connection.send(*chunk(endpoint, 0, bytes(1 << 16)))
    await bulk.connection.send(*chunk(0, 0, b"back to itself"))
    await bulk.receive()
    assert not cluster.server._relay._early


async def test_bulk_that_comes_with_the_end_of_its_session(cluster: Cluster) -> None:
    control, bulk, _ = await cluster.client()
    control.connection.send_soon(control_frame(2, 0, [[99]]))
    for _ in range(100):
        bulk.connection.send_soon(*chunk(1, 0))
    assert (await closed(control.connection)).code == 1002
    assert (await closed(bulk.connection)).sent_by_peer


async def test_who_says_more_before_it_is_welcome_is_not_let_in(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # Then something is left in the library, which the relay would miss.
    monkeypatch.setattr(BaseConnection, "take_socket", lambda connection: None)
    control, welcome = await cluster.dial("client")
    bulk, _ = await cluster.dial("client-bulk", welcome.key, session=welcome.session)
    assert (await closed(bulk)).sent_by_peer
    await closed(control)
    assert "more came with its Hello" in caplog.text


async def test_too_many_that_say_nothing_make_room(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "strangers_max", 3)
    silent = [await cluster.connect() for _ in range(5)]
    client, _, _ = await cluster.client()
    for connection in silent[:3]:
        assert "haven't said Hello" in (await closed(connection)).reason
    assert len(cluster.server._strangers) == 2
    client.send([session.CreateUserEvent(20, 1), session.SetUserEvent(20, 0)])
    assert [e[0] for e in (await client.receive())[0].events] == [20]


async def test_what_can_not_be_sent_ends_its_connection_only(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _, _ = await cluster.client()
    other, _, _ = await cluster.client()
    first = cluster.server._core.sessions[1]
    first.session.ledger.for_client.append(session.Push(2**64, 0, 0, 0, 0))
    one.send([session.CreateUserEvent(20, 1)])
    assert "can't be sent" in (await closed(one.connection)).reason
    assert 1 not in cluster.server._core.sessions
    other.send([session.CreateUserEvent(20, 1), session.SetUserEvent(20, 0)])
    assert [e[0] for e in (await other.receive())[0].events] == [20]
async def test_connections_and_sessions_leave_nothing_in_reference_cycles(
    cluster: Cluster,
) -> None:
    async def come_and_go() -> None:
        client, bulk, _ = await cluster.client()
        client.send([session.CreateUserEvent(20, 1), session.SetUserEvent(20, 0)])
        await client.receive()
        await client.connection.close()
        await closed(bulk.connection)
        cluster.opened.clear()

    await come_and_go()
    gc.collect()
    gc.disable()
    try:
        for _ in range(5):
            await come_and_go()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        ours = [o for o in gc.garbage if type(o).__module__.startswith(("master", "vcl"))]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert not ours
