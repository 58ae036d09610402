"""How long the master's loop is busy in one go, for benchmarks: `vcl-master --measure-loop`.

Owns: the clocks around the loop. Must not know: what the loop does meanwhile. Without the flag
nothing of this exists, so it costs nothing then.

A *step* is one callback of the loop: what no other connection can get between. A *turn* is all
callbacks between two looks at the network: what a message that has just come waits for at most.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass


@dataclass(slots=True)
class Longest:
    """The longest so far. step_cpu_s: by the clock of the thread's processor time, which doesn't
    count what other processes on a busy machine took."""

    step_s: float = 0.0
    step_cpu_s: float = 0.0
    turn_s: float = 0.0


class LoopMeter:
    """Measures the loop that `make_loop` makes; one in a process."""

    def __init__(self) -> None:
        self._longest = Longest()

    def take(self) -> dict[str, float]:
        """The longest since the last call."""
        longest, self._longest = self._longest, Longest()
        return asdict(longest)

    def make_loop(self) -> asyncio.AbstractEventLoop:
        """An event loop of asyncio, whose every step and turn is measured."""
        plain_run = asyncio.Handle._run

        def run(handle: asyncio.Handle) -> None:
            cpu_s, wall_s = time.thread_time(), time.perf_counter()
            plain_run(handle)
            step_s = time.perf_counter() - wall_s
            longest = self._longest
            if step_s > longest.step_s:
                longest.step_s = step_s
            step_cpu_s = time.thread_time() - cpu_s
            if step_cpu_s > longest.step_cpu_s:
                longest.step_cpu_s = step_cpu_s

        asyncio.Handle._run = run  # type: ignore[assignment, method-assign]
        return asyncio.SelectorEventLoop(_Selector(self._turned))

    def _turned(self, turn_s: float) -> None:
        self._longest.turn_s = max(self._longest.turn_s, turn_s)


class _Selector(selectors.DefaultSelector):
    """Tells how long the loop didn't look at the network."""

    def __init__(self, turned: Callable[[float], None]) -> None:
        super().__init__()
        self._turned = turned
        self._looked: float | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self._looked is not None:
            self._turned(time.perf_counter() - self._looked)
        found = super().select(timeout)
        self._looked = time.perf_counter()
        return found
