"""Events, wait lists, callbacks and blocking writes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.vcl.api.world import StubRuntime, check_answers, make_context, refused
from vcl.api import commands, events
from vcl.api.context import PROFILING, CommandQueue, Context
from vcl.api.events import Event, UserEvent, ended, wait_for_all, wait_list, wrote
from vcl.client_core import COMPLETE, RUNNING, SUBMITTED
from vcl.constants import CLASSES
from vcl.wire.messages import session

_INFO = CLASSES["event_info"]
_PROFILING = CLASSES["profiling_info"]


def make_event(queue: CommandQueue) -> Event:
    return Event(queue, queue._context, commands.marker(queue, []), "MARKER")


def fail_it(runtime: StubRuntime, event: Event, text: str = "it broke") -> None:
    state = runtime.states[event._id]
    state.status, state.failure = -5, text
    runtime.failures[state.queue] = (event._id, -5, text)


def test_an_event_is_released_when_it_goes(runtime: StubRuntime, queue: CommandQueue) -> None:
    event = make_event(queue)
    number = event._id
    assert event._kind == CLASSES["command_type"]["MARKER"]
    assert not runtime.released
    del event
    assert runtime.released == [number]


def test_asking_for_the_status_sends_until_it_is_complete(
    runtime: StubRuntime, queue: CommandQueue
) -> None:
    event = make_event(queue)
    assert event._status() > COMPLETE and runtime.flushes == 1
    runtime.wait(event._id)
    assert event._status() == COMPLETE and runtime.flushes == 1


def test_waiting_raises_a_failure_and_tells_it(runtime: StubRuntime, queue: CommandQueue) -> None:
    event = make_event(queue)
    fail_it(runtime, event)
    match = "the command failed with OUT_OF_RESOURCES: it broke"
    with refused("clWaitForEvents", "EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST", match):
        event._wait()
    assert not runtime.failures


def test_waiting_for_all_waits_for_all_before_it_raises(
    runtime: StubRuntime, queue: CommandQueue
) -> None:
    first, second = make_event(queue), make_event(queue)
    fail_it(runtime, first)
    with refused("clWaitForEvents", "EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST"):
        wait_for_all([first, second])
    assert runtime.waited == [first._id, second._id]
    with refused("clWaitForEvents", "INVALID_VALUE"):
        wait_for_all([])


def test_profiling(runtime: StubRuntime, context: Context, queue: CommandQueue) -> None:
    routine, status = "clGetEventProfilingInfo", "PROFILING_INFO_NOT_AVAILABLE"
    with refused(routine, status, "without profiling"):
        make_event(queue)._profiled(_PROFILING["START"])
    event = make_event(CommandQueue(context, context._devices[0], PROFILING))
    with refused(routine, status, "isn't complete"):
        event._profiled(_PROFILING["START"])
    state = runtime.wait(event._id)
    state.queued, state.submitted, state.start, state.end = 1, 2, 3, 4
    names = ("QUEUED", "SUBMIT", "START", "END")
    assert [event._profiled(_PROFILING[name]) for name in names] == [1, 2, 3, 4]
    with refused(routine, "INVALID_VALUE"):
        event._profiled(1)


@pytest.mark.parametrize(
    ("kind", "when"), [(SUBMITTED, "submitted"), (RUNNING, "ended"), (COMPLETE, "ended")]
)
def test_callbacks(runtime: StubRuntime, queue: CommandQueue, kind: int, when: str) -> None:
    event, got = make_event(queue), list[int]()
    event._call_back(kind, got.append)
    ((told, number, callback),) = runtime.callbacks
    assert (told, number, runtime.flushes) == (when, event._id, 1)
    callback(0)
    callback(-5)
    assert got == [kind, -5]


def test_a_callback_of_another_kind(queue: CommandQueue) -> None:
    with refused("clSetEventCallback", "INVALID_VALUE"):
        make_event(queue)._call_back(3, print)


def test_a_user_event_is_set_once(runtime: StubRuntime, context: Context) -> None:
    event = UserEvent(context)
    assert runtime.said[-1] == session.CreateUserEvent(event._id, context._id)
    with refused("clSetUserEventStatus", "INVALID_VALUE", "the status is 1"):
        event._set_status(1)
    event._set_status(-7)
    assert runtime.said[-1] == session.SetUserEvent(event._id, -7)
    assert event._status() == -7 and runtime.flushes == 1
    with refused("clSetUserEventStatus", "INVALID_OPERATION", "already"):
        event._set_status(0)


def test_wait_lists(
    runtime: StubRuntime, queue: CommandQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, routine = queue._context, "clEnqueueMarkerWithWaitList"
    some: list[Any] = [make_event(queue) for _ in range(3)]
    assert wait_list(None, context, routine) == []
    assert wait_list(some, context, routine) == [event._id for event in some]
    with refused(routine, "INVALID_EVENT_WAIT_LIST", "7 isn't an event"):
        wait_list([7], context, routine)
    with refused(routine, "INVALID_CONTEXT"):
        wait_list(some, make_context(runtime), routine)
    with refused(routine, "INVALID_CONTEXT"):
        wait_list(some, make_context(StubRuntime()), routine)
    monkeypatch.setattr(events, "waits_max", 2)
    with refused(routine, "OUT_OF_HOST_MEMORY", "at most 2 events, this one 3"):
        wait_list(some, context, routine)


def test_what_follows_a_blocking_write_waits_for_it(
    runtime: StubRuntime, queue: CommandQueue
) -> None:
    context = queue._context
    first, second = make_event(queue), make_event(queue)
    wrote(first, [])
    assert wait_list(None, context, "") == [first._id]
    wrote(second, [first._id])  # which is behind the first: one of them is enough
    assert wait_list(None, context, "") == [second._id]
    runtime.wait(second._id)
    assert wait_list(None, context, "") == []
    assert not context._written


def test_a_blocking_write_is_released_after_event_and_context(
    runtime: StubRuntime, queue: CommandQueue
) -> None:
    event = make_event(queue)
    number = event._id
    wrote(event, [])
    del event
    assert not runtime.released  # what is enqueued next will wait for it
    runtime.wait(number)
    wait_list(None, queue._context, "")
    assert runtime.released == [number]


def test_a_blocking_write_waits_only_behind_events_of_the_program(
    runtime: StubRuntime, queue: CommandQueue
) -> None:
    first, write = make_event(queue), make_event(queue)
    ended(write, None, [first._id])
    assert not runtime.waited
    ended(write, [first], [first._id])
    assert runtime.waited == [write._id]


def test_answers_of_an_event(runtime: StubRuntime, queue: CommandQueue) -> None:
    event = make_event(queue)
    answers = {
        "COMMAND_QUEUE": queue, "CONTEXT": queue._context, "REFERENCE_COUNT": 1,
        "COMMAND_TYPE": CLASSES["command_type"]["MARKER"],
    }  # fmt: skip
    check_answers(event._query, _INFO, answers)
    assert runtime.flushes == 0
    assert event._query(_INFO["COMMAND_EXECUTION_STATUS"]) > COMPLETE and runtime.flushes == 1
    with refused("clGetEventInfo", "INVALID_VALUE"):
        event._query(1)


def test_a_blocking_read_raises_what_failed_before_it(
    runtime: StubRuntime, queue: CommandQueue
) -> None:
    earlier, read = make_event(queue), make_event(queue)
    read._arrived("clEnqueueReadBuffer")
    assert runtime.waited == [read._id]
    fail_it(runtime, earlier, "it broke")
    with refused("clEnqueueReadBuffer", "OUT_OF_RESOURCES", "it broke"):
        read._arrived("clEnqueueReadBuffer")
    fail_it(runtime, read, "it broke too")
    runtime.failures.clear()
    with refused("clWaitForEvents", "EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST", "it broke too"):
        read._arrived("clEnqueueReadBuffer")
