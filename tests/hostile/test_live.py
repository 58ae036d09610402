"""A master that serves an honest session while mutated frames come on connections of every role.

Most of those connections are in memory, as a handshake on a socket costs more than all the rest;
the honest session and every nineteenth attack are on the loopback. 20,000 frames in the quick
tests, 1,000,000 in the long ones, half of them with each WebSocket library.
"""

from __future__ import annotations

import asyncio
import logging
from random import Random
from typing import Any

import pytest

from tests.hostile.live import ROLES, Attack
from tests.master.test_server import Cluster, chunk
from vcl.transport import ENVIRONMENT_VARIABLE, LIBRARIES
from vcl.wire.messages import node, part, session

FRAMES_OF_AN_ATTACK = 40
LOOPBACK_EVERY = 19
"""No common factor with the number of roles: each of them comes on the loopback, too."""
TIMEOUT_S = {10_000: 300, 500_000: 4 * 3600}


class Honest:
    """A session that computes beside all that."""

    async def begin(self, cluster: Cluster) -> None:
        self.agent = await cluster.agent("honest")
        self.client, self.bulk, _ = await cluster.client()
        self.client.send([session.Fill(20, 2, [], 10, 0, 64, b"x")])
        self.executor, self.executor_bulk = await cluster.executor(self.agent)
        self._event = 20
        await self._answer()

    async def _answer(self) -> None:
        """The executor does what it is told, and the client hears of it."""
        told = await self.executor.receive()
        (fill,) = [m for m in told if isinstance(m, part.FillRegion)]
        self.executor.send([part.Done([[fill.operation, 0, 5, 6, None, None]])])
        assert await self.client.receive() == [session.EventsDone([[self._event, 0, 5, 6, None]])]
        self.agent.send([node.Heartbeat(1)])

    async def round_trip(self) -> None:
        self._event += 1
        self.client.send([session.Fill(self._event, 2, [], 10, 0, 64, b"x")])
        await self._answer()
        await self.bulk.connection.send(*chunk(1, 0, b"there"))
        assert bytes((await self.executor_bulk.receive()).payload) == b"there"
        await self.executor_bulk.connection.send(*chunk(0, 1, b"and back"))
        assert bytes((await self.bulk.receive()).payload) == b"and back"


def kept(server: Any) -> dict[str, int]:
    """How much the server and its core keep."""
    core = server._core
    tables = {
        **{name: getattr(server, name) for name in ("_connections", "_links")},
        **{name: getattr(server._relay, name) for name in ("_legs", "_bound", "_leaving")},
        "of the core": core._connections,
        "sessions": core.sessions,
        "nodes": core.nodes.by_id,
        "places": core.nodes._places,
        "early": server._relay._early,
        "closing": server._closing,
        "waiting for the guard": server._judging._waiting,
    }
    return {name: len(table) for name, table in tables.items()}


@pytest.mark.parametrize("frames", [10_000, pytest.param(500_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("library", LIBRARIES)
async def test_mutated_frames(
    library: str,
    frames: int,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip(library)
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, library)
    caplog.set_level(logging.INFO, "vcl-master")
    problems: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
    cluster, honest = Cluster(), Honest()
    host, port = await cluster.server.start("127.0.0.1", 0)
    cluster.url = f"ws://{host}:{port}"
    async with asyncio.timeout(TIMEOUT_S[frames]):
        await honest.begin(cluster)
        before = kept(cluster.server)
        sent = attacks = 0
        while sent < frames:
            in_memory = attacks % LOOPBACK_EVERY != 0
            rng = Random(f"{library} {attacks}")
            attack = Attack(cluster.server, cluster.url, in_memory, rng)
            role = ROLES[attacks % len(ROLES)]
            sent += await attack.run(role, 1 if role == "hello" else FRAMES_OF_AN_ATTACK)
            await attack.end()
            attacks += 1
            said = [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]
            said += [m for m in caplog.messages if "unexpected" in m]
            caplog.clear()
            assert not problems and not said, (attacks, role, problems, said)
            if attacks % 100 == 0:
                await honest.round_trip()
        await honest.round_trip()
        while kept(cluster.server) != before:  # sockets whose end hasn't come yet, else a time-out
            await asyncio.sleep(0.01)
        for connection in cluster.opened:
            await connection.close()
        await cluster.server.close()
