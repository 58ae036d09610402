"""Events: status, waiting, profiling, callbacks, and those that the program sets itself."""

from __future__ import annotations

import gc
import itertools
import queue as queues
import threading
from typing import Any

import numpy as np
import pytest

import vcl as cl
from tests.processes import run_program

STATUS = cl.command_execution_status
answer_timeout_s = 20.0


@pytest.fixture(scope="module")
def kernel(ctx: Any) -> Any:
    source = "__kernel void spin(__global float *a) { float x = get_global_id(0); "
    source += "for (int i = 0; i < 2000; i++) x = sin(x); a[get_global_id(0)] = x; }"
    return cl.Program(ctx, source).build().spin


def test_a_command_goes_from_queued_to_complete(ctx: Any, queue: Any, kernel: Any) -> None:
    user = cl.UserEvent(ctx)
    event = kernel(queue, (64,), (8,), cl.Buffer(ctx, 0, 256), wait_for=[user])
    seen = [event.command_execution_status]
    queue.flush()
    seen.append(event.command_execution_status)
    user.set_status(STATUS.COMPLETE)
    event.wait()
    seen.append(event.command_execution_status)
    assert seen == sorted(seen, reverse=True)
    assert seen[0] in (STATUS.QUEUED, STATUS.SUBMITTED)
    assert seen[-1] == STATUS.COMPLETE


def test_asking_for_the_status_is_enough_to_get_there(ctx: Any, queue: Any) -> None:
    """A program may poll without flushing: the query itself sends what was enqueued."""
    event = cl.enqueue_marker(queue)
    reached = threading.Event()
    event.set_callback(STATUS.COMPLETE, lambda status: reached.set())
    assert reached.wait(answer_timeout_s)
    assert event.command_execution_status == STATUS.COMPLETE


def test_event_answers(ctx: Any, queue: Any, kernel: Any) -> None:
    event = kernel(queue, (64,), (8,), cl.Buffer(ctx, 0, 256))
    assert event.command_queue == queue
    assert event.context == ctx
    assert event.command_type == cl.command_type.NDRANGE_KERNEL
    assert event.reference_count >= 1
    assert cl.Event.from_int_ptr(event.int_ptr) == event
    with pytest.raises(cl.LogicError):
        event.get_info(1)
    event.wait()
    event.wait()


def test_wait_for_events(ctx: Any, queue: Any, kernel: Any) -> None:
    events = [kernel(queue, (64,), (8,), cl.Buffer(ctx, 0, 256)) for _ in range(5)]
    cl.wait_for_events(events)
    assert {e.command_execution_status for e in events} == {STATUS.COMPLETE}
    with pytest.raises(cl.LogicError, match="INVALID_VALUE"):
        cl.wait_for_events([])


def test_profile(ctx: Any, queue: Any, kernel: Any) -> None:
    before = cl.enqueue_marker(queue)
    event = kernel(queue, (512,), (8,), cl.Buffer(ctx, 0, 2048))
    event.wait()
    times = event.profile
    assert 0 < times.queued <= times.submit <= times.start < times.end
    assert times.end - times.start < 60 * 10**9
    assert before.profile.end > 0
    assert times.complete >= times.end


def test_every_kind_of_command_has_a_profile(ctx: Any, queue: Any) -> None:
    one, two = cl.Buffer(ctx, 0, 4096), cl.Buffer(ctx, 0, 4096)
    host = np.zeros(1024, np.int32)
    events = [
        cl.enqueue_copy(queue, one, host),
        cl.enqueue_fill_buffer(queue, one, np.uint8(1), 0, 4096),
        cl.enqueue_copy(queue, two, one),
        cl.enqueue_copy(queue, host, two),
        cl.enqueue_marker(queue),
        cl.enqueue_barrier(queue),
    ]
    queue.finish()
    for event in events:
        times = event.profile
        kind = event.command_type
        assert 0 < times.queued <= times.submit <= times.start <= times.end, kind


