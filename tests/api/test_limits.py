"""What a program meets at the limits: it waits, or gets an OpenCL error, and goes on."""

from __future__ import annotations

import gc
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest

import vcl as cl
from vcl import client_core, runtime
from vcl.api import events


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that a test can reach."""
    monkeypatch.setattr(client_core, "commands_in_flight_max", 40)
    monkeypatch.setattr(client_core, "commands_max", 80)
    monkeypatch.setattr(runtime, "stalled_timeout_s", 0.2)


def more(ctx: Any) -> tuple[Any, Any]:
    source = "__kernel void more(__global int *a) { a[get_global_id(0)] += 1; }"
    kernel = cl.Kernel(cl.Program(ctx, source).build(), "more")
    buffer = cl.Buffer(ctx, cl.mem_flags.COPY_HOST_PTR, hostbuf=np.zeros(16, np.int32))
    kernel.set_args(buffer)
    return kernel, buffer


def read(queue: Any, buffer: Any) -> list[int]:
    found = np.empty(16, np.int32)
    cl.enqueue_copy(queue, found, buffer)
    return sorted(set(found.tolist()))


@pytest.mark.usefixtures("few")
def test_more_commands_than_may_be_in_flight(ctx: Any, queue: Any) -> None:
    kernel, buffer = more(ctx)
    core, most = queue._runtime.core, 0
    for _ in range(500):
        cl.enqueue_nd_range_kernel(queue, kernel, (16,), (16,))
        most = max(most, core.in_flight)
    queue.finish()
    assert read(queue, buffer) == [500]
    assert most <= 40


@pytest.mark.usefixtures("few")
def test_a_user_event_lets_more_commands_pass_and_then_an_error(ctx: Any, queue: Any) -> None:
    kernel, buffer = more(ctx)
    gate = cl.UserEvent(ctx)
    count = 0
    with pytest.raises(cl.MemoryError, match="wait for a user event that isn't set"):
        for count in range(200):  # noqa: B007
            cl.enqueue_nd_range_kernel(queue, kernel, (16,), (16,), wait_for=[gate])
    assert count == 79  # and the user event itself
    gate.set_status(cl.command_execution_status.COMPLETE)
    queue.finish()
    assert read(queue, buffer) == [79]


@pytest.mark.usefixtures("few")
def test_commands_that_do_not_wait_for_the_user_event_go_on(ctx: Any, queue: Any) -> None:
    kernel, buffer = more(ctx)
    gate = cl.UserEvent(ctx)
    for _ in range(300):
        cl.enqueue_nd_range_kernel(queue, kernel, (16,), (16,))
    queue.finish()
    assert read(queue, buffer) == [300]
    gate.set_status(cl.command_execution_status.COMPLETE)


def test_too_many_objects(ctx: Any, queue: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    gc.collect()
    cl.enqueue_marker(queue).wait()  # what earlier tests let go of counts no longer
    core = queue._runtime.core
    monkeypatch.setattr(client_core, "objects_max", len(core._objects) + 5)
    kept: list[Any] = []
    with pytest.raises(cl.MemoryError, match="release some"):
        kept.extend(cl.Buffer(ctx, 0, 64) for _ in range(50))
    assert len(kept) <= 5
    kept.clear()
    deadline = time.monotonic() + 20
    while len(core._objects) >= client_core.objects_max and time.monotonic() < deadline:
        queue.finish()
        queue._runtime.flush()
    cl.Buffer(ctx, 0, 64)


def test_a_long_wait_list(ctx: Any, queue: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "waits_max", 3)
    markers = [cl.enqueue_marker(queue) for _ in range(4)]
    with pytest.raises(cl.MemoryError, match="a wait list has at most 3 events, this one 4"):
        cl.enqueue_marker(queue, wait_for=markers)
    cl.enqueue_marker(queue, wait_for=markers[:3]).wait()


@pytest.mark.usefixtures("few")
def test_user_events_count_too(ctx: Any, queue: Any) -> None:
    queue.finish()
    kept = []
    with pytest.raises(cl.MemoryError, match="wait for a user event"):
        for _ in range(200):
            kept.append(cl.UserEvent(ctx))
    assert len(kept) == 80
    for event in kept:
        event.set_status(cl.command_execution_status.COMPLETE)
    queue.finish()
    cl.UserEvent(ctx).set_status(cl.command_execution_status.COMPLETE)


@pytest.mark.usefixtures("few")
def test_user_events_that_are_never_set_keep_no_place(ctx: Any, queue: Any) -> None:
    queue.finish()
    for _ in range(3):
        kept = [cl.UserEvent(ctx) for _ in range(50)]
        del kept
        cl.enqueue_marker(queue).wait()  # sends what was released
    assert not queue._runtime.core.waits_for_program


@pytest.mark.parametrize(
    ("limit", "most", "text"),
    [
        ("message_values_max", 20, "a message has more than 20 values"),
        ("message_bytes_max", 15, "bytes; one call may have at most 15"),
    ],
)
def test_a_call_that_is_too_long_for_a_message(
    ctx: Any, queue: Any, monkeypatch: pytest.MonkeyPatch, limit: str, most: int, text: str
) -> None:
    kernel, buffer = more(ctx)
    with monkeypatch.context() as tight:
        tight.setattr(runtime, "control_bytes_max", 10)
        tight.setattr(runtime, limit, most)
        with pytest.raises(cl.LogicError, match=text) as caught:
            cl.enqueue_nd_range_kernel(queue, kernel, (16,), (16,))
        assert str(caught.value).count("failed") == 1
    cl.enqueue_nd_range_kernel(queue, kernel, (16,), (16,))
    assert read(queue, buffer) == [1]


def test_contexts_leave_nothing(platform: Any) -> None:
    core = platform._runtime.core
    device = platform.get_devices()[1]
    host = np.zeros(4, np.int32)

    def made(count: int) -> int:
        for _ in range(count):
            ctx = cl.Context([device])
            cl.Buffer(ctx, cl.mem_flags.COPY_HOST_PTR, hostbuf=host)
            del ctx
        cl.enqueue_marker(cl.CommandQueue(cl.Context([device]))).wait()  # sends what was released
        return len(core._objects)

    before = made(1)
    assert made(20) <= before + 2


def test_a_program_that_can_not_be_sent_does_not_count(ctx: Any, queue: Any) -> None:
    queue.finish()
    core = queue._runtime.core
    before = set(core._objects)
    for _ in range(3):
        with pytest.raises(Exception, match="can't be sent"):
            cl.Program(ctx, "// \ud800\n__kernel void k() {}").build()
    assert set(core._objects) <= before


def test_blocking_writes_of_many_threads(ctx: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes the others' writes that are under way into its wait list."""
    errors: list[BaseException] = []
    buffers = [cl.Buffer(ctx, 0, 64) for _ in range(4)]
    data = np.arange(16, dtype=np.int32)

    def write(buffer: Any) -> None:
        queue = cl.CommandQueue(ctx)
        try:
            for _ in range(150):
                cl.enqueue_copy(queue, buffer, data)
        except BaseException as error:
            errors.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=write, args=(b,)) for b in buffers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not errors
