"""A merge inside hulls: what is brought, kept, sent and merged, and who holds what afterwards."""

from __future__ import annotations

from dataclasses import replace

import pytest

from master.access.kernels import Footprint
from master.ledger import Question
from master.plan import regions as regions_module
from master.plan.regions import Hulls, Part
from master.plan.residency import Buffer
from master.plan.view import Policy
from tests.master.plan.test_regions import SIZE, Rig, regions
from vcl.ndrange import NDRange
from vcl.wire.messages import part
from vcl.wire.messages.session import CreateQueue, Fill, Pull, Read, Write

SWAP = "a[i + (i / n % 2 ? -n : n)] = b[i];"
"""With n = 4, the first of two parts may write bytes 0 to 144, the second 112 to 272."""


def told(rig: Rig, event: int) -> tuple[str, str, list[tuple[str, str]]]:
    """Mode, reason, and how each buffer was treated."""
    mode, reason, _, _, buffers = rig.report(event)
    return mode, reason, [(answer, why) for _, answer, why, _ in buffers]


def test_each_part_has_and_sends_what_it_may_write_and_the_home_has_all() -> None:
    r = Rig(SWAP)
    r.say(Write(20, 2, [], 10, 0, SIZE, 100), Write(21, 2, [], 11, 0, SIZE, 101))
    r.launch(22, n=4)
    assert set(regions(r.said(part.Receive, 1))) >= {(11, 0, 256), (10, 0, 256)}
    assert regions(r.said(part.Receive, 2)) == [(11, 128, 256), (10, 112, 256)]
    first, second = r.said(part.Snapshot)
    assert (first.device, first.regions) == (1, [[10, 0, SIZE, 4]])
    assert (second.device, second.regions) == (2, [[10, 112, 144, 4]])
    (changes,), (merge,) = r.said(part.SendChanges), r.said(part.Merge)
    assert (changes.device, changes.regions) == (2, [[10, 112, 144, 4]])
    assert (merge.device, merge.regions) == (1, [[10, 0, SIZE, 4, 0]])
    assert merge.transfers == [[changes.transfer, 2, [[0, 112, 144]]]]
    ran = {m.device: m.operation for m in r.said(part.Run)}
    assert first.operation in merge.waits and ran[1] in merge.waits
    assert second.operation in r.said(part.Run, 2)[0].waits and changes.waits == [ran[2]]
    r.run()
    mode, reason, buffers = told(r, 22)
    assert (mode, buffers) == (
        "merge", [("merge", "merge inside the hulls (line 1)"), ("read", "only read (line 1)")]
    )  # fmt: skip
    assert reason == (
        "changed bytes of what each part may write are merged (its parts touch the same bytes); "
        "no part reads what another may write"
    )
    counts = [row for _, _, _, row in r.report(22)[4]]
    assert [[written for _, _, written in rows] for rows in counts] == [[144, 144], [0, 0]]


def test_only_the_home_holds_the_result_and_others_what_they_held_besides() -> None:
    r = Rig("if (i > 15 && i < 48) " + SWAP)
    r.say(Write(20, 2, [], 10, 0, SIZE, 100), Write(21, 2, [], 11, 0, SIZE, 101))
    r.launch(22, n=4)
    (merge,) = r.said(part.Merge)
    assert merge.regions == [[10, 48, 160, 4, 0]], "items 16 to 48, and 4 more on both sides"
    r.run()
    r.clear()
    r.say(Read(23, 2, [], 10, 0, SIZE))
    assert [(m.offset, m.size, m.endpoint) for m in r.told(Pull)] == [(0, SIZE, 1)]
    r.run()
    r.clear()
    r.launch(24, n=4)
    assert regions(r.said(part.Receive, 2)) == [(10, 112, 208)], "its own copy is stale"
    assert not r.said(part.Receive, 1), "the home has all"


def test_what_is_read_again_after_a_conflict_lasts_until_the_merge_has_ended() -> None:
    r = Rig(SWAP)
    r.launch(20, n=4)
    (merge,) = r.said(part.Merge)
    r.clear()
    r.say(CreateQueue(3, 1, 1, 0), Fill(21, 3, [], 11, 128, 128, b"x"))
    (fill,) = r.said(part.FillRegion, 1)
    assert merge.operation in fill.waits, "the home's own part doesn't read it, but the rerun would"


@pytest.mark.parametrize(
    ("body", "trusts"),
    [
        (SWAP, False),
        ("a[b[i] & 63] = 1;", False),
        ("a[i + (i / n % 2 ? -n : n)] = a[i];", True),
        ("a[i] = a[63 - i];", True),
    ],
)
def test_what_the_program_is_trusted_with(body: str, trusts: bool) -> None:
    r = Rig(body)
    r.launch(20, n=4)
    r.run()
    mode, reason, _ = told(r, 20)
    assert mode == "merge"
    assert ("trusted to be free of races" in reason) == trusts
    assert ("no part reads what another may write" in reason) != trusts


