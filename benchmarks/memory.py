"""The client's memory while it reads much: the peak above the array that is read into.

Owns: that measure, and as a program (`python -m benchmarks.memory`) a client that reads once, on
the cluster that its environment names. Must not know: vcl at import time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.common import MIB, Figure, Row, Sample, Sampler, Settings
from benchmarks.read import CHECK_STRIDE, GROUP, SOURCE, produced

if TYPE_CHECKING:
    from vcl import LocalCluster

GIB = 2**30
TARGET_GIB = 0.1
RESET_PEAK = "5"  # proc_pid_clear_refs(5)
READER_TIMEOUT_S = 120


def program(cl: Any, device: Any, settings: Settings) -> Sampler:
    """One sample is one read, whose array's pages exist before, of bytes that a kernel made."""
    context = cl.Context([device])
    queue = cl.CommandQueue(context)
    produce = cl.Program(context, SOURCE).build().produce
    host = np.full(settings.read_mib * MIB // 8, 1, np.uint64)
    data = cl.Buffer(context, cl.mem_flags.WRITE_ONLY, host.nbytes)

    def sample() -> Sample:
        produce(queue, host.shape, (GROUP,), data, np.uint64(0))
        queue.finish()
        Path("/proc/self/clear_refs").write_text(RESET_PEAK, encoding="ascii")
        before = _status_bytes("VmRSS")
        cl.enqueue_copy(queue, host, data)
        peak = _status_bytes("VmHWM")
        expected = produced(np.arange(0, len(host), CHECK_STRIDE).astype(np.uint64))
        assert (host[::CHECK_STRIDE] == expected).all(), "other bytes came than the kernel wrote"
        return {"above": (peak - before) / GIB}

    return sample


def _status_bytes(name: str) -> int:
    """A size of this process, as Linux tells it."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (line,) = (line for line in lines if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


def measure(cluster: LocalCluster, settings: Settings) -> list[Row]:
    """From the first node's device, each sample in a new process, beside the target."""
    command = [sys.executable, "-m", "benchmarks.memory", json.dumps(asdict(settings))]
    environment = {**os.environ, "VCL_MASTER": cluster.url, "VCL_TOKEN": cluster.token}
    samples = []
    for _ in range(settings.samples):
        done = subprocess.run(
            command, env=environment, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE,
            text=True, timeout=READER_TIMEOUT_S, check=True,
        )  # fmt: skip
        samples.append(float(json.loads(done.stdout)["above"]))
    target = Figure((TARGET_GIB,) * settings.samples)
    name = f"memory above the array, read of {settings.read_mib} MiB"
    return [Row(name, "GiB", "lower", Figure(tuple(samples)), {"target": target})]


def main() -> None:
    """Take one sample on a remote device and print it."""
    import vcl

    settings = Settings(**json.loads(sys.argv[1]))
    remote = vcl.get_platforms()[0].get_devices()[1]
    print(json.dumps(program(vcl, remote, settings)()))


if __name__ == "__main__":
    main()
