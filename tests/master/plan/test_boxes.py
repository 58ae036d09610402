"""Launches that are cut along two dimensions at once: where that pays, and what is brought then."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest

import master.plan.regions as regions_module
from master.access.kernels import Footprint
from master.plan import touched
from tests.master.plan.test_regions import SIZE, Rig, regions
from vcl.wire.messages import part
from vcl.wire.messages.session import CreateBuffer, Launch, Pull, Read, Write

PLANE = (
    "kernel void k(global int *a, global const int *b, int n) {"
    "int x = get_global_id(0), y = get_global_id(1);"
)
PAIRS = "for (int k = 0; k < n; k++) a[y * 8 + x] += b[y * n + k] + b[(8 + x) * n + k];"
"""A result for each pair of 8 rows and 8 others."""
LONG_ROW = 2**18
"""Integers of a row of which it pays to bring fewer."""


def launched_in_a_plane(n: int, devices: int, body: str = PAIRS, local: int = 2) -> Rig:
    """Of 8 x 8 work-items; buffer 12 has the results, 13 the rows."""
    r = Rig(body, head=PLANE, devices=devices)
    r.say(CreateBuffer(12, 1, SIZE), CreateBuffer(13, 1, 64 * n))
    r.say(Write(19, 2, [], 12, 0, SIZE, 100), Write(20, 2, [], 13, 0, 64 * n, 101))
    arguments: list[Any] = [[1, 12, 0, SIZE], [1, 13, 0, 64 * n], n.to_bytes(4, "little")]
    r.say(Launch(21, 2, [], 5, "k", [0, 0], [8, 8], [local] * 2, arguments))
    return r


def cut(r: Rig) -> str:
    """What it says of the cut."""
    r.run()
    mode, reason, *_ = r.report(21)
    assert mode == "regions"
    return str(reason.removeprefix("each part writes bytes of its own, cut along "))


def test_boxes_are_cut_where_they_move_much_fewer_bytes() -> None:
    n = LONG_ROW
    r = launched_in_a_plane(n, 4)
    half = 4 * n * 4
    for device, (x, y) in enumerate([(0, 0), (4, 0), (0, 4), (4, 4)], 1):
        (run,) = r.said(part.Run, device)
        assert (run.global_offset, run.global_size) == ([x, y], [4, 4])
        brought = regions(r.said(part.Receive, device))
        rows = [(13, a, a + half) for a in (y * n * 4, (8 + x) * n * 4)]
        results = [(12, 4 * (8 * row + x), 4 * (8 * row + x + 4)) for row in range(y, y + 4)]
        assert sorted(brought) == sorted(rows + results)
    assert cut(r) == "x and y (2 x 2)"
    r.clear()
    r.say(Read(23, 2, [], 12, 0, SIZE))
    assert sorted((m.offset, m.endpoint) for m in r.told(Pull)) == [
        (16 * piece, 1 + piece % 2 + piece // 8 * 2) for piece in range(16)
    ]


def test_each_factoring_into_boxes_is_looked_at() -> None:
    fewest_runs = launched_in_a_plane(LONG_ROW, 8, local=1)
    assert cut(fewest_runs) == "x and y (2 x 4)"
    more_of_x = PAIRS.replace("b[y * n + k]", "b[y * n + k / 2]")
    assert cut(launched_in_a_plane(LONG_ROW, 8, more_of_x, local=1)) == "x and y (4 x 2)"
    hardly_of_x = PAIRS.replace("b[(8 + x) * n + k]", "b[8 * n + k]")
    assert cut(launched_in_a_plane(LONG_ROW, 8, hardly_of_x, local=1)) == "y"


@pytest.mark.parametrize(
    ("n", "devices"),
    [(2**12, 4), (LONG_ROW, 2), (LONG_ROW, 3)],
    ids=["runs cost more", "two", "a prime"],
)
def test_boxes_are_not_cut_elsewhere(n: int, devices: int) -> None:
    assert cut(launched_in_a_plane(n, devices)) == "y"


def test_boxes_in_too_many_runs_are_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("master.plan.regions.runs_together_max", 38)
    assert cut(launched_in_a_plane(LONG_ROW, 4)) == "y", "each 4 + 4 of a, and 2 or 1 of b"
    monkeypatch.setattr("master.plan.regions.runs_together_max", 39)
    assert cut(launched_in_a_plane(LONG_ROW, 4)) == "x and y (2 x 2)"


def test_boxes_come_last_where_looking_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    r = launched_in_a_plane(LONG_ROW, 4)
    (question,) = r.questions
    found = r._really(question)
    assert isinstance(found, Footprint)
    both_dimensions_and_one_way = (4 + 4 + 1 + 4) * found.cost
    monkeypatch.setattr("master.plan.regions.looked_at_max", both_dimensions_and_one_way - 1)
    assert cut(launched_in_a_plane(LONG_ROW, 4)) == "y"
    monkeypatch.setattr("master.plan.regions.looked_at_max", both_dimensions_and_one_way)
    assert cut(launched_in_a_plane(LONG_ROW, 4)) == "x and y (2 x 2)"


@pytest.mark.parametrize("most", [1, 30, 200])
def test_what_is_looked_at_in_turns_is_cut_the_same(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    kernels = [PAIRS, PAIRS.replace("b[y * n + k]", "b[y * n + k / 2]"), "a[y * 8 + x] = b[y * n];"]
    cuts = [cut(launched_in_a_plane(LONG_ROW, 8, one, local=1)) for one in kernels]
    assert cuts == ["x and y (2 x 4)", "x and y (4 x 2)", "y"]
    looks = []
    parts = touched.extents

    def looking(*given: Any) -> Any:
        looks.append(given)
        return parts(*given)

    monkeypatch.setattr(touched, "extents", looking)
    for one, expected in zip(kernels, cuts, strict=True):
        assert cut(launched_in_a_plane(LONG_ROW, 8, one, local=1)) == expected
    in_one_turn, looks[:] = len(looks), []
    monkeypatch.setattr("master.plan.looked.looked_at_in_turn_max", most)
    for one, expected in zip(kernels, cuts, strict=True):
        assert cut(launched_in_a_plane(LONG_ROW, 8, one, local=1)) == expected
    assert len(looks) < 1.1 * in_one_turn, "nothing twice, but the first of some"


def test_boxes_are_not_looked_for_where_they_could_save_nothing() -> None:
    with patch.object(regions_module, "counts_of_boxes", side_effect=AssertionError):
        # Each byte is brought to one part anyhow.
        assert cut(launched_in_a_plane(LONG_ROW, 4, "a[y * 8 + x] = b[y * n + x];")) == "y"


def test_boxes_are_not_looked_at_if_the_first_is_in_too_many_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_at = []
    cut_really = regions_module._cut

    def recording(*given: Any) -> Any:
        looked_at.append(len(given[3]))
        return cut_really(*given)

    monkeypatch.setattr(regions_module, "_cut", recording)
    monkeypatch.setattr(regions_module, "runs_together_max", 4 * (2 + 4) - 1)
    monkeypatch.setattr(regions_module, "runs_by_part", 0)
    assert cut(launched_in_a_plane(LONG_ROW, 4)) == "y"
    times = len(looked_at) // 3
    assert times and looked_at == [4, 4, 1] * times, "both dimensions, and one box"
