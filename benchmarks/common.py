"""What measures share: settings, figures, rows, yardstick processes, and sampling in turn.

Owns: those. Must not know: what is measured; vcl at import time, because the processes of the
yardsticks import this module and must not load it.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from vcl import LocalCluster

MIB = 2**20
MB = 1e6

Sample = dict[str, float]
"""Metric: value, of one sample."""

Sampler = Callable[[], Sample]
"""Takes one sample."""


@dataclass(frozen=True)
class Settings:
    """How much is measured.

    samples: medians are of so many, after one that is thrown away. cluster_launches: as
    `launches`, on the cluster device, where 10,000 still take 40 s. grid: rows and columns of
    `jacobi`. read_mib: of the read whose memory is measured.
    """

    samples: int = 5
    round_trips: int = 500
    launches: int = 10_000
    cluster_launches: int = 1000
    transfer_sizes_mib: tuple[int, ...] = (64, 256)
    plate_side: int = 512
    steps: int = 200
    image_side: int = 2048
    iterations: int = 500
    merge_mib: int = 256
    grid: tuple[int, int] = (4096, 4096)
    pairs: int = 200
    matrix_side: int = 2048
    vector_items: int = 1 << 24
    read_mib: int = 1024
    launch_sizes: tuple[int, ...] = (64, 1 << 10, 1 << 14, 1 << 18, 1 << 22, 1 << 24)


QUICK = Settings(
    samples=2,
    round_trips=10,
    launches=50,
    cluster_launches=20,
    transfer_sizes_mib=(1,),
    plate_side=64,
    steps=4,
    image_side=64,
    iterations=20,
    merge_mib=1,
    grid=(1024, 1024),
    pairs=4,
    matrix_side=64,
    vector_items=1 << 12,
    read_mib=16,
    launch_sizes=(64, 256),
)
"""Only shows that everything works."""


class Skipped(Exception):
    """A measure can't be taken here; why."""


@dataclass(frozen=True)
class Figure:
    """Samples of one thing, in the order taken."""

    samples: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def smallest(self) -> float:
        return min(self.samples)

    @property
    def largest(self) -> float:
        return max(self.samples)


@dataclass(frozen=True)
class Row:
    """One line of the table: ours and its yardsticks, all in `unit`.

    better: which direction is good, of `ours` and so of the ratios.
    """

    name: str
    unit: str
    better: Literal["lower", "higher"]
    ours: Figure
    yardsticks: Mapping[str, Figure]

    @property
    def ratios(self) -> dict[str, float]:
        """Our median divided by each yardstick's."""
        return {name: self.ours.median / f.median for name, f in self.yardsticks.items()}


Figures = dict[str, dict[str, Figure]]
"""By side (a device of ours, or a yardstick), then by metric."""


def row(
    name: str,
    unit: str,
    better: Literal["lower", "higher"],
    figures: Figures,
    metric: str,
    side: str,
    yardsticks: Sequence[str],
) -> Row:
    """The row of one metric of one of our sides beside some yardsticks."""
    beside = {kind: figures[kind][metric] for kind in yardsticks}
    return Row(name, unit, better, figures[side][metric], beside)


@dataclass(frozen=True)
class Devices:
    """A new session's devices, and what a yardstick needs to be on the same hardware.

    remotes: the nodes', in the nodes' order. whole: the cluster device. local_name: of `remote` in
    its own driver. cores: that the nodes are pinned to, in their order.
    """

    remotes: tuple[Any, ...]
    whole: Any
    local_name: str
    cores: tuple[int, ...]

    @property
    def remote(self) -> Any:
        """The first node's."""
        return self.remotes[0]


def connect(cluster: LocalCluster) -> Devices:
    """Begin a new session of this process with the cluster; an earlier one ends."""
    import vcl

    vcl.connect(cluster.url, token=cluster.token)
    whole, *found = vcl.get_platforms()[0].get_devices()
    suffixes = [f" @ {node.name}" for node in cluster.nodes]
    remotes = tuple(next(d for d in found if d.name.endswith(suffix)) for suffix in suffixes)
    cores = tuple(node.cores[0] for node in cluster.nodes)
    return Devices(remotes, whole, remotes[0].name.removesuffix(suffixes[0]), cores)


