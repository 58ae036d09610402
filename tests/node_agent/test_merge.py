"""Merging changed elements, against a model that goes through the elements one by one."""

import struct
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from node_agent import merge as subject
from node_agent.merge import Changes, merge, pack_changes, packed_bytes

Bytes = NDArray[np.uint8]
ELEMENT_BYTES = st.sampled_from([1, 2, 3, 4, 5, 7, 8, 12, 16, 20, 32, 64, 100, 128, 136])
SEEDS = st.integers(0, 2**32 - 1)
HEADER = struct.Struct("<4sIQQQQ")


@pytest.fixture(autouse=True)
def small_slabs(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that small buffers have many slabs."""
    monkeypatch.setattr(subject, "_SLAB_BYTES", 2048)


def array(content: bytes | bytearray) -> Bytes:
    return np.frombuffer(bytes(content), np.uint8).copy()


def elements(buffer: Bytes, element_bytes: int) -> list[bytes]:
    raw = buffer.tobytes()
    return [raw[at : at + element_bytes] for at in range(0, len(raw), element_bytes)]


def model_merge(
    before: Bytes, afters: Sequence[Bytes], element_bytes: int
) -> tuple[bytes, set[int]]:
    """The merged content, and the byte offsets of the elements in conflict."""
    merged: list[bytes] = []
    conflicts: set[int] = set()
    parts = [elements(after, element_bytes) for after in afters]
    for index, old in enumerate(elements(before, element_bytes)):
        values = {part[index] for part in parts} - {old}
        if len(values) > 1:
            conflicts.add(index * element_bytes)
        merged.append(min(values, default=old))
    return b"".join(merged), conflicts


def scattered(rng: np.random.Generator, count: int, style: int) -> NDArray[np.bool_]:
    """Which of `count` elements to change: none, all, random ones, or a few stretches."""
    if style == 0:
        return np.zeros(count, np.bool_)
    if style == 1:
        return np.ones(count, np.bool_)
    if style == 2:
        return rng.random(count) < rng.choice([0.002, 0.25, 0.98])
    chosen = np.zeros(count, np.bool_)
    for _ in range(int(rng.integers(1, 5))):
        low, high = sorted(rng.integers(0, count + 1, 2))
        chosen[low:high] ^= True
    return chosen


def write(
    rng: np.random.Generator, buffer: Bytes, element_bytes: int, chosen: NDArray[np.bool_]
) -> None:
    """Change one bit of each chosen element (one byte of it: the others stay)."""
    indices = np.flatnonzero(chosen)
    lengths = np.minimum(element_bytes, buffer.size - indices * element_bytes)
    at = indices * element_bytes + rng.integers(0, lengths)
    buffer[at] ^= np.uint8(1) << rng.integers(0, 8, at.size).astype(np.uint8)


def lengths_for(element_bytes: int) -> st.SearchStrategy[int]:
    """Lengths from nothing to a few slabs, near whole blocks as well as anywhere."""
    block = 64 * element_bytes
    near = st.builds(
        lambda blocks, more: max(0, blocks * block + more),
        st.integers(0, 3 + 6144 // block),
        st.integers(-element_bytes - 1, element_bytes + 1),
    )
    return st.one_of(near, st.integers(0, 3 * block), st.integers(0, 20))


@st.composite
def buffers(draw: st.DrawFn) -> tuple[np.random.Generator, int, Bytes]:
    """A source of random numbers, the size of elements, and a buffer."""
    element_bytes = draw(ELEMENT_BYTES)
    rng = np.random.default_rng(draw(SEEDS))
    length = draw(lengths_for(element_bytes))
    return rng, element_bytes, rng.integers(0, 256, length, np.uint8)


@given(buffers(), st.integers(0, 3))
def test_one_part_restores_its_buffer(
    case: tuple[np.random.Generator, int, Bytes], style: int
) -> None:
    rng, element_bytes, before = case
    after = before.copy()
    count = -(-before.size // element_bytes)
    chosen = scattered(rng, count, style)
    write(rng, after, element_bytes, chosen)
    before.flags.writeable = after.flags.writeable = False
    changes = Changes(pack_changes(before, after, element_bytes))
    assert (changes.buffer_bytes, changes.element_bytes) == (before.size, element_bytes)
    target = before.copy()
    assert merge(before, target, [changes]) is None
    assert np.array_equal(target, after)
    # Header, per changed element its bytes, and at most a mask and an id per changed block.
    changed = int(chosen.sum())
    blocks = len(set(np.flatnonzero(chosen) // 64))
    assert packed_bytes(changes) <= HEADER.size + changed * element_bytes + blocks * 12 + 4


@given(buffers(), st.integers(1, 5), st.integers(1, 3))
def test_disjoint_parts_merge_to_the_sequential_result(
    case: tuple[np.random.Generator, int, Bytes], parts: int, style: int
) -> None:
    rng, element_bytes, before = case
    count = -(-before.size // element_bytes)
    chosen = scattered(rng, count, style)
    contiguous = rng.random() < 0.5
    owner = np.sort(rng.integers(0, parts, count)) if contiguous else rng.integers(0, parts, count)
    sequential, afters = before.copy(), []
    for part in range(parts):
        mine = chosen & (owner == part)
        after = before.copy()
        write(rng, after, element_bytes, mine)
        which = np.repeat(mine, element_bytes)[: before.size]
        sequential[which] = after[which]
        afters.append(after)
    target = afters[0].copy()
    changes = [Changes(pack_changes(before, after, element_bytes)) for after in afters[1:]]
    assert merge(before, target, changes) is None
    assert np.array_equal(target, sequential)


@given(buffers(), st.integers(2, 5), st.sampled_from([0, 1, 2, 40]))
def test_conflicts_are_found_exactly_where_values_differ(
    case: tuple[np.random.Generator, int, Bytes], parts: int, overlaps: int
) -> None:
    rng, element_bytes, before = case
    count = -(-before.size // element_bytes)
    common = before.copy()
    write(rng, common, element_bytes, scattered(rng, count, int(rng.integers(1, 4))))
    afters = []
    for _ in range(parts):
        after = before.copy()
        # All take values from one result, so that they agree, but for a few of their own.
        which = np.repeat(rng.random(count) < 0.5, element_bytes)[: before.size]
        after[which] = common[which]
        own = np.zeros(count, np.bool_)
        if count:
            own[rng.integers(0, count, overlaps)] = True
        write(rng, after, element_bytes, own)
        afters.append(after)
    merged, conflicts = model_merge(before, afters, element_bytes)
    target = afters[0].copy()
    changes = [Changes(pack_changes(before, after, element_bytes)) for after in afters[1:]]
    offset = merge(before, target, changes)
    if conflicts:
        assert offset in conflicts
    else:
        assert offset is None
        assert target.tobytes() == merged


@pytest.mark.parametrize("element_bytes", [1, 3, 4, 8, 12, 16])
@pytest.mark.parametrize("dense", [False, True])
def test_every_single_conflict_is_found(element_bytes: int, dense: bool) -> None:
    count = 64 * 5 + 7
    before = np.arange(count * element_bytes - (element_bytes > 1), dtype=np.uint8)
    for index in [0, 1, 63, 64, 130, 64 * 5 - 1, 64 * 5, count - 1]:
        at = index * element_bytes
        ours, theirs = before.copy(), before.copy()
        if dense:
            theirs ^= 0x80
        ours[at] ^= 1
        theirs[at] ^= 2
        other = Changes(pack_changes(before, theirs, element_bytes))
        assert merge(before, ours.copy(), [other]) == at
        mine = Changes(pack_changes(before, ours, element_bytes))
        assert merge(before, before.copy(), [mine, other]) == at
        assert merge(before, before.copy(), [other, mine]) == at


def test_bytes_of_one_element_conflict_though_they_differ_in_place() -> None:
    before = np.zeros(16, np.uint8)
    ours, theirs = before.copy(), before.copy()
    ours[4], theirs[7] = 1, 1
    assert merge(before, ours.copy(), [Changes(pack_changes(before, theirs, 4))]) == 4
    assert merge(before, ours, [Changes(pack_changes(before, theirs, 1))]) is None
    assert ours.tolist() == [0, 0, 0, 0, 1, 0, 0, 1] + [0] * 8


def test_equal_overlapping_values_pass() -> None:
    before = np.zeros(64 * 4 * 3 + 10, np.uint8)
    after = before.copy()
    after[100:] = 9
    changes = Changes(pack_changes(before, after, 4))
    for target in (after.copy(), before.copy()):
        assert merge(before, target, [changes, changes]) is None
        assert np.array_equal(target, after)


def test_nothing_changed_is_a_header() -> None:
    before = np.zeros(100_000, np.uint8)
    assert len(pack_changes(before, before.copy(), 4)) == HEADER.size


def test_contiguous_changes_have_no_masks() -> None:
    before = np.zeros(64 * 4 * 100, np.uint8)
    after = before + np.uint8(1)
    runs_bytes_max = 8 * (before.size // 2048 + 1)
    assert len(pack_changes(before, after, 4)) <= HEADER.size + before.size + runs_bytes_max


@pytest.mark.parametrize("size", [0, 1, 7, 1000])
def test_an_element_may_be_larger_than_the_buffer(size: int) -> None:
    before = np.zeros(size, np.uint8)
    after = before.copy()
    after[-1:] = 1
    changes = Changes(pack_changes(before, after, 1 << 40))
    target = before.copy()
    assert merge(before, target, [changes]) is None
    assert np.array_equal(target, after)
    assert packed_bytes(changes) <= HEADER.size + 16 + size


@pytest.mark.parametrize("element_bytes", [4, 8, 16, 12])
def test_unaligned_arrays(element_bytes: int) -> None:
    rng = np.random.default_rng(5)
    before = rng.integers(0, 256, 9001, np.uint8)[1:]
    after = np.concatenate([before[:1], before])[1:]
    write(rng, after, element_bytes, rng.random(9000 // element_bytes) < 0.4)
    shifted = b"x" + bytes(pack_changes(before, after, element_bytes))
    target = np.concatenate([before[:1], before])[1:]
    assert merge(before, target, [Changes(memoryview(shifted)[1:])]) is None
    assert np.array_equal(target, after)


@pytest.mark.parametrize("element_bytes", [0, -1])
def test_element_size_must_be_positive(element_bytes: int) -> None:
    with pytest.raises(ValueError, match="element of"):
        pack_changes(np.zeros(4, np.uint8), np.zeros(4, np.uint8), element_bytes)


def test_changes_must_fit_the_buffer_and_each_other() -> None:
    before = np.zeros(64, np.uint8)
    after = before + np.uint8(1)
    by_four, by_eight = (Changes(pack_changes(before, after, size)) for size in (4, 8))
    short = Changes(pack_changes(before[:32], after[:32], 4))
    target = before.copy()
    with pytest.raises(ValueError, match="of a buffer of 64"):
        merge(before, target, [by_four, short])
    with pytest.raises(ValueError, match="size of elements"):
        merge(before, target, [by_four, by_eight])
    assert not target.any()


def packed(
    masks: Sequence[int] = (),
    runs: Sequence[tuple[int, int]] = (),
    ids: Sequence[int] = (),
    payload: int = 0,
    buffer_bytes: int = 64 * 4 * 10 + 5,
    element_bytes: int = 4,
) -> bytes:
    """A packed form, right or wrong; the buffer has 10 blocks and a tail of 2 elements."""
    header = HEADER.pack(b"VCLM", 1, buffer_bytes, element_bytes, len(masks), len(runs))
    tables = np.array(masks, "<u8").tobytes() + np.array(runs, "<u4").tobytes()
    tables += np.array(ids, "<u4").tobytes() + bytes(len(ids) % 2 * 4)
    return header + tables + bytes(payload)


def test_the_hand_made_form_is_right() -> None:
    good = packed([1, 3, 3], [(1, 2), (3, 1)], [0, 4, 10], (5 + 3 * 64) * 4)
    target = np.zeros(64 * 4 * 10 + 5, np.uint8)
    assert merge(target.copy(), target, [Changes(good)]) is None


@pytest.mark.parametrize(
    "rubbish",
    [
        pytest.param(b"", id="empty"),
        pytest.param(packed()[:-1], id="short header"),
        pytest.param(b"XCLM" + packed()[4:], id="magic"),
        pytest.param(packed()[:4] + b"\2" + packed()[5:], id="version"),
        pytest.param(packed() + b"\0", id="trailing byte"),
        pytest.param(packed(element_bytes=0), id="element of nothing"),
        pytest.param(packed(buffer_bytes=2**63, element_bytes=2**62), id="huge element"),
        pytest.param(packed(buffer_bytes=2**63), id="too many blocks"),
        pytest.param(HEADER.pack(b"VCLM", 1, 64, 4, 2**63, 0), id="many masks"),
        pytest.param(HEADER.pack(b"VCLM", 1, 64, 4, 0, 2**63), id="many runs"),
        pytest.param(packed([1], [], [0], 3), id="short payload"),
        pytest.param(packed([1], [], [0], 5), id="long payload"),
        pytest.param(packed([0], [], [0], 0), id="empty mask"),
        pytest.param(packed([1], [], [11], 4), id="id out of range"),
        pytest.param(packed([1], [], [1], 4, 256), id="tail where there is none"),
        pytest.param(packed([4], [], [10], 4), id="mask beyond the tail"),
        pytest.param(packed([1, 1], [], [1, 1], 8), id="same id twice"),
        pytest.param(packed([1, 1], [], [2, 1], 8), id="ids descend"),
        pytest.param(packed([1, 1], [], [10, 1], 8), id="tail not last"),
        pytest.param(packed([], [(0, 0)], [], 0), id="empty run"),
        pytest.param(packed([], [(0, 11)], [], 11 * 256), id="run too long"),
        pytest.param(packed([], [(10, 1)], [], 256), id="run of the tail"),
        pytest.param(packed([], [(2**32 - 1, 2)], [], 512), id="run wraps around"),
        pytest.param(packed([], [(0, 2), (1, 2)], [], 4 * 256), id="runs overlap"),
        pytest.param(packed([], [(4, 1), (1, 2)], [], 3 * 256), id="runs descend"),
        pytest.param(packed([1], [(0, 2)], [1], 2 * 256 + 4), id="mask within a run"),
        pytest.param(packed([1], [(0, 2)], [0], 2 * 256 + 4), id="mask at a run's start"),
    ],
)
def test_rubbish_is_refused(rubbish: bytes) -> None:
    with pytest.raises(ValueError):
        Changes(rubbish)


@settings(max_examples=300)
@given(
    SEEDS,
    ELEMENT_BYTES,
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(-9, 9),
)
@example(0, 4, [(0.0, 86)], 1)
def test_damaged_bytes_never_write_out_of_bounds(
    seed: int, element_bytes: int, damage: list[tuple[float, int]], longer: int
) -> None:
    rng = np.random.default_rng(seed)
    before = rng.integers(0, 256, 64 * element_bytes * 3 + element_bytes * 2 + 1, np.uint8)
    after = before.copy()
    count = -(-before.size // element_bytes)
    write(rng, after, element_bytes, scattered(rng, count, int(rng.integers(1, 4))))
    raw = bytearray(pack_changes(before, after, element_bytes))
    tables_bytes = min(len(raw), 120)  # where damage does more than to change a value
    for where, value in damage:
        raw[int(where * (tables_bytes - 1))] = value
    raw = raw[:longer] if longer < 0 else raw + bytes(longer)
    guarded = np.full(before.size + 4096, 0x5A, np.uint8)
    target = guarded[2048:-2048]
    target[:] = before
    try:
        merge(before, target, [Changes(raw)])
    except ValueError:
        assert np.array_equal(target, before)
    assert (guarded[:2048] == 0x5A).all() and (guarded[-2048:] == 0x5A).all()


@given(st.binary(max_size=200), st.integers(0, 600), st.integers(0, 20))
def test_random_bytes_after_a_good_start_are_refused_or_fit(
    noise: bytes, buffer_bytes: int, element_bytes: int
) -> None:
    head = HEADER.pack(b"VCLM", 1, buffer_bytes, element_bytes, len(noise) % 4, len(noise) % 3)
    target = np.zeros(buffer_bytes, np.uint8)
    try:
        changes = Changes(head + noise)
    except ValueError:
        return
    assert merge(np.zeros(buffer_bytes, np.uint8), target, [changes]) is None
