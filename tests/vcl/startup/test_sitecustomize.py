"""The start-up hook, in fresh interpreters that have it on their path."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import environment
from vcl.startup import sitecustomize

ROOT = Path(__file__).resolve().parents[3]
STARTUP = str(ROOT / "vcl" / "startup")


def child(code: str, *paths: Path | str, flags: tuple[str, ...] = (), **more: str) -> list[str]:
    """The lines that a child prints, on standard error too."""
    done = subprocess.run(
        [sys.executable, *flags, "-c", code],
        env=environment()
        | {"PYTHONPATH": ":".join(map(str, [STARTUP, *paths])), "VCL_RUN": STARTUP}
        | more,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    return (done.stdout + done.stderr).splitlines()


def test_it_loads_nothing_of_ours_and_leaves_the_path(tmp_path: Path) -> None:
    code = """
import sys
print([n for n in sys.modules if n.partition(".")[0] in ("vcl", "numpy", "pyopencl")], sys.path[1])
"""
    assert child(code, tmp_path) == [f"[] {tmp_path}"]


def test_pyopencl_and_vcl_are_the_parent_s(tmp_path: Path) -> None:
    """From where the hook lies, though the path says nothing of it or has another."""
    (tmp_path / "vcl").mkdir()
    (tmp_path / "vcl" / "__init__.py").write_text("print('another')")
    code = """
import pyopencl
print(pyopencl._cl.__spec__.origin)
import vcl, sys
print(vcl.__file__, vcl.Buffer is pyopencl.Buffer)
"""
    assert child(code, tmp_path) == ["vcl", f"{ROOT / 'vcl' / '__init__.py'} True"]
    path = child("import sys; print(*sys.path, sep='\\n')", tmp_path)
    assert str(tmp_path) in path and STARTUP not in path


def test_without_the_variable_it_does_nothing() -> None:
    code = "import sys; print([f for f in sys.meta_path if hasattr(f, 'vcl_swaps_pyopencl')])"
    assert child(code, VCL_RUN="") == ["[]"]
    assert "Finder" in child(code)[0]


def test_the_hidden_sitecustomize_runs_and_is_the_module(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("print(__name__, __file__)\nVALUE = 5\n")
    code = "import sitecustomize; print(sitecustomize.VALUE)"
    assert child(code, tmp_path) == [f"sitecustomize {tmp_path / 'sitecustomize.py'}", "5"]


def test_the_hidden_sitecustomize_fails_as_with_python(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("1 / 0\n")
    lines = child("import pyopencl; print(pyopencl._cl.__spec__.origin)", tmp_path)
    assert lines[0] == "vcl"
    assert lines[1] == "Error in sitecustomize; set PYTHONVERBOSE for traceback:"
    assert lines[2] == "ZeroDivisionError: division by zero" and len(lines) == 3


def test_a_python_in_which_vcl_cannot_run(tmp_path: Path) -> None:
    """It goes on until it wants OpenCL, and then doesn't get the local driver."""
    (tmp_path / "msgpack.py").write_text("raise ImportError('no msgpack here')\n")
    (tmp_path / "pydantic.py").write_text("raise ImportError('no pydantic here')\n")
    lines = child("print('lives')\nimport pyopencl", tmp_path)
    assert lines[0] == "lives"
    assert lines[-1].startswith("ImportError: under `vcl run` pyopencl means the cluster, but")
    assert "Install vcl for this Python too" in lines[-1]


@pytest.mark.parametrize("flag", ["-I", "-E", "-S"])
def test_what_a_child_without_the_hook_finds(flag: str) -> None:
    from vcl.family import _NO_VENDORS

    code = f"""
import sys
sys.path += {sys.path!r}
import pyopencl
try:
    print(pyopencl.get_platforms())
except pyopencl.LogicError as error:
    print(error)
"""
    lines = child(code, flags=(flag,), OCL_ICD_VENDORS=_NO_VENDORS)
    assert lines[0].startswith("clGetPlatformIDs failed: PLATFORM_NOT_FOUND_KHR")


def test_the_finder_finds_two_modules() -> None:
    finder = sitecustomize.Finder()
    assert finder.find_spec("vcl").origin == str(ROOT / "vcl" / "__init__.py")
    assert finder.find_spec("pyopencl._cl").origin == "vcl"
    for other in ("pyopencl", "vcl.pyopencl_cl", "sitecustomize"):
        assert finder.find_spec(other) is None
