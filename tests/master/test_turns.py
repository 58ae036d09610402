"""Turns on the master's loop: how long they last, and what ends them."""

from __future__ import annotations

import asyncio

import pytest

from master import turns
from tests.master.test_server_turns import Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(turns, "time", made)
    return made


async def test_a_turn_is_over_when_it_has_lasted_long_enough(clock: Clock) -> None:
    turn = turns.Turn()
    assert not turn.is_over
    turn.begin()
    clock.now += 0.9 * turns.turn_s_max
    turn.begin()
    assert not turn.is_over
    clock.now += 0.2 * turns.turn_s_max
    assert turn.is_over


async def test_who_let_others_have_theirs_has_a_new_one(clock: Clock) -> None:
    turn, passed = turns.Turn(), list[str]()
    turn.begin()
    clock.now += 2 * turns.turn_s_max
    asyncio.get_running_loop().call_soon(passed.append, "others")
    await turn.others()
    assert passed and not turn.is_over
    turn.begin()
    assert not turn.is_over
