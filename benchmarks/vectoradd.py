"""Adding two vectors, end to end: buffers made of the host's arrays, one launch, the sum read.

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
kernel void add(global const float *a, global const float *b, global float *c) {
    int i = get_global_id(0);
    c[i] = a[i] + b[i];
}
"""
GROUP = 64


def program(cl: Any, device: Any, settings: Settings) -> Sampler:
    """One sample is one sum of other vectors than before, in buffers of its own; it is checked."""
    context = cl.Context([device])
    queue = cl.CommandQueue(context)
    kernel = cl.Program(context, SOURCE).build().add
    a, b = np.random.default_rng(1).random((2, settings.vector_items), np.float32)
    found = np.empty_like(a)
    flags = cl.mem_flags

    def sample() -> Sample:
        for vector in (a, b):
            np.add(vector, np.float32(0.5), out=vector)
        found.fill(-1)
        began = time.perf_counter()
        terms = [
            cl.Buffer(context, flags.READ_ONLY | flags.COPY_HOST_PTR, hostbuf=x) for x in (a, b)
        ]
        total = cl.Buffer(context, flags.WRITE_ONLY, found.nbytes)
        kernel(queue, a.shape, (GROUP,), *terms, total)
        cl.enqueue_copy(queue, found, total)
        seconds = time.perf_counter() - began
        for buffer in (*terms, total):
            buffer.release()
        assert np.array_equal(found, a + b), "the sum is wrong"
        return {"sum": seconds * 1e3}

    return sample


def measure(cluster: LocalCluster, settings: Settings) -> list[Row]:
    """On the first node's device and on the cluster device, beside native on one core."""
    import vcl

    devices = common.connect(cluster)
    ours = {
        "remote device": program(vcl, devices.remote, settings),
        "cluster device": program(vcl, devices.whole, settings),
    }
    figures = common.sample_in_turn("vectoradd", devices, settings, ours, ["native"])
    yardsticks = {"remote device": ["native"], "cluster device": ["remote device", "native"]}
    size = settings.vector_items
    return [
        common.row(f"vector add of {size:,} floats, {side}", "ms", "lower", figures,
                   "sum", side, yardsticks[side])
        for side in ours
    ]  # fmt: skip
