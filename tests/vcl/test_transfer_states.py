"""Each state of a transfer is reached and left, and nothing follows its end."""

from __future__ import annotations

from typing import Any

import pytest

from vcl.errors import RemoteProtocolError
from vcl.transfer_states import INCOMING, OUTGOING, Happens, In, Out, Record, story_length_max

TABLES = [
    *[(OUTGOING, Out, state, happens) for state in Out for happens in Happens],
    *[(INCOMING, In, state, happens) for state in In for happens in Happens],
]


@pytest.mark.parametrize(("table", "kind", "state", "happens"), TABLES)
def test_every_state_is_reached_and_left(table: Any, kind: Any, state: Any, happens: Any) -> None:
    """Each entry leads on, but for cancelled ones and repeated chunks; nothing follows the end."""
    after = table.get((state, happens))
    assert after is None or (type(after) is kind and state is not kind.DONE)
    assert state is kind.NONE or state in table.values()
    assert state is kind.DONE or any(one is state for one, _ in table)


def test_a_story_is_short() -> None:
    record = Record(7, In.NONE)
    for happens in (Happens.CHUNK, Happens.ANNOUNCED, Happens.CREDIT, *[Happens.CHUNK] * 50):
        record.take(INCOMING, happens)
    assert len(record.story) <= story_length_max
    with pytest.raises(RemoteProtocolError, match="7 is streaming already, and it got credit: a "):
        record.take(INCOMING, Happens.CREDIT)
