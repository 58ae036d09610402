"""What may go wrong at the client where chains are ordered at the nodes, one test for each.

Owns: the hazard that the thread which is to set a user event is blocked before it does. Must not
know: a real cluster (`tests/api/test_no_blocking.py`).
"""

from __future__ import annotations

import pytest

from tests.copying import CopyingCore
from vcl import client_core
from vcl.client_core import ClientCore
from vcl.wire.limits import commands_in_flight_max
from vcl.wire.messages import session

CONTEXT, QUEUE, BUFFER = 99, 100, 101
STAGING = 1024


@pytest.fixture
def core() -> ClientCore:
    return CopyingCore(STAGING)


def write(core: ClientCore, size: int, waits: list[int]) -> int:
    """A write is said, as the runtime does it; answers its staging copy."""
    staging, event = core.stage(bytes(size)), core.begin(QUEUE, 1)
    core.waits_for(event, waits)
    core.say(session.Write(event, QUEUE, waits, BUFFER, 0, size, staging))
    return staging


def gate(core: ClientCore) -> int:
    """A user event that the program hasn't set."""
    event = core.begin_user()
    core.say(session.CreateUserEvent(event, CONTEXT))
    return event


def end(core: ClientCore, status: int = 0) -> None:
    """All commands under way have ended."""
    ended = [[e, status, 0, 0, None] for e, state in core.events.items() if state.status > 0]
    core.from_master([session.EventsDone(ended)])


def test_no_write_waits_for_room_while_a_user_event_is_not_set(core: ClientCore) -> None:
    """Only the thread that writes could make some: nodes take bytes once the event is set."""
    event = gate(core)
    for _ in range(2 * STAGING // 256):
        assert core.may_stage(256)
        write(core, 256, [event])
    assert core.staged_bytes == 2 * STAGING and core.may_stage(1 << 30)
    core.set_user(event)
    assert not core.may_stage(1), "now something will make room"


def test_a_write_waits_for_room_only_while_something_makes_some(core: ClientCore) -> None:
    staging = write(core, STAGING, [])
    assert not core.may_stage(1)
    unset = gate(core)
    assert core.may_stage(1), "whether what is in flight waits for it isn't known"
    core.set_user(unset)
    core.from_master([session.DropStaging([staging])])
    assert core.may_stage(STAGING)
    write(core, STAGING, [])
    assert not core.may_stage(1)
    end(core)
    assert core.may_stage(1), "nothing is under way that could make room"


def test_no_command_waits_for_others_to_end_while_a_user_event_is_not_set(
    core: ClientCore,
) -> None:
    """At the limit itself, and past it; the other limit is an error and no wait."""
    event = gate(core)
    for _ in range(commands_in_flight_max + 1):
        assert core.may_enqueue
        core.waits_for(core.begin(QUEUE, 1), [event])
    assert core.may_enqueue
    core.set_user(event)
    assert not core.may_enqueue
    end(core, -5)
    assert core.may_enqueue


def test_every_user_event_counts(core: ClientCore, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is set says nothing of another."""
    monkeypatch.setattr(client_core, "commands_in_flight_max", 1)
    first, second = gate(core), gate(core)
    write(core, STAGING, [second])
    core.set_user(first)
    assert core.may_enqueue and core.may_stage(1)
    core.set_user(second)
    assert not core.may_enqueue and not core.may_stage(1)
