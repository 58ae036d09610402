"""Which reasons for a launch that isn't analysed say nothing of its program, by real processes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest

from master import judging as subject
from tests.master.rigs import ADD
from tests.master.test_judging import COPY, TIMEOUT_S, Rig


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    async with asyncio.timeout(TIMEOUT_S):
        yield made
        await made.judging.close()


async def test_only_what_says_nothing_of_the_program_is_passing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = COPY % "b[i] = a[i];"
    assert (await rig.analyse(COPY % "nosuch(b);"), rig.answers[-1].passing)[1] is False
    await rig.analyse(COPY % ("b[i] += a[i];" * 60_000))
    assert not rig.answers[-1].passing, "its own time on a processor is as much the next time"
    await rig.judge(ADD)
    os.kill(rig.judging._idle[0].process.pid, signal.SIGSTOP)
    monkeypatch.setattr(subject, "guard_wait_s_max", 0.05)
    assert await rig.analyse(source) == "reading the program took longer than 0.05 s"
    assert rig.answers[-1].passing
    monkeypatch.setattr(subject, "guard_waiting_max", 0)
    assert "wait for the guard already" in await rig.analyse(source)
    assert rig.answers[-1].passing
    monkeypatch.undo()
    await rig.judge(ADD + " ")
    os.kill(rig.judging._idle[0].process.pid, signal.SIGKILL)
    assert "status -9" in await rig.analyse(source) and rig.answers[-1].passing
    with monkeypatch.context() as broken:
        broken.setattr(subject.sys, "executable", "/nonexistent")
        assert "didn't start" in await rig.analyse(source) and rig.answers[-1].passing
    assert not isinstance(await rig.analyse(source), str)
