"""Events and waiting for them.

Owns: `Event`, `NannyEvent`, `UserEvent`, `wait_for_events`. Must not know: what the commands do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from vcl.client_core import COMPLETE, RUNNING, SUBMITTED, EventState
from vcl.constants import CLASSES
from vcl.errors import EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST
from vcl.pyopencl_cl.context import PROFILING, CommandQueue, Context, expect
from vcl.pyopencl_cl.errors import STATUS, fail, fail_code, translated
from vcl.pyopencl_cl.handles import Handle, reference_count
from vcl.pyopencl_cl.integers import int32
from vcl.runtime import Runtime
from vcl.wire.limits import waits_max
from vcl.wire.messages import session

_INFO = CLASSES["event_info"]
_KINDS = CLASSES["command_type"]
_PROFILING = CLASSES["profiling_info"]
_STATUS_NAMES = {value: name for name, value in STATUS.items()}


class _Shared:
    """The number of an event that its context needs too; let go of after both."""

    def __init__(self, runtime: Runtime, event: int) -> None:
        self._runtime, self._event = runtime, event

    def __del__(self) -> None:
        self._runtime.release(self._event)


class Event(Handle):
    """A command's event."""

    _invalid = "INVALID_EVENT"
    _shared: _Shared | None = None
    _set: int | None = None  # a user event's status that the program set

    def __init__(self, queue: CommandQueue | None, context: Context, event: int, kind: str) -> None:
        self._queue = queue
        self._context = context
        self._runtime = context._runtime
        self._id = event
        self._kind = _KINDS[kind]

    def __del__(self) -> None:
        # Cheaper than a finalizer, and every command makes an event.
        if hasattr(self, "_kind") and self._shared is None:
            self._runtime.release(self._id)

    def get_info(self, param: int) -> Any:
        """Answer an event query; asking for the status sends what was enqueued."""
        if param == _INFO["COMMAND_QUEUE"]:
            return self._queue
        if param == _INFO["CONTEXT"]:
            return self._context
        if param == _INFO["COMMAND_TYPE"]:
            return self._kind
        if param == _INFO["REFERENCE_COUNT"]:
            return reference_count(self)
        if param == _INFO["COMMAND_EXECUTION_STATUS"]:
            if self._set is not None:
                return self._set
            state = self._runtime.state(self._id)
            if state.status > COMPLETE:
                self._runtime.flush()
            return state.status
        fail("clGetEventInfo", "INVALID_VALUE")

    def get_profiling_info(self, param: int) -> int:
        """Times in ns of this process's clock; start and end are the node's, moved onto it."""
        routine = "clGetEventProfilingInfo"
        if self._queue is None or not self._queue._flags & PROFILING:
            fail(routine, "PROFILING_INFO_NOT_AVAILABLE", "the queue was made without profiling")
        state = self._runtime.state(self._id)
        if state.status != COMPLETE:
            fail(routine, "PROFILING_INFO_NOT_AVAILABLE", "the command isn't complete")
        if param == _PROFILING["QUEUED"]:
            return state.queued
        if param == _PROFILING["SUBMIT"]:
            return state.submitted
        if param == _PROFILING["START"]:
            return state.start
        if param in (_PROFILING["END"], _PROFILING.get("COMPLETE")):
            return state.end
        fail(routine, "INVALID_VALUE")

    @translated("clWaitForEvents")
    def wait(self) -> None:
        """Wait until the command has ended; raise if it failed."""
        self._runtime.check()
        self._raise_if_failed(self._runtime.wait(self._id))

    def _raise_if_failed(self, state: EventState) -> None:
        if state.status < 0:
            with self._runtime.lock:
                self._runtime.core.told_failure(self._id, state.queue)
            name = _STATUS_NAMES.get(state.status, str(state.status))
            fail_code(
                "clWaitForEvents",
                EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST,
                f"the command failed with {name}: {state.failure}",
            )

    @translated("clSetEventCallback")
    def set_callback(self, kind: int, callback: Callable[[int], None]) -> None:
        """Call callback(kind) once the command has got that far, on another thread.

        kind: COMPLETE, RUNNING or SUBMITTED of command_execution_status. A command that failed
        calls back with its negative status instead. That a command runs is told when it has ended:
        OpenCL promises no sooner.
        """
        kind = int32(kind, "kind")
        if kind not in (COMPLETE, RUNNING, SUBMITTED):
            fail("clSetEventCallback", "INVALID_VALUE")
        self._runtime.flush()

        def reached(status: int) -> None:
            callback(kind if status >= 0 else status)

        if kind == SUBMITTED:
            self._runtime.when_submitted(self._id, reached)
        else:
            self._runtime.when_ended(self._id, reached)


