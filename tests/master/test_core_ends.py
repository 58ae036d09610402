"""The master core: executors whose connections break, that end, or that never start."""

from __future__ import annotations

import pytest

from master.core import executor_ended_wait_s
from master.effects import Log, Wake
from master.inputs import Closed, Received
from master.sessions import Session
from tests.master.rigs import MasterRig
from tests.master.test_core import begin, events, fill
from vcl.errors import DEVICE_NOT_AVAILABLE
from vcl.wire.limits import executor_start_timeout_s
from vcl.wire.messages import node, part, session


@pytest.mark.parametrize("which", [0, 1])
def test_an_executor_is_lost_with_either_connection(which: int) -> None:
    m = MasterRig()
    agent, client = m.agent("a"), begin(m)
    m.say(client, fill(20))
    ends = m.join(m.asked(agent))
    m.close(ends[which], "its cable was cut")
    assert events(m, client) == [] and not m.closed(), "its agent may know more"
    m.wake()
    assert set(m.closed()) == {ends[1 - which]}
    assert m.sent(agent) == [node.StopExecutor(1)]
    ((event, status, _, _, text),) = events(m, client)
    assert (event, status) == (20, DEVICE_NOT_AVAILABLE)
    assert "node a" in text and "its cable was cut" in text
    m.say(client, fill(21))
    again = m.asked(agent)
    control, _ = m.join(again)
    assert [type(x) for x in m.sent(control)] == [part.Allocate, part.FillRegion]


def test_an_agent_tells_that_an_executor_ended() -> None:
    m = MasterRig()
    agent, client = m.agent("a"), begin(m)
    m.say(client, fill(20))
    start = m.asked(agent)
    m.say(agent, node.ExecutorEnded(1, 1, "ended by SIGSEGV"))
    assert "SIGSEGV" in events(m, client)[0][4]
    m.open("executor", start.ticket, session=1, endpoint=1)
    assert m.answered().code == "session", "it's dead"
    m.say(agent, node.ExecutorEnded(1, 1, "again"), node.ExecutorEnded(9, 1, "of whom?"))
    assert m.effects == []


def test_the_end_of_an_executor_that_was_replaced_meanwhile() -> None:
    m = MasterRig()
    agent, client = m.agent("a"), begin(m)
    m.say(client, fill(20))
    control, _ = m.join(m.asked(agent))
    m.close(control, "the link broke")
    m.wake()
    m.say(client, fill(21))
    m.asked(agent)
    m.say(agent, node.ExecutorEnded(1, 1, "ended by SIGSEGV"))
    assert events(m, client) == []


def test_a_crash_is_told_with_its_signal() -> None:
    # It breaks both connections and ends the process, and the master hears of the process last.
    m = MasterRig()
    agent, client, other = m.agent("a"), begin(m), begin(m)
    m.say(other, fill(20))
    m.join(m.asked(agent))
    m.say(client, fill(20))
    start = m.asked(agent)
    control, bulk = m.join(start)
    m.close(control, "the link broke")
    wake = [e for e in m.effects if isinstance(e, Wake)]
    assert len(m.effects) == 1 and wake[0].after_s == executor_ended_wait_s
    assert m.close(bulk, "the other link broke") == []
    m.say(client, fill(21))
    assert m.effects == [], "it's neither sent into nothing nor the cause of a new start"
    m.open("executor", start.ticket, session=1, endpoint=1)
    assert m.answered().code == "session"
    m.say(agent, node.ExecutorEnded(1, 1, "ended by SIGSEGV"))
    assert not m.closed() and m.sent(other) == []
    told = events(m, client)
    assert [e[:2] for e in told] == [[20, DEVICE_NOT_AVAILABLE], [21, DEVICE_NOT_AVAILABLE]]
    assert all("node a is gone: ended by SIGSEGV (the link broke)" in e[4] for e in told)
    assert m.feed(wake[0].due) == [], "it was told already"
    m.say(client, fill(22))
    m.asked(agent)
    assert m.feed(wake[0].due) == [], "and isn't about the next one"
    m.close(client)
    assert m.feed(wake[0].due) == []


def test_a_node_is_lost_while_it_is_waited_for() -> None:
    m = MasterRig()
    agent, client = m.agent("a"), begin(m)
    m.say(client, fill(20))
    control, bulk = m.join(m.asked(agent))
    m.close(control, "the link broke")
    m.close(agent, "power failed")
    assert set(m.closed()) == {bulk} and "power failed" in events(m, client)[0][4]


def test_who_lied_and_then_hung_up_is_gone_at_once() -> None:
    m = MasterRig()
    agent, client = m.agent("a"), begin(m)
    m.say(client, fill(20))
    control, bulk = m.join(m.asked(agent))
    m.feed(
        Closed(bulk, "the link broke"),
        Received(control, [part.Done([[999, 0, 1, 2, None, None]])]),
    )
    ((event, status, _, _, text),) = events(m, client)
    assert (event, status) == (20, DEVICE_NOT_AVAILABLE)
    assert "999 isn't under way" in text and "the link broke" in text
    m.say(client, fill(21))
    m.asked(agent)


