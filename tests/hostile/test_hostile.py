"""An honest session beside hostile ones, on real processes, goes on, and so does all else.

Owns: the quick ones of the attacks, one after another on one cluster. Must not know: how fast
anything is; `python -m benchmarks.stall` measures that on a quiet machine, and the bound here is
wide enough for a busy one.
"""

from __future__ import annotations

from tests.hostile.attacks import ATTACKS, SERVED
from tests.hostile.stage import Stage

HONEST_MS_MAX = 5_000.0

QUICK = (
    "heavy.many_markers",
    "heavy.gate_abandoned",
    "strangers.colliding_keys",
    "strangers.long_hello",
    "clients.arrays_in_pieces",
    "clients.release_many",
    "clients.long_wait_lists",
    "sources.many_parentheses",
    "sources.many_files",
    "nodes.unknown_operations",
    "nodes.done_again_and_again",
    "nodes.kernels_12_000",
    "nodes.many_devices",
    "attacks.newcomer",
)
"""The last shows that what is left still serves."""


def test_an_honest_session_goes_on_beside_hostile_ones() -> None:
    with Stage() as stage:
        outcomes = [stage.measure(name, ATTACKS[name]) for name in QUICK]
        starts = stage.starts
    for one in outcomes:
        print(one)
    slow = [one for one in outcomes if one.honest_ms is None or one.honest_ms > HONEST_MS_MAX]
    assert not slow
    assert starts == 1, "something was lost, and everything was started anew"
    assert outcomes[-1].became == SERVED
