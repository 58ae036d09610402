"""Footprints that stay small, whatever the kernel, and say no less for it."""

from __future__ import annotations

import pytest

from master.access.analyser.frontend import parse
from master.access.encoded import encode
from master.access.extents import Runs, extents
from master.access.kernels import BUFFER, Footprint, footprint
from master.access.memory import Lost
from master.access.needed import cost_max, depth_max, touch_cost_max
from vcl.ndrange import NDRange, split

NDRANGE = NDRange((0,), (64,), (16,))
SIZE = 1 << 20


def touched(body: str) -> Footprint:
    source = f"kernel void k(global int *a, global int *b) {{ int x = get_global_id(0); {body} }}"
    return footprint(parse(source, ""), "k", [BUFFER, BUFFER], NDRANGE)


def writes(found: Footprint) -> list[Runs | None]:
    sizes = {0: SIZE, 1: SIZE}
    return [extents(found, NDRANGE, part, sizes)[0].writes for part in split(NDRANGE, 2)]


def test_symbols_that_lead_nowhere_are_left_out() -> None:
    found = touched("int y = (x / 3) * (x % 5); if (y > 7) y ^= 3; b[0] = y; a[x] = 1;")
    assert len(found.definitions) == 1
    assert writes(found) == [[(0, 128)], [(128, 256)]]


def test_a_chain_too_deep_keeps_its_bounds() -> None:
    """Ranges of symbols are found by recursion, where it must not end."""
    links = "".join(f"x = (x ^ {n + 3}) / 3 + b[{n}] % 2;" for n in range(10 * depth_max))
    found = touched(links + "a[x & 31] = 1;")
    assert writes(found) == [[(0, 128)], [(0, 128)]]
    assert found.cost < 10 * depth_max + 10


def test_a_touch_that_depends_on_too_much_keeps_its_bounds() -> None:
    terms = "".join(f"y += b[{n}] & 1;" for n in range(touch_cost_max + 1))
    found = touched(f"int y = 0; {terms} a[y] = 1;")
    assert writes(found) == [[(0, 4 * touch_cost_max + 8)]] * 2


def test_a_kernel_that_touches_too_much_is_lost() -> None:
    few = "".join(f"a[x * {n}] = 1;" for n in range(1, cost_max // 4))
    found = touched(few)
    assert found.cost <= cost_max and len(encode(found)) < 100 * cost_max
    with pytest.raises(Lost, match="touches memory in too many ways"):
        touched("".join(f"a[x * {n}] = 1;" for n in range(1, cost_max)))


def test_what_is_between_very_many_runs_is_taken_to_be_touched() -> None:
    rows = "int y = x % 8; for (int i = 0; i < 16; i++) for (int j = 0; j < 64; j++) "
    found = touched(rows + "a[i * 4096 + j * 2] = 1;")
    # 1024 runs are too many, 16 with all that is between the inner ones aren't.
    assert writes(found) == [[(16384 * i, 16384 * i + 508) for i in range(16)]] * 2
