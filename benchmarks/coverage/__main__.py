"""`python -m benchmarks.coverage`: downloads the packages, and prints a table of the answers.

Owns: the command line, the table and its JSON. Must not know: how an answer is found.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.coverage.answers import Answer, Subject, Unread
from benchmarks.coverage.extraction import Source, source, sources
from benchmarks.coverage.packages import PACKAGES, PYOPENCL, Package, archive, texts
from master.access.reader import collect_rarely

FILE_COLUMNS = 160
NATIVELY_TIMEOUT_S = 600
REASONS_SHOWN = 12
CACHE = Path.home() / ".cache" / "vcl-coverage"
MODES = ("regions", "hulls", "reduce", "images", "merge", "whole")


@dataclass
class Failure:
    """A program that isn't read. natively: what a compiler has against it, "" for nothing."""

    where: str
    reason: str
    natively: str


@dataclass
class Covered:
    """What was found of a package."""

    name: str
    version: str
    programs: int = 0
    answers: list[tuple[str, Answer]] = field(default_factory=list)
    """With where each kernel is."""
    failures: list[Failure] = field(default_factory=list)
    parse_ms: list[float] = field(default_factory=list)

    @property
    def unread(self) -> list[Failure]:
        """Programs that a compiler takes, and the analysis doesn't."""
        return [f for f in self.failures if not f.natively]

    @property
    def needs_host(self) -> list[Failure]:
        """Programs that nobody can compile without what their host adds."""
        return [f for f in self.failures if f.natively]

    def count(self, mode: str) -> int:
        """Kernels with this answer."""
        return sum(answer.mode == mode for _, answer in self.answers)


def arguments() -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage", description=__doc__)
    names = [package.name for package in PACKAGES]
    parser.add_argument("--package", action="append", choices=names, help="only this; repeatable")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every answer there too")
    parser.add_argument("--cache", type=Path, default=CACHE, metavar="DIR",
                        help="keeps the archives (%(default)s)")  # fmt: skip
    parser.add_argument("--kernels", action="store_true", help="print the answer of each kernel")
    return parser.parse_args()


def natively(command: str, given: object = None) -> Any:
    """What a process of pyopencl alone answers."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.coverage.natively", command],
        input=json.dumps(given), capture_output=True, text=True, timeout=NATIVELY_TIMEOUT_S,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{command} natively: {done.stderr[-2000:]}")
    return json.loads(done.stdout)


def cover(name: str, version: str, programs: Iterable[Source]) -> Covered:
    """The answers for a package's programs."""
    covered = Covered(name, version)
    failed: list[tuple[Source, str]] = []
    for program in programs:
        covered.programs += 1
        try:
            subject = Subject(program.unit)
        except Unread as why:
            failed.append((program, str(why)))
            continue
        covered.parse_ms.append(subject.parse_ms)
        covered.answers += [(program.where, answer) for answer in subject.answers()]
    if failed:
        units = [
            [*unit[:3], [[path, data.decode("latin-1")] for _, path, data in unit[3]]]
            for (_, unit), _ in failed
        ]
        for (program, reason), why in zip(failed, natively("builds", units), strict=True):
            covered.failures.append(Failure(program.where, reason, why))
    return covered


def table(rows: Sequence[Covered]) -> Table:
    """The answers by package."""
    made = Table(title="answers for kernels of PyPI", title_justify="left")
    made.add_column("package")
    for heading in ("programs", "need host", "unread", "kernels", *MODES,
                    "first ms", "p95", "again ms", "p95"):  # fmt: skip
        made.add_column(heading, justify="right")
    for row in rows:
        first = [answer.first_ms for _, answer in row.answers]
        again = [answer.again_ms for _, answer in row.answers]
        made.add_row(
            f"{row.name} {row.version}".strip(), str(row.programs), str(len(row.needs_host)),
            str(len(row.unread)), str(len(row.answers)), *(str(row.count(m)) for m in MODES),
            *percentiles(first), *percentiles(again),
        )  # fmt: skip
    return made


def percentiles(values: Sequence[float]) -> tuple[str, str]:
    """Median and 95th percentile."""
    if not values:
        return "", ""
    last = sorted(values)[min(len(values) - 1, int(len(values) * 0.95))]
    return f"{statistics.median(values):.1f}", f"{last:.1f}"


def total(rows: Sequence[Covered]) -> Covered:
    """All packages as one."""
    found = Covered("all", "")
    for row in rows:
        found.programs += row.programs
        found.answers += row.answers
        found.failures += row.failures
        found.parse_ms += row.parse_ms
    return found


def reasons(title: str, found: Iterable[str], console: Console) -> None:
    """The most frequent ones, alike but for names and lines."""
    counted: Counter[str] = Counter()
    example: dict[str, str] = {}
    for reason in found:
        alike = re.sub(r"'[^']*'|\b\d+\b", "…", re.sub(r"^line \d+: ", "", reason))
        counted[alike] += 1
        example.setdefault(alike, reason)
    if not counted:
        return
    console.print(f"\n{title}: {sum(counted.values())}", highlight=False)
    for alike, count in counted.most_common(REASONS_SHOWN):
        text = example[alike] if count == 1 else alike
        console.print(f"{count:5}  {text}", markup=False, highlight=False)


def main() -> int:
    """Cover what is asked for; answers the exit status."""
    asked = arguments()
    console = Console()
    if not console.is_terminal:
        console = Console(width=FILE_COLUMNS)
    collect_rarely()  # as in the master's processes
    asked.cache.mkdir(parents=True, exist_ok=True)
    chosen = [p for p in PACKAGES if not asked.package or p.name in asked.package]
    rows = [cover(p.name, p.version, programs(p, asked.cache)) for p in chosen]
    if asked.kernels:
        for row in rows:
            for where, answer in row.answers:
                line = f"{answer.mode:8} {answer.kernel} ({where}) {answer.reason}"
                console.print(line, markup=False, highlight=False, soft_wrap=True)
    everything = total(rows)
    console.print(table([*rows, everything] if len(rows) > 1 else rows))
    for mode in MODES[1:]:
        found = [a.reason for _, a in everything.answers if a.mode == mode]
        reasons(f"why {mode}", found, console)
    reasons("why unread", [f"{f.reason} ({f.where})" for f in everything.unread], console)
    reasons("what hosts have to add", [f.natively for f in everything.needs_host], console)
    if asked.json is not None:
        asked.json.write_text(json.dumps([_as_json(row) for row in rows], indent=2) + "\n")
    return 0


def programs(package: Package, cache: Path) -> list[Source]:
    """Of a package: in its files, and for pyopencl those that it makes."""
    # Programs include its headers as they include a system's.
    headers = {
        path: data
        for path, data in texts(archive(PYOPENCL, cache)).items()
        if "/pyopencl/cl/" in path
    }
    found = list(sources(package, texts(archive(package, cache)), headers))
    if package is PYOPENCL:
        for where, text in natively("generated"):
            found.append(source(where, text, headers))
    return found


def _as_json(row: Covered) -> dict[str, Any]:
    return {
        "package": row.name,
        "version": row.version,
        "programs": row.programs,
        "failures": [asdict(failure) for failure in row.failures],
        "kernels": [{"where": where, **answer._asdict()} for where, answer in row.answers],
        "parse_ms": row.parse_ms,
    }


if __name__ == "__main__":
    raise SystemExit(main())
