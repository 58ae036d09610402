"""Oclgrind finds the races that generated kernels are claimed to have, and no others.

Owns: what is claimed of a generated launch, and how that is compared with Oclgrind's report. Three
claims are judged: that of the generator, that no access is outside of the buffers; the machine's,
where work-items race; and the analysis', where work-groups may touch the same bytes. In CI it fails
when Oclgrind can't be fetched; elsewhere it skips without a network.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import product
from random import Random
from typing import Any, NamedTuple

import pytest

from master.access import tree
from master.access.analyser.frontend import parse
from master.access.extents import Runs, extents
from master.access.kernels import BUFFER, footprint
from master.access.memory import Lost
from tests.api.suite_sources import Unreachable
from tests.master.access import oclgrind
from tests.master.access.generated import SIZE, Drawn, draw
from tests.master.access.machine import Machine, TooLong
from tests.master.access.oclgrind import Failed, Oclgrind, Simulation, Word
from vcl.ndrange import NDRange

Ids = tuple[int, ...]
Byte = tuple[int, int]
"""Argument and byte of it."""


@pytest.fixture(scope="module")
def simulator() -> Iterator[Oclgrind]:
    try:
        driver = oclgrind.driver()
    except Unreachable as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    simulator = Oclgrind(driver)
    yield simulator
    simulator.close()


# What is claimed


class Claim(NamedTuple):
    """within, between: where work-items of one work-group race, and of two. shared: where a
    work-group may write what another may touch, by the analysis; None for anywhere."""

    within: frozenset[Word]
    between: frozenset[Word]
    shared: frozenset[Word] | None


def claim(drawn: Drawn) -> Claim:
    """Raises TooLong."""
    program = parse(drawn.source, "")
    return Claim(*races(program, drawn), shared(program, drawn))


def races(program: tree.Program, drawn: Drawn) -> tuple[frozenset[Word], frozenset[Word]]:
    """Where work-items of one work-group race, and of two, by what the machine sees of each."""
    _, ndrange, numbers = drawn
    touching: dict[Byte, set[Ids]] = defaultdict(set)
    writing: dict[Byte, set[Ids]] = defaultdict(set)
    for ids in product(*map(range, ndrange.global_size)):
        machine = Machine(program, ndrange, ids)
        machine.run("k", [BUFFER, BUFFER, *numbers])
        for byte in machine.reads | machine.writes:
            touching[byte].add(ids)
        for byte in machine.writes:
            writing[byte].add(ids)
    within, between = set(), set()
    for byte, writers in writing.items():
        touched_by = Counter(group_of(ids, ndrange) for ids in touching[byte])
        if any(touched_by[group_of(ids, ndrange)] > 1 for ids in writers):
            within.add(byte)
        if len(touched_by) > 1:
            between.add(byte)
    return words(within), words(between)


def group_of(ids: Ids, ndrange: NDRange) -> Ids:
    assert ndrange.local_size is not None
    return tuple(i // n for i, n in zip(ids, ndrange.local_size, strict=True))


def words(touched: Iterable[Byte]) -> frozenset[Word]:
    return frozenset((argument, byte // 4) for argument, byte in touched)


def shared(program: tree.Program, drawn: Drawn) -> frozenset[Word] | None:
    """Where a work-group may write what another may touch, by the analysis; None for anywhere."""
    _, ndrange, numbers = drawn
    assert ndrange.local_size is not None
    packed: list[Any] = [n.to_bytes(4, "little", signed=True) for n in numbers]
    try:
        found = footprint(program, "k", [BUFFER, BUFFER, *packed], ndrange)
    except Lost:
        return None
    touching: dict[Byte, set[Ids]] = defaultdict(set)
    writing: dict[Byte, set[Ids]] = defaultdict(set)
    for group in product(*map(range, ndrange.group_counts)):
        places = zip(ndrange.global_offset, group, ndrange.local_size, strict=True)
        offset = tuple(begin + n * local for begin, n, local in places)
        part = NDRange(offset, ndrange.local_size, ndrange.local_size)
        for argument, extent in extents(found, ndrange, part, {0: SIZE, 1: SIZE}).items():
            for byte in covered(extent.reads):
                touching[argument, byte].add(group)
            for byte in covered(extent.writes):
                touching[argument, byte].add(group)
                writing[argument, byte].add(group)
    return words(byte for byte in writing if len(touching[byte]) > 1)


def covered(runs: Runs | None) -> Iterator[int]:
    """The bytes of a buffer that are in the runs; all if these aren't known."""
    for start, end in [(0, SIZE)] if runs is None else runs:
        yield from range(start, end)


