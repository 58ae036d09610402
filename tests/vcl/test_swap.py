"""Importing vcl: what it loads, and what `pyopencl` means in a process from then on.

Each test is a fresh interpreter; none of them connects to a cluster.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vcl import swap

ROOT = Path(__file__).resolve().parents[2]


def run(code: str) -> str:
    """What a program prints; fails with its traceback if it does."""
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_importing_vcl_loads_next_to_nothing() -> None:
    code = "import sys; old = set(sys.modules); import vcl; print(*sorted(set(sys.modules) - old))"
    loaded = run(code).split()
    ours = {name for name in loaded if name.partition(".")[0] in ("vcl", "master", "node_agent")}
    assert ours == {"vcl", "vcl.ending", "vcl.family", "vcl.swap", "vcl.release"}
    heavy = {
        "asyncio", "concurrent", "ctypes", "logging", "msgpack", "numpy", "pydantic", "pyopencl",
        "rich", "socket", "ssl", "subprocess", "threading", "typer", "websockets",
    }  # fmt: skip
    assert not heavy & {name.partition(".")[0] for name in loaded}
    assert len(loaded) < 100, "of the standard library, whose own imports differ by installation"


def test_importing_the_wire_loads_no_pyopencl() -> None:
    code = "import sys, vcl.links, vcl.wire.messages.part; print('pyopencl' in sys.modules)"
    assert run(code) == "False\n"


def test_pyopencl_means_the_cluster_after_vcl() -> None:
    code = """
import vcl
import pyopencl, pyopencl._cl
from vcl.swap import Finder
print(type(pyopencl._cl.__spec__.loader) is Finder, pyopencl._cl.__spec__.origin)
print(vcl.Buffer is pyopencl.Buffer, vcl.mem_flags is pyopencl.mem_flags)
print("Program" in dir(vcl) and "connect" in dir(vcl))
"""
    assert run(code) == "True vcl\nTrue True\nTrue\n"


def test_a_name_is_kept_until_pyopencl_s_is_replaced() -> None:
    code = """
import importlib, sys
import vcl, pyopencl
before = vcl.Buffer, vcl.enqueue_copy
print("Buffer" in vars(vcl))
pyopencl.Buffer = 5
print(vcl.Buffer)
vcl.Buffer = 6
pyopencl.Buffer = 7
print(vcl.Buffer, pyopencl.Buffer)
del vcl.Buffer
print(vcl.Buffer)
del pyopencl.Buffer
print(hasattr(vcl, "Buffer"))
pyopencl.Buffer = before[0]
importlib.reload(pyopencl)
print(vcl.enqueue_copy is pyopencl.enqueue_copy is not before[1], vcl.Buffer is before[0])
from vcl import links
print(vcl.links is links is sys.modules["vcl.links"])
print(importlib.reload(vcl) is vcl, vcl.Buffer is pyopencl.Buffer)
pyopencl.Buffer = 8
print(vcl.Buffer)
"""
    assert run(code).splitlines() == [
        "True",
        "5",
        "6 7",
        "7",
        "False",
        "True True",
        "True",
        "True True",
        "8",
    ]


@pytest.mark.parametrize("first", ["vcl", "pyopencl"])
def test_a_submodule_exists_once_under_both_names(first: str) -> None:
    code = f"""
import vcl, sys
import {first}.array, {first}.characterize
import vcl.array, pyopencl.array, vcl.characterize, pyopencl.characterize
import vcl.characterize.performance, pyopencl.characterize.performance
print(vcl.array is pyopencl.array, sys.modules["vcl.array"] is sys.modules["pyopencl.array"])
print(vcl.array.Array is pyopencl.array.Array, pyopencl.array.__name__)
print(pyopencl.array.__spec__.name, pyopencl.characterize.__spec__.name)
print(vcl.characterize.performance is pyopencl.characterize.performance)
"""
    assert run(code).splitlines() == [
        "True True",
        "True pyopencl.array",
        "pyopencl.array pyopencl.characterize",
        "True",
    ]


def test_a_submodule_that_neither_has() -> None:
    code = """
import vcl
try:
    import vcl.nonesuch
except ModuleNotFoundError as error:
    print(error.name)
try:
    vcl.nonesuch
except AttributeError as error:
    print(error)
"""
    lines = run(code).splitlines()
    assert lines[0] == "vcl.nonesuch"
    assert "nonesuch" in lines[1]


def test_a_process_that_loaded_the_driver_is_told_so() -> None:
    code = """
import pyopencl, sys
for use in ("import vcl", "import vcl as cl", "from vcl import connect", "import vcl.array"):
    try:
        exec(use)
    except ImportError as error:
        print(error)
print(pyopencl._cl.__file__ is not None, "vcl" in sys.modules)
"""
    lines = run(code).splitlines()
    assert len(lines) == 5 and lines[4] == "True False"
    for line in lines[:4]:
        assert "pyopencl was imported before vcl" in line
        assert "Put `import vcl` before the first `import pyopencl`" in line
        assert "vcl run" in line


def test_a_node_gets_the_driver_though_it_imports_vcl() -> None:
    code = """
import vcl
from node_agent.driver.library import load_pyopencl
cl = load_pyopencl()
print(cl.__name__, cl._cl.__file__.endswith(".so"), load_pyopencl() is cl)
"""
    assert run(code) == "pyopencl True True\n"


def test_installing_twice_changes_nothing() -> None:
    before = list(sys.meta_path)
    swap.install()
    assert any(isinstance(finder, swap.Finder) for finder in before)
    assert sys.meta_path == before


def test_the_finder_finds_one_module() -> None:
    finder = swap.Finder()
    found = finder.find_spec("pyopencl._cl")
    assert found is not None and found.loader is finder
    for other in ("pyopencl", "pyopencl.array", "_cl", "vcl._cl"):
        assert finder.find_spec(other) is None
