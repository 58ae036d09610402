"""What `vcl doctor` finds, and what it advises."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.processes import environment, run
from vcl.cli import doctor
from vcl.cli.doctor import Finding

DEVICE = {
    "platform": {"NAME": "a platform"}, "info": {"NAME": " a device "}, "index": 0,
    "device_index": 1,
}  # fmt: skip


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What processes that ask a driver answer, one after the other."""
    kept: list[Any] = []
    monkeypatch.setattr(doctor, "_ask_driver", lambda *arguments: kept.pop(0))
    monkeypatch.setattr(doctor, "GPU_FILES", ())
    return kept


def drivers(needed: bool = True) -> list[Finding]:
    return list(doctor._drivers(needed))


def test_a_device_that_works(answers: list[Any]) -> None:
    answers += [{"devices": [DEVICE], "errors": []}, {"seconds": 0.0123456}]
    assert drivers() == [Finding("ok", "a platform / a device: a kernel ran here in 12.3 ms")]


@pytest.mark.parametrize("answer", [{"problem": "no compiler"}, "no answer within 60 s"])
def test_a_device_that_does_not(answers: list[Any], answer: Any) -> None:
    answers += [{"devices": [DEVICE], "errors": []}, answer]
    (found,) = drivers()
    assert found.state == "wrong" and "broken" in found.advice
    assert found.what.startswith("a platform / a device: ")
    assert found.what.endswith("no compiler" if isinstance(answer, dict) else answer)


@pytest.mark.parametrize("needed", [True, False])
def test_no_device_is_wrong_only_where_one_is_needed(answers: list[Any], needed: bool) -> None:
    answers += [{"devices": [], "errors": [{"where": "platforms", "message": "none found"}]}]
    (found,) = drivers(needed)
    assert found.state == ("wrong" if needed else "note")
    assert "no OpenCL device" in found.what and "(platforms: none found)" in found.what
    assert ("only runs programs" in found.what) != needed
    assert "pip install pocl-binary-distribution" in found.advice


def test_one_driver_of_two_fails(answers: list[Any]) -> None:
    errors = [{"where": "platform 1", "message": "out of memory"}]
    answers += [{"devices": [DEVICE], "errors": errors}, {"seconds": 0.1}]
    assert [(f.state, f.what) for f in drivers()][1] == (
        "wrong", "a driver fails (platform 1: out of memory)",
    )  # fmt: skip


def test_drivers_that_can_not_be_asked(answers: list[Any]) -> None:
    answers += ["the process was ended by SIGSEGV"]
    (found,) = drivers()
    assert found.state == "wrong" and found.what.endswith("ended by SIGSEGV")
    assert "OCL_ICD_VENDORS" in found.advice


def test_a_gpu_that_this_user_may_not_open(
    answers: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answers += [{"devices": [DEVICE], "errors": []}, {"seconds": 0.1}]
    file = tmp_path / "kfd"
    file.touch()
    monkeypatch.setattr(doctor, "GPU_FILES", (str(file), str(tmp_path / "none")))
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    found = drivers()[1]
    assert found.state == "note" and str(file) in found.what
    assert f"usermod -aG {file.group()} " in found.advice


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("print('a driver says hello'); print('{\"a\": 1}'); print('and goodbye')", {"a": 1}),
        ("import os; os.kill(os.getpid(), 11)", "the process was ended by SIGSEGV"),
        ("raise SystemExit('no such thing')", "the process ended with status 1: no such thing"),
        ("pass", "the process ended with status 0: no word"),
    ],
)
def test_asking_a_driver(code: str, answer: Any) -> None:
    assert doctor._ask_driver("-c", code) == answer


def test_a_driver_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "driver_timeout_s", 0.2)
    code = "import signal; signal.pause()"
    assert doctor._ask_driver("-c", code) == "no answer within 0.2 s"


def test_variables_that_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("VCL_")]:
        monkeypatch.delenv(name)
    for name in ("VCL_MASTR", "VCL_XYZZY", "VCL_MASTER", "VCL_TRANSPORT"):
        monkeypatch.setenv(name, "1")
    found = {f.what.partition(" ")[0]: f.advice for f in doctor._settings()}
    assert found == {"VCL_MASTR": "perhaps VCL_MASTER is meant", "VCL_XYZZY": ""}


def test_every_variable_that_is_read_is_known() -> None:
    folder = Path(doctor.__file__).parents[2]
    read: set[str] = set()
    for package in ("vcl", "master", "node_agent"):
        for path in (folder / package).rglob("*.py"):
            words = path.read_text(encoding="utf-8").replace('"', " ").replace("`", " ").split()
            read |= {w for w in words if w.startswith("VCL_") and w.isidentifier() and w != "VCL_"}
    known = {f"VCL_{name}".upper() for name in doctor.Environment.model_fields}
    assert read <= known | {*doctor.OTHER_VARIABLES}


def test_the_trial_runs_without_vcl() -> None:
    code = f"""
import runpy, sys
sys.argv = ["trial.py", "0", "0"]
runpy.run_path({doctor.trial.__file__!r}, run_name="__main__")
sys.exit("vcl" in sys.modules)
"""
    done = run(["-P", "-c", code], environment(), Path(sys.prefix))
    assert done.returncode == 0 and done.stdout.startswith('{"seconds": 0.'), done.stderr


def test_the_trial_notices_wrong_values(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong:
        """A driver whose kernels do nothing."""

        mem_flags = type("Flags", (), {"READ_WRITE": 1, "COPY_HOST_PTR": 32})

        def __getattr__(self, name: str) -> Any:
            return lambda *arguments, **named: self

        def __call__(self, *arguments: Any) -> Any:
            return self

    with pytest.raises(ArithmeticError, match="what it wrote is wrong"):
        doctor.trial.launch(Wrong(), None)
