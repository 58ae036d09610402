"""Writing kernels' text by whatever sys.stdout is."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest

from vcl import stdout


def test_it_is_written_and_flushed(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "utf-8"))
    stdout.write("ä")
    assert raw.getvalue() == "ä".encode()


def test_what_the_encoding_lacks_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "ascii"))
    stdout.write("a\ufffdb")
    assert raw.getvalue() == b"a?b"


class Broken(io.StringIO):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def write(self, text: str) -> int:
        raise self._error


def test_where_nobody_listens_it_is_dropped(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    closed = io.StringIO()
    closed.close()
    with monkeypatch.context() as patch:
        for out in (None, closed, Broken(BrokenPipeError())):
            patch.setattr(sys, "stdout", out)
            stdout.write("text")
    assert capsys.readouterr() == ("", "")


def test_a_programs_own_error_is_shown(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Broken(ZeroDivisionError("of the program's")))
        stdout.write("text")
    assert "ZeroDivisionError: of the program's" in capsys.readouterr().err
