"""Launches whose parts write bytes of their own: which divide, and what is brought to them."""

from __future__ import annotations

from typing import Any

import pytest

from master.access.analyser.analysis import Analyser
from master.access.kernels import Footprint
from master.ledger import Question
from master.places import KIND, Place
from master.plan.view import Policy
from tests.master.rigs import GLOBAL, PRIVATE, SessionRig, kernel, place
from vcl.errors import OUT_OF_RESOURCES
from vcl.wire.declared import Declaration, pack
from vcl.wire.messages import part
from vcl.wire.messages.session import (
    AskReport,
    CreateBuffer,
    CreateQueue,
    Fill,
    Launch,
    Marker,
    Pull,
    Read,
    Release,
    Repeat,
    Report,
    Write,
)

SIZE = 256
ANSWERS = dict(zip(KIND, ("64", "1", "", "OpenCL C 1.2", "OpenCL 3.0"), strict=True))
HEAD = "kernel void k(global int *a, global const int *b, int n) { int i = get_global_id(0); "


def kind_of(device: int) -> Place:
    plain = place(device)
    return Place(
        plain.device, plain.node, plain.device_name, plain.node_name, plain.group_items_max,
        plain.item_sizes_max, tuple(ANSWERS.values()),
    )  # fmt: skip


class Rig(SessionRig):
    """Program 5 has the kernel k(a, b, n), of this body; buffers 10 and 11."""

    def __init__(self, body: str, devices: int = 2, head: str = HEAD) -> None:
        super().__init__(*(kind_of(d) for d in range(1, devices + 1)))
        self.questions: list[Question] = []
        self.analyse = self._really
        self._analyser = Analyser()
        facts = kernel("k", (GLOBAL, "int*"), (GLOBAL, "const int*"), (PRIVATE, "int"))
        self.build(5, facts, source=head + body + "}")
        self.say(CreateBuffer(10, 1, SIZE), CreateBuffer(11, 1, SIZE))

    def _really(self, question: Question) -> Footprint | str:
        self.questions.append(question)
        _, *what = question
        return self._analyser.analyse(*what)

    def launch(
        self, event: int, n: int = 0, first: int = 10, second: int = 11, declared: bytes = b"",
        shape: int = 0,
    ) -> None:  # fmt: skip
        arguments: list[Any] = [[1, first, 0, SIZE], [1, second, 0, SIZE]]
        arguments.append(n.to_bytes(4, "little"))
        self.say(Launch(event, 2, [], 5, "k", [0], [64], [4], arguments, declared, shape))

    def again(self, event: int, n: int, shape: int = 3) -> bool:
        """Repeat a launch; answers whether a plan was used again."""
        used = self.session._planner.templates.used
        self.say(Repeat(event, shape, [], [n.to_bytes(4, "little")]))
        self.run()
        return self.session._planner.templates.used > used

    def report(self, event: int) -> list[Any]:
        self.client.clear()
        self.say(AskReport(900 + event, event))
        (found,) = self.told(Report)
        assert found.report is not None
        return found.report


def regions(messages: list[Any]) -> list[tuple[int, int, int]]:
    return [(m.buffer, m.offset, m.offset + m.size) for m in messages]


def test_each_part_is_brought_what_it_touches_and_keeps_what_it_wrote() -> None:
    r = Rig("a[i] += b[i];")
    r.say(Write(20, 2, [], 10, 0, SIZE, 100), Write(21, 2, [], 11, 0, SIZE, 101))
    r.launch(22)
    assert regions(r.said(part.Receive, 1)) == [(11, 0, 128), (10, 0, 128)]
    assert regions(r.said(part.Receive, 2)) == [(11, 128, 256), (10, 128, 256)]
    runs = [(m.global_offset, m.global_size) for m in r.said(part.Run)]
    assert runs == [([0], [32]), ([32], [32])]
    assert not r.said(part.Snapshot) and not r.said(part.Merge)
    r.run()
    mode, reason, moved, parts, _ = r.report(22)
    assert (mode, moved) == ("regions", [2 * SIZE, 2 * SIZE, 0, 0])
    assert reason == "each part writes bytes of its own, cut along x"
    assert [p[2:4] for p in parts] == [[[0], [32]], [[32], [32]]]
    r.clear()
    r.say(Read(23, 2, [], 10, 0, SIZE))
    assert [(m.offset, m.size, m.endpoint) for m in r.told(Pull)] == [(0, 128, 1), (128, 128, 2)]


