"""What type checkers and editors make of programs that import vcl.

Owns: running mypy, pyright (as basedpyright, which is pyright in a wheel) and jedi on the programs
of `programs`, and the comparison with the same programs of pyopencl. Must not know: pyopencl's
types.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jedi
import pytest

from tests.types import make_stubs

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(__file__).parent / "programs"

Found = dict[str, set[tuple[int, str]]]
"""By file name: the lines with an error, and the kind of error."""


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """By this Python, at the root, where a checker finds vcl as a program's would."""
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, env={**os.environ, **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def mypy(folder: Path, settings_more: str = "") -> Found:
    """What `mypy --strict` complains of in a folder's programs, and of nothing else."""
    settings = folder / "mypy.ini"
    settings.write_text(f"[mypy]\nstrict = true\n{settings_more}")
    ended = run(
        "mypy", "--config-file", str(settings), "--cache-dir", str(folder.parent / "mypy"),
        "--no-error-summary", *map(str, folder.glob("*.py")),
    )  # fmt: skip
    assert ended.returncode in (0, 1) and not ended.stderr, ended.stderr + ended.stdout
    found: Found = {path.name: set() for path in folder.glob("*.py")}
    for path, line, kind in re.findall(r"^(.+?):(\d+): error: .*\[(.+)\]$", ended.stdout, re.M):
        if Path(path).name in found:
            found[Path(path).name].add((int(line), kind))
    return found


def pyright(folder: Path) -> Found:
    """What pyright complains of."""
    settings = {"include": ["."], "extraPaths": [str(ROOT)], "typeCheckingMode": "standard"}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    ended = run(
        "basedpyright", "--project", str(folder / "pyrightconfig.json"),
        "--pythonpath", sys.executable, "--level", "error", "--outputjson",
    )  # fmt: skip
    assert ended.returncode in (0, 1), ended.stderr + ended.stdout
    answer: dict[str, Any] = json.loads(ended.stdout)
    found: Found = {path.name: set() for path in folder.glob("*.py")}
    assert answer["summary"]["filesAnalyzed"] == len(found)
    for error in answer["generalDiagnostics"]:
        place = (error["range"]["start"]["line"] + 1, error.get("rule", ""))
        found[Path(error["file"]).name].add(place)
    return found


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_programs(checker: Callable[[Path], Found], tmp_path: Path) -> None:
    """One test, as a checker takes seconds to begin with."""
    for path in PROGRAMS.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        (tmp_path / path.name).write_text(text, encoding="utf-8")
        if not path.stem.endswith("own"):
            plain = re.sub(r"\bvcl\b", "pyopencl", text)
            (tmp_path / f"{path.stem}_plain.py").write_text(plain, encoding="utf-8")
    found = checker(tmp_path)
    assert found["right.py"] == found["right_own.py"] == set()
    for name in ("wrong.py", "wrong_own.py"):
        lines = (PROGRAMS / name).read_text(encoding="utf-8").splitlines()
        marked = {number for number, line in enumerate(lines, 1) if "  # wrong" in line}
        assert marked and {number for number, _ in found[name]} == marked
    assert found["right_plain.py"] == found["right.py"], "as pyopencl's"
    assert found["wrong_plain.py"] == found["wrong.py"], "as pyopencl's"


def test_a_right_program_passes_where_pyopencl_has_no_types(tmp_path: Path) -> None:
    """As the oldest that we support: its names are Any."""
    text = (PROGRAMS / "right.py").read_text(encoding="utf-8")
    (tmp_path / "right.py").write_text(text, encoding="utf-8")
    untyped = "[mypy-pyopencl.*]\nfollow_imports = skip\n"
    assert mypy(tmp_path, untyped) == {"right.py": set()}
    (tmp_path / "right.py").write_text(f"{text}\ncl.NoSuchName\n", encoding="utf-8")
    line = len(text.splitlines()) + 2
    assert mypy(tmp_path, untyped) == {"right.py": {(line, "attr-defined")}}


def test_our_own_module_passes_behind_its_stub() -> None:
    """Where both are found, mypy checks the stub only."""
    ended = run("mypy", "vcl/__init__.py")
    assert ended.returncode == 0, ended.stdout + ended.stderr


def names_of(stub: str) -> set[str]:
    """That a stub gives one by one."""
    found = set()
    for node in ast.parse((ROOT / "vcl" / stub).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            found |= {alias.asname for alias in node.names if alias.asname is not None}
    return found


def test_the_stubs_are_as_they_are_made() -> None:
    made = make_stubs.stubs()
    there = {str(path.relative_to(ROOT / "vcl")) for path in (ROOT / "vcl").rglob("*.pyi")}
    if f"pyopencl {version('pyopencl')}:" in (ROOT / "vcl" / "__init__.pyi").read_text("utf-8"):
        assert there == set(made)
        for name, text in made.items():
            text_there = (ROOT / "vcl" / name).read_text(encoding="utf-8")
            assert text_there == text, f"run python tests/types/make_stubs.py: {name} is old"
    else:
        # Another pyopencl: its new names come by the stars, but a new module has no stub.
        assert set(made) <= there, "run python tests/types/make_stubs.py"


def test_vcl_has_the_names_of_its_stub_and_no_others() -> None:
    code = """
import json, types, vcl, pyopencl
print(json.dumps([dir(vcl), pyopencl.__all__, vcl.__all__, pyopencl.__file__]))
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    there, exported, own, file = json.loads(ended.stdout)
    imported = set()  # by pyopencl, from elsewhere
    for node in ast.walk(ast.parse(Path(file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            imported |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    public = {name for name in there if not name.startswith("_") and name not in imported}
    # Names of OpenGL are known, as in pyopencl, where a driver needn't have them either.
    expected = public | {*exported, *own, "__version__"}
    stub = names_of("__init__.pyi")
    if f"pyopencl {version('pyopencl')}:" in (ROOT / "vcl" / "__init__.pyi").read_text("utf-8"):
        assert stub == expected
    else:
        assert stub | {*exported} >= {*exported, *own}


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("import vcl as cl\ncl.Buf", "Buffer"),
        ("import vcl as cl\ncl.launch_", "launch_report"),
        ("import vcl as cl\ncl.launch_report(event).mo", "mode"),
        ("import vcl as cl\ncl.create_some_context().dev", "devices"),
        ("import vcl as cl\ncl.arr", "array"),
        ("import vcl.array\nvcl.array.to_de", "to_device"),
        ("import vcl.clm", "clmath"),
    ],
)
def test_an_editor_completes_names(code: str, name: str) -> None:
    script = jedi.Script(code, project=jedi.Project(ROOT))
    assert [completion.name for completion in script.complete()] == [name]


def test_an_editor_shows_the_arguments() -> None:
    script = jedi.Script("import vcl as cl\ncl.Buffer(", project=jedi.Project(ROOT))
    (signature,) = script.get_signatures()
    assert [argument.name for argument in signature.params][:2] == ["context", "flags"]


def test_names_that_a_module_gives() -> None:
    source = """
import os
from sys import path
try:
    one = 1
except ValueError:
    pass
if os:
    def two(): three = 3
else:
    four, (five, _six) = 4, (5, 6)
class Seven: eight = 8
nine: int
__all__ = ["path", "_ten"]
"""
    names = "one two four five Seven nine path _ten"
    assert make_stubs.given_names(source) == sorted(names.split())
    assert make_stubs.given_names("eleven = 11") == ["eleven"]
