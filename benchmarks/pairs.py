"""Pairs: a kernel on one node, then one on the other, on one small buffer, again and again.

Owns: that measure. Must not know: vcl at import time.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import common
from benchmarks.common import Row, Sample, Sampler, Settings
from benchmarks.roundtrip import GROUP, ITEMS

if TYPE_CHECKING:
    from vcl import LocalCluster

SOURCE = """
kernel void bump(global uint *x) { x[get_global_id(0)] += 1; }
kernel void twice(global uint *x) { x[get_global_id(0)] *= 2; }
"""


def program(cl: Any, device: Any, settings: Settings) -> Sampler:
    """Two queues on one device."""
    return between(cl, [device, device], settings)


def between(cl: Any, devices: list[Any], settings: Settings) -> Sampler:
    """One sample is so many pairs, each kernel waiting for the event of the one before it, all
    waited for once; what they come to is checked. devices: of the first kernel and the second."""
    context = cl.Context(list(dict.fromkeys(devices)))
    first, second = (cl.CommandQueue(context, device) for device in devices)
    built = cl.Program(context, SOURCE).build()
    flags = cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR
    zeros = np.zeros(ITEMS, np.uint32)
    buffer = cl.Buffer(context, flags, hostbuf=zeros)
    bump, twice = cl.Kernel(built, "bump"), cl.Kernel(built, "twice")
    for kernel in (bump, twice):
        kernel.set_args(buffer)
    found = np.empty_like(zeros)

    def sample() -> Sample:
        cl.enqueue_copy(first, buffer, zeros)
        expected = 0
        waits: list[Any] = []
        began = time.perf_counter()
        for _ in range(settings.pairs):
            event = cl.enqueue_nd_range_kernel(first, bump, (ITEMS,), (GROUP,), wait_for=waits)
            event = cl.enqueue_nd_range_kernel(second, twice, (ITEMS,), (GROUP,), wait_for=[event])
            expected, waits = (expected + 1) * 2 % 2**32, [event]
        second.finish()
        seconds = time.perf_counter() - began
        cl.enqueue_copy(second, found, buffer)
        assert (found == expected).all(), f"{found} instead of {expected}"
        return {"pair": seconds / settings.pairs * 1e3}

    return sample


def measure(cluster: LocalCluster, settings: Settings) -> list[Row]:
    """On the two nodes' devices, beside two native queues on one device, and TCP ping-pong."""
    import vcl

    devices = common.connect(cluster)
    ours = {"two nodes": between(vcl, list(devices.remotes), settings)}
    yardsticks = ("native", "tcp")
    figures = common.sample_in_turn("pairs", devices, settings, ours, yardsticks)
    return [
        common.row(f"pair of kernels on two nodes, {ITEMS * 4} bytes", "ms", "lower",
                   figures, "pair", "two nodes", yardsticks)
    ]  # fmt: skip
