"""The Mandelbrot set: much computing for few bytes, split over nodes of one core each.

Owns: that measure. Must not know: vcl at import time.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import common
from benchmarks.common import MB, Row, Sample, Sampler, Settings

if TYPE_CHECKING:
    from vcl import LocalCluster

# Symmetric about the real axis, so that both halves of the rows are the same work.
SOURCE = """
kernel void mandelbrot(global int *counts, int side, int iterations) {
    int column = get_global_id(0), row = get_global_id(1);
    float c_re = -2.0f + 3.0f * (column + 0.5f) / side;
    float c_im = -1.5f + 3.0f * (row + 0.5f) / side;
    float re = 0.0f, im = 0.0f;
    int count = 0;
    while (count < iterations && re * re + im * im <= 4.0f) {
        float next = re * re - im * im + c_re;
        im = 2.0f * re * im + c_im;
        re = next;
        count += 1;
    }
    counts[row * side + column] = count;
}
"""
GROUP = (8, 8)


def program(cl: Any, device: Any, settings: Settings) -> Sampler:
    """One sample is one picture: pixels a second without and with reading it.

    The sum of the counts is a metric too, to compare the sides' results.
    """
    context = cl.Context([device])
    queue = cl.CommandQueue(context)
    kernel = cl.Program(context, SOURCE).build().mandelbrot
    side = settings.image_side
    counts = np.zeros((side, side), np.int32)
    buffer = cl.Buffer(context, cl.mem_flags.WRITE_ONLY, counts.nbytes)

    def sample() -> Sample:
        counts.fill(-1)
        began = time.perf_counter()
        kernel(queue, (side, side), GROUP, buffer, np.int32(side), np.int32(settings.iterations))
        queue.finish()
        launched = time.perf_counter()
        cl.enqueue_copy(queue, counts, buffer)
        ended = time.perf_counter()
        assert counts.min() >= 0, "pixels are missing"
        return {
            "launch": side * side / (launched - began) / MB,
            "launch and read": side * side / (ended - began) / MB,
            "iterations": float(counts.sum(dtype=np.int64)),
        }

    return sample


def measure(cluster: LocalCluster, settings: Settings) -> list[Row]:
    """On one node and on two, beside native on one core."""
    import vcl

    devices = common.connect(cluster)
    ours = {
        "one node": program(vcl, devices.remote, settings),
        "two nodes": program(vcl, devices.whole, settings),
    }
    figures = common.sample_in_turn("mandelbrot", devices, settings, ours, ["native"])
    totals = {side: set(figures[side]["iterations"].samples) for side in figures}
    assert len(set.union(*totals.values())) == 1, f"the sides' pictures differ: {totals}"
    yardsticks = {"one node": ["native"], "two nodes": ["one node", "native"]}
    return [
        common.row(f"mandelbrot, {side}, {metric}", "Mpixel/s", "higher", figures, metric, side,
                   yardsticks[side])
        for side in ours
        for metric in ("launch", "launch and read")
    ]  # fmt: skip
