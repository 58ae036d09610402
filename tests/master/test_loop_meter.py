"""The meter sees the longest step and turn, and forgets them when asked."""

from __future__ import annotations

import asyncio
import time

import pytest

from master.loop_meter import LoopMeter

BUSY_S = 0.02


def busy() -> None:
    """Hold the loop and the processor."""
    end = time.thread_time() + BUSY_S
    while time.thread_time() < end:
        pass


async def two_in_one_turn() -> None:
    loop = asyncio.get_running_loop()
    loop.call_soon(busy)
    loop.call_soon(busy)
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def test_the_longest_step_and_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio.Handle, "_run", asyncio.Handle._run)  # put back at the end
    meter = LoopMeter()
    with asyncio.Runner(loop_factory=meter.make_loop) as runner:
        runner.run(two_in_one_turn())
        longest = meter.take()
        assert longest["step_cpu_s"] >= BUSY_S and longest["step_s"] >= BUSY_S
        assert longest["turn_s"] >= 2 * BUSY_S
        runner.run(asyncio.sleep(0))
        assert meter.take()["step_cpu_s"] < BUSY_S
