"""Who belongs to whom, by the environment alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import run_program
from vcl import family

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VCL_RUN", "VCL_EMBEDDED", "VCL_HIDDEN_VENDORS", "OCL_ICD_VENDORS", "PYTHONPATH"):
        monkeypatch.setenv(name, "")  # so that what a test sets is undone
        monkeypatch.delenv(name)


def test_when_a_process_started() -> None:
    mine = family.started(os.getpid())
    assert mine and mine == family.started(os.getpid())
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        begun = family.started(child.pid)
        assert begun is not None and begun >= mine
    finally:
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert family.started(child.pid) is None, "a zombie has ended"
        child.communicate()
    assert family.started(child.pid) is None


def test_the_first_begins_a_family_and_others_are_born_into_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert family.current() is None
    begun = family.begin()
    assert begun.pid == os.getpid()
    assert Path(begun.folder).parent == tmp_path and not list(tmp_path.iterdir())
    assert family.begin() == family.current() == begun
    done = run_program(
        "import vcl.family; print(vcl.family.begin())", VCL_EMBEDDED=os.environ["VCL_EMBEDDED"]
    )
    assert done.stdout == f"{begun}\n", done.stderr


@pytest.mark.parametrize("value", ["", "x", "1", "1:2", "1:2:", "a:b:/c", "PID:1:/c"])
def test_a_family_that_is_none_or_has_ended(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    value = value.replace("PID", str(os.getpid()))
    monkeypatch.setenv("VCL_EMBEDDED", value)
    assert family.current() is None
    assert family.begin().pid == os.getpid()
    assert os.environ["VCL_EMBEDDED"] != value


def test_importing_vcl_begins_and_ends_without_a_trace(tmp_path: Path) -> None:
    done = run_program("import vcl, os; print(os.environ['VCL_EMBEDDED'])", TMPDIR=str(tmp_path))
    assert str(tmp_path) in done.stdout and done.stderr == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "before",
    [
        {},
        {"PYTHONPATH": "/one:/two", "OCL_ICD_VENDORS": "/drivers", "OTHER": "x"},
        {"OCL_ICD_VENDORS": ""},
    ],
)
def test_what_children_get_is_taken_out_again(
    monkeypatch: pytest.MonkeyPatch, before: dict[str, str]
) -> None:
    for name, value in before.items():
        monkeypatch.setenv(name, value)
    family.hand_swap_to_children()
    startup = str(ROOT / "vcl" / "startup")
    assert os.environ["VCL_RUN"] == startup
    once = dict(os.environ)
    first, _, rest = once["PYTHONPATH"].partition(":")
    assert (first, rest) == (startup, before.get("PYTHONPATH", ""))
    assert not Path(once["OCL_ICD_VENDORS"]).exists()
    family.hand_swap_to_children()  # as `vcl run` below `vcl run`
    assert dict(os.environ) == once

    outside = family.outside(once | dict.fromkeys(
        ("VCL_MASTER", "VCL_TOKEN", "VCL_AGENT_TOKEN", "VCL_EMBEDDED"), "x"
    ))
    assert not [name for name in outside if name.startswith("VCL_")]
    for name in ("PYTHONPATH", "OCL_ICD_VENDORS", "OTHER"):
        assert outside.get(name, "") == before.get(name, "")
    assert family.outside(outside) == outside


def test_a_choice_of_drivers_below_vcl_run_is_kept() -> None:
    """By a program that wants a child to use the local driver."""
    family.hand_swap_to_children()
    assert family.outside(os.environ | {"OCL_ICD_VENDORS": "/own"})["OCL_ICD_VENDORS"] == "/own"
