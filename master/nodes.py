"""The agents that are connected and the devices that they offer.

Owns: numbers of nodes and devices, what placement needs to know of a device, and which nodes are
left out because their executors don't start. Must not know: sessions.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from master.likeness import Model, Models, model_of
from master.places import KIND, NONE_CONNECTED, Place
from master.quarantine import Quarantine
from vcl.numbering import Numbering
from vcl.text import plain
from vcl.wire.messages.handshake import DeviceDescription, Hello, RemoteDevice


@dataclass(slots=True)
class Node:
    """One incarnation of an agent.

    heard: when it last said something, in seconds. devices: index in the agent's inventory by
    number. left_out: what is wrong with the others. load: of its host, as Heartbeat has it.
    numbering: of its connection.
    """

    id: int
    name: str
    host: str
    incarnation: str
    connection: int
    heard: float
    devices: dict[int, int] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    load: tuple[int, int, int] = (0, 0, 0)
    quarantine: Quarantine = field(default_factory=Quarantine)
    numbering: Numbering = field(default_factory=Numbering)


_COUNTS = ("MAX_WORK_GROUP_SIZE", "MAX_COMPUTE_UNITS", "MAX_MEM_ALLOC_SIZE", "GLOBAL_MEM_SIZE")


def why_unusable(info: Mapping[str, Any]) -> str | None:
    """Why nobody could work with a device that describes itself so, or None."""
    for name in ("NAME", "EXTENSIONS"):
        if type(info.get(name)) is not str:
            return f"its {name} isn't known"
    for name in (*_COUNTS, "TYPE", "MEM_BASE_ADDR_ALIGN"):
        if type(info.get(name)) is not int or info[name] <= 0:
            return f"its {name} isn't known"
    sizes = info.get("MAX_WORK_ITEM_SIZES")
    if type(sizes) is not list or len(sizes) < 3:
        return "its MAX_WORK_ITEM_SIZES aren't known"
    if not all(type(s) is int and s > 0 for s in sizes):
        return "its MAX_WORK_ITEM_SIZES aren't known"
    return None


gone_kept_max = 4096
"""Devices of nodes that are gone that are known again, and of which it's known how they went."""


class Nodes:
    """The register of nodes and devices."""

    def __init__(self) -> None:
        self.by_id: dict[int, Node] = {}
        """Connected nodes."""
        self._named: dict[str, dict[int, Node]] = {}  # two of a name if one had none
        self._places: dict[int, Place] = {}
        self._descriptions: dict[int, DeviceDescription] = {}
        self._models: dict[int, Model] = {}
        self._gone: dict[int, tuple[str, bytes]] = {}
        """How a device's node went, and by what the device is known again; the last to go last."""
        self._returning: dict[bytes, int] = {}
        self._last_node = 0
        self._last_device = 0

    def add(self, hello: Hello, connection: int, now: float) -> Node:
        """Register an agent and its devices.

        A device that was here before, and is what it was, has the number that it had: sessions
        that know it go on using it. The node is another, as nothing of the old one is left.
        """
        self._last_node += 1
        name = hello.name or f"node{self._last_node}"
        node = Node(self._last_node, name, hello.host, hello.incarnation, connection, now)
        for index, description in enumerate(hello.devices):
            info = description.info
            why = why_unusable(info)
            if why is not None:
                node.left_out.append(f"device {index}: {why}")
                continue
            model = model_of(description)
            device = self._number(model.known_by(name, index))
            self._models[device] = model
            node.devices[device] = index
            self._descriptions[device] = description
            self._places[device] = Place(
                device,
                node.id,
                plain(info["NAME"].strip()),
                name,
                info["MAX_WORK_GROUP_SIZE"],
                tuple(info["MAX_WORK_ITEM_SIZES"]),
                tuple(str(info.get(name)) for name in KIND),
            )
        self.by_id[node.id] = node
        self._named.setdefault(name, {})[node.id] = node
        return node

    def _number(self, mark: bytes) -> int:
        device = self._returning.pop(mark, None)
        if device is None:
            self._last_device += 1
            return self._last_device
        del self._gone[device]
        return device

    def remove(self, node: Node, reason: str) -> None:
        """Forget an agent that is gone, but for how, and for which devices it had."""
        del self.by_id[node.id]
        twins = self._named[node.name]
        del twins[node.id]
        if not twins:
            del self._named[node.name]
        for device, index in node.devices.items():
            del self._places[device], self._descriptions[device]
            mark = self._models.pop(device).known_by(node.name, index)
            twin = self._returning.get(mark)  # of an agent that was given the other's name
            if twin is not None:
                del self._gone[twin]
            self._gone[device] = reason, mark
            self._returning[mark] = device
        while len(self._gone) > gone_kept_max:
            _, mark = self._gone.pop(next(iter(self._gone)))
            del self._returning[mark]

    def models(self, devices: Iterable[int]) -> Models:
        """Of devices that are connected."""
        return Models(self._models[device] for device in devices)

    def like(self, node: Node, known: Models) -> list[int]:
        """The devices of a node that are one more of models that are known."""
        return [device for device in node.devices if known.have(self._models[device])]

    def device_names(self, node: Node) -> list[str]:
        """The names of its devices, in its own order."""
        return [self._places[device].device_name for device in node.devices]

    def named(self, name: str) -> Node | None:
        """The connected node of that name; the first of two."""
        return next(iter(self._named.get(name, {}).values()), None)

    def places(self, devices: Sequence[int], serving: Container[int] = ()) -> list[Place]:
        """Of these devices, the ones that can be used now, in the given order.

        serving: nodes that aren't left out whatever else is known of them, because an executor
        of who asks runs there.
        """
        found = [self._places[d] for d in devices if d in self._places]
        return [p for p in found if p.node in serving or self._left_out(p.node) is None]

    def why_none(self, devices: Sequence[int]) -> str:
        """Why none of these devices can be used now, and what to do."""
        found = [self.by_id[self._places[d].node] for d in devices if d in self._places]
        out = {n.name: n.quarantine.why for n in found if n.quarantine.why is not None}
        if not out:
            gone = dict.fromkeys(self._gone[d][0] for d in devices if d in self._gone)
            return ": ".join([NONE_CONNECTED, *filter(None, ["; ".join(gone)])])
        return "; ".join(
            f"node {name} is left out for a while because executors don't start there ({why}): "
            "look at the log of its vcl-agent, and restart that once it is mended"
            for name, why in out.items()
        )

    def _left_out(self, node: int) -> str | None:
        return self.by_id[node].quarantine.why

    def start_failed(self, node: Node, why: str, now: float) -> str | None:
        """An executor didn't start on a node; answers the news if it is left out from now on."""
        length_s = node.quarantine.start_failed(why, now)
        if length_s is None:
            return None
        return (
            f"node {node.name} is left out for {length_s:g} s, because executors don't start "
            "there: look at the log of its vcl-agent, and restart that once it is mended"
        )

    def let_in(self, now: float) -> list[str]:
        """Let in the nodes that were left out long enough; answers their names."""
        return [n.name for n in self.by_id.values() if n.quarantine.over(now)]

    def remote_devices(self) -> list[RemoteDevice]:
        """All usable devices as clients see them, by the names of their nodes."""
        return [
            RemoteDevice(
                device=place.device,
                node=place.node,
                node_name=place.node_name,
                description=self._descriptions[place.device],
            )
            for place in sorted(self._places.values(), key=lambda p: (p.node_name, p.device))
            if self._left_out(place.node) is None
        ]
