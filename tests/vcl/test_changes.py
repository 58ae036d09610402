"""Waiting until something has changed."""

from __future__ import annotations

import asyncio
from asyncio import CancelledError

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
    changes.tell()  # before the other has run
    await waits
    assert isinstance((await asyncio.gather(given_up, return_exceptions=True))[0], CancelledError)


async def test_those_who_give_up_are_forgotten() -> None:
    changes = Changes()
    for _ in range(3):
        given_up = asyncio.ensure_future(changes.wait())
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.wait([given_up])
    assert not changes._waiting


async def test_nobody_need_wait() -> None:
    changes = Changes()
    changes.tell()  # which is not kept for who comes later
    later = asyncio.ensure_future(changes.wait())
    await asyncio.sleep(0)
    assert not later.done()
    later.cancel()