def test_a_session_with_several_executors_late_ends_at_the_first_loss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    m = MasterRig()
    agents = [m.agent("a"), m.agent("b")]
    client = begin(m, (1, 2))
    for number in (1, 2):
        queue, buffer = 2 + number, 10 + number
        m.say(
            client,
            session.CreateQueue(queue, 1, number, 0),
            session.CreateBuffer(buffer, 1, 64),
            session.Fill(20 + number, queue, [], buffer, 0, 64, b"x"),
        )
    monkeypatch.setattr(Session, "_lose", lambda *_: (1 / 0 for _ in [None]))
    for now in (0.0, executor_start_timeout_s / 2, executor_start_timeout_s + 1):
        for agent in agents:
            m.say(agent)
        m.core._ticked = None  # not late
        m.tick(now)
    assert client in m.closed() and not m.core.sessions
    assert len([text for text in logs(m) if "ZeroDivisionError" in text]) == 1


# Executors that never start


def logs(m: MasterRig) -> list[str]:
    return [e.text for e in m.effects if isinstance(e, Log)]


def fail_to_start(m: MasterRig, agent: int, client: int, event: int) -> str:
    """A command whose executor ends before it has dialled; answers the command's text."""
    m.say(client, fill(event))
    start = m.asked(agent)
    m.say(agent, node.ExecutorEnded(start.session, start.start, "no driver"))
    ((told, status, _, _, text),) = events(m, client)
    assert (told, status) == (event, DEVICE_NOT_AVAILABLE)
    assert isinstance(text, str)
    return text


def test_a_node_that_has_no_room_is_not_left_out() -> None:
    m = MasterRig()
    agent, client = m.agent("a"), begin(m)
    for event in range(20, 25):
        m.say(client, fill(event))
        start = m.asked(agent)
        m.say(agent, node.ExecutorEnded(start.session, start.start, "it serves 64 already", True))
        assert not [line for line in logs(m) if "left out" in line]
        ((told, status, _, _, text),) = events(m, client)
        assert (told, status) == (event, DEVICE_NOT_AVAILABLE) and "serves 64 already" in text
    fail_to_start(m, agent, client, 25)
    m.say(client, fill(26))
    m.asked(agent)


def test_a_node_whose_executors_do_not_start_is_left_out_for_a_while() -> None:
    m = MasterRig()
    agent, client = m.agent("a"), begin(m)
    assert "node a is gone: no driver" in fail_to_start(m, agent, client, 20)
    text = fail_to_start(m, agent, client, 21)
    assert "no driver; node a is left out for 60 s" in text and "vcl-agent" in text
    assert any("node a is left out for 60 s" in line for line in logs(m))
    m.say(client, fill(22))
    assert m.sent(agent) == []
    ((_, status, _, _, text),) = events(m, client)
    assert status == DEVICE_NOT_AVAILABLE
    assert "node a is left out" in text and "no driver" in text and "restart" in text
    m.say(client, session.BuildProgram(5, 1, 7, session.BUILD, [["", "", [], []]], ""))
    (built,) = m.sent(client)
    assert built.status == DEVICE_NOT_AVAILABLE and "node a is left out" in built.message
    m.open("client")
    assert m.answered().devices == []
    m.now = 61.0
    m.say(agent, node.Heartbeat(0))
    m.tick(61.0)
    assert logs(m) == ["node a is tried again"]
    text = fail_to_start(m, agent, client, 23)
    assert "left out for 120 s" in text, "the first failure after it is enough"


def test_a_start_that_takes_too_long_counts_and_a_success_forgets_it() -> None:
    m = MasterRig()
    agent, client, other = m.agent("a"), begin(m), begin(m)
    fail_to_start(m, agent, client, 20)
    m.say(client, fill(21))
    m.asked(agent)
    m.say(other, fill(21))
    m.asked(agent)
    m.now = executor_start_timeout_s + 1
    m.say(agent, node.Heartbeat(0))
    m.tick(m.now)
    assert "left out for 60 s" in str(logs(m)) and "didn't start within" in str(logs(m))
    m.agent("b")
    m.open("client")
    assert [d.node_name for d in m.answered().devices] == ["b"]


def test_an_executor_that_starts_after_all_ends_it() -> None:
    m = MasterRig()
    agent, client, other = m.agent("a"), begin(m), begin(m)
    m.say(other, fill(20))
    slow = m.asked(agent)
    for event in (20, 21):
        fail_to_start(m, agent, client, event)
    m.say(other, fill(21))
    assert events(m, other) == [], "it has an executor there, which may still come"
    m.join(slow)
    assert "node a is let in again" in logs(m)
    assert "left out" not in fail_to_start(m, agent, client, 22)


def test_who_has_an_executor_that_runs_goes_on_with_it() -> None:
    m = MasterRig()
    agent, client, other = m.agent("a"), begin(m), begin(m)
    m.say(other, fill(20))
    control, _ = m.join(m.asked(agent))
    for event in (20, 21):
        fail_to_start(m, agent, client, event)
    m.say(other, fill(21))
    assert [type(x) for x in m.sent(control)] == [part.FillRegion]


def test_an_executor_that_ends_after_it_started_counts_for_nothing() -> None:
    m = MasterRig()
    agent, client = m.agent("a"), begin(m)
    for event in range(20, 24):
        m.say(client, fill(event))
        start = m.asked(agent)
        m.join(start)
        m.say(agent, node.ExecutorEnded(1, start.start, "ended by SIGSEGV"))
        assert "left out" not in events(m, client)[0][4]
