"""Nodes that come, or come back, while sessions are under way."""

from __future__ import annotations

from master.effects import Answer, Log, Send
from tests.described import device
from tests.master.rigs import GLOBAL, MasterRig, kernel
from vcl.wire.messages import node, part, session

GOOD = kernel("k", (GLOBAL, "int*"))


def begin(m: MasterRig) -> int:
    """A client with a context and a program, which node a has built; answers its connection."""
    client = m.open("client")
    devices = [d.device for d in m.answered().devices]
    m.say(
        client,
        session.CreateContext(1, devices, True),
        session.CreateQueue(2, 1, 0, 0),
        session.CreateBuffer(10, 1, 64),
    )
    m.say(client, session.BuildProgram(5, 1, 7, session.BUILD, [["source", "", [], []]], ""))
    control, _ = m.join(m.asked(1))
    m.say(control, part.BuildDone(7, 0, "", [[1, 0, ""]], [GOOD]))
    return client


def come(m: MasterRig, name: str, kind: str = "cpu a") -> int:
    return m.open("agent", name=name, incarnation=name, devices=[device(NAME=kind)])


def context(m: MasterRig) -> list[int]:
    return m.core.sessions[1].session.contexts[1].devices


def logged(m: MasterRig) -> list[str]:
    return [e.text for e in m.effects if isinstance(e, Log)]


def test_a_node_with_a_known_model_is_tried_and_taken() -> None:
    m = MasterRig()
    m.agent("a")
    begin(m)
    agent = come(m, "b")
    kinds = [
        type(e) for e in m.effects
        if isinstance(e, (Answer, Send)) and e.connection == agent
    ]  # fmt: skip
    assert kinds == [Answer, Send], "it's welcome before it's asked for anything"
    control, _ = m.join(m.asked(agent))
    (build,) = m.sent(control)
    assert (build.program, build.devices, context(m)) == (5, [2], [1])
    m.say(control, part.BuildDone(build.request, 0, "", [], [kernel("k", (GLOBAL, "int*"))]))
    assert context(m) == [1, 2]
    m.close(agent)
    assert context(m) == [1]


def test_a_node_that_can_not_build_is_named_in_the_log() -> None:
    m = MasterRig()
    m.agent("a")
    begin(m)
    control, _ = m.join(m.asked(come(m, "b")))
    (build,) = m.sent(control)
    m.say(control, part.BuildDone(build.request, -11, "no\ncompiler", [], []))
    (line,) = logged(m)
    assert line.startswith("session 1: node b isn't used: it can't build ")
    assert line.endswith(r"no\ncompiler") and context(m) == [1]


def test_other_devices_serve_the_sessions_that_begin_later() -> None:
    m = MasterRig()
    m.agent("a")
    begin(m)
    agent = come(m, "b", "gpu")
    assert not m.sent(agent) and context(m) == [1]
    m.open("client")
    assert len(m.answered().devices) == 2


def test_a_node_that_comes_back_goes_on_without_a_trial() -> None:
    m = MasterRig()
    first = m.agent("a")
    client = begin(m)
    m.close(first)
    m.say(client, session.Fill(20, 2, [], 10, 0, 64, b"x"))
    (ended,) = [e for t in m.sent(client) for e in t.events]
    assert ended[1] < 0 and "start the agent again" in ended[4]
    again = m.agent("a")
    assert not m.sent(again), "only when it's needed"
    m.say(client, session.Fill(21, 2, [], 10, 0, 64, b"x"))
    start = m.asked(again)
    assert start.devices == [[1, 0]]
    control, _ = m.join(start)
    done = [x.operation for x in m.sent(control) if isinstance(x, part.FillRegion)]
    m.say(control, part.Done([[number, 0, 1, 2, None, None] for number in done]))
    assert [e[:2] for t in m.sent(client) for e in t.events] == [[21, 0]]


def test_a_session_that_ends_while_a_node_is_on_trial() -> None:
    m = MasterRig()
    m.agent("a")
    client = begin(m)
    agent = come(m, "b")
    assert m.asked(agent)
    m.close(client)
    assert [type(x) for x in m.sent(agent)] == [node.StopExecutor]
