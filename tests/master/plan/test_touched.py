"""What some of a launch touches, by buffer."""

from __future__ import annotations

from master.plan.touched import given_regions, touched_by
from tests.master.plan.test_regions import SIZE, Rig
from vcl.ndrange import NDRange
from vcl.wire.messages.session import Launch

WHOLE = NDRange((0,), (64,), (4,))
LAST = NDRange((60,), (4,), (4,))


def touched(body: str, second: list[int]) -> object:
    r = Rig(body)
    arguments = [[1, 10, 0, SIZE], second, bytes(4)]
    launch = Launch(22, 2, [], 5, "k", [0], [64], [4], arguments)
    r.say(launch)
    (question,) = r.questions
    footprint = r._really(question)
    assert not isinstance(footprint, str)
    return touched_by(footprint, WHOLE, LAST, given_regions(launch))


def test_it_is_of_the_buffer_from_its_start() -> None:
    assert touched("a[i] = b[i - 60];", [1, 11, 128, 128]) == (
        {10: ([], [(240, 256)]), 11: ([(128, 144)], [])}, None,
    )  # fmt: skip


def test_what_two_arguments_name_is_of_one_buffer() -> None:
    assert touched("a[i] = b[i - 60];", [1, 10, 128, 128]) == (
        {10: ([(128, 144)], [(240, 256)])}, None,
    )  # fmt: skip


def test_a_place_that_comes_from_memory_may_be_any_of_the_region() -> None:
    found = touched("a[b[i]] = 1;", [1, 11, 0, SIZE])
    assert found == ({10: ([], [(0, SIZE)]), 11: ([(240, 256)], [])}, None)
