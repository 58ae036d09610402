"""Executor processes without a master."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import tempfile
from pathlib import Path
from typing import Any

import pytest

from node_agent import processes
from node_agent.assignment import Assignment
from node_agent.environment import ExecutorUser, child_environment
from node_agent.processes import Executors

TIMEOUT_S = 60


@pytest.mark.parametrize("error", [OSError(24, "no descriptors"), RuntimeError("no new thread")])
async def test_a_process_that_can_not_be_started_leaves_no_descriptor(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def fails(*arguments: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr(asyncio, "create_subprocess_exec", fails)
    executors = Executors({})
    before = os.listdir("/proc/self/fd")
    with pytest.raises(OSError, match=r"no (descriptors|new thread)") as caught:
        await executors.prepare()
    assert os.listdir("/proc/self/fd") == before, "whatever the traceback keeps alive"
    assert caught.traceback


async def test_a_ready_executor_whose_death_was_not_noticed_yet() -> None:
    async with asyncio.timeout(TIMEOUT_S):
        executors = Executors(child_environment((0,)))
        try:
            await executors.prepare()
            (ready,) = executors._ready
            descriptor = os.pidfd_open(ready.pid)
            os.kill(ready.pid, signal.SIGKILL)
            select.select([descriptor], [], [])
            os.close(descriptor)
            given = Assignment("ws://127.0.0.1:1", 4, 1, "ticket", [[1, 0]], None)
            process = await executors.start(given)
            await process.wait()
            assert executors.ended(4, process)
        finally:
            await executors.close()


async def test_a_second_start_for_a_session_ends_the_first_process() -> None:
    async with asyncio.timeout(TIMEOUT_S):
        executors = Executors(child_environment((0,)))
        try:
            given = Assignment("ws://127.0.0.1:1", 4, 1, "ticket", [[1, 0]], None)
            await executors.prepare()
            os.kill(executors._ready[0].pid, signal.SIGSTOP)  # it doesn't end by itself
            first = await executors.start(given)
            second = await executors.start(given)
            assert await first.wait() == -signal.SIGKILL
            assert not executors.ended(4, first) and len(executors) == 1
            assert executors._serving == {4: second}
        finally:
            await executors.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start processes as another user")
async def test_executors_run_as_a_user_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """With `cat` in place of Python, which may be in root's home."""
    user = ExecutorUser("them", 65534, 65533, (65532,), "/their home")
    executors = Executors(child_environment((), (), user), user)
    with tempfile.TemporaryDirectory() as folder:  # pytest's are below one that is private
        os.chmod(folder, 0o755)
        wrapper = Path(folder, "python")
        wrapper.write_text("#!/bin/sh\nexec cat\n")
        wrapper.chmod(0o755)
        monkeypatch.setattr(processes.sys, "executable", str(wrapper))
        try:
            await executors.prepare()
            (ready,) = executors._ready
            process = Path(f"/proc/{ready.pid}")
            lines = [line.split() for line in (process / "status").read_text().splitlines()]
            found = {line[0]: line[1:] for line in lines if line}
            assert found["Uid:"] == ["65534"] * 4 and found["Gid:"] == ["65533"] * 4
            assert found["Groups:"] == ["65532"]
            assert b"HOME=/their home\0" in (process / "environ").read_bytes()
        finally:
            await executors.close()
