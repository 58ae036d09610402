"""The parts of the runner of libraries that need neither pip nor a cluster.

Owns: tests of the table, the counts, requirements and arguments. Must not know: what the libraries'
own tests say, which `run_libraries` finds out when asked.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.api.suite_outcomes import PROCESS, Outcome
from tests.libraries import library_table as table
from tests.libraries import run_libraries as runner
from tests.libraries.library_table import LIBRARIES, Library

LIBRARY = Library("x", "1.2", "test", "", "", left_out=(("a/test_2.py", "it draws"),))
GOOD, BAD = Outcome("passed"), Outcome("failed", "no")


def test_libraries_are_pinned_and_unique() -> None:
    names = [library.name for library in LIBRARIES]
    assert len(set(names)) == len(names)
    for library in LIBRARIES:
        assert re.fullmatch(r"\d+(\.\d+)+", library.version)
        assert library.rule and "d = " in library.chosen
        assert all(reason for _, reason in library.left_out)
        assert all(item.reason for item in library.expected)


def test_files_are_those_that_match_without_those_left_out(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in ("a/test_1.py", "a/test_2.py", "test_3.py", "conftest.py"):
        (tmp_path / name).touch()
    assert table.files_of(LIBRARY, tmp_path) == ["a/test_1.py", "test_3.py"]
    together = Library("x", "1.2", "test", "", "", together=True)
    assert table.files_of(together, tmp_path) == ["."]


def test_names_tell_files_of_one_name_apart() -> None:
    outcomes = {"test_x.py::test_a[1/2]": GOOD, PROCESS: BAD}
    assert table.full_names("a/b/test_x.py", outcomes) == {
        "a/b/test_x.py::test_a[1/2]": GOOD,
        PROCESS: BAD,
    }
    assert table.full_names("test_x.py", outcomes) == outcomes
    assert table.full_names(".", outcomes) == outcomes


def test_what_counts_is_what_passes_natively() -> None:
    native = [{"a": GOOD, "b": GOOD, "c": BAD, PROCESS: GOOD}, {"d": GOOD}]
    found = [{"a": GOOD, "b": BAD, "c": GOOD, PROCESS: GOOD}, {}]
    assert table.passed_of(native, found) == (4, 3, 1)


def test_a_library_gets_what_vcl_needs_and_the_pinned_pyopencl() -> None:
    needs = runner.requirements(
        Library("x", "1.2", None, "", "", requires=("mako",)),
        '[project]\ndependencies = ["numpy>=1"]\n[project.optional-dependencies]\n'
        'local = ["pocl>=3"]\nfast = ["uvloop"]\ntest = ["vcl[fast]", "pytest>=8", "pytest-x>=1"]',
    )
    expected = ["numpy>=1", "pocl>=3", "uvloop", "pytest>=8", table.PYOPENCL, "mako", "x==1.2"]
    assert needs == expected


def test_the_cluster_is_what_only_its_devices_see() -> None:
    cluster = {"VCL_MASTER": "ws://host", "VCL_TOKEN": "t"}
    python = Path("python")
    env, command = runner.start(LIBRARY, python, runner.NATIVE, cluster)
    assert command == ["python"] and "VCL_MASTER" not in env and env["ONE_DEVICE"] == "0"
    assert str(runner.PLUGINS[1]) in env["PYTHONPATH"].split(os.pathsep)
    env, command = runner.start(LIBRARY, python, "remote", cluster)
    assert command == ["python", "-m", "vcl.cli.main", "run"]
    assert env["VCL_MASTER"] == "ws://host" and env["ONE_DEVICE"] == "1"


@pytest.mark.parametrize(
    "arguments", [["none_such"], ["--tests", "folder"], ["--tests", "folder", "reikna", "silx"]]
)
def test_wrong_arguments_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        runner.parse(arguments)
    assert "error" in capsys.readouterr().err