# What Oclgrind says of it


def compare(drawn: Drawn, claimed: Claim, simulator: Oclgrind) -> None:
    """Fails where Oclgrind's report and a claim differ. Raises Failed."""
    report = simulator.simulate(Simulation(drawn.source, drawn.ndrange, SIZE, drawn.numbers))
    assert not report.outside, f"{report.outside}: {drawn}"
    both = f"{claimed}, but {report}: {drawn}"
    for told, known in ((report.within, claimed.within), (report.between, claimed.between)):
        assert told <= known and bool(told) == bool(known), both
    assert claimed.shared is None or report.between <= claimed.shared, both


def judge(seeds: range, simulator: Oclgrind) -> None:
    """Nearly all must be judged: some that race within work-groups, between them, both, neither,
    and some of which the analysis says that work-groups touch nothing of each other's."""
    became: Counter[str] = Counter()
    for seed in seeds:
        drawn = draw(Random(seed))
        try:
            claimed = claim(drawn)
            compare(drawn, claimed, simulator)
        except TooLong:
            became["runs for too long"] += 1
        except Failed as failed:
            became[f"can't be simulated: {failed}"] += 1
        else:
            became["judged"] += 1
            raced = [name for name in ("within", "between") if getattr(claimed, name)]
            became[" and ".join(raced) or "free"] += 1
            became["apart"] += claimed.shared == frozenset()
    assert became["judged"] >= 0.98 * len(seeds), became
    for kind in ("within", "between", "within and between", "free", "apart"):
        assert became[kind] >= 0.05 * len(seeds), became


def test_random_kernels_race_as_claimed(simulator: Oclgrind) -> None:
    judge(range(60), simulator)


@pytest.mark.long
@pytest.mark.parametrize("first", range(20_000, 22_000, 250))
def test_many_random_kernels_race_as_claimed(first: int, simulator: Oclgrind) -> None:
    judge(range(first, first + 250), simulator)


# What judges can see


def line(body: str, begin: int = 0) -> Drawn:
    """A launch of eight work-items in groups of four."""
    head = "kernel void k(global int *a, global const int *b, int n, int m) {"
    text = f"{head} int x = get_global_id(0), l = get_local_id(0), g = get_group_id(0); {body} }}"
    return Drawn(text, NDRange((begin,), (8,), (4,)), (1, 2))


