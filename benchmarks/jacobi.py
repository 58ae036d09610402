"""Jacobi's iteration on a large grid: two buffers swapped each step, rows exchanged by two nodes.

Owns: that measure. Must not know: vcl at import time.

The yardstick that counts is what two cores do without a cluster: two native processes at once, each
on a node's core, with half of the rows each and no exchange; the slower one's time.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import common
from benchmarks.common import Figure, Row, Sample, Sampler, Settings

if TYPE_CHECKING:
    from vcl import LocalCluster

SOURCE = """
kernel void relax(global const float *now, global float *next, int width, int height) {
    int x = get_global_id(0), y = get_global_id(1), i = y * width + x;
    if (x == 0 || y == 0 || x == width - 1 || y == height - 1)
        next[i] = now[i];
    else
        next[i] = 0.25f * (now[i - 1] + now[i + 1] + now[i - width] + now[i + width]);
}
"""
GROUP = (16, 16)
ITEM_BYTES = 4


def program(
    cl: Any, device: Any, settings: Settings, moved: Callable[[Any], int] | None = None
) -> Sampler:
    """One sample is so many steps in one in-order queue; the checksum of the grid is a metric too,
    to compare the sides' results. moved: answers the bytes that the launch of an event moved."""
    context = cl.Context([device])
    queue = cl.CommandQueue(context)
    kernel = cl.Program(context, SOURCE).build().relax
    rows, columns = settings.grid
    grid = np.random.default_rng(1).random((rows, columns), np.float32)
    flags = cl.mem_flags.READ_WRITE
    buffers = [cl.Buffer(context, flags, grid.nbytes) for _ in range(2)]
    found = np.empty_like(grid)

    def sample() -> Sample:
        cl.enqueue_copy(queue, buffers[0], grid)
        queue.finish()
        began = time.perf_counter()
        for _ in range(settings.steps):
            step = kernel(
                queue, (columns, rows), GROUP, *buffers, np.int32(columns), np.int32(rows)
            )
            buffers.reverse()
        queue.finish()
        seconds = time.perf_counter() - began
        cl.enqueue_copy(queue, found, buffers[0])
        taken = {"step": seconds / settings.steps * 1e3, "checksum": float(zlib.crc32(found.data))}
        if moved is not None:
            taken["moved"] = float(moved(step))
        return taken

    return sample


def measure(cluster: LocalCluster, settings: Settings) -> list[Row]:
    """On the cluster device, beside two native processes with half of it each; and what a late step
    moves, beside the rows that must be."""
    import vcl

    devices = common.connect(cluster)
    rows, columns = settings.grid
    half = replace(settings, grid=(rows // 2, columns))
    with common.yardstick("native-jacobi", devices, settings) as whole:
        expected = whole.sample()["checksum"]
    with ExitStack() as stack:
        halves = [
            stack.enter_context(common.yardstick("native-jacobi", devices, half, node))
            for node in range(2)
        ]

        def both() -> Sample:
            for process in halves:
                process.ask()
            return {"step": max([process.answer()["step"] for process in halves])}

        sides = {
            "cluster device": program(
                vcl, devices.whole, settings, lambda event: vcl.launch_report(event).bytes_moved
            ),
            "native halves": both,
        }
        figures = common.sample_in_turn("jacobi", devices, settings, sides, [])
    ours = figures["cluster device"]
    assert set(ours["checksum"].samples) == {expected}, "the grid differs from native's"
    # One row each way over the border between the halves.
    halo = Figure((2.0 * columns * ITEM_BYTES,) * settings.samples)
    name = f"jacobi {rows} x {columns}, cluster device"
    return [
        common.row(f"{name}, a step", "ms", "lower", figures, "step", "cluster device",
                   ["native halves"]),
        Row(f"{name}, moved by a late step", "bytes", "lower", ours["moved"], {"halo rows": halo}),
    ]  # fmt: skip
