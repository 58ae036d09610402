"""Round trip: enqueue a tiny kernel, wait until it has finished.

Owns: that measure. Must not know: vcl at import time.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import common
from benchmarks.common import Figure, Figures, Row, Sample, Sampler, Settings

if TYPE_CHECKING:
    from vcl import LocalCluster

ITEMS, GROUP = 64, 32  # two work-groups, so that the cluster device may split

CHAINS = 1.5
"""A round trip is to take at most so many bare chains, and the native kernel."""

SOURCE = "kernel void bump(global uint *counts) { counts[get_global_id(0)] += 1; }"


def summary(seconds: Sequence[float]) -> Sample:
    """Median and 99th percentile, in microseconds."""
    median, p99 = np.percentile(seconds, [50, 99]) * 1e6
    return {"median": float(median), "p99": float(p99)}


def program(cl: Any, device: Any, settings: Settings) -> Sampler:
    """One sample is so many round trips; every one of them is checked to have happened."""
    context = cl.Context([device])
    queue = cl.CommandQueue(context)
    counts = np.zeros(ITEMS, np.uint32)
    flags = cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR
    buffer = cl.Buffer(context, flags, hostbuf=counts)
    kernel = cl.Program(context, SOURCE).build().bump
    kernel.set_args(buffer)
    trips = 0

    def sample() -> Sample:
        nonlocal trips
        seconds = []
        for _ in range(settings.round_trips):
            began = time.perf_counter()
            cl.enqueue_nd_range_kernel(queue, kernel, (ITEMS,), (GROUP,))
            queue.finish()
            seconds.append(time.perf_counter() - began)
        trips += settings.round_trips
        cl.enqueue_copy(queue, counts, buffer)
        assert (counts == trips).all(), f"{trips} launches counted {counts.min()}..{counts.max()}"
        return summary(seconds)

    return sample


def measure(cluster: LocalCluster, settings: Settings) -> list[Row]:
    """On the first node's device and on the cluster device, beside native, TCP ping-pong and the
    bare chain, and what the two make together."""
    import vcl

    devices = common.connect(cluster)
    ours = {
        "remote device": program(vcl, devices.remote, settings),
        "cluster device": program(vcl, devices.whole, settings),
    }
    yardsticks = ("native", "tcp", "chain")
    figures = common.sample_in_turn("roundtrip", devices, settings, ours, yardsticks)
    figures["target"] = {metric: _target(figures, metric) for metric in ("median", "p99")}
    return [
        common.row(f"round trip, {side}, {metric}", "µs", "lower", figures, metric, side,
                   (*yardsticks, "target"))
        for side in ours
        for metric in ("median", "p99")
    ]  # fmt: skip


def _target(figures: Figures, metric: str) -> Figure:
    """So many chains and the native kernel of the same round of samples."""
    chains, natives = figures["chain"][metric].samples, figures["native"][metric].samples
    return Figure(tuple(CHAINS * c + n for c, n in zip(chains, natives, strict=True)))
