"""A run as a table and as JSON.

Owns: both forms. Must not know: how anything was measured.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.common import Figure, Row, Settings
from benchmarks.load import QUIET_CORES_MAX, is_quiet


@dataclass(frozen=True)
class Measured:
    """One measure's rows. others_cores: what other processes used meanwhile."""

    name: str
    seconds: float
    others_cores: float
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Run:
    """A whole run. before_cores: what other processes used before it. machine: facts to print."""

    before_cores: float
    machine: dict[str, str]
    settings: Settings
    measured: tuple[Measured, ...]

    @property
    def quiet(self) -> bool:
        """Whether others left the machine alone, before and during every measure."""
        return is_quiet(self.before_cores) and not self.noisy_measures

    @property
    def noisy_measures(self) -> list[str]:
        """Measures during which others used the machine."""
        return [m.name for m in self.measured if not is_quiet(m.others_cores)]


def load_line(others_cores: float, load_average: Sequence[float]) -> str:
    """What is printed before a run."""
    verdict = "quiet" if is_quiet(others_cores) else f"not quiet (more than {QUIET_CORES_MAX})"
    averages = " ".join(f"{a:.2f}" for a in load_average)
    return f"other processes use {others_cores:.2f} cores, load average {averages}: {verdict}"


def number(value: float) -> str:
    """Three digits that count."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.{2 if abs(value) < 10 else 1}f}" if abs(value) >= 1 else f"{value:.3g}"


def figure(value: Figure) -> str:
    """Median, and from smallest to largest."""
    return f"{number(value.median)} ({number(value.smallest)}..{number(value.largest)})"


def print_table(run: Run, console: Console) -> None:
    """Print the table and what must be known to read it."""
    title = "vcl beside its yardsticks" + ("" if run.quiet else ", NOT QUIET: provisional")
    table = Table(title=title, title_justify="left")
    headings = ("measure", "unit", "ours: median (min..max)", "yardstick", "its median (min..max)")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    table.add_column("ours / it", justify="right")
    for measured in run.measured:
        for row in measured.rows:
            better = "↓" if row.better == "lower" else "↑"
            cells = [row.name, f"{row.unit} {better}", figure(row.ours)]
            for name, beside in row.yardsticks.items():
                table.add_row(*cells, name, figure(beside), number(row.ratios[name]))
                cells = ["", "", ""]
        table.add_section()
    console.print(table)
    console.print("↑ more is better, ↓ less is better, for figures and ratios alike")
    if run.noisy_measures:
        busy = ", ".join(
            f"{m.name} {m.others_cores:.2f}" for m in run.measured if not is_quiet(m.others_cores)
        )
        console.print(f"cores used by others meanwhile: {busy}", highlight=False)


def _figure_json(value: Figure) -> dict[str, Any]:
    return {
        "median": value.median,
        "min": value.smallest,
        "max": value.largest,
        "samples": value.samples,
    }


def _row_json(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "unit": row.unit,
        "better": row.better,
        "ours": _figure_json(row.ours),
        "yardsticks": {name: _figure_json(f) for name, f in row.yardsticks.items()},
        "ratios": row.ratios,
    }


def to_json(run: Run) -> str:
    """The run as JSON, with every sample."""
    content = {
        "quiet": run.quiet,
        "others_cores_before": run.before_cores,
        "machine": run.machine,
        "settings": asdict(run.settings),
        "measures": [
            {
                "name": measured.name,
                "seconds": measured.seconds,
                "others_cores": measured.others_cores,
                "rows": [_row_json(row) for row in measured.rows],
            }
            for measured in run.measured
        ],
    }
    return json.dumps(content, indent=2) + "\n"
