"""pyopencl's own tests, natively and on a cluster of this host, side by side.

    python tests/api/run_pyopencl_suite.py [--all] [--version X | --oldest | --newest] [FILE ...]

Owns: a virtual environment for another pyopencl than the installed one, running each file once per
device, and the report. Must not know: which differences matter (`suite_outcomes`), how tests are
fetched (`suite_sources`).

Status: 0 all as expected, 1 a regression or an expected difference that has gone, 2 wrong
arguments, 3 the package index can't be reached, 4 the tests or that pyopencl can't be had.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    # In place of this script's folder, whose modules have names of their own under tests.
    sys.path[0] = str(ROOT)

from rich.console import Console  # noqa: E402
from rich.markup import escape  # noqa: E402
from rich.table import Table  # noqa: E402

from tests import processes  # noqa: E402
from tests.api.suite_outcomes import (  # noqa: E402
    DEVICES,
    PROCESS,
    Comparison,
    Difference,
    Outcome,
    compare,
    name_of,
    summary,
)
from tests.api.suite_sources import Unavailable, Unreachable, pip, source  # noqa: E402

QUICK = ("test_wrapper.py", "test_enqueue_copy.py", "test_arrays_in_structs.py")
ALL = (*QUICK, "test_clrandom.py", "test_clmath.py", "test_algorithm.py", "test_array.py")
NATIVE = "native"
SELECTIONS = {NATIVE: "portable:0", DEVICES[0]: "vcl:0", DEVICES[1]: "vcl:1"}
"""PYOPENCL_TEST for each device: PoCL's ("Portable Computing Language") first, and ours."""

REGRESSED, UNREACHABLE, UNAVAILABLE = 1, 3, 4
test_timeout_s = 300.0
crashes_max = 40


# What pip brings


def oldest_supported(pyproject: str) -> str:
    """The lower bound of pyopencl in the text of pyproject.toml."""
    (requirement,) = _requirements(pyproject, "pyopencl")
    return requirement.partition(">=")[2]


def _requirements(pyproject: str, name: str) -> list[str]:
    found = tomllib.loads(pyproject)["project"]["dependencies"]
    return [one for one in found if re.match(rf"{name}(?![\w.-])", one)]


def newest(oldest: str) -> str:
    """The newest pyopencl that pip would install here."""
    options = ("--quiet", "--dry-run", "--no-deps", "--ignore-installed", "--report", "-")
    report = json.loads(pip("install", *options, f"pyopencl>={oldest}"))
    return str(report["install"][0]["metadata"]["version"])


def fetch(version: str) -> Path:
    """The folder of the tests of this pyopencl; fetched once per user and version."""
    return source("pyopencl", version, "pyopencl-suite") / "test"


def run_with(version: str, arguments: Sequence[str]) -> int:
    """This script's status in a virtual environment with that pyopencl and this checkout."""
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(pyproject)["project"]
    extras = project["optional-dependencies"]
    ours = [*project["dependencies"], *extras["local"], *extras["fast"]]
    ours += [one for one in extras["test"] if not one.startswith("vcl")]
    with tempfile.TemporaryDirectory(prefix="vcl-suite-") as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = str(Path(folder) / "bin" / "python")
        pip("install", "--quiet", *ours, f"pyopencl=={version}", python=python)
        command = [python, str(Path(__file__).resolve()), *arguments]
        return subprocess.run(command, env=processes.environment(), check=False).returncode


# Running


