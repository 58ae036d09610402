"""When a node whose executors don't start is left out for a while.

Owns: counting failed starts of one node, and how long it is left out. Must not know: sessions,
connections; time comes as `now`.
"""

from __future__ import annotations

failed_starts_max = 2
"""So many executors in a row that didn't start, and the node is left out."""

quarantine_first_s = 60.0
"""How long a node is left out at first; twice as long after each time that didn't help."""

quarantine_max_s = 3600.0
"""The longest time: a node that was mended without a restart of its agent is found this soon."""


class Quarantine:
    """What one node's executors did so far. why: it is left out, or None."""

    def __init__(self) -> None:
        self.why: str | None = None
        self._until = 0.0
        self._forget()

    def _forget(self) -> None:
        self._failed = 0
        self._length_s = quarantine_first_s

    def start_failed(self, why: str, now: float) -> float | None:
        """An executor didn't start; answers for how long the node is left out from now on, if it
        is by this failure."""
        self._failed += 1
        if self._failed < failed_starts_max or self.why is not None:
            return None
        length_s = self._length_s
        self.why, self._until = why, now + length_s
        self._length_s = min(2 * length_s, quarantine_max_s)
        return length_s

    def started(self) -> bool:
        """An executor started: all is forgotten; answers whether that lets the node in again."""
        was_out = self.why is not None
        self.why = None
        self._forget()
        return was_out

    def over(self, now: float) -> bool:
        """Let the node in again if its time is over; the next failed start ends that."""
        if self.why is None or now < self._until:
            return False
        self.why = None
        return True
