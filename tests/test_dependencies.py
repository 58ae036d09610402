"""What pyproject.toml requires is imported, what is imported is required, and errors that advise
to install something name a package that can be had.

Owns: the few exceptions, each with its reason. Must not know: versions (`lowest` reads those).
"""

from __future__ import annotations

import ast
import functools
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests import lowest
from tests.tidy_rules import PACKAGES, Module, imports

ROOT = Path(__file__).resolve().parents[1]

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

EXTRAS = PROJECT["optional-dependencies"]

OF_PROGRAMS = ("compression", "fast", "local", "tls")
"""The extras that change what the programs do; the others are for who works on them."""

NOT_IMPORTED = {
    "basedpyright": "is run",
    "build": "is run",
    "ipykernel": "is run, as the documentation says",
    "mako": "pyopencl's own tests import it",
    "mkdocs-material": "is the look of the documentation's site",
    "mkdocstrings": "is a plug-in of mkdocs",
    "mypy": "is run",
    "pocl-binary-distribution": "is a driver, which OpenCL's loader finds",
    "pytest-asyncio": "is a plug-in of pytest",
    "pytest-xdist": "is a plug-in of pytest",
    "ruff": "is run",
    "setuptools": "build runs it",
    "scikit-image": "an example looks for its photograph by find_spec",
}

NOT_REQUIRED = {
    "distributed": "comes with dask[distributed]",
    "matplotlib": "draws one plot, for who asks for it",
    "nbformat": "runs one test, where somebody has it",
}


def names(requirements: list[str]) -> set[str]:
    """The packages that requirements name, those of our extras in their place."""
    found = set()
    for requirement in map(Requirement, requirements):
        if requirement.name == PROJECT["name"]:
            found |= {name for extra in requirement.extras for name in names(EXTRAS[extra])}
        else:
            found.add(canonicalize_name(requirement.name))
    return found


def modules(*folders: str) -> list[Module]:
    """Each parsed module below the folders; its name is its path."""
    return [
        Module(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
    ]


@functools.cache
def imported(*folders: str) -> dict[str, str]:
    """What the modules in these folders import that is neither Python's nor ours: by the
    distribution's name (the module's own where none has it), a module that imports it."""
    distributions = packages_distributions()
    found_modules = modules(*folders)
    beside = {module.name.rpartition("/")[2].removesuffix(".py") for module in found_modules}
    ours = {*PACKAGES, "tests", "benchmarks", "examples", *beside}
    found = {}
    for module in found_modules:
        for _, name in imports(module):
            top = name.partition(".")[0]
            if top and top not in sys.stdlib_module_names and top not in ours:
                for distribution in distributions.get(top, [top]):
                    found[canonicalize_name(distribution)] = module.name
    return found


@pytest.mark.parametrize(
    ("folders", "extras"),
    [
        (PACKAGES, OF_PROGRAMS),
        (("examples",), ("examples",)),
        (("benchmarks",), ("benchmarks",)),
        (("tests",), ("test",)),
    ],
)
def test_what_is_imported_is_required(folders: tuple[str, ...], extras: tuple[str, ...]) -> None:
    required = names(PROJECT["dependencies"]).union(*(names(EXTRAS[extra]) for extra in extras))
    missing = {
        name: where
        for name, where in imported(*folders).items()
        if name not in required and name not in NOT_REQUIRED
    }
    assert not missing


def test_what_is_required_is_imported() -> None:
    programs = imported(*PACKAGES)
    unused = names(PROJECT["dependencies"]) - programs.keys()
    assert not unused, "the programs themselves don't need it: it belongs into an extra, or nowhere"
    everywhere = programs | imported("benchmarks") | imported("examples") | imported("tests")
    required = set().union(*(names(requirements) for requirements in EXTRAS.values()))
    unused = required - everywhere.keys() - NOT_IMPORTED.keys() - {"dask"}
    assert not unused


def test_all_requirements_have_a_lowest_version() -> None:
    assert len(lowest.constraints(PROJECT)) == len(
        {canonicalize_name(requirement.name) for requirement in lowest.requirements(PROJECT)}
    ), "two lowest versions of one package"
    with pytest.raises(ValueError, match="rich"):
        lowest.constraints({"name": "vcl", "dependencies": ["rich<14"]})


def test_errors_advise_what_can_be_installed() -> None:
    """By names of packages (see `how_to_install`) that are in our extras; no extra of ours."""
    known = {name for extra in EXTRAS for name in names(EXTRAS[extra])} | {"ipykernel"}
    advised = set()
    for module in modules(*PACKAGES, "examples"):
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "how_to_install":
                (package,) = node.args
                assert isinstance(package, ast.Constant), module.name
                advised.add(package.value)
        if module.name != "vcl/text.py":
            assert f"{PROJECT['name']}[" not in module.source, module.name
    assert advised and advised <= known
