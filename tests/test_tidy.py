"""The rules of the code hold everywhere, and each rule can fail.

Owns: finding the project's files, the table of modules that other tests cover, and a bad snippet
for each rule. Must not know: the rules themselves (`tidy_rules`).
"""

from __future__ import annotations

import subprocess
import tomllib
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests import tidy_rules as rules
from tests.tidy_rules import Module

ROOT = Path(__file__).resolve().parents[1]

COVERED_BY: dict[str, tuple[str, str]] = {
    # Modules without a mirror: the tests that cover them, and why these.
    "*.__main__": ("tests/shell", "is arguments and a process"),
    "*.inputs": ("tests/test_tidy.py", "is records; the tests of its core make them"),
    "*.effects": ("tests/test_tidy.py", "is records; the tests of its core compare them"),
    "vcl": ("tests/vcl/test_swap.py", "is the lazy face, which stands on the swap"),
    "master.checks": ("tests/master/test_sessions.py", "is what a session refuses"),
    "master.ends": ("tests/master/test_hazards.py", "is what a session makes of executors"),
    "master.reports": ("tests/master/plan/test_launches.py", "is what launches write"),
    "master.plan.movement": ("tests/master/plan/test_commands.py", "is what commands bring"),
    "master.access.arguments": ("tests/master/access/test_kernels.py", "is what kernels are given"),
    "master.access.arithmetic": ("tests/master/access/test_kernels.py", "is how kernels reckon"),
    "master.access.loops": ("tests/master/access/test_kernels.py", "is what kernels repeat"),
    "master.access.memory": ("tests/master/access/test_kernels.py", "is what kernels touch"),
    "master.access.builtins": ("tests/master/access/test_kernels.py", "is what kernels call"),
    "master.access.expressions": ("tests/master/access/test_kernels.py", "is what kernels say"),
    "master.access.extents": ("tests/master/access/test_kernels.py", "is what parts touch"),
    "master.access.values": ("tests/master/access/test_kernels.py", "is what kernels know"),
    "master.plan.templates": ("tests/master/plan/test_planner.py", "is plans used again"),
    "master.plan.uses": ("tests/master/plan/test_launches.py", "is what a launch may touch"),
    "master.plan.view": ("tests/master/plan/test_planner.py", "is what planning looks at"),
    "node_agent.driver.*": ("tests/node_agent/test_opencl_driver.py", "is one driver, on PoCL"),
    "vcl.api.errors": ("tests/vcl/api/test_context.py", "is how all of the layer refuses"),
    "vcl.api.runtime": ("tests/vcl/api/test_context.py", "is a protocol; the tests have one"),
    "vcl.ending": ("tests/e2e/test_children.py", "is seen when processes end"),
    "vcl.ids": ("tests/test_tidy.py", "is one constant"),
    "vcl.options": ("tests/shell/test_main.py", "is what all command lines have"),
    "vcl.release": ("tests/test_tidy.py", "is one constant, compared with pyproject.toml here"),
    "vcl.wire.limits": ("tests/test_tidy.py", "is constants, whose names are checked here"),
    "vcl.wire.messages.*": ("tests/vcl/wire/messages/test_golden.py", "has one set of tests"),
    "vcl.transport": ("tests/vcl/transport/test_connection.py", "has one set of tests"),
    "vcl.transport.*": ("tests/vcl/transport/test_connection.py", "has one set of tests"),
    "vcl.pyopencl_cl.*": ("tests/api", "is seen through pyopencl's own Python layer"),
    "vcl.cli.*": ("tests/e2e", "is run as its user runs it"),
}


def _modules(*folders: str) -> list[Module]:
    found = []
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            is_package = parts[-1] == "__init__"
            name = ".".join(parts[:-1] if is_package else parts)
            found.append(Module(name, path.read_text(encoding="utf-8"), is_package))
    return found


OURS = _modules(*rules.PACKAGES)
ALL = OURS + _modules("benchmarks", "examples", "tests")
KNOWN = frozenset(module.name for module in OURS)


def _by_name(module: Module) -> str:
    return module.name


def _none(complaints: list[str]) -> None:
    assert not complaints, "\n" + "\n".join(complaints)


# The project


@pytest.mark.parametrize("module", OURS, ids=_by_name)
def test_imports(module: Module) -> None:
    _none(rules.import_complaints(module, KNOWN))


def test_no_modules_import_each_other() -> None:
    assert rules.import_circles(OURS) == []


@pytest.mark.parametrize("module", OURS, ids=_by_name)
def test_vocabulary(module: Module) -> None:
    _none(rules.vocabulary_complaints(module))


@pytest.mark.parametrize("module", ALL, ids=_by_name)
def test_docstring_and_length(module: Module) -> None:
    _none(rules.docstring_complaints(module) + rules.length_complaints(module))


