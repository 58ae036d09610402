"""Builds of programs on the nodes of a context, answered to the client as one.

Owns: which nodes still have to answer, waiting for the guard, and the joint answer. Must not know:
what a program is used for afterwards, or how it is judged.

The guard reads while the nodes build. A build that went well is answered when it has its verdict,
for a launch needs one; one that failed needs none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from master.access.programs import Judgement
from master.ledger import Ledger
from master.objects import ArgumentFacts, Building, KernelFacts, Program
from master.places import NONE_CONNECTED, Place
from vcl.errors import BUILD_PROGRAM_FAILURE, DEVICE_NOT_AVAILABLE, RemoteProtocolError
from vcl.text import clipped
from vcl.wire.messages import part, session

logs_length_max = 2**20
"""Characters of a build's logs together, and of its message; what follows is cut off, for the
answer must stay below the longest message."""

ARGUMENT_CONST = 1
"""Bit of an argument's type qualifier: it points to const (OpenCL 3.0 API, 5.9.3)."""

READ_ONLY = 0x11A0
"""CL_KERNEL_ARG_ACCESS_READ_ONLY: of images alone."""


def build_message(
    program: Program, request: int, devices: list[int], cause: int = 0
) -> part.Build:
    """What tells a node to make a program. cause: the command for which it is made anew."""
    return part.Build(
        program.id, request, devices, program.step, program.units, program.link_options, cause
    )


def check_kernels(message: part.BuildDone) -> None:
    """Raise RemoteProtocolError for kernels of which no device knows anything."""
    if not all(groups for _, groups, _ in message.kernels):
        raise RemoteProtocolError("a kernel without a device in BuildDone")


def facts_of(kernels: list[list[Any]]) -> dict[str, KernelFacts]:
    """What a launch needs to know of kernels, by name. kernels: as BuildDone has them."""
    return {
        name: KernelFacts(
            name,
            [
                ArgumentFacts(a[0], a[1], bool(a[3] & ARGUMENT_CONST), a[2] == READ_ONLY)
                for a in arguments
            ],
            min(group[0] for _, group in groups),
        )
        for name, groups, arguments in kernels
    }


