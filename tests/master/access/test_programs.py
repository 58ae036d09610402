"""A program is judged by all its units and the files that travel with them."""

from __future__ import annotations

import pytest

from master.access.programs import judge_program, judge_variant
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


@pytest.mark.parametrize(
    ("image", "splits"),
    [
        ("read_only image2d_t", True),
        ("write_only image2d_t", True),
        ("__write_only image1d_buffer_t", True),
        ("image2d_t", True),
        ("read_write image2d_t", False),
        ("__read_write image2d_t", False),
        ("read_only image2d_depth_t", False),
    ],
)
def test_images_are_buffers_but_for_those_that_are_read_and_written(
    image: str, splits: bool
) -> None:
    body = "{ int i = get_global_id(0); a[i] = get_image_width(p); }"
    words = judge_variant(f"kernel void f(global int *a, {image} p) {body}", "")
    assert [word.verdict.may_split for word in words] == [splits, splits]