def test_an_iterated_stencil_moves_its_halo_only() -> None:
    r = Rig("int l = max(i - 1, 0), h = min(i + 1, 63); a[i] = b[l] + b[h];")
    r.say(Write(20, 2, [], 11, 0, SIZE, 101))
    r.launch(21)
    r.run()
    r.clear()
    r.launch(22, first=11, second=10)
    assert regions(r.said(part.Send, 1)) == [(10, 124, 128)]
    assert regions(r.said(part.Send, 2)) == [(10, 128, 132)]
    assert regions(r.said(part.Receive, 1)) == [(10, 128, 132)]
    assert regions(r.said(part.Receive, 2)) == [(10, 124, 128)]
    assert len(r.questions) == 1, "it's the same launch"


def test_a_launch_is_asked_about_once_and_others_go_on_meanwhile() -> None:
    r = Rig("a[i] = b[i];")
    r.session.from_client([CreateQueue(3, 1, 0, 0)])
    region = [[1, 10, 0, SIZE], [1, 11, 0, SIZE], bytes(4)]
    r.session.from_client(
        [
            Launch(20, 2, [], 5, "k", [0], [64], [4], region),
            Launch(21, 2, [], 5, "k", [0], [64], [4], region),
            Marker(22, 2, [], False),
            Marker(23, 3, [], False),
        ]
    )
    r.session.advance()
    asked, r.session.ledger.for_analysis = r.session.ledger.for_analysis, []
    assert len(asked) == 1
    ended = [row[0] for m in r.session.ledger.for_client for row in getattr(m, "events", [])]
    assert ended == [23], "what doesn't depend on it"
    r.session.analysed(asked[0].number, "nobody knows")
    r._take()
    assert not r.session.ledger.for_analysis and len(r.said(part.Merge)) == 2
    r.run()
    assert r.ended() == {20: 0, 21: 0, 22: 0, 23: 0}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("a[i / 8] = b[i];", None),
        ("a[b[i] & 63] = 1;", "its parts touch the same bytes"),
        ("a[0] = 1;", "its parts touch the same bytes"),
        ("a[i] = a[63 - i];", "its parts touch the same bytes"),
        ("*(global int *)(*(global int *global *)b) = i;", "line 1: a pointer comes from memory"),
        ("a[i * n] = 1;", "its parts touch the same bytes"),
    ],
)
def test_what_divides_and_what_is_merged(body: str, why: str | None) -> None:
    r = Rig(body)
    r.launch(20)
    r.run()
    mode, reason, *_ = r.report(20)
    if why is None:
        assert mode == "regions"
    else:
        assert mode == "merge" and why in reason


EACH_ITS_OWN = Declaration(0, 4, (64,), (0,), (0,), (0,))


def test_what_is_declared_counts_in_place_of_an_analysis() -> None:
    r = Rig("a[b[i]] = i;")
    r.say(Write(19, 2, [], 11, 0, SIZE, 101))
    r.launch(20, declared=pack([EACH_ITS_OWN]))
    assert not r.questions
    assert regions(r.said(part.Receive, 1)) == [(11, 0, SIZE)], "const, and read anywhere"
    r.run()
    mode, reason, _, _, buffers = r.report(20)
    assert (mode, reason) == ("regions", "each part writes bytes of its own, cut along x")
    assert [b[1:3] for b in buffers] == [
        ["regions", "parts write bytes of their own (declared by vcl.access)"],
        ["read", "only read (declared const)"],
    ]
    r.launch(21, declared=pack([EACH_ITS_OWN, Declaration(1, 4, (64,), (0,), (1,), None)]))
    r.run()
    assert r.report(21)[4][1][1:3] == ["read", "only read (declared by vcl.access)"]


def test_a_declaration_is_part_of_what_is_planned_again() -> None:
    r = Rig("a[b[i]] = i;")
    meets = pack([EACH_ITS_OWN._replace(writes=(1,))])
    given = [pack([EACH_ITS_OWN]), meets, pack([EACH_ITS_OWN]), b""]
    for event, declared in enumerate(given, 20):
        r.launch(event, declared=declared)
        r.run()
    assert [r.report(e)[0] for e in range(20, 24)] == ["regions", "merge", "regions", "merge"]
    assert "its parts touch the same bytes" in r.report(21)[1]