def test_a_part_that_writes_nothing_keeps_and_sends_nothing() -> None:
    r = Rig("if (i < 8) a[i] = b[i]; else a[0];  if (i > 40 && a[b[i] & 7]) n = 1;", devices=3)
    r.launch(20)
    (merge,) = r.said(part.Merge)
    assert merge.regions == [[10, 0, 32, 4, 0]] and merge.transfers == []
    assert [m.device for m in r.said(part.Snapshot)] == [1] and not r.said(part.SendChanges)
    assert len(r.said(part.Run)) == 3
    r.run()
    assert r.ended() == {20: 0}


def test_what_is_changed_is_of_whole_elements() -> None:
    r = Rig("((global char *)a)[i + (i % 2 ? -1 : 1)] = 1;")
    r.say(Write(20, 2, [], 10, 0, SIZE, 100))
    r.launch(21)
    (changes,) = r.said(part.SendChanges)
    assert changes.regions == [[10, 28, 40, 4]], "bytes 31 to 65"
    assert regions([m for m in r.said(part.Receive, 2) if m.buffer == 10]) == [(10, 28, 68)]
    r.run()
    assert r.ended()[21] == 0


def test_parts_that_touch_too_many_pieces_are_merged_in_one_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(regions_module, "runs_together_max", 8)
    r = Rig("a[i % 16 * 4 + i / 16] = b[i];")
    r.launch(20)
    (changes,), (merge,) = r.said(part.SendChanges), r.said(part.Merge)
    assert merge.regions == [[10, 0, SIZE, 4, 0]]
    assert changes.regions == [[10, 8, 248, 4]]
    r.run()
    assert "its parts touch too many pieces" in told(r, 20)[1]


@pytest.mark.parametrize(("gap", "count", "size"), [(7, 16, 8), (8, 1, 248), (2**16, 1, 248)])
def test_what_is_between_two_runs_is_merged_with_them_if_it_is_short(
    monkeypatch: pytest.MonkeyPatch, gap: int, count: int, size: int
) -> None:
    monkeypatch.setattr(regions_module, "gap_bytes_max", gap)
    r = Rig("a[i % 16 * 4 + i / 16 % 2] = b[i];")
    r.launch(20)
    (changes,), (merge,) = r.said(part.SendChanges), r.said(part.Merge)
    assert [row[2] for row in changes.regions] == [size] * count
    assert merge.transfers[0][2] == [[index, 0, size] for index in range(count)]
    r.run()
    assert r.ended() == {20: 0}


class Unsure(Rig):
    """Where the second argument is written can't be told."""

    def _really(self, question: Question) -> Footprint | str:
        found = super()._really(question)
        assert isinstance(found, Footprint)
        touches = [replace(t, form=None) if t.argument == 1 else t for t in found.touches]
        return replace(found, touches=tuple(touches))


def test_where_one_buffer_is_written_is_unknown_of_it_alone() -> None:
    r = Unsure("a[i] = 1; ((global int *)b)[i] = 2;")
    r.launch(20)
    (changes,), (merge,) = r.said(part.SendChanges), r.said(part.Merge)
    assert merge.regions == [[10, 0, SIZE, 4, 0], [11, 0, SIZE, 4, 0]]
    assert changes.regions == [[10, 128, 128, 4], [11, 0, SIZE, 4]]
    r.run()
    _, reason, buffers = told(r, 20)
    assert "where argument 2 is written isn't known" in reason
    assert buffers == [
        ("merge", "merge inside the hulls (line 1)"),
        ("merge", "where it is written isn't known (line 1)"),
    ]


def test_what_a_merge_costs_is_of_what_parts_may_change() -> None:
    buffer = Buffer(10, 1, 100)
    piece = NDRange((0,), (8,), (1,))
    hulls = Hulls(
        [
            Part(piece, ((buffer, 50, 90),), ((buffer, 0, 8), (buffer, 12, 16))),
            Part(piece, (), ((buffer, 4, 12),)),
        ],
        "why", (), False,
    )  # fmt: skip
    assert hulls.changed_bytes == 12
    r = Rig(SWAP)
    r.session._view.policy = Policy(split_always=False)
    r.session.programs[5].kernels["k"].item_ns = 1e9
    r.launch(20, n=4)
    [record] = [c.record for c in {o.command for o in r.session.ledger.live.values()} if c]
    assert record is not None
    costs = [worth.cost_ns for worth, _ in record.plan.compared]
    assert costs[-1] == 2_000_000 + 2 * 144


@pytest.mark.parametrize(
    ("body", "mode"),
    [
        ("a[(i + 8) & 63] = b[i];", "merge"),
        ("a[i] = a[63 - i];", "whole"),
        ("a[b[i]] = 1;", "merge"),
    ],
)
def test_a_cluster_that_trusts_nobody_merges_what_no_part_reads(body: str, mode: str) -> None:
    r = Rig(body)
    r.launch(20)
    r.run()
    assert r.report(20)[0] == "merge"
    r.session._view.policy = Policy(trusts=False)
    r.launch(21, n=1)
    r.run()
    found, reason, *_ = r.report(21)
    assert found == mode
    assert mode == "merge" or reason.startswith("it isn't known that no part reads")
