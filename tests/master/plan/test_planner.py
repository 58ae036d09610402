"""Planning changes nothing, and goes for places that don't exist."""

from __future__ import annotations

from typing import Any

import pytest

from master.commands import Command
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
    Write,
)

SIZE = 4096


def rig(devices: int) -> SessionRig:
    """Buffer 10 is written in part, on device 1 and by the client; queue 2 is the cluster's."""
    r = SessionRig(*(place(d) for d in range(1, devices + 1)))
    r.say(CreateQueue(3, 1, 1, 0))
    r.say(CreateBuffer(10, 1, SIZE, 1), CreateBuffer(11, 1, SIZE, 1))
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
    return r.session._planner.plan(Command(message.event, message, queue=queue))


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
