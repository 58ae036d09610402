"""Launches whose parts may write the same bytes, on the cluster: merged inside their hulls."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import vcl as cl
from tests.api.test_report import check_parts, launch_both

SOURCE = """
__kernel void interleave(__global int *out, int middle)
{
    int i = get_global_id(0);
    out[i < middle ? 2 * i : 2 * (i - middle) + 1] = i;
}
__kernel void window(__global const uchar *where, __global int *out)
{
    int i = get_global_id(0);
    out[((i + 8) & ~15) + (where[i] & 15)] += i;
}
"""


@pytest.fixture(scope="module")
def both(contexts: dict[str, Any]) -> dict[str, tuple[Any, Any, Any]]:
    """By "cluster" and "remote": context, queue, the built program."""
    return {
        name: (ctx, cl.CommandQueue(ctx), cl.Program(ctx, SOURCE).build())
        for name, ctx in contexts.items()
    }


def test_parts_that_write_in_turns(both: Any) -> None:
    report, contents = launch_both(
        both, "interleave", (2048,), (16,), [np.full(3000, -5, np.int32)], np.int32(1024)
    )
    assert report.mode == "merge"
    expected = np.full(3000, -5, np.int32)
    expected[:2048:2], expected[1:2048:2] = np.arange(1024), np.arange(1024, 2048)
    np.testing.assert_array_equal(np.frombuffer(contents[0], np.int32), expected)
    assert {b.reason.partition(" (")[0] for b in report.buffers} == {"merge inside the hulls"}
    assert max(report.buffers[0].written) < 2050 * 4, "of 3000"


def test_a_scatter_inside_a_window_moves_and_merges_the_window(both: Any) -> None:
    """Parts are cut in the middle of a block of 16 elements, which both may write."""
    count = 1 << 16
    rng = np.random.default_rng(3)
    where = np.concatenate([rng.permutation(16) for _ in range(count // 16 + 1)])
    where = where[8 : 8 + count].astype(np.uint8)
    values = rng.integers(-1000, 1000, 2 * count, dtype=np.int32)
    report, contents = launch_both(both, "window", (count,), (8,), [where, values])
    assert report.mode == "merge"
    assert "trusted to be free of races" in report.reason, "a part adds to what another may write"
    check_parts(report, (count,))
    expected = values.copy()
    index = np.arange(count)
    expected[((index + 8) & ~15) + where] += index.astype(np.int32)
    np.testing.assert_array_equal(np.frombuffer(contents[1], np.int32), expected)
    out = report.buffers[1]
    assert out.reason.startswith("merge inside the hulls (line ")
    assert all(written <= (count // 2 + 32) * 4 for written in out.written)
    away = [brought for brought in out.brought if brought < 2 * count * 4]
    assert len(away) == 1 and away[0] <= (count // 2 + 32) * 4, "the home alone has all"
