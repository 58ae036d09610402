"""A part's core, which needn't wait, and its rims: where they are cut, and when."""

from __future__ import annotations

from typing import Any

import pytest

from master.plan import cores
from master.plan.view import Policy
from tests.master.plan.test_regions import Rig, regions
from tests.master.rigs import GLOBAL, PRIVATE, kernel
from vcl.wire.messages import part
from vcl.wire.messages.session import CreateBuffer, Launch, Write

ROWS, COLUMNS = 64, 16
PLANE = 4 * ROWS * COLUMNS
STENCIL = "int l = max(i - {0}, 0), h = min(i + {0}, 63); a[i] = b[l] + b[h];"


def stepped(body: str, devices: int = 2) -> Rig:
    """After a first step, whose result is where it was computed, and a second."""
    r = Rig(body, devices)
    r.say(Write(20, 2, [], 11, 0, 256, 101))
    r.launch(21)
    assert len(r.said(part.Run)) == devices, "all is missing"
    r.run()
    r.clear()
    r.launch(22, first=11, second=10)
    return r


def pieces(r: Rig, device: int) -> list[tuple[int, int]]:
    """First work-item and behind the last of what a device runs."""
    runs = r.said(part.Run, device)
    return [(m.global_offset[0], m.global_offset[0] + m.global_size[0]) for m in runs]


def test_the_core_waits_for_no_bytes_and_comes_first() -> None:
    r = stepped(STENCIL.format(1))
    assert pieces(r, 1) == [(0, 28), (28, 32)]
    assert pieces(r, 2) == [(36, 64), (32, 36)]
    for device, row in ((1, (10, 128, 132)), (2, (10, 124, 128))):
        (receive,) = r.said(part.Receive, device)
        assert regions([receive]) == [row]
        core, rim = r.said(part.Run, device)
        assert receive.operation not in core.waits and receive.operation in rim.waits


def test_what_is_sent_next_waits_for_a_rim_only() -> None:
    r = stepped(STENCIL.format(1))
    _, rim = r.said(part.Run, 1)
    r.clear()
    r.launch(23)
    (send,) = r.said(part.Send, 1)
    assert send.waits == [rim.operation]


def rows(r: Rig, device: int) -> list[tuple[int, int]]:
    """First row and behind the last of what a device runs."""
    runs = r.said(part.Run, device)
    assert {(m.global_offset[0], m.global_size[0]) for m in runs} == {(0, COLUMNS)}
    return [(m.global_offset[1], m.global_offset[1] + m.global_size[1]) for m in runs]


def plane(devices: int, statement: str, policy: Policy | None = None) -> Rig:
    """Of rows, each a work-group, after a first step and with a second under way."""
    r = Rig("", devices)
    if policy is not None:
        r.session._view.policy = policy
    source = (
        "kernel void s(global int *a, global const int *b, int n) {"
        " int x = get_global_id(0), y = get_global_id(1), i = 16 * y + x;"
        " int u = max(y - n, 0) * 16 + x, d = min(y + n, 63) * 16 + x; " + statement + " }"
    )
    pointers = (GLOBAL, "int*"), (GLOBAL, "const int*")
    r.build(6, kernel("s", *pointers, (PRIVATE, "int")), source=source)
    r.say(CreateBuffer(12, 1, PLANE), CreateBuffer(13, 1, PLANE))
    r.say(Write(30, 2, [], 13, 0, PLANE, 102))
    step(r, 31, 12, 13)
    r.run()
    r.clear()
    step(r, 32, 13, 12)
    return r


def step(r: Rig, event: int, to: int, source: int, n: int = 1) -> None:
    arguments: list[Any] = [[1, to, 0, PLANE], [1, source, 0, PLANE], n.to_bytes(4, "little")]
    r.say(Launch(event, 2, [], 6, "s", [0, 0], [COLUMNS, ROWS], [COLUMNS, 1], arguments))


def test_a_part_between_two_has_two_rims() -> None:
    r = plane(4, "a[i] = b[u] + b[d];")
    assert rows(r, 1) == [(0, 15), (15, 16)]
    assert rows(r, 2) == [(17, 31), (16, 17), (31, 32)]
    assert rows(r, 4) == [(49, 64), (48, 49)]


def test_a_rim_is_as_wide_as_what_it_needs_but_no_wider_than_a_share_of_its_part() -> None:
    r = plane(2, "a[i] = b[u] + b[d];")
    r.run()
    for n, expected in ((2, [(0, 30), (30, 32)]), (3, [(0, 28), (28, 32)]), (5, [(0, 32)])):
        step(r, 40 + n, 12, 13, n)
        r.run()
        r.clear()
        step(r, 50 + n, 13, 12, n)
        assert rows(r, 1) == expected
        r.run()


def test_a_part_whose_pieces_would_meet_is_run_in_one() -> None:
    """In place, what a work-item reads may be another's of the same part."""
    r = plane(2, "a[i] = b[u] + b[d]; if (y % 32 == 0) a[i + 496] = 1;")
    assert rows(r, 1) == [(0, 32)]


def test_it_is_not_done_for_a_kernel_that_is_over_soon() -> None:
    few, more = (Policy(split_always=False), Policy(split_always=True))
    r = plane(2, "a[i] = b[u] + b[d];", more)
    assert len(rows(r, 1)) == 2
    r.run()
    r.session.programs[6].kernels["s"].item_ns = 2 * cores.core_ns_min / (ROWS * COLUMNS / 2)
    r.session._view.policy = few
    r.clear()
    step(r, 33, 12, 13)
    assert len(rows(r, 1)) == 2
    r.run()
    r.session.programs[6].kernels["s"].item_ns = cores.core_ns_min / ROWS / COLUMNS
    r.clear()
    step(r, 34, 13, 12)
    assert rows(r, 1) == [(0, 32)], "it's split none the less"


def test_very_many_parts_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "looked_at_max", 0)
    assert len(rows(plane(2, "a[i] = b[u] + b[d];"), 1)) == 1


def test_a_rim_tells_nothing_of_how_long_the_kernel_takes() -> None:
    r = plane(2, "a[i] = b[u] + b[d];")
    learned = [o.piece for o in r.session.ledger.live.values() if o.part is not None]
    assert [piece.global_size for piece in learned if piece is not None] == [(16, 31), (16, 31)]
    assert len(learned) == 4


def test_the_report_tells_of_each_piece_what_was_brought_for_it() -> None:
    r = plane(2, "a[i] = b[u] + b[d];")
    r.run()
    *_, parts, buffers = r.report(32)
    assert [p[2:4] for p in parts] == [
        [[0, 0], [16, 31]], [[0, 31], [16, 1]], [[0, 33], [16, 31]], [[0, 32], [16, 1]],
    ]  # fmt: skip
    brought = {row[0]: [counts[0] for counts in row[3]] for row in buffers}
    assert brought == {1: [0, 0, 0, 0], 2: [0, 64, 0, 64]}
