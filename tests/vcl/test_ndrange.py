"""Parts of an NDRange: disjoint, covering, of whole work-groups, and as equal as those allow."""

from __future__ import annotations

from collections import Counter
from itertools import product
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcl.ndrange import (
    NDRange,
    axes_told,
    boxes,
    choose_local_size,
    count_of_split,
    counts_of_boxes,
    counts_of_slabs,
    largest_divisor,
    split,
)

SIZES = st.integers(1, 12)


@st.composite
def ndranges(draw: st.DrawFn) -> NDRange:
    """With a local size; the global size needn't be a multiple of it."""
    dimensions = draw(st.integers(1, 3))
    tuples = [draw(st.tuples(*[sizes] * dimensions)) for sizes in (st.integers(0, 5), SIZES, SIZES)]
    return NDRange(*tuples)


def work_items(ndrange: NDRange) -> set[tuple[int, ...]]:
    spans = zip(ndrange.global_offset, ndrange.global_size, strict=True)
    return set(product(*(range(start, start + size) for start, size in spans)))


@given(ndranges(), st.integers(1, 9))
def test_parts_are_disjoint_and_cover(ndrange: NDRange, count: int) -> None:
    parts = split(ndrange, count)
    assert 1 <= len(parts) <= count
    assert sum(part.work_items for part in parts) == ndrange.work_items
    assert set().union(*map(work_items, parts)) == work_items(ndrange)
    assert [part.global_offset for part in parts] == sorted(p.global_offset for p in parts)


@given(ndranges(), st.integers(1, 9))
def test_parts_are_counted_without_being_made(ndrange: NDRange, count: int) -> None:
    assert count_of_split(ndrange, count) == len(split(ndrange, count))


@given(ndranges(), st.integers(1, 9))
def test_parts_are_whole_work_groups(ndrange: NDRange, count: int) -> None:
    parts = split(ndrange, count)
    assert ndrange.local_size is not None
    for part in parts:
        assert part.local_size == ndrange.local_size
        cuts = zip(
            part.global_offset, part.global_size, ndrange.global_offset, ndrange.global_size,
            ndrange.local_size, strict=True,
        )  # fmt: skip
        for start, size, first, whole, local in cuts:
            assert (start - first) % local == 0
            assert size % local == 0 or start + size == first + whole


@given(ndranges(), st.integers(1, 9))
def test_parts_differ_by_one_slice_of_work_groups(ndrange: NDRange, count: int) -> None:
    parts = split(ndrange, count)
    assert len(parts) == min(count, max(ndrange.group_counts))
    differing = [
        {part.group_counts[dimension] for part in parts}
        for dimension in range(len(ndrange.global_size))
    ]
    assert sum(len(counts) > 1 for counts in differing) <= 1
    assert all(max(counts) - min(counts) <= 1 for counts in differing)


