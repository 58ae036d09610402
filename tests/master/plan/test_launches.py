"""Whether a launch is split, and the operations of a merge."""

from __future__ import annotations

from typing import Any

import pytest

from tests.master.rigs import CONSTANT, GLOBAL, PRIVATE, SessionRig, kernel, place
from vcl.errors import RemoteProtocolError
from vcl.wire.messages import part
from vcl.wire.messages.session import (
    AskReport,
    CreateBuffer,
    CreateQueue,
    Fill,
    Launch,
    Push,
    Read,
    Report,
    Write,
)

SIZE = 256
ATOMIC = "__kernel void k(__global int *x, __global int *y) { atomic_inc(x); }"


def rig(devices: int = 2, source: str | None = None, shared: bool = False) -> SessionRig:
    made = SessionRig(*(place(d) for d in range(1, devices + 1)))
    facts = kernel("k", (GLOBAL, "int*"), (GLOBAL, "const float4*"), devices=[1])
    reader = kernel("reader", (GLOBAL, "const int*"), (GLOBAL, "const int*"))
    table = kernel("table", (CONSTANT, "int*"), (GLOBAL, "const int*"))
    scale = kernel("scale", (GLOBAL, "int*"), (PRIVATE, "int"))
    made.build(5, facts, reader, table, scale, **({} if source is None else {"source": source}))
    made.say(CreateBuffer(10, 1, SIZE, shared), CreateBuffer(11, 1, SIZE))
    return made


def whole(number: int) -> list[int]:
    return [1, number, 0, SIZE]


def launch(event: int, *arguments: Any, name: str = "k", **fields: Any) -> Launch:
    made = Launch(event, 2, [], 5, name, [0], [64], [4], list(arguments))
    return made._replace(**fields)


def report(r: SessionRig, event: int) -> dict[str, Any]:
    r.say(AskReport(900, event))
    (found,) = [m.report for m in r.told(Report)]
    assert found is not None
    names = ("mode", "reason", "bytes_moved", "parts", "buffers")
    return dict(zip(names, found, strict=True))


def test_a_split_launch_is_merged_at_its_home() -> None:
    r = rig()
    r.say(Write(20, 2, [], 10, 0, SIZE, 100), Write(21, 2, [], 11, 0, SIZE, 101))
    r.say(launch(22, whole(10), whole(11)))
    assert [(p.staging, p.endpoint) for p in r.told(Push)] == [(100, 1), (101, 1)]
    assert [(m.buffer, m.endpoint) for m in r.said(part.Send)] == [(11, 2), (10, 2)]
    snapshots = r.said(part.Snapshot)
    assert [s.device for s in snapshots] == [1, 2]
    assert all(s.regions == [[10, 0, SIZE, 4]] for s in snapshots), "11 can't be written"
    runs = r.said(part.Run)
    assert [(m.device, m.global_offset, m.global_size, m.local_size) for m in runs] == [
        (1, [0], [32], [4]),
        (2, [32], [32], [4]),
    ]
    for snapshot, run in zip(snapshots, runs, strict=True):
        (into,) = [m for m in r.said(part.Receive, run.device) if m.buffer == 10]
        assert snapshot.waits == [into.operation]
        received = {m.operation for m in r.said(part.Receive, run.device)}
        sent = {m.operation for m in r.said(part.Send, run.device) if m.buffer == 10}
        assert set(run.waits) == {snapshot.operation} | received | sent
    (changes,), (merge,) = r.said(part.SendChanges), r.said(part.Merge)
    assert changes.waits == [runs[1].operation] and changes.endpoint == 1
    assert merge.device == 1 and runs[0].operation in merge.waits
    assert merge.transfers == [[changes.transfer, 2, [[0, 0, SIZE]]]]
    assert merge.merge == changes.merge == snapshots[0].merge
    assert merge.regions == [[10, 0, SIZE, 4, 0]]
    assert (merge.global_offset, merge.global_size, merge.local_size) == ([0], [64], [4])
    assert merge.arguments == [whole(10), whole(11)]


