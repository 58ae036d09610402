"""When compressing pays: links that don't exist, whose time is counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcl.direct.compressing import Decision, Drain, compressed_bytes_min

CHUNK = 2**20
FAST, SLOW = 2e9, 12.5e6
"""Bytes/s of a loopback, and of 100 Mbit/s."""


class Data:
    """left: of a byte, compressed. speed: bytes/s of compressing."""

    def __init__(self, left: float, speed: float) -> None:
        self.left, self.speed = left, speed


RANDOM, TEXT, ZEROS = Data(1.004, 5e9), Data(0.4, 500e6), Data(0.004, 6e9)


class Line:
    """A link whose socket is always full. most: bytes/s of chunks that its receiver takes."""

    def __init__(self, speed: float, most: float = 1e12) -> None:
        self.speed, self.most = speed, most
        self.decision = Decision()
        self.busy_s = self.compressing_s = self.wasted_s = 0.0

    def send(self, data: Data, size: int = CHUNK) -> None:
        sent = size
        if self.decision.wants(size):
            took_s = size / data.speed
            left = int(size * data.left)
            self.compressing_s += took_s
            if self.decision.compressed(size, left, took_s):
                sent = left
            else:
                self.wasted_s += took_s
        took_s = max(sent / self.speed, size / self.most)
        self.busy_s += took_s
        self.decision.drained(size, sent, took_s)

    def chunks(self, data: Data, count: int) -> int:
        """Send so many; answers how many went while compressing was on."""
        on = 0
        for _ in range(count):
            self.send(data)
            on += self.decision.compresses
        return on


def test_a_slow_link_soon_compresses_what_can_be() -> None:
    line = Line(SLOW)
    assert line.chunks(TEXT, 200) > 180
    assert line.busy_s < 0.5 * 200 * CHUNK / SLOW


@pytest.mark.parametrize("speed", [FAST, SLOW, 100e6])
def test_random_bytes_cost_less_than_one_percent(speed: float) -> None:
    line = Line(speed)
    assert line.chunks(RANDOM, 5000) == 0
    assert 0 < line.compressing_s < 0.01 * line.busy_s


def test_a_link_that_is_faster_than_compressing_sends_bytes_as_they_are() -> None:
    line = Line(FAST)
    assert line.chunks(TEXT, 5000) == 0
    assert 0 < line.compressing_s < 0.01 * line.busy_s


@given(
    st.floats(1e6, 5e9),
    st.lists(st.tuples(st.floats(0.8, 1.01), st.floats(1e8, 1e10)), min_size=1, max_size=5),
)
def test_what_hardly_shrinks_never_costs_more_than_one_percent(
    speed: float, kinds: list[tuple[float, float]]
) -> None:
    line = Line(speed)
    for n in range(1000):
        line.send(Data(*kinds[n % len(kinds)]))
    slowest = max(CHUNK / speed for _, speed in kinds)
    assert line.compressing_s <= 0.01 * line.busy_s + slowest


@given(
    st.floats(1e6, 5e9),
    st.lists(st.tuples(st.sampled_from([RANDOM, TEXT, ZEROS]), st.integers(1, 300)), max_size=8),
)
def test_whatever_comes_little_is_lost(speed: float, runs: list[tuple[Data, int]]) -> None:
    line = Line(speed)
    plain_s = 0.0
    for data, count in runs:
        line.chunks(data, count)
        plain_s += count * CHUNK / speed
    # Two chunks are wasted each time that the data change.
    slack_s = 3 * (len(runs) + 1) * CHUNK / 500e6
    assert line.busy_s + line.compressing_s <= 1.02 * plain_s + slack_s


def test_data_that_change_are_noticed() -> None:
    line = Line(SLOW)
    line.chunks(RANDOM, 500)
    assert line.chunks(TEXT, 200) > 180
    assert line.chunks(RANDOM, 200) < 10
    assert line.chunks(TEXT, 200) > 150


def test_a_link_whose_speed_changes_is_noticed() -> None:
    line = Line(FAST)
    line.chunks(TEXT, 500)
    line.speed = SLOW
    assert line.chunks(TEXT, 200) > 150
    line.speed = FAST
    assert line.chunks(TEXT, 200) < 20


def test_a_link_that_has_become_fast_is_noticed_though_its_socket_is_never_full() -> None:
    decision = Decision()
    for _ in range(20):
        decision.drained(CHUNK, CHUNK, CHUNK / SLOW)
    assert decision.wants(CHUNK) and decision.compressed(CHUNK, 4000, 0.0002)
    count = 0
    while decision.wants(CHUNK):
        decision.compressed(CHUNK, 4000, 0.0002)
        count += 1
        assert count < 100_000


def test_a_slow_receiver_isnt_sent_more_work() -> None:
    line = Line(FAST, most=SLOW)
    assert line.chunks(TEXT, 2000) < 200
    line = Line(FAST, most=SLOW)
    line.chunks(RANDOM, 2000)
    assert not line.decision.compresses


def test_small_chunks_arent_considered() -> None:
    line = Line(SLOW)
    line.chunks(TEXT, 200)
    assert line.decision.wants(compressed_bytes_min)
    assert not line.decision.wants(compressed_bytes_min - 1)


def test_a_socket_that_was_never_full_sees_no_sample() -> None:
    assert not Decision().wants(CHUNK)


# How fast a socket drains


def test_what_a_full_socket_takes_is_counted() -> None:
    told: list[tuple[int, int, float]] = []
    drain = Drain(lambda *what: told.append(what))
    drain.queued(1000, 900)
    drain.queued(500, 2000)
    drain.wrote(400)
    drain.full(10.0)
    assert told == [], "how long it took the first isn't known"
    drain.wrote(100)
    drain.wrote(500)
    drain.wrote(250)
    drain.full(12.0)
    assert told == [(540 + 1000, 850, 2.0)]
    drain.full(13.0)
    assert len(told) == 1, "nothing was written"


def test_a_socket_that_ran_empty_says_nothing() -> None:
    told: list[tuple[int, int, float]] = []
    drain = Drain(lambda *what: told.append(what))
    drain.queued(100, 0)
    drain.full(1.0)
    drain.wrote(100)
    drain.idle()
    drain.queued(100, 0)
    drain.wrote(50)
    drain.full(5.0)
    drain.wrote(10)
    drain.full(6.0)
    assert told == [(0, 10, 1.0)]


@given(st.lists(st.integers(1, 1000), min_size=1), st.data())
def test_all_bytes_are_counted_once(sizes: list[int], data: st.DataObject) -> None:
    told: list[tuple[int, int, float]] = []
    drain = Drain(lambda *what: told.append(what))
    drain.full(0.0)
    for size in sizes:
        drain.queued(size, 2 * size)
    left = sum(sizes)
    while left:
        count = data.draw(st.integers(1, left))
        drain.wrote(count)
        drain.full(1.0)
        left -= count
    assert sum(sent for _, sent, _ in told) == sum(sizes)
    assert sum(plain for plain, _, _ in told) == 2 * sum(sizes)
