"""Whom bytes come from, and how long all of it takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import ceil, log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from master.plan.invariants import check_plan
from master.plan.links import CLIENT, Links, besides_ns, byte_ns_guess, told_bytes_min
from master.plan.movement import bring, sources_max
from master.plan.plan import CLIENT_END, Draft
from master.plan.residency import Buffer, Contents
from master.plan.traffic import CLIENT_DEVICE, Traffic
from master.plan.view import View
from tests.master.rigs import SessionRig, place

SIZE = 1 << 20
BIG = told_bytes_min
AT_CLIENT = Contents(2, staging=(7, 0))

BYTES_NS = SIZE * byte_ns_guess
ONE_NS = besides_ns + BYTES_NS

Edge = tuple[int, int, int]
"""(source, receiver, buffer) of a transfer, 0 for the client."""


def view_of(devices: int, by_node: int = 1) -> View:
    """Devices from 1, so many on each node; nodes from 1."""
    places = [place(d, 1 + (d - 1) // by_node) for d in range(1, devices + 1)]
    return SessionRig(*places).session._view


def buffer(number: int, contents: Contents) -> Buffer:
    made = Buffer(number, 1, SIZE)
    made.contents.assign(0, SIZE, contents)
    return made


def held_by(*devices: int) -> Contents:
    return Contents(2, frozenset(devices))


def broadcast(view: View, buffers: Sequence[Buffer], receivers: Sequence[int]) -> Draft:
    draft = Draft(10**6)
    for to in view.places(receivers):
        for one in buffers:
            bring(draft, view, one, 0, one.size, to)
    check_plan(draft.plan())
    return draft


def edges(draft: Draft) -> list[Edge]:
    found = []
    for source, destination, _ in draft.transfers:
        sender = CLIENT_DEVICE if source == CLIENT_END else draft.steps[source].place.device
        step = draft.steps[destination]
        found.append((sender, step.place.device, step.writes[0].buffer))
    return found


def depth(draft: Draft) -> int:
    """Transfers one after the other that the last bytes come by; a device has bytes before it
    sends them."""
    depths: dict[tuple[int, int], int] = {}
    for source, to, number in edges(draft):
        depths[to, number] = 1 + depths.get((source, number), 0)
    return max(depths.values())


def sent(draft: Draft) -> Counter[int]:
    return Counter(source for source, _, _ in edges(draft))


@pytest.mark.parametrize("count", [*range(2, 65), 300, 1000])
def test_a_broadcast_is_a_tree(count: int) -> None:
    """From a device, whichever it is: the number of those that have it doubles each time."""
    for root in {1, count // 2 + 1, count + 1}:
        others = [d for d in range(1, count + 2) if d != root]
        draft = broadcast(view_of(count + 1), [buffer(9, held_by(root))], others)
        assert sorted(to for _, to, _ in edges(draft)) == others
        rounds = ceil(log2(count + 1))
        assert depth(draft) <= rounds and max(sent(draft).values()) <= rounds
        assert besides_ns + rounds * BYTES_NS <= draft.traffic.ends_ns <= rounds * ONE_NS


@pytest.mark.parametrize("count", range(2, 65))
def test_what_the_client_has_it_sends_once(count: int) -> None:
    draft = broadcast(view_of(count), [buffer(9, AT_CLIENT)], range(1, count + 1))
    rounds = 1 + ceil(log2(count))
    assert sent(draft)[CLIENT_DEVICE] == 1
    assert depth(draft) <= rounds and max(sent(draft).values()) < rounds
    assert besides_ns + rounds * BYTES_NS <= draft.traffic.ends_ns <= rounds * ONE_NS


@pytest.mark.parametrize("count", [64, 300])
def test_many_holders_all_send(count: int) -> None:
    """Each once, though only some of them are weighed."""
    assert count > sources_max
    holders = range(1, count + 1)
    view = view_of(2 * count)
    draft = broadcast(view, [buffer(9, held_by(*holders))], range(count + 1, 2 * count + 1))
    assert depth(draft) == 1 and sent(draft) == Counter(holders)


@pytest.mark.parametrize("roots", [(1, 1), (1, 2), (0, 0)])
@pytest.mark.parametrize("count", [4, 8, 16, 32, 64])
def test_two_buffers_at_once_share_the_load(count: int, roots: tuple[int, int]) -> None:
    """One would take log2(count) rounds; a star of each two for each device."""
    buffers = [
        buffer(9 + i, held_by(root) if root else AT_CLIENT) for i, root in enumerate(roots)
    ]
    draft = broadcast(view_of(count), buffers, range(1, count + 1))
    rounds = 2 * log2(count)
    assert draft.traffic.ends_ns <= (rounds + (roots == (0, 0))) * ONE_NS
    assert max(sent(draft).values()) <= rounds
    if roots == (1, 2):
        assert abs(sent(draft)[1] - sent(draft)[2]) <= 1


def test_a_slow_link_is_used_once_where_a_fast_one_can_forward() -> None:
    view = view_of(17)
    for to in range(2, 18):
        view.links.learn(1, to, BIG, 100 * BIG)
    draft = broadcast(view, [buffer(9, held_by(1))], range(2, 18))
    assert sent(draft)[1] == 1
    slow = besides_ns + 100 * SIZE
    assert slow + log2(16) * BYTES_NS <= draft.traffic.ends_ns <= slow + log2(16) * ONE_NS


def test_a_slow_link_is_used_where_fast_ones_are_busier() -> None:
    """Of two holders one sends twice as fast: it sends two of three."""
    view = view_of(5)
    for to in (3, 4, 5):
        view.links.learn(1, to, BIG, 20 * BIG)
        view.links.learn(2, to, BIG, 10 * BIG)
        for source in (3, 4, 5):
            view.links.learn(source, to, BIG, 100 * BIG)
    draft = broadcast(view, [buffer(9, held_by(1, 2))], [3, 4, 5])
    assert sent(draft) == {2: 2, 1: 1}


def test_each_node_gets_bytes_once() -> None:
    """Whatever the link to its other devices is said to take."""
    view = view_of(32, by_node=4)
    for node in range(1, 9):
        view.links.learn(node, node, BIG, 5 * BIG)
    draft = broadcast(view, [buffer(9, held_by(1))], range(2, 33))
    between = [(a, b) for a, b, _ in edges(draft) if (a - 1) // 4 != (b - 1) // 4]
    assert sorted((b - 1) // 4 for _, b in between) == list(range(1, 8))


def test_what_is_there_already_goes_before_what_is_to_come() -> None:
    """Of one buffer: its first half comes to 2, which holds the second."""
    links, traffic, buffer = Links(), Traffic(), Buffer(9, 1, 2 * SIZE)
    one, two, three = (place(d) for d in (1, 2, 3))
    assert traffic.choose(links, buffer, 0, SIZE, [one], two) is one
    assert traffic.choose(links, buffer, SIZE, 2 * SIZE, [one, two], three) is two
    assert traffic.choose(links, buffer, 0, SIZE, [one, two], three) is one, "of equals the lowest"
    assert traffic.choose(links, buffer, 0, 2 * SIZE, [two], place(4)) is two
    assert traffic.ends_ns == 3 * BYTES_NS + 2 * besides_ns, "when both halves are there"


def test_borders_that_neighbours_exchange_travel_at_the_same_time() -> None:
    """However many parts there are, each sends and receives two."""

    def ends_ns(count: int) -> float:
        view, one = view_of(count), Buffer(9, 1, 100 * count)
        for k in range(count):
            one.contents.assign(100 * k, 100 * k + 100, Contents(2 + k, frozenset([k + 1])))
        draft = Draft(10**6)
        for k, to in enumerate(view.places(range(1, count + 1))):
            bring(draft, view, one, max(0, 100 * k - 10), min(one.size, 100 * k + 110), to)
        assert max(sent(draft).values()) == 2
        return draft.traffic.ends_ns

    assert ends_ns(3) == ends_ns(64) == 2 * (besides_ns + 10 * byte_ns_guess)


def test_borders_that_come_from_the_client_are_no_chain() -> None:
    """Each device has its borders from its neighbour, which got them from the client."""
    view, one, draft = view_of(64), buffer(9, AT_CLIENT), Draft(10**6)
    each = SIZE // 64
    for k, to in enumerate(view.places(range(1, 65))):
        bring(draft, view, one, max(0, each * k - 8), min(SIZE, each * (k + 1) + 8), to)
    assert len(draft.transfers) == 64 + 63
    assert besides_ns * 2 + BYTES_NS <= draft.traffic.ends_ns <= besides_ns * 2 + BYTES_NS * 1.01


def test_bytes_handed_out_wait_for_each_other_and_no_more() -> None:
    """What each takes besides doesn't keep others from being sent."""
    for contents in (AT_CLIENT, held_by(65)):
        view, one, draft = view_of(65), buffer(9, contents), Draft(10**6)
        each = SIZE // 64
        for k, to in enumerate(view.places(range(1, 65))):
            bring(draft, view, one, each * k, each * (k + 1), to)
        assert len(sent(draft)) == 1
        assert draft.traffic.ends_ns == besides_ns + BYTES_NS