class Builds:
    """The builds of one session that aren't answered yet."""

    def __init__(
        self,
        ledger: Ledger,
        places: Callable[[Sequence[int]], list[Place]],
        why_none: Callable[[Sequence[int]], str] = lambda devices: NONE_CONNECTED,
    ) -> None:
        self._ledger = ledger
        self._places = places
        self._why_none = why_none
        self.under_way: dict[int, Building] = {}
        """By request number, which the client never uses twice."""
        self.variants: list[tuple[Program, str]] = []
        """Variants that were built since the owner last took them, with why they weren't or ""."""
        self._variants: dict[int, Building] = {}  # by request
        self._last_own_request = 0

    def own_request(self) -> int:
        """A number for a build of which the client isn't told: below 0, unlike the client's."""
        self._last_own_request -= 1
        return self._last_own_request

    def start(self, program: Program, request: int) -> None:
        """Ask every node of the program's context to build.

        Raises RemoteProtocolError for a request whose answer couldn't be told from another's.
        """
        if request <= 0 or request in self.under_way:
            raise RemoteProtocolError(f"{request} can't be the number of a new request")
        by_node: dict[int, list[int]] = {}
        for place in self._places(program.context.devices):
            by_node.setdefault(place.node, []).append(place.device)
        building = Building(program, request, set(by_node), log_room=logs_length_max)
        self.under_way[request] = building
        self._ledger.for_guard.append((request, program.units))
        for node, devices in by_node.items():
            program.nodes.add(node)
            self._ledger.for_nodes[node].append(build_message(program, request, devices))
        if not by_node:
            building.status = DEVICE_NOT_AVAILABLE
            building.message = self._why_none(program.context.devices)
            self._finish_if_complete(building)

    def start_variant(self, variant: Program) -> None:
        """Have every node of its context build a variant, of which the client isn't told."""
        request = self.own_request()
        by_node: dict[int, list[int]] = {}
        places = self._places(variant.context.devices)
        for place in places:
            if place.kind == places[0].kind:  # on others no part of a launch runs
                by_node.setdefault(place.node, []).append(place.device)
        building = self._variants[request] = Building(variant, request, set(by_node))
        for node, devices in by_node.items():
            variant.nodes.add(node)
            message = build_message(variant, request, devices, cause=-variant.id)
            self._ledger.for_nodes[node].append(message)
        self._finish_variant(building)

    def _variant_answered(self, node: int, message: part.BuildDone) -> None:
        building = self._variants.get(message.request)
        if building is None or node not in building.waiting:
            raise RemoteProtocolError(f"build {message.request} isn't under way on this node")
        building.waiting.discard(node)
        if message.status < 0:
            building.message = building.message or "it can't be built once it is rewritten"
        self._finish_variant(building)

    def _finish_variant(self, building: Building) -> None:
        if not building.waiting:
            del self._variants[building.request]
            self.variants.append((building.program, building.message))

    def answered(self, node: int, message: part.BuildDone) -> None:
        """A node built, or failed to. Request 0 is a build that nobody waits for."""
        if message.request == 0:
            return
        if message.request < 0:
            self._variant_answered(node, message)
            return
        building = self.under_way.get(message.request)
        if building is None or node not in building.waiting:
            raise RemoteProtocolError(f"build {message.request} isn't under way on this node")
        check_kernels(message)
        building.waiting.discard(node)
        for device, status, log in message.logs:
            cut = clipped(log, building.log_room)
            building.logs.append([device, status, cut])
            building.log_room = max(0, building.log_room - len(cut))
        if message.status < 0:
            if building.status == 0:
                names = {p.node_name for p in self._places(building.program.context.devices)
                         if p.node == node}
                where = f"on node {', '.join(names)}: " if names else ""
                text = clipped(message.message, logs_length_max)
                building.status, building.message = message.status, where + text
        else:
            self._join(building, message)
        self._finish_if_complete(building)

    def judged(self, request: int, judgement: Judgement) -> None:
        """The guard's verdict; dropped if the build has failed meanwhile."""
        building = self.under_way.get(request)
        if building is not None:
            program = building.program
            program.verdict, program.keeps_const, program.kernel_reasons = judgement
            self._expect_launches(building)
            self._finish_if_complete(building)

    def _expect_launches(self, building: Building) -> None:
        """Have a program read ahead whose launches may run in parts.

        Whatever the guard says: a launch of what may not run in parts asks for a variant of it.
        """
        program = building.program
        if not program.context.split or building.status < 0:
            return
        places = self._places(program.context.devices)
        alike = [p for p in places if p.kind == places[0].kind]
        device = alike[0].device_answers if len(alike) > 1 else None
        if device is not None and len(program.units) == 1 and program.units[0][0]:
            self._ledger.for_reading.append((program.units, device))

    def _join(self, building: Building, message: part.BuildDone) -> None:
        """Kernels must be the same on all nodes; their per-device facts are gathered."""
        if not building.kernels:
            building.kernels = [[name, list(d), a] for name, d, a in message.kernels]
            return
        ours = {k[0]: k for k in building.kernels}
        if set(ours) != {k[0] for k in message.kernels}:
            building.status = BUILD_PROGRAM_FAILURE
            building.message = "the devices of the context see different kernels in the program"
            return
        for name, devices, _ in message.kernels:
            ours[name][1].extend(devices)

    def node_lost(self, node: int, reason: str) -> None:
        """A node won't answer any more."""
        for variant in list(self._variants.values()):
            if node in variant.waiting:
                variant.waiting.discard(node)
                self._finish_variant(variant)
        for building in list(self.under_way.values()):
            if node in building.waiting:
                building.waiting.discard(node)
                if not building.waiting and not building.kernels and building.status == 0:
                    building.status, building.message = DEVICE_NOT_AVAILABLE, reason
                self._finish_if_complete(building)

    def _finish_if_complete(self, building: Building) -> None:
        if building.waiting or (building.status == 0 and building.program.verdict is None):
            return
        del self.under_way[building.request]
        if building.status == 0:
            building.program.kernels = facts_of(building.kernels)
        self._ledger.for_client.append(
            session.Built(
                building.request,
                building.status,
                building.message,
                session.clipped_logs(building.logs),
                building.kernels if building.status == 0 else [],
            )
        )
