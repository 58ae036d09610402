"""Builds on several nodes, answered to the client as one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from master.access.guard import Verdict
from master.access.programs import Judgement
from master.builds import Builds
from master.ledger import Ledger
from master.objects import ArgumentFacts, Context, Program
from tests.master.rigs import GLOBAL, PRIVATE, kernel, place
from vcl.errors import BUILD_PROGRAM_FAILURE, DEVICE_NOT_AVAILABLE, RemoteProtocolError
from vcl.wire.messages import part, session

PLACES = [place(1, 1), place(2, 1), place(3, 2)]
UNITS = [["source", "-O"]]


WHOLE = Verdict(False, "a reason")


class Rig:
    """verdict: None if the guard hasn't answered."""

    def __init__(self, places=PLACES, verdict=WHOLE) -> None:
        self.ledger = Ledger()
        self.builds = Builds(self.ledger, lambda _: places)
        context = Context(1, [1, 2, 3], True)
        self.program = Program(5, context, session.BUILD, UNITS, "-link", verdict=verdict)
        self.builds.start(self.program, 9)

    def answer(self, node, *kernels, status=0, message="", logs=()):
        done = part.BuildDone(9, status, message, list(logs), list(kernels))
        self.builds.answered(node, done)

    @property
    def built(self):
        (built,) = self.ledger.for_client
        return built


def test_each_node_builds_once_for_all_its_devices() -> None:
    rig = Rig()
    assert dict(rig.ledger.for_nodes) == {
        1: [part.Build(5, 9, [1, 2], session.BUILD, UNITS, "-link")],
        2: [part.Build(5, 9, [3], session.BUILD, UNITS, "-link")],
    }
    assert rig.program.nodes == {1, 2}


def test_the_joint_answer_has_every_device() -> None:
    rig = Rig()
    arguments = [(GLOBAL, "float*"), (PRIVATE, "int")]
    rig.answer(2, kernel("k", *arguments, devices=[3]), logs=[[3, 0, "c"]])
    assert not rig.ledger.for_client and not rig.program.kernels
    rig.answer(1, kernel("k", *arguments, devices=[1, 2]), logs=[[1, 0, "a"], [2, 0, "b"]])
    built = rig.built
    assert (built.request, built.status) == (9, 0)
    assert sorted(built.logs) == [[1, 0, "a"], [2, 0, "b"], [3, 0, "c"]]
    ((name, devices, _),) = built.kernels
    assert (name, {d for d, _ in devices}) == ("k", {1, 2, 3})
    assert rig.program.kernels["k"].arguments == [ArgumentFacts(*a, False) for a in arguments]
    assert not rig.builds.under_way


def test_one_failure_fails_all_and_the_first_is_told() -> None:
    rig = Rig()
    rig.answer(1, status=-11, message="syntax", logs=[[1, -11, "line 1"]])
    rig.answer(2, kernel("k"), logs=[[3, 0, ""]])
    logs = [[1, -11, "line 1"], [3, 0, ""]]
    assert rig.built == session.Built(9, -11, "on node n1: syntax", logs, [])
    assert not rig.program.kernels


def test_nodes_that_see_different_kernels() -> None:
    rig = Rig()
    rig.answer(1, kernel("k"))
    rig.answer(2, kernel("other"))
    assert rig.built.status == BUILD_PROGRAM_FAILURE
    assert "different kernels" in rig.built.message


def test_a_failed_build_leaves_the_kernels_of_the_one_before() -> None:
    rig = Rig()
    rig.answer(1, kernel("k"))
    rig.answer(2, kernel("k"))
    rig.builds.start(rig.program, 9)
    rig.answer(1, status=-11)
    rig.answer(2, status=-11)
    assert set(rig.program.kernels) == {"k"}


def test_without_devices_the_answer_comes_at_once() -> None:
    assert Rig(places=[]).built.status == DEVICE_NOT_AVAILABLE


