"""A launch that the driver refuses: its error is told, and every byte stays what it was."""

from __future__ import annotations

from typing import Any

import pytest

import vcl as cl

SOURCE = """
    __kernel void greedy(__global int *a, __local int *t) {
        t[0] = 1;
        a[get_global_id(0)] += t[0];
    }
"""


@pytest.fixture
def greedy(queue: Any) -> Any:
    return cl.Program(queue.context, SOURCE).build().greedy


def test_null_local_memory_is_refused_where_pyopencl_refuses_it(queue: Any, greedy: Any) -> None:
    buffer = cl.Buffer(queue.context, 0, 64)
    with pytest.raises(cl.LogicError, match="INVALID_ARG_VALUE"):
        greedy(queue, (4,), (4,), buffer, None)
    queue.finish()
