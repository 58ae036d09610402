"""Faults as data, drawn before the run from the seed, and how they strike a world.

Owns: the schedule. Must not know: how anybody gets over a fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from vcl.wire.frame import CHUNK, BulkFrame, pack_bulk_header, pack_value

if TYPE_CHECKING:
    from tests.sim.world import World


@dataclass(frozen=True, slots=True)
class Fault:
    """Strikes when `at_count` actions have been carried out, or a device so many operations."""

    at_count: int
    kind: str
    victim: int
    detail: Any = None


KINDS = (
    "executor crash", "agent crash", "agent flaps", "client crash", "malformed", "device error",
    "agent silent", "agent joins",
)  # fmt: skip

OPERATIONS = (
    "Run", "FillRegion", "CopyRegion", "Snapshot", "Send", "Receive", "SendChanges", "Merge",
    "Allocate",
)  # fmt: skip


def draw_schedule(rng: Random) -> list[Fault]:
    """One fault, or a few."""
    faults = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        kind = rng.choices(KINDS, (5, 3, 4, 1, 1, 5, 1, 4))[0]
        detail: Any = None
        if kind == "device error":
            detail = (rng.choice(OPERATIONS), rng.randrange(6))
        elif kind == "malformed":
            detail = rng.randrange(len(MALFORMED))
        at_count = 0 if kind == "device error" else int(100 * 12 ** rng.random())
        victim = rng.randrange(3) if kind == "device error" else rng.randrange(6)
        faults.append(Fault(at_count, kind, victim, detail))
    return sorted(faults, key=lambda f: f.at_count)


# What an honest client never sends: (control messages or None, raw bytes or None, on bulk).
MALFORMED: tuple[tuple[list[Any] | None, bytes, bool], ...] = (
    ([[99, 1]], b"", False),
    ([[3, "a", 1, 1, 1]], b"", False),
    ([[3, 1, 1]], b"", False),
    ([[12, 10**6, 10**6 + 1, [], 1, 0, 1]], b"", False),
    ([[3, 10**6, 999999, 8, 1]], b"", False),
    ([[7, 10**6, 0]], b"", False),
    ([[10, 10**6, 2, [], 4, "nothing", [0], [1], None, []]], b"", False),
    ([[16, 10**6, 2, [], 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]], b"", False),
    (None, b"\xc1", False),
    (None, pack_value([5, 0, [[1]]]), False),
    (None, pack_value([0, 10**9, []]), False),
    (None, pack_bulk_header(BulkFrame(CHUNK, True, 1, 77, 5, 0, b"")), True),
    (None, b"short", True),
)


def arm(world: World, schedule: list[Fault]) -> None:
    """Let the faults strike when their time comes."""
    for fault in schedule:
        if fault.kind == "device error":
            world.device_faults[fault.victim + 1, fault.detail[0]] = fault.detail[1]
            continue
        world.heap.at_count(fault.at_count, lambda fault=fault: _strike(world, fault))


def _strike(world: World, fault: Fault) -> None:
    rng = world.rng
    if world.trace is not None:
        world.trace(f"FAULT {fault}")
    if fault.kind == "agent joins":
        world.join(fault.victim % 2 + 1, builds=fault.victim != 5)
        world.marks[fault.kind] += 1
        return
    agents = [a for a in world.agents if not a.dead]
    clients = [c for c in world.clients if c.dead is None]
    if fault.kind in ("client crash", "malformed"):
        if clients:
            client = clients[fault.victim % len(clients)]
            if fault.kind == "client crash":
                client.crash("the client crashed")
            else:
                _malformed(client, *MALFORMED[fault.detail])
            world.marks[fault.kind] += 1
    elif fault.kind == "executor crash":
        executors = [e for e in world.executors if not e.dead]
        if executors:
            executor = executors[fault.victim % len(executors)]
            executor.crash("the executor crashed")
            world.heap.after(0.01 * rng.random(), executor.agent.executor_crashed, executor)
            world.marks[fault.kind] += 1
    elif agents:
        agent = agents[fault.victim % len(agents)]
        world.marks[fault.kind] += 1
        if fault.kind == "agent silent":
            agent.silent = True
            return
        agent.crash()
        if fault.kind == "agent flaps":
            world.heap.after(rng.choice((0.03, 0.2)), world.add_agent, agent.name)


def _malformed(client: Any, arrays: list[Any] | None, data: bytes, bulk: bool) -> None:
    client.send_raw(client.next_frame(arrays) if arrays is not None else data, bulk)
