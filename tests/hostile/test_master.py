"""The master's core against clients, executors and agents that say what no honest one says.

Every well-formed message with every hostile value in every place, and some after one another: no
exception escapes, what follows can be sent, and the honest session is as it was.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.hostile.masters import (
    BUILDING,
    FROM_CLIENT,
    PROGRAM,
    REGION,
    UNITS,
    World,
    from_agent,
    from_executor,
)
from tests.hostile.mutations import is_well_formed, mutated, picture
from vcl.wire.declared import Declaration, pack
from vcl.wire.limits import log_bytes_max, rows_max, shape_bytes_max
from vcl.wire.messages import node, part, session

IDS = [10, 11, 20, 30, 31, 40, 41, 45, 60, 100, 101]
FROM_EXECUTOR = range(8)
MUTATED = {
    id(message): [
        array for array in mutated(message, IDS) if is_well_formed(session.TO_MASTER, array)
    ]
    for message in FROM_CLIENT
}
ALL = [array for arrays in MUTATED.values() for array in arrays]


@pytest.mark.parametrize("message", FROM_CLIENT, ids=lambda m: type(m).__name__)
def test_a_client(message: Any) -> None:
    world = World()
    before = picture(world.rig.core.sessions[world.honest])
    number = 0
    for array in MUTATED[id(message)]:
        if not number:
            number, said = world.open(), list[Any]()
        said.append(array)
        world.say(world.clients[number], array)
        if not world.serves(world.clients[number]) or len(said) == 12:
            world.close(number)
            number = 0
            assert picture(world.rig.core.sessions[world.honest]) == before, said
    world.finish(world.honest)


@pytest.mark.parametrize("index", FROM_EXECUTOR)
def test_an_executor(index: int) -> None:
    world = World()
    before = picture(world.rig.core.sessions[world.honest])
    number = world.open()
    message = from_executor(world, number)[index]
    hostile = list(mutated(message, range(1, 14)))
    for array in hostile:
        if not is_well_formed(part.FROM_EXECUTOR, array):
            continue
        number = number or world.open()
        world.say(world.executors[number, 1], array)
        assert number in world.rig.core.sessions, "only the executor is lost"
        if world.serves(world.executors[number, 1]) and array is not hostile[-1]:
            continue  # the next one comes on top of it
        world.finish(number, well=False)
        world.close(number)
        number = 0
        assert picture(world.rig.core.sessions[world.honest]) == before, array
    world.finish(world.honest)


@pytest.mark.parametrize("place", [1, 2])
def test_an_agent(place: int) -> None:
    for message in from_agent(2):
        for array in mutated(message, [10, 20]):
            if not is_well_formed(node.FROM_AGENT, array):
                continue
            world = World()
            before = picture(world.rig.core.sessions[world.honest])
            world.open()
            gone = 0  # the session of which it says that its executor on this node is gone
            if isinstance(message, node.ExecutorEnded) and array[2] == place:  # the start's number
                gone = array[1]
            if gone == world.honest:  # of its own node an agent may say what it wants
                world.rig.say_arrays(world.agents[place - 1], array)
            else:
                world.say(world.agents[place - 1], array)
                assert picture(world.rig.core.sessions[world.honest]) == before, array
            assert all(map(world.serves, world.clients.values())), array
            lost = [e for e, connection in world.executors.items() if not world.serves(connection)]
            assert lost == ([(gone, place)] if gone in world.clients else []), array
            if gone != world.honest:
                world.finish(world.honest)


@settings(max_examples=60)
@given(st.lists(st.sampled_from(ALL), min_size=2, max_size=6), st.data())
def test_several_after_one_another(arrays: list[list[Any]], data: st.DataObject) -> None:
    world = World()
    before = picture(world.rig.core.sessions[world.honest])
    number = world.open()
    for array in arrays:
        if not world.serves(world.clients[number]):
            break
        world.say(world.clients[number], array)
        if number in world.rig.core.sessions and world.serves(world.executors[number, 1]):
            own = data.draw(st.sampled_from(FROM_EXECUTOR))
            try:
                message = from_executor(world, number)[own]
            except StopIteration:
                continue
            world.rig.say(world.executors[number, 1], message)
            world.check(world.rig.effects)
    world.close(number)
    assert picture(world.rig.core.sessions[world.honest]) == before
    world.finish(world.honest)


def declared(data: bytes) -> session.Launch:
    arguments: list[Any] = [REGION, bytes(4)]
    return session.Launch(60, 2, [], PROGRAM, "add", [0], [64], None, arguments, data)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (session.CreateContext(60, [1, 0], True), "what can't be one"),
        (session.CreateContext(60, list(range(1, 2**16 + 2)), True), "too many devices"),
        (session.BuildProgram(60, 1, 31, session.BUILD, UNITS, ""), "31 can't be the number"),
        (session.BuildProgram(60, 1, 0, session.BUILD, UNITS, ""), "0 can't be the number"),
        (session.Write(60, 2, [], 10, 0, 8, 101), "101 can't be the number"),
        (session.Write(60, 2, [], 10, 0, 8, 0), "0 can't be the number"),
        (session.Write(60, 2, [], 10, 0, 8, 101, b"short"), "a digest of 5 bytes"),
        (session.Fill(60, 2, [], 10, 0, 6, b"123"), "a pattern of 3 bytes"),
        (session.Fill(60, 2, [], 10, 2, 8, b"1234"), "doesn't divide"),
        (session.CopyRect(60, 2, [], 10, 11, 0, 0, 8, 2, 1, 0, 16, 8, 16), "rows or slices"),
        (session.CopyRect(60, 2, [], 10, 11, 0, 0, 8, 2, 1, 8, 16, 8, 8), "rows or slices"),
        (session.Repeat(60, 4, [], []), "there is no shape 4"),
        (session.Repeat(60, 3, [], [b"1234", b"5"]), "2 values for a launch that has 1"),
        (
            declared(b"")._replace(shape=3, arguments=[REGION, bytes(shape_bytes_max)]),
            "a shape of more than 8192 bytes",
        ),
        (declared(b"\xc1")._replace(shape=257), "257 can't be the number of a shape"),
        (declared(b"\xc1"), "not a msgpack value"),
        (declared(pack([Declaration(2, 4, (8,), (0,), None, None)])), "an argument is declared"),
    ],
)
def test_what_is_refused(message: Any, text: str) -> None:
    world = World()
    number = world.open()
    world.rig.say(world.clients[number], message)
    assert text in world.rig.closed()[world.clients[number]]


def test_a_device_that_is_named_twice_is_one() -> None:
    world = World()
    number = world.open()
    world.rig.say(world.clients[number], session.CreateContext(60, [2, 1, 2], True))
    assert world.rig.core.sessions[number].session.contexts[60].devices == [2, 1]


def test_long_texts_are_cut_before_they_are_passed_on() -> None:
    world = World()
    number = world.open()
    long, log = "x" * 2**21, "x" * (log_bytes_max + 2**16)
    rig, executor = world.rig, world.executors[number, 1]
    fields = [BUILDING, -11, long, [[1, -11, log]] * 3, []]  # all together too long only
    rig.say(executor, part.BuildDone(*fields))
    rig.say(world.executors[number, 2], part.BuildDone(*fields))
    (built,) = [m for m in rig.sent(world.clients[number]) if isinstance(m, session.Built)]
    assert 2**20 < len(built.message) < 2**20 + 100
    lengths = [len(log) for _, _, log in built.logs]
    assert len(lengths) == 6 and log_bytes_max < max(lengths) < log_bytes_max + 100
    assert sum(lengths) < 2**20
    rig.say(executor, part.Done([[1, -5, 0, 0, long, None]]))
    failure = rig.core.sessions[number].session.commands[41].failure
    assert failure is not None and 2000 < len(failure) < 2100


def test_however_much_ends_at_once_is_told_in_messages_that_travel() -> None:
    world = World()
    number = world.open()
    client = world.clients[number]
    for first in range(1000, 3000, 250):
        markers = [session.Marker(e, 3, [20], False) for e in range(first, first + 250)]
        world.rig.say(client, *markers)
    world.rig.say(client, session.SetUserEvent(20, 0))
    world.check(world.rig.effects)
    done = [m for m in world.rig.sent(client) if isinstance(m, session.EventsDone)]
    assert max(len(m.events) for m in done) == rows_max
    assert sum(len(m.events) for m in done) > 2000
