"""Executor to executor: bytes that a kernel made on one node, needed by a kernel on the other.

Owns: that measure. Must not know: vcl at import time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import common, read, write
from benchmarks.common import MB, MIB, Devices, Row, Sampler, Settings

if TYPE_CHECKING:
    from vcl import LocalCluster


def program(cl: Any, device: Any, settings: Settings) -> Sampler:
    """Two queues on one device, between which nothing moves."""
    return between(cl, [device, device], settings)


def between(cl: Any, devices: Sequence[Any], settings: Settings) -> Sampler:
    """One sample is one transfer of each size, each of bytes that a kernel has just made.
    devices: of the kernel that makes them, and of the one that needs them."""
    context = cl.Context(list(dict.fromkeys(devices)))
    queues = [cl.CommandQueue(context, device) for device in devices]
    built = cl.Program(context, read.SOURCE + write.SOURCE).build()
    sizes = settings.transfer_sizes_mib
    transfers = {mib: _transfer(cl, queues, built, mib * MIB) for mib in sizes}
    return lambda: {f"{mib} MiB": mib * MIB / take() / MB for mib, take in transfers.items()}


def _transfer(cl: Any, queues: Sequence[Any], built: Any, size_bytes: int) -> Callable[[], float]:
    """A function that lets so many bytes move once and answers the seconds."""
    maker, needer = queues
    words = size_bytes // 8
    index = np.array([words - 2], np.uint64)
    picked = np.zeros(1, np.uint64)
    flags = cl.mem_flags
    data = cl.Buffer(maker.context, flags.READ_WRITE, size_bytes)
    where = cl.Buffer(maker.context, flags.READ_ONLY | flags.COPY_HOST_PTR, hostbuf=index)
    answer = cl.Buffer(maker.context, flags.WRITE_ONLY, picked.nbytes)
    produce, pick = cl.Kernel(built, "produce"), cl.Kernel(built, "pick")
    seed = 0

    def transfer() -> float:
        nonlocal seed
        seed += words
        produce(maker, (words,), (read.GROUP,), data, np.uint64(seed))
        maker.finish()
        began = time.perf_counter()
        pick(needer, (1,), (1,), data, where, answer)
        needer.finish()
        seconds = time.perf_counter() - began
        cl.enqueue_copy(needer, picked, answer)
        expected = read.produced(index + np.uint64(seed))
        assert (picked == expected).all(), "the kernel read other bytes than were made"
        return seconds

    return transfer


def measure(cluster: LocalCluster, settings: Settings) -> list[Row]:
    """From the first node's device to the second's, by each way, beside TCP."""
    import vcl

    def make(devices: Devices) -> Sampler:
        return between(vcl, devices.remotes, settings)

    return common.bulk_rows("peers", cluster, settings, make, ["tcp"])
