"""Devices on trial in a session: what is asked of them, and who is taken."""

from __future__ import annotations

from typing import Any

import pytest

from master.access.guard import Verdict
from master.access.programs import Judgement
from master.builds import Builds
from master.joining import Joining
from master.ledger import Ledger
from master.objects import Context, Program
from tests.master.rigs import GLOBAL, PRIVATE, kernel, place
from vcl.errors import RemoteProtocolError
from vcl.wire.messages import part, session

ARGUMENTS = [(GLOBAL, "float*"), (PRIVATE, "int")]
WHOLE = Judgement(Verdict(False, "a reason"), False, {})


class Rig:
    """A session with a device on node 1, of which node 2 offers devices 2 and 3."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.contexts = {1: Context(1, [1], True), 2: Context(2, [1], False)}
        self.programs: dict[int, Program] = {}
        self.changes = 0
        self.builds = Builds(self.ledger, lambda _: [place(1, 1)])
        self.joining = Joining(self.ledger, self.builds, self.contexts, self.programs)

    def go_on(self) -> None:
        self.changes += self.joining.go_on()

    def build(self, number: int, context: int = 1, ends: bool = True) -> Program:
        program = Program(number, self.contexts[context], session.BUILD, [["source", ""]], "")
        self.programs[number] = program
        self.builds.start(program, number)
        if ends:
            self.end(number)
        return program

    def end(self, number: int) -> None:
        done = part.BuildDone(number, 0, "", [], [kernel("k", *ARGUMENTS, devices=[1])])
        self.builds.answered(1, done)
        self.builds.judged(number, WHOLE)
        self.go_on()

    def offer(self) -> None:
        self.joining.offer(2, [2, 3])
        self.go_on()

    def asked(self) -> list[part.Build]:
        """Of node 2 since the last call."""
        return self.ledger.for_nodes.pop(2, [])

    def answer(self, request: int, *kernels: list[Any], status: int = 0) -> None:
        done = part.BuildDone(request, status, "no compiler", [], list(kernels))
        assert self.joining.answered(2, done)
        self.go_on()

    @property
    def devices(self) -> list[int]:
        assert self.contexts[2].devices == [1], "only the cluster device gets more"
        return self.contexts[1].devices


GOOD = kernel("k", *ARGUMENTS, devices=[2, 3])
SMALL = ["k", [[2, [1023, [0, 0, 0], 0, 1, 0, ""]]], GOOD[2]]
NONSENSE = ["k", [], GOOD[2]]


def test_who_makes_all_programs_is_taken() -> None:
    rig = Rig()
    rig.build(5)
    rig.build(6)
    rig.build(7, context=2)
    rig.offer()
    first, second = rig.asked()
    assert [(b.program, b.devices) for b in (first, second)] == [(5, [2, 3]), (6, [2, 3])]
    assert first.request < 0 and second.request < 0 and first.request != second.request
    rig.answer(first.request, GOOD)
    assert rig.devices == [1] and not rig.changes
    rig.answer(second.request, GOOD)
    assert rig.devices == [1, 2, 3] and rig.changes == 1
    assert rig.joining.joined == {2: [2, 3]} and not rig.joining.declined


@pytest.mark.parametrize(
    ("kernels", "status", "why"),
    [
        ([], -11, "can't build a program that others have built: no compiler"),
        ([], 0, "other kernels"),
        ([GOOD, kernel("l", devices=[2])], 0, "other kernels"),
        ([kernel("k", (GLOBAL, "int*"), (PRIVATE, "int"), devices=[2])], 0, "other arguments of"),
        ([SMALL], 0, "fewer work-items"),
    ],
)
def test_who_differs_is_not(kernels: list[Any], status: int, why: str) -> None:
    rig = Rig()
    rig.build(5)
    rig.build(6)
    rig.offer()
    first, second = rig.asked()
    rig.answer(first.request, *kernels, status=status)
    assert not rig.joining.declined, "what is under way there has to end first"
    rig.answer(second.request, GOOD)
    ((node, told),) = rig.joining.declined
    assert node == 2 and why in told
    rig.go_on()
    assert rig.devices == [1] and not rig.asked()


def test_a_program_of_which_a_node_says_nonsense() -> None:
    rig = Rig()
    program = rig.build(5)
    rig.offer()
    (build,) = rig.asked()
    with pytest.raises(RemoteProtocolError, match="without a device"):
        rig.answer(build.request, NONSENSE)
    assert program.users == 1
    rig.joining.executor_lost(2)  # as the master then drops it
    assert program.users == 0


def test_a_session_without_programs_waits_for_the_first() -> None:
    rig = Rig()
    rig.offer()
    assert not rig.asked() and rig.devices == [1]
    rig.build(5)
    (build,) = rig.asked()
    rig.answer(build.request, GOOD)
    assert rig.devices == [1, 2, 3]


def test_what_is_built_meanwhile_is_tried_too() -> None:
    rig = Rig()
    rig.build(5)
    rig.build(6, ends=False)
    rig.offer()
    (build,) = rig.asked()
    rig.answer(build.request, GOOD)
    assert rig.devices == [1], "the other isn't there yet"
    rig.end(6)
    (build,) = rig.asked()
    assert build.program == 6
    rig.answer(build.request, GOOD)
    assert rig.devices == [1, 2, 3]


def test_a_program_is_kept_while_it_is_on_trial() -> None:
    rig = Rig()
    program = rig.build(5)
    rig.offer()
    (build,) = rig.asked()
    assert program.users == 1
    program.released = True
    rig.answer(build.request, GOOD)
    assert (program.users, rig.joining.let_go) == (0, [program])


def test_an_executor_that_is_lost_ends_the_trial() -> None:
    rig = Rig()
    program = rig.build(5)
    rig.offer()
    rig.joining.node_gone(2)
    rig.joining.executor_lost(2)
    rig.go_on()
    assert program.users == 0 and rig.devices == [1]


def test_who_is_gone_is_not_taken_for_its_last_words() -> None:
    rig = Rig()
    rig.build(5)
    rig.offer()
    (build,) = rig.asked()
    rig.joining.node_gone(2)
    rig.answer(build.request, GOOD)
    assert rig.devices == [1] and not rig.joining.joined


def test_who_has_joined_goes_with_its_node_and_not_with_its_executor() -> None:
    rig = Rig()
    rig.build(5)
    rig.offer()
    (build,) = rig.asked()
    rig.answer(build.request, GOOD)
    rig.joining.executor_lost(2)
    assert rig.devices == [1, 2, 3]
    rig.joining.node_gone(2)
    assert rig.devices == [1] and not rig.joining.joined


def test_builds_of_others_are_not_ours() -> None:
    rig = Rig()
    rig.build(5)
    rig.offer()
    assert not rig.joining.answered(2, part.BuildDone(5, 0, "", [], []))
    assert not rig.joining.answered(1, part.BuildDone(-1, 0, "", [], []))
