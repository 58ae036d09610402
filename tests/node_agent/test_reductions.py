"""Reductions of what parts changed, against a model that goes through the elements one by one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node_agent import merge as subject
from node_agent.merge import Changes, merge, pack_changes
from vcl.wire.messages.part import How


@pytest.fixture(autouse=True)
def small_slabs(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that small buffers have many slabs."""
    monkeypatch.setattr(subject, "_SLAB_BYTES", 2048)


REDUCTIONS = [how for how in How if how != How.CHANGED]


def model_reduce(how: How, bits: int, before: int, afters: Sequence[int]) -> int:
    """The home's element, which is the first of `afters`, after the others were taken in."""
    top = 1 << (bits - 1)

    def signed(value: int) -> int:
        return value - 2 * top if value >= top else value

    home, *others = afters
    for after in others:
        if after == before:
            continue  # isn't sent
        match how:
            case How.ADD:
                home = (home + after - before) % (2 * top)
            case How.MIN:
                home = min(home, after, key=signed)
            case How.MAX:
                home = max(home, after, key=signed)
            case How.MIN_UNSIGNED:
                home = min(home, after)
            case How.MAX_UNSIGNED:
                home = max(home, after)
            case How.AND:
                home &= after
            case How.OR:
                home |= after
            case How.XOR:
                home ^= after ^ before
    return home


@pytest.mark.parametrize("how", REDUCTIONS)
@settings(max_examples=60)
@given(st.sampled_from([4, 8]), st.integers(0, 700), st.integers(2, 4), st.integers(0, 2**32 - 1))
def test_a_reduction_makes_of_every_element_what_the_model_does(
    how: How, element_bytes: int, count: int, parts: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    word = np.dtype(f"u{element_bytes}")
    edges = np.array([0, 1, 2**31 - 1, 2**31, 2**32 - 1], word)
    before = rng.choice([rng.choice(edges, count), rng.integers(0, 2**31, count).astype(word)])
    afters = []
    for _ in range(parts):
        after = before.copy()
        chosen = rng.random(count) < rng.choice([0, 0.01, 0.4, 1])
        chosen[: count * int(rng.integers(0, 2)) // 2] = True
        after[chosen] = rng.choice(edges, int(chosen.sum())) ^ rng.choice(edges)
        if element_bytes == 8:
            after[chosen] ^= rng.choice(edges) << word.type(32)
        afters.append(after)
    expected = [
        model_reduce(how, 8 * element_bytes, int(old), [int(a[i]) for a in afters])
        for i, old in enumerate(before)
    ]
    raw = before.view(np.uint8)
    changes = [Changes(pack_changes(raw, a.view(np.uint8), element_bytes)) for a in afters[1:]]
    target = afters[0].view(np.uint8).copy()
    assert merge(raw, target, changes, how) is None
    assert target.view(word).tolist() == expected


@pytest.mark.parametrize(("size", "element"), [(10, 4), (8, 2), (64, 16), (12, 8)])
def test_what_cannot_be_reduced(size: int, element: int) -> None:
    before, after = np.zeros(size, np.uint8), np.ones(size, np.uint8)
    target = before.copy()
    changes = Changes(pack_changes(before, after, element))
    with pytest.raises(ValueError, match="can't be reduced"):
        merge(before, target, [changes], How.ADD)
    assert not target.any(), "untouched"