class NannyEvent(Event):
    """An event that keeps the host memory of its command alive.

    arriving: the command writes the host memory, so that it must be waited for.
    """

    def __init__(
        self,
        queue: CommandQueue,
        context: Context,
        event: int,
        kind: str,
        ward: Any,
        arriving: bool,
    ) -> None:
        super().__init__(queue, context, event, kind)
        self._ward = ward
        self._arriving = arriving

    def get_ward(self) -> Any:
        """The host memory, until the command is complete."""
        return self._ward

    def wait(self) -> None:
        """As Event.wait; the host memory is let go of then."""
        super().wait()
        self._ward = None

    def __del__(self) -> None:
        # As pyopencl: once the event is gone, what was read is in the host memory. (What is
        # written was copied when it was enqueued.)
        if getattr(self, "_arriving", False):
            self._runtime.wait_for_last_words(self._id)
        super().__del__()


class UserEvent(Event):
    """An event that the program completes."""

    @translated("clCreateUserEvent")
    def __init__(self, context: Context) -> None:
        expect(context, Context, "context")
        runtime = context._runtime
        with runtime.lock:
            runtime.wait_for_room()
            event = runtime.core.begin_user()
            runtime.say(session.CreateUserEvent(event, context._id))
        super().__init__(None, context, event, "USER")

    @translated("clSetUserEventStatus")
    def set_status(self, status: int) -> None:
        """Complete it (0), or fail it (negative); once."""
        status = int32(status, "status")
        if status > 0:
            fail("clSetUserEventStatus", "INVALID_VALUE", f"the status is {status}")
        if self._set is not None:
            fail("clSetUserEventStatus", "INVALID_OPERATION", "its status was set already")
        self._set = status
        self._runtime.say(session.SetUserEvent(self._id, status))
        self._runtime.user_event_set(self._id)
        self._runtime.flush()


@translated("clWaitForEvents")
def wait_for_events(events: Sequence[Event]) -> None:
    """Wait for all; raise if one of them failed."""
    events = list(events)
    if not events:
        fail("clWaitForEvents", "INVALID_VALUE", "no events to wait for")
    for event in events:
        expect(event, Event, "event to wait for")
    states = [(event, event._runtime.wait(event._id)) for event in events]
    for event, state in states:
        event._raise_if_failed(state)


def wait_list(wait_for: Sequence[Event] | None, context: Context, routine: str) -> list[int]:
    """Ids of the events of a wait list; raises for what isn't one."""
    ids = []
    for event in () if wait_for is None else wait_for:
        if not isinstance(event, Event):
            fail(routine, "INVALID_EVENT_WAIT_LIST", f"{event!r} isn't an event")
        if event._context._runtime is not context._runtime or event._context != context:
            fail(routine, "INVALID_CONTEXT", "an event of the wait list is of another context")
        ids.append(event._id)
    if len(ids) > waits_max:
        text = f"a wait list has at most {waits_max} events, this one {len(ids)}: wait for a marker"
        fail(routine, "OUT_OF_HOST_MEMORY", text)
    return [*ids, *_under_way(context)] if context._written else ids


def wrote(event: Event, waits: Sequence[int]) -> None:
    """A blocking write was enqueued, behind `waits`: what is enqueued from now on waits for it."""
    event._shared = _Shared(event._runtime, event._id)
    written = event._context._written
    written[event._id] = event._shared
    for earlier in waits:
        written.pop(earlier, None)


def _under_way(context: Context) -> list[int]:
    """The blocking writes that aren't known to have ended."""
    found = []
    # What is taken here keeps the events alive while their states are looked at, whatever other
    # threads do.
    for event, _ in list(context._written.items()):
        if context._runtime.has_ended(event):
            context._written.pop(event, None)
        else:
            found.append(event)
    return found
