"""Writes the stubs of vcl: `python tests/types/make_stubs.py`, after pyopencl has new names.

Owns: which names a stub has, and its text. Must not know: how a type checker is run.

A checker can't see through `vcl.__getattr__`, nor that `vcl.array` is pyopencl's. So a stub says
where each name comes from, and the types stay those of the pyopencl that is installed. It has a
star, for names that a later pyopencl adds, and each name by itself: the oldest pyopencl that we
support has no types, and a star brings nothing from such a package, while names by themselves count
as Any. Only names that pyopencl itself gives to others are in it: those of `__all__`, and the
public ones that a module defines, but not what it has imported from elsewhere.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

HEAD = """\
# ruff: noqa
# Says to type checkers that these names are pyopencl's, with its types; it is never run.
# Made by tests/types/make_stubs.py from the names of pyopencl {version}: change that, not this.
"""


def pyopencl_folder() -> Path:
    """Where pyopencl is installed; it isn't imported."""
    spec = importlib.util.find_spec("pyopencl")
    assert spec is not None and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


def public_modules(folder: Path) -> Iterator[tuple[str, Path]]:
    """The dotted names, below the package, of the modules without an underscore, and their files;
    the package itself is the empty name."""
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
        if not any(part.startswith("_") for part in parts):
            yield ".".join(parts), path


def given_names(source: str) -> list[str]:
    """What a module gives to others: its `__all__`, and the public names that it defines."""
    found: set[str] = set()
    for node in _statements(ast.parse(source).body):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {name.id for target in targets for name in _names(target)}
            found |= names
            if "__all__" in names:
                assert node.value is not None
                exported = ast.literal_eval(node.value)
    public = {name for name in found if not name.startswith("_")}
    return sorted(public | set(exported if "__all__" in found else ()))


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Of a module's top level, also under `if` and `try`."""
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try):
            yield from _statements([*node.body, *node.orelse])


def _names(target: ast.expr) -> Iterator[ast.Name]:
    """That an assignment binds."""
    if isinstance(target, ast.Name):
        yield target
    elif isinstance(target, ast.Tuple):
        for element in target.elts:
            yield from _names(element)


def _imports(module: str, names: Iterable[str]) -> list[str]:
    return [f"from {module} import {name} as {name}" for name in names]


def stub_of(module: str, source: str) -> str:
    """The stub of a module below pyopencl, whose text this is."""
    full = f"pyopencl.{module}"
    return "\n".join([f"from {full} import *", *_imports(full, given_names(source))]) + "\n"


def stub_of_package(source: str, own: dict[str, str], exported: list[str]) -> str:
    """The stub of vcl itself. source: of pyopencl. own: vcl's own names, and where they are
    defined. exported: vcl's `__all__`."""
    lines = [
        "from pyopencl import *",
        # Which has two underscores, so that a star doesn't bring it, and vcl gives it all the same.
        *_imports("pyopencl", [*given_names(source), "__version__"]),
        # They are loaded with pyopencl.
        *_imports("vcl", ["cltypes", "compyte", "tools", "typing", "version"]),
        "from vcl.release import VERSION as __vcl_version__",
        *(line for name, module in sorted(own.items()) for line in _imports(module, [name])),
        f"__all__ = {exported!r}",
    ]
    return "\n".join(lines) + "\n"


def stubs() -> dict[str, str]:
    """The texts of all stubs, by their paths below the folder of vcl."""
    import vcl

    head = HEAD.format(version=version("pyopencl"))
    made = {}
    for module, path in public_modules(pyopencl_folder()):
        source = path.read_text(encoding="utf-8")
        name = module.replace(".", "/")
        if path.stem == "__init__":
            name = f"{name}/__init__".lstrip("/")
        text = stub_of(module, source) if module else stub_of_package(source, vcl._OWN, vcl.__all__)
        made[f"{name}.pyi"] = head + text
    return made


def main() -> None:
    """Write them all, and take away those of modules that pyopencl has no more."""
    folder, made = ROOT / "vcl", stubs()
    for path in folder.rglob("*.pyi"):
        if str(path.relative_to(folder)) not in made:
            path.unlink()
    for name, text in made.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
