"""The turns that the master's shell takes: who goes on when, and when it is quiet."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from master import server as subject
from master import turns
from master.inputs import Closed, Continue, Received, Tick
from master.server import MasterServer
from tests.described import device
from tests.frames import control
from tests.master.test_server import AGENT_TOKEN, TIMEOUT_S, TOKEN
from vcl.transport import Connection, memory
from vcl.wire import codec
from vcl.wire.messages import node, session
from vcl.wire.messages.handshake import Hello, Welcome, pack_hello, unpack_answer

OTHERS = "others"
ALWAYS_OVER, NEVER_OVER = -1.0, 1000.0


class Clock:
    """Stands in for the module `time`."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Watched:
    """A server with connections in memory, and what its core was given, one after another."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.quiet: list[int] = []
        """How many sessions had turns, each time that it was called quiet."""
        self.server = MasterServer(
            TOKEN, AGENT_TOKEN, lambda: self.quiet.append(len(self.server._turns))
        )
        self.seen: list[Any] = []
        self._more = asyncio.Event()
        self._handlers: list[asyncio.Task[None]] = []
        handle = self.server._core.handle

        def spy(inputs: Sequence[Any], *rest: Any) -> Any:
            self.note(*inputs)
            return handle(inputs, *rest)

        monkeypatch.setattr(self.server._core, "handle", spy)

    def note(self, *things: Any) -> None:
        """Something was seen."""
        self.seen.extend(things)
        self._more.set()

    def let_others_in(self) -> None:
        """From now on note it each time that the loop gets round to others."""
        self.note(OTHERS)
        self._others = asyncio.get_running_loop().call_soon(self.let_others_in)

    def kinds(self, *wanted: type) -> list[Any]:
        """Of what was seen, these, and the others' turns."""
        kinds = [o if o == OTHERS else type(o) for o in self.seen]
        return [kind for kind in kinds if kind == OTHERS or kind in wanted]

    async def until(self, count: int, kind: type) -> None:
        """Wait until so many inputs of a kind were seen."""
        async with asyncio.timeout(TIMEOUT_S):
            while sum(type(o) is kind for o in self.seen) < count:
                self._more.clear()
                await self._more.wait()

    async def open(self, role: str, token: str, **fields: Any) -> tuple[Connection, Welcome]:
        near, far = memory.pair()
        self._handlers.append(asyncio.create_task(self.server._handle(far, "/")))
        hello = Hello.model_validate({"software": "9", "role": role, "token": token, **fields})
        await near.send(pack_hello(hello))
        answer = unpack_answer(await near.recv())
        assert isinstance(answer, Welcome)
        return near, answer

    async def end(self, *connections: Connection) -> None:
        if hasattr(self, "_others"):
            self._others.cancel()
        for connection in connections:
            await connection.close()
        await asyncio.gather(*self._handlers)
        await asyncio.gather(*self.server._turns.values())
        await self.server.close()


@pytest.fixture
async def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


def events(sequence: int) -> bytes:
    """A frame that makes eleven things to do, and twice as many with a second one."""
    first = 1000 * sequence
    messages: list[Any] = [session.CreateContext(first, [], False)]
    messages += [session.CreateUserEvent(first + n, first) for n in range(1, 11)]
    return control(sequence, 0, [[*codec.pack(m)] for m in messages])


def all_apart(kinds: list[Any]) -> bool:
    """Between any two inputs the others had a turn."""
    return all(OTHERS in pair for pair in pairwise(kinds))


