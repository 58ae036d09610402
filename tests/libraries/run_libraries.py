"""Tests of libraries that stand on pyopencl, natively and on a cluster of this host, compared.

    python tests/libraries/run_libraries.py [--remote] [--json FILE] [LIBRARY ...]

Owns: a virtual environment for each library, kept in the user's cache, running its tests on each
device, and the report. Must not know: which libraries and tests there are (`library_table`).

Nothing but pip downloads anything. Status: 0 all as expected, 1 a regression or an expected
difference that has gone, 2 wrong arguments, 3 the package index can't be reached, 4 a library can't
be had.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    # In place of this script's folder, whose modules have names of their own under tests.
    sys.path[0] = str(ROOT)

import platformdirs  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.markup import escape  # noqa: E402
from rich.table import Table  # noqa: E402

from tests import processes  # noqa: E402
from tests.api import run_pyopencl_suite as suite  # noqa: E402
from tests.api.suite_outcomes import (  # noqa: E402
    DEVICES,
    PROCESS,
    Comparison,
    Outcome,
    compare,
    summary,
)
from tests.api.suite_sources import Unavailable, Unreachable, pip, source  # noqa: E402
from tests.libraries.library_table import (  # noqa: E402
    LIBRARIES,
    PYOPENCL,
    Library,
    files_of,
    full_names,
    passed_of,
)

KEPT_IN = "libraries"
NATIVE = suite.NATIVE
PLUGINS = (ROOT / "tests" / "api", ROOT / "tests" / "libraries")
"""Where pytest finds our plugins: a library's own tests may be a package called `tests`."""

test_timeout_s = 120.0
choice_timeout_s = 120.0
OFFLINE = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
OFFLINE |= {"no_proxy": "127.0.0.1,localhost"}
"""Of the environment of tests: what would download data finds nobody there."""

Results = dict[str, dict[str, dict[str, Outcome]]]
"""By device and file."""


@dataclass(frozen=True)
class Found:
    """What became of one library: all outcomes, their comparison, the device of its choice."""

    library: Library
    results: Results
    comparison: Comparison
    choice: str


# What pip brings


def requirements(library: Library, pyproject: str) -> list[str]:
    """What the library's virtual environment holds: vcl's needs, PoCL and the library."""
    project = tomllib.loads(pyproject)["project"]
    extras = project["optional-dependencies"]
    ours = [*project["dependencies"], *extras["local"], *extras["fast"]]
    ours += [one for one in extras["test"] if one.partition(">=")[0] == "pytest"]
    return [*ours, PYOPENCL, *library.requires, f"{library.name}=={library.version}"]