def test_what_may_be_written_and_is_not_declared_is_merged() -> None:
    r = Rig("a[i] = b[i];")
    r.launch(20, declared=pack([Declaration(1, 4, (64,), (0,), (0,), None)]))
    r.run()
    mode, reason, *_ = r.report(20)
    assert mode == "merge" and "argument 1 is neither declared to vcl.access nor const" in reason


def test_a_declaration_does_not_divide_what_the_guard_refuses() -> None:
    r = Rig("atomic_add(a, i); ")
    r.launch(20, declared=pack([EACH_ITS_OWN]))
    r.run()
    assert r.report(20)[0] == "whole"


def test_a_kernel_that_is_not_understood_is_asked_about_once() -> None:
    r = Rig("*(global int *)(*(global int *global *)b) = i;")
    for event, n in enumerate(range(3), 20):
        r.launch(event, n)
        r.run()
        assert "a pointer comes from memory" in r.report(event)[1]
    assert len(r.questions) == 1


def test_a_scalar_is_part_of_what_is_planned_again() -> None:
    r = Rig("a[(i + n) & 63] = b[i];")
    for event, n in enumerate([0, 0, 8, 0], 20):
        r.launch(event, n)
        r.run()
    assert [r.report(e)[0] for e in (20, 21, 22, 23)] == ["regions"] * 2 + ["merge", "regions"]
    assert [int.from_bytes(q.arguments[2], "little") for q in r.questions] == [0, 8]  # type: ignore[arg-type]


def test_the_same_buffer_twice() -> None:
    r = Rig("a[i] = b[i] + 1;")
    r.launch(20, first=10, second=10)
    r.run()
    assert r.report(20)[0] == "regions"
    other = Rig("a[i] = b[63 - i];")
    other.launch(20, first=10, second=10)
    other.run()
    assert other.report(20)[0] == "merge", "one part reads what the other writes"


def test_a_buffer_that_a_part_does_not_touch_has_memory_there_until_it_ends() -> None:
    r = Rig("if (i < 8) a[i] = b[i]; ")
    r.launch(20)
    allocated = {(m.device, m.buffer) for m in r.said(part.Allocate)}
    assert allocated == {(1, 10), (1, 11), (2, 10), (2, 11)}
    (second,) = [m for m in r.said(part.Run) if m.device == 2]
    r.say(Fill(21, 2, [], 11, 0, 4, b"x"))
    r.say(Release([10]), Release([11]))
    frees = r.said(part.Free, 2)
    assert frees and all(second.operation in free.waits for free in frees)


def test_a_part_that_is_refused_leaves_no_mixture() -> None:
    r = Rig("a[i] += 1;")
    r.say(Fill(20, 2, [], 10, 0, SIZE, b"\1"))
    r.launch(21)
    first, second = r.said(part.Run)
    for message in [m for m in r.nodes[1] + r.nodes[2] if isinstance(m, part.FillRegion)]:
        r.done(message)
    for message in r.said(part.Send) + r.said(part.Receive):
        r.done(message)
    r.done(first)
    r.done(second, OUT_OF_RESOURCES, "refused", part.UNTOUCHED)
    assert r.ended()[21] == OUT_OF_RESOURCES
    r.say(Read(22, 2, [], 10, 128, 128))
    r.run()
    assert r.ended()[22] < 0, "nobody takes half a launch for a whole one"


def test_two_dimensions_are_cut_where_fewest_bytes_move() -> None:
    head = (
        "kernel void k(global int *a, global const int *b, int n) {"
        "int x = get_global_id(0), y = get_global_id(1);"
    )
    r = Rig("a[x * 8 + y] = b[x * 8];", head=head)
    arguments: list[Any] = [[1, 10, 0, SIZE], [1, 11, 0, SIZE], bytes(4)]
    r.say(Launch(20, 2, [], 5, "k", [0, 0], [8, 8], [2, 2], arguments))
    assert [m.global_size for m in r.said(part.Run)] == [[4, 8], [4, 8]]
    r.run()
    assert r.report(20)[1].endswith("cut along x")


