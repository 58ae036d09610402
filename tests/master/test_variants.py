"""Variants of programs, in which parts see their launch: made, built, used and forgotten."""

from __future__ import annotations

from typing import Any

import pytest

from master.access.analyser.analysis import Analyser
from master.access.programs import Variant
from master.ledger import RewriteQuestion
from tests.master.plan.test_regions import Rig
from tests.master.rigs import GLOBAL, PRIVATE, kernel
from vcl.errors import BUILD_PROGRAM_FAILURE, RemoteProtocolError
from vcl.wire.messages import part
from vcl.wire.messages.session import CreateQueue, Fill, Launch, Marker, Release

BODY = "a[i] = get_group_id(0) + get_global_size(0);"
SIZE = 256


class Seeing(Rig):
    """Kernel k asks for its group."""

    def __init__(self, body: str = BODY, devices: int = 2) -> None:
        self.rewrites: list[RewriteQuestion] = []
        super().__init__(body, devices)
        self.rewrite = self._rewritten

    def _rewritten(self, question: RewriteQuestion) -> Variant | str:
        self.rewrites.append(question)
        return Analyser().rewrite(question.units, question.device)

    def builds(self) -> list[part.Build]:
        return [m for m in self.said(part.Build) if m.program < 0]

    def built(self, build: part.Build, status: int = 0) -> None:
        self.answer(build.devices[0], part.BuildDone(build.request, status, "", [], []))

    def mode(self, event: int) -> str:
        return str(self.report(event)[0])


def test_the_first_launch_waits_for_the_variant_and_nothing_else_does() -> None:
    r = Seeing()
    r.say(CreateQueue(3, 1, 0, 0))
    r.launch(20)
    r.launch(21)
    r.say(Marker(22, 3, [], False))
    assert len(r.rewrites) == 1 and r.ended() == {22: 0} and not r.said(part.Run)
    first, second = r.builds()
    assert (first.program, first.cause) == (-5, 5) and first.request == second.request < 0
    ((source, *_),) = first.units
    assert "__vcl_launch" in source
    r.built(first)
    assert not r.said(part.Run), "the other node hasn't built it"
    r.built(second)
    runs = r.said(part.Run)
    assert [m.program for m in runs] == [-5] * 4
    assert {len(m.arguments) for m in runs} == {4}, "the user's three, and the launch"
    groups = [int.from_bytes(m.arguments[3][:8], "little") for m in runs]
    assert groups == [0, 0, 8, 8]
    r.run()
    assert r.mode(20) == r.mode(21) == "regions" and len(r.rewrites) == 1


def test_a_variant_that_is_not_built_leaves_launches_whole() -> None:
    r = Seeing()
    r.launch(20)
    first, second = r.builds()
    r.built(first, BUILD_PROGRAM_FAILURE)
    r.built(second)
    r.launch(21)
    assert [m.program for m in r.said(part.Run)] == [5, 5]
    r.run()
    mode, reason, *_ = r.report(20)
    assert mode == "whole"
    assert "get_group_id() would answer differently" in reason and "can't be built" in reason


def test_a_program_that_can_not_be_rewritten() -> None:
    r = Seeing("a[i] = get_group_id(0) + sizeof(get_group_id(0));")
    r.launch(20)
    r.run()
    mode, reason, *_ = r.report(20)
    assert mode == "whole" and not r.builds() and len(r.rewrites) == 1
    assert "line 1: " in reason.partition("(")[2]


@pytest.mark.parametrize("answers_first", [False, True])
def test_a_node_that_is_lost_is_not_waited_for(answers_first: bool) -> None:
    r = Seeing()
    r.launch(20)
    first, _ = r.builds()
    if answers_first:
        r.built(first)
    r.places = [r.places[0]]
    r.session.executor_lost(2, "gone")
    r._take()
    if not answers_first:
        r.built(first)
    assert len(r.said(part.Run)) == 1, "there is one device left"
    r.run()
    assert r.ended()[20] == 0 and r.mode(20) == "whole"


def test_a_node_that_comes_later_builds_it_by_itself() -> None:
    r = Seeing()
    places = r.places
    r.launch(20)
    for build in r.builds():
        r.built(build)
    r.run()
    r.session.executor_lost(2, "gone")
    r._take()
    r.places = places
    r.clear()
    r.say(Fill(23, 2, [], 10, 0, SIZE, b"x"))  # what was lost with it
    r.launch(21)
    (build,) = [m for m in r.nodes[2] if isinstance(m, part.Build)]
    assert (build.program, build.request) == (-5, 0)
    assert len(r.said(part.Run)) == 2
    r.run()
    assert r.ended()[21] == 0


def test_both_are_forgotten_when_the_program_is() -> None:
    r = Seeing()
    r.launch(20)
    for build in r.builds():
        r.built(build)
    r.run()
    r.say(Release([5]))
    forgotten = {(n, m.program) for n in r.nodes for m in r.nodes[n]
                 if isinstance(m, part.ForgetProgram)}  # fmt: skip
    assert forgotten == {(1, 5), (2, 5), (1, -5), (2, -5)}
    assert not r.session.programs and not r.session._questions.variants


def test_a_program_that_is_released_meanwhile_lives_until_its_launches_are_planned() -> None:
    r = Seeing()
    r.launch(20)
    r.say(Release([5]))
    assert r.session.programs
    for build in r.builds():
        r.built(build)
    r.run()
    assert r.ended()[20] == 0 and not r.session.programs


def test_nobody_else_names_variants() -> None:
    r = Seeing()
    r.launch(20)
    for build in r.builds():
        r.built(build)
    r.run()
    arguments: list[Any] = [[1, 10, 0, SIZE], [1, 11, 0, SIZE], bytes(4)]
    r.say(Release([-5]))
    assert r.session._questions.variants
    with pytest.raises(RemoteProtocolError, match="there is no program -5"):
        r.say(Launch(30, 2, [], -5, "k", [0], [64], [4], arguments))


def test_a_number_whose_negative_can_not_travel() -> None:
    r = Seeing()
    facts = kernel("k", (GLOBAL, "int*"), (GLOBAL, "const int*"), (PRIVATE, "int"))
    r.build(2**64 - 1, facts, source=r.session.programs[5].units[0][0])
    arguments: list[Any] = [[1, 10, 0, SIZE], [1, 11, 0, SIZE], bytes(4)]
    r.say(Launch(30, 2, [], 2**64 - 1, "k", [0], [64], [4], arguments))
    r.run()
    assert r.mode(30) == "whole" and not r.rewrites


@pytest.mark.parametrize("request_number", [-1, -2, -(2**40)])
def test_an_executor_that_builds_what_nobody_asked_for(request_number: int) -> None:
    r = Seeing()
    with pytest.raises(RemoteProtocolError, match="isn't under way on this node"):
        r.answer(1, part.BuildDone(request_number, 0, "", [], []))
