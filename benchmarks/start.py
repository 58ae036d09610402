"""Starting an embedded cluster: from the start of Python until the first program is built.

Owns: that measure, and the program that is timed. Must not know: vcl at import time.

The program is one that somebody starts at their desk, without a cluster around: it imports, takes
the first device, and builds a source that no cache can have. Processes are started and timed from
outside, ours and the native one in turn.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from benchmarks.common import Figure, Row, Settings

if TYPE_CHECKING:
    from vcl import LocalCluster

PROGRAM = """
import {library} as cl

def build():
    context = cl.Context([cl.get_platforms()[0].get_devices()[0]])
    queue = cl.CommandQueue(context)
    source = "kernel void k(global int *a) {{ a[get_global_id(0)] += {number}; }}"
    cl.Program(context, source).build()
    print("built", flush=True)

build()
"""
"""What it made is gone before Python ends, so that its process waits for the end of its cluster,
which is not beside the next sample then."""

OURS = ("VCL_MASTER", "VCL_TOKEN", "VCL_EMBEDDED", "VCL_RUN")
"""Variables that would have the program find a cluster that is there."""

LATER_S = 1.5
"""How much later than native would do."""


def _seconds(library: str) -> float:
    """Until the program has built, not until its process has ended."""
    environment = {name: value for name, value in os.environ.items() if name not in OURS}
    environment["PYOPENCL_NO_CACHE"] = "1"
    # As a package that pip installed, ours has its bytecode; the first sample makes it.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    code = PROGRAM.format(library=library, number=time.time_ns() % 10**9)
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        seconds = time.perf_counter() - began
    assert line == "built\n" and process.returncode == 0, f"{library}: {line!r}"
    return seconds


def measure(cluster: LocalCluster, settings: Settings) -> list[Row]:
    """Ours beside native pyopencl, and beside that and a while."""
    del cluster  # the program starts its own
    samples = [(_seconds("vcl"), _seconds("pyopencl")) for _ in range(1 + settings.samples)][1:]
    ours, native = (Figure(seconds) for seconds in zip(*samples, strict=True))
    later = Figure(tuple(one + LATER_S for one in native.samples))
    beside = {"native": native, f"native + {LATER_S:g} s": later}
    return [Row("start of an embedded cluster, to the first build", "s", "lower", ours, beside)]
