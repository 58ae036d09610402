"""Matrix multiplication with tiles in local memory, split over nodes of one core each.

Owns: that measure. Must not know: vcl at import time.
"""

from __future__ import annotations

import time
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import common
from benchmarks.common import Row, Sample, Sampler, Settings

if TYPE_CHECKING:
    from vcl import LocalCluster

SAMPLES_MAX = 3  # a sample of all sides takes half a minute
TILE = 16
SOURCE = f"""
#define TILE {TILE}
""" + """
kernel void multiply(global const float *a, global const float *b, global float *c, int side) {
    local float of_a[TILE][TILE], of_b[TILE][TILE];
    int x = get_local_id(0), y = get_local_id(1);
    int column = get_global_id(0), row = get_global_id(1);
    float sum = 0.0f;
    for (int tile = 0; tile < side; tile += TILE) {
        of_a[y][x] = a[row * side + tile + x];
        of_b[y][x] = b[(tile + y) * side + column];
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int k = 0; k < TILE; k++)
            sum += of_a[y][k] * of_b[k][x];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    c[row * side + column] = sum;
}
"""


def program(cl: Any, device: Any, settings: Settings) -> Sampler:
    """One sample is one product, with reading it; its checksum is a metric too, to compare the
    sides' results. The two factors are on the device before."""
    context = cl.Context([device])
    queue = cl.CommandQueue(context)
    kernel = cl.Program(context, SOURCE).build().multiply
    side = settings.matrix_side
    a, b = np.random.default_rng(1).random((2, side, side), np.float32)
    flags = cl.mem_flags
    factors = [
        cl.Buffer(context, flags.READ_ONLY | flags.COPY_HOST_PTR, hostbuf=x) for x in (a, b)
    ]
    product = cl.Buffer(context, flags.WRITE_ONLY, a.nbytes)
    found = np.empty_like(a)
    some_rows = slice(None, None, max(1, side // 8))
    expected = a[some_rows] @ b

    def sample() -> Sample:
        found.fill(-1)
        began = time.perf_counter()
        kernel(queue, (side, side), (TILE, TILE), *factors, product, np.int32(side))
        cl.enqueue_copy(queue, found, product)
        seconds = time.perf_counter() - began
        np.testing.assert_allclose(found[some_rows], expected, rtol=1e-4)
        return {"rate": 2 * side**3 / seconds / 1e9, "checksum": float(zlib.crc32(found.data))}

    return sample


def measure(cluster: LocalCluster, settings: Settings) -> list[Row]:
    """On one node and on two, beside native on one core."""
    import vcl

    settings = replace(settings, samples=min(settings.samples, SAMPLES_MAX))
    devices = common.connect(cluster)
    ours = {
        "one node": program(vcl, devices.remote, settings),
        "two nodes": program(vcl, devices.whole, settings),
    }
    figures = common.sample_in_turn("matmul", devices, settings, ours, ["native"])
    sums = {side: set(figures[side]["checksum"].samples) for side in figures}
    assert len(set.union(*sums.values())) == 1, f"the sides' products differ: {sums}"
    yardsticks = {"one node": ["native"], "two nodes": ["one node", "native"]}
    side = settings.matrix_side
    return [
        common.row(f"matmul {side} x {side} and read, {nodes}", "GFLOP/s", "higher", figures,
                   "rate", nodes, yardsticks[nodes])
        for nodes in ours
    ]  # fmt: skip