class FileRun:
    """One file of the suite on one device: `outcomes` by name, and how long it took.

    The process is started again after a crash, for the tests that it left over. A test that takes
    longer than the time-out (None: `test_timeout_s`) hangs.
    """

    def __init__(
        self,
        path: Path,
        command: Sequence[str],
        env: Mapping[str, str],
        timeout_s: float | None = None,
    ) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self.seconds = 0.0
        self._path = path
        self._command = command
        self._env = env
        self._timeout_s = test_timeout_s if timeout_s is None else timeout_s
        self._done: set[str] = set()

    def run(self, log: Path) -> None:
        """Run all tests of the file; pytest's own output goes to `log`."""
        began = time.monotonic()
        for _ in range(crashes_max):
            if self._run_rest(log):
                break
        self.seconds = time.monotonic() - began

    def _run_rest(self, log: Path) -> bool:
        """Run what isn't done; False if a test ended the process, so that others are left."""
        with tempfile.NamedTemporaryFile("w", suffix=".json") as done, open(log, "ab") as output:
            json.dump(sorted(self._done), done)
            done.flush()
            reader, writer = os.pipe()
            env = {"SUITE_RECORDER_FD": str(writer), "SUITE_RECORDER_DONE": done.name}
            process = subprocess.Popen(
                [*self._command, self._path.name],
                cwd=self._path.parent,
                env={**self._env, **env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(writer,),
                start_new_session=True,
            )
            os.close(writer)
            hangs = True
            try:
                running, hangs = self._listen(reader)
            finally:
                if hangs:  # or is interrupted
                    os.killpg(process.pid, signal.SIGKILL)
                status = process.wait()
        if running:
            self._note(running, Outcome("hang" if hangs else "crash", _end(status)))
            return False
        if status in (0, 1, 5) and not hangs:  # pytest's: passed, failed, nothing left to run
            self.outcomes[PROCESS] = Outcome("passed")
        else:
            self.outcomes[PROCESS] = Outcome("hang" if hangs else "crash", _end(status))
        return True

    def _note(self, node_id: str, outcome: Outcome) -> None:
        self._done.add(node_id)
        self.outcomes[name_of(node_id)] = outcome

    def _listen(self, reader: int) -> tuple[str, bool]:
        """Note what the recorder says to its end: the test under way then, and whether it hangs."""
        running, rest = "", b""
        with open(reader, "rb", buffering=0) as pipe:
            while select.select([pipe], [], [], self._timeout_s)[0]:
                read = pipe.read(65536)
                if not read:
                    return running, False
                *lines, rest = (rest + read).split(b"\n")
                for record in map(json.loads, lines):
                    running = record.get("started", "")
                    if "finished" in record:
                        outcome = Outcome(record["outcome"], record["text"])
                        self._note(record["finished"], outcome)
        return running, True


def _end(status: int) -> str:
    return f"ended by {signal.Signals(-status).name}" if status < 0 else f"ended with {status}"


Results = dict[str, dict[str, FileRun]]
"""By device and file."""


def run_suite(
    folder: Path, files: Sequence[str], variables: Mapping[str, str], say: Callable[[str], None]
) -> Results:
    """Run the files natively and on the cluster that the environment variables name."""
    results: Results = {device: {} for device in SELECTIONS}
    options = ["-p", "tests.api.suite_recorder", "-p", "no:cacheprovider", "-q", "--tb=short"]
    for file in files:
        for device, selection in SELECTIONS.items():
            env = processes.environment(PYOPENCL_TEST=selection)
            command = [sys.executable, "-m", "pytest", *options]
            if device != NATIVE:
                env |= variables
                command[1:2] = ["-m", "vcl.cli.main", "run", "-m"]
            run = results[device][file] = FileRun(folder / file, command, env)
            with tempfile.TemporaryDirectory() as name:
                log = Path(name) / "log"
                run.run(log)
                say(f"{file}, {device}: {summary(_tests(run))} in {run.seconds:.0f} s")
                if run.outcomes.get(PROCESS) != Outcome("passed"):
                    say(log.read_text(encoding="utf-8", errors="replace")[-3000:])
    return results


def _tests(run: FileRun) -> list[Outcome]:
    return [outcome for name, outcome in run.outcomes.items() if name != PROCESS]


# The report


def report(console: Console, version: str, results: Results, comparison: Comparison) -> None:
    """Print the outcomes by file and device, then each difference with its reason or text."""
    table = Table(title=f"pyopencl {version}: its own tests, natively and on a cluster of 2 nodes")
    for heading in ("file", *results):
        table.add_column(heading, overflow="fold")
    for file in results[NATIVE]:
        cells = [f"{summary(_tests(r[file]))}\n{r[file].seconds:.0f} s" for r in results.values()]
        table.add_row(file, *cells)
    console.print(table)

    def say(text: str, style: str = "") -> None:
        console.print(escape(text), style=style, soft_wrap=True, highlight=False)

    for file, run in results[NATIVE].items():
        for test, outcome in run.outcomes.items():
            if outcome.outcome in ("crash", "hang"):
                say(f"native {outcome.outcome}: {test} of {file}, {outcome.text}")
    report_differences(say, comparison)


def report_differences(say: Callable[..., None], comparison: Comparison) -> None:
    """Say each difference with its reason or text, as say(text, style)."""
    for pair, item in comparison.expected:
        say(f"expected: {_said(pair)}\n    because {item.reason}")
    for device, item in comparison.gone:
        say(f"gone: {item.test} passes on the {device} device; take it off EXPECTED", "yellow")
    for problem in comparison.problems:
        say(f"problem: {problem}", "red")
    for pair in comparison.regressions:
        say(f"REGRESSION: {_said(pair)}", "red")
    say("all as expected" if comparison.good else f"{len(comparison.regressions)} regressions")


def _said(pair: Difference) -> str:
    lines = pair.found.text.strip().splitlines() or [""]
    return (
        f"{pair.test}, {pair.device}: natively {pair.native.outcome}, here {pair.found.outcome}"
        f"\n    {lines[0][:200]}"
    )


def save(path: Path, version: str, results: Results) -> None:
    """All outcomes as JSON, by device, file and test."""
    found: dict[str, Any] = {"pyopencl": version}
    for device, runs in results.items():
        found[device] = {
            file: {
                "seconds": round(run.seconds, 1),
                "outcomes": {name: asdict(one) for name, one in run.outcomes.items()},
            }
            for file, run in runs.items()
        }
    path.write_text(json.dumps(found, indent=1), encoding="utf-8")


# The command


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        description="Run pyopencl's own tests natively and on a cluster, and compare.",
        epilog="Files: " + " ".join(ALL),
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help="default: the quick ones")
    parser.add_argument("--all", action="store_true", help="all files; takes many minutes")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--version", metavar="X", help="this pyopencl; default: the installed one")
    which.add_argument("--oldest", action="store_true", help="the oldest supported pyopencl")
    which.add_argument("--newest", action="store_true", help="the newest that pip finds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep all outcomes in a file")
    options = parser.parse_args(arguments)
    if options.all and options.files:
        parser.error("either --all or the names of files")
    if unknown := set(options.files) - set(ALL):
        parser.error(f"no such file in the suite: {', '.join(sorted(unknown))}")
    return options


