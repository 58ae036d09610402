"""By which way bulk goes between the program and each node, and between nodes.

Owns: bringing the links about, asking the master for them, and the words for people. Must not
know: how links are opened (`master.direct`), or how the answer is printed.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

from vcl.report import WAYS
from vcl.wire.direct import Way
from vcl.wire.messages import session
from vcl.wire.messages.handshake import RemoteDevice

PROGRAM = "the program"

nodes_paired_max = 16
"""Nodes between which ways are asked for, which opens links between all of them."""


class Found(NamedTuple):
    """between: PROGRAM or the name of a node, and the name of another. reason: why not better; ""
    if the bytes don't go through the master."""

    between: tuple[str, str]
    way: str
    reason: str


def gather(platform: Any) -> list[Found]:
    """The ways of a session, those of the program first; with more nodes than `nodes_paired_max`
    only these. Raises OperatingError or pyopencl's errors if the
    session ends meanwhile."""
    first: dict[int, Any] = {}  # a device of each node
    for device in platform.get_devices()[1:]:
        first.setdefault(device._remote.node, device)
    failures = _started(list(first.values()))
    ends = [(0, PROGRAM)]
    found = []
    for device in first.values():
        remote: RemoteDevice = device._remote
        if remote.device in failures:
            found.append(Found((PROGRAM, remote.node_name), "not known", failures[remote.device]))
        else:
            ends.append((remote.device, remote.node_name))
    pairs = list(itertools.combinations(ends, 2))
    if len(ends) > nodes_paired_max + 1:
        pairs = pairs[: len(ends) - 1]
    return _asked(platform._runtime, pairs) + found


def _started(devices: Sequence[Any]) -> dict[int, str]:
    """Have an executor on the node of each device, which says where it takes links before it does
    anything; answers why there is none, by device."""
    import vcl as cl

    failures = {}
    context = cl.Context(devices)
    queues = [cl.CommandQueue(context, device) for device in devices]
    for queue in queues:
        buffer = cl.Buffer(context, cl.mem_flags.READ_WRITE, 4)
        cl.enqueue_fill_buffer(queue, buffer, b"\0", 0, 4)
        queue.flush()
    for queue in queues:
        try:
            queue.finish()
        except cl.Error as error:
            device: Any = queue.device  # pyopencl's type has no remote one
            failures[device._remote.device] = " ".join(str(error).split())
    return failures


def _asked(runtime: Any, pairs: Sequence[Any]) -> list[Found]:
    """What the master says of pairs of (device, name), once no link is being opened."""
    questions = [session.AskWay(runtime.new_id(), one, other) for (one, _), (other, _) in pairs]
    return [
        Found((name, other_name), WAYS[Way(answer.way)], answer.message)
        for ((_, name), (_, other_name)), answer in zip(
            pairs, runtime.ask_all(questions), strict=True
        )
    ]
