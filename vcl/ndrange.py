"""NDRanges and how they are cut into parts on work-group boundaries.

Owns: the arithmetic of global offset, global size and local size (OpenCL 3.0 API, section 5.8).
Must not know: devices, kernels' contents, or whether a launch may be split at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations


@dataclass(frozen=True, slots=True)
class NDRange:
    """One index space: three tuples of the same length 1 to 3, in work-items.

    `local_size` None leaves the choice to whoever runs it; a part always has one.
    """

    global_offset: tuple[int, ...]
    global_size: tuple[int, ...]
    local_size: tuple[int, ...] | None

    @property
    def work_items(self) -> int:
        """Work-items in all."""
        count = 1
        for size in self.global_size:
            count *= size
        return count

    @property
    def group_counts(self) -> tuple[int, ...]:
        """Work-groups in each dimension; the local size must be set."""
        assert self.local_size is not None
        return tuple(-(-g // s) for g, s in zip(self.global_size, self.local_size, strict=True))


def largest_divisor(number: int, limit: int) -> int:
    """The largest divisor of `number` that is at most `limit` (both at least 1)."""
    return next(d for d in range(min(number, limit), 0, -1) if number % d == 0)


def choose_local_size(
    global_size: Sequence[int], group_items_max: int, item_sizes_max: Sequence[int]
) -> tuple[int, ...]:
    """A local size for a launch that left it open: divides the global size exactly.

    The first dimension is filled first, since neighbours in it touch neighbouring bytes, but
    the last dimension keeps at least 16 work-groups where it has them, to leave room for parts.
    """
    left = group_items_max
    last = len(global_size) - 1
    chosen = []
    for dimension, size in enumerate(global_size):
        limit = min(left, item_sizes_max[dimension], 256)
        if dimension == last:
            limit = min(limit, max(1, size // 16))
        local = largest_divisor(size, max(1, limit)) if size else 1
        chosen.append(local)
        left //= local
    return tuple(chosen)


def split(ndrange: NDRange, count: int, dimension: int | None = None) -> list[NDRange]:
    """Cut an NDRange into at most `count` parts, as equal as work-groups allow.

    dimension: of the cuts; without it the last that has at least `count` work-groups, else the
    one that has most: later dimensions vary slowest in memory. Parts are disjoint, cover the
    range, come in order, and each is a whole number of work-groups (but for the remainder of a
    non-uniform range, which stays at the end of the last part). Fewer work-groups than `count`
    give fewer parts.
    """
    assert count >= 1 and ndrange.local_size is not None
    groups = ndrange.group_counts
    if not groups or min(groups) == 0:
        return [ndrange]
    if dimension is None:
        dimension = max(range(len(groups)), key=lambda d: (min(groups[d], count), d))
    total = groups[dimension]
    count = min(count, total)
    local = ndrange.local_size[dimension]
    parts = []
    for index in range(count):
        first = total * index // count
        after = total * (index + 1) // count
        start = first * local
        end = min(after * local, ndrange.global_size[dimension])
        offset, size = list(ndrange.global_offset), list(ndrange.global_size)
        offset[dimension] += start
        size[dimension] = end - start
        parts.append(NDRange(tuple(offset), tuple(size), ndrange.local_size))
    return parts


def count_of_split(ndrange: NDRange, count: int) -> int:
    """How many parts `split` makes, without making them."""
    groups = ndrange.group_counts
    return max(min(total, count) for total in groups) if groups and min(groups) > 0 else 1


def boxes(ndrange: NDRange, counts: Sequence[int]) -> list[NDRange]:
    """Cut an NDRange along one dimension or several at once.

    counts: of parts along each dimension, at most its work-groups. Every cut is one of `split`:
    parts are disjoint, cover the range and are whole work-groups. They come in order of the last
    dimension first, as rows do in memory.
    """
    assert len(counts) == len(ndrange.global_size)
    parts = [ndrange]
    for dimension in reversed(range(len(counts))):
        parts = [one for part in parts for one in split(part, counts[dimension], dimension)]
    return parts


def counts_of_slabs(ndrange: NDRange, count: int) -> Iterator[tuple[int, ...]]:
    """Every way of making at most `count` parts by cutting one dimension: what `boxes` takes.

    The last dimension, which varies slowest in memory, comes first. None where there is one
    work-group.
    """
    groups = ndrange.group_counts
    for dimension in reversed(range(len(groups))):
        if groups[dimension] > 1:
            counts = [1] * len(groups)
            counts[dimension] = min(count, groups[dimension])
            yield tuple(counts)


def counts_of_boxes(ndrange: NDRange, count: int) -> Iterator[tuple[int, ...]]:
    """Every way of making exactly `count` boxes by cutting two dimensions: what `boxes` takes.

    None where `count` is a prime, or the dimensions have too few work-groups.
    """
    groups = ndrange.group_counts
    for first, second in combinations(range(len(groups)), 2):
        for many in range(2, min(count // 2, groups[first]) + 1):
            if count % many == 0 and count // many <= groups[second]:
                counts = [1] * len(groups)
                counts[first], counts[second] = many, count // many
                yield tuple(counts)


def axes_told(counts: Sequence[int]) -> str:
    """In words, along what a launch is cut into so many parts along each dimension."""
    cut = [name for name, count in zip("xyz", counts, strict=False) if count > 1]
    return cut[0] if len(cut) == 1 else f"{' and '.join(cut)} ({' x '.join(map(str, counts))})"
