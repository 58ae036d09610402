"""pyopencl's classes of events.

Owns: `Event`, `NannyEvent`, `UserEvent`, `wait_for_events`, and how long host memory is kept. Must
not know: what the commands do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from vcl.api import events as api
from vcl.api.integers import int32
from vcl.pyopencl_cl.context import CommandQueue, Context, expect
from vcl.pyopencl_cl.errors import translated
from vcl.pyopencl_cl.handles import Handle


class Event(Handle, api.Event):
    """A command's event."""

    _invalid = "INVALID_EVENT"

    @translated("clGetEventInfo")
    def get_info(self, param: int) -> Any:
        """Answer an event query; asking for the status sends what was enqueued."""
        return self._query(param)

    @translated("clGetEventProfilingInfo")
    def get_profiling_info(self, param: int) -> int:
        """Times in ns of this process's clock; start and end are the node's, moved onto it."""
        return self._profiled(param)

    @translated("clWaitForEvents")
    def wait(self) -> None:
        """Wait until the command has ended; raise if it failed."""
        self._wait()

    @translated("clSetEventCallback")
    def set_callback(self, kind: int, callback: Callable[[int], None]) -> None:
        """Call callback(kind) once the command has got that far, on another thread."""
        self._call_back(int32(kind, "kind"), callback)


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

    def _wait(self) -> None:
        """As Event's; the host memory is let go of then."""
        super()._wait()
        self._ward = None

    def __del__(self) -> None:
        # As pyopencl: once the event is gone, what was read is in the host memory. (What is
        # written was copied when it was enqueued.)
        if getattr(self, "_arriving", False):
            self._runtime.wait_for_last_words(self._id)
        super().__del__()


class UserEvent(Event, api.UserEvent):
    """An event that the program completes."""

    @translated("clCreateUserEvent")
    def __init__(self, context: Context) -> None:
        expect(context, Context, "context")
        api.UserEvent.__init__(self, context)

    @translated("clSetUserEventStatus")
    def set_status(self, status: int) -> None:
        """Complete it (0), or fail it (negative); once."""
        self._set_status(int32(status, "status"))


@translated("clWaitForEvents")
def wait_for_events(events: Sequence[Event]) -> None:
    """Wait for all; raise if one of them failed."""
    events = list(events)
    for event in events:
        expect(event, Event, "event to wait for")
    api.wait_for_all(events)
