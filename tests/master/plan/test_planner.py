"""Planning changes nothing, and goes for places that don't exist."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from master.access.guard import Verdict
from master.commands import Command
from master.objects import Context, Queue
from master.plan import templates as subject
from master.plan.plan import Kind, Plan
from tests.hostile.mutations import picture
from tests.master.rigs import GLOBAL, SessionRig, kernel, place
from vcl.wire.messages.session import (
    Copy,
    CopyRect,
    CreateBuffer,
    CreateQueue,
    CreateUserEvent,
    Fill,
    Launch,
    Marker,
    Read,
    Release,
    Write,
)

SIZE = 4096


def rig(devices: int) -> SessionRig:
    """Buffer 10 is written in part, on device 1 and by the client; queue 2 is the cluster's."""
    r = SessionRig(*(place(d) for d in range(1, devices + 1)))
    r.say(CreateQueue(3, 1, 1, 0))
    r.say(CreateBuffer(10, 1, SIZE), CreateBuffer(11, 1, SIZE))
    r.build(5, kernel("k", (GLOBAL, "int*"), (GLOBAL, "const int*")))
    r.session.programs[5].keeps_const = True
    r.say(Fill(20, 3, [], 10, 0, 1024, b"x"), Write(21, 3, [], 10, 2048, 512, 100))
    return r


ARGUMENTS = [[1, 10, 0, SIZE], [1, 11, 0, SIZE]]
COMMANDS = {
    "write": Write(30, 2, [], 10, 0, SIZE, 101),
    "read": Read(30, 2, [], 10, 0, SIZE),
    "copy": Copy(30, 2, [], 10, 11, 0, 64, 2048),
    "boxes": CopyRect(30, 2, [], 10, 11, 0, 64, 16, 4, 2, 64, 256, 64, 256),
    "fill": Fill(30, 2, [], 10, 64, 512, b"y"),
    "marker": Marker(30, 2, [], False),
    "split": Launch(30, 2, [], 5, "k", [0], [1024], [4], ARGUMENTS),
    "whole": Launch(30, 3, [], 5, "k", [0], [1024], [4], ARGUMENTS),
}


def plan(r: SessionRig, message: Any) -> Plan:
    queue = r.session.queues[message.queue]
    return r.session._planner.anew(Command(message.event, message, queue=queue))


@pytest.mark.parametrize("name", COMMANDS)
def test_planning_changes_nothing(name: str) -> None:
    r = rig(3)
    r.say(CreateUserEvent(29, 1))
    r.session._view.candidates(r.session.queues[2])  # which are remembered
    r.session._view.candidates(r.session.queues[3])
    before = picture(r.session)
    first = plan(r, COMMANDS[name])
    assert picture(r.session) == before
    assert plan(r, COMMANDS[name]) == first


def test_a_repeated_launch_is_planned_once() -> None:
    r = rig(3)
    templates = r.session._planner.templates
    for event in range(40, 60):
        arguments = [[1, 10, 0, SIZE], [1, 11, 0, SIZE]]
        r.say(Launch(event, 2, [], 5, "k", [0], [1024], [4], arguments))
    assert templates.used == 18, "all but the first, and the one that found its result at home"
    r.say(Launch(60, 2, [], 5, "k", [0], [2048], [4], ARGUMENTS))
    r.say(Launch(61, 2, [], 5, "k", [0], [1024], [8], ARGUMENTS))
    r.say(Launch(62, 3, [], 5, "k", [0], [1024], [4], ARGUMENTS))
    r.say(Launch(63, 2, [], 5, "k", [0], [1024], [4], [[1, 11, 0, SIZE], [1, 10, 0, SIZE]]))
    assert templates.used == 18, "another geometry, queue or order of buffers"
    r.run()


CHANGES: dict[str, Callable[[SessionRig], object]] = {
    "a write": lambda r: r.say(Write(50, 2, [], 10, 0, 8, 105)),
    "a fill elsewhere": lambda r: r.say(CreateQueue(4, 1, 2, 0), Fill(50, 4, [], 10, 0, 8, b"x")),
    "another place": lambda r: setattr(r, "places", [*r.places, place(9)]),
    "a lost node": lambda r: r.lose(3),
    "parts that contradicted each other": lambda r: setattr(
        r.session.programs[5].kernels["k"], "conflicts", "they did"
    ),
    "another buffer of that number": lambda r: r.say(
        Release([10]), CreateBuffer(10, 1, SIZE), Fill(50, 3, [], 10, 0, SIZE, b"x")
    ),
    "a verdict": lambda r: setattr(r.session.programs[5], "verdict", Verdict(False, "why")),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_plan_depends_on_makes_it_anew(name: str) -> None:
    r = rig(3)
    launches = iter(range(40, 60))
    for _ in range(4):
        r.say(COMMANDS["split"]._replace(event=next(launches)))
    r.run()
    used = r.session._planner.templates.used
    CHANGES[name](r)
    r.say(COMMANDS["split"]._replace(event=next(launches)))
    assert r.session._planner.templates.used == used


@pytest.mark.parametrize("count", [2, 16, 128])
def test_a_launch_is_planned_for_places_that_do_not_exist(count: int) -> None:
    r = rig(count)
    steps = []
    while True:
        one = plan(r, COMMANDS["split"])
        steps += one.steps
        if one.complete:
            break
        r.session._committer.commit(one, Command(30, COMMANDS["split"], queue=None))
    kinds = [step.kind for step in steps]
    assert kinds.count(Kind.RUN) == kinds.count(Kind.SNAPSHOT) == count
    assert kinds.count(Kind.SEND_CHANGES) == count - 1 and kinds[-1] is Kind.MERGE
    assert {step.place.device for step in steps} == set(range(1, count + 1))


@pytest.mark.parametrize(
    ("devices", "most"), [(1, 2**15), (4096, 2**15), (10_000, 80_000), (2**20, 2**17)]
)
def test_kept_plans_may_be_of_more_on_many_devices(devices: int, most: int) -> None:
    context = Context(1, list(range(1, devices + 1)), True)
    assert subject.most_pieces(Queue(2, context, 0, True)) == most


def test_kept_plans_have_a_bound_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "pieces_together_max", 18)
    monkeypatch.setattr(subject, "pieces_by_device", 0)
    r = rig(3)
    kept = r.session._planner.templates._kept
    for event, size in enumerate((1024, 2048, 4096, 512) * 3, 40):
        r.say(Launch(event, 3, [], 5, "k", [0], [size], [4], ARGUMENTS))
        together = r.session._planner.templates._pieces
        assert sum(t.pieces for t in kept.values()) == together <= 18
    assert 0 < len(kept) < 4
    r.places = r.places[:2]
    assert not kept and not r.session._planner.templates._pieces
    r.run()
