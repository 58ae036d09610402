"""The agent with a master made by hand: registration, and executors that it starts and loses."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from node_agent import daemon, processes
from node_agent.daemon import Agent, AgentOptions, run_agent
from node_agent.environment import ExecutorUser
from tests.frames import control as control_frame
from tests.node_agent.fake_master import FakeMaster
from tests.processes import loaded_by
from vcl.direct import certificate
from vcl.errors import ConnectionProblem
from vcl.transport import ConnectionClosed
from vcl.wire.messages import node

TIMEOUT_S = 60


def options(url: str, **changes: Any) -> AgentOptions:
    fields = {"token": "t", "name": "me", "substring": None, "cores": (0,)}
    return AgentOptions(url=url, **{**fields, **changes})


async def nothing(agent: Agent) -> list[Any]:
    """An inventory that takes no time."""
    return []


def ours(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "vcl-agent"]


@asynccontextmanager
async def serving(master: FakeMaster) -> AsyncIterator[tuple[Agent, Any, asyncio.Task[str]]]:
    """A connected agent, the master's link to it, and its serving."""
    agent = Agent(options(master.url))
    agent._inventory = nothing.__get__(agent)  # type: ignore[method-assign]
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await agent.connect()
            _, link = await master.arrival("agent")
            serve = asyncio.create_task(agent.serve())
            yield agent, link, serve
            if not serve.done():
                serve.cancel()
    finally:
        await agent.close()


async def process_of(agent: Agent, session: int) -> asyncio.subprocess.Process:
    return agent._executors._serving[session]


async def told(link: Any) -> list[Any]:
    """The next messages but heartbeats, which come whenever a machine is slow enough."""
    while True:
        messages = [m for m in await link.receive() if not isinstance(m, node.Heartbeat)]
        if messages:
            return messages


def start(session: int) -> node.StartExecutor:
    return node.StartExecutor(session, 1, 60 + session, "ticket", [[1, 0]])


# Registration


async def test_registration_and_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "heartbeat_interval_s", 0.01)
    async with FakeMaster() as master:
        agent = Agent(options(master.url))
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await agent.connect()
                hello, link = await master.arrival("agent")
                assert (hello.role, hello.token, hello.name) == ("agent", "t", "me")
                assert hello.host == daemon.host_id() and len(hello.incarnation) == 16
                assert len(hello.devices) == agent.device_count >= 1
                assert hello.devices[0].info["NAME"]
                serve = asyncio.create_task(agent.serve())
                (first,), (second,) = await link.receive(), await link.receive()
                assert first.executors == second.executors == 0
                assert 0 < second.memory_used < second.memory == first.memory
                await link.connection.close(1000, "the master stops")
                assert await serve == "the master stops"
        finally:
            await agent.close()


async def test_no_device_that_matches(capfd: pytest.CaptureFixture[str]) -> None:
    wanted = options("ws://127.0.0.1:1", substring="no such device")
    assert await run_agent(wanted, asyncio.Event(), lambda agent: None) == 1
    said = capfd.readouterr().err
    assert "no OpenCL device on this host has 'no such device' in its name; there are: " in said
    assert "Portable Computing Language / " in said, "what there is"


async def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Agent, "_inventory", nothing)
    with pytest.raises(ConnectionProblem, match="can't reach"):
        await Agent(options("ws://127.0.0.1:1", once=True)).connect()


@pytest.mark.parametrize(
    ("arguments", "text"), [(["-c", "raise SystemExit(3)"], "status 3"), (None, "didn't enumerate")]
)
async def test_drivers_that_break_while_they_are_enumerated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, arguments: list[str] | None, text: str
) -> None:
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\n" + ("exit 3\n" if arguments else "exec sleep 60\n"))
    script.chmod(0o700)
    monkeypatch.setattr(processes.sys, "executable", str(script))
    monkeypatch.setattr(daemon, "inventory_timeout_s", 10.0 if arguments else 0.01)
    with pytest.raises(ConnectionProblem, match=text):
        await Agent(options("ws://127.0.0.1:1", once=True)).connect()


