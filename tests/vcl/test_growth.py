"""What a command costs the client doesn't grow with how many others are live."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.copying import CopyingCore
from tests.master.work import lines
from vcl.client_core import ClientCore
from vcl.wire.messages import session

QUEUE, BUFFER = 100, 101
N = 200


def write(core: ClientCore) -> tuple[int, list[int]]:
    """Answers its event and staging copies."""
    assert core.may_stage(1) and core.may_say and core.may_enqueue
    staging, event = core.stage(b"x"), core.begin(QUEUE, 1)
    core.waits_for(event, [event - 2])
    core.say(session.Write(event, QUEUE, [event - 2], BUFFER, 0, 1, staging))
    return event, [staging]


def read(core: ClientCore) -> tuple[int, list[int]]:
    """Answers its event."""
    assert core.may_say and core.may_enqueue
    event = core.begin(QUEUE, 1)
    core.expect_read(event, memoryview(bytearray(4)))
    core.say(session.Read(event, QUEUE, [], BUFFER, 0, 4))
    return event, []


@pytest.mark.parametrize("gate", [False, True], ids=["free", "behind a user event"])
@pytest.mark.parametrize("command", [write, read])
def test_a_command_costs_the_same_however_many_are_live(
    command: Callable[[ClientCore], tuple[int, list[int]]], gate: bool
) -> None:
    """When it is said, when it has ended, and when it is let go; half of what may be is staged."""

    def cost(live: int) -> list[int]:
        core = CopyingCore(4 * live)
        for _ in range(2 * live):
            core.stage(b"x")
        if gate:
            core.begin_user()
        for _ in range(live):
            command(core)
        core.take_batch([], 2)
        event, stagings = command(core)
        core.take_batch([], 2)
        ended: list[object] = [session.Pull(event, 0, 4, 0, 0, 0, 0)] if command is read else []
        ended += [session.EventsDone([[event, 0, 1, 2, None]]), session.DropStaging(stagings)]
        return [
            lines(lambda: command(core)),
            lines(lambda: core.from_master(ended)),
            lines(lambda: core.take_batch([event], 3)),
        ]

    assert cost(2 * N) == cost(N)


def test_a_failure_costs_the_same_however_many_nobody_was_told_of() -> None:
    """A program that waits for each of its events is told of each, one by one."""

    def cost(count: int) -> int:
        core = CopyingCore(1)
        events = [core.begin(QUEUE, 1) for _ in range(count)]
        core.from_master([session.EventsDone([[e, -5, 1, 2, "why"] for e in events])])
        return lines(lambda: [core.told_failure(event, QUEUE) for event in events])

    assert cost(2 * N) <= 2 * cost(N)
