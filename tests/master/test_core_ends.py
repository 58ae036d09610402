"""The master core: executors whose connections break, that end, or that never start."""

from __future__ import annotations

import pytest

from master.core import executor_ended_wait_s
from master.effects import Wake
from tests.master.rigs import MasterRig
from tests.master.test_core import begin, events, fill
from vcl.errors import DEVICE_NOT_AVAILABLE
from vcl.wire.messages import node, part


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
