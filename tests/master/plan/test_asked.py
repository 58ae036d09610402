"""What must be known of a launch: asked for once, in the words of its real arguments."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from master.access.guard import Verdict
from master.access.kernels import Footprint
from master.ledger import Question, RewriteQuestion
from master.objects import ArgumentFacts, Context, KernelFacts, Program
from master.places import Place
from master.plan.asked import NotAnalysed, footprint_of, variant_of
from tests.master.rigs import GLOBAL, PRIVATE, place
from vcl.ndrange import NDRange
from vcl.wire.messages import session

UNITS = [["kernel void k() {}", "", [], []]]
FACTS = KernelFacts(
    "k",
    [ArgumentFacts(GLOBAL, "int*", False), ArgumentFacts(PRIVATE, "int", False),
     ArgumentFacts(PRIVATE, "float", False)],
    64,
)  # fmt: skip
NDRANGE = NDRange((0,), (64,), (4,))
PLACE = replace(place(1), kind=("64", "1", "", "OpenCL C 1.2", "OpenCL 3.0"))
FOUND = Footprint((), (), 0)


def program(number: int = 5) -> Program:
    made = Program(number, Context(1, [1], True), session.BUILD, UNITS, "")
    made.verdict = Verdict(True, "")
    return made


def asked(made: Program, count: int = 1, **changes: Any) -> Footprint | str:
    arguments: list[Any] = [[1, 10, 0, 64], count.to_bytes(4, "little"), bytes(4)]
    message = session.Launch(20, 2, [], made.id, "k", [0], [64], [4], arguments)
    given: dict[str, Any] = {"ndrange": NDRANGE, "place": PLACE, **changes}
    return footprint_of(made, FACTS, message, **given)


def test_a_launch_is_asked_about_with_its_integers_and_found_again() -> None:
    made = program()
    with pytest.raises(NotAnalysed) as caught:
        asked(made, 7)
    question = caught.value.question
    assert isinstance(question, Question)
    assert question.arguments == ["buffer", b"\7\0\0\0", "other"], "a float can't be an index"
    assert question.ndrange == [[0], [64], [4]] and question.device["ADDRESS_BITS"] == "64"
    made.note_footprint(caught.value.key, FOUND)
    assert asked(made, 7) is FOUND
    for changes in ({"count": 8}, {"ndrange": NDRange((4,), (64,), (4,))}):
        with pytest.raises(NotAnalysed):
            asked(made, **changes)


def test_values_that_do_not_matter_are_not_asked_about_again() -> None:
    made = program()
    found = []
    for ignored in ((), (1,)):
        with pytest.raises(NotAnalysed) as caught:
            asked(made, 7, ndrange=NDRange((len(ignored),), (64,), (4,)))
        found.append(replace(FOUND, ignored=ignored))
        made.note_footprint(caught.value.key, found[-1])
    assert asked(made, 9, ndrange=NDRange((1,), (64,), (4,))) is found[1]
    assert asked(made, 7, ndrange=NDRange((0,), (64,), (4,))) is found[0]
    with pytest.raises(NotAnalysed):
        asked(made, 9, ndrange=NDRange((0,), (64,), (4,)))


def test_a_kernel_that_was_not_understood_is_not_asked_about_again() -> None:
    made = program()
    with pytest.raises(NotAnalysed) as caught:
        asked(made, 7)
    made.note_footprint(caught.value.key, "line 1: goto")
    assert asked(made, 8) == "line 1: goto"


def test_of_devices_that_leave_something_unsaid_nothing_is_asked() -> None:
    _, *rest = PLACE.kind
    for kind in ((), ("None", *rest), (*PLACE.kind[:-1], "None"), ("16", *rest)):
        unknown: Place = replace(PLACE, kind=kind)
        assert asked(program(), place=unknown) == ""
        assert variant_of(program(), unknown) == ""


def test_a_variant_is_asked_for_once_and_for_one_kind_of_device() -> None:
    made = program()
    with pytest.raises(NotAnalysed) as caught:
        variant_of(made, PLACE)
    question = caught.value.question
    assert isinstance(question, RewriteQuestion) and caught.value.key == ()
    made.rewritten_for = question.device
    made.variant = "it has a goto"
    assert variant_of(made, PLACE) == "it has a goto"
    other = replace(PLACE, kind=(*PLACE.kind[:-1], "other"))
    assert "another kind" in str(variant_of(made, other))


def test_a_program_whose_variant_has_no_number() -> None:
    assert variant_of(program(2**63 + 1), PLACE) == ""