async def test_between_the_turns_of_a_session_the_others_have_theirs(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _ = await watched.open("client", TOKEN)
    monkeypatch.setattr(turns, "turn_s_max", ALWAYS_OVER)
    watched.let_others_in()
    await client.send(events(1))
    await watched.until(10, Continue)
    kinds = watched.kinds(Received, Continue)
    assert all_apart(kinds[kinds.index(Received) :])
    await watched.end(client)


async def test_what_is_done_within_a_turn_takes_one(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "turn_s_max", NEVER_OVER)
    client, _ = await watched.open("client", TOKEN)
    await client.send(events(1))
    await watched.until(1, Received)
    assert len(watched.server._core.sessions[1].session.commands) == 10
    assert not watched.server._turns
    await watched.end(client)
    assert not watched.kinds(Continue)


async def test_a_turn_is_over_when_its_time_is(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock goes on with each look at it, so that a turn has room for some of eleven things."""
    client, _ = await watched.open("client", TOKEN)

    class Going(Clock):
        def monotonic(self) -> float:
            self.now += turns.turn_s_max / 4
            return self.now

    monkeypatch.setattr(subject, "time", Going())
    await client.send(events(1))
    await watched.until(1, Continue)
    await asyncio.gather(*watched.server._turns.values())
    assert 2 <= len(watched.kinds(Continue)) <= 6
    await watched.end(client)


async def test_nothing_more_is_taken_from_a_session_that_has_not_dealt_with_what_came(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _ = await watched.open("client", TOKEN)
    monkeypatch.setattr(turns, "turn_s_max", ALWAYS_OVER)
    await client.send(events(1))
    await client.send(events(2))
    await watched.until(2, Received)
    kinds = watched.kinds(Received, Continue)
    assert kinds[0] is kinds[-1] is Received and len(kinds) > 11
    assert set(kinds[1:-1]) == {Continue}
    await watched.end(client)


class Full:
    """In place of a connection: its other end reads nothing until `read` is set."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self.read = asyncio.Event()
        self.unsent_bytes = subject.unread_soon_bytes + 1

    async def drained(self) -> None:
        self._watched.note(self)
        await self.read.wait()


async def test_nothing_more_is_taken_from_a_client_whose_executors_have_not_read(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _ = await watched.open("client", TOKEN)
    full = Full(watched)
    watched.server._connections[77] = full  # type: ignore[assignment]
    monkeypatch.setattr(watched.server._core, "readers", lambda session: [77, 78])
    monkeypatch.setattr(turns, "turn_s_max", NEVER_OVER)
    await client.send(events(1))
    await client.send(events(2))
    await watched.until(1, Full)
    assert [type(o) for o in watched.seen if type(o) in (Received, Full)] == [Received, Full]
    full.unsent_bytes = 0
    full.read.set()
    await watched.until(2, Received)
    await watched.end(client)


async def test_an_executor_that_reads_nothing_does_not_hide_the_end_of_its_client(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _ = await watched.open("client", TOKEN)
    watched.server._connections[77] = Full(watched)  # type: ignore[assignment]
    monkeypatch.setattr(watched.server._core, "readers", lambda session: [77])
    monkeypatch.setattr(turns, "turn_s_max", NEVER_OVER)
    monkeypatch.setattr(subject, "heartbeat_timeout_s", 0.0)
    await client.send(events(1))
    await client.close()
    await watched.until(1, Closed)
    assert not watched.server._core.sessions
    await watched.end()


@pytest.mark.parametrize("turn_s", [ALWAYS_OVER, NEVER_OVER])
async def test_a_reader_of_control_frames_gives_way(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, turn_s: float
) -> None:
    monkeypatch.setattr(turns, "turn_s_max", turn_s)  # its first turn begins as it comes
    fields = {"name": "a", "incarnation": "a", "devices": [device()]}
    agent, _ = await watched.open("agent", AGENT_TOKEN, **fields)
    watched.let_others_in()
    for n in range(1, 11):
        agent.send_soon(control(n, 0, [[*codec.pack(node.Heartbeat(n))]]))
    await watched.until(10, Received)
    kinds = watched.kinds(Received)
    kinds = kinds[kinds.index(Received) :]
    assert all_apart(kinds) == (turn_s == ALWAYS_OVER)
    await watched.end(agent)


# Quiet


async def test_it_is_not_quiet_while_a_session_has_turns_to_come(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "heartbeat_interval_s", 0.0)
    monkeypatch.setattr(subject, "quiet_interval_s", -1.0)
    await watched.server.start("127.0.0.1", 0)
    client, _ = await watched.open("client", TOKEN)
    await client.send(events(1))
    await watched.until(5, Tick)
    monkeypatch.setattr(turns, "turn_s_max", ALWAYS_OVER)
    await client.close()
    await watched.until(10, Continue)
    ticks = sum(type(o) is Tick for o in watched.seen)
    assert 0 < len(watched.quiet) < ticks and set(watched.quiet) == {0}
    await watched.end()


async def test_it_is_quiet_now_and_then(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(subject, "time", clock)
    watched.server._was_quiet = clock.now
    monkeypatch.setattr(subject, "heartbeat_interval_s", 0.0)
    await watched.server.start("127.0.0.1", 0)
    ticks = 0
    for times in range(3):
        ticks += 5
        await watched.until(ticks, Tick)
        assert watched.quiet == [0] * times
        clock.now += subject.quiet_interval_s + 1.0
        ticks = sum(type(o) is Tick for o in watched.seen)
    await watched.end()
