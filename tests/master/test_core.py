"""The master core: who gets in, whose messages go where, and what ends with what."""

from __future__ import annotations

from typing import Any

import pytest

from master import core
from master.connections import ticket
from master.effects import Bind, Close
from tests.described import device
from tests.master.rigs import MasterRig
from vcl.errors import DEVICE_NOT_AVAILABLE
from vcl.wire.limits import executor_start_timeout_s, heartbeat_interval_s, heartbeat_timeout_s
from vcl.wire.messages import node, part, session
from vcl.wire.messages.handshake import Refused, Welcome


def begin(m: MasterRig, devices: tuple[int, ...] = (1,)) -> int:
    """A client with context 1, queue 2 and buffer 10; answers its connection."""
    client = m.open("client")
    m.say(
        client,
        session.CreateContext(1, list(devices), True),
        session.CreateQueue(2, 1, 0, 0),
        session.CreateBuffer(10, 1, 64),
    )
    return client


def fill(event: int) -> session.Fill:
    return session.Fill(event, 2, [], 10, 0, 64, b"x")


def events(m: MasterRig, client: int) -> list[list[Any]]:
    told = [t for t in m.sent(client) if isinstance(t, session.EventsDone)]
    return [event for t in told for event in t.events]


# Handshakes


@pytest.mark.parametrize("role", ["client", "agent"])
@pytest.mark.parametrize("token", ["", "wrong", "token ", "tökèn"])
def test_a_wrong_token(role: str, token: str) -> None:
    m = MasterRig()
    connection = m.open(role, token, name="a")
    answer = m.answered()
    assert isinstance(answer, Refused) and answer.code == "token"
    assert "peer:1" in answer.reason and "token" not in m.core.sessions
    assert not m.core.sessions and not m.core.nodes.by_id
    assert m.say(connection, session.Release([1])) == [], "it's nobody"


@pytest.mark.parametrize("role", ["client", "agent"])
def test_a_full_master(role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "_MOST", {"client": 1, "agent": 1})
    m = MasterRig()
    first = m.open(role, name="a", devices=[device()])
    m.open(role, name="b", devices=[device()])
    assert m.answered().code == "full"
    assert m.answered().reason == f"there are 1 of role {role} already"
    m.close(first)
    m.open(role, name="b", devices=[device()])
    assert not isinstance(m.answered(), Refused)


def test_an_agent_registers_and_clients_see_its_devices() -> None:
    m = MasterRig()
    m.agent("a", devices=2)
    answer = m.answered()
    assert isinstance(answer, Welcome) and (answer.node, answer.session) == (1, None)
    m.open("client")
    answer = m.answered()
    assert (answer.session, answer.key) == (1, "key2")
    assert [(d.device, d.node_name) for d in answer.devices] == [(1, "a"), (2, "a")]


def test_a_name_that_is_taken() -> None:
    m = MasterRig()
    first = m.agent("a")
    m.agent("a", incarnation="another")
    assert m.answered().code == "name" and "'a'" in m.answered().reason
    m.close(first)
    m.agent("a", incarnation="another")
    assert isinstance(m.answered(), Welcome)


@pytest.mark.parametrize(("role", "token"), [("client", "agent-token"), ("agent", "token")])
def test_the_token_of_the_other_role(role: str, token: str) -> None:
    m = MasterRig()
    m.open(role, token, name="a")
    assert m.answered().code == "token" and "needs" in m.answered().reason
    assert not m.core.sessions and not m.core.nodes.by_id


def test_a_name_stays_its_host_s() -> None:
    m = MasterRig()
    first = m.open("agent", name="a", host="one", incarnation="i")
    # With the incarnation too, as if it had leaked: the node that is there stays.
    m.open("agent", name="a", host="two", incarnation="i")
    assert m.answered().code == "name" and "another host, last seen at peer" in m.answered().reason
    assert len(m.core.nodes.by_id) == 1
    m.close(first)
    m.open("agent", name="a", host="two", incarnation="i")
    assert m.answered().code == "name"
    assert "one" not in m.answered().reason.split(), "it would prove that the name is one's own"
    m.open("agent", name="a", host="one", incarnation="after a restart")
    assert isinstance(m.answered(), Welcome)


