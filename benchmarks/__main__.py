"""`python -m benchmarks [NAME ...]`: measures, prints a table, optionally writes JSON.

Owns: the command line and the cluster that is measured. Must not know: what a measure does.
"""

from __future__ import annotations

import argparse
import datetime
import faulthandler
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import time
from dataclasses import replace
from pathlib import Path

from rich.console import Console

import vcl
from benchmarks import MEASURES, load, report
from benchmarks.common import QUICK, Settings, Skipped
from vcl import transport

LOAD_INTERVAL_S = 1.0
MEASURE_TIMEOUT_S = 900
FILE_COLUMNS = 180


def arguments() -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="measures; without any, all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    parser.add_argument("--list", action="store_true", help="list the measures and end")
    parser.add_argument(
        "--require-quiet", action="store_true", help="end with status 3 unless the machine is quiet"
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it works")
    parser.add_argument("--samples", type=int, metavar="N", help="medians of N instead of 5")
    parsed = parser.parse_args()
    unknown = [name for name in parsed.names if name not in MEASURES]
    if unknown:
        parser.error(f"no measure {', '.join(unknown)}: there are {', '.join(MEASURES)}")
    if parsed.samples is not None and parsed.samples < 1:
        parser.error("--samples must be at least 1")
    if parsed.json is not None and not parsed.json.absolute().parent.is_dir():
        parser.error(f"--json: {parsed.json.parent} is not a directory")
    return parsed


def machine() -> dict[str, str]:
    """What the figures depend on."""
    library = os.environ.get(transport.ENVIRONMENT_VARIABLE)
    if not library:
        installed = importlib.util.find_spec("picows") is not None
        library = "picows" if installed else "websockets"
    return {
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cores": str(os.cpu_count()),
        "system": platform.platform(),
        "python": platform.python_version(),
        "vcl": vcl.__vcl_version__,
        "pyopencl": importlib.metadata.version("pyopencl"),
        "transport": library,
    }


def measure(name: str, cluster: vcl.LocalCluster, settings: Settings) -> report.Measured:
    """Run one measure; if it hangs, say where and end the process."""
    faulthandler.dump_traceback_later(MEASURE_TIMEOUT_S, exit=True)
    meter = load.Meter()
    began = time.perf_counter()
    rows = importlib.import_module(f"benchmarks.{name}").measure(cluster, settings)
    seconds = time.perf_counter() - began
    faulthandler.cancel_dump_traceback_later()
    return report.Measured(name, seconds, meter.others_cores(), tuple(rows))


def main() -> int:
    """Measure what is asked for; answers the exit status."""
    asked = arguments()
    names = [name for name in MEASURES if not asked.names or name in asked.names]
    console = Console()
    if not console.is_terminal:
        console = Console(width=FILE_COLUMNS)
    if asked.list:
        for name in names:
            module = importlib.import_module(f"benchmarks.{name}")
            console.print(f"{name}: {(module.__doc__ or '').splitlines()[0]}", highlight=False)
        return 0

    meter = load.Meter()
    time.sleep(LOAD_INTERVAL_S)
    before = meter.others_cores()
    console.print(report.load_line(before, os.getloadavg()), highlight=False)
    if asked.require_quiet and not load.is_quiet(before):
        return 3
    settings = QUICK if asked.quick else Settings()
    if asked.samples:
        settings = replace(settings, samples=asked.samples)
    measured = []
    with vcl.LocalCluster(nodes=2, cores_per_node=1) as cluster:
        for name in names:
            console.print(f"measuring {name}", highlight=False)
            try:
                measured.append(measure(name, cluster, settings))
            except Skipped as reason:
                console.print(f"{name} is skipped: {reason}", highlight=False)
    run = report.Run(before, machine(), settings, tuple(measured))
    report.print_table(run, console)
    if asked.json is not None:
        asked.json.write_text(report.to_json(run), encoding="utf-8")
    return 3 if asked.require_quiet and not run.quiet else 0


if __name__ == "__main__":
    raise SystemExit(main())
