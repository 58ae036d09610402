"""A build waits for the guard's verdict, and nothing else does."""

from __future__ import annotations

from master.access.programs import judge_program
from master.effects import Judge, ReadAhead
from master.inputs import Judged
from tests.described import device
from tests.master.rigs import ADD, GLOBAL, PRIVATE, MasterRig, kernel
from vcl.wire.messages import part, session

KERNEL = kernel("add", (GLOBAL, "float*"), (PRIVATE, "float"))


def build(m: MasterRig) -> tuple[int, int, Judge]:
    """A session builds program 5 in request 7; its client, its executor, what the guard got."""
    m.judges = False
    agent = m.agent("a")
    client = m.open("client")
    units = [[ADD, "", [], []]]
    m.say(client, session.CreateContext(1, [1], True),
          session.BuildProgram(5, 1, 7, session.BUILD, units, ""))  # fmt: skip
    (judge,) = [e for e in m.effects if isinstance(e, Judge)]
    assert judge == Judge(1, 7, units)
    executor, _ = m.join(m.asked(agent))
    return client, executor, judge


def judged(judge: Judge) -> Judged:
    return Judged(judge.session, judge.request, judge_program(judge.units))


def test_a_build_is_answered_when_its_verdict_is_there() -> None:
    m = MasterRig()
    client, executor, judge = build(m)
    m.say(executor, part.BuildDone(7, 0, "", [], [KERNEL]))
    assert not m.sent(client)
    m.feed(judged(judge))
    assert [(b.request, b.status) for b in m.sent(client)] == [(7, 0)]


def test_others_go_on_meanwhile() -> None:
    m = MasterRig()
    client, executor, judge = build(m)
    m.say(executor, part.BuildDone(7, 0, "", [], [KERNEL]))
    m.say(client, session.CreateUserEvent(20, 1), session.SetUserEvent(20, 0))
    assert [type(t) for t in m.sent(client)] == [session.EventsDone]
    other = m.open("client")
    m.say(other, session.CreateContext(1, [1], True), session.CreateUserEvent(20, 1),
          session.SetUserEvent(20, 0))  # fmt: skip
    assert [type(t) for t in m.sent(other)] == [session.EventsDone]
    m.feed(judged(judge))
    assert [type(t) for t in m.sent(client)] == [session.Built]


def test_a_program_that_is_released_before_its_verdict() -> None:
    m = MasterRig()
    client, executor, judge = build(m)
    m.say(client, session.Release([5]))
    m.say(executor, part.BuildDone(7, 0, "", [], [KERNEL]))
    m.feed(judged(judge))
    assert [b.request for b in m.sent(client)] == [7]
    live = m.core.sessions[1].session
    assert not live.programs and not live._builds.under_way


def test_a_session_that_is_over_before_the_verdict() -> None:
    m = MasterRig()
    client, _, judge = build(m)
    m.close(client)
    assert m.feed(judged(judge)) == []


def test_a_build_that_has_failed_before_its_verdict() -> None:
    m = MasterRig()
    client, executor, judge = build(m)
    m.say(executor, part.BuildDone(7, -11, "syntax", [], []))
    assert [b.status for b in m.sent(client)] == [-11]
    assert m.feed(judged(judge)) == []


def test_a_program_of_the_cluster_is_read_ahead_and_nothing_waits_for_it() -> None:
    m = MasterRig()
    kind = {"ADDRESS_BITS": 64, "ENDIAN_LITTLE": True, "OPENCL_C_VERSION": "OpenCL C 1.2",
            "VERSION": "OpenCL 3.0"}  # fmt: skip
    agents = [
        m.open("agent", name=name, incarnation=name, devices=[device(NAME=name, **kind)])
        for name in "ab"
    ]
    client = m.open("client")
    units = [[ADD, "", [], []]]
    m.say(client, session.CreateContext(1, [1, 2], True),
          session.BuildProgram(5, 1, 7, session.BUILD, units, ""))  # fmt: skip
    (ahead,) = [e for e in m.effects if isinstance(e, ReadAhead)]
    assert (ahead.session, ahead.units) == (1, units)
    assert ahead.device == {"EXTENSIONS": "cl_khr_fp64", **{k: str(v) for k, v in kind.items()}}
    for start in [m.asked(agent) for agent in agents]:
        executor, _ = m.join(start)
        m.say(executor, part.BuildDone(7, 0, "", [], [KERNEL]))
    assert [b.request for b in m.sent(client)] == [7]
    assert not m.core.sessions[1].session.ledger.for_reading
