"""How long an agent that lost its master waits before it dials again.

Owns: the back-off, given random numbers. Must not know: clocks, randomness, connections.
"""

from __future__ import annotations

redial_first_s = 0.5
"""The longest wait before the first attempt."""

redial_max_s = 30.0
"""The longest wait before any attempt: a master that comes back has all its agents this soon."""


def delay_s(attempt: int, fraction: float) -> float:
    """The wait before an attempt, counted from 0; fraction: random, from 0 up to 1.

    The bound doubles from `redial_first_s` to `redial_max_s`, and the wait is drawn from all below
    it (full jitter): the agents of a cluster lose their master in the same moment and must not
    come back in one.
    """
    # The exponent is bounded too: an agent may try for years, and floats end at 2**1024.
    return fraction * min(redial_max_s, redial_first_s * 2.0 ** min(attempt, 16))