def test_what_is_read_in_too_many_pieces_is_brought_with_what_is_between_them() -> None:
    r = Rig("for (int j = 0; j < 32; j++) a[i] += b[2 * j];", devices=9)
    r.say(Write(20, 2, [], 11, 0, SIZE, 101))
    r.launch(21)
    assert regions(r.said(part.Receive, 9)) == [(11, 0, 252)]
    r.run()
    assert r.report(21)[0] == "regions"
    few = Rig("for (int j = 0; j < 32; j++) a[i] += b[2 * j];", devices=2)
    few.say(Write(20, 2, [], 11, 0, SIZE, 101))
    few.launch(21)
    assert len(few.said(part.Receive, 2)) == 32, "no more than it reads"


def test_what_is_written_in_too_many_pieces_is_merged() -> None:
    head = HEAD.replace("int *a", "char *a")
    for value, mode in (("j", "regions"), ("b[0]", "merge")):
        body = f"for (int j = 0; j < 16; j++) a[i / 4 + 16 * j] = {value};"
        r = Rig(body, devices=16, head=head)
        r.launch(20)
        r.run()
        assert r.report(20)[0] == mode, "16 pieces each, and one more that is read"
    assert "its parts touch too many pieces" in r.report(20)[1]


def test_a_division_that_moves_too_much_does_not_pay() -> None:
    r = Rig("a[i] = b[i];")
    r.session._view.policy = Policy(split_always=False)
    r.session.programs[5].kernels["k"].item_ns = 20_000.0  # of 32: 640 us saved
    r.launch(20)
    r.run()
    assert r.report(20)[0] == "regions", "300 us, and bytes that cost next to nothing"
    r.session.programs[5].kernels["k"].item_ns = 5_000.0
    r.launch(21)
    r.run()
    assert r.report(21)[:2] == ["whole", "too small to pay"]


def test_looking_for_a_division_has_an_end() -> None:
    r = Rig("".join(f"a[i] += b[(i * {n}) & 63];" for n in range(1, 200)), devices=8)
    r.launch(20)
    r.run()
    assert r.report(20)[1].endswith(
        "(its parts touch memory in too many ways); trusted to be free of races"
    )


def test_a_launch_that_was_not_analysed_for_a_passing_reason_is_when_it_comes_again() -> None:
    r = Rig("a[i] += b[i];")
    r.analyse = lambda question: "many wait"
    r.passing = True
    r.launch(20)
    r.analyse, r.passing = r._really, False
    r.launch(21)
    assert len(r.said(part.Merge)) == 2 and not r.questions
    r.run()
    r.clear()
    r.session.tick()
    r.launch(22)
    assert not r.said(part.Merge) and len(r.questions) == 1


def test_a_plan_is_used_again_with_values_that_it_does_not_depend_on() -> None:
    r = Rig("a[i] += b[i] * n;")
    r.launch(20, n=1, shape=3)
    assert not r.again(21, 2), "whether the value matters has to be found out"
    r.again(22, 3)
    assert all(r.again(event, event) for event in range(23, 40))
    assert len(r.questions) <= 3


def test_a_plan_is_not_used_again_with_a_value_that_it_depends_on() -> None:
    r = Rig("a[i] = b[max(i - n, 0)];")
    r.launch(20, n=1, shape=3)
    r.again(21, 1)
    assert r.again(22, 1)
    assert not r.again(23, 40), "parts read what others have"
    (first, second) = [row for *_, row in (r.report(23)[4][1], r.report(22)[4][1])]
    assert first != second


def test_values_matter_once_it_pays_to_look_at_them() -> None:
    r = Rig("a[i] = b[max(i - n, 0)];")
    r.session._view.policy = Policy(split_always=False)
    facts = r.session.programs[5].kernels["k"]
    facts.item_ns = 1.0
    r.launch(20, n=1, shape=3)
    r.again(21, 1)
    assert all(r.again(event, event) for event in range(22, 30)), "too small, whatever n is"
    assert not r.questions
    facts.item_ns = 1e6
    assert not r.again(30, 1) and r.questions
    facts.item_ns = 1e6
    assert not r.again(31, 40)
    facts.item_ns = 1.0
    assert r.report(31)[0] == "regions"
