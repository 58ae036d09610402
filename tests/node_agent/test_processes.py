"""Executor processes without a master."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import tempfile
from pathlib import Path
from typing import Any

import pytest

from node_agent import processes
from node_agent.assignment import TELL_DEVICES, Assignment
from node_agent.environment import ExecutorUser, child_environment
from node_agent.processes import EndedUnready, Executors
from tests.processes import ROOT

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


async def test_a_process_that_is_asked_is_ready_once_it_has_answered() -> None:
    async with asyncio.timeout(TIMEOUT_S):
        executors = Executors(child_environment((0,)))
        try:
            found = json.loads(await executors.ask(TIMEOUT_S, TELL_DEVICES))
            assert found["devices"] and not found["others"]
            (asked,) = executors._ready
            await executors.prepare()
            assert list(executors._ready) == [asked], "which is enough"
            given = Assignment("ws://127.0.0.1:1", 4, 1, "ticket", [[1, 0]], None)
            assert await executors.start(given) is asked
            await asked.wait()
            assert asked.returncode == 1, "no master is there"
        finally:
            await executors.close()


async def test_what_a_driver_prints_is_no_part_of_an_answer(tmp_path: Path) -> None:
    """Nor of what the agent prints, whose standard output executors share."""
    noisy = tmp_path / "node_agent"
    noisy.mkdir()
    (noisy / "__init__.py").write_text(
        "import os\n"
        f"__path__ = [{str(Path(processes.__file__).parent)!r}]\n"
        "from node_agent.driver import library\n"
        "found = library.matching_devices\n"
        "library.matching_devices = lambda *given: (os.write(1, b'noise'), found(*given))[1]\n"
    )
    out = os.memfd_create("out")
    own = os.dup(1)
    os.dup2(out, 1)
    executors = Executors(child_environment((0,)) | {"PYTHONPATH": f"{tmp_path}:{ROOT}"})
    try:
        async with asyncio.timeout(TIMEOUT_S):
            found = json.loads(await executors.ask(TIMEOUT_S, TELL_DEVICES, "no such device"))
            await executors.close()
    finally:
        os.dup2(own, 1)
        os.close(own)
    assert not found["devices"] and found["others"]
    assert os.fstat(out).st_size == 0
    os.close(out)


@pytest.mark.parametrize("how", ["ends", "hangs"])
async def test_a_process_that_is_asked_and_doesn_t_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str
) -> None:
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\n" + ("exit 3\n" if how == "ends" else "exec sleep 60\n"))
    script.chmod(0o700)
    monkeypatch.setattr(processes.sys, "executable", str(script))
    executors = Executors({})
    before = os.listdir("/proc/self/fd")
    expected = EndedUnready if how == "ends" else TimeoutError
    with pytest.raises(expected) as caught:
        await executors.ask(TIMEOUT_S if how == "ends" else 0.01, TELL_DEVICES)
    assert how == "hangs" or caught.value.status == 3
    assert not executors._ready
    (process,) = executors._stopped
    await executors.close()
    assert process.returncode == (3 if how == "ends" else -signal.SIGKILL)
    await asyncio.sleep(0)
    # Fewer, where something of an earlier test's was collected meanwhile.
    assert len(os.listdir("/proc/self/fd")) <= len(before)


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