def test_the_guard_is_asked_and_waited_for() -> None:
    rig = Rig(verdict=None)
    assert rig.ledger.for_guard == [(9, UNITS)]
    rig.answer(1, kernel("k"))
    rig.answer(2, kernel("k"))
    assert not rig.ledger.for_client and not rig.program.kernels
    rig.builds.judged(8, Judgement(WHOLE, False))
    assert not rig.ledger.for_client
    rig.builds.judged(9, Judgement(WHOLE, True, {"k": ""}))
    assert rig.built.status == 0 and set(rig.program.kernels) == {"k"}
    assert rig.program.verdict is WHOLE and rig.program.keeps_const
    assert rig.program.kernel_reasons == {"k": ""}
    rig.builds.judged(9, Judgement(WHOLE, True))
    assert not rig.builds.under_way


def test_a_verdict_may_come_first() -> None:
    rig = Rig(verdict=None)
    rig.builds.judged(9, Judgement(WHOLE, True))
    rig.answer(1, kernel("k"))
    assert not rig.ledger.for_client
    rig.answer(2, kernel("k"))
    assert rig.built.status == 0


def test_a_failed_build_does_not_wait_for_the_guard() -> None:
    rig = Rig(verdict=None)
    rig.answer(1, kernel("k"))
    rig.answer(2, status=-11)
    assert rig.built.status == -11
    rig.builds.judged(9, Judgement(WHOLE, True))
    assert rig.built.status == -11


def test_a_lost_node_is_not_waited_for() -> None:
    rig = Rig()
    rig.answer(1, kernel("k"))
    rig.builds.node_lost(2, "gone")
    assert rig.built.status == 0


def test_all_nodes_lost() -> None:
    rig = Rig()
    rig.builds.node_lost(1, "gone")
    assert not rig.ledger.for_client
    rig.builds.node_lost(2, "gone too")
    rig.builds.node_lost(2, "again")
    assert (rig.built.status, rig.built.message) == (DEVICE_NOT_AVAILABLE, "gone too")


def test_a_build_that_nobody_waits_for_is_not_answered() -> None:
    rig = Rig()
    rig.builds.answered(1, part.BuildDone(0, -11, "", [], []))
    assert not rig.ledger.for_client


@pytest.mark.parametrize("twice", [False, True])
def test_answers_that_no_honest_executor_gives(twice: bool) -> None:
    rig = Rig()
    if twice:
        rig.answer(1)
    with pytest.raises(RemoteProtocolError, match="isn't under way"):
        rig.builds.answered(1 if twice else 7, part.BuildDone(9 if twice else 8, 0, "", [], []))


KIND = ("64", "1", "", "OpenCL C 1.2", "OpenCL 3.0")
ALIKE = [replace(p, kind=KIND) for p in PLACES]


@pytest.mark.parametrize("may_split", [True, False], ids=["split", "by a variant"])
def test_a_program_is_read_ahead_once_it_is_judged(may_split: bool) -> None:
    rig = Rig(ALIKE, None)
    assert not rig.ledger.for_reading
    rig.builds.judged(9, Judgement(Verdict(may_split, ""), True))
    ((units, device),) = rig.ledger.for_reading
    assert units is UNITS and list(device.values()) == list(KIND)


@pytest.mark.parametrize(
    ("places", "context", "units", "status"),
    [
        (ALIKE[:1], None, UNITS, 0),
        ([ALIKE[0], PLACES[1]], None, UNITS, 0),
        (PLACES, None, UNITS, 0),
        ([], None, UNITS, 0),
        (ALIKE, Context(1, [1, 2, 3], False), UNITS, 0),
        (ALIKE, None, UNITS * 2, 0),
        (ALIKE, None, [[None, ""]], 0),
        (ALIKE, None, UNITS, BUILD_PROGRAM_FAILURE),
    ],
    ids=["one", "unlike", "unsaid", "none", "not the cluster's", "linked", "binary", "failed"],
)
def test_what_no_launch_has_analysed_is_not_read_ahead(places, context, units, status) -> None:
    rig = Rig(places, None)
    rig.program.context, rig.program.units = context or rig.program.context, units
    if status:
        rig.answer(1, status=status, message="no")
    rig.builds.judged(9, Judgement(Verdict(True, ""), True))
    assert not rig.ledger.for_reading