def test_what_a_device_is_brought_takes_all_of_it_together() -> None:
    links, traffic, to = Links(), Traffic(), place(9)
    links.learn(CLIENT, 9, BIG, 7 * BIG)
    assert traffic.choose(links, Buffer(5, 1, SIZE), 0, SIZE, [], to) is None
    for source in (1, 2, 3):
        traffic.choose(links, Buffer(5 + source, 1, SIZE), 0, SIZE, [place(source)], to)
    assert traffic.ends_ns == 3 * ONE_NS + besides_ns + 7 * SIZE


def test_nothing_takes_no_time_and_neither_do_zeros() -> None:
    draft, view = Draft(9), view_of(1)
    bring(draft, view, Buffer(9, 1, SIZE), 0, SIZE, place(1))
    assert len(draft.steps) == 1 and draft.traffic.ends_ns == 0


@given(
    st.lists(st.tuples(st.sampled_from([9, 10, 11]), st.integers(1, 40)), max_size=80),
    st.sets(st.integers(1, 40), min_size=1),
)
def test_plans_are_the_same_each_time(wanted: list[tuple[int, int]], first: set[int]) -> None:
    """Nobody is brought bytes that it has, or from who hasn't got them before."""

    def one() -> Draft:
        view, draft = view_of(40, by_node=2), Draft(10**6)
        buffers = {n: buffer(n, held_by(*first)) for n in (9, 10, 11)}
        for number, device in wanted:
            bring(draft, view, buffers[number], 0, SIZE, place(device, 1 + (device - 1) // 2))
        return draft

    draft = one()
    check_plan(draft.plan())
    have = {(device, number) for device in first for number in (9, 10, 11)}
    for source, to, number in edges(draft):
        assert (source, number) in have and (to, number) not in have
        have.add((to, number))
    assert {(device, number) for number, device in wanted} <= have
    assert draft.plan() == one().plan()
