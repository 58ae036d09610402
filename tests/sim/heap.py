"""Virtual time: a heap of (time, sequence, action), and links that carry messages through it.

Owns: the clock, the order of actions, FIFO links with latency and bandwidth, connections that
break. Must not know: what messages mean. Everything random is drawn from the world's generator,
so that a seed fixes every run.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from random import Random
from typing import Any


class Violation(AssertionError):
    """Something that must never happen, happened."""


class Heap:
    """Actions by time; equal times in the order in which they were entered."""

    def __init__(self) -> None:
        self.now = 0.0
        """Seconds since the world began."""
        self.count = 0
        """Actions carried out."""
        self._entries: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._sequence = 0
        self._by_count: dict[int, Callable[[], None]] = {}

    def after(self, delay_s: float, action: Callable[..., None], *arguments: Any) -> None:
        """Carry out an action later."""
        self._sequence += 1
        heappush(self._entries, (self.now + delay_s, self._sequence, action, arguments))

    def at_count(self, count: int, action: Callable[[], None]) -> None:
        """Carry out an action before the one with that number: faults strike by number."""
        before = self._by_count.get(count)
        if before is not None:
            self.at_count(count + 1, action)
        else:
            self._by_count[count] = action

    def run(self, until_s: float) -> bool:
        """Go on until nothing is left (True) or the time has come (False)."""
        entries = self._entries
        while entries:
            if entries[0][0] > until_s:
                self.now = until_s
                return False
            self.count += 1
            if self._by_count and self.count in self._by_count:
                self._by_count.pop(self.count)()
            self.now, _, action, arguments = heappop(entries)
            action(*arguments)
        return True


class Link:
    """One direction of a connection: order is kept, nothing is lost but a suffix at its end."""

    def __init__(self, heap: Heap, latency_s: float, bytes_per_s: float) -> None:
        self._heap = heap
        self._latency_s = latency_s
        self._bytes_per_s = bytes_per_s
        self._last_s = 0.0
        self._cut_s: float | None = None
        self.free_s = 0.0
        """When the sender's side can take the next message without waiting."""
        self.deliver: Callable[[bytes], None] = lambda data: None
        """Called with each message that arrives."""
        self.ended: Callable[[str], None] = lambda reason: None
        """Called once when the receiving end learns that nothing more will come."""

    def send(self, data: bytes) -> None:
        """Put a message on its way."""
        if self._cut_s is not None:
            return
        start_s = max(self._heap.now, self.free_s)
        self.free_s = start_s + len(data) / self._bytes_per_s
        self._last_s = max(self._last_s, self.free_s + self._latency_s)
        self._heap.after(self._last_s - self._heap.now, self._arrive, self._last_s, data)

    def _arrive(self, due_s: float, data: bytes) -> None:
        if self._cut_s is None or due_s <= self._cut_s:
            self.deliver(data)

    def close(self, reason: str) -> None:
        """Nothing more will be sent; what is on its way still arrives."""
        self._end(max(self._last_s, self._heap.now + self._latency_s), reason)

    def cut(self, delay_s: float, reason: str) -> None:
        """The link breaks; its receiving end learns it after a delay; what comes later is lost."""
        self._end(self._heap.now + delay_s, reason)

    def _end(self, when_s: float, reason: str) -> None:
        if self._cut_s is None:
            self._cut_s = when_s
            self._heap.after(when_s - self._heap.now, self._tell_ended, reason)

    def _tell_ended(self, reason: str) -> None:
        self.ended(reason)


class Connection:
    """Two links between the end that dialled and the master."""

    def __init__(self, heap: Heap, rng: Random, bulk: bool) -> None:
        latency_s = rng.choice((1e-5, 1e-4, 2e-3)) * (0.5 + rng.random())
        bytes_per_s = rng.choice((1e5, 1e6, 1e8)) if bulk else rng.choice((1e6, 1e8))
        self.up = Link(heap, latency_s, bytes_per_s)
        """From the end that dialled to the master."""
        self.down = Link(heap, latency_s * (0.5 + rng.random()), bytes_per_s)
        """From the master."""
        self._rng = rng

    def crash(self, reason: str) -> None:
        """The end that dialled is gone; the master learns it at some time."""
        self.down.deliver = lambda data: None
        self.down.ended = lambda reason: None
        self.up.cut(self._rng.choice((1e-5, 1e-3, 2e-2)) * self._rng.random(), reason)

    def close_from_master(self, reason: str) -> None:
        """The master closes in order: what it sent arrives; what is sent to it is dropped."""
        self.up.deliver = lambda data: None
        self.up.ended = lambda reason: None
        self.down.close(reason)

    def close_from_dialler(self, reason: str) -> None:
        """The end that dialled closes in order."""
        self.down.deliver = lambda data: None
        self.down.ended = lambda reason: None
        self.up.close(reason)
