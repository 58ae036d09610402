"""How long can one peer hold up all others? `python -m benchmarks.stall [NAME ...]`.

Owns: the table, and its JSON, of the attacks in `tests.hostile`. Must not know: what they do. It
isn't among the measures of `python -m benchmarks`, as it has no yardstick but its two limits.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import load, report
from benchmarks.__main__ import FILE_COLUMNS, LOAD_INTERVAL_S, machine
from tests.hostile.attacks import ATTACKS
from tests.hostile.stage import Outcome, Stage

STEP_MS_MAX = 20.0
"""The loop's longest step, whatever a peer sends: what the project promises."""

HONEST_MS_MAX = 500.0
"""The slowest command of an honest session on a quiet machine."""

BECAME_LENGTH_MAX = 200


def arguments() -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stall", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="attacks, or the beginnings of "
                        "their names; without any, all")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    parser.add_argument("--list", action="store_true", help="list the attacks and end")
    parsed = parser.parse_args()
    unknown = [n for n in parsed.names if not any(name.startswith(n) for name in ATTACKS)]
    if unknown:
        parser.error(f"no attack {', '.join(unknown)}: --list names all")
    if parsed.json is not None and not parsed.json.absolute().parent.is_dir():
        parser.error(f"--json: {parsed.json.parent} is not a directory")
    return parsed


def _ms(value: float | None, most: float) -> str:
    if value is None:
        return "[red]no answer[/]"
    text = f"{value:,.1f}"
    return text if value <= most else f"[red]{text}[/]"


def table(outcomes: Sequence[Outcome]) -> Table:
    """The outcomes as they are printed; what is past its limit is red."""
    made = Table(title="the master's loop under attack, times in ms", title_justify="left")
    made.add_column("attack", overflow="fold")
    for heading in ("longest step", "its processor time", "longest turn", "honest, slowest"):
        made.add_column(heading, justify="right")
    made.add_column("peak MiB", justify="right")
    made.add_column("what became of the attacker", overflow="fold")
    for one in outcomes:
        made.add_row(
            one.name,
            _ms(one.step_ms, STEP_MS_MAX),
            _ms(one.step_cpu_ms, STEP_MS_MAX),
            _ms(one.turn_ms, STEP_MS_MAX),
            _ms(one.honest_ms, HONEST_MS_MAX),
            f"{one.peak_mib:,.0f}",
            one.became[:BECAME_LENGTH_MAX].replace("[", r"\["),
        )
    return made


def main() -> int:
    """Watch what is asked for; answers the exit status."""
    asked = arguments()
    chosen = {
        name: attack
        for name, attack in ATTACKS.items()
        if not asked.names or any(name.startswith(n) for n in asked.names)
    }
    console = Console()
    if not console.is_terminal:
        console = Console(width=FILE_COLUMNS)
    if asked.list:
        for name, attack in chosen.items():
            console.print(f"{name}: {(attack.__doc__ or '').splitlines()[0]}", highlight=False)
        return 0
    meter = load.Meter()
    time.sleep(LOAD_INTERVAL_S)
    before = meter.others_cores()
    console.print(report.load_line(before, os.getloadavg()), highlight=False)
    outcomes = []
    meter = load.Meter()
    with Stage() as stage:
        for name, attack in chosen.items():
            console.print(f"watching {name}", highlight=False)
            outcomes.append(stage.measure(name, attack))
        meanwhile = meter.others_cores()
    console.print(table(outcomes))
    console.print(f"cores used by others meanwhile: {meanwhile:.2f}", highlight=False)
    if asked.json is not None:
        content = {
            "quiet": load.is_quiet(before) and load.is_quiet(meanwhile),
            "others_cores_before": before,
            "others_cores_meanwhile": meanwhile,
            "machine": machine(),
            "attacks": [asdict(outcome) for outcome in outcomes],
        }
        asked.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
