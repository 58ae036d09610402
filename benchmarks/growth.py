"""`python -m benchmarks.growth`: what a launch costs the master as the cluster grows.

Owns: the table and the plot of dry runs (`benchmarks.planning`). Must not know: how plans are
made.

One launch on one of N devices, and one that is split over all N, each of so many work-groups that
every part has as many. Processor time of the master's core by part, from taking the launch in to
taking in that all is done: the least of several launches, so that others on the machine matter
little. The first of them reads the kernel.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.planning import DryRun

COUNTS = (2, 10, 100, 1_000, 10_000)
LAUNCHES, BUDGET_S = 20, 15.0
"""Of each kind: so many launches, fewer where they would take longer, but at least one."""

GROUPS = 16  # of a part
ITEMS, ITEM_BYTES = 64, 4  # of a work-group, of a work-item
KINDS = {"on one of N": 3, "split over N": 2}
"""Queues of the dry run."""


class Cost(NamedTuple):
    """Of one launch on one or all of so many devices. part_us: processor time by part. mode: as a
    launch's report has it."""

    kind: str
    devices: int
    mode: str
    parts: int
    part_us: float


def cost(kind: str, devices: int) -> Cost:
    """The least of several launches' costs, in a session of its own."""
    groups = GROUPS * (1 if kind == "on one of N" else devices)
    run = DryRun(devices, True, GROUPS * devices * ITEMS * ITEM_BYTES)
    seconds: list[float] = []
    gc.collect()
    gc.disable()
    try:
        while len(seconds) < LAUNCHES and sum(seconds) < BUDGET_S:
            message = run.launch(KINDS[kind], groups)
            began = time.process_time()
            run.say(message)
            run.end_all()
            seconds.append(time.process_time() - began)
    finally:
        gc.enable()
    record = run.session._reports._kept[message.event]
    parts = len(record.parts)
    return Cost(kind, devices, record.mode, parts, min(seconds) / parts * 1e6)


def table(costs: Sequence[Cost]) -> Table:
    """The costs as they are printed."""
    made = Table(title="the master's processor time for a launch", title_justify="left")
    for heading in ("launch", "N", "mode", "parts", "us by part"):
        made.add_column(heading, justify="left" if heading in ("launch", "mode") else "right")
    for one in costs:
        made.add_row(
            one.kind, f"{one.devices:,}", one.mode, f"{one.parts:,}", f"{one.part_us:,.1f}"
        )
    return made


def draw(costs: Sequence[Cost], path: Path) -> None:
    """Plot the costs over N, both axes logarithmic, as a PNG, each point with its mode."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for kind in KINDS:
        of_kind = [one for one in costs if one.kind == kind]
        points = [(one.devices, one.part_us) for one in of_kind]
        axes.plot(*zip(*points, strict=True), marker="o", label=kind)
        for one, point in zip(of_kind, points, strict=True):
            axes.annotate(one.mode, point, xytext=(0, 6), textcoords="offset points", ha="center",
                          fontsize="small")  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="N devices", ylabel="us by part")
    axes.set_title("the master's processor time for a launch")
    axes.grid(True, which="major", alpha=0.3)
    axes.margins(y=0.15)
    axes.legend()
    figure.savefig(path, dpi=120)


def main() -> None:
    """Print the table and draw the plot."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--places", type=int, nargs="+", default=COUNTS, metavar="N")
    parser.add_argument("--png", type=Path, default=Path("growth.png"), metavar="FILE",
                        help="where the plot goes, if matplotlib is installed")  # fmt: skip
    asked = parser.parse_args()
    costs = [cost(kind, count) for kind in KINDS for count in asked.places]
    console = Console(width=110)
    console.print(table(costs))
    if importlib.util.find_spec("matplotlib") is None:
        console.print("no plot, as matplotlib isn't installed")
        return
    draw(costs, asked.png)
    console.print(f"drawn: {asked.png}")


if __name__ == "__main__":
    main()
