"""Reads: from where a kernel wrote to the host's array.

Owns: that measure. Must not know: vcl at import time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from benchmarks import common
from benchmarks.common import MB, MIB, Devices, Row, Sampler, Settings

if TYPE_CHECKING:
    from vcl import LocalCluster

# splitmix64's finalizer: bytes that don't compress and never came before.
SOURCE = """
kernel void produce(global ulong *data, ulong seed) {
    ulong z = seed + get_global_id(0);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9UL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebUL;
    data[get_global_id(0)] = z ^ (z >> 31);
}
"""
GROUP = 64
Words = npt.NDArray[np.uint64]
CHECK_STRIDE = 4099  # words; prime, so that every place in a page or chunk is met


def program(cl: Any, device: Any, settings: Settings) -> Sampler:
    """One sample is one read of each size, each of bytes that a kernel has just made."""
    context = cl.Context([device])
    queue = cl.CommandQueue(context)
    produce = cl.Program(context, SOURCE).build().produce
    reads = {mib: _read(cl, queue, produce, mib * MIB) for mib in settings.transfer_sizes_mib}
    return lambda: {f"{mib} MiB": mib * MIB / read() / MB for mib, read in reads.items()}


def _read(cl: Any, queue: Any, produce: Any, size_bytes: int) -> Callable[[], float]:
    """A function that reads so many bytes once and answers the seconds."""
    # Not zeros: its pages must exist, or the first read would be of the memory manager.
    host = np.full(size_bytes // 8, 1, np.uint64)
    data = cl.Buffer(queue.context, cl.mem_flags.WRITE_ONLY, host.nbytes)
    seed = 0

    def read() -> float:
        nonlocal seed
        seed += len(host)
        produce(queue, (len(host),), (GROUP,), data, np.uint64(seed))
        queue.finish()
        began = time.perf_counter()
        cl.enqueue_copy(queue, host, data)
        seconds = time.perf_counter() - began
        places = np.arange(0, len(host), CHECK_STRIDE).astype(np.uint64)
        expected = produced(places + np.uint64(seed))
        assert (host[::CHECK_STRIDE] == expected).all(), "other bytes came than the kernel wrote"
        return seconds

    return read


def produced(z: Words) -> Words:
    """What the kernel makes of seed + index."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


def measure(cluster: LocalCluster, settings: Settings) -> list[Row]:
    """From the first node's device, by each way, beside native and TCP."""
    import vcl

    def make(devices: Devices) -> Sampler:
        return program(vcl, devices.remote, settings)

    return common.bulk_rows("read", cluster, settings, make, ("native", "tcp"))
