"""docs/settings.md has every environment variable and every option, and no others.

Owns: comparing the page with the code. Must not know: what a setting does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import typer

import master.__main__
import master.access.explain
import node_agent.__main__
import vcl.cli.main
from tests.docs.blocks import DOCS, ROOT
from vcl.settings import Environment

PAGE = (DOCS / "settings.md").read_text(encoding="utf-8")
VARIABLE = re.compile(r"\bVCL_[A-Z_]*[A-Z]\b")
# Every command has it; the page says so once.
HELP = {"--help", "-h"}


def sections(page: str) -> dict[str, str]:
    """What is below each heading of the second level."""
    found = re.split(r"^## (.+)$", page, flags=re.MULTILINE)
    return dict(zip(found[1::2], found[2::2], strict=True))


def named(section: str) -> list[str]:
    """The options, or variables, in the first column of a section's tables."""
    cells = re.findall(r"^\| *(`[^|]*`) *\|", section, re.MULTILINE)
    spans = [span for cell in cells for span in re.findall(r"`([^`]+)`", cell)]
    return [span.split()[0] for span in spans]


def options(command: Any) -> set[str]:
    """The options of a command that its --help shows. command: of click, or of what typer has of
    it."""
    return {
        name
        for parameter in command.params
        if parameter.param_type_name == "option" and not parameter.hidden
        for name in (*parameter.opts, *parameter.secondary_opts)
    } - HELP


def commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """A command and those below it, by their whole names."""
    yield name, command
    for below, one in getattr(command, "commands", {}).items():
        yield from commands(f"{name} {below}", one)


def all_commands() -> dict[str, set[str]]:
    """The options of each command of the project that has any."""
    apps = {
        "vcl": vcl.cli.main.app, "vcl-master": master.__main__.app,
        "vcl-agent": node_agent.__main__.app,
    }  # fmt: skip
    found = {
        name: options(command)
        for top, app in apps.items()
        for name, command in commands(top, typer.main.get_command(app))
    }
    # `vcl explain` hands all that it is given to a program of the master's.
    explain = typer.Typer(add_completion=False)
    explain.command()(master.access.explain.run)
    found["vcl explain"] = options(typer.main.get_command(explain))
    return {name: names for name, names in found.items() if names}


def variables_of_the_code() -> set[str]:
    """Those that are named in the packages or the units, or are fields of `Environment`."""
    paths = [path for top in ("vcl", "master", "node_agent") for path in (ROOT / top).rglob("*.py")]
    texts = [path.read_text(encoding="utf-8") for path in [*paths, *(ROOT / "deploy").iterdir()]]
    fields = {f"VCL_{name.upper()}" for name in Environment.model_fields}
    return {name for text in texts for name in VARIABLE.findall(text)} | fields


def option_complaints(page: str, known: Mapping[str, set[str]]) -> list[str]:
    """Where the page's tables of options and the commands differ."""
    found, complaints = sections(page), []
    for command, names in known.items():
        said = named(found.get(command, ""))
        for name in sorted(names ^ set(said)):
            where = "isn't on the page" if name in names else "isn't an option"
            complaints.append(f"{command} {name} {where}")
        if len(said) != len(set(said)):
            complaints.append(f"{command} has an option twice")
    return complaints


def test_every_option_is_there() -> None:
    complaints = option_complaints(PAGE, all_commands())
    assert not complaints, "\n".join(complaints)


def test_every_command_is_known() -> None:
    known = all_commands()
    assert {"vcl info", "vcl run", "vcl kernel install", "vcl-master token"} <= known.keys()
    headings = [heading for heading in sections(PAGE) if heading.startswith("vcl")]
    assert sorted(headings) == sorted(known)


def test_every_variable_is_there() -> None:
    in_tables = {name for name in named(PAGE) if name.startswith("VCL_")}
    known = variables_of_the_code()
    assert known - set(VARIABLE.findall(PAGE)) == set(), "not on the page"
    assert in_tables - known == set(), "not in the code"
    # Those that a program or agent reads have a row, not only a mention.
    assert {f"VCL_{name.upper()}" for name in Environment.model_fields} <= in_tables


@pytest.mark.parametrize("option", ["--listen", "--watch", "-m", "--no-shared-memory", "-D"])
def test_a_missing_option_is_seen(option: str) -> None:
    known = all_commands()
    assert option_complaints(PAGE.replace(f"`{option}", "`--nothing"), known)


def test_a_variable_is_found_in_the_code() -> None:
    assert {"VCL_TRANSPORT", "VCL_MASTER", "VCL_FLAGS"} <= variables_of_the_code()