def test_limits_end_with_their_unit() -> None:
    limits = [module for module in OURS if module.name.endswith(".limits")]
    assert limits
    _none([complaint for module in limits for complaint in rules.limit_complaints(module)])


@pytest.mark.parametrize("module", [*filter(rules.needs_mirror, OURS)], ids=_by_name)
def test_tests_mirror_modules(module: Module) -> None:
    if any((ROOT / path).is_file() for path in rules.mirrors(module)):
        return
    covering = [
        path for pattern, (path, _) in COVERED_BY.items() if fnmatchcase(module.name, pattern)
    ]
    assert covering, f"{module.name} has none of {', '.join(rules.mirrors(module))}"
    for path in covering:
        tests = [ROOT / path] if path.endswith(".py") else list((ROOT / path).glob("test_*.py"))
        assert tests and all(test.is_file() for test in tests), f"{path} has no tests"


@pytest.mark.parametrize("pattern", [*COVERED_BY, *(pattern for pattern, _ in rules.LAYERS)])
def test_tables_name_modules_that_exist(pattern: str) -> None:
    assert any(fnmatchcase(name, pattern) for name in KNOWN)


def test_pyproject_lists_the_packages() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    folders = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for package in rules.PACKAGES
        for path in (ROOT / package).rglob("*.py")
    }
    packages = {module.name for module in OURS if module.is_package}
    assert folders == packages, "a folder with modules lacks __init__.py"
    assert set(pyproject["tool"]["setuptools"]["packages"]) == packages


def test_pyproject_and_package_agree_on_the_version() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    text = (ROOT / "vcl" / "release.py").read_text(encoding="utf-8")
    assert f'VERSION = "{pyproject["project"]["version"]}"\n' in text


def test_no_machine_paths() -> None:
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listing.returncode:
        pytest.skip("not a git checkout")
    complaints = []
    for name in filter(None, listing.stdout.split("\0")):
        path = ROOT / name
        content = path.read_bytes() if path.is_file() else b""
        if b"\0" not in content:
            text = content.decode("utf-8", errors="replace")
            complaints += rules.machine_path_complaints(name, text)
    _none(complaints)


# The rules themselves: a good and a bad snippet for each

Rule = Callable[[Module], list[str]]


@pytest.mark.parametrize(
    ("name", "bad", "good"),
    [
        ("vcl.numbering", "import time", "import struct"),
        ("vcl.numbering", "from os import path", "from ospath import path"),
        ("vcl.numbering", "def f():\n    import socket", "def f():\n    import math"),
        ("vcl.numbering", "import importlib\nimportlib.import_module('os')", "import importlib"),
        ("vcl.numbering", "from time import time", "if TYPE_CHECKING:\n    from time import time"),
        ("vcl.numbering", "if not TYPE_CHECKING:\n    import os", "if 1:\n    import re"),
        ("vcl.numbering", "if TYPE_CHECKING:\n    pass\nelse:\n    import os", "import json"),
        ("master.core", "import pyopencl", "import numpy"),
        ("master.server", "import pyopencl._cl", "import asyncio"),
        ("master.core", "import threading", "import vcl.wire.frame"),
        ("master.server", "import node_agent.core", "import master.core"),
        ("node_agent.daemon", "from master import core", "from node_agent import core"),
        ("node_agent.executor", "import pyopencl", "from node_agent import driver"),
        ("node_agent.driver.library", "import picows", "import pyopencl"),
        ("node_agent.printed", "import pyopencl", "import node_agent.inputs"),
        ("vcl.local", "import master", "import vcl.runtime"),
        ("vcl.transport.fast", "import websockets", "import picows"),
        ("vcl.transport.websocket", "import picows", "from websockets.asyncio import client"),
        ("vcl.runtime", "import msgpack", "import vcl.wire.codec"),
        ("vcl.region", "from vcl.wire import codec", "from vcl import errors"),
        ("vcl.wire.frame", "from .. import numbering", "from . import codec"),
        ("vcl.wire.messages.part", "from ...numbering import x", "from ..codec import x"),
        ("vcl.client_core", "import vcl.transport.memory", "import vcl.numbering"),
        ("vcl.client_core", "import vcl", "import vcl.errors"),
        ("vcl.runtime", "import vcl.pyopencl_cl.event", "import vcl.transport.memory"),
        ("vcl.api.memory", "import vcl.pyopencl_cl.event", "import vcl.client_core"),
        ("vcl.api.memory", "from pyopencl import _cl", "import vcl.wire.messages.session"),
        ("vcl.api", "import numpy", "import struct"),
        ("vcl.api.memory", "def f():\n    import numpy", "import os"),
    ],
)  # fmt: skip
def test_the_import_rule_can_fail(name: str, bad: str, good: str) -> None:
    known = {"vcl.errors", "vcl.numbering", "vcl.wire.codec", "master.core", "node_agent.core",
             "node_agent.driver"}  # fmt: skip
    assert rules.import_complaints(Module(name, bad), known)
    assert not rules.import_complaints(Module(name, good), known)


