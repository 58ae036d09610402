"""In-order driver queues, and waiting for what is in them.

Owns: a queue's thread, and the times of its events in ns of this host's wall clock. Must not know:
what was enqueued.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sized
from queue import SimpleQueue
from typing import Any

from node_agent.driver.failures import status_of
from node_agent.inputs import Ended

log = logging.getLogger("vcl-executor")

events_handed_over_max = 64
"""Events that are kept for the waiting thread until a batch of effects ends: to wake it costs."""

Finish = Callable[[int, int, int], Any]
"""What is told of an operation that started and ended at these times."""

_Watched = tuple[Any, Finish, int, bool]


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
        self._given = self._told = 0
        """Lists that the thread was given, and of which it has told all."""
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()

    def watch(self, event: Any, finish: Finish, operation: int, own: bool = True) -> None:
        """Post finish(operation, start, end), if that isn't None, when the event ends, or a failed
        Ended; soon after `flush`. own: whether the event is of this very queue."""
        self._watched.append((event, finish, operation, own))
        if len(self._watched) >= events_handed_over_max:
            self._hand_over()

    def flush(self, posted: Sized) -> list[Any]:
        """Submit what was enqueued, and have the thread wait for what is watched.

        Answers what is told of operations that are over already, of which none was posted or will
        be. posted: what was posted and isn't taken in; it comes before anything else, so nothing is
        answered until it has been.
        """
        self.queue.flush()
        ended: list[Any] = []
        # In this order: what the thread has told of is in `posted` before it says so.
        if self._watched and self._told == self._given and not posted:
            ended = self._over()
        self._hand_over()
        return ended

    def _over(self) -> list[Any]:
        """What is told of the first that are watched, as far as they are over."""
        ended: list[Any] = []
        over = 0
        try:
            seen = None
            for event, finish, operation, own in self._watched:
                if event.get_info(self._status) != 0:
                    break
                seen = self._seen(event, own, seen)
                self._finish(event, finish, operation, ended)
                over += 1
            if seen is not None:
                seen.wait()  # as in `_tell`
        except self._cl.Error as error:
            log.debug("the thread shall see to it: %s", error)
        del self._watched[:over]
        return ended

    @staticmethod
    def _seen(event: Any, own: bool, seen: Any) -> Any:
        """Which is to be waited for, of one that is complete and the last one before it."""
        if own:
            return event
        event.wait()  # the queue's own last one tells nothing of it
        return seen

    def _finish(self, event: Any, finish: Finish, operation: int, ended: list[Any]) -> None:
        """Tell of an event that has ended; raises what the driver raises."""
        result = finish(operation, *self._times(event))
        if result is not None:
            ended.append(result)

    def _hand_over(self) -> None:
        if self._watched:
            self._given += 1
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
        taken = 0
        while (watched := self._waiting.get()) is not None:
            taken += 1
            for event, finish, operation, own in watched:
                complete = event.get_info(self._status) == 0
                if ended and not complete:
                    self._tell(ended, seen)
                    ended, seen = [], None
                try:
                    if complete:
                        seen = self._seen(event, own, seen)
                    else:
                        event.wait()
                    self._finish(event, finish, operation, ended)
                except self._cl.Error as error:
                    code, text = status_of(error)
                    ended.append(Ended(operation, code, 0, 0, text, closing=finish is closed))
            # An event refers to the bytes that it copied, which a peer may wait to have given back.
            del event, watched
            if self._waiting.empty():
                if ended:
                    self._tell(ended, seen)
                    ended, seen = [], None
                self._told = taken
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
