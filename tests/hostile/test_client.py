"""The client's core against a master and endpoints that say what no honest one says.

Whatever comes is carried out or is a RemoteProtocolError; no byte comes where none was asked for,
and no event ends twice.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.copying import CopyingCore
from tests.hostile.mutations import is_well_formed, mutated
from vcl.client_core import Answered, Ended
from vcl.errors import RemoteProtocolError
from vcl.ids import CLIENT
from vcl.transfers import GrantCredit, Stream
from vcl.wire.frame import CHUNK, CREDIT, BulkFrame, pack_bulk_header
from vcl.wire.limits import eager_bytes_max
from vcl.wire.messages import session
from vcl.wire.messages.direct import OpenLink

QUEUE, BUFFER, NODE = 100, 101, 3
BIG = eager_bytes_max + 1

EVENTS, STAGINGS, READ, LONG_READ = [1, 2, 6], [3, 4, 5], 1, 2
SAID: list[Any] = [
    session.EventsDone([[6, 0, 10, 20, None], [READ, -5, 0, 0, "node n: full"]]),
    session.Built(9, 0, "", [[1, 0, "log"]], [["f", [[1, [256, [0, 0, 0], 0, 8, 0, ""]]], []]]),
    session.Report(
        19,
        ["whole", "why", [0, 0, 0, 0], [["n", "d", [0], [64], 0.5]],
         [[1, "read", "why", [[1, 2, 0]]]]],
    ),
    session.Push(1, 3, 0, 8, NODE),
    session.Push(2, 4, 0, BIG, NODE),
    session.Pull(READ, 0, 8, 3, NODE, 0, 0),
    session.Pull(READ, 0, 8, 0, 0, 3, 0),
    session.Pull(LONG_READ, 4, 4, 0, 0, 0, 0),
    session.DropStaging([3, 5]),
    session.CancelPush(1),
    session.EndpointLost(NODE, "it crashed"),
    session.Printed(6, "n", b"one \xff\n"),
    OpenLink(NODE, "ticket", "answer", ["unix:a"]),
]
IDS = [3, 4, 5, 6, 8, 16, 100]
MUTATED = [
    array
    for message in SAID
    for array in mutated(message, IDS)
    if is_well_formed(session.TO_CLIENT, array)
]
FRAMES = st.builds(
    BulkFrame,
    st.sampled_from([CHUNK, CHUNK, CREDIT]),
    st.booleans(),
    st.sampled_from([CLIENT, CLIENT, CLIENT, 7]),
    st.sampled_from([NODE, NODE, NODE, 0, 2**32 - 1]),
    st.sampled_from([1, 2, 3, 4, 0, 2**64 - 1]),
    st.sampled_from([0, 0, 0, 4, 2**63, 2**64 - 1]),
    st.sampled_from([b"", b"1234", b"12345678", b"x" * 500]),
)


class Rig:
    """A core with two reads, three staging copies and another command under way."""

    def __init__(self) -> None:
        self.core = core = CopyingCore(2**20)
        self.memory = {READ: bytearray(24), LONG_READ: bytearray(32)}
        self.ended: list[int] = []
        for event, size in ((READ, 8), (LONG_READ, 16)):
            assert core.begin(QUEUE, 5) == event
            # Bytes on both sides that aren't the read's.
            core.expect_read(event, memoryview(self.memory[event])[8 : 8 + size])
        assert [core.stage(d) for d in (b"12345678", b"x" * BIG, b"")] == STAGINGS
        assert core.begin(QUEUE, 5) == 6
        core.take_batch([], 6)

    def say(self, array: list[Any]) -> None:
        messages = session.TO_CLIENT.unpack([array])
        self.core.printed(messages)
        self.check(self.core.from_master(messages, 99))

    def check(self, effects: list[Any]) -> None:
        for effect in effects:
            if isinstance(effect, Ended):
                self.ended += effect.events
            elif isinstance(effect, (Stream, GrantCredit)):
                head = BulkFrame(CHUNK, True, effect.endpoint, CLIENT, effect.transfer, 0, b"")
                pack_bulk_header(head)
            else:
                assert isinstance(effect, (Answered, OpenLink))

    def end(self) -> None:
        """The session is over: all has ended once, and nothing was written beside."""
        self.check(self.core.abandon(-2, "the session is over"))
        assert sorted(self.ended) == sorted(EVENTS)
        for memory in self.memory.values():
            assert not any(memory[:8]) and not any(memory[-8:])


@pytest.mark.parametrize("message", SAID, ids=lambda m: type(m).__name__)
def test_the_master(message: Any) -> None:
    for array in mutated(message, IDS):
        if not is_well_formed(session.TO_CLIENT, array):
            continue
        rig = Rig()
        try:
            rig.say(array)
            rig.say(array)
        except RemoteProtocolError:
            pass  # the runtime ends the session
        rig.end()


@settings(max_examples=800)
@given(st.lists(st.sampled_from(MUTATED) | FRAMES, min_size=2, max_size=20))
def test_several_after_one_another(steps: list[Any]) -> None:
    rig = Rig()
    try:
        for step in steps:
            if isinstance(step, BulkFrame):
                rig.check(rig.core.from_endpoint(step))
            else:
                rig.say(step)
    except RemoteProtocolError:
        pass  # the runtime ends the session
    rig.end()