def test_profile_needs_a_queue_that_profiles(ctx: Any, queue: Any) -> None:
    plain = cl.CommandQueue(ctx)
    event = cl.enqueue_marker(plain)
    event.wait()
    user = cl.UserEvent(ctx)
    waiting = cl.enqueue_marker(queue, wait_for=[user])
    for without in (event, waiting, user):
        with pytest.raises(cl.RuntimeError) as raised:
            _ = without.profile.start
        assert raised.value.code == cl.status_code.PROFILING_INFO_NOT_AVAILABLE
    user.set_status(STATUS.COMPLETE)
    queue.finish()


def test_callbacks(ctx: Any, queue: Any) -> None:
    """One before the end, one after it, each called once, on another thread, free to enqueue."""
    user = cl.UserEvent(ctx)
    event = cl.enqueue_marker(queue, wait_for=[user])
    calls: queues.Queue[Any] = queues.Queue()

    def note(name: str) -> Any:
        def called(status: int) -> None:
            cl.enqueue_marker(queue).wait()
            calls.put((name, status, threading.current_thread() is threading.main_thread()))

        return called

    event.set_callback(STATUS.COMPLETE, note("before"))
    assert calls.empty()
    user.set_status(STATUS.COMPLETE)
    assert calls.get(timeout=answer_timeout_s) == ("before", STATUS.COMPLETE, False)
    event.set_callback(STATUS.COMPLETE, note("after"))
    assert calls.get(timeout=answer_timeout_s)[:2] == ("after", STATUS.COMPLETE)
    assert calls.empty()


def test_a_callback_outlives_the_name_of_its_event(ctx: Any, queue: Any) -> None:
    user = cl.UserEvent(ctx)
    reached = threading.Event()
    cl.enqueue_marker(queue, wait_for=[user]).set_callback(
        STATUS.COMPLETE, lambda status: reached.set()
    )
    queue.flush()
    gc.collect()
    user.set_status(STATUS.COMPLETE)
    assert reached.wait(answer_timeout_s)


def test_a_callback_learns_of_failure(ctx: Any) -> None:
    queue = cl.CommandQueue(ctx)
    user = cl.UserEvent(ctx)
    event = cl.enqueue_marker(queue, wait_for=[user])
    calls: queues.Queue[int] = queues.Queue()
    event.set_callback(STATUS.COMPLETE, calls.put)
    user.set_status(-9999)
    assert calls.get(timeout=answer_timeout_s) < 0
    assert event.command_execution_status < 0
    with pytest.raises(cl.LogicError):
        event.set_callback(7, calls.put)


@pytest.mark.parametrize("size", [16, 1 << 20])
def test_a_user_event_set_later_by_another_thread(
    ctx: Any, queue: Any, kernel: Any, size: int
) -> None:
    """The program waits in `finish`; write, launch and read behind the event all follow."""
    user = cl.UserEvent(ctx)
    assert user.command_type == cl.command_type.USER
    assert user.command_execution_status == STATUS.SUBMITTED
    values = np.arange(size, dtype=np.uint8)
    buffer, copy = cl.Buffer(ctx, 0, size), cl.Buffer(ctx, 0, size)
    found = np.zeros(size, np.uint8)
    cl.enqueue_copy(queue, buffer, values, is_blocking=False, wait_for=[user])
    cl.enqueue_copy(queue, copy, buffer)
    read = cl.enqueue_copy(queue, found, copy, is_blocking=False)
    timer = threading.Timer(0.05, user.set_status, [STATUS.COMPLETE])
    timer.start()
    queue.finish()
    timer.join()
    assert read.command_execution_status == STATUS.COMPLETE
    assert user.command_execution_status == STATUS.COMPLETE
    np.testing.assert_array_equal(found, values)


def test_waiting_for_a_user_event_itself(ctx: Any) -> None:
    user = cl.UserEvent(ctx)
    timer = threading.Timer(0.05, user.set_status, [STATUS.COMPLETE])
    timer.start()
    user.wait()
    timer.join()


def test_a_user_event_is_set_once(ctx: Any) -> None:
    user = cl.UserEvent(ctx)
    with pytest.raises(cl.LogicError) as raised:
        user.set_status(STATUS.RUNNING)
    assert raised.value.code == cl.status_code.INVALID_VALUE
    user.set_status(STATUS.COMPLETE)
    with pytest.raises(cl.LogicError) as raised:
        user.set_status(STATUS.COMPLETE)
    assert raised.value.code == cl.status_code.INVALID_OPERATION
    user.wait()