def work_groups(part: NDRange, whole: NDRange) -> list[tuple[int, ...]]:
    """The numbers in the whole of the work-groups that a part begins."""
    assert whole.local_size is not None
    spans = zip(
        part.global_offset, part.global_size, whole.global_offset, whole.local_size, strict=True
    )
    ranges = []
    for start, size, first, local in spans:
        assert (start - first) % local == 0, "it begins within a work-group"
        ranges.append(range((start - first) // local, -(-(start - first + size) // local)))
    return list(product(*ranges))


@given(ndranges(), st.integers(1, 36))
def test_boxes_cover_each_work_group_once(ndrange: NDRange, count: int) -> None:
    every = set(product(*map(range, ndrange.group_counts)))
    for counts in counts_of_boxes(ndrange, count):
        assert prod(counts) == count and sum(n > 1 for n in counts) == 2
        parts = boxes(ndrange, counts)
        assert len(parts) == count
        found = Counter(group for part in parts for group in work_groups(part, ndrange))
        assert found.keys() == every and set(found.values()) == {1}
        assert sum(part.work_items for part in parts) == ndrange.work_items
        assert [part.global_offset[::-1] for part in parts] == sorted(
            part.global_offset[::-1] for part in parts
        )
        for dimension, many in enumerate(counts):
            sizes = {part.group_counts[dimension] for part in parts}
            assert max(sizes) - min(sizes) <= 1 and (many > 1 or len(sizes) == 1)


@given(ndranges(), st.integers(1, 9))
def test_slabs_are_what_split_makes_of_each_dimension(ndrange: NDRange, count: int) -> None:
    made = [boxes(ndrange, counts) for counts in counts_of_slabs(ndrange, count)]
    groups = ndrange.group_counts
    cut = [d for d in reversed(range(len(groups))) if groups[d] > 1]
    assert made == [split(ndrange, count, d) for d in cut]


@pytest.mark.parametrize(
    ("groups", "count", "expected"),
    [
        ((8, 8), 4, [(2, 2)]),
        ((8, 8), 12, [(2, 6), (3, 4), (4, 3), (6, 2)]),
        ((8, 3), 12, [(4, 3), (6, 2)]),
        ((4, 4, 2), 4, [(2, 2, 1), (2, 1, 2), (1, 2, 2)]),
        ((8, 8), 3, []),
        ((8, 8), 2, []),
        ((8, 8), 1, []),
        ((64,), 4, []),
        ((64, 1), 4, []),
        ((0, 8), 4, []),
    ],
)
def test_the_ways_of_making_boxes(
    groups: tuple[int, ...], count: int, expected: list[tuple[int, ...]]
) -> None:
    ones = (1,) * len(groups)
    assert [*counts_of_boxes(NDRange(ones, groups, ones), count)] == expected


def test_cuts_in_words() -> None:
    assert [axes_told(c) for c in [(4,), (1, 3), (2, 2), (2, 1, 3)]] == [
        "x", "y", "x and y (2 x 2)", "x and z (2 x 1 x 3)"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("groups", "count", "sizes"),
    [
        ((8, 8), 4, [(8, 2)] * 4),  # the last dimension, which varies slowest in memory
        ((8, 3), 4, [(2, 3)] * 4),  # it has too few
        ((2, 3), 4, [(2, 1)] * 3),  # neither has enough: the one that has most
        ((5,), 2, [(2,), (3,)]),
        ((4, 4, 1), 2, [(4, 2, 1)] * 2),
    ],
)
def test_the_dimension_of_the_cut(
    groups: tuple[int, ...], count: int, sizes: list[tuple[int, ...]]
) -> None:
    ones = (1,) * len(groups)
    whole = NDRange((0,) * len(groups), groups, ones)
    assert [part.global_size for part in split(whole, count)] == sizes


def test_an_empty_range_is_its_only_part() -> None:
    for empty in (NDRange((0,), (0,), (4,)), NDRange((0, 0), (4, 0), (2, 1))):
        assert split(empty, 3) == [empty]
        assert count_of_split(empty, 3) == 1
        assert empty.work_items == 0


def test_a_remainder_stays_at_the_end() -> None:
    parts = split(NDRange((3,), (10,), (4,)), 2)
    assert [(p.global_offset, p.global_size) for p in parts] == [((3,), (4,)), ((7,), (6,))]


@given(st.integers(1, 2000), st.integers(1, 300))
def test_the_largest_divisor(number: int, limit: int) -> None:
    expected = max(d for d in range(1, min(number, limit) + 1) if number % d == 0)
    assert largest_divisor(number, limit) == expected


@given(
    st.lists(st.integers(0, 5000), min_size=1, max_size=3),
    st.integers(1, 4096),
    st.tuples(*[st.integers(1, 4096)] * 3),
)
def test_a_chosen_local_size_fits(
    global_size: list[int], group_items_max: int, item_sizes_max: tuple[int, ...]
) -> None:
    local = choose_local_size(global_size, group_items_max, item_sizes_max)
    assert len(local) == len(global_size)
    items = 1
    for size, one, limit in zip(global_size, local, item_sizes_max, strict=False):
        assert one >= 1 and size % one == 0 and one <= limit
        items *= one
    assert items <= group_items_max


def test_a_chosen_local_size_leaves_room_for_parts() -> None:
    assert choose_local_size([4096], 4096, [4096] * 3) == (256,)
    assert choose_local_size([64], 4096, [4096] * 3) == (4,)
    assert choose_local_size([1024, 64], 1024, [1024] * 3) == (256, 4)
    assert choose_local_size([7, 16], 1024, [1024] * 3) == (7, 1)
