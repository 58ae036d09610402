"""Pipelined launches: many tiny kernels in one in-order queue, then finish.

Owns: that measure. Must not know: vcl at import time.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import common
from benchmarks.common import Row, Sample, Sampler, Settings
from benchmarks.roundtrip import GROUP, ITEMS, SOURCE

if TYPE_CHECKING:
    from vcl import LocalCluster


def program(cl: Any, device: Any, settings: Settings) -> Sampler:
    """One sample is so many launches, each needing the last one's bytes; their sum is checked."""
    context = cl.Context([device])
    queue = cl.CommandQueue(context)
    counts = np.zeros(ITEMS, np.uint32)
    flags = cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR
    buffer = cl.Buffer(context, flags, hostbuf=counts)
    kernel = cl.Program(context, SOURCE).build().bump
    kernel.set_args(buffer)
    launched = 0

    def sample() -> Sample:
        nonlocal launched
        began = time.perf_counter()
        for _ in range(settings.launches):
            cl.enqueue_nd_range_kernel(queue, kernel, (ITEMS,), (GROUP,))
        queue.finish()
        seconds = time.perf_counter() - began
        launched += settings.launches
        cl.enqueue_copy(queue, counts, buffer)
        assert (counts == launched).all(), f"{launched} launches counted {counts}"
        return {"rate": settings.launches / seconds}

    return sample


def measure(cluster: LocalCluster, settings: Settings) -> list[Row]:
    """On the first node's device and on the cluster device, beside native."""
    import vcl

    devices = common.connect(cluster)
    fewer = replace(settings, launches=settings.cluster_launches)
    ours = {
        "remote device": program(vcl, devices.remote, settings),
        "cluster device": program(vcl, devices.whole, fewer),
    }
    figures = common.sample_in_turn("launches", devices, settings, ours, ["native"])
    return [
        common.row(f"launches, {side}", "/s", "higher", figures, "rate", side, ["native"])
        for side in ours
    ]
