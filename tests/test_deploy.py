"""The systemd units are sound, and deploy/ speaks only of flags and variables that exist.

Owns: checks of the folder deploy/. Must not know: what the daemons do.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))
PROGRAMS = {"vcl-master": "master", "vcl-agent": "node_agent"}
SYSTEMD_ANALYZE = shutil.which("systemd-analyze")
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")

# What the programs themselves read from their environment.
READ_BY_PROGRAMS = {"VCL_MASTER", "VCL_AGENT_TOKEN"}
# What systemd sets for a unit with the directory of that name.
SET_BY_SYSTEMD = {"STATE_DIRECTORY": "StateDirectory"}


def settings(unit: str) -> list[tuple[str, str]]:
    """The key=value lines of a unit, in order; a key may come more than once."""
    lines = [line for line in unit.splitlines() if line and line[0] not in "#;["]
    return [(key, value) for key, _, value in (line.partition("=") for line in lines)]


def values(unit: str, key: str) -> list[str]:
    """What a unit says for a key."""
    return [value for name, value in settings(unit) if name == key]


def variables(environment: str) -> set[str]:
    """The variables that an environment file sets."""
    return set(re.findall(r"^([A-Z_]+)=", environment, re.MULTILINE))


def command_lines(page: str) -> list[tuple[str, set[str]]]:
    """Program and flags of each line in a page's blocks that runs one of our daemons."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    found = []
    for line in "".join(blocks).splitlines():
        words = shlex.split(line, comments=True)
        name = words[0].rpartition("/")[2] if words else ""
        if name in PROGRAMS:
            found.append((name, set(FLAG.findall(line))))
    return found


def verify(unit: Path, folder: Path) -> str:
    """What `systemd-analyze verify` complains of, with a program in place that exists."""
    assert SYSTEMD_ANALYZE is not None
    copy = folder / unit.name
    text = unit.read_text(encoding="utf-8")
    copy.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE))
    result = subprocess.run(
        [SYSTEMD_ANALYZE, "verify", "--man=no", str(copy)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    complaints = result.stdout + result.stderr
    return complaints or ("" if result.returncode == 0 else f"exit code {result.returncode}")


@pytest.fixture(scope="module")
def help_texts() -> dict[str, str]:
    """What each daemon's --help prints, wide enough that no flag is cut, without colours."""
    texts = {}
    for program, package in PROGRAMS.items():
        result = subprocess.run(
            [sys.executable, "-m", package, "--help"], env=os.environ | {"COLUMNS": "200"},
            cwd=DEPLOY.parent, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        texts[program] = re.sub(r"\x1b\[[0-9;]*m", "", result.stdout)
    return texts


def test_there_is_a_unit_for_each_program() -> None:
    assert [unit.stem for unit in UNITS] == sorted(PROGRAMS)


@pytest.mark.skipif(SYSTEMD_ANALYZE is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_accepts(unit: Path, tmp_path: Path) -> None:
    assert verify(unit, tmp_path) == ""


@pytest.mark.skipif(SYSTEMD_ANALYZE is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("bad", ["Restart=perhaps", "NoSuchSetting=yes"])
def test_systemd_would_refuse(bad: str, tmp_path: Path) -> None:
    unit = tmp_path / "original" / "vcl-master.service"
    unit.parent.mkdir()
    unit.write_text(f"[Service]\nExecStart=/nowhere/vcl-master\n{bad}\n")
    assert any(word in verify(unit, tmp_path) for word in bad.split("="))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_units_use_flags_that_exist(unit: Path, help_texts: dict[str, str]) -> None:
    (start,) = values(unit.read_text(encoding="utf-8"), "ExecStart")
    assert start.split()[0] == f"/opt/vcl/bin/{unit.stem}"
    assert set(FLAG.findall(start)) <= set(FLAG.findall(help_texts[unit.stem]))


def test_the_page_uses_flags_that_exist(help_texts: dict[str, str]) -> None:
    lines = command_lines((DEPLOY / "README.md").read_text(encoding="utf-8"))
    assert {program for program, _ in lines} == set(PROGRAMS)
    for program, flags in lines:
        assert flags <= set(FLAG.findall(help_texts[program])), program


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_units_use_variables_that_are_set(unit: Path) -> None:
    text = unit.read_text(encoding="utf-8")
    example = DEPLOY / f"{unit.stem.removeprefix('vcl-')}.env.example"
    from_example = variables(example.read_text(encoding="utf-8"))
    used = set(re.findall(r"\$\{?([A-Z_]+)\b", "".join(values(text, "ExecStart"))))
    from_systemd = {name for name, key in SET_BY_SYSTEMD.items() if values(text, key)}
    assert used <= from_example | variables("\n".join(values(text, "Environment"))) | from_systemd
    assert from_example <= used | READ_BY_PROGRAMS


def test_units_harden_what_the_page_says() -> None:
    for unit in UNITS:
        said = dict(settings(unit.read_text(encoding="utf-8")))
        assert said["NoNewPrivileges"] == said["DynamicUser"] == said["PrivateTmp"] == "yes"
        assert said["ProtectSystem"] == "strict"
        assert said["Restart"] == "on-failure"


def test_the_agent_keeps_its_devices() -> None:
    said = dict(settings((DEPLOY / "vcl-agent.service").read_text(encoding="utf-8")))
    assert said["SupplementaryGroups"].split() == ["video", "render"]
    closing = {"PrivateDevices", "ProtectClock", "DeviceAllow", "DevicePolicy"}
    assert not closing & said.keys()
    assert "MemoryDenyWriteExecute" not in said
