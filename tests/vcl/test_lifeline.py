"""Processes that end with the one that started them, on real processes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

from vcl.lifeline import watch_process

LONG_S = 20.0
WAITS = "import sys; print('up', flush=True); sys.stdin.read()"
DIES_WITH_PARENT = "import os, sys; from vcl.lifeline import die_with_parent; "


def start(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


async def test_a_watched_process_is_missed_even_when_it_was_killed() -> None:
    with start(WAITS) as process:
        assert process.stdout is not None and process.stdout.readline() == "up\n"
        gone = asyncio.Event()
        before = len(os.listdir("/proc/self/fd"))
        watch_process(process.pid, gone.set)
        await asyncio.sleep(0)
        assert not gone.is_set()
        process.kill()
        async with asyncio.timeout(LONG_S):
            await gone.wait()
        assert len(os.listdir("/proc/self/fd")) == before, "the descriptor was left open"


async def test_a_process_that_is_gone_already() -> None:
    with start("") as process:
        process.wait()
    calls: list[int] = []
    watch_process(process.pid, lambda: calls.append(1))
    assert not calls, "never from within the call"
    async with asyncio.timeout(LONG_S):
        while not calls:
            await asyncio.sleep(0)
    assert calls == [1]


def test_a_child_dies_with_its_parent() -> None:
    """The grandchild holds our pipe: that it ends shows that nobody is left."""
    child = DIES_WITH_PARENT + "die_with_parent(int(sys.argv[1])); print('up', flush=True); "
    child += "import signal; signal.pause()"
    parent = (
        "import os, subprocess, sys; "
        f"subprocess.Popen([sys.executable, '-c', {child!r}, str(os.getpid())]); sys.stdin.read()"
    )
    with start(parent) as process:
        assert process.stdout is not None and process.stdout.readline() == "up\n"
        process.kill()
        assert process.stdout.read() == ""


def test_a_child_whose_parent_is_gone_ends_at_once() -> None:
    with start(DIES_WITH_PARENT + "die_with_parent(os.getppid() + 1); print('alive')") as process:
        assert process.communicate(timeout=LONG_S)[0] == ""
    assert process.returncode == 0
