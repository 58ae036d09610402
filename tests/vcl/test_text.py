"""Texts from elsewhere can't forge lines, or grow without end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcl.text import clipped, counted, how_to_install, plain, raised


@given(st.text(), st.integers(0, 50))
def test_a_plain_text_is_one_line_of_printable_characters(text: str, length: int) -> None:
    shown = plain(text, length)
    assert shown.isprintable()
    assert len(shown) <= 10 * length + 40


def test_what_is_plain_stays() -> None:
    assert plain("naïve GPU #1") == "naïve GPU #1"
    assert plain("a\nb\x1b[0m\u202e") == r"a\nb\x1b[0m\u202e"
    assert plain("\ud800") == r"\ud800"


def test_a_long_text_says_how_much_is_missing() -> None:
    assert clipped("abc", 3) == "abc"
    assert clipped("abcdef", 2) == "ab... (4 more characters)"
    assert clipped(clipped("x" * 10_000)) != "x" * 10_000


def test_an_exception_says_what_and_where() -> None:
    try:
        raise KeyError("a\nb")
    except KeyError as error:
        text = raised(error)
    assert text.startswith("KeyError: ") and "\n" not in text
    assert "test_text.py:" in text and text.endswith('raise KeyError("a\\nb")')


def test_numbers_of_things() -> None:
    assert [counted(n, "node") for n in (0, 1, 2)] == ["0 nodes", "1 node", "2 nodes"]


def test_advice_installs_for_this_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/opt/my python/bin/python3")
    assert how_to_install("lz4") == "'/opt/my python/bin/python3' -m pip install lz4"
    monkeypatch.setattr("sys.executable", "")  # in a program that embeds Python
    assert how_to_install("lz4") == "python3 -m pip install lz4"
