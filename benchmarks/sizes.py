"""Launches of 64 to 16 Mi work-items, repeated: as the cluster device chooses, whole, and in parts.

Owns: that measure, and as a program (`python -m benchmarks.sizes`) a cluster of its own that splits
whatever can be, which samples when it is asked. Must not know: how the choice is made.
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
kernel void light(global float *a) { int i = get_global_id(0); a[i] = a[i] * 0.5f + 1.0f; }
kernel void heavy(global float *a) {
    int i = get_global_id(0);
    float x = a[i];
    for (int n = 0; n < 64; n++) x = x * 0.5f + 1.0f;
    a[i] = x;
}
"""
KERNELS = ("light", "heavy")
GROUP = 64
LAUNCHES_MAX, ITEMS = 100, 2**23
"""Of one size: so many launches, fewer where they would have more work-items together."""


def program(cl: Any, device: Any, settings: Settings) -> Sampler:
    """One sample is microseconds a launch, of each size and kernel, of launches in one queue that
    are waited for together."""
    context = cl.Context([device])
    queue = cl.CommandQueue(context)
    built = cl.Program(context, SOURCE).build()
    kernels = {(name, size): cl.Kernel(built, name)
               for name in KERNELS for size in settings.launch_sizes}  # fmt: skip
    buffers = {
        size: cl.Buffer(
            context, cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR,
            hostbuf=np.ones(size, np.float32),
        )
        for size in settings.launch_sizes
    }  # fmt: skip

    def sample() -> Sample:
        found = {}
        for (name, size), kernel in kernels.items():
            count = max(3, min(LAUNCHES_MAX, ITEMS // size))
            queue.finish()
            began = time.perf_counter()
            for _ in range(count):
                kernel(queue, (size,), (GROUP,), buffers[size])
            queue.finish()
            found[f"{name}, {size}"] = (time.perf_counter() - began) / count * 1e6
        return found

    return sample


def measure(cluster: LocalCluster, settings: Settings) -> list[Row]:
    """The cluster device, beside one device and beside parts, whatever they cost."""
    import vcl

    devices = common.connect(cluster)
    with common.always_split("sizes", settings) as parts:
        sides = {
            "chosen": program(vcl, devices.whole, settings),
            "one device": program(vcl, devices.remote, settings),
            "in parts": parts.sample,
        }
        figures = common.sample_in_turn("sizes", devices, settings, sides, [])
    rows = []
    for metric, ours in figures["chosen"].items():
        beside = {side: figures[side][metric] for side in ("one device", "in parts")}
        better = min(beside.values(), key=lambda figure: figure.median)
        name = f"launch of {metric} work-items"
        rows.append(Row(name, "us", "lower", ours, {**beside, "the better": better}))
    return rows


if __name__ == "__main__":
    common.serve_split(program)
