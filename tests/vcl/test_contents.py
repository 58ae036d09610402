"""Which writes get a digest: those that repeat a sample, where bytes leave slowly."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from vcl.contents import (
    Repeats,
    Sending,
    digest_of,
    lines,
    sample_of,
    sampled_bytes_min,
    samples_max,
)

MIB = 2**20
SLOW, FAST = 100e6, 5e9  # bytes/s
HASHING = 1e9


def known(sending: float, hashing: float | None = HASHING) -> Repeats:
    repeats = Repeats()
    repeats.sent(MIB, MIB / sending)
    if hashing is not None:
        repeats.hashed(MIB, MIB / hashing)
    return repeats


def test_only_what_was_seen_before_gets_a_digest() -> None:
    repeats = known(SLOW)
    assert [repeats.wants(s) for s in (b"a", b"b", b"a", b"c", b"a")] == [0, 0, 1, 0, 1]


def test_nothing_gets_one_where_it_was_never_measured_how_fast_bytes_leave() -> None:
    repeats = Repeats()
    assert not any(repeats.wants(b"a") for _ in range(9))


def test_a_digest_costs_less_than_a_quarter_of_sending() -> None:
    for sending, wanted in ((HASHING / 3.9, False), (HASHING / 4.1, True), (FAST, False)):
        repeats = known(sending)
        repeats.wants(b"a")
        assert repeats.wants(b"a") == wanted


def test_the_first_digest_tells_what_one_costs() -> None:
    repeats = known(FAST, hashing=None)
    repeats.wants(b"a")
    assert repeats.wants(b"a")
    repeats.hashed(MIB, MIB / HASHING)
    assert not repeats.wants(b"a")


def test_a_digest_in_a_busy_moment_is_not_held_against_all_others() -> None:
    repeats = known(SLOW, hashing=HASHING / 10)
    assert 1 < [repeats.wants(b"a") for _ in range(200)].index(True) < 200


def test_a_link_that_becomes_slow() -> None:
    repeats = known(FAST)
    repeats.wants(b"a")
    for _ in range(300):
        repeats.sent(MIB, MIB / SLOW)
    assert repeats.wants(b"a")


def test_old_samples_are_forgotten_and_repeated_ones_are_not_old() -> None:
    repeats = known(SLOW)
    repeats.wants(b"a")
    repeats.wants(b"b")
    for number in range(samples_max - 1):
        repeats.wants(b"%d" % number)
        assert repeats.wants(b"a")
    assert not repeats.wants(b"b")


@given(st.integers(0, 99), st.integers(0, lines - 1), st.integers(0, 63))
def test_a_sample_sees_the_lines_that_it_looks_at(more: int, line: int, at: int) -> None:
    data = bytearray(sampled_bytes_min + more)
    before = sample_of(bytes(data))
    assert sample_of(bytes(data)) == before
    data[line * (len(data) // lines) + at] = 1
    assert sample_of(bytes(data)) != before
    last = bytearray(sampled_bytes_min + more)
    last[-1] = 1
    assert sample_of(bytes(last)) != before != sample_of(bytes(len(data) + 1))


def test_a_digest_sees_every_byte() -> None:
    data = bytearray(sampled_bytes_min)
    before = digest_of(bytes(data))
    assert before == hashlib.sha256(data).digest()
    data[100] = 1
    assert sample_of(bytes(data)) == sample_of(bytes(sampled_bytes_min))
    assert digest_of(memoryview(data)) != before


def sending() -> tuple[Sending, list[tuple[int, float]]]:
    told: list[tuple[int, float]] = []
    return Sending(lambda size, seconds: told.append((size, seconds))), told


def test_a_transfer_takes_from_its_beginning_until_it_has_left() -> None:
    one, told = sending()
    one.began(1, MIB, 10.0)
    one.streamed(1, 12.0)
    one.began(2, MIB, 15.0)
    one.streamed(2, 16.0)
    assert told == [(MIB, 2.0), (MIB, 1.0)]


def test_transfers_at_the_same_time_share_it() -> None:
    one, told = sending()
    one.began(1, MIB, 10.0)
    one.began(2, MIB, 11.0)
    one.streamed(1, 13.0)
    one.streamed(2, 14.0)
    assert told == [(MIB, 3.0), (MIB, 1.0)]


def test_short_transfers_and_those_by_shared_memory_tell_nothing() -> None:
    one, told = sending()
    one.began(1, sampled_bytes_min - 1, 10.0)
    one.streamed(1, 12.0)
    one.streamed(2, 13.0)
    assert told == []


@given(st.lists(st.tuples(st.floats(0, 9), st.floats(0, 9)), min_size=1, max_size=9))
def test_no_moment_is_counted_twice(spans: list[tuple[float, float]]) -> None:
    one, told = sending()
    moments = [(begin, 0, n) for n, (begin, _) in enumerate(spans)]
    moments += [(begin + length, 1, n) for n, (begin, length) in enumerate(spans)]
    for now, ends, number in sorted(moments):
        if ends:
            one.streamed(number, now)
        else:
            one.began(number, MIB, now)
    busy, until = 0.0, 0.0
    for begin, length in sorted(spans):
        busy += max(0.0, begin + length - max(until, begin))
        until = max(until, begin + length)
    assert len(told) == len(spans)
    assert all(seconds >= 0 for _, seconds in told)
    assert sum(seconds for _, seconds in told) <= busy + 1e-6
