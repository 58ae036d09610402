"""The order of what came, cut into small portions."""

from __future__ import annotations

import pytest

from master.inbox import CLIENT, Inbox
from vcl.errors import RemoteProtocolError
from vcl.wire.limits import released_max
from vcl.wire.messages import part, session


def take_all(inbox: Inbox) -> list[object]:
    taken = list(inbox.kept)
    inbox.kept.clear()
    return taken


def test_what_names_many_things_is_cut() -> None:
    inbox = Inbox()
    marker = session.Marker(5, 2, [], False)
    inbox.put(CLIENT, [marker, session.Release([7, 8]), session.Release([])])
    inbox.put(3, [part.Done([[1, 0, 0, 0, None, None], [2, 0, 0, 0, None, None]])])
    assert take_all(inbox) == [
        (CLIENT, marker),
        (CLIENT, 7),
        (CLIENT, 8),
        (3, [1, 0, 0, 0, None, None]),
        (3, [2, 0, 0, 0, None, None]),
    ]


def test_the_last_words_of_an_executor_that_is_gone() -> None:
    inbox = Inbox()
    kept = inbox.kept
    for node in (1, 2, 1):
        inbox.put(node, [part.Printed(node, b"x")])
    assert inbox.take_all(1) == [part.Printed(1, b"x")] * 2
    assert take_all(inbox) == [(2, part.Printed(2, b"x"))]
    assert inbox.kept is kept, "its owner has it at hand"


def test_a_release_of_too_many_is_refused() -> None:
    inbox = Inbox()
    inbox.put(CLIENT, [session.Release([*range(released_max)])])
    with pytest.raises(RemoteProtocolError, match="more than 4096 objects"):
        inbox.put(CLIENT, [session.Release([*range(released_max + 1)])])
