"""What runs on the cluster now: the answer to AskStatus.

Owns: gathering it. Must not know: connections, or how it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from master.connections import Live
from master.nodes import Nodes
from vcl.text import plain


def status(
    nodes: Nodes, sessions: Mapping[int, Live], now: float
) -> tuple[list[list[Any]], list[list[Any]]]:
    """The rows of nodes, by name, and of sessions, in the order in which they began, as
    session.ClusterStatus has them."""
    serving: dict[int, int] = {}
    for live in sessions.values():
        for node in live.executors:
            serving[node] = serving.get(node, 0) + 1
    node_rows = [
        [plain(node.name), nodes.device_names(node), serving.get(node.id, 0), *node.load]
        for node in sorted(nodes.by_id.values(), key=lambda node: node.name)
    ]
    session_rows = [
        [
            number, live.program, live.user, max(0, int(now - live.began)),
            live.session.unfinished,
            sorted(plain(executor.node_name) for executor in live.executors.values()),
        ]
        for number, live in sessions.items()
    ]  # fmt: skip
    return node_rows, session_rows
