"""How busy others keep this machine.

Owns: telling our processor time from that of others. Must not know: what is measured.
"""

from __future__ import annotations

import time

import psutil

QUIET_CORES_MAX = 0.2
"""A run is quiet when all other processes together use no more."""


class Meter:
    """Counts from its making how much others use the processor."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._began = self._read()

    def others_cores(self) -> float:
        """Cores that were busy, on average, for neither this process nor one below it."""
        deltas = [now - then for now, then in zip(self._read(), self._began, strict=True)]
        elapsed_s, busy_s, own_s = deltas
        return max(0.0, (busy_s - own_s) / elapsed_s)

    def _read(self) -> tuple[float, float, float]:
        """The time, all busy processor time, and ours, in seconds."""
        # Interrupts are left out: traffic on loopback makes them, and no process is charged.
        times = psutil.cpu_times()
        busy = times.user + times.nice + times.system + getattr(times, "steal", 0.0)
        own = 0.0
        for process in (self._process, *self._process.children(recursive=True)):
            try:
                used = process.cpu_times()
            except psutil.NoSuchProcess:
                continue  # it has just ended, so its parent is charged with its time
            own += used.user + used.system + used.children_user + used.children_system
        return time.monotonic(), busy, own


def is_quiet(others_cores: float) -> bool:
    """Whether figures taken beside such a load count."""
    return others_cores <= QUIET_CORES_MAX
