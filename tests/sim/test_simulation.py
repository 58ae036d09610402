"""Thousands of simulated clusters: every read right, every event ended, nothing left behind.

A failure prints the seed, the faults and the programs; `python -m tests.sim.replay SEED --trace`
runs the same again and shows every message. `-m long` runs twenty times as many seeds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest

from tests.sim.replay import describe
from tests.sim.world import FAULTY, World

CHUNK = 25
QUICK = 600, 400
LONG = 12_000, 8_000

RARE = (
    "merge", "merge conflict", "merge inside hulls", "conflict inside hulls",
    "merge of many pieces", "chunk before its Receive", "bytes between nodes",
    "transfer in chunks", "zero fill", "DropStaging", "CopyBox", "write waits for room",
    "whole: the guard", "whole: one device", "mode: regions", "mode: merge", "mode: reduce",
    "analysed", "declared", "repeated", "Again", "a direct link", "direct",
    "a dial before its ticket", "a dial that failed", "a core before its rims",
    "same bytes again", "same bytes elsewhere",
)  # fmt: skip
"""Paths that runs without faults must reach."""

RARE_WITH_FAULTS = (
    "CancelTransfer", "CancelPush", "EndpointLost", "snapshot dropped", "device error",
    "bulk before its receiver", "a turn was too short", "executor crash", "agent crash",
    "agent flaps", "agent silent", "client crash", "malformed", "chunk dropped",
    "a direct link broke", "a node that came back",
    "agent joins", "a device that joined",
)  # fmt: skip
"""Paths that runs with faults must reach."""


def _chunks(counts: tuple[int, int]) -> list[range]:
    clean, faulty = counts
    starts = [*range(0, clean, CHUNK), *range(FAULTY, FAULTY + faulty, CHUNK)]
    return [range(start, start + CHUNK) for start in starts]


def _run(seeds: Iterable[int]) -> Counter[str]:
    marks: Counter[str] = Counter()
    for seed in seeds:
        world = World(seed)
        try:
            marks += world.run()
        except Exception as error:
            error.add_note(describe(world))
            raise
    return marks


def _by_first(seeds: range) -> str:
    return f"{seeds.start}-{seeds.stop - 1}"


@pytest.mark.parametrize("seeds", _chunks(QUICK), ids=_by_first)
def test_seeds(seeds: range) -> None:
    _run(seeds)


@pytest.mark.long
@pytest.mark.parametrize("seeds", _chunks(LONG), ids=_by_first)
def test_many_seeds(seeds: range) -> None:
    _run(seeds)


@pytest.mark.parametrize(
    ("first", "rare"), [(0, RARE), (FAULTY, RARE_WITH_FAULTS)], ids=["clean", "faulty"]
)
def test_rare_paths_are_reached(first: int, rare: tuple[str, ...]) -> None:
    missing = set(rare)
    for seed in range(first, first + 200):
        missing -= _run([seed]).keys()
        if not missing:
            return
    pytest.fail(f"no seed reached {sorted(missing)}")


def test_a_seed_always_gives_the_same_run() -> None:
    traces: list[list[str]] = [[], []]
    for trace in traces:
        World(FAULTY + 3, trace.append).run()
    assert traces[0] == traces[1] and len(traces[0]) > 100