def chosen(options: argparse.Namespace) -> str:
    """The version of pyopencl that the arguments ask for."""
    oldest = oldest_supported((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    if options.oldest:
        return oldest
    if options.newest:
        return newest(oldest)
    return str(options.version or installed_version("pyopencl"))


def main(arguments: Sequence[str]) -> int:
    """Run the command: its exit status."""
    options = parse(arguments)
    files = ALL if options.all else tuple(options.files) or QUICK
    console = Console(width=None if sys.stdout.isatty() else 120)

    def say(text: str) -> None:
        console.print(escape(text), soft_wrap=True, highlight=False)

    try:
        version = chosen(options)
        if version != installed_version("pyopencl"):
            say(f"a virtual environment with pyopencl {version} ...")
            keep = ["--json", str(options.json.resolve())] if options.json else []
            return run_with(version, ["--version", version, *keep, *files])
        folder = fetch(version)
    except Unreachable as error:
        say(f"the package index can't be reached: {error}")
        return UNREACHABLE
    except Unavailable as error:
        say(str(error))
        return UNAVAILABLE

    from vcl.local import LocalCluster

    with LocalCluster(nodes=2, cores_per_node=1) as cluster:
        variables = {"VCL_MASTER": cluster.url, "VCL_TOKEN": cluster.token}
        results = run_suite(folder, files, variables, say)
    outcomes = {
        device: {file: run.outcomes for file, run in runs.items()}
        for device, runs in results.items()
    }
    native = outcomes.pop(NATIVE)
    comparison = compare(native, outcomes, version)
    if options.json:
        save(options.json, version, results)
    report(console, version, results, comparison)
    return 0 if comparison.good else REGRESSED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
