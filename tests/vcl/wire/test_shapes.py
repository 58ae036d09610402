"""Numbers of shapes at both ends, and the arguments of repetitions."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcl.errors import RemoteProtocolError
from vcl.wire import shapes
from vcl.wire.limits import shapes_max
from vcl.wire.messages import part, session
from vcl.wire.shapes import ShapeNumbers, ShapesTold, Told, changed, values_of

ARGUMENTS: list[Any] = [b"one", [1, 7, 0, 64], b"two", None, [2, 64], b"three"]


def tell(numbers: ShapeNumbers, key: Any) -> int:
    told = numbers.tell(key, None)
    assert told is not None
    return told.number


def launch(arguments: list[Any]) -> session.Launch:
    return session.Launch(11, 2, [], 8, "f", [0], [64], None, arguments)


def test_what_isn_t_said_is_as_it_was_told() -> None:
    told = Told(launch(ARGUMENTS))
    assert told.values == values_of(ARGUMENTS) == [b"one", b"two", b"three"]
    assert told.arguments([]) is ARGUMENTS
    assert told.arguments([b"1"]) == [b"1", *ARGUMENTS[1:]]
    assert told.arguments([b"1", b"2", b"3"]) == [b"1", [1, 7, 0, 64], b"2", None, [2, 64], b"3"]
    assert told.values_in(told.arguments([])) == told.values
    assert told.values_in(told.arguments([b"1"])) == [b"1", b"two", b"three"]
    assert ARGUMENTS[0] == b"one", "the told one stays what it was"


@pytest.mark.parametrize("message", [launch(ARGUMENTS), part.Run(5, [], 1, 8, "f", [0], [64], None,
                                                                 ARGUMENTS)])  # fmt: skip
def test_more_values_than_arguments(message: Any) -> None:
    with pytest.raises(RemoteProtocolError, match="4 values for a launch that has 3 arguments"):
        Told(message).arguments([b"1", b"2", b"3", b"4"])


@pytest.mark.parametrize("number", [-1, 0, shapes_max + 1])
def test_numbers_that_can_t_be(number: int) -> None:
    table = ShapesTold()
    with pytest.raises(RemoteProtocolError, match=f"{number} can't be the number of a shape"):
        table.tell(number, Told(launch([])))
    with pytest.raises(RemoteProtocolError, match=f"there is no shape {number}"):
        table.find(number)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), max_size=60))
def test_both_ends_mean_the_same(steps: list[tuple[int, int]]) -> None:
    """Whatever is told and asked for, with room for four."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shapes, "shapes_max", 4)
        numbers, table = ShapeNumbers(), ShapesTold()
        for key, kept in steps:
            found = numbers.find(key)
            meant = [[2, key + 1], [2, kept + 1]]
            if found is not None and found.kept == kept:
                assert table.find(found.number).message.arguments == meant
            else:
                told = numbers.tell(key, kept)
                assert told is not None
                table.tell(told.number, Told(launch(meant)))


def test_what_was_asked_for_longest_ago_gives_way() -> None:
    numbers = ShapeNumbers()
    told = [tell(numbers, key) for key in range(shapes_max)]
    assert sorted(told) == list(range(1, shapes_max + 1))
    assert tell(numbers, "new") == told[0], "all were used since"
    first = numbers.find(1)
    assert first is not None and numbers.find(0) is None
    assert tell(numbers, "another") == told[2]
    assert first.number == told[1] and numbers.find(1) is first
    second = numbers._numbers[3]
    assert tell(numbers, "yet another") == told[3] and not second.number, "whoever holds it sees"


def test_a_number_that_an_interrupt_lost_is_given_to_nobody() -> None:
    class Interrupted(OrderedDict[Any, Any]):
        def __setitem__(self, key: Any, value: Any) -> None:
            if key == "interrupted":
                raise KeyboardInterrupt
            super().__setitem__(key, value)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shapes, "shapes_max", 2)
        numbers = ShapeNumbers()
        numbers._numbers = Interrupted()
        assert [tell(numbers, key) for key in "ab"] == [1, 2]
        with pytest.raises(KeyboardInterrupt):
            numbers.tell("interrupted", None)
        assert tell(numbers, "c") == 2, "the one of b"
        with pytest.raises(KeyboardInterrupt):
            numbers.tell("interrupted", None)
        assert numbers.tell("d", None) is None and numbers.find("d") is None, "none is left"


@pytest.mark.parametrize(
    ("values", "known", "said"),
    [
        ([], [], []), ([b"1"], [b"1"], []), ([b"1", b"2"], [b"1", b"3"], [b"1", b"2"]),
        ([b"0", b"2"], [b"1", b"2"], [b"0"]),
    ],
)  # fmt: skip
def test_what_is_known_at_the_end_is_left_out(
    values: list[bytes], known: list[bytes], said: list[bytes]
) -> None:
    assert changed(values, known) == said


def test_the_wait_list_is_kept_of_no_launch() -> None:
    told = Told(launch(ARGUMENTS)._replace(waits=[1, 2, 3]))
    assert told.message == launch(ARGUMENTS)
