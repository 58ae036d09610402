"""Writes: from the host's array to where a kernel can read it.

Owns: that measure. Must not know: vcl at import time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import common
from benchmarks.common import MB, MIB, Devices, Row, Sampler, Settings

if TYPE_CHECKING:
    from vcl import LocalCluster

# The index comes from memory, so nobody can tell in advance that one element is enough.
SOURCE = """
kernel void pick(global const ulong *data, global const ulong *index, global ulong *picked) {
    picked[0] = data[index[0]];
}
"""

# Odd, so adding it changes every word and repeats no array for 2**64 samples: nobody who keeps
# bytes by their hash, or compresses them, gains.
STEP = np.uint64(0x9E3779B97F4A7C15)


def program(cl: Any, device: Any, settings: Settings) -> Sampler:
    """One sample is one write of each size, each of bytes that were never sent before."""
    context = cl.Context([device])
    queue = cl.CommandQueue(context)
    pick = cl.Program(context, SOURCE).build().pick
    writes = {mib: _write(cl, queue, pick, mib * MIB) for mib in settings.transfer_sizes_mib}
    return lambda: {f"{mib} MiB": mib * MIB / write() / MB for mib, write in writes.items()}


def _write(cl: Any, queue: Any, pick: Any, size_bytes: int) -> Callable[[], float]:
    """A function that writes so many bytes once and answers the seconds."""
    host = np.random.default_rng(1).integers(0, 2**64, size_bytes // 8, np.uint64)
    index = np.array([len(host) - 2], np.uint64)
    picked = np.zeros(1, np.uint64)
    flags = cl.mem_flags
    data = cl.Buffer(queue.context, flags.READ_ONLY, host.nbytes)
    where = cl.Buffer(queue.context, flags.READ_ONLY | flags.COPY_HOST_PTR, hostbuf=index)
    answer = cl.Buffer(queue.context, flags.WRITE_ONLY, picked.nbytes)

    def write() -> float:
        np.add(host, STEP, out=host)
        began = time.perf_counter()
        cl.enqueue_copy(queue, data, host, is_blocking=False)
        pick(queue, (1,), (1,), data, where, answer)
        queue.finish()
        seconds = time.perf_counter() - began
        cl.enqueue_copy(queue, picked, answer)
        assert picked[0] == host[index[0]], "the kernel read other bytes than were written"
        return seconds

    return write


def measure(cluster: LocalCluster, settings: Settings) -> list[Row]:
    """To the first node's device, by each way, beside native and TCP."""
    import vcl

    def make(devices: Devices) -> Sampler:
        return program(vcl, devices.remote, settings)

    return common.bulk_rows("write", cluster, settings, make, ("native", "tcp"))