def environment_of(library: Library) -> Path:
    """The Python of a virtual environment with the library; made once per user and need."""
    needs = requirements(library, (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    digest = hashlib.sha256("\n".join([sys.version, *needs]).encode()).hexdigest()[:12]
    kept = Path(platformdirs.user_cache_path("vcl")) / KEPT_IN / f"{library.name}-{digest}"
    python, complete = kept / "bin" / "python", kept / "complete"
    if not complete.exists():
        shutil.rmtree(kept, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(kept)], check=True)
        pip("install", "--quiet", *needs, python=str(python))
        complete.touch()
    return python


def tests_of(library: Library, python: Path) -> Path:
    """The folder of the library's tests."""
    assert library.tests is not None
    if not library.in_wheel:
        return source(library.name, library.version, KEPT_IN) / library.tests
    (packages,) = (python.parents[1] / "lib").glob("python*/site-packages")
    return packages / library.tests


# Running


def run_library(
    library: Library,
    python: Path,
    folder: Path,
    devices: Sequence[str],
    variables: Mapping[str, str],
    say: Callable[[str], None],
) -> Results:
    """Run the library's tests natively and on the devices of the cluster of these variables."""
    results: Results = {device: {} for device in (NATIVE, *devices)}
    options = ["-p", "suite_recorder", "-p", "one_device", "-p", "no:cacheprovider"]
    options += ["-q", "--tb=short", *library.options]
    for file in files_of(library, folder):
        for device, outcomes in results.items():
            env, command = start(library, python, device, variables)
            path = folder / file
            run = suite.FileRun(path, [*command, "-m", "pytest", *options], env, test_timeout_s)
            with tempfile.TemporaryDirectory() as name:
                log = Path(name) / "log"
                run.run(log)
                outcomes[file] = full_names(file, run.outcomes)
                tests = [one for name, one in run.outcomes.items() if name != PROCESS]
                say(f"{library.name}, {file}, {device}: {summary(tests)} in {run.seconds:.0f} s")
                if run.outcomes.get(PROCESS) != Outcome("passed"):
                    say(log.read_text(encoding="utf-8", errors="replace")[-3000:])
    return results


def start(
    library: Library, python: Path, device: str, variables: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """The environment and the command, up to Python's own arguments, for one device."""
    env = processes.environment(ONE_DEVICE=str(DEVICES.index(device)) if device != NATIVE else "0")
    env["PYTHONPATH"] += os.pathsep + os.pathsep.join(map(str, PLUGINS))
    env |= OFFLINE | dict(library.variables)
    if device == NATIVE:
        return env, [str(python)]
    return env | dict(variables), [str(python), "-m", "vcl.cli.main", "run"]


def choice_of(library: Library, python: Path, variables: Mapping[str, str]) -> str:
    """The name of the device that the library takes when it sees all of the cluster's."""
    env, command = start(library, python, DEVICES[0], variables)
    source = f"{library.chosen}\nprint('device:', d.name)"
    done = subprocess.run(
        [*command, "-c", source],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=choice_timeout_s,
        check=False,
    )
    _, found, name = done.stdout.rpartition("device: ")
    return name.strip() if found else f"none: {done.stderr.strip()[-300:]}"


# The report


def report(console: Console, found: Sequence[Found], devices: Sequence[str]) -> None:
    """Print a row for each library, then its choice of device and each difference."""
    table = Table(title=f"libraries on {PYOPENCL}, natively and on a cluster of 2 nodes")
    of_these = [f"of these, {device}" for device in devices]
    for heading in ("library", "version", "tests", "pass natively", *of_these):
        table.add_column(heading, overflow="fold")
    for one in found:
        native = one.results[NATIVE].values()
        counts = [passed_of(native, one.results[device].values()) for device in devices]
        cells = [*counts[0][:2], *(both for _, _, both in counts)]
        table.add_row(one.library.name, one.library.version, *map(str, cells))
    console.print(table)

    def say(text: str, style: str = "") -> None:
        console.print(escape(text), style=style, soft_wrap=True, highlight=False)

    for one in found:
        say(f"{one.library.name} takes {one.choice} ({one.library.rule})")
        for file, reason in one.library.left_out:
            say(f"    left out: {file}, {reason}")
        suite.report_differences(say, one.comparison)


def save(path: Path, found: Sequence[Found]) -> None:
    """All outcomes as JSON, by library, device, file and test."""
    kept = {
        one.library.name: {
            "version": one.library.version,
            "takes": one.choice,
            "outcomes": {
                device: {
                    file: {name: asdict(outcome) for name, outcome in outcomes.items()}
                    for file, outcomes in files.items()
                }
                for device, files in one.results.items()
            },
        }
        for one in found
    }
    path.write_text(json.dumps(kept, indent=1), encoding="utf-8")


# The command


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command's arguments."""
    names = [library.name for library in LIBRARIES]
    parser = argparse.ArgumentParser(
        description="Run the tests of libraries natively and on a cluster, and compare.",
        epilog="Libraries: " + " ".join(names),
    )
    parser.add_argument("libraries", nargs="*", metavar="LIBRARY", help="default: all")
    parser.add_argument("--remote", action="store_true", help="on one remote device too")
    parser.add_argument("--tests", type=Path, metavar="FOLDER", help="tests that PyPI doesn't have")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep all outcomes in a file")
    options = parser.parse_args(arguments)
    if unknown := set(options.libraries) - set(names):
        parser.error(f"not in the table: {', '.join(sorted(unknown))}")
    if options.tests and len(options.libraries) != 1:
        parser.error("--tests goes with one library")
    return options


def main(arguments: Sequence[str]) -> int:
    """Run the command: its exit status."""
    options = parse(arguments)
    console = Console(width=None if sys.stdout.isatty() else 120)

    def say(text: str) -> None:
        console.print(escape(text), soft_wrap=True, highlight=False)

    from vcl.local import LocalCluster

    chosen = [one for one in LIBRARIES if one.name in (options.libraries or [one.name])]
    devices = DEVICES if options.remote else DEVICES[:1]
    status, found = 0, []
    for library in chosen:
        if library.tests is None and not options.tests:
            say(f"{library.name}: PyPI has no tests of it; give --tests FOLDER")
            continue
        try:
            python = environment_of(library)
            folder = options.tests.resolve() if options.tests else tests_of(library, python)
        except (Unreachable, Unavailable) as error:
            say(f"{library.name}: {error}")
            unreachable = isinstance(error, Unreachable)
            status = suite.UNREACHABLE if unreachable else suite.UNAVAILABLE
            continue
        with LocalCluster(nodes=2, cores_per_node=1) as cluster:
            variables = {"VCL_MASTER": cluster.url, "VCL_TOKEN": cluster.token}
            choice = choice_of(library, python, variables)
            results = run_library(library, python, folder, devices, variables, say)
        others = dict(results)
        native = others.pop(NATIVE)
        comparison = compare(native, others, library.version, library.expected)
        found.append(Found(library, results, comparison, choice))
    if options.json:
        save(options.json, found)
    if found:
        report(console, found, devices)
    return status if all(one.comparison.good for one in found) else suite.REGRESSED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