def test_the_rule_on_circles_can_fail() -> None:
    leaf, ends = Module("vcl.leaf", "import math"), Module("vcl.ends", "from vcl import a")
    a = Module("vcl.a", "def f():\n    from vcl.b import x\nfrom vcl import leaf")
    b = Module("vcl.b", "import vcl.c")
    c, straight = Module("vcl.c", "from vcl import a"), Module("vcl.c", "from vcl import leaf")
    assert rules.import_circles([leaf, ends, a, b, c]) == [("vcl.a", "vcl.b", "vcl.c")]
    assert rules.import_circles([leaf, ends, a, b, straight]) == []
    assert rules.import_circles([Module("vcl.a", "import vcl.a")]) == [("vcl.a",)]


def test_relative_imports_are_resolved_from_a_package_too() -> None:
    package = Module("vcl.wire", "from .codec import pack\nfrom ..numbering import x", True)
    assert [name for _, name in rules.imports(package)] == ["vcl.wire.codec", "vcl.numbering"]


@pytest.mark.parametrize(
    "bad",
    [
        "class TaskQueue: ...",
        "class Command:\n    job_id: int",
        "def submit(self, *, worker=None): ...",
        "class Node:\n    def assign(self, jobs): ...",
        "workers_max = 3",
        "if True:\n    def run_task(): ...",
        "A, JOB = 1, 2",
        "async def next(*tasks): ...",
    ],
)
def test_the_vocabulary_rule_can_fail(bad: str) -> None:
    assert rules.vocabulary_complaints(Module("master.core", bad))


def test_the_vocabulary_rule_knows_what_is_public() -> None:
    good = (
        "_tasks = set()\n"
        "class _Job: ...\n"
        "def multitasking(jobless): worker = 1\n"
        "KIND = 'task'\n"
    )
    assert not rules.vocabulary_complaints(Module("master.core", good))
    assert rules.vocabulary_complaints(Module("vcl.wire.messages.part", good))
    assert rules.vocabulary_complaints(Module("master.worker", ""))
    assert rules.words_of("TaskID_max") == ["task", "id", "max"]


@pytest.mark.parametrize(
    ("rule", "bad", "good"),
    [
        (rules.docstring_complaints, "x = 1", '"""Says."""'),
        (rules.length_complaints, "\n" * 401, '"""\nLong because it is a table.\n"""' + "\n" * 401),
        (
            rules.length_complaints,
            "async def f():\n" + "    x = 1\n" * 70,
            "def f():\n    '''It.\n    Long because.'''\n" + "    x = 1\n" * 70,
        ),
        (rules.length_complaints, "def f():\n" + " x = 1\n" * 70, "def f():\n" + " x = 1\n" * 69),
        (rules.limit_complaints, "heartbeat_timeout = 3.0", "heartbeat_timeout_s = 3.0"),
        (rules.limit_complaints, "CHUNK: int = 2 * 2**20", "CHUNK_BYTES_MAX: int = 2 * 2**20"),
        (rules.limit_complaints, "class L:\n    window = 4", "class L:\n    name = 'x4'"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_the_other_rules_can_fail(rule: Rule, bad: str, good: str) -> None:
    assert rule(Module("vcl.wire.limits", bad))
    assert not rule(Module("vcl.wire.limits", good))


@pytest.mark.parametrize("path", ["/wor" "k/main/x", "cd /tm" "p/w", "file:///tm" "p/w/x"])
def test_the_rule_on_machine_paths_can_fail(path: str) -> None:
    assert rules.machine_path_complaints("x", f"see {path} for more")


def test_the_rule_on_machine_paths_lets_others_pass() -> None:
    assert not rules.machine_path_complaints("x", "/tmp/website net" "work/a /work-item")


def test_mirrors_of_a_module() -> None:
    assert rules.mirrors(Module("vcl.wire.frame", "")) == [
        "tests/vcl/wire/test_frame.py",
        "tests/vcl/test_wire_frame.py",
    ]
    assert rules.mirrors(Module("master.core", "")) == ["tests/master/test_core.py"]
    assert rules.mirrors(Module("vcl", "", is_package=True)) == ["tests/vcl/test_init.py"]
    assert rules.needs_mirror(Module("vcl.ids", "x = 1"))
    assert rules.needs_mirror(Module("vcl.wire", "def f(): ...", is_package=True))
    assert not rules.needs_mirror(Module("vcl.wire", "from x import y", is_package=True))
