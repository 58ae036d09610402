"""An honest session beside hostile ones, on real processes, goes on, and so does all else.

Owns: the quick ones of the attacks, one after another on one cluster. Must not know: how fast
anything is; `python -m benchmarks.stall` measures that on a quiet machine, and the bound here is
wide enough for a busy one.
"""

from __future__ import annotations

from tests.hostile.attacks import ATTACKS, SERVED
from tests.hostile.stage import Stage

HONEST_MS_MAX = 5_000.0

CLOSED = "closed by the peer with code "

QUICK = {
    "heavy.many_markers": "done",
    "heavy.gate_abandoned": "killed",
    "strangers.colliding_keys": CLOSED + "1002: not a msgpack value",
    "strangers.long_hello": CLOSED + "1000",
    "clients.arrays_in_pieces": CLOSED + "1002: client to master: malformed Release.objects",
    "clients.release_many": "carried out",
    "clients.long_wait_lists": "carried out",
    "sources.many_parentheses": "built with status -11",
    "sources.many_files": "built with status 0",
    "nodes.unknown_operations": CLOSED + "1000: operation 1000000 isn't under way",
    "nodes.done_again_and_again": CLOSED + "1000: operation 1 isn't under way",
    "nodes.kernels_950": "built with status 0, 9",
    "nodes.many_devices": "let in",
    "attacks.newcomer": SERVED,
}
"""What has to become of each attacker, by how it begins: one that is refused for another reason
than its own attacks nothing. The last shows that what is left still serves."""


def test_an_honest_session_goes_on_beside_hostile_ones() -> None:
    with Stage() as stage:
        outcomes = [stage.measure(name, ATTACKS[name]) for name in QUICK]
        starts = stage.starts
    for one in outcomes:
        print(one)
    slow = [one for one in outcomes if one.honest_ms is None or one.honest_ms > HONEST_MS_MAX]
    assert not slow
    assert starts == 1, "something was lost, and everything was started anew"
    others = [one for one in outcomes if not one.became.startswith(QUICK[one.name])]
    assert not others
