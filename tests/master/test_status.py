"""What the master says of who runs what."""

from __future__ import annotations

from tests.master.rigs import MasterRig
from vcl.wire.messages.node import Heartbeat
from vcl.wire.messages.session import (
    AskStatus,
    ClusterStatus,
    CreateBuffer,
    CreateContext,
    CreateQueue,
    Fill,
)


def asked(m: MasterRig, client: int) -> ClusterStatus:
    m.say(client, AskStatus(99))
    return [x for x in m.sent(client) if isinstance(x, ClusterStatus)][-1]


def test_nodes_and_who_uses_them() -> None:
    m = MasterRig()
    second, first = m.agent("b", devices=2), m.agent("a")
    client = m.open("client", name="app.py", host="me@laptop")
    other = m.open("client")
    m.say(client, CreateContext(1, [1], True), CreateBuffer(9, 1, 64), CreateQueue(2, 1, 1, 0))
    m.say(client, Fill(20, 2, [], 9, 0, 64, b"x"))
    m.join(m.asked(second))
    m.say(first, Heartbeat(0, 50, 3, 4))
    m.tick(12.5)
    found = asked(m, other)
    assert [(name, len(devices), *rest) for name, devices, *rest in found.nodes] == [
        ("a", 1, 0, 50, 3, 4), ("b", 2, 1, 0, 0, 0),
    ]  # fmt: skip
    assert found.sessions == [[1, "app.py", "me@laptop", 12, 1, ["b"]], [2, "", "", 12, 0, []]]
    m.close(client)
    m.close(first)
    found = asked(m, other)
    assert [row[0] for row in found.sessions] == [2] and [row[0] for row in found.nodes] == ["b"]


def test_names_can_not_send_a_terminal_what_it_obeys() -> None:
    m = MasterRig()
    client = m.open("client", name="\x1b[2J", host="a\nb")
    ((_, program, user, *_),) = asked(m, client).sessions
    assert (program, user) == ("\\x1b[2J", "a\\nb")