def test_a_launch_is_complete_with_its_merge_and_read_from_the_home() -> None:
    r = rig()
    r.say(launch(22, whole(10), whole(11)), Read(23, 2, [], 10, 0, SIZE))
    (merge,), (*_, send) = r.said(part.Merge), r.said(part.Send)
    assert send.endpoint == 0 and send.device == merge.device and send.waits == [merge.operation]
    for operation in [o for o in r.session.ledger.live if o not in (merge[0], send[0])]:
        node = r.session.ledger.live[operation].node
        r.answer(node, part.Done([[operation, 0, 5, 9, None, None]]))
    assert r.ended() == {}
    r.done(merge)
    assert r.ended() == {22: 0}


def test_the_home_is_where_most_bytes_are() -> None:
    r = rig(3)
    r.say(CreateQueue(3, 1, 3, 0), Fill(20, 3, [], 10, 0, SIZE, b"x"))
    r.say(launch(22, whole(10), whole(11)))
    (merge,) = r.said(part.Merge)
    assert merge.device == 3
    assert sorted(endpoint for _, endpoint, _ in merge.transfers) == [1, 2]


def test_a_launch_that_writes_nothing_needs_no_merge() -> None:
    r = rig()
    r.say(launch(22, whole(10), whole(11), name="reader"))
    assert len(r.said(part.Run)) == 2
    assert not r.said(part.Snapshot) and not r.said(part.Merge)
    r.run()
    assert r.ended() == {22: 0}


def test_const_is_trusted_only_in_a_program_that_keeps_it() -> None:
    source = "__kernel void k(__global int *o, __global const int *a) { ((__global int *)a)[0]=1; }"
    r = rig(source=source)
    r.say(launch(22, whole(10), whole(11)))
    (merge,) = r.said(part.Merge)
    assert merge.regions == [[10, 0, SIZE, 4, 0], [11, 0, SIZE, 4, 0]]


def test_a_kernel_whose_parts_contradicted_each_other_runs_whole_from_then_on() -> None:
    r = rig()
    r.say(launch(22, whole(10), whole(11)))
    (merge,) = r.said(part.Merge)
    r.run(extra={merge.operation: ["conflict", 10, 8]})
    assert "argument 1 at byte 8" in report(r, 22)["reason"]
    r.clear()
    r.say(launch(23, whole(10), whole(11)))
    (run,) = r.said(part.Run)
    assert run.global_size == [64]
    r.run()
    found = report(r, 23)
    assert found["mode"] == "whole"
    assert "argument 1" in found["reason"]


def test_a_launch_that_the_driver_refused_leaves_every_byte_as_it_was() -> None:
    r = rig(devices=1)
    r.say(Fill(20, 2, [], 10, 0, SIZE, b"x"), launch(22, whole(10), whole(11)))
    (run,) = r.said(part.Run)
    r.run_but(run, -52, "no", part.UNTOUCHED)
    r.say(Read(23, 2, [], 10, 0, SIZE))
    r.run()
    assert r.ended() == {20: 0, 22: -52, 23: 0}


def test_so_does_a_split_launch_if_every_part_was_refused() -> None:
    for refused in (2, 1):
        r = rig()
        r.say(Fill(20, 2, [], 10, 0, SIZE, b"x"), launch(22, whole(10), whole(11)))
        runs = r.said(part.Run)
        assert len(runs) == 2
        for run in runs[:refused]:
            r.run_but(run, -52, "no", part.UNTOUCHED)
        r.run()
        r.say(Read(23, 2, [], 10, 0, SIZE))
        r.run()
        assert r.ended()[22] == -52
        assert (r.ended()[23] == 0) == (refused == 2), "a mixture isn't taken for bytes"


def test_a_constant_argument_is_not_written() -> None:
    r = rig()
    r.say(launch(22, whole(10), whole(10)))
    (merge,) = r.said(part.Merge)
    assert merge.regions == [[10, 0, SIZE, 4, 0]], "the same buffer, as global, is"
    r = rig()
    r.say(launch(22, whole(10), whole(11), name="table"))
    assert not r.said(part.Merge)


def test_two_regions_of_one_buffer_are_taken_together() -> None:
    r = rig()
    r.say(launch(22, [1, 10, 32, 32], [1, 10, 128, 16]))
    (merge,) = r.said(part.Merge)
    assert merge.regions == [[10, 32, 112, 4, 0]]