def test_a_failed_user_event_fails_what_waits_for_it(ctx: Any, kernel: Any) -> None:
    """However indirectly, and nothing else; the text names the cause."""
    queue, other = cl.CommandQueue(ctx), cl.CommandQueue(ctx)
    user = cl.UserEvent(ctx)
    buffer = cl.Buffer(ctx, cl.mem_flags.COPY_HOST_PTR, hostbuf=np.zeros(64, np.float32))
    launch = kernel(queue, (64,), (8,), buffer, wait_for=[user])
    behind = cl.enqueue_marker(other, wait_for=[launch])
    free = cl.enqueue_marker(other)
    user.set_status(-42)
    for event in (user, launch, behind):
        with pytest.raises(cl.RuntimeError) as raised:
            event.wait()
        expected = cl.status_code.EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST
        assert raised.value.code == expected
    assert launch.command_execution_status < 0
    free.wait()
    with pytest.raises(cl.Error):
        cl.wait_for_events([free, launch])
    found = np.ones(64, np.float32)
    cl.enqueue_copy(other, found, buffer)
    assert not found.any(), "a launch that failed wrote something"


def test_a_failed_user_event_fails_a_blocking_read(ctx: Any, queue: Any) -> None:
    user = cl.UserEvent(ctx)
    user.set_status(-1)
    with pytest.raises(cl.Error):
        cl.enqueue_copy(queue, np.zeros(4, "u1"), cl.Buffer(ctx, 0, 4), wait_for=[user])
    queue.finish()  # it was raised already


def test_the_ward_of_a_transfer_is_its_host_memory(ctx: Any, queue: Any) -> None:
    host = np.zeros(4, np.uint8)
    buffer = cl.Buffer(ctx, cl.mem_flags.COPY_HOST_PTR, hostbuf=b"abcd")
    event = cl.enqueue_copy(queue, host, buffer, is_blocking=False)
    assert event.get_ward() is host
    event.wait()
    assert host.tobytes() == b"abcd"


def test_a_user_event_that_is_set_and_dropped_at_once(variables: dict[str, str]) -> None:
    done = run_program(
        """
        import sys
        import vcl as cl

        sys.setswitchinterval(1)  # so that both messages travel in one batch
        ctx = cl.create_some_context(interactive=False)
        queue = cl.CommandQueue(ctx)
        for _ in range(50):
            user = cl.UserEvent(ctx)
            user.set_status(0)
            del user
            cl.enqueue_marker(queue).wait()
        """,
        **variables,
    )
    assert done.returncode == 0, done.stderr


def test_times_agree_between_commands(ctx: Any) -> None:
    """A marker, a barrier and whatever else ends after all that was before it in the queue."""
    queue = cl.CommandQueue(ctx, properties=cl.command_queue_properties.PROFILING_ENABLE)
    buffer = cl.Buffer(ctx, cl.mem_flags.READ_WRITE, 16384)
    kernel = cl.Program(
        ctx,
        "__kernel void f(__global float *a) { size_t i = get_global_id(0); float x = a[i];"
        " for (int j = 0; j < 20000; j++) x = x * .99f + 1; a[i] = x; }",
    ).build().f
    host = np.zeros(4096, np.float32)
    events = [
        cl.enqueue_marker(queue),
        cl.enqueue_copy(queue, buffer, host, is_blocking=False),
        kernel(queue, (4096,), (64,), buffer),
        cl.enqueue_marker(queue),
        cl.enqueue_fill_buffer(queue, buffer, np.float32(1), 0, 16384),
        cl.enqueue_barrier(queue),
        kernel(queue, (4096,), (64,), buffer),
        cl.enqueue_copy(queue, host, buffer, is_blocking=False),
        cl.enqueue_marker(queue),
    ]
    queue.finish()
    for event in events:
        profile = event.profile
        times = [profile.queued, profile.submit, profile.start, profile.end]
        assert times == sorted(times)
    for before, after in itertools.pairwise(events):
        assert before.profile.end <= after.profile.start
    assert events[3].profile.end >= events[2].profile.end > events[2].profile.start
