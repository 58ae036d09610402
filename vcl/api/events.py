"""Events, wait lists and what blocking writes leave behind (OpenCL 3.0 API, 5.11 to 5.14).

Owns: `Event`, `UserEvent`, and the checks of wait lists and callbacks. Must not know: what the
commands do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from vcl.api.context import PROFILING, Context
from vcl.api.errors import STATUS_NAMES, fail, fail_code
from vcl.api.lifetimes import REFERENCES
from vcl.api.runtime import Runtime
from vcl.client_core import COMPLETE, RUNNING, SUBMITTED, EventState
from vcl.constants import CLASSES
from vcl.errors import EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST
from vcl.wire.limits import waits_max
from vcl.wire.messages import session

_INFO = CLASSES["event_info"]
_KINDS = CLASSES["command_type"]
_PROFILING = CLASSES["profiling_info"]


class _Shared:
    """The number of an event that its context needs too; let go of after both."""

    def __init__(self, runtime: Runtime, event: int) -> None:
        self._runtime, self._event = runtime, event

    def __del__(self) -> None:
        self._runtime.release(self._event)


class Event:
    """A command's event.

    _kind: of command_type. _set: a user event's status that the program set.
    """

    _shared: _Shared | None = None
    _set: int | None = None

    # Of a face, context and queue have its own classes.
    def __init__(self, queue: Any, context: Any, event: int, kind: str) -> None:
        self._queue: Any = queue
        self._context: Any = context
        self._runtime: Runtime = context._runtime
        self._id = event
        self._kind = _KINDS[kind]

    def __del__(self) -> None:
        # Cheaper than a finalizer, and every command makes an event.
        if hasattr(self, "_kind") and self._shared is None:
            self._runtime.release(self._id)

    def _status(self) -> int:
        """Its command_execution_status, or a negative status; asking sends what was enqueued."""
        if self._set is not None:
            return self._set
        state = self._runtime.state(self._id)
        if state.status > COMPLETE:
            self._runtime.flush()
        return state.status

    def _query(self, param: int) -> Any:
        """Answer a query; asking for the status sends what was enqueued.

        param: of event_info. Raises CallError for what isn't any.
        """
        if param == _INFO["COMMAND_EXECUTION_STATUS"]:
            return self._status()
        if param == _INFO["COMMAND_QUEUE"]:
            return self._queue
        if param == _INFO["CONTEXT"]:
            return self._context
        if param == _INFO["COMMAND_TYPE"]:
            return self._kind
        if param == _INFO["REFERENCE_COUNT"]:
            return REFERENCES
        fail("clGetEventInfo", "INVALID_VALUE")

    def _profiled(self, param: int) -> int:
        """A time in ns of this process's clock; start and end are the node's, moved onto it.

        param: of profiling_info. Raises CallError.
        """
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

    def _wait(self) -> None:
        """Wait until the command has ended. Raises CallError if it failed, OperatingError."""
        self._runtime.check()
        self._raise_if_failed(self._runtime.wait(self._id))

    def _arrived(self, routine: str) -> None:
        """Wait until what a blocking read reads is there, or a blocking map may be written.

        Raises CallError for the first failure in its queue that wasn't raised yet, and if the
        command itself failed; OperatingError.
        """
        state = self._runtime.wait(self._id)
        self._queue._raise_failure(routine)
        self._raise_if_failed(state)

    def _raise_if_failed(self, state: EventState) -> None:
        """Raise CallError if the command failed, and count the failure as told."""
        if state.status < 0:
            with self._runtime.lock:
                self._runtime.core.told_failure(self._id, state.queue)
            name = STATUS_NAMES.get(state.status, str(state.status))
            fail_code(
                "clWaitForEvents",
                EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST,
                f"the command failed with {name}: {state.failure}",
            )

    def _call_back(self, kind: int, callback: Callable[[int], None]) -> None:
        """Call callback(kind) once the command has got that far, on another thread.

        kind: COMPLETE, RUNNING or SUBMITTED of command_execution_status. A command that failed
        calls back with its negative status instead. That a command runs is told when it has ended:
        OpenCL promises no sooner. Raises CallError.
        """
        if kind not in (COMPLETE, RUNNING, SUBMITTED):
            fail("clSetEventCallback", "INVALID_VALUE")
        self._runtime.flush()

        def reached(status: int) -> None:
            callback(kind if status >= 0 else status)

        if kind == SUBMITTED:
            self._runtime.when_submitted(self._id, reached)
        else:
            self._runtime.when_ended(self._id, reached)


class UserEvent(Event):
    """An event that the program completes."""

    def __init__(self, context: Context) -> None:
        """Raises OperatingError."""
        runtime = context._runtime
        with runtime.lock:
            runtime.wait_for_room()
            event = runtime.core.begin_user()
            runtime.say(session.CreateUserEvent(event, context._id))
        super().__init__(None, context, event, "USER")

    def _set_status(self, status: int) -> None:
        """Complete it (0), or fail it (negative); once. Raises CallError."""
        if status > 0:
            fail("clSetUserEventStatus", "INVALID_VALUE", f"the status is {status}")
        if self._set is not None:
            fail("clSetUserEventStatus", "INVALID_OPERATION", "its status was set already")
        self._set = status
        self._runtime.say(session.SetUserEvent(self._id, status))
        self._runtime.user_event_set(self._id)
        self._runtime.flush()


def wait_for_all(events: Sequence[Event]) -> None:
    """Wait for all. Raises CallError if one of them failed, or if there are none."""
    if not events:
        fail("clWaitForEvents", "INVALID_VALUE", "no events to wait for")
    states = [(event, event._runtime.wait(event._id)) for event in events]
    for event, state in states:
        event._raise_if_failed(state)


def wait_list(wait_for: Sequence[Any] | None, context: Context, routine: str) -> list[int]:
    """Ids of the events of a wait list, and of the blocking writes that may be under way.

    Raises CallError for what isn't an event of the context, and for more than `waits_max`.
    """
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


def ended(write: Event, wait_for: Sequence[Any] | None, waits: Sequence[int]) -> None:
    """As if a blocking write had ended, which is behind `waits` and the program's `wait_for`.

    Raises CallError if an event of `wait_for` failed.
    """
    if wait_for:
        write._wait()  # an event that it waits for may have failed, or be the user's to set
    else:
        wrote(write, waits)


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
