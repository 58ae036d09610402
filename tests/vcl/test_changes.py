"""Waiting until something has changed."""

from __future__ import annotations

import asyncio

from vcl.changes import Changes


async def test_all_that_wait_are_woken_and_those_who_come_later_wait_anew() -> None:
    changes = Changes()
    first = [asyncio.ensure_future(changes.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    changes.tell()
    await asyncio.gather(*first)
    later = asyncio.ensure_future(changes.wait())
    await asyncio.sleep(0)
    assert not later.done()
    changes.tell()
    await later


async def test_one_that_has_given_up_does_not_matter() -> None:
    changes = Changes()
    given_up, waits = (asyncio.ensure_future(changes.wait()) for _ in range(2))
    await asyncio.sleep(0)
    given_up.cancel()
    changes.tell()
    await waits
    assert (await asyncio.gather(given_up, return_exceptions=True))[0] is not None


async def test_nobody_need_wait() -> None:
    changes = Changes()
    changes.tell()  # which is not kept for who comes later
    later = asyncio.ensure_future(changes.wait())
    await asyncio.sleep(0)
    assert not later.done()
    later.cancel()
