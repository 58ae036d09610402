"""The checkers that are compiled from annotations, on messages made for this."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import pytest

from vcl.errors import RemoteProtocolError
from vcl.wire import codec


class Everything(NamedTuple):
    """A field of each type that messages have."""

    number: int
    flag: bool
    text: str
    data: bytes
    ratio: float
    numbers: list[int]
    tables: list[list[int]]
    anything: Any
    list_of_anything: list[Any]
    map: dict[str, Any]
    maybe: list[int] | None


class Empty(NamedTuple):
    """No fields."""


BOTH = codec.Conversation("here to there", {7: Everything, 9: Empty})
GOOD: list[Any] = [7, 1, True, "t", b"d", 0.5, [1], [[1], []], None, [None, 2], {"a": 1}, None]


def test_there_and_back() -> None:
    messages = BOTH.unpack([GOOD, [9]])
    assert messages == [Everything(*GOOD[1:]), Empty()]
    assert [list(codec.pack(message)) for message in messages] == [GOOD, [9]]
    assert BOTH.unpack([]) == []


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("number", [-(2**63), 2**64 - 1, 0]),
        ("numbers", [[], [2**63]]),
        ("tables", [[], [[]]]),
        ("anything", [0, [], {}, "x", b"", 1.5]),
        ("list_of_anything", [[], [[], {}]]),
        ("map", [{}, {1: 2}]),
        ("maybe", [None, [], [1]]),
    ],
)
def test_what_fits(field: str, values: list[Any]) -> None:
    for value in values:
        [message] = BOTH.unpack([_with(field, value)])
        assert getattr(message, field) == value


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("number", [True, 1.0, "1", None, 2**64, -(2**63) - 1]),
        ("flag", [0, 1, None, "true"]),
        ("text", [b"t", 1, None]),
        ("data", ["d", bytearray(b"d"), None]),
        ("ratio", [1, "0.5", None]),
        ("numbers", [1, (1,), [True], ["1"], [None], [2**64], [[1]], {}]),
        ("tables", [[1], [[1], 1], [["1"]], None]),
        ("list_of_anything", [None, {}, (), "x"]),
        ("map", [[], None]),
        ("maybe", [1, ["1"], {}, False]),
    ],
)
def test_what_does_not_fit(field: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(RemoteProtocolError, match="here to there: malformed Everything"):
            BOTH.unpack([_with(field, value)])


def _with(field: str, value: Any) -> list[Any]:
    array = list(GOOD)
    array[1 + Everything._fields.index(field)] = value
    return array


@pytest.mark.parametrize("array", [GOOD[:-1], [*GOOD, None], [7], [9, None]])
def test_the_number_of_fields(array: list[Any]) -> None:
    with pytest.raises(RemoteProtocolError, match="malformed"):
        BOTH.unpack([array])


@pytest.mark.parametrize("code", [0, 8, -1, 2**64 - 1])
def test_an_unknown_code(code: int) -> None:
    with pytest.raises(RemoteProtocolError, match=f"unknown message code {code}"):
        BOTH.unpack([[9], [code]])


def test_the_text_names_the_field_and_repeats_nothing_that_came() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        BOTH.unpack([[9, "x" * 10_000]])
    assert str(caught.value) == "here to there: malformed Empty: 1 fields instead of 0"
    with pytest.raises(RemoteProtocolError) as caught:
        BOTH.unpack([_with("tables", [["x" * 10_000]])])
    assert str(caught.value) == "here to there: malformed Everything.tables"


class Rules(NamedTuple):
    """Fields with rules."""

    rows: list[Annotated[list[Any], codec.Row(int, codec.Status, list[str])]]
    choice: Annotated[str, codec.Exactly("this")] | codec.Count | None


RULES = codec.Conversation("by rules", {7: Rules})


@pytest.mark.parametrize(
    ("rows", "choice"),
    [([], None), ([[1, 0, []], [2**63, -(2**31), ["x", "y"]]], "this"), ([], 0), ([], 2**63 - 1)],
)
def test_what_keeps_the_rules(rows: Any, choice: Any) -> None:
    assert RULES.unpack([[7, rows, choice]]) == [Rules(rows, choice)]


@pytest.mark.parametrize(
    ("rows", "choice"),
    [([[]], None), ([[1, 0]], None), ([[1, 0, [], 0]], None), ([[1, 1, []]], None), ([1], None),
     ([[1, -(2**31) - 1, []]], None), ([[True, 0, []]], None), ([[1, 0, [1]]], None),
     ([], "that"), ([], -1), ([], 2**63), ([], True), ([[1, 0, []], [[1]]], None)],
)  # fmt: skip
def test_what_breaks_them(rows: Any, choice: Any) -> None:
    with pytest.raises(RemoteProtocolError, match=r"by rules: malformed Rules\.(rows|choice)"):
        RULES.unpack([[7, rows, choice]])


def test_a_class_has_one_code() -> None:
    with pytest.raises(AssertionError, match="two codes"):
        codec.Conversation("elsewhere", {8: Everything})
    assert codec.Conversation("elsewhere", {7: Everything}).unpack([GOOD])


def test_an_annotation_without_a_check_is_a_programmers_error() -> None:
    class Odd(NamedTuple):
        """Has a field that nothing checks."""

        pair: tuple[int, int]

    odd = codec.Conversation("odd", {1: Odd})
    with pytest.raises(AssertionError, match="no check"):
        odd.unpack([[1, [2, 3]]])
