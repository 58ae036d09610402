"""Devices as planning sees them, and which of them a queue's commands may use.

Owns: `Place`, `Candidates` and the choice of the nearest. Must not know: who is connected
(`nodes`), or what runs where.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from master.plan.residency import Buffer

NONE_CONNECTED = (
    "no device of the context is connected any more; start the agent again (under the same name: "
    "then this program can use it, too)"
)


KIND = ("ADDRESS_BITS", "ENDIAN_LITTLE", "EXTENSIONS", "OPENCL_C_VERSION", "VERSION")
"""What of a device a source can ask for: its answers to these are its kind."""


class PlanFailed(Exception):
    """A command can't be planned; code is an OpenCL status."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class PlanPaused(Exception):
    """A command has much to bring: some of it is planned, the rest is when it is planned again."""


@dataclass(frozen=True, slots=True)
class Place:
    """A device that a session may use now.

    kind: its answers to KIND, as text, or nothing;
    parts of one launch run on devices of one kind.
    """

    device: int
    node: int
    device_name: str
    node_name: str
    group_items_max: int
    item_sizes_max: tuple[int, ...]
    kind: tuple[object, ...] = ()

    @property
    def device_answers(self) -> dict[str, str] | None:
        """What a source can ask this device for; None if it has left some of it unsaid."""
        if len(self.kind) < len(KIND) or self.kind[0] not in ("32", "64") or "None" in self.kind:
            return None
        return dict(zip(KIND, map(str, self.kind), strict=True))


class Candidates:
    """Where the commands of a queue may run. Kept, as a cluster has many devices.

    alike: those of the first one's kind: unlike devices may compile a source to something else.
    """

    def __init__(self, places: list[Place]) -> None:
        self.places = places
        self.alike = [p for p in places if p.kind == places[0].kind]
        self._order = {p.device: i for i, p in enumerate(places)}

    def nearest(self, regions: Sequence[tuple[Buffer, int, int]]) -> Place:
        """The place that holds most bytes of the regions; the first of equals."""
        if len(self.places) == 1:
            return self.places[0]  # however many others hold them
        held: defaultdict[int, int] = defaultdict(int)
        for buffer, start, end in regions:
            for device, count in buffer.bytes_on(start, end).items():
                held[device] += count
        order = self._order
        holders = [(-n, order[d]) for d, n in held.items() if n and d in order]
        return self.places[min(holders, default=(0, 0))[1]]
