"""The agents that are connected and the devices that they offer.

Owns: numbers of nodes and devices, and what placement needs to know of a device. Must not know:
sessions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from master.places import Place
from vcl.wire.messages.handshake import DeviceDescription, Hello, RemoteDevice

_KIND = ("ADDRESS_BITS", "ENDIAN_LITTLE", "EXTENSIONS", "OPENCL_C_VERSION", "VERSION")


@dataclass(slots=True)
class Node:
    """One incarnation of an agent. heard: when it last said something, in seconds."""

    id: int
    name: str
    host: str
    incarnation: str
    connection: int
    heard: float
    devices: list[int] = field(default_factory=list)


class Nodes:
    """The register of nodes and devices."""

    def __init__(self) -> None:
        self.by_id: dict[int, Node] = {}
        """Connected nodes."""
        self._places: dict[int, Place] = {}
        self._descriptions: dict[int, DeviceDescription] = {}
        self._last_node = 0
        self._last_device = 0

    def add(self, hello: Hello, connection: int, now: float) -> Node:
        """Register an agent and its devices."""
        self._last_node += 1
        name = hello.name or f"node{self._last_node}"
        node = Node(self._last_node, name, hello.host, hello.incarnation, connection, now)
        for description in hello.devices:
            self._last_device += 1
            device = self._last_device
            node.devices.append(device)
            self._descriptions[device] = description
            info = description.info
            self._places[device] = Place(
                device,
                node.id,
                _text(info.get("NAME")),
                name,
                _number(info.get("MAX_WORK_GROUP_SIZE"), 1),
                _sizes(info.get("MAX_WORK_ITEM_SIZES")),
                tuple(str(info.get(name)) for name in _KIND),
            )
        self.by_id[node.id] = node
        return node

    def remove(self, node: Node) -> None:
        """Forget an agent that is gone; its numbers don't come again."""
        del self.by_id[node.id]
        for device in node.devices:
            del self._places[device]
            del self._descriptions[device]

    def named(self, name: str) -> Node | None:
        """The connected node of that name."""
        return next((n for n in self.by_id.values() if n.name == name), None)

    def places(self, devices: Sequence[int]) -> list[Place]:
        """Of these devices, the ones connected now, in the given order."""
        return [self._places[d] for d in devices if d in self._places]

    def remote_devices(self) -> list[RemoteDevice]:
        """All devices as clients see them, by the names of their nodes."""
        return [
            RemoteDevice(
                device=place.device,
                node=place.node,
                node_name=place.node_name,
                description=self._descriptions[place.device],
            )
            for place in sorted(self._places.values(), key=lambda p: (p.node_name, p.device))
        ]


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else "unnamed device"


def _number(value: Any, default: int) -> int:
    return value if type(value) is int and value > 0 else default


def _sizes(value: Any) -> tuple[int, ...]:
    if isinstance(value, list) and len(value) >= 3 and all(type(v) is int for v in value):
        return tuple(value)
    return (1, 1, 1)
