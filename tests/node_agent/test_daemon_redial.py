"""The agent and a master that it loses: when it comes back, and with which token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from node_agent import daemon
from node_agent.daemon import Agent, run_agent
from tests.node_agent.fake_master import FakeMaster
from tests.node_agent.test_daemon import TIMEOUT_S, nothing, options, ours, start
from vcl.tokens import AGENTS, forget_address, make_tokens, write_address
from vcl.transport import ConnectionClosed


@asynccontextmanager
async def running(
    master: FakeMaster, monkeypatch: pytest.MonkeyPatch, **changes: Any
) -> AsyncIterator[tuple[asyncio.Task[int], asyncio.Event, tuple[Any, Any]]]:
    """An agent as its command line runs it: its end, what stops it, and its first arrival."""
    monkeypatch.setattr(Agent, "_inventory", nothing)
    monkeypatch.setattr(daemon, "delay_s", lambda attempt, fraction: 0.001)
    stop = asyncio.Event()
    async with asyncio.timeout(TIMEOUT_S):
        run = asyncio.create_task(run_agent(options(master.url, **changes), stop, lambda _: None))
        yield run, stop, await master.arrival("agent")
        stop.set()
        await asyncio.wait([run])


async def test_an_agent_comes_back_to_its_master_as_who_it_was(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with (
        FakeMaster() as master,
        running(master, monkeypatch) as (run, stop, (first, link)),
    ):
        link.send([start(4)])
        _, executor = await master.arrival("executor")
        await link.connection.close(1001, "the server stops")
        again, link = await master.arrival("agent")
        assert again == first
        # A new master numbers its sessions from the beginning.
        link.send([start(4)])
        await master.arrival("executor")
        with pytest.raises(ConnectionClosed):
            while True:  # it may have said where it takes links
                await executor.receive()
        lost, back = ours(caplog)
        assert "the server stops" in lost and "again" in back
        stop.set()
        assert await run == 0


async def test_an_agent_waits_for_a_master_that_is_not_there_yet(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(Agent, "_inventory", nothing)
    attempts = Attempts()
    monkeypatch.setattr(daemon, "delay_s", attempts)
    async with FakeMaster() as gone:
        url = gone.url
    stop, readies = asyncio.Event(), []
    async with asyncio.timeout(TIMEOUT_S):
        run = asyncio.create_task(run_agent(options(url), stop, readies.append))
        await attempts.wait(3)
        assert not readies
        async with FakeMaster(port=int(url.rpartition(":")[2])) as master:
            await master.arrival("agent")
            while not readies:
                await asyncio.sleep(0)
            stop.set()
            assert await run == 0
    waits, registered = ours(caplog)
    assert "can't reach a vcl-master" in waits and waits.endswith("waiting for it")
    assert registered == f"registered at {url}"


async def test_an_agent_that_waits_stops_when_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Agent, "_inventory", nothing)
    attempts = Attempts()
    monkeypatch.setattr(daemon, "delay_s", attempts)
    stop = asyncio.Event()
    async with asyncio.timeout(TIMEOUT_S):
        run = asyncio.create_task(run_agent(options("ws://127.0.0.1:1"), stop, lambda _: None))
        await attempts.wait(1)
        stop.set()
        assert await run == 0


async def test_an_agent_may_try_once_only(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Agent, "_inventory", nothing)
    given = options("ws://127.0.0.1:1", once=True)
    assert await run_agent(given, asyncio.Event(), lambda _: None) == 1
    assert "can't reach a vcl-master at ws://127.0.0.1:1" in capfd.readouterr().err


async def test_an_agent_without_a_token_does_not_wait_for_a_master_elsewhere(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("VCL_AGENT_TOKEN", raising=False)
    given = options("ws://192.0.2.1:7470", token=None)
    assert await run_agent(given, asyncio.Event(), lambda _: None) == 1
    said = capfd.readouterr().err
    assert "no token" in said and "VCL_AGENT_TOKEN" in said and "--token-file" in said


@pytest.mark.parametrize("code", ["token", "version"])
async def test_a_master_that_wants_the_agent_no_more(
    code: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    async with FakeMaster(code=code) as master:
        async with running(master, monkeypatch) as (run, _, (_, link)):
            master.refuse = "the token is wrong"
            await link.connection.close()
            assert await run == 1
        assert "refused: the token is wrong" in capfd.readouterr().err


async def test_a_name_that_was_taken_meanwhile_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with FakeMaster(code="name") as master, running(master, monkeypatch) as (_, _, (_, link)):
        master.refuse = "it is taken"
        await link.connection.close()
        for _ in range(3):
            await master.refused.acquire()
        master.refuse = None
        await master.arrival("agent")
        assert len([text for text in ours(caplog) if "it is taken" in text]) == 1


async def test_an_agent_without_a_master_logs_once_and_stops_at_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    attempts: list[int] = []
    many = asyncio.Event()

    def delay(attempt: int, fraction: float) -> float:
        assert 0.0 <= fraction < 1.0
        attempts.append(attempt)
        if attempt < 5:
            return 0.0
        many.set()
        return 1e6

    async with FakeMaster() as master:
        context = running(master, monkeypatch)
        run, stop, _ = await context.__aenter__()
        monkeypatch.setattr(daemon, "delay_s", delay)
    async with asyncio.timeout(TIMEOUT_S):
        await many.wait()
        stop.set()
        assert await run == 0
    await context.__aexit__(None, None, None)
    assert attempts == [0, 1, 2, 3, 4, 5]
    assert len(ours(caplog)) == 1


@asynccontextmanager
async def own(
    master: FakeMaster, monkeypatch: pytest.MonkeyPatch, state: Path
) -> AsyncIterator[tuple[Any, str]]:
    """An agent that was given no token, with a master that is this user's own: the master's link
    to it, and the token with which it came."""
    monkeypatch.setattr("vcl.settings.state_dir", lambda: state)
    monkeypatch.delenv("VCL_AGENT_TOKEN", raising=False)
    made = make_tokens(state)
    write_address(state, "127.0.0.1", int(master.url.rpartition(":")[2]))
    async with running(master, monkeypatch, token=None) as (_, _, (hello, link)):
        assert hello.token == made.agents
        yield link, hello.token


class Attempts:
    """In place of `delay_s`: waits until so many attempts have been made."""

    def __init__(self) -> None:
        self.made = asyncio.Semaphore(0)

    def __call__(self, attempt: int, fraction: float) -> float:
        self.made.release()
        return 0.001

    async def wait(self, count: int) -> None:
        for _ in range(count):
            await self.made.acquire()


async def test_the_own_master_s_token_does_not_go_to_who_listens_there_next(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    async with FakeMaster() as master, own(master, monkeypatch, tmp_path) as (link, first):
        attempts = Attempts()
        monkeypatch.setattr(daemon, "delay_s", attempts)
        forget_address(tmp_path)
        await link.connection.close()
        await attempts.wait(5)
        assert master.waiting("agent") == 0
        (tmp_path / AGENTS).unlink()
        fresh = make_tokens(tmp_path).agents
        write_address(tmp_path, "127.0.0.1", int(master.url.rpartition(":")[2]))
        hello, _ = await master.arrival("agent")
        assert hello.token == fresh != first
        assert len(ours(caplog)) == 1


async def test_a_token_that_can_not_be_trusted_is_told_once_and_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    async with FakeMaster() as master, own(master, monkeypatch, tmp_path) as (link, first):
        attempts = Attempts()
        monkeypatch.setattr(daemon, "delay_s", attempts)
        (tmp_path / AGENTS).chmod(0o644)
        await link.connection.close()
        await attempts.wait(5)
        assert master.waiting("agent") == 0
        (tmp_path / AGENTS).chmod(0o600)
        hello, _ = await master.arrival("agent")
        assert hello.token == first
        assert len([text for text in ours(caplog) if "chmod 600" in text]) == 1
