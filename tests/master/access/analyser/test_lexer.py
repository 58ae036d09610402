"""Tokens are C's, numbers in one piece; continued lines and comments are gone before them."""

from __future__ import annotations

from copy import copy

import pytest

from master.access.analyser.lexer import LINE, Lexer, LineLexer, logical_lines, taken_apart
from master.access.analyser.text import Unreadable


def lexed(text: str) -> list[tuple[str, str]]:
    lexer = Lexer()
    lexer.input(text)
    return [(token.type, token.value) for token in lexer]


@pytest.mark.parametrize("number", "1.f 1E5f .5 1.0E-5 0x1p+3 1. 0x1.8p1f 1e".split())
def test_a_number_is_one_token(number: str) -> None:
    assert lexed(number) == [("CPP_FLOAT", number)]


@pytest.mark.parametrize("number", ["1", "0x1F", "07", "1u", "1UL", "1L"])
def test_integers_are_told_apart(number: str) -> None:
    assert lexed(number) == [("CPP_INTEGER", number)]


def test_the_longest_mark_is_taken() -> None:
    marks = "<<= << <= < -> -- -= ... . ## # ^= ++ && ||".split()
    for mark in marks:
        assert [value for _, value in lexed(f"a{mark}b")] == ["a", mark, "b"]


def test_lines_are_counted() -> None:
    lexer = Lexer()
    lexer.input("a\nb\n\nc")
    assert [(t.value, t.lineno) for t in lexer if t.value != "\n"] == [("a", 1), ("b", 2), ("c", 4)]


def test_a_copy_has_its_own_list_of_macros() -> None:
    lexer = Lexer()
    lexer.input("a")
    token = next(lexer)
    token.expanded_from = ["A"]
    other = copy(token)
    other.expanded_from.append("B")
    assert token.expanded_from == ["A"]


def test_lines_that_are_no_directives_are_one_token() -> None:
    lexer = LineLexer()
    lexer.input('  a("#", \'"\');\n# define A\n\n b')
    found = list(lexer)
    lines = [token for token in found if token.type == LINE]
    assert [(t.value, t.lineno) for t in lines] == [("  a(\"#\", '\"');", 1), (" b", 4)]
    assert [t.value for t in found if t.lineno == 2 and t.value.strip()] == ["#", "define", "A"]
    lines[1].source = "f"
    assert [(t.value, t.lineno, t.source) for t in taken_apart(lines[1])] == [
        (" ", 4, "f"),
        ("b", 4, "f"),
    ]


@pytest.mark.parametrize("text", ["a ` b", "a 'b", 'a "b', "a @ b", "''"])
def test_a_line_that_is_not_all_tokens_is_refused_whole_or_apart(text: str) -> None:
    for lexer in (Lexer(), LineLexer()):
        lexer.input(text)
        with pytest.raises(Unreadable):
            list(lexer)


@pytest.mark.parametrize("text", ["a # b", "a \\ b", "a // b", "a /* b */ c"])
def test_other_lines_are_taken_apart_at_once(text: str) -> None:
    lexer = LineLexer()
    lexer.input(text)
    assert [(t.type, t.value) for t in lexer] == lexed(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a \\\n b\nc", "a  b\n\nc"),
        ("a/* x\n y */b\nc", "a b\n\nc"),
        ("// a \\\n b\nc", " \n\nc"),
        ('"a\\\nb" c\nd', '"ab" c\n\nd'),
        ('"/*" \'//\' x', '"/*" \'//\' x'),
        ("a\r\nb\fc", "a\nb c"),
    ],
)
def test_logical_lines(text: str, expected: str) -> None:
    assert logical_lines(text) == expected


@pytest.mark.parametrize("text", ["/* a", "é", "%:", "??=", "a\rb", '"é"', "\0"])
def test_what_compilers_read_in_different_ways_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        logical_lines(text)