def test_an_incarnation_registers_once() -> None:
    m = MasterRig()
    m.agent("a", incarnation="i")
    m.agent("a", incarnation="i")
    assert len(m.core.nodes.by_id) == 1


def test_the_bulk_connection_of_a_client() -> None:
    m = MasterRig()
    m.open("client")
    for token, number in [("wrong", 1), ("", 1), ("key1", 2), ("key1", None)]:
        m.open("client-bulk", token, session=number)
        assert m.answered().code == "session"
    bulk = m.open("client-bulk", "key1", session=1)
    assert isinstance(m.answered(), Welcome) and Bind(bulk, 1, 0) in m.effects
    m.open("client-bulk", "key1", session=1)
    assert "connected already" in m.answered().reason


def test_a_ticket_that_is_not_ascii() -> None:
    m = MasterRig()
    m.open("client")
    m.open("client-bulk", "schlüssel", session=1)
    assert m.answered().code == "session"


def test_an_executor_needs_the_ticket_of_its_session_and_node() -> None:
    m = MasterRig()
    agents = [m.agent("a"), m.agent("b")]
    clients = [begin(m), begin(m, (2,))]
    starts = []
    for client, agent in zip(clients, agents, strict=True):
        m.say(client, fill(20))
        starts.append(m.asked(agent))
    one, two = starts
    assert one == node.StartExecutor(1, 1, 1, ticket("key3", 1, 1), [[1, 0]])
    assert one.ticket != two.ticket
    wrong = [
        (two.ticket, 1, "1"), (one.ticket, 2, "1"), (one.ticket, 1, "2"), ("", 1, "1"),
        (one.ticket, 1, ""), (one.ticket, 1, "01"), ("token", 1, "1"), ("key3", 1, "1"),
    ]  # fmt: skip
    for role in ("executor", "executor-bulk"):
        for token, number, name in wrong:
            m.open(role, token, session=number, name=name)
            assert m.answered().code == "session", (token, number, name)


def test_a_ticket_is_used_once() -> None:
    m = MasterRig()
    agent, client = m.agent("a"), begin(m)
    m.say(client, fill(20))
    start = m.asked(agent)
    m.join(start)
    for role in ("executor", "executor-bulk"):
        m.open(role, start.ticket, session=1, endpoint=1)
        assert "connected already" in m.answered().reason


def test_messages_wait_until_both_connections_of_an_executor_are_up() -> None:
    m = MasterRig()
    agent, client = m.agent("a"), begin(m)
    m.say(client, fill(20))
    start = m.asked(agent)
    fields = {"token": start.ticket, "session": 1, "endpoint": 1}
    control = m.open("executor", **fields)
    assert m.sent(control) == []
    m.say(client, fill(21))
    assert m.sent(agent) == [], "it was asked for already"
    bulk = m.open("executor-bulk", **fields)
    assert Bind(bulk, 1, 1) in m.effects
    assert [type(x) for x in m.sent(control)] == [
        part.Allocate, part.FillRegion, part.FillRegion,
    ]  # fmt: skip
    m.say(client, fill(22))
    assert [type(x) for x in m.sent(control)] == [part.FillRegion]


# Messages


@pytest.mark.parametrize(
    "messages",
    [[[99]], [[12, "x"]], [[14, 20, 2, [], 10, 0, 64]], [[14, 20, 2, [], 99, 0, 64, b"x"]],
     [[14, 2**70, 2, [], 10, 0, 64, b"x"]], [[True]]],
)  # fmt: skip
def test_a_malformed_message_closes_that_session_only(messages: list[list[Any]]) -> None:
    m = MasterRig()
    agent, bad, good = m.agent("a"), begin(m), begin(m)
    bulk = m.open("client-bulk", "key2", session=1)
    m.say(bad, fill(20))
    control, executor_bulk = m.join(m.asked(agent))
    m.say(good, fill(20))
    m.say_arrays(bad, *messages)
    assert set(m.closed()) == {bad, bulk, control, executor_bulk}
    assert m.sent(agent) == [node.StopExecutor(1)]
    assert list(m.core.sessions) == [2]
    assert m.say(bad, fill(21)) == [] and m.close(bad) == []
    m.say(good, session.Read(21, 2, [], 10, 0, 8))
    assert not m.closed() and m.sent(good)