KNOWN = {
    "elements of their own": ("a[x] = a[x] + b[7 - x];", False, False),
    "the same bytes are read": ("a[x] = b[0];", False, False),
    "bytes of their own in one element": ("((global char *)a)[x] = 1;", False, False),
    "one work-item alone": ("if (x == 5) { a[0] += 1; a[0] += 1; }", False, False),
    "one element for all": ("a[0] = x;", True, True),
    "one element for all, and the same in it": ("a[0] = 1;", True, True),
    "an element for a group": ("a[g] = l;", True, False),
    "an element of each group": ("a[l] = g;", False, True),
    "what one of the same group writes": ("a[x] = a[x ^ 1];", True, False),
    "what one of another group writes": ("a[x] = a[x ^ 4];", False, True),
    "what nobody needs of what another writes": ("int t = a[x ^ 4]; a[x] = 1;", False, True),
    "halves of what another writes": (
        "if (x == 0) a[0] = 1; if (x == 4) ((global short *)a)[1] = 2;", False, True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("begin", [0, 8])
@pytest.mark.parametrize("name", KNOWN)
def test_known_races(name: str, begin: int, simulator: Oclgrind) -> None:
    """begin: a global offset, of which none of these makes another launch."""
    body, within, between = KNOWN[name]
    drawn = line(f"x -= {begin}; {body}", begin)
    claimed = claim(drawn)
    assert (bool(claimed.within), bool(claimed.between)) == (within, between)
    assert claimed.shared == claimed.between
    compare(drawn, claimed, simulator)


NOWHERE: frozenset[Word] = frozenset()
ONE = frozenset({(0, 1)})
TWO = frozenset({(0, 0), (0, 1)})
FREE = Claim(NOWHERE, NOWHERE, NOWHERE)


@pytest.mark.parametrize(
    ("index", "within", "between"),
    [
        ("4 * y + x", False, False),
        ("2 * y + x % 2", False, True),
        ("4 * (y / 2) + x", True, False),
        ("x == 0 && y == 1 || x == 2 && y == 0 ? 0 : 4 * y + x + 1", False, True),
    ],
)
def test_known_races_in_a_plane(
    index: str, within: bool, between: bool, simulator: Oclgrind
) -> None:
    """The last of them Oclgrind misses in a launch of two dimensions."""
    head = "kernel void k(global int *a, global const int *b, int n, int m) {"
    text = f"{head} int x = get_global_id(0), y = get_global_id(1); a[{index}] = x; }}"
    drawn = Drawn(text, NDRange((0, 0), (4, 4), (2, 2)), (1, 2))
    claimed = claim(drawn)
    assert (bool(claimed.within), bool(claimed.between)) == (within, between)
    compare(drawn, claimed, simulator)


@pytest.mark.parametrize(
    ("body", "right", "wrong"),
    [
        ("a[g] = l;", Claim(TWO, NOWHERE, NOWHERE), Claim(ONE, NOWHERE, NOWHERE)),
        ("a[g] = l;", Claim(TWO, NOWHERE, NOWHERE), Claim(TWO, TWO, None)),
        ("a[l & 1] = g;", Claim(TWO, TWO, TWO), Claim(NOWHERE, TWO, TWO)),
        ("a[l & 1] = g;", Claim(TWO, TWO, TWO), Claim(TWO, ONE, TWO)),
        ("a[l & 1] = g;", Claim(TWO, TWO, None), Claim(TWO, TWO, ONE)),
        ("a[x] = 1;", FREE, Claim(ONE, NOWHERE, NOWHERE)),
        ("a[x] = 1;", FREE, Claim(NOWHERE, ONE, ONE)),
    ],
)
def test_a_wrong_claim_is_seen(body: str, right: Claim, wrong: Claim, simulator: Oclgrind) -> None:
    compare(line(body), right, simulator)
    with pytest.raises(AssertionError, match="but Report"):
        compare(line(body), wrong, simulator)


@pytest.mark.parametrize("body", ["a[x] = b[x + 505];", "a[x - 1] = 1;", "a[x + (n << 9)] = 1;"])
def test_an_access_outside_is_seen(body: str, simulator: Oclgrind) -> None:
    with pytest.raises(AssertionError, match=r"Invalid (read|write) of size 4"):
        compare(line(body), FREE, simulator)


def test_what_cannot_be_simulated_is_told(
    simulator: Oclgrind, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Failed, match="BUILD_PROGRAM_FAILURE"):
        compare(line("a[x] = nothing;"), FREE, simulator)
    monkeypatch.setattr(oclgrind, "launch_timeout_s", 2.0)
    with pytest.raises(Failed, match="ended with status -9"):
        compare(line("while (n) a[x] = 1;"), FREE, simulator)
    monkeypatch.undo()
    compare(line("a[x] = 1;"), FREE, simulator)
