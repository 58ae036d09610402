"""Queues of a driver: what is told of events, by whom, and in which order."""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest

from node_agent.driver import driver as driver_module
from node_agent.driver.queues import Queue, events_handed_over_max, stored
from node_agent.effects import Store
from node_agent.inputs import Ended
from vcl.wire.messages import part

COMPLETE, QUEUED, FAILED = 0, 3, -5


class Event:
    """Of a driver that does nothing by itself."""

    def __init__(self) -> None:
        self.status = QUEUED
        self.waits = 0
        self._over = threading.Event()

    def end(self, status: int = COMPLETE) -> None:
        self.status = status
        self._over.set()

    def get_info(self, what: object) -> int:
        return self.status

    def get_profiling_info(self, what: object) -> int:
        return 0

    def wait(self) -> None:
        self.waits += 1
        assert self._over.wait(60)
        if self.status < 0:
            raise Error("it failed")


class Error(Exception):
    code = FAILED


CL = SimpleNamespace(
    Error=Error,
    CommandQueue=lambda context, properties: SimpleNamespace(flush=lambda: None),
    command_queue_properties=SimpleNamespace(PROFILING_ENABLE=2),
    event_info=SimpleNamespace(COMMAND_EXECUTION_STATUS=1),
    profiling_info=SimpleNamespace(START=1, END=2),
)


class Rig:
    def __init__(self) -> None:
        self.posted: deque[list[Any]] = deque()
        self.told = threading.Semaphore(0)
        self.queue = Queue(CL, None, self._post)
        self.events: list[Event] = []

    def _post(self, ended: list[Any]) -> None:
        self.posted.append(ended)
        for _ in ended:
            self.told.release()

    def watch(self, *statuses: int) -> None:
        for status in statuses:
            self.events.append(Event())
            if status != QUEUED:
                self.events[-1].end(status)
            self.queue.watch(self.events[-1], stored, len(self.events))

    def flush(self) -> list[int]:
        return operations(self.queue.flush(self.posted))

    def take(self, count: int) -> list[int]:
        """What the thread tells, so many of them."""
        for _ in range(count):
            assert self.told.acquire(timeout=60)
        found = [one for ended in self.posted for one in ended]
        self.posted.clear()
        return operations(found)


def operations(ended: list[Any]) -> list[int]:
    assert all(isinstance(one, Ended) for one in ended)
    return [one.operation for one in ended]


@pytest.fixture
def rig() -> Any:
    made = Rig()
    yield made
    for event in made.events:
        event.end()
    made.queue.close()


def test_what_is_over_is_told_at_once(rig: Rig) -> None:
    rig.watch(COMPLETE, COMPLETE)
    assert rig.flush() == [1, 2]
    assert [event.waits for event in rig.events] == [0, 1], "to see a status orders no memory"
    assert rig.flush() == [] and not rig.posted


def test_what_isn_t_over_is_told_by_the_thread_and_all_behind_it(rig: Rig) -> None:
    rig.watch(COMPLETE, QUEUED, COMPLETE)
    assert rig.flush() == [1]
    rig.events[1].end()
    assert rig.take(2) == [2, 3]


def test_nothing_is_told_before_what_the_thread_has_still_to_tell(rig: Rig) -> None:
    rig.watch(QUEUED)
    assert rig.flush() == []
    rig.watch(COMPLETE)
    assert rig.flush() == []
    rig.events[0].end()
    assert rig.take(2) == [1, 2]


def test_nothing_is_told_before_what_was_posted_is_taken_in(rig: Rig) -> None:
    rig.posted.append([])
    rig.watch(COMPLETE)
    assert rig.flush() == []
    assert rig.take(1) == [1]


def test_what_failed_is_told_by_the_thread(rig: Rig) -> None:
    rig.watch(COMPLETE, FAILED, COMPLETE)
    assert rig.flush() == [1]
    for _ in range(2):
        assert rig.told.acquire(timeout=60)
    (failed, after) = [one for ended in rig.posted for one in ended]
    assert (failed.operation, failed.status, after.operation) == (2, FAILED, 3)


def foreign(rig: Rig) -> Event:
    """Watch an event of another queue, which is over."""
    event = Event()
    event.end()
    rig.queue.watch(event, stored, 9, own=False)
    return event


def test_an_event_of_another_queue_stands_for_none_of_this_one_s(rig: Rig) -> None:
    rig.watch(COMPLETE)
    event = foreign(rig)
    assert rig.flush() == [1, 9]
    assert rig.events[0].waits == event.waits == 1, "each is to be waited for by itself"


def test_nor_where_the_thread_sees_it(rig: Rig) -> None:
    rig.watch(QUEUED, COMPLETE)
    event = foreign(rig)
    assert rig.flush() == []
    rig.events[0].end()
    assert rig.take(3) == [1, 2, 9]
    assert rig.events[1].waits == event.waits == 1


def test_of_many_the_thread_gets_what_was_watched_first(rig: Rig) -> None:
    rig.watch(*[COMPLETE] * (events_handed_over_max + 1))
    rest = rig.flush()
    first = rig.take(events_handed_over_max + 1 - len(rest))
    assert first + rest == list(range(1, events_handed_over_max + 2))


def test_an_event_is_let_go_of_once_it_was_told_of(rig: Rig) -> None:
    """It refers to bytes that a peer may wait for."""
    rig.watch(QUEUED, QUEUED)
    assert rig.flush() == []
    known = [weakref.ref(event) for event in rig.events]
    for event in rig.events:
        event.end()
    del event
    rig.take(2)
    rig.events.clear()
    end = time.monotonic() + 20
    while any(each() is not None for each in known):
        assert time.monotonic() < end
        time.sleep(0.001)


def test_bytes_that_could_not_be_stored_are_let_go_of(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied, closing = [Event()], Event()
    cl = SimpleNamespace(
        enqueue_copy=lambda *_, **__: copied[0], enqueue_marker=lambda _: closing,
        enqueue_nd_range_kernel=None,
    )  # fmt: skip
    monkeypatch.setattr(driver_module, "load_pyopencl", lambda: cl)
    monkeypatch.setattr(driver_module, "matching_devices", lambda *_: ([], []))
    driver = driver_module.Driver([], None, rig.posted.append)
    device = SimpleNamespace(
        transfer=rig.queue, buffer=lambda number: None, has_in_place=lambda *_: False,
        place=lambda *_: None,
    )
    monkeypatch.setattr(driver._moving, "_devices", {1: device})
    receive = part.Receive(7, [], 1, 10, 0, 4, 1, 0)
    driver.store(Store(receive, 0, b"1234", True))
    assert rig.flush() == []
    copied[0].end(FAILED)
    assert rig.take(1) == [7]
    driver.store(Store(receive, 0, b"", True))
    closing.end()
    assert (rig.flush() or rig.take(1)) == [7]
    event = weakref.ref(copied.pop())
    assert event() is None