def test_the_local_size_is_chosen_once_for_all_parts() -> None:
    r = rig()
    r.say(launch(22, whole(10), whole(11), global_size=[1024], local_size=None))
    sizes = {tuple(m.local_size) for m in r.said(part.Run)}
    assert len(sizes) == 1 and 1024 % sizes.pop()[0] == 0


def test_a_whole_launch_leaves_the_local_size_to_the_driver() -> None:
    r = rig(1)
    r.say(launch(22, whole(10), whole(11), local_size=None))
    assert [m.local_size for m in r.said(part.Run)] == [None]


@pytest.mark.parametrize(
    ("arguments", "fields", "reason"),
    [
        ({"devices": 1}, {}, "the cluster has one device"),
        ({"source": ATOMIC}, {}, "atomic"),
        ({"shared": True}, {}, "USE_HOST_PTR"),
        ({}, {"global_size": [0]}, "empty"),
        ({}, {"global_size": [66]}, "doesn't divide"),
        ({}, {"global_size": [4]}, "one work-group"),
        ({}, {"queue": 3}, "single device"),
    ],
)
def test_why_a_launch_runs_whole(
    arguments: dict[str, Any], fields: dict[str, Any], reason: str
) -> None:
    r = rig(**arguments)
    r.say(CreateQueue(3, 1, 1, 0), launch(22, whole(10), whole(11), **fields))
    (run,) = r.said(part.Run)
    assert run.global_size == fields.get("global_size", [64])
    assert not r.said(part.Merge) and not r.said(part.Snapshot)
    r.run()
    found = report(r, 22)
    assert found["mode"] == "whole" and reason in found["reason"]


def test_each_kernel_is_judged_for_itself() -> None:
    neighbour = "kernel void scale(global int *x, int y) { x[get_global_id(0)] *= y; }\n"
    r = rig(source="kernel void k(global int *x) { atomic_inc(x); }\n" + neighbour)
    r.say(launch(22, whole(10), whole(11)), launch(23, whole(10), [0, bytes(4)], name="scale"))
    r.run()
    found = report(r, 22)
    assert found["mode"] == "whole" and "atomic" in found["reason"]
    r.clear()
    assert report(r, 23)["mode"] == "merge"


def test_a_whole_launch_runs_next_to_its_bytes() -> None:
    r = rig(source=ATOMIC)
    r.say(CreateQueue(4, 1, 2, 0), Fill(20, 4, [], 10, 0, SIZE, b"x"))
    r.say(launch(22, whole(10), whole(11)))
    assert [m.device for m in r.said(part.Run)] == [2]


def test_the_report_tells_parts_times_and_bytes() -> None:
    r = rig()
    r.say(Write(20, 2, [], 10, 0, SIZE, 100), Write(21, 2, [], 11, 0, SIZE, 101))
    r.say(launch(22, whole(10), [1, 11, 0, 64]), AskReport(900, 22))
    assert r.told(Report) == [], "it isn't complete"
    (changes,) = r.said(part.SendChanges)
    r.done(changes, extra=40)
    r.run()
    (told,) = r.told(Report)
    mode, _, moved, parts, _ = told.report
    count = 2 * (SIZE + 64) + 40
    assert (told.request, mode, moved) == (900, "merge", [count, count, 0, 0])
    assert parts == [
        [f"n{n}", f"device {n}", [offset], [32], 1e-8] for n, offset in [(1, 0), (2, 32)]
    ]


def test_a_conflict_makes_it_whole_in_the_report() -> None:
    r = rig()
    r.say(launch(22, whole(10), whole(11)))
    r.done(r.said(part.Merge)[0], extra=["conflict", 10, 12])
    r.run()
    found = report(r, 22)
    assert found["mode"] == "whole" and "byte 12" in found["reason"]


