"""A program is judged by all its units and the files that travel with them."""

from __future__ import annotations

from master.access.programs import judge_program
from tests.master.rigs import ADD

CAST = "kernel void f(global const int *a) { ((global int *)a)[0] = 1; }"


def test_the_first_unit_that_is_refused_tells_the_reason() -> None:
    good = [ADD, "", [], []]
    assert judge_program([good, good]).verdict.may_split
    verdict = judge_program([good, ["\nprintf", "", [], []], ["atomic_add", "", [], []]]).verdict
    assert not verdict.may_split and verdict.reason.startswith("line 2: printf")


def test_files_are_read() -> None:
    included = ["#include <a.h>\n", "", ["/i"], [["file", "/i/a.h", b"\nvolatile"]]]
    assert judge_program([included]).verdict.reason.startswith("/i/a.h, line 2: volatile")


def test_const_is_kept_in_all_units_and_files() -> None:
    assert judge_program([[ADD, "", [], []]]).keeps_const
    assert not judge_program([[ADD, "", [], []], [CAST, "", [], []]]).keeps_const
    assert not judge_program([[ADD, "", [], [["file", "/a.h", CAST.encode()]]]]).keeps_const
