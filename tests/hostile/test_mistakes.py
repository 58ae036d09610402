"""A mistake of the master's own ends the session in which it happens, in words, and no other."""

from __future__ import annotations

from typing import Any

import pytest

from master.access.guard import Verdict
from master.access.programs import Judgement
from master.effects import Close, Log
from master.inputs import Judged
from master.sessions import Session
from tests.hostile.masters import BUILDING, FROM_CLIENT, World, from_agent, from_executor
from tests.hostile.mutations import picture


def break_down(*_: Any) -> None:
    raise KeyError("a mistake")


def closed(world: World) -> set[int]:
    return {e.connection for e in world.rig.effects if isinstance(e, Close)}


def check(world: World, number: int, before: Any) -> None:
    """It ended, and was told of; the honest session is as it was."""
    (said,) = [e.text for e in world.rig.effects if isinstance(e, Log) and "mistake" in e.text]
    assert said.startswith(f"unexpected error in session {number}: KeyError: 'a mistake', in break")
    assert "test_mistakes.py" in said and "raise KeyError" in said
    assert list(world.rig.core.sessions) == [world.honest]
    gone = {world.clients[number], *(c for (s, _), c in world.executors.items() if s == number)}
    assert gone <= closed(world) and not closed(world) & set(world.agents)
    assert picture(world.rig.core.sessions[world.honest]) == before
    world.finish(world.honest)


@pytest.mark.parametrize("way", ["from_client", "from_executor", "_lose", "judged"])
def test_it_ends_the_session(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    before = picture(world.rig.core.sessions[world.honest])
    number = world.open()
    say = world.rig.say
    to_executor = from_executor(world, number)[0]
    with monkeypatch.context() as patched:
        # Of a loss it's what is done later, and not the note of it, that may go wrong.
        broken = break_down if way != "_lose" else lambda *_: map(break_down, [None])
        patched.setattr(Session, way, broken)
        if way == "from_client":
            say(world.clients[number], FROM_CLIENT[0])
        elif way == "from_executor":
            say(world.executors[number, 1], to_executor)
        elif way == "_lose":
            say(world.agents[0], from_agent(number)[1])
        else:
            judgement = Judgement(Verdict(True, ""), True)
            world.rig.feed(Judged(number, BUILDING, judgement))
    check(world, number, before)


def test_a_mistake_about_an_agent_ends_that_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    with monkeypatch.context() as patched:
        patched.setattr(world.rig.core, "_from_agent", break_down)
        world.rig.say(world.agents[1], from_agent(1)[0])
    assert world.agents[1] in closed(world) and world.agents[0] not in closed(world)
    assert list(world.rig.core.nodes.by_id) == [1] and list(world.rig.core.sessions) == [1]
