"""Direct links at the master: who is told of whom, what is logged, who is given up."""

from __future__ import annotations

import pytest

from master.effects import Log
from tests.master.rigs import MasterRig
from tests.master.test_core import begin, events, fill
from vcl.wire.direct import Way
from vcl.wire.messages import session
from vcl.wire.messages.direct import ExpectLink, Linked, Listening, OpenLink

RELAY, SHARED = int(Way.RELAY), int(Way.SHARED_MEMORY)
"""As they travel."""


def linked() -> tuple[MasterRig, int, int, OpenLink]:
    """A rig, its client and an executor on node a, between which there was a transfer."""
    m = MasterRig()
    agent, client = m.agent("a"), begin(m)
    m.say(client, fill(20), session.Read(21, 2, [], 10, 0, 64))
    control, _ = m.join(m.asked(agent))
    m.say(control, Listening(["unix:a"]))
    (dial,) = [x for x in m.sent(client) if isinstance(x, OpenLink)]
    (expect,) = [x for x in m.sent(control) if isinstance(x, ExpectLink)]
    assert (dial.addresses, dial.ticket, dial.answer) == (["unix:a"], expect.ticket, expect.answer)
    assert (dial.endpoint, expect.endpoint) == (1, 0)
    return m, client, control, dial


def logs(m: MasterRig) -> list[str]:
    return [effect.text for effect in m.effects if isinstance(effect, Log)]


def test_why_there_is_no_link_is_logged_once() -> None:
    m, client, _, _ = linked()
    m.say(client, Linked(1, RELAY, "unix:a: \x1b[31mrefused"))
    (text,) = logs(m)
    assert text.startswith("session 1: data between its program and node a goes through the master")
    assert "refused" in text and "\x1b" not in text
    m.say(client, Linked(1, RELAY, "again"))
    assert logs(m) == []


def test_a_link_that_breaks_costs_the_executor_a_second_later() -> None:
    m, client, control, _ = linked()
    m.say(client, Linked(1, SHARED, ""))
    m.say(client, Linked(1, RELAY, "the direct link broke: it was cut"))
    assert m.closed() == {} and events(m, client) == []
    m.wake()
    assert control in m.closed()
    assert "node a is gone: the direct link broke: it was cut" in logs(m)[0]


def test_a_link_that_breaks_with_its_executor_says_how_that_ended() -> None:
    m, client, control, _ = linked()
    m.say(client, Linked(1, SHARED, ""))
    m.say(client, Linked(1, RELAY, "the other end is gone"))
    m.close(control, "no close handshake")
    assert m.closed() == {}, "its agent may still say more"


def test_a_client_that_asks_for_a_way_has_it_opened() -> None:
    m = MasterRig()
    agent, client = m.agent("a"), begin(m)
    m.say(client, fill(20), session.AskWay(21, 0, 1))
    control, _ = m.join(m.asked(agent))
    m.say(control, Listening(["unix:a"]))
    assert [x for x in m.sent(client) if isinstance(x, OpenLink)], "nothing was transferred"

    def way(request: int, device: int = 1) -> list[session.WayFound]:
        m.say(client, session.AskWay(request, device, 0))
        return [x for x in m.sent(client) if isinstance(x, session.WayFound)]

    assert way(22) == [], "it is being opened"
    m.say(client, Linked(1, RELAY, "\x1b[31mrefused"))
    (found,) = [x for x in m.sent(client) if isinstance(x, session.WayFound)]
    assert (found.request, found.way) == (22, RELAY)
    assert "refused" in found.message and "\x1b" not in found.message
    assert [x.message for x in way(23)] == [found.message], "which is known by now"
    assert way(24, 9) == [session.WayFound(24, RELAY, "the node isn't connected")]


def test_a_way_that_is_asked_for_while_its_node_goes() -> None:
    m = MasterRig()
    agent, client = m.agent("a"), begin(m)
    m.say(client, fill(20), session.Read(21, 2, [], 10, 0, 64))
    control, _ = m.join(m.asked(agent))
    m.say(control, Listening(["unix:a"]))
    m.say(client, session.AskWay(22, 0, 1))
    assert not [x for x in m.sent(client) if isinstance(x, session.WayFound)]
    m.close(agent, "it is gone")
    (found,) = [x for x in m.sent(client) if isinstance(x, session.WayFound)]
    assert found.way == RELAY and "an end is gone" in found.message


def test_ways_are_not_asked_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("master.direct.ways_asked_max", 2)
    m, client, _, _ = linked()
    for request in range(22, 25):
        assert client not in m.closed()
        m.say(client, session.AskWay(request, 0, 1))
    assert client in m.closed()


def test_the_way_by_a_link() -> None:
    m, client, _, _ = linked()
    m.say(client, Linked(1, SHARED, ""), session.AskWay(22, 0, 1))
    (found,) = [x for x in m.sent(client) if isinstance(x, session.WayFound)]
    assert found == session.WayFound(22, SHARED, "")


def test_a_way_from_an_end_to_itself() -> None:
    m, client, _, _ = linked()
    m.say(client, session.AskWay(22, 1, 1))
    assert client in m.closed()
