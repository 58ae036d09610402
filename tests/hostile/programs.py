"""Programs as users write them, on one node: `python -m tests.hostile.programs NAME NODE`.

Owns: an honest session that tells its slowest round trip, and programs that are honest but ask for
very much at once. Must not know: the protocol.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import vcl

cl: Any = vcl

SOURCE = "kernel void bump(global uchar *bytes) { bytes[get_global_id(0)] += 1; }"
ITEMS = 64
PAUSE_S = 0.002
"""Between two round trips, so that the honest session isn't itself the load."""


class Ready:
    """A context on one node's device, a queue, a buffer of 64 KiB and a kernel bound to it."""

    def __init__(self, node_name: str, properties: int = 0) -> None:
        vcl.connect(os.environ["VCL_MASTER"], token=os.environ["VCL_TOKEN"])
        devices = cl.get_platforms()[0].get_devices()
        device = next(d for d in devices if d.name.endswith(f" @ {node_name}"))
        self.context = cl.Context([device])
        self.queue = cl.CommandQueue(self.context, properties=properties)
        self.buffer = cl.Buffer(self.context, cl.mem_flags.READ_WRITE, 2**16)
        self.kernel = cl.Program(self.context, SOURCE).build().bump
        self.kernel.set_args(self.buffer)

    def launch(self, wait_for: Any = None) -> None:
        cl.enqueue_nd_range_kernel(self.queue, self.kernel, (ITEMS,), None, wait_for=wait_for)


def honest(node_name: str) -> None:
    """Write, launch, read, and so on. A line of input is answered, after one more whole round
    trip, with the slowest since the last; the end of input ends it."""
    ready = Ready(node_name)
    asked = threading.Event()

    def listen() -> None:
        for _ in sys.stdin:
            asked.set()
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    print("ready", flush=True)
    sent, got = np.zeros(ITEMS, np.uint8), np.zeros(ITEMS, np.uint8)
    slowest_s, trips = 0.0, 0
    while True:
        answering = asked.is_set()
        sent += 3
        began = time.perf_counter()
        cl.enqueue_copy(ready.queue, ready.buffer, sent, is_blocking=False)
        ready.launch()
        cl.enqueue_copy(ready.queue, got, ready.buffer)
        slowest_s = max(slowest_s, time.perf_counter() - began)
        trips += 1
        assert (got == sent + np.uint8(1)).all(), "the wrong bytes came back"
        if answering:
            asked.clear()
            print(json.dumps({"slowest_s": slowest_s, "trips": trips}), flush=True)
            slowest_s, trips = 0.0, 0
        time.sleep(PAUSE_S)


def launches(node_name: str) -> None:
    """60,000 launches before finish()."""
    ready = Ready(node_name)
    for _ in range(60_000):
        ready.launch()
    ready.queue.finish()


def writes(node_name: str) -> None:
    """8,000 writes of one byte to every second byte, then a launch on all of it."""
    ready = Ready(node_name)
    byte = np.ones(1, np.uint8)
    for i in range(8000):
        cl.enqueue_copy(ready.queue, ready.buffer, byte, dst_offset=2 * i, is_blocking=False)
    ready.launch()
    ready.queue.finish()


def markers(node_name: str) -> None:
    """8,000 markers in an out-of-order queue, each after all before it, the first of which waits
    for a user event that is then set."""
    ready = Ready(node_name, cl.command_queue_properties.OUT_OF_ORDER_EXEC_MODE_ENABLE)
    event = cl.UserEvent(ready.context)
    cl.enqueue_marker(ready.queue, [event])
    for _ in range(8000):
        cl.enqueue_marker(ready.queue)
    ready.queue.flush()
    event.set_status(cl.command_execution_status.COMPLETE)
    ready.queue.finish()


def _behind_event(node_name: str) -> tuple[Ready, Any]:
    ready = Ready(node_name)
    event = cl.UserEvent(ready.context)
    for _ in range(20_000):
        ready.launch([event])
    ready.queue.flush()
    return ready, event


def gate(node_name: str) -> None:
    """20,000 launches behind a user event that is then set."""
    ready, event = _behind_event(node_name)
    event.set_status(cl.command_execution_status.COMPLETE)
    ready.queue.finish()


def abandoned(node_name: str) -> None:
    """The same, but it says when all is sent, and waits to be killed."""
    ready, event = _behind_event(node_name)
    event.set_status(cl.command_execution_status.COMPLETE)
    ready.queue.flush()
    print("sent", flush=True)
    sys.stdin.read()


PROGRAMS: dict[str, Callable[[str], None]] = {
    program.__name__: program for program in (honest, launches, writes, markers, gate, abandoned)
}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](sys.argv[2])