def ways(cluster: LocalCluster) -> Iterator[tuple[str, LocalCluster]]:
    """(how bulk goes, a cluster where it goes so) of each way: by memory that both ends share, by a
    WebSocket between them, and through the master."""
    import vcl

    yield "shared memory", cluster
    for way, listen in (("direct", None), ("relayed", "none")):
        with vcl.LocalCluster(
            nodes=2, cores_per_node=1, shared_memory=False, data_listen=listen
        ) as other:
            yield way, other


def bulk_rows(
    measure: str,
    cluster: LocalCluster,
    settings: Settings,
    make: Callable[[Devices], Sampler],
    yardsticks: Sequence[str],
) -> list[Row]:
    """The rows of a measure of bulk of several sizes, by each way, beside yardsticks."""
    rows = []
    for way, where in ways(cluster):
        devices = connect(where)
        figures = sample_in_turn(measure, devices, settings, {way: make(devices)}, yardsticks)
        rows += [
            row(f"{measure} {mib} MiB, {way}", "MB/s", "higher", figures, f"{mib} MiB", way,
                yardsticks)
            for mib in settings.transfer_sizes_mib
        ]  # fmt: skip
    return rows


class Yardstick:
    """A process that takes samples when asked, one at a time (`benchmarks.yardsticks`)."""

    def __init__(self, name: str, process: subprocess.Popen[str]) -> None:
        self._name = name
        self._process = process

    def sample(self) -> Sample:
        """Ask for one sample and wait; raises RuntimeError if the process has ended."""
        self.ask()
        return self.answer()

    def ask(self) -> None:
        """Let a sample begin."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def answer(self) -> Sample:
        """Wait for the sample asked for; raises RuntimeError if the process has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            raise RuntimeError(f"the yardstick {self._name} ended with status {status}")
        sample: Sample = json.loads(line)
        return sample


@contextmanager
def yardstick(
    name: str, devices: Devices, settings: Settings, node: int = 0
) -> Iterator[Yardstick]:
    """Start a yardstick's process, and end it. It is given the core of a node, which it uses, and
    those of the nodes after that, for yardsticks of several processes."""
    spec = json.dumps(asdict(settings))
    place = ["--core", *map(str, devices.cores[node:]), "--device", devices.local_name]
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.yardsticks", name, *place, "--settings", spec],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
        # One processor core for PoCL, as the agents give their executors.
        env={
            **os.environ,
            "POCL_MAX_PTHREAD_COUNT": "1",
            "POCL_CPU_MAX_CU_COUNT": "1",
            "PYOPENCL_NO_CACHE": "1",
        },
    ) as process:
        yield Yardstick(name, process)


@contextmanager
def always_split(module: str, settings: Settings) -> Iterator[Yardstick]:
    """Samples of the cluster device where whatever can be is split: by a process of its own,
    `python -m benchmarks.MODULE`, which calls `serve_split`."""
    command = [sys.executable, "-m", f"benchmarks.{module}", json.dumps(asdict(settings))]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[1],
    ) as process:  # fmt: skip
        yield Yardstick(module, process)


def serve_split(program: Callable[[Any, Any, Settings], Sampler]) -> None:
    """Take a sample on a cluster that always splits, for each line of standard input."""
    import vcl
    from benchmarks.yardsticks import answer

    settings = Settings(**json.loads(sys.argv[1]))
    with vcl.LocalCluster(nodes=2, cores_per_node=1, split="always") as cluster:
        answer(program(vcl, connect(cluster).whole, settings), None)


def sample_in_turn(
    measure: str,
    devices: Devices,
    settings: Settings,
    ours: Mapping[str, Sampler],
    yardsticks: Sequence[str],
) -> Figures:
    """Sample our sides and the yardsticks `<kind>-<measure>`, in turn, so that all sides meet
    the same disturbances. The first round of samples warms up and is thrown away.
    """
    with ExitStack() as stack:
        sides = dict(ours)
        for kind in yardsticks:
            process = stack.enter_context(yardstick(f"{kind}-{measure}", devices, settings))
            sides[kind] = process.sample
        rounds = [
            {name: take() for name, take in sides.items()} for _ in range(1 + settings.samples)
        ][1:]
    return {
        side: {
            metric: Figure(tuple(r[side][metric] for r in rounds)) for metric in rounds[0][side]
        }
        for side in sides
    }
