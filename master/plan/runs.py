"""Runs of bytes that the parts of a launch touch: arithmetic on what extents are made of.

Owns: whether parts meet, and what is left of runs. Must not know: buffers, or what parts are.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from master.access.extents import Runs


def hull(runs: Runs) -> Runs:
    """From the first byte to the last."""
    return [(runs[0][0], runs[-1][1])] if runs else []


def parts_meet(touched: Sequence[tuple[Runs, Runs]]) -> bool:
    """Whether one writes what another reads or writes."""
    last = 0
    for start, end in sorted(run for _, writes in touched for run in writes):
        if start < last:
            return True
        last = end
    return reads_meet(touched)


def reads_meet(touched: Sequence[tuple[Runs, Runs]]) -> bool:
    """Whether one reads what another writes."""
    written = _writers([writes for _, writes in touched])
    begins = [start for start, _, _ in written]
    for part, (reads, _) in enumerate(touched):
        for start, end in reads:
            at = max(bisect_right(begins, start) - 1, 0)
            while at < len(written) and written[at][0] < end:
                if written[at][1] > start and written[at][2] != part:
                    return True
                at += 1
    return False


def _writers(writes: Sequence[Runs]) -> list[tuple[int, int, int | None]]:
    """(start, end, the part that alone writes these bytes, or None), in order, apart."""
    edges = sorted(
        edge
        for part, runs in enumerate(writes)
        for start, end in runs
        for edge in ((start, 1, part), (end, -1, part))
    )
    found: list[tuple[int, int, int | None]] = []
    last = count = together = 0  # of those that write: how many, and their sum
    for at, step, part in edges:
        if at > last and count:
            found.append((last, at, together if count == 1 else None))
        last, count, together = at, count + step, together + step * part
    return found


def common(runs: Runs, others: Runs) -> Runs:
    """The bytes that are in both, of runs that are in order and apart."""
    found: Runs = []
    left = iter(others)
    other = next(left, None)
    for start, end in runs:
        while other is not None and other[0] < end:
            if other[1] > start:
                found.append((max(start, other[0]), min(end, other[1])))
            if other[1] > end:
                break  # the next run may have more of it
            other = next(left, None)
    return found


def without(runs: Runs, others: Runs) -> Runs:
    """What of these runs isn't in the others."""
    left: Runs = []
    for start, end in runs:
        for other_start, other_end in others:
            if other_end <= start or other_start >= end:
                continue
            if other_start > start:
                left.append((start, other_start))
            start = max(start, other_end)
        if start < end:
            left.append((start, end))
    return left
