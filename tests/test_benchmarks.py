"""The benchmarks run, on sizes that measure nothing, and what they print and write has its shape.

Owns: that, and the marking of runs that others disturbed. Must not know: how fast anything is.
"""

from __future__ import annotations

import importlib.util
import io
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks import MEASURES, __main__, load, report
from benchmarks.common import QUICK, Figure, Row

ROOT = Path(__file__).resolve().parents[1]
RUN_TIMEOUT_S = 240
HAS_DASK = importlib.util.find_spec("distributed") is not None


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def check_figure(figure: dict[str, Any], samples: int, *, none: bool = False) -> None:
    """`none`: the figure may be nothing at all."""
    assert len(figure["samples"]) == samples
    assert 0 <= figure["min"] <= figure["median"] <= figure["max"] < math.inf
    assert none or figure["min"] > 0
    assert figure["min"] == min(figure["samples"]) and figure["max"] == max(figure["samples"])


def test_every_measure_gives_positive_figures_in_table_and_json(tmp_path: Path) -> None:
    done = run("benchmarks", "--quick", "--json", str(tmp_path / "run.json"))
    assert done.returncode == 0, done.stdout + done.stderr

    content = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    taken = [measure["name"] for measure in content["measures"]]
    assert taken == [name for name in MEASURES if name != "dask" or HAS_DASK]
    assert HAS_DASK or "dask is skipped: Dask isn't installed" in done.stdout
    for row in (row for measure in content["measures"] for row in measure["rows"]):
        assert row["name"] in done.stdout
        # A short read may need no page above the array.
        check_figure(row["ours"], QUICK.samples, none=row["unit"] == "GiB")
        assert row["yardsticks"]
        for name, beside in row["yardsticks"].items():
            check_figure(beside, QUICK.samples)
            assert row["ratios"][name] == row["ours"]["median"] / beside["median"]

    beside = {m["name"]: set(m["rows"][0]["yardsticks"]) for m in content["measures"]}
    assert beside["roundtrip"] == {"native", "tcp", "chain", "target"}
    assert beside["write"] == beside["read"] == {"native", "tcp"}
    assert beside["pairs"] == {"native", "tcp"}
    for name in ("launches", "stencil", "vectoradd", "matmul", "mandelbrot"):
        assert beside[name] == {"native"}
    assert beside["peers"] == {"tcp"} and beside["memory"] == {"target"}
    assert beside["jacobi"] == {"native halves"}
    assert beside.get("dask", {"dask", "dask / 5"}) == {"dask", "dask / 5"}
    assert beside["merge"] == {"copy"}
    assert beside["sizes"] == {"one device", "in parts", "the better"}
    assert content["measures"][-1]["rows"][-1]["yardsticks"].keys() == {"one node", "native"}
    assert ("NOT QUIET" in done.stdout) == (not content["quiet"])


@pytest.mark.parametrize("name", ["tcp-roundtrip", "chain-roundtrip"])
def test_a_yardstick_runs_by_hand(name: str) -> None:
    done = run("benchmarks.yardsticks", name, "--quick", "--samples", "2")
    assert done.returncode == 0, done.stderr
    samples = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(samples) == 2 and all(sample["median"] > 0 for sample in samples)


def test_importing_what_yardsticks_import_does_not_load_vcl() -> None:
    modules = ["common", "yardsticks", *MEASURES]
    source = "".join(f"import benchmarks.{name}\n" for name in modules)
    code = f"{source}import sys; raise SystemExit('vcl' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert done.returncode == 0


def main(monkeypatch: pytest.MonkeyPatch, *arguments: str, others_cores: float = 0.0) -> int:
    monkeypatch.setattr(sys, "argv", ["benchmarks", *arguments])
    monkeypatch.setattr(load.Meter, "others_cores", lambda self: others_cores)
    monkeypatch.setattr(__main__, "LOAD_INTERVAL_S", 0.0)
    return __main__.main()


def test_list_names_the_measures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(monkeypatch, "--list") == 0
    assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()] == [*MEASURES]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["absent"], "no measure absent"),
        (["--samples", "0"], "at least 1"),
        (["--json", "absent/run.json"], "absent is not a directory"),
    ],
)
def test_bad_arguments(
    arguments: list[str],
    complaint: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(monkeypatch, *arguments)
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


def test_require_quiet_refuses_a_busy_machine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(monkeypatch, "--require-quiet", others_cores=0.21) == 3
    assert "not quiet" in capsys.readouterr().out


def disturbed(before_cores: float, meanwhile_cores: float) -> report.Run:
    row = Row("x", "s", "lower", Figure((2.0, 1.0, 6.0)), {"tcp": Figure((4.0,))})
    measured = report.Measured("roundtrip", 1.0, meanwhile_cores, (row,))
    return report.Run(before_cores, {}, QUICK, (measured,))


@pytest.mark.parametrize(
    ("before_cores", "meanwhile_cores", "quiet"),
    [(0.2, 0.2, True), (0.21, 0.0, False), (0.0, 0.21, False)],
)
def test_a_disturbed_run_is_marked(
    before_cores: float, meanwhile_cores: float, quiet: bool
) -> None:
    measured = disturbed(before_cores, meanwhile_cores)
    assert json.loads(report.to_json(measured))["quiet"] is quiet
    printed = io.StringIO()
    report.print_table(measured, Console(file=printed, width=120))
    assert ("NOT QUIET" in printed.getvalue()) is not quiet
    assert "2.00 (1.00..6.00)" in printed.getvalue()
    assert "0.5" in printed.getvalue()


def test_stall_watches_an_attack_and_writes_it_down(tmp_path: Path) -> None:
    done = run("benchmarks.stall", "attacks.newcomer", "--json", str(tmp_path / "stall.json"))
    assert done.returncode == 0, done.stdout + done.stderr
    content = json.loads((tmp_path / "stall.json").read_text(encoding="utf-8"))
    (watched,) = content["attacks"]
    assert watched["name"] in done.stdout and watched["became"] == "served"
    assert 0 < watched["step_ms"] <= watched["turn_ms"] < math.inf
    assert 0 < watched["honest_ms"] < math.inf and watched["trips"] > 0


def test_stall_knows_its_attacks() -> None:
    assert "strangers.silence: 256 connections" in run("benchmarks.stall", "--list").stdout
    unknown = run("benchmarks.stall", "absent")
    assert unknown.returncode == 2 and "no attack absent" in unknown.stderr


def test_the_meter_counts_processes_that_we_started_and_that_ended_as_ours() -> None:
    meter = load.Meter()
    _, _, before_s = meter._read()
    subprocess.run([sys.executable, "-c", "sum(range(10**7))"], check=True)
    _, _, after_s = meter._read()
    assert after_s > before_s


def test_a_dry_run_plans_for_places_that_do_not_exist() -> None:
    done = run("benchmarks.planning", "--places", "2", "3")
    assert done.returncode == 0, done.stdout + done.stderr
    for kind in ("one device", "cluster, whole", "cluster, merge"):
        assert done.stdout.count(kind) == 2


def test_growth_splits_a_launch_over_places_that_do_not_exist(tmp_path: Path) -> None:
    plot = tmp_path / "growth.png"
    done = run("benchmarks.growth", "--places", "2", "3", "--png", str(plot))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("on one of N") == done.stdout.count("split over N") == 2
    assert done.stdout.count("regions") == 2
    assert plot.exists() == (importlib.util.find_spec("matplotlib") is not None)
