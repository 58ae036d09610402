"""Prints the lowest version of each requirement in pyproject.toml, as constraints for pip.

    python tests/lowest.py > lowest.txt && pip install -c lowest.txt ".[dev,test]"

Owns: reading the requirements. Must not know: what is run on them (`.ci/run` does). What they
require in turn isn't held down: pip takes the newest of that, as it does for our users.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def requirements(project: dict[str, object]) -> list[Requirement]:
    """All of a [project] table, of its extras too, but for its extras by name."""
    extras = project.get("optional-dependencies", {})
    assert isinstance(extras, dict)
    lists = [project.get("dependencies", []), *extras.values()]
    found = [Requirement(line) for lines in lists for line in lines]  # type: ignore[attr-defined]
    return [requirement for requirement in found if requirement.name != project["name"]]


def constraints(project: dict[str, object]) -> list[str]:
    """`name==version` for each; a requirement without a lower bound is an error."""
    lines = set()
    for requirement in requirements(project):
        bounds = [part.version for part in requirement.specifier if part.operator == ">="]
        if len(bounds) != 1:
            raise ValueError(f"{requirement}: has no lower bound")
        lines.add(f"{requirement.name}=={bounds[0]}")
    return sorted(lines, key=str.lower)


def main() -> None:
    """Print them, one a line."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    print("\n".join(constraints(project)))


if __name__ == "__main__":
    main()