def test_none_of_a_batch_with_a_malformed_message_is_carried_out() -> None:
    m = MasterRig()
    agent, client = m.agent("a"), begin(m)
    m.say_arrays(client, [14, 20, 2, [], 10, 0, 64, b"x"], [99])
    assert list(m.closed()) == [client]
    assert m.sent(agent) == [], "no executor was asked for"


def test_what_was_on_its_way_when_a_connection_was_closed() -> None:
    m = MasterRig()
    m.agent("a")
    client = begin(m)
    assert m.say_arrays(client, [99]) and m.closed()
    assert m.say_arrays(client, [99]) == []


def test_a_malformed_message_of_an_executor_ends_the_executor_only() -> None:
    m = MasterRig()
    agent, client = m.agent("a"), begin(m)
    m.say(client, fill(20))
    control, bulk = m.join(m.asked(agent))
    m.say_arrays(control, [40, 7])
    assert set(m.closed()) == {control, bulk}
    assert m.sent(agent) == [node.StopExecutor(1)]
    assert [e[:2] for e in events(m, client)] == [[20, DEVICE_NOT_AVAILABLE]]
    assert list(m.core.sessions) == [1]


def test_a_malformed_message_of_an_agent_loses_the_node_only() -> None:
    m = MasterRig()
    agent, client = m.agent("a"), begin(m)
    m.say_arrays(agent, [1])
    assert set(m.closed()) == {agent} and not m.core.nodes.by_id
    assert list(m.core.sessions) == [1]
    m.say(client, fill(20))
    assert [e[:2] for e in events(m, client)] == [[20, DEVICE_NOT_AVAILABLE]]


# Ends


def test_a_session_ends_with_either_connection_of_its_client() -> None:
    for which in (0, 1):
        m = MasterRig()
        agent, client = m.agent("a"), begin(m)
        bulk = m.open("client-bulk", "key2", session=1)
        m.say(client, fill(20))
        m.join(m.asked(agent))
        m.close((client, bulk)[which])
        assert set(m.closed()) == {1, 2, 3, 4, 5} - {agent, (client, bulk)[which]}
        assert m.sent(agent) == [node.StopExecutor(1)]
        assert not m.core.sessions


def test_an_executor_that_comes_after_its_session_ended() -> None:
    m = MasterRig()
    agent, client = m.agent("a"), begin(m)
    m.say(client, fill(20))
    start = m.asked(agent)
    m.close(client)
    m.open("executor", start.ticket, session=1, endpoint=1)
    assert m.answered().code == "session"


def test_an_agent_is_lost() -> None:
    m = MasterRig()
    agents = [m.agent("a"), m.agent("b")]
    client, other = begin(m, (1, 2)), begin(m, (2,))
    m.say(client, fill(20))
    control, bulk = m.join(m.asked(agents[0]))
    m.say(other, fill(20))
    m.asked(agents[1])
    m.close(agents[0], "power failed")
    assert set(m.closed()) == {control, bulk}
    ((event, status, _, _, text),) = events(m, client)
    assert (event, status) == (20, DEVICE_NOT_AVAILABLE)
    assert "node a" in text and "power failed" in text
    assert m.sent(other) == []
    m.say(client, fill(21))
    assert m.asked(agents[1]).node == 2, "what comes later goes to who is left"


