"""One simulated cluster: built from a seed, run to its end, and examined.

Owns: what is drawn from the seed besides programs and faults, and the checks at the end. Must
not know: how any part does its work.

A seed below `FAULTY` draws a run without faults, where nothing may fail; a seed from there on
draws a schedule of faults too. The same seed always gives the same run.
"""

from __future__ import annotations

import re
import reprlib
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any
from unittest.mock import patch

from master.plan import commands, commit, links, looked, movement, planner, regions, residency
from master.plan.plan import Kind, Plan
from master.plan.view import Policy
from tests.sim import faults
from tests.sim.client import ClientShell
from tests.sim.direct import Directs
from tests.sim.heap import Heap, Violation
from tests.sim.program import Generator
from tests.sim.shells import AgentShell, ExecutorShell, MasterShell
from vcl import transfers
from vcl.transfer_states import In, Out
from vcl.wire import shapes
from vcl.wire.limits import heartbeat_interval_s, staging_bytes_max
from vcl.wire.messages import session

FAULTY = 1_000_000
"""Seeds from here on have faults."""

VIRTUAL_S_MAX = 300.0
"""A run that takes longer makes no progress."""


class World:
    """Everything that one run has."""

    def __init__(self, seed: int, trace: Callable[[str], None] | None = None) -> None:
        self.seed = seed
        self.faulty = seed >= FAULTY
        self.rng = Random(f"timing {seed}")
        self.heap = Heap()
        self.trace: Callable[[str], None] | None = None
        if trace is not None:
            self.trace = lambda text: trace(
                f"{self.heap.count:6} {self.heap.now:.6f} {re.sub(' at 0x[0-9a-f]+', '', text)}"
            )
        self.marks: Counter[str] = Counter()
        self.device_faults: dict[tuple[int, str], int] = {}
        self.ticking = self.faulty
        self.agents: list[AgentShell] = []
        self.executors: list[ExecutorShell] = []
        self.clients: list[ClientShell] = []
        rng = Random(f"world {seed}")
        self.device_scale_s = rng.choice((1e-5, 1e-3, 1e-2))
        self.chunk_bytes = rng.choice((16, 50, 1 << 20))
        self._eager = rng.choice(((0, 0), (40, 100), (1 << 16, 1 << 20)))
        self.staging_bytes_max = rng.choice((600, staging_bytes_max, staging_bytes_max))
        self._pieces_max, self._brought_max = rng.choice(((256, 64), (2, 1), (4, 3)))
        self._gap_bytes_max = rng.choice((0, 8, 2**16))
        self._told_bytes_min = rng.choice((1, 64, 2**22))
        self._shapes_max = rng.choice((1, 2, 256))
        self.schedule = faults.draw_schedule(rng) if self.faulty else []
        self._device_counts = [rng.choice((1, 1, 2)) for _ in range(rng.choice((1, 2, 2, 2, 3, 4)))]
        client_count = rng.choice((1, 1, 2)) if self.faulty else rng.choice((1, 1, 1, 2))
        self.programs = [
            Generator(Random(f"program {seed} {i}"), rng.choice((8, 20, 45))).draw()
            for i in range(client_count)
        ]
        self.policy = Policy(split_always=rng.random() < 0.7, trusts=seed % 16 != 0)
        self.master = MasterShell(self)
        self.directs: dict[tuple[int, int], Directs] = {}
        """The ends that may have direct links, by session and endpoint."""
        self.direct_rng = Random(f"direct {seed}")
        self.direct_ratio = self.direct_rng.choice((0.0, 0.5, 1.0))
        self._incarnations = 0
        self.first_served: dict[tuple[int, str], int] = {}
        """The incarnation of the agent of that name which first had an executor of a session."""

    def add_agent(self, name: str) -> None:
        """An agent connects; after a crash with the same name and devices, and empty memories."""
        self._incarnations += 1
        index = int(name.removeprefix("node"))
        agent = AgentShell(self, name, self._incarnations, self._device_counts[index])
        self.agents.append(agent)

    def join(self, device_count: int, builds: bool) -> None:
        """One more agent connects, with devices that look like those of the others, at least."""
        self._device_counts.append(device_count)
        self.add_agent(f"node{len(self._device_counts) - 1}")
        self.agents[-1].joined, self.agents[-1].builds = True, builds

    def violate(self, text: str) -> None:
        """Something happened that never should."""
        raise Violation(text)

    def run(self) -> Counter[str]:
        """Run to the end; answers the marks. Raises Violation, or whatever a core raises."""
        # In reality an eager transfer is one frame a piece; here, where it isn't, frames are free.
        frame_bytes = 10 if self._eager[0] <= self.chunk_bytes else 0
        eager = dict(
            zip(("eager_bytes_max", "eager_total_bytes_max"), self._eager, strict=True),
            eager_frame_bytes=frame_bytes,
        )
        with (
            patch.multiple(transfers, **eager),
            patch.multiple(
                commands,
                staging_bytes_max=self.staging_bytes_max,
            ),
            patch.dict(planner._PLANS, {session.Write: self._plan_write}),
            patch.object(movement, "brought_max", self._brought_max),
            patch.object(shapes, "shapes_max", self._shapes_max),
            patch.object(links, "told_bytes_min", self._told_bytes_min),
            patch.object(residency, "pieces_max", self._pieces_max),
            patch.object(residency, "pieces_by_device", 0 if self._pieces_max < 256 else 4),
            patch.object(commit, "steps_in_turn_max", 128 if self._brought_max == 64 else 2),
            patch.object(looked, "looked_at_in_turn_max", 2000 if self._brought_max == 64 else 1),
            patch.object(movement, "brought_by_part", 0 if self._brought_max < 64 else 3),
            patch.object(regions, "gap_bytes_max", self._gap_bytes_max),
        ):
            self._run()
        return self.marks

    def _plan_write(self, *arguments: Any) -> Plan:
        plan = commands.plan_write(*arguments)
        self.marks["same bytes again"] += plan.staged is None
        self.marks["same bytes elsewhere"] += any(s.kind is Kind.COPY for s in plan.steps)
        return plan

    def _run(self) -> None:
        for index in range(len(self._device_counts)):
            self.add_agent(f"node{index}")
        self.heap.run(0.1)
        faults.arm(self, list(self.schedule))
        if self.ticking:
            self._tick()
        malicious = any(f.kind == "malformed" for f in self.schedule)
        for number, program in enumerate(self.programs):
            self.clients.append(ClientShell(self, number, program, not malicious))
        while not all(c.finished or c.dead is not None for c in self.clients):
            if self.heap.now > VIRTUAL_S_MAX or self.heap.run(self.heap.now + 1.0):
                break
        self.ticking = False
        quiet = self.heap.run(self.heap.now + VIRTUAL_S_MAX)
        for client in self.clients:
            self._check_program(client)
        if not quiet:
            raise Violation("the cluster doesn't come to rest")
        self._check_leaks()
        for client in self.clients:
            if client.dead is None:
                client.leave()
        self.heap.run(self.heap.now + VIRTUAL_S_MAX)
        self._check_master()

    def _tick(self) -> None:
        if self.ticking:
            self.master.tick()
            self.heap.after(heartbeat_interval_s, self._tick)

    # ---- checks

    def _check_program(self, client: ClientShell) -> None:
        if client.dead is None and not client.finished:
            raise Violation(f"client {client.number} makes no progress: {client.stuck()}")
        complaints = client.complaints()
        if complaints:
            failed = {i: s for i, s in client.outcome.items() if s < 0}
            text = "; ".join(complaints)
            raise Violation(f"client {client.number}: {text}; statuses {failed}")
        if client.dead is not None and not self.schedule:
            raise Violation(f"client {client.number} lost its session: {client.dead}")

    def _check_leaks(self) -> None:
        """After all was released, nobody holds anything any more."""
        left: dict[str, Any] = {}
        for client in self.clients:
            if client.dead is None:
                core = client.core
                left[f"client {client.number}"] = {
                    **_left_in(core, "events _stagings staged_bytes _reads _pulls _outbox"),
                    **_transfers_left(core._outgoing, core._incoming),
                }
        for number, live in self.master.core.sessions.items():
            s = live.session
            left[f"session {number}"] = {
                **_left_in(s, "queues buffers programs commands"),
                **_left_in(s._reports, "_asked"),
                **_left_in(s._builds, "under_way"),
                **_left_in(s.ledger, "live transfers for_client for_nodes staged_bytes"),
                **_left_in(s.graph, "ready completed"),
            }
        ends = {
            number: {0, *(e.endpoint for e in live.executors.values())}
            for number, live in self.master.core.sessions.items()
        }
        for executor in self.executors:
            if not executor.dead:
                name = f"executor {executor.agent.name}/{executor.session}"
                core = executor.core
                records = core._outgoing._records.values()
                eager = {r.endpoint for r in records if r.state is Out.EAGER}
                for endpoint in eager - ends.get(executor.session, {0}):
                    # Executors aren't told of the end of others: this much stays until theirs.
                    core._outgoing.forget(endpoint)
                left[name] = {
                    **_left_in(core, "operations_count _sends _receives"),
                    **_transfers_left(core._outgoing, core._incoming),
                    **_left_in(executor.driver, "mapped programs"),
                }
                for device in executor.driver.devices.values():
                    left[f"{name} device {device.number}"] = _left_in(
                        device, "buffers snapshots active"
                    )
        found = {who: what for who, what in left.items() if what}
        if found:
            raise Violation(f"leaked: {found}")

    def _check_master(self) -> None:
        core = self.master.core
        if core.sessions:
            raise Violation(f"sessions are left: {sorted(core.sessions)}")
        roles = {c.role for c in core._connections.values()} - {"agent"}
        if roles:
            raise Violation(f"connections of sessions are left: {roles}")
        alive = [e for e in self.executors if not e.dead and not e.agent.silent]
        if alive:
            raise Violation(f"{len(alive)} executors still run")


def _left_in(thing: Any, names: str) -> dict[str, Any]:
    values = {name: getattr(thing, name) for name in names.split()}
    return {name: reprlib.repr(value) for name, value in values.items() if value}


def _transfers_left(outgoing: Any, incoming: Any) -> dict[str, Any]:
    left: dict[str, Any] = {}
    for end in (outgoing, incoming):
        for number, state in end.states().items():
            if state not in (Out.CANCELLED, In.CANCELLED):
                left[f"transfer {number}"] = state.value
    for side in (outgoing._eager_bytes, incoming._early_bytes):
        if any(side.values()):
            left["bytes"] = side
    return left
