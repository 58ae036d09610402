"""Devices that join a session under way: its contexts on the cluster device get them, too.

Owns: which are on trial, and their builds; which have joined. Must not know: what a device is
(`likeness`), or why one came.

A device that joins shall harm nobody. So its node first makes every program that the contexts on
the cluster device have, of which there must be one; only when all have the kernels that are known
of the others do launches run there, and by then its executor is up, too. Until then, and if that
goes wrong, the session computes where it did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from master.builds import Builds, build_message, check_kernels, facts_of
from master.checks import context_devices_max
from master.ledger import Ledger
from master.objects import Context, Program
from vcl.wire.messages import part


@dataclass(slots=True)
class Trial:
    """Of one node's devices. programs: that it makes, by request. failed: why it isn't taken."""

    devices: list[int]
    programs: dict[int, Program] = field(default_factory=dict)
    failed: str | None = None


class Joining:
    """The trials of one session, and the devices that have joined it.

    contexts, programs: the session's, by id.
    """

    def __init__(
        self,
        ledger: Ledger,
        builds: Builds,
        contexts: Mapping[int, Context],
        programs: Mapping[int, Program],
    ) -> None:
        self.joined: dict[int, list[int]] = {}
        """Devices that new contexts on the cluster device get, too, by node."""
        self.declined: list[tuple[int, str]] = []
        """Nodes that weren't taken since the owner last took these, and why."""
        self.let_go: list[Program] = []
        """Programs that aren't on trial any more, since then: `users` counts trials."""
        self._ledger = ledger
        self._builds = builds
        self._contexts = contexts
        self._programs = programs
        self._trials: dict[int, Trial] = {}

    def offer(self, node: int, devices: Sequence[int]) -> None:
        """A node has come with devices like those that the session knows; `go_on` tries them."""
        self._trials[node] = Trial(list(devices))

    def answered(self, node: int, message: part.BuildDone) -> bool:
        """Whether it's the end of a build of a trial; if so, it's taken in.

        Raises RemoteProtocolError for what no honest node says.
        """
        trial = self._trials.get(node)
        if trial is None or message.request not in trial.programs:
            return False
        check_kernels(message)
        program = trial.programs.pop(message.request)
        trial.failed = trial.failed or _why_unlike(program, message)
        self._let_go(program)
        if trial.failed is not None and not trial.programs:
            del self._trials[node]
            self.declined.append((node, trial.failed))
        return True

    def executor_lost(self, node: int) -> None:
        """It's gone with what it made. The devices that have joined may have another."""
        trial = self._trials.pop(node, None)
        for program in () if trial is None else trial.programs.values():
            self._let_go(program)

    def node_gone(self, node: int) -> None:
        """Its devices aren't there any more; should they come again, they are offered again.

        If it had an executor, as with all that make programs, `executor_lost` follows.
        """
        trial = self._trials.get(node)
        if trial is not None:
            trial.failed = "it's gone"
            if not trial.programs:
                del self._trials[node]
        gone = self.joined.pop(node, ())
        for context in self._split_contexts() if gone else ():
            context.devices[:] = [d for d in context.devices if d not in gone]

    def go_on(self) -> bool:
        """A node was offered, builds have ended, or there are others: try what is to be tried, and
        take who has passed. Answers whether contexts have more devices."""
        more = False
        for node, trial in list(self._trials.items()):
            if trial.programs:
                continue
            programs = [p for p in self._programs.values() if p.context.split and p.kernels]
            for program in programs:
                if not program.released and node not in program.nodes:
                    self._try(node, trial, program)
            under_way = any(b.program.context.split for b in self._builds.under_way.values())
            if programs and not trial.programs and not under_way:
                del self._trials[node]
                self._take(node, trial.devices)
                more = True
        return more

    def _try(self, node: int, trial: Trial, program: Program) -> None:
        request = self._builds.own_request()
        trial.programs[request] = program
        program.nodes.add(node)
        program.users += 1  # a node that is told to forget it while it makes it would keep it
        self._ledger.for_nodes[node].append(build_message(program, request, trial.devices))

    def _let_go(self, program: Program) -> None:
        program.users -= 1
        self.let_go.append(program)

    def _take(self, node: int, devices: list[int]) -> None:
        self.joined[node] = devices
        for context in self._split_contexts():
            room = context_devices_max - len(context.devices)
            context.devices += [d for d in devices if d not in context.devices][:room]

    def _split_contexts(self) -> list[Context]:
        return [context for context in self._contexts.values() if context.split]


def _why_unlike(program: Program, message: part.BuildDone) -> str | None:
    """Why a build isn't what the others have; None if it is."""
    if message.status < 0:
        return f"it can't build a program that others have built: {message.message}"
    known, found = program.kernels, facts_of(message.kernels)
    if known.keys() != found.keys():
        return "it sees other kernels in a program"
    for name, facts in found.items():
        if facts.arguments != known[name].arguments:
            return f"it sees other arguments of kernel {name}"
        if facts.group_items_max < known[name].group_items_max:
            return f"it takes fewer work-items in a work-group of kernel {name}"
    return None
