"""Questions before launches are planned: asked once, and everybody who waited goes on."""

from __future__ import annotations

from typing import Any

from master.access.guard import Verdict
from master.access.kernels import Footprint
from master.access.programs import Variant, Word
from master.builds import Builds
from master.commands import Command
from master.ledger import Ledger, Question, RewriteQuestion
from master.objects import Context, KernelFacts, Program
from master.plan.asked import NotAnalysed
from master.questions import Questions
from tests.master.rigs import place
from vcl.wire.messages import part, session

MAY, MAY_NOT = Word(Verdict(True, "")), Word(Verdict(False, "line 1: goto is not followed"))
UNITS = [["kernel void k() {}", "", [], []]]


class Asking:
    """Questions about one program of a context that `places` make up."""

    def __init__(self, places: list[Any]) -> None:
        self.ledger = Ledger()
        self.program = Program(5, Context(1, [1], True), session.BUILD, UNITS, "")
        self.program.verdict = MAY_NOT.verdict
        self.program.kernels["k"] = KernelFacts("k", [], 1)
        self.builds = Builds(self.ledger, lambda devices: places)
        self.questions = Questions(self.ledger, self.builds, {5: self.program})

    def launch(self, event: int, key: tuple[Any, ...], kernel: str = "k") -> Command:
        command = Command(event, session.Launch(event, 2, [], 5, kernel, [0], [4], [1], []))
        question: Question | RewriteQuestion
        if key:
            question = Question(0, UNITS, {}, "k", [], [[0], [4], [1]])
        else:
            question = RewriteQuestion(0, UNITS, {"bits": "64"})
        self.questions.ask(command, NotAnalysed(self.program, key, question))
        return command


def test_what_several_wait_for_is_asked_once() -> None:
    a = Asking([])
    keys = [("k", None, (), (n,)) for n in (0, 1)]
    first, other, second = [a.launch(n, keys[n % 2]) for n in (1, 2, 3)]
    assert [q.number for q in a.ledger.for_analysis] == [1, 2]
    footprint = Footprint((), (), 0)
    assert list(a.questions.analysed(1, footprint)) == [first, second]
    assert a.program.footprint(keys[1]) == footprint
    assert list(a.questions.analysed(2, "it has a goto")) == [other]
    assert a.program.not_analysed == {"k": "it has a goto"}
    assert not any(a.questions.tables)


def test_a_passing_reason_counts_for_some_ticks_twice_as_many_each_time() -> None:
    a = Asking([])
    for number, ticks in enumerate((1, 2, 4), 1):
        a.launch(number, ("k", None, (), (number,)))
        a.questions.analysed(number, "many wait", passing=True)
        for left in range(ticks):
            assert a.program.not_analysed == {"k": "many wait"}, left
            assert a.questions.tick() is (left == ticks - 1)
        assert not a.program.not_analysed and not a.questions.tick()
    a.launch(4, ("k", None, (), (4,)))
    a.questions.analysed(4, Footprint((), (), 0))
    assert not any(a.questions.tables)


def test_of_a_burst_one_passing_reason_counts_and_an_answer_ends_it() -> None:
    a = Asking([])
    for number in range(1, 6):
        a.launch(number, ("k", None, (), (number,)))
    for number in (1, 2, 3):
        a.questions.analysed(number, "many wait", passing=True)
    assert a.program.not_analysed
    a.questions.analysed(4, Footprint((), (), 0))
    assert not a.program.not_analysed and not a.questions.tick()
    a.questions.analysed(5, "many wait", passing=True)
    assert a.questions.tick(), "after one tick, as the first time"
    a.questions.forget(a.program)
    assert not any(a.questions.tables)


def test_a_lasting_reason_is_not_forgotten() -> None:
    a = Asking([])
    for number in (1, 2):
        a.launch(number, ("k", None, (), (number,)))
    a.questions.analysed(1, "many wait", passing=True)
    a.questions.analysed(2, "it has a goto")
    assert not a.questions.tick() and a.program.not_analysed == {"k": "it has a goto"}


def test_a_program_not_rewritten_for_a_passing_reason_is_asked_about_again() -> None:
    a = Asking([place(1)])
    a.launch(1, ())
    a.questions.rewritten(1, "many wait", passing=True)
    assert a.program.variant == "many wait"
    assert a.questions.tick() and a.program.variant is a.program.rewritten_for is None
    a.launch(2, ())
    a.questions.rewritten(2, "it pastes tokens")
    assert not a.questions.tick() and a.program.variant == "it pastes tokens"
    assert not any(a.questions.tables)


def test_what_cannot_be_rewritten_keeps_the_reason() -> None:
    a = Asking([])
    command = a.launch(1, ())
    assert list(a.questions.rewritten(1, "it pastes tokens")) == [command]
    assert a.program.variant == "it pastes tokens"
    assert a.program.rewritten_for == {"bits": "64"}
    assert not any(a.questions.tables)


def test_a_rewritten_program_is_built_before_anybody_goes_on() -> None:
    a = Asking([place(1)])
    command = a.launch(1, ())
    assert not a.questions.rewritten(1, Variant("text", "-w", {"k": 1}, MAY, MAY))
    (build,) = a.ledger.for_nodes[1]
    assert (build.program, build.units) == (-5, [["text", "-w", [], []]])
    a.builds.answered(1, part.BuildDone(build.request, 0, "", [], []))
    assert list(a.questions.built()) == [command]
    assert a.program.variant is a.questions.variants[-5]
    assert a.program.variant.hidden == {"k": 1}


def test_launches_that_a_variant_does_not_help_neither_wait_for_it_nor_have_it_built() -> None:
    a = Asking([place(1)])
    whole = a.launch(1, ())
    helps_other = Word(MAY_NOT.verdict, {"other": ""})
    variant = Variant("text", "", {}, MAY_NOT, helps_other)
    assert list(a.questions.rewritten(1, variant)) == [whole]
    assert a.program.variant is None and a.program.why_whole_apart("other") is None
    assert a.program.why_whole_apart("k") == MAY_NOT.verdict.reason
    assert not a.ledger.for_nodes and not any(a.questions.tables)
    other, again = a.launch(2, (), "other"), a.launch(3, ())
    assert list(a.questions.rewritten(2, variant)) == [again]
    (build,) = a.ledger.for_nodes[1]
    a.builds.answered(1, part.BuildDone(build.request, 0, "", [], []))
    assert list(a.questions.built()) == [other]


def test_with_nobody_to_build_it_is_made_when_it_is_needed() -> None:
    a = Asking([])
    command = a.launch(1, ())
    assert list(a.questions.rewritten(1, Variant("text", "", {}, MAY_NOT, MAY))) == [command]
    assert isinstance(a.program.variant, Program)
