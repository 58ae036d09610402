"""What runs beside its owner isn't lost, and an error in it isn't either."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

from vcl.running import Running


async def test_what_was_started_runs_though_nobody_else_holds_it() -> None:
    running, done = Running("it failed"), asyncio.Event()

    async def work() -> None:
        await asyncio.sleep(0)
        gc.collect()
        done.set()

    running.start(work())
    async with asyncio.timeout(10):
        await done.wait()
    await asyncio.sleep(0)
    assert not running._all


async def test_an_error_is_told_to_the_loop_at_once() -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))

    async def fail() -> None:
        raise ValueError("no")

    running = Running("it failed")
    running.start(fail())
    await running.end(10)
    await asyncio.sleep(0)
    (context,) = told
    assert context["message"] == "it failed" and str(context["exception"]) == "no"


async def test_what_lasts_too_long_is_cancelled() -> None:
    running, ends = Running("it failed"), []

    async def last() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise

    running.start(last())
    await running.end(0.01)
    await asyncio.sleep(0)
    assert ends == ["cancelled"]
    running.start(last())
    await asyncio.sleep(0)
    running.cancel()
    await running.end(10)
    assert ends == ["cancelled"] * 2
