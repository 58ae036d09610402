"""A map from byte ranges to values: the ground that residency and hazards stand on.

Owns: `RegionMap`. Must not know: what the values mean.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

V = TypeVar("V")


class RegionMap(Generic[V]):
    """Covers [0, size) with segments, each having one value; equal neighbours are joined.

    Regions are half-open [start, end) in bytes. Values are compared with `==` and must be
    treated as immutable.
    """

    __slots__ = ("_starts", "_values", "size")

    def __init__(self, size: int, value: V) -> None:
        assert size > 0
        self.size = size
        """Length of the covered range in bytes."""
        self._starts = [0]
        self._values = [value]

    def __len__(self) -> int:
        """Number of segments."""
        return len(self._starts)

    def segments(self, start: int, end: int) -> Iterator[tuple[int, int, V]]:
        """The segments that meet [start, end), clipped to it, in order, as they are now."""
        assert 0 <= start <= end <= self.size, (start, end, self.size)
        if start == end:
            return iter(())
        if len(self._starts) == 1:
            return iter(((start, end, self._values[0]),))
        low = bisect_right(self._starts, start) - 1
        high = bisect_left(self._starts, end)
        inner = self._starts[low + 1 : high]
        return zip((start, *inner), (*inner, end), self._values[low:high], strict=True)

    def values(self, start: int, end: int) -> Sequence[V]:
        """The values of those segments, in order; to be looked at at once."""
        if len(self._starts) == 1:
            return self._values if start < end else ()
        if start == end:
            return ()
        low = bisect_right(self._starts, start) - 1
        return self._values[low : bisect_left(self._starts, end)]

    def assign(self, start: int, end: int, value: V) -> None:
        """Give [start, end) one value."""
        assert 0 <= start <= end <= self.size, (start, end, self.size)
        if start == end:
            return
        if end - start == self.size:
            if len(self._starts) == 1:
                self._values[0] = value
            else:
                self._starts, self._values = [0], [value]
            return
        low = self._cut(start)
        high = self._cut(end) if end < self.size else len(self._starts)
        if high < len(self._starts) and self._values[high] == value:
            high += 1  # the neighbour behind goes on with the same
        if low > 0 and self._values[low - 1] == value:
            del self._starts[low:high]
            del self._values[low:high]
        else:
            self._starts[low:high] = [start]
            self._values[low:high] = [value]

    def piece(self, start: int, end: int) -> V | None:
        """The value of [start, end) if that is a segment, else None."""
        starts = self._starts
        if len(starts) == 1:
            return self._values[0] if end - start == self.size else None
        at = bisect_left(starts, start)
        if at == len(starts) or starts[at] != start:
            return None
        after = at + 1
        if (starts[after] if after < len(starts) else self.size) != end:
            return None
        return self._values[at]

    def swap_piece(self, start: int, value: V) -> bool:
        """Give the segment that begins there another value; answers False, having changed nothing,
        if that is a neighbour's, too."""
        values = self._values
        if len(values) == 1:
            values[0] = value
            return True
        at = bisect_left(self._starts, start)
        if at and values[at - 1] == value:
            return False
        if at + 1 < len(values) and values[at + 1] == value:
            return False
        values[at] = value
        return True

    def swap(self, start: int, end: int, value: V) -> Sequence[V]:
        """As `assign`; answers the values that there were, in order, to be looked at at once."""
        if end - start == self.size and len(self._starts) == 1:
            before, self._values = self._values, [value]
            return before
        before = list(self.values(start, end))
        self.assign(start, end, value)
        return before

    def update(self, start: int, end: int, change: Callable[[V], V]) -> None:
        """Replace the value v of every segment in [start, end) by change(v)."""
        assert 0 <= start <= end <= self.size, (start, end, self.size)
        if start == end:
            return
        if end - start == self.size and len(self._starts) == 1:
            self._values[0] = change(self._values[0])
            return
        low = self._cut(start)
        high = self._cut(end) if end < self.size else len(self._starts)
        values = [change(v) for v in self._values[low:high]]
        if len(values) == 1:
            self.assign(start, end, values[0])
            return
        starts = self._starts[low:high]
        # Join with the neighbours on both sides, too: take them into the rebuilt stretch.
        if low > 0:
            low -= 1
            starts.insert(0, self._starts[low])
            values.insert(0, self._values[low])
        if high < len(self._starts):
            starts.append(self._starts[high])
            values.append(self._values[high])
            high += 1
        joined_starts, joined_values = starts[:1], values[:1]
        last = values[0]
        for position, value in zip(starts, values, strict=True):
            if value is not last and value != last:
                joined_starts.append(position)
                joined_values.append(value)
                last = value
        self._starts[low:high] = joined_starts
        self._values[low:high] = joined_values

    def _cut(self, position: int) -> int:
        """Make a segment begin at `position`; answers its index."""
        index = bisect_left(self._starts, position)
        if index == len(self._starts) or self._starts[index] != position:
            self._starts.insert(index, position)
            self._values.insert(index, self._values[index - 1])
        return index
