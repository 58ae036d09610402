"""An iterated stencil: heat that spreads over a plate, two buffers swapped each step.

Owns: that measure. Must not know: vcl at import time.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import common
from benchmarks.common import Row, Sample, Sampler, Settings

if TYPE_CHECKING:
    from vcl import LocalCluster

SOURCE = """
kernel void spread(global const float *now, global float *next, int width, int height) {
    int x = get_global_id(0), y = get_global_id(1), i = y * width + x;
    if (x == 0 || y == 0 || x == width - 1 || y == height - 1)
        next[i] = now[i];
    else
        next[i] = now[i] + 0.125f * (now[i - 1] + now[i + 1] + now[i - width] + now[i + width]
                                     - 4.0f * now[i]);
}
"""
GROUP = (16, 16)


def program(cl: Any, device: Any, settings: Settings) -> Sampler:
    """One sample is so many steps in one in-order queue; the sum of the plate is a metric too, to
    compare the sides' results."""
    context = cl.Context([device])
    queue = cl.CommandQueue(context)
    kernel = cl.Program(context, SOURCE).build().spread
    side = settings.plate_side
    plate = np.random.default_rng(1).random((side, side), np.float32)
    flags = cl.mem_flags.READ_WRITE
    now = cl.Buffer(context, flags | cl.mem_flags.COPY_HOST_PTR, hostbuf=plate)
    then = cl.Buffer(context, flags, plate.nbytes)
    buffers = [now, then]
    found = np.empty_like(plate)

    def sample() -> Sample:
        cl.enqueue_copy(queue, buffers[0], plate)
        queue.finish()
        began = time.perf_counter()
        for _ in range(settings.steps):
            kernel(queue, (side, side), GROUP, *buffers, np.int32(side), np.int32(side))
            buffers.reverse()
        queue.finish()
        seconds = time.perf_counter() - began
        cl.enqueue_copy(queue, found, buffers[0])
        return {"step": seconds / settings.steps * 1e3, "sum": float(found.sum(dtype=np.float64))}

    return sample


def measure(cluster: LocalCluster, settings: Settings) -> list[Row]:
    """On the first node's device and on the cluster device, beside native on one core."""
    import vcl

    devices = common.connect(cluster)
    ours = {
        "remote device": program(vcl, devices.remote, settings),
        "cluster device": program(vcl, devices.whole, settings),
    }
    figures = common.sample_in_turn("stencil", devices, settings, ours, ["native"])
    sums = {side: set(figures[side]["sum"].samples) for side in figures}
    assert len(set.union(*sums.values())) == 1, f"the sides' plates differ: {sums}"
    yardsticks = {"remote device": ["native"], "cluster device": ["remote device", "native"]}
    return [
        common.row(f"stencil, {side}, a step", "ms", "lower", figures, "step", side,
                   yardsticks[side])
        for side in ours
    ]  # fmt: skip
