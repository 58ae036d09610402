"""pyopencl's own tests pass on the cluster where they pass natively, and what says so works.

Owns: running `run_pyopencl_suite`, quick files each time, all files and other versions of pyopencl
when asked. In CI it fails when the tests can't be fetched; elsewhere it skips without a network.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import processes
from tests.api import run_pyopencl_suite as suite
from tests.api.suite_outcomes import PROCESS, Outcome
from tests.api.suite_sources import is_unreachable

suite_timeout_s = 5400.0


def _run(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, suite.__file__, *arguments],
        env=processes.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=suite_timeout_s,
        check=False,
    )
    if done.returncode == suite.UNREACHABLE and not os.environ.get("CI"):
        pytest.skip(done.stdout.strip().splitlines()[-1])
    assert done.returncode == 0, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
    print(done.stdout)


def test_the_quick_files_pass_where_they_pass_natively() -> None:
    _run()


@pytest.mark.long
@pytest.mark.parametrize("arguments", [("--all",), ("--oldest",), ("--newest",)], ids=" ".join)
def test_all_files_and_other_versions(arguments: tuple[str, ...]) -> None:
    _run(*arguments)


# The runner's own parts


def test_a_crash_costs_one_test(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text(
        "import os, pytest\n"
        "def test_a(): pass\n"
        "def test_b(): assert 3 == 4\n"
        "@pytest.mark.parametrize('n', [1, 2, 3])\n"
        "def test_c(n): n != 2 or os.kill(os.getpid(), 9)\n"
        "@pytest.mark.xfail(reason='known')\n"
        "def test_d(): assert 0\n"
        "@pytest.fixture\n"
        "def broken():\n    yield\n    assert 0, 'at the end'\n"
        "def test_e(broken): pass\n"
        "def test_f(): pytest.skip('not here')\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.api.suite_recorder"]
    command += ["-p", "no:cacheprovider"]
    run = suite.FileRun(tmp_path / "test_x.py", command, processes.environment())
    run.run(tmp_path / "log")
    outcomes = {name.removeprefix("test_x.py::"): one for name, one in run.outcomes.items()}
    assert {name: one.outcome for name, one in outcomes.items()} == {
        "test_a": "passed", "test_b": "failed", "test_c[1]": "passed", "test_c[2]": "crash",
        "test_c[3]": "passed", "test_d": "xfailed", "test_e": "failed", "test_f": "skipped",
        PROCESS: "passed",
    }  # fmt: skip
    assert outcomes["test_b"].text.startswith("assert 3 == 4")
    assert outcomes["test_c[2]"].text == "ended by SIGKILL"
    assert (outcomes["test_d"].text, outcomes["test_f"].text) == ("known", "Skipped: not here")
    assert "at the end" in outcomes["test_e"].text


def test_a_hang_costs_one_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "test_timeout_s", 3.0)
    hangs_once = (
        "import json, os, signal\n"
        "if not json.load(open(os.environ['SUITE_RECORDER_DONE'])):\n"
        "    out = int(os.environ['SUITE_RECORDER_FD'])\n"
        "    os.write(out, b'{\"started\": \"t.py::test_f\"}\\n')\n"
        "    signal.pause()\n"
    )
    run = suite.FileRun(
        tmp_path / "t.py", [sys.executable, "-c", hangs_once], processes.environment()
    )
    run.run(tmp_path / "log")
    assert run.outcomes == {
        "t.py::test_f": Outcome("hang", "ended by SIGKILL"),
        PROCESS: Outcome("passed"),
    }


@pytest.mark.parametrize(
    ("source", "outcome"),
    [
        ("import os\nos._exit(7)", {PROCESS: Outcome("crash", "ended with 7")}),
        ("import none_such", None),
    ],
    ids=["ends", "raises"],
)
def test_a_file_that_can_not_be_collected_is_told(
    tmp_path: Path, source: str, outcome: dict[str, Outcome] | None
) -> None:
    (tmp_path / "test_x.py").write_text(source)
    command = [sys.executable, "-m", "pytest", "-p", "tests.api.suite_recorder"]
    run = suite.FileRun(tmp_path / "test_x.py", command, processes.environment())
    run.run(tmp_path / "log")
    if outcome is not None:
        assert run.outcomes == outcome
    else:
        assert run.outcomes["test_x.py"].outcome == "failed"
        assert "none_such" in run.outcomes["test_x.py"].text


def test_only_a_connection_that_never_was_is_no_network() -> None:
    none = "ERROR: Could not find a version that satisfies pyopencl (from versions: none)"
    broken = "WARNING: Retrying after connection broken by 'NewConnectionError('refused')': /p\n"
    assert is_unreachable(broken + none)
    assert not is_unreachable(none)
    assert not is_unreachable(broken + "ERROR: No matching distribution (from versions: 1)")
    assert not is_unreachable("WARNING: connection broken by 'ReadTimeoutError(...)'\n")


def test_pip_says_when_there_is_no_network() -> None:
    options = ("--quiet", "--no-deps", "--disable-pip-version-check", "--retries", "1")
    index = ("--index-url", "http://127.0.0.1:9/simple")
    with pytest.raises(suite.Unreachable, match="pyopencl==1"):
        suite.pip("download", *options, *index, "pyopencl==1")


def test_the_oldest_is_the_lower_bound_of_pyproject() -> None:
    text = '[project]\ndependencies = ["numpy>=1", "pyopencl>=2020.1", "pyopencl-x>=3"]'
    assert suite.oldest_supported(text) == "2020.1"
    assert suite.oldest_supported((suite.ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "arguments", [["--all", "test_array.py"], ["test_x.py"], ["--oldest", "--newest"]]
)
def test_wrong_arguments_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        suite.parse(arguments)
    assert "error" in capsys.readouterr().err