def test_a_node_that_came_after_the_build_builds_by_itself() -> None:
    r = rig(2)
    r.lose(2, with_node=False)
    r.clear()
    r.say(launch(22, whole(10), whole(11)), launch(23, whole(10), whole(11)))
    (build,) = r.said(part.Build)
    assert build[:3] == (5, 0, [2]) and build in r.nodes[2]
    first_run = next(i for i, m in enumerate(r.nodes[2]) if isinstance(m, part.Run))
    assert r.nodes[2].index(build) < first_run


@pytest.mark.parametrize(
    "fields",
    [
        {"kernel": "unknown"},
        {"program": 77},
        {"arguments": [[1, 10, 0, SIZE]]},
        {"arguments": [[1, 10, 0, SIZE + 1], None]},
        {"arguments": [[1, 10, 0, 0], None]},
        {"arguments": [[1, 99, 0, 4], None]},
        {"global_size": []},
        {"global_size": [1, 1, 1, 1]},
        {"global_offset": [0, 0]},
        {"local_size": [0]},
        {"local_size": [1, 1]},
        {"global_size": [-4]},
    ],
)
def test_launches_that_no_honest_client_makes(fields: dict[str, Any]) -> None:
    r = rig()
    with pytest.raises(RemoteProtocolError):
        r.say(launch(22, whole(10), whole(11), **({"local_size": None} | fields)))


def test_a_rewritten_input_is_not_overwritten_while_an_older_launch_has_yet_to_read_it() -> None:
    # 24 still waits for buffer 12 to arrive when 25, which has all that it needs, has ended.
    r = SessionRig(place(1))
    r.build(5, kernel("k", (GLOBAL, "const int*"), (GLOBAL, "const int*")))
    r.say(*(CreateBuffer(number, 1, SIZE) for number in (10, 11, 12)))
    r.say(*(Write(n + 10, 2, [], n, 0, SIZE, n + 90) for n in (10, 11)))
    r.say(launch(22, whole(10), whole(11)))
    r.run()
    r.clear()
    r.say(Write(23, 2, [], 12, 0, SIZE, 102), launch(24, whole(10), whole(12)))
    r.say(launch(25, whole(10), whole(11)), Write(26, 2, [], 10, 0, SIZE, 103))
    r.say(launch(27, whole(10), whole(11)))
    _, again = r.said(part.Receive)
    older, newer, _ = r.said(part.Run)
    assert again.buffer == 10
    assert older.operation in {*again.waits, *newer.waits}


@pytest.mark.parametrize("client", [True, False])
def test_what_all_parts_read_is_handed_on(client: bool) -> None:
    """By whoever has got it, and again so when the launch comes again."""
    r = rig(16)
    r.session.programs[5].keeps_const = True
    if not client:
        r.say(CreateQueue(3, 1, 1, 0))
    said = []
    for event in range(20, 28, 2):
        r.say(Write(event, 2, [], 11, 0, SIZE, event) if client else
              Fill(event, 3, [], 11, 0, SIZE, b"x"))  # fmt: skip
        r.run()
        r.clear()
        r.say(launch(event + 1, whole(10), whole(11)))
        sends = {n: [m for m in r.said(part.Send, n) if m.buffer == 11] for n in r.nodes}
        said.append({n: len(found) for n, found in sends.items()})
        assert sum(said[-1].values()) == 15 and max(said[-1].values()) <= 4
        assert len(r.told(Push)) == client
        r.run()
    assert said[1] == said[2] == said[3] and r.session._planner.templates.used == 2


def test_handing_on_pays_sooner_than_one_after_the_other() -> None:
    """16 parts need 16 MiB, which take 67 ms: in five rounds, less the one of a whole launch."""

    def mode(item_ns: float) -> str:
        r = rig(16)
        r.session.programs[5].keeps_const = True
        r.session._view.policy = r.session._view.policy._replace(split_always=False)
        r.say(CreateBuffer(12, 1, 2**24), Write(20, 2, [], 12, 0, 2**24, 100))
        r.session.programs[5].kernels["k"].item_ns = item_ns
        arguments = whole(10), [1, 12, 0, 2**24]
        r.say(launch(21, *arguments, global_size=[1024]))
        record = r.session.commands[21].record
        assert record is not None
        return record.mode

    assert mode(3.1e5) == "merge", "300 ms saved"
    assert mode(2.6e5) == "whole", "250"
