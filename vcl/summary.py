"""What a program sees of its cluster as a whole: the answer of `vcl.cluster()`.

Owns: that answer and its printed forms. Must not know: how a session came to be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from vcl.text import counted
from vcl.wire.messages.handshake import RemoteDevice


@dataclass(frozen=True)
class NodeSummary:
    """A node of the cluster.

    - name: as its agent gave it.
    - devices: the names of its OpenCL devices.
    """

    name: str
    devices: tuple[str, ...]


@dataclass(frozen=True)
class ClusterSummary:
    """Where this process computes.

    - url: of the master.
    - embedded: whether it is this host's own, gone with the program.
    - nodes: by name, as they were when the session began.
    """

    url: str
    embedded: bool
    nodes: tuple[NodeSummary, ...]

    @classmethod
    def of(cls, url: str, embedded: bool, devices: Sequence[RemoteDevice]) -> ClusterSummary:
        """From a session's devices."""
        names: dict[str, list[str]] = {}
        for device in devices:
            names.setdefault(device.node_name, []).append(device.description.info["NAME"])
        nodes = (NodeSummary(name, tuple(own)) for name, own in sorted(names.items()))
        return cls(url, embedded, tuple(nodes))

    def _head(self) -> str:
        kind = "embedded cluster" if self.embedded else "cluster"
        return f"{kind} at {self.url}, {counted(len(self.nodes), 'node')}"

    def __repr__(self) -> str:
        """For people, as a prompt shows it."""
        lines = [f"  {node.name}: {', '.join(node.devices)}" for node in self.nodes]
        return "\n".join([f"<{self._head()}>", *lines])

    def _repr_html_(self) -> str:
        """For notebooks."""
        rows = "".join(
            f"<tr><td>{escape(node.name)}</td><td>{escape(', '.join(node.devices))}</td></tr>"
            for node in self.nodes
        )
        head = "<tr><th>node</th><th>devices</th></tr>"
        return f"<table><caption>{escape(self._head())}</caption>{head}{rows}</table>"