# Executors


async def test_an_executor_that_is_killed_is_reported_with_the_signal(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with FakeMaster() as master, serving(master) as (agent, link, _):
        link.send([start(4)])
        hello, _ = await master.arrival("executor")
        assert (hello.session, hello.token, hello.endpoint) == (4, "ticket", 1)
        os.kill((await process_of(agent, 4)).pid, signal.SIGKILL)
        (ended,) = await told(link)
        assert (ended.session, ended.start) == (4, 64) and "SIGKILL" in ended.message
        assert f"the executor of session 4: {ended.message}" in caplog.text
        link.send([start(4)])
        await master.arrival("executor")


async def test_an_executor_that_ends_by_itself_is_reported_and_a_stopped_one_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with FakeMaster() as master, serving(master) as (agent, link, _):
        link.send([start(4)])
        await master.arrival("executor")
        stopped = await process_of(agent, 4)
        link.send([node.StopExecutor(4), node.StopExecutor(9), start(5)])
        _, control = await master.arrival("executor")
        assert await stopped.wait() == -signal.SIGKILL
        await control.connection.send(control_frame(1, 0, [[99]]))
        assert await told(link) == [
            node.ExecutorEnded(5, 65, "its process ended with status 1")
        ]  # fmt: skip
        assert "session 5" in caplog.text and "session 4" not in caplog.text
        assert len(agent._executors) == 0


async def test_an_agent_that_serves_as_many_as_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "executors_max", 1)
    async with FakeMaster() as master, serving(master) as (_, link, _):
        link.send([start(4), start(5)])
        await master.arrival("executor")
        assert await told(link) == [
            node.ExecutorEnded(5, 65, "this node serves 1 sessions already", True)
        ]  # fmt: skip


async def test_an_executor_that_never_connects_is_ended_and_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with FakeMaster() as master, serving(master) as (agent, link, _):
        (stuck,) = agent._executors._ready
        os.kill(stuck.pid, signal.SIGSTOP)
        monkeypatch.setattr(processes, "executor_dial_timeout_s", 0.1)
        link.send([start(4)])
        assert await told(link) == [
            node.ExecutorEnded(4, 64, "it didn't connect to the master within 0.1 s")
        ]
        assert await stuck.wait() == -signal.SIGKILL
        monkeypatch.undo()
        link.send([start(4)])
        _, control = await master.arrival("executor")
        link.send([node.StopExecutor(4)])
        with pytest.raises(ConnectionClosed):
            await control.receive()


async def test_an_executor_that_is_stopped_before_it_connected_is_not_reported() -> None:
    async with FakeMaster() as master, serving(master) as (agent, link, _):
        (stuck,) = agent._executors._ready
        os.kill(stuck.pid, signal.SIGSTOP)
        link.send([start(4), node.StopExecutor(4), start(5)])
        assert await stuck.wait() == -signal.SIGKILL
        await master.arrival("executor")
        os.kill((await process_of(agent, 5)).pid, signal.SIGKILL)
        assert [(m.session, m.start) for m in await told(link)] == [(5, 65)]


