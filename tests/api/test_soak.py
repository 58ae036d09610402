"""Objects that come and go leave nothing behind: memory, descriptors, threads, on any side.

Quick here, a few hundred cycles of each kind; 20,000 of each with `-m long`.
"""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil
import pytest

import vcl as cl
from vcl.local import LocalCluster

MF = cl.mem_flags
SOURCE = "__kernel void f(__global float *a) { a[get_global_id(0)] += 1; }"
GROWTH_BYTES_MAX = 8 << 20
"""Of a process over the second half of its cycles: allocators and caches settle in the first."""


@dataclass(frozen=True)
class Held:
    """What a process holds."""

    bytes: int
    descriptors: int
    threads: int


class Watched:
    """The processes of a cluster of one node, and this one."""

    def __init__(self, cluster: LocalCluster) -> None:
        self.queue = cl.CommandQueue(cl.Context(cl.get_platforms()[0].get_devices()[:1]))
        self.buffer = cl.Buffer(self.queue.context, MF.READ_WRITE, 4096)
        self.program = cl.Program(self.queue.context, SOURCE).build()
        self.host = np.zeros(1024, np.float32)
        cl.enqueue_copy(self.queue, self.host, self.buffer)
        me = psutil.Process()
        agent = psutil.Process(cluster.nodes[0].pid)
        family = [*agent.parent().children(recursive=True)] if agent.parent() else [agent]
        self._processes = {p.pid: p for p in [me, *family] if p.is_running()}

    def held(self) -> dict[str, Held]:
        """By process, now that all that was let go of is gone."""
        gc.collect()
        self.queue.finish()
        cl.enqueue_copy(self.queue, self.host, self.buffer)  # what was released is told by then
        found = {}
        for pid, process in self._processes.items():
            with process.oneshot():
                name = " ".join(process.cmdline()[-3:]) if pid != os.getpid() else "client"
                found[f"{pid} {name}"] = Held(
                    process.memory_info().rss, process.num_fds(), process.num_threads()
                )
        return found


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    with LocalCluster(nodes=1, cores_per_node=1) as cluster:
        cl.connect(cluster.url, token=cluster.token)
        yield Watched(cluster)
        from vcl.pyopencl_cl import session

        session.disconnect()


def _context(w: Watched) -> None:
    cl.CommandQueue(cl.Context(w.queue.context.devices)).finish()


def _image(w: Watched) -> None:
    form = cl.ImageFormat(cl.channel_order.R, cl.channel_type.FLOAT)
    image = cl.create_image(w.queue.context, MF.READ_WRITE, form, shape=(16, 16))
    cl.enqueue_copy(w.queue, w.host[:256], image, origin=(0, 0), region=(16, 16))


def _mapped(w: Watched) -> None:
    array, _ = cl.enqueue_map_buffer(
        w.queue, w.buffer, cl.map_flags.WRITE, 0, (1024,), np.float32
    )
    array[0] = 1
    array.base.release(w.queue)


def _user(w: Watched) -> None:
    user = cl.UserEvent(w.queue.context)
    event = cl.enqueue_marker(w.queue, wait_for=[user])
    user.set_status(0)
    event.wait()


def _shared(w: Watched) -> None:
    shared = cl.SVMAllocation(w.queue.context, 4096, 0, cl.svm_mem_flags.READ_WRITE)
    cl.enqueue_copy(w.queue, shared, w.host)
    cl.enqueue_copy(w.queue, w.host, shared)


def _failing(w: Watched) -> None:
    with pytest.raises(cl.Error):
        cl.enqueue_copy(w.queue, w.host, w.buffer, src_offset=8)


def _callback(w: Watched) -> None:
    called = threading.Event()
    event = cl.enqueue_marker(w.queue)
    event.set_callback(cl.command_execution_status.COMPLETE, lambda status: called.set())
    called.wait()


CYCLES: dict[str, Callable[[Watched], Any]] = {
    "contexts and queues": _context,
    "buffers": lambda w: cl.enqueue_copy(
        w.queue, cl.Buffer(w.queue.context, MF.READ_WRITE, 4096), w.host
    ),
    "sub-buffers": lambda w: cl.enqueue_fill_buffer(
        w.queue, w.buffer.get_sub_region(1024, 1024), np.float32(1), 0, 1024
    ),
    "images": _image,
    "maps": _mapped,
    "programs": lambda w: cl.Program(w.queue.context, SOURCE).build(),
    "kernels": lambda w: cl.Kernel(w.program, "f")(w.queue, (64,), None, w.buffer),
    "events": lambda w: cl.enqueue_copy(w.queue, w.host, w.buffer, is_blocking=False),
    "user events": _user,
    "shared memory": _shared,
    "samplers": lambda w: cl.Sampler(
        w.queue.context, False, cl.addressing_mode.CLAMP, cl.filter_mode.NEAREST
    ),
    "failing calls": _failing,
    "callbacks": _callback,
}
SLOW = {"programs"}
"""A build takes milliseconds where the others take fractions of one: a fifth of the cycles."""


def soak(watched: Watched, kind: str, cycles: int) -> None:
    cycle = CYCLES[kind]
    count = cycles // 5 if kind in SLOW else cycles
    for _ in range(count // 2):
        cycle(watched)
    before = watched.held()
    for _ in range(count - count // 2):
        cycle(watched)
    after = watched.held()
    for process, held in before.items():
        now = after[process]
        assert now.bytes - held.bytes < GROWTH_BYTES_MAX, (process, held, now)
        assert now.descriptors <= held.descriptors + 2, (process, held, now)
        assert now.threads <= held.threads + 2, (process, held, now)


@pytest.mark.parametrize("kind", CYCLES)
def test_some_cycles(watched: Watched, kind: str) -> None:
    soak(watched, kind, 300)


@pytest.mark.long
@pytest.mark.parametrize("kind", CYCLES)
def test_twenty_thousand_cycles(watched: Watched, kind: str) -> None:
    soak(watched, kind, 20_000)
