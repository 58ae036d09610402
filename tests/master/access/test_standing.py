"""What the guard says of kernels is what a master would be told."""

from __future__ import annotations

import pytest

from master.access.analyser.analysis import Analyser
from master.access.standing import Standing
from tests.master.access.analyser.test_analysis import DEVICE

SOURCE = """
#define DEBUG(a)
kernel void plain(global int *a) { a[0] = 1; }
kernel void grouped(global int *a) { a[0] = get_group_id(0); }
kernel void freed(global int *a) { DEBUG(printf("no")); }
kernel void counts(global int *a) { atomic_inc(a); }
kernel void prints(global int *a) { printf("yes"); }
"""


@pytest.mark.parametrize(
    ("kernel", "why"),
    [
        ("plain", None), ("grouped", None), ("freed", None), ("counts", None),
        ("prints", "line 7: printf"),
    ],
)
def test_a_kernel_is_as_free_as_its_variant(kernel: str, why: str | None) -> None:
    standing = Standing(Analyser(), [SOURCE, "", [], []], DEVICE)
    found = standing.why_whole(kernel)
    assert found is None if why is None else found is not None and found.startswith(why)


def test_what_must_be_apart_is_said_of_kernels_that_may_run() -> None:
    standing = Standing(Analyser(), [SOURCE, "", [], []], DEVICE)
    assert standing.why_apart("plain") is None and standing.why_apart("freed") is None
    why = standing.why_apart("counts")
    assert why is not None and why.startswith("line 6: atomic_inc may let")


def test_without_a_variant_it_is_said_why() -> None:
    source = SOURCE.replace("DEBUG(printf", "get_image_handle(0); DEBUG(printf")
    standing = Standing(Analyser(), [source, "", [], []], DEVICE)
    assert standing.why_whole("plain") is None
    found = standing.why_whole("grouped")
    assert found is not None and "get_group_id() would" in found and found.endswith(")")