async def test_an_agent_that_can_start_no_process(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with FakeMaster() as master, serving(master) as (agent, link, serve):
        with monkeypatch.context() as broken:
            broken.setattr(processes.sys, "executable", "/no such python")
            broken.setattr(processes, "spare_delay_s", 0.0)
            link.send([start(4)])
            await master.arrival("executor")
            assert agent._preparing is not None
            await asyncio.wait([agent._preparing])
            assert ["/no such python" in line for line in ours(caplog)] == [True]
            link.send([start(5)])
            (ended,) = await told(link)
            assert (ended.session, ended.start) == (5, 65)
            assert ended.message.startswith("can't start a process: [Errno 2]")
        link.send([start(6)])
        hello, _ = await master.arrival("executor")
        assert hello.session == 6 and not serve.done()


async def test_a_ready_executor_that_died_is_replaced() -> None:
    async with FakeMaster() as master, serving(master) as (agent, link, _):
        (ready,) = agent._executors._ready
        ready.kill()
        await ready.wait()
        link.send([start(4)])
        hello, _ = await master.arrival("executor")
        assert hello.session == 4


async def test_all_executors_end_with_the_agent() -> None:
    async with FakeMaster() as master:
        async with serving(master) as (agent, link, _):
            link.send([start(4), start(5)])
            await master.arrival("executor")
            await master.arrival("executor")
            executors = agent._executors
            started = [*executors._ready, *executors._serving.values()]
        assert all(p.returncode == -signal.SIGKILL for p in started)


# Details


@pytest.mark.parametrize(
    ("status", "text"),
    [(0, "status 0"), (3, "status 3"), (-11, "SIGSEGV"), (-99, "signal 99")],
)
def test_how_a_process_ended(status: int, text: str) -> None:
    assert text in daemon._how(status)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start processes as another user")
async def test_a_user_that_may_not_run_this_python(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    private = tmp_path / "python"
    private.symlink_to("/bin/false")
    tmp_path.chmod(0o700)
    monkeypatch.setattr(daemon.sys, "executable", str(private))
    user = ExecutorUser("them", 65534, 65534, (), "/")
    agent = Agent(options("ws://127.0.0.1:1", user=user))
    monkeypatch.setattr(daemon.sys, "base_prefix", "/root/its python")
    with pytest.raises(ConnectionProblem, match=r"Permission denied.*as user 'them'") as caught:
        await agent.connect()
    text = str(caught.value)
    assert f"to read {os.path.realpath('/bin/false')}, /root/its python, {sys.prefix} and" in text
    assert "run vcl-agent as a user that isn't root" in text
    assert "`--executor-user root` runs kernels as root" in text


def test_a_lack_of_descriptors_is_not_blamed_on_the_user() -> None:
    user = ExecutorUser("them", 65534, 65534, (), "/")
    error = OSError(errno.EMFILE, "Too many open files")
    assert str(daemon._no_process(error, user)).endswith("Too many open files")


async def test_the_next_executor_waits_until_the_last_one_has_had_its_build(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processes, "spare_delay_s", 60.0)  # longer than two take to start
    async with FakeMaster() as master, serving(master) as (agent, link, _):
        link.send([start(4)])
        await master.arrival("executor")
        assert agent._preparing is not None and not agent._executors._ready
        link.send([start(5)])
        hello, _ = await master.arrival("executor")
        assert hello.session == 5, "who needs one meanwhile has it started at once"
        preparing = agent._preparing
        assert not preparing.done() and not agent._executors._ready
    assert preparing.done() and not agent._executors._ready, "and who closes doesn't wait for it"


@pytest.mark.parametrize(
    ("url", "data_listen", "expected"),
    [("wss", None, 1), ("wss", "127.0.0.1", 1), ("wss", "none", 0), ("ws", None, 0)],
)
async def test_an_agent_that_can_make_no_certificates_says_so(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    url: str,
    data_listen: str | None,
    expected: int,
) -> None:
    async def fail(agent: Agent) -> None:
        raise ConnectionProblem("nobody is there")

    monkeypatch.setattr(Agent, "connect", fail)
    monkeypatch.setattr(certificate, "AVAILABLE", False)
    given = options(f"{url}://127.0.0.1:9", data_listen=data_listen)
    assert await run_agent(given, asyncio.Event(), lambda agent: None) == 1
    assert sum("pip install cryptography" in line for line in ours(caplog)) == expected


def test_an_agent_loads_nothing_that_its_executors_compute_with() -> None:
    loaded = loaded_by("node_agent.__main__")
    assert "node_agent" in loaded and not loaded & {"numpy", "pyopencl"}
