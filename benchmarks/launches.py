"""Pipelined launches: many tiny kernels in one in-order queue, then finish.

Owns: that measure, and as a program (`python -m benchmarks.launches`) the same on a cluster of its
own that splits whatever can be, which samples when it is asked. Must not know: vcl at import time.

One kernel again and again; two buffers that swap with a value that is another each time, as in an
iterated scheme; and three kernels by turns. The cluster device runs such small ones whole, as that
pays.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import common
from benchmarks.common import Row, Sample, Sampler, Settings
from benchmarks.roundtrip import GROUP, ITEMS

if TYPE_CHECKING:
    from vcl import LocalCluster

SOURCE = """
kernel void bump(global uint *x) { x[get_global_id(0)]++; }
kernel void leap(global uint *x) { x[get_global_id(0)] += 2; }
kernel void sink(global uint *x) { x[get_global_id(0)]--; }
kernel void advance(global uint *to, global const uint *from, uint by) {
    to[get_global_id(0)] = from[get_global_id(0)] + by;
}
"""
WAYS = ("one kernel", "buffers swapped, other values", "three kernels")


def program(cl: Any, device: Any, settings: Settings) -> Sampler:
    """One sample is so many launches of each way, each needing the last one's bytes; what they
    come to is checked."""
    context = cl.Context([device])
    queue = cl.CommandQueue(context)
    built = cl.Program(context, SOURCE).build()
    flags = cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR
    zeros = np.zeros(ITEMS, np.uint32)
    buffers = [cl.Buffer(context, flags, hostbuf=zeros) for _ in range(2)]
    turns = [cl.Kernel(built, name) for name in ("bump", "leap", "sink")]
    for kernel in turns:
        kernel.set_args(buffers[0])
    advance = cl.Kernel(built, "advance")

    def one(index: int) -> int:
        cl.enqueue_nd_range_kernel(queue, turns[0], (ITEMS,), (GROUP,))
        return 1

    def swapped(index: int) -> int:
        advance.set_args(buffers[~index & 1], buffers[index & 1], np.uint32(index))
        cl.enqueue_nd_range_kernel(queue, advance, (ITEMS,), (GROUP,))
        return index

    def three(index: int) -> int:
        cl.enqueue_nd_range_kernel(queue, turns[index % 3], (ITEMS,), (GROUP,))
        return (1, 2, -1)[index % 3]

    def rate(launch: Callable[[int], int]) -> float:
        """Launches a second, an even number."""
        for buffer in buffers:
            cl.enqueue_copy(queue, buffer, zeros)
        queue.finish()
        began = time.perf_counter()
        total = sum(launch(index) for index in range(settings.launches))
        queue.finish()
        seconds = time.perf_counter() - began
        found = np.empty_like(zeros)
        cl.enqueue_copy(queue, found, buffers[0])
        assert (found == np.uint32(total % 2**32)).all(), f"{found} instead of {total}"
        return settings.launches / seconds

    def sample() -> Sample:
        return dict(zip(WAYS, map(rate, (one, swapped, three)), strict=True))

    return sample


def measure(cluster: LocalCluster, settings: Settings) -> list[Row]:
    """On the first node's device, on the cluster device as it chooses, and split in two there,
    beside native."""
    import vcl

    devices = common.connect(cluster)
    fewer = replace(settings, launches=settings.cluster_launches)
    with common.always_split("launches", fewer) as split:
        ours = {
            "remote device": program(vcl, devices.remote, settings),
            "cluster device": program(vcl, devices.whole, fewer),
            "split in two": split.sample,
        }
        figures = common.sample_in_turn("launches", devices, settings, ours, ["native"])
    return [
        common.row(f"launches, {way}, {side}", "/s", "higher", figures, way, side, ["native"])
        for way in WAYS
        for side in ours
    ]


if __name__ == "__main__":
    common.serve_split(program)
