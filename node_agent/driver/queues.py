"""In-order driver queues, and waiting for what is in them.

Owns: a queue's thread, and the times of its events in ns of this host's wall clock. Must not know:
what was enqueued.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from node_agent.driver.failures import status_of
from node_agent.inputs import Ended

events_handed_over_max = 64
"""Events that are kept for the waiting thread until a batch of effects ends: to wake it costs."""

Finish = Callable[[int, int, int], Any]
"""What is told of an operation that started and ended at these times."""

_Watched = tuple[Any, Finish, int]


def stored(operation: int, start: int, end: int) -> Ended:
    """That the operation ended well."""
    return Ended(operation, 0, start, end)


def closed(operation: int, start: int, end: int) -> Ended:
    """That all that was stored before has got there."""
    return Ended(operation, 0, start, end, closing=True)


def untold(operation: int, start: int, end: int) -> None:
    """Nothing: more of the operation follows."""


class Queue:
    """An in-order driver queue and the thread that waits for its events in their order."""

    def __init__(self, cl: Any, context: Any, post: Callable[[list[Any]], None]) -> None:
        properties = cl.command_queue_properties.PROFILING_ENABLE
        self.queue = cl.CommandQueue(context, properties=properties)
        self._cl = cl
        self._post = post
        self._status = cl.event_info.COMMAND_EXECUTION_STATUS
        self._start, self._end = cl.profiling_info.START, cl.profiling_info.END
        self._clock_offset: int | None = None
        self._watched: list[_Watched] = []
        self._waiting: SimpleQueue[list[_Watched] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()

    def watch(self, event: Any, finish: Finish, operation: int) -> None:
        """Post finish(operation, start, end), if that isn't None, when the event ends, or a failed
        Ended; soon after `flush`."""
        self._watched.append((event, finish, operation))
        if len(self._watched) >= events_handed_over_max:
            self._hand_over()

    def flush(self) -> None:
        """Submit what was enqueued, and wait for what is watched."""
        self.queue.flush()
        self._hand_over()

    def _hand_over(self) -> None:
        if self._watched:
            self._waiting.put(self._watched)
            self._watched = []

    def close(self) -> None:
        """End the thread once all that it watches has ended."""
        self._hand_over()
        self._waiting.put(None)
        self._thread.join()

    def _wait(self) -> None:
        ended: list[Any] = []
        seen: Any = None  # an event that is complete, as all before it, and wasn't waited for
        while (watched := self._waiting.get()) is not None:
            for event, finish, operation in watched:
                complete = event.get_info(self._status) == 0
                if ended and not complete:
                    self._tell(ended, seen)
                    ended, seen = [], None
                try:
                    if complete:
                        seen = event
                    else:
                        event.wait()
                    result = finish(operation, *self._times(event))
                    if result is not None:
                        ended.append(result)
                except self._cl.Error as error:
                    code, text = status_of(error)
                    ended.append(Ended(operation, code, 0, 0, text, closing=finish is closed))
            if ended and self._waiting.empty():
                self._tell(ended, seen)
                ended, seen = [], None
        if ended:
            self._tell(ended, seen)

    def _tell(self, ended: list[Any], seen: Any) -> None:
        if seen is not None:
            # To see a status doesn't order memory, as to wait does (OpenCL 3.0 API, 5.11); of an
            # in-order queue the last will do.
            seen.wait()
        self._post(ended)

    def _times(self, event: Any) -> tuple[int, int]:
        """Start and end of an event in ns of this host's wall clock."""
        # Not event.profile, which takes twenty times as long.
        start = event.get_profiling_info(self._start)
        end = event.get_profiling_info(self._end)
        # An event is seen to have ended after it did, so the smallest difference is the best.
        offset = time.time_ns() - end
        if self._clock_offset is None or offset < self._clock_offset:
            self._clock_offset = offset
        return start + self._clock_offset, end + self._clock_offset