def test_a_node_is_lost_with_both_ends_of_a_transfer() -> None:
    m = MasterRig()
    agent = m.agent("a", devices=2)
    client = begin(m, (1, 2))
    m.say(client, session.CreateQueue(3, 1, 1, 0), session.CreateQueue(4, 1, 2, 0))
    m.say(client, session.CreateBuffer(11, 1, 64))
    m.say(client, session.Fill(20, 3, [], 10, 0, 64, b"x"),
          session.Copy(21, 4, [20], 10, 11, 0, 0, 64))  # fmt: skip
    m.join(m.asked(agent))
    m.close(agent)
    assert [e[:2] for e in events(m, client)] == [[20, -2], [21, -2]]


def test_an_executor_is_lost_with_both_ends_of_a_transfer() -> None:
    m = MasterRig()
    agent = m.agent("a", devices=2)
    client = begin(m, (1, 2))
    m.say(client, session.CreateQueue(3, 1, 1, 0), session.CreateQueue(4, 1, 2, 0))
    m.say(client, session.CreateBuffer(11, 1, 64))
    m.say(client, session.Fill(20, 3, [], 10, 0, 64, b"x"),
          session.Copy(21, 4, [20], 10, 11, 0, 0, 64))  # fmt: skip
    control, _ = m.join(m.asked(agent))
    m.close(control)
    m.wake()
    assert m.sent(agent) == [node.StopExecutor(1)], "and nothing asks for another"


def test_a_tick_that_is_late_itself_decides_nothing_about_silence() -> None:
    # The master's process was stopped, say: what came meanwhile is still to be read.
    m = MasterRig()
    agent, client = m.agent("a"), begin(m)
    m.say(client, fill(20))
    m.tick(1.0)
    late = 1.0 + executor_start_timeout_s + 1.5 * heartbeat_interval_s
    assert m.tick(late) == []
    m.say(agent, node.Heartbeat(0))
    m.tick(late + heartbeat_interval_s)
    assert m.core.nodes.by_id and "didn't start" in events(m, client)[0][4]
    m.tick(late + 2 * heartbeat_interval_s)
    m.tick(late + 2 * heartbeat_interval_s + heartbeat_timeout_s)
    assert m.core.nodes.by_id
    m.tick(late + 3 * heartbeat_interval_s + heartbeat_timeout_s)
    assert not m.core.nodes.by_id, "one tick in time is enough"


def test_an_agent_that_was_silent_too_long_is_lost() -> None:
    m = MasterRig()
    silent, alive = m.agent("a"), m.agent("b")
    m.tick(heartbeat_timeout_s)
    assert m.effects == []
    m.say(alive, node.Heartbeat(0))
    m.tick(heartbeat_timeout_s + 1)
    assert list(m.closed()) == [silent]
    assert [n.name for n in m.core.nodes.by_id.values()] == ["b"]
    assert m.close(silent) == []


def test_an_executor_that_does_not_start_in_time() -> None:
    m = MasterRig()
    agent, client = m.agent("a"), begin(m)
    m.say(client, fill(20))
    start = m.asked(agent)
    bulk = m.open("executor-bulk", start.ticket, session=1, endpoint=1)
    m.now = executor_start_timeout_s
    m.say(agent, node.Heartbeat(1))
    m.tick(executor_start_timeout_s)
    assert m.effects == []
    m.tick(executor_start_timeout_s + 1)
    assert set(m.closed()) == {bulk}
    assert m.sent(agent) == [node.StopExecutor(1)]
    assert "didn't start within" in events(m, client)[0][4]


def test_an_executor_that_started_in_time() -> None:
    m = MasterRig()
    agent, client = m.agent("a"), begin(m)
    m.say(client, fill(20))
    m.join(m.asked(agent))
    m.now = executor_start_timeout_s + 1
    m.say(agent, node.Heartbeat(1))
    m.tick(m.now)
    assert m.effects == []


def test_a_node_that_is_lost_while_an_executor_is_asked_for() -> None:
    m = MasterRig()
    agent, client = m.agent("a"), begin(m)
    m.say(client, fill(20))
    m.close(agent)
    assert [e[:2] for e in events(m, client)] == [[20, DEVICE_NOT_AVAILABLE]]
    assert not any(isinstance(e, Close) for e in m.effects)
    assert m.tick(2 * executor_start_timeout_s) == []
