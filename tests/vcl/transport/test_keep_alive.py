"""A peer that says nothing for long, by a clock of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from vcl.transport.connection import Settings
from vcl.transport.keep_alive import LATE_S, KeepAlive

INTERVAL_S, TIMEOUT_S = 10.0, 20.0


class Timer:
    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """The part of an event loop that keeps time."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.due: list[tuple[float, Timer, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now_s

    def call_at(self, due_s: float, call: Callable[..., None], *arguments: object) -> Timer:
        timer = Timer()
        self.due.append((due_s, timer, lambda: call(*arguments)))
        return timer

    def call_later(self, delay_s: float, call: Callable[..., None], *arguments: object) -> Timer:
        return self.call_at(self.now_s + delay_s, call, *arguments)

    def advance(self, by_s: float) -> None:
        """Let so much time pass in which the loop isn't held up."""
        end_s = self.now_s + by_s
        while due := [each for each in self.due if each[0] <= end_s]:
            first = min(due, key=lambda each: each[0])
            self.now_s = first[0]
            self.call(first)
        self.now_s = end_s

    def hold_up(self, for_s: float) -> None:
        """Let so much time pass, and then do what was due."""
        self.now_s += for_s
        for each in [each for each in self.due if each[0] <= self.now_s]:
            self.call(each)

    def call(self, each: tuple[float, Timer, Callable[[], None]]) -> None:
        self.due.remove(each)
        if not each[1].cancelled:
            each[2]()


class Watched:
    """A connection as `KeepAlive` sees it."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.pings = 0
        self.is_deaf = False
        self.unsent_bytes = 0
        self.lost: list[str] = []
        self.on_ping: Callable[[], None] = lambda: None
        self.keep_alive = KeepAlive(
            self,
            cast(asyncio.AbstractEventLoop, self.loop),
            Settings(ping_interval_s=INTERVAL_S, ping_timeout_s=TIMEOUT_S),
        )

    def ping(self) -> None:
        self.pings += 1
        self.on_ping()
        if self.unsent_bytes:
            self.unsent_bytes += 6  # behind what waits

    def silent(self, reason: str) -> None:
        self.lost.append(reason)

    def until_asked(self) -> None:
        self.keep_alive.start()
        self.loop.advance(INTERVAL_S)
        assert self.pings == 1


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_who_does_not_answer_a_ping_is_lost_once(watched: Watched) -> None:
    watched.until_asked()
    watched.loop.advance(TIMEOUT_S - 0.01)
    assert not watched.lost
    watched.loop.advance(0.02)
    assert watched.lost == ["no answer to a ping within 20 s"]
    watched.loop.advance(1000)
    assert len(watched.lost) == 1 and watched.pings == 1


def test_who_is_heard_is_not_asked(watched: Watched) -> None:
    watched.keep_alive.start()
    for _ in range(5):
        watched.keep_alive.heard = True
        watched.loop.advance(INTERVAL_S)
    assert not watched.pings
    watched.loop.advance(INTERVAL_S)
    assert watched.pings == 1


def test_who_answers_is_watched_anew(watched: Watched) -> None:
    watched.until_asked()
    watched.keep_alive.heard = True
    watched.loop.advance(TIMEOUT_S)
    assert not watched.lost
    watched.loop.advance(INTERVAL_S + TIMEOUT_S)
    assert watched.pings == 2 and watched.lost


def test_who_is_not_listened_to_is_neither_asked_nor_judged(watched: Watched) -> None:
    watched.is_deaf = True
    watched.keep_alive.start()
    watched.loop.advance(10 * INTERVAL_S)
    assert not watched.pings
    watched.is_deaf = False
    watched.loop.advance(INTERVAL_S)
    assert watched.pings == 1
    watched.is_deaf = True
    watched.loop.advance(10 * TIMEOUT_S)
    assert not watched.lost


def test_bytes_that_leave_are_a_sign_of_life(watched: Watched) -> None:
    watched.unsent_bytes = 1000
    watched.until_asked()
    watched.unsent_bytes = 900
    watched.loop.advance(TIMEOUT_S)
    assert not watched.lost
    watched.loop.advance(INTERVAL_S + TIMEOUT_S)
    assert watched.lost


def test_a_ping_that_does_not_leave_is_none(watched: Watched) -> None:
    watched.unsent_bytes = 1000
    watched.until_asked()
    watched.loop.advance(TIMEOUT_S)
    assert watched.lost


def test_a_loop_that_was_held_up_judges_nobody(watched: Watched) -> None:
    watched.until_asked()
    watched.loop.hold_up(TIMEOUT_S + LATE_S + 0.1)
    assert not watched.lost
    watched.loop.advance(INTERVAL_S)
    assert watched.pings == 2
    watched.loop.hold_up(TIMEOUT_S + LATE_S / 2)
    assert watched.lost


def test_once_stopped_nothing_is_asked(watched: Watched) -> None:
    watched.until_asked()
    watched.keep_alive.stop()
    watched.keep_alive.stop()
    watched.keep_alive.start()
    watched.loop.advance(10 * (INTERVAL_S + TIMEOUT_S))
    assert watched.pings == 1 and not watched.lost


def test_a_ping_that_ends_the_connection_is_the_last_thing(watched: Watched) -> None:
    watched.on_ping = watched.keep_alive.stop
    watched.until_asked()
    watched.loop.advance(10 * (INTERVAL_S + TIMEOUT_S))
    assert watched.pings == 1 and not watched.lost


def test_what_was_stopped_before_it_began_never_asks(watched: Watched) -> None:
    watched.keep_alive.stop()
    watched.keep_alive.start()
    watched.loop.advance(10 * (INTERVAL_S + TIMEOUT_S))
    assert not watched.pings
