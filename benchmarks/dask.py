"""Jacobi's iteration beside Dask and pyopencl, the grid split by hand over two worker processes.

Owns: that measure, and the program on Dask. Must not know: vcl at import time; Dask before it is
asked for, as not everybody has it.

The other side is written as somebody would who knows both: each worker, pinned to a node's core,
has half of the rows on its device from the first step to the last. A step on a half is one task,
which is given the other's border row, runs the kernel, and answers its own new one; Dask's workers
hand these to each other. All tasks are submitted at once and waited for at the end, as our launches
are.
"""

from __future__ import annotations

import importlib.util
import os
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import common
from benchmarks.common import Figure, Figures, Row, Sample, Sampler, Settings
from benchmarks.jacobi import GROUP, SOURCE

if TYPE_CHECKING:
    from vcl import LocalCluster

FASTER = 5
"""How many times as fast as on Dask we want to be."""


class Half:
    """One half of the grid on a worker's device, with the row beyond its border.

    upper: which half. core: that its device is pinned to.
    """

    def __init__(self, upper: bool, core: int, device_name: str | None, settings: Settings) -> None:
        for thread in os.listdir("/proc/self/task"):
            os.sched_setaffinity(int(thread), {core})
        import pyopencl as cl

        self._cl = cl
        devices = [d for p in cl.get_platforms() for d in p.get_devices()]
        context = cl.Context([next(d for d in devices if device_name in (None, d.name.strip()))])
        self._queue = cl.CommandQueue(context)
        self._kernel = cl.Program(context, SOURCE).build().relax
        rows, self._columns = settings.grid
        self._rows = rows // 2
        grid = np.random.default_rng(1).random((rows, self._columns), np.float32)
        self._mine = slice(0, self._rows) if upper else slice(self._rows, rows)
        self._start = grid[: self._rows + 1] if upper else grid[self._rows - 1 :]
        self._first, self._border, self._beyond = (
            (0, self._rows - 1, self._rows) if upper else (1, 1, 0)
        )
        flags = cl.mem_flags.READ_WRITE
        self._buffers = [cl.Buffer(context, flags, self._start.nbytes) for _ in range(2)]

    def load(self) -> np.ndarray:
        """Begin anew; answers the border row."""
        for buffer in self._buffers:
            self._cl.enqueue_copy(self._queue, buffer, self._start)
        return self._start[self._border].copy()

    def step(self, beyond: np.ndarray) -> np.ndarray:
        """Relax once, with this row of the other half; answers the border row."""
        cl, queue, columns = self._cl, self._queue, self._columns
        now, after = self._buffers
        row_bytes = beyond.nbytes
        cl.enqueue_copy(
            queue, now, beyond, dst_offset=self._beyond * row_bytes, is_blocking=False
        )
        self._kernel(
            queue, (columns, self._rows), GROUP, now, after, np.int32(columns),
            np.int32(self._rows + 1), global_offset=(0, self._first),
        )  # fmt: skip
        border = np.empty_like(beyond)
        cl.enqueue_copy(queue, border, after, src_offset=self._border * row_bytes)
        self._buffers.reverse()
        return border

    def rows(self) -> np.ndarray:
        """The half as it is now."""
        found = np.empty((self._rows, self._columns), np.float32)
        offset = self._first * self._columns * found.itemsize
        self._cl.enqueue_copy(self._queue, found, self._buffers[0], src_offset=offset)
        return found


def _step(half: Half, before: np.ndarray, beyond: np.ndarray) -> np.ndarray:
    """A step after the one that answered `before`."""
    del before
    return half.step(beyond)


@contextmanager
def on_dask(cores: Sequence[int], device_name: str | None, settings: Settings) -> Iterator[Sampler]:
    """Start a scheduler and two workers, each pinned to one of the cores."""
    from distributed import Client, LocalCluster, wait

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        # A half is made where it stays.
        workers = list(client.scheduler_info()["workers"])

        def submit(which: int, *call: Any) -> Any:
            return client.submit(*call, workers=[workers[which]], pure=False)

        halves = [
            submit(i, Half, i == 0, cores[i], device_name, settings) for i in range(2)
        ]

        def sample() -> Sample:
            rows = [submit(i, Half.load, halves[i]) for i in range(2)]
            wait(rows)
            began = time.perf_counter()
            for _ in range(settings.steps):
                rows = [submit(i, _step, halves[i], rows[i], rows[1 - i]) for i in range(2)]
            wait(rows)
            seconds = time.perf_counter() - began
            found = client.gather([submit(i, Half.rows, halves[i]) for i in range(2)])
            checksum = zlib.crc32(np.concatenate(found).data)
            return {"step": seconds / settings.steps * 1e3, "checksum": float(checksum)}

        yield sample


def measure(cluster: LocalCluster, settings: Settings) -> list[Row]:
    """A large grid and a small one on the cluster device; raises Skipped without Dask."""
    import vcl
    from benchmarks import jacobi

    if importlib.util.find_spec("distributed") is None:
        raise common.Skipped("Dask isn't installed (the extra `benchmarks`)")
    rows = []
    for grid in (settings.grid, (settings.plate_side, settings.plate_side)):
        devices = common.connect(cluster)
        sized = replace(settings, grid=grid)
        ours = {"ours": jacobi.program(vcl, devices.whole, sized)}
        figures = common.sample_in_turn("jacobi", devices, sized, ours, ["dask"])
        rows.append(_row(f"jacobi {grid[0]} x {grid[1]}, beside Dask, a step", figures))
    return rows


def _row(name: str, figures: Figures) -> Row:
    ours, dask = figures["ours"], figures["dask"]
    checksums = {*ours["checksum"].samples, *dask["checksum"].samples}
    assert len(checksums) == 1, "the grid differs from Dask's"
    wanted = Figure(tuple(step / FASTER for step in dask["step"].samples))
    beside = {"dask": dask["step"], f"dask / {FASTER}": wanted}
    return Row(name, "ms", "lower", ours["step"], beside)
