"""When and where a program's report is told."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vcl import family
from vcl.api import reporting
from vcl.errors import OperatingError

ROW = ["f", "whole", 1, 1, 0, 5, 5, 0, 5, "why"]


class Stub:
    """A session that may be dead, or die as it is asked."""

    def __init__(self, dead: str | None = None, fails: bool = False) -> None:
        self.dead, self._fails, self.asked = dead, fails, 0

    def new_id(self) -> int:
        return 7

    def ask(self, message: Any) -> Any:
        self.asked += 1
        if self._fails:
            raise OperatingError(-2, "the session is over")
        return SimpleNamespace(rows=[ROW])


@pytest.fixture(autouse=True)
def nothing_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "_told", [])
    monkeypatch.setattr(family, "current", lambda: None)


def tell(stub: Stub) -> None:
    session: Any = stub
    reporting.tell(session)


@pytest.mark.parametrize("value", ["", "0", "no", "False"])
def test_nobody_asks_where_it_is_not_wanted(
    value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VCL_REPORT", value)
    stub = Stub()
    tell(stub)
    assert not stub.asked and capsys.readouterr() == ("", "")


def test_it_goes_to_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VCL_REPORT", "1")
    tell(Stub())
    out, err = capsys.readouterr()
    assert not out and "f, whole: why" in err


def test_a_file_has_all_sessions_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VCL_REPORT", str(tmp_path / "r.json"))
    tell(Stub())
    tell(Stub())
    assert len(json.loads((tmp_path / "r.json").read_text())) == 2


def test_a_child_has_a_file_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VCL_REPORT", str(tmp_path / "r.html"))
    monkeypatch.setattr(family, "current", lambda: family.Family(1, 1, "folder"))
    tell(Stub())
    assert [path.name for path in tmp_path.iterdir()] == [f"r.{os.getpid()}.html"]


@pytest.mark.parametrize(
    ("stub", "value", "problem"),
    [
        (Stub(dead="the master is gone"), "1", "the master is gone"),
        (Stub(fails=True), "1", "the session is over"),
        (Stub(), "/nonexistent/r.json", "No such file"),
    ],
)
def test_what_goes_wrong_is_a_line(
    stub: Stub,
    value: str,
    problem: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("VCL_REPORT", value)
    tell(stub)
    err = capsys.readouterr().err
    assert err.startswith("vcl: no report: ") and problem in err and err.count("\n") == 1
