"""Kernels with atomics or volatile memory: in parts where these are apart, or come together."""

from __future__ import annotations

from typing import Any

import pytest

from tests.master.plan.test_regions import SIZE
from tests.master.rigs import GLOBAL, kernel
from tests.master.test_variants import Seeing
from vcl.wire.declared import WHOLE, Declaration, pack
from vcl.wire.messages import part
from vcl.wire.messages.part import How
from vcl.wire.messages.session import ARGUMENT_IMAGE, CreateBuffer, Launch, Write


def launched(body: str, declared: bytes = b"") -> Seeing:
    """Launch 22, of all that may run before it ends."""
    r = Seeing(body)
    r.say(Write(20, 2, [], 10, 0, SIZE, 100), Write(21, 2, [], 11, 0, SIZE, 101))
    r.launch(22, declared=declared)
    for build in r.builds():
        r.built(build)
    return r


def told(r: Seeing) -> tuple[str, str, list[Any]]:
    r.run()
    mode, reason, _, _, buffers = r.report(22)
    return mode, reason, [tuple(b[1:3]) for b in buffers]


def test_what_parts_add_to_the_same_bytes_is_added_up() -> None:
    r = launched("atomic_add(a + (b[i] & 63), 1);")
    assert [m.program for m in r.said(part.Run)] == [-5, -5]
    (merge,) = r.said(part.Merge)
    assert merge.regions == [[10, 0, SIZE, 4, How.ADD]] and merge.program == 5
    mode, reason, buffers = told(r)
    assert mode == "reduce" and "by atomic operations" in reason
    assert buffers == [
        ("reduce", "atomic add of all parts (line 1)"), ("read", "only read (line 1)")
    ]  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        "atomic_add(a + i, b[i]); if (a[i] > 3) a[i] = atomic_xchg(a + i, 3);",
        "global volatile int *v = a; v[i] = b[i];",
        "a[i] = b[i]; mem_fence(CLK_GLOBAL_MEM_FENCE); a[i] += 1;",
        "local int l; int x = atomic_inc(&l); a[i] = x;",
    ],
)
def test_parts_that_share_nothing_cannot_meet(body: str) -> None:
    r = launched(body)
    assert not r.said(part.Merge) and len(r.said(part.Run)) == 2
    assert told(r)[0] == "regions"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("a[atomic_inc(a)] = 1;", "atomic_inc may let work-groups of different parts"),
        ("atomic_add(a, 1); if (b[i]) a[1] = 2;", "(its parts touch the same bytes)"),
        ("atomic_xchg(a, i);", "(its parts touch the same bytes)"),
        ("atomic_add((global int *)((global char *)a + i), 1);", "(its parts touch the same"),
        ("while (*(volatile global int *)a == 0) ; a[i] = 1;", "(its parts touch the same bytes)"),
        ("atomic_inc(a); printf(\"no\");", "printf output would lose its order"),
        ("atomic_inc(a); a[(int)(ulong)b] = 1;", "(line 1: "),
    ],
)
def test_what_parts_may_not_share(body: str, why: str) -> None:
    r = launched(body)
    assert [m.program for m in r.said(part.Run)] == [5]
    mode, reason, _ = told(r)
    assert mode == "whole" and why in reason


def test_what_a_program_declares_is_no_proof() -> None:
    first = Declaration(0, 4, (64,), (0,), (WHOLE,), (0,))
    r = launched("a[b[i] & 63] = atomic_inc(a);", pack([first]))
    mode, reason, _ = told(r)
    assert mode == "whole" and "atomic_inc may let" in reason


def test_a_reduction_of_one_buffer_beside_another_that_divides() -> None:
    r = launched("atomic_max(a + (i & 7), i); ((global int *)b)[i] = i;")
    (merge,) = r.said(part.Merge)
    assert merge.regions == [[10, 0, 32, 4, How.MAX], [11, 0, SIZE, 4, How.CHANGED]]
    mode, _, buffers = told(r)
    assert mode == "reduce"
    assert [answer for answer, _ in buffers] == ["reduce", "merge"]


@pytest.mark.parametrize("guard", ["i < 8", "i < 0"])
def test_pixels_come_when_no_part_is_under_way_whose_node_puts_the_image_back(guard: str) -> None:
    r = Seeing("a[i] = b[i];")
    head = "kernel void k(write_only image1d_t a, global int *b) { int i = get_global_id(0); "
    body = f"if ({guard}) write_imagei(a, i, (int4)(1)); b[i] = 1; }}"
    r.build(6, kernel("k", (GLOBAL, "image1d_t"), (GLOBAL, "int*")), source=head + body)
    pixels = [ARGUMENT_IMAGE, 10, 0, SIZE, 0x10F4, 0x10B0, 0x10DC, 64, 1, 1]
    r.say(Launch(22, 2, [], 6, "k", [0], [64], [4], [pixels, [1, 11, 0, SIZE]]))
    for build in r.builds():
        r.built(build)
    assert 10 not in {m.buffer for m in r.said(part.Receive, 2)}, "that part writes no pixel"
    (run,) = r.said(part.Run, 2)
    r.say(CreateBuffer(12, 1, SIZE), Write(23, 2, [], 10, 0, SIZE, 101))
    r.launch(24, first=12, second=10)
    (received,) = (m for m in r.said(part.Receive, 2) if m.buffer == 10)
    assert received.offset == 128 and run.operation in received.waits
