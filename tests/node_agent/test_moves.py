"""Each state of an operation that moves bytes is reached and left, and nothing follows its end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from node_agent.inputs import BytesReady
from node_agent.merge import pack_changes
from node_agent.moves import (
    MERGE,
    RECEIVE,
    SEND,
    At,
    Gathering,
    Happens,
    Sending,
    misfit,
    packed_bytes_max,
)
from vcl.errors import RemoteProtocolError
from vcl.wire.messages import part

MESSAGE = part.Merge(2, [], 1, 3, [], [[102, 0, []], [101, 0, []]], 5, "k", [0], [4], [4], [])


@pytest.mark.parametrize(
    ("table", "first"), [(SEND, At.AWAITED), (RECEIVE, At.EXPECTED), (MERGE, At.EXPECTED)]
)
def test_every_state_is_reached_and_left(table: Any, first: At) -> None:
    states = {state for state, _ in table}
    assert {first, *table.values()} == states | {At.DONE} and At.DONE not in states
    reached = {first}
    for _ in states:
        reached |= {after for (state, _), after in table.items() if state in reached}
    assert reached == states | {At.DONE}
    # The other end may fail at any time, and tells it once or twice.
    assert all((state, Happens.CANCEL) in table for state in states)


def test_every_state_and_happening_is_in_a_table() -> None:
    tables = (SEND, RECEIVE, MERGE)
    assert {one for table in tables for one, _ in table} == {*At} - {At.DONE}
    assert {one for table in tables for _, one in table} == {*Happens} - {Happens.NAMED_AGAIN}


def test_what_cannot_happen_tells_what_did() -> None:
    record = Sending(7, message=None)
    assert record.happens(Happens.BYTES_EARLY) is At.HELD
    record.happens(Happens.SETTLED)
    story = "operation 7 is sending already, and its bytes were there: .* before .*, then what it"
    with pytest.raises(RemoteProtocolError, match=story):
        record.happens(Happens.BYTES)


def test_the_size_of_a_send_is_that_of_all_its_pieces() -> None:
    assert Sending(7, message=None, ready=BytesReady(7, (b"12", b"345"), 0)).size == 5


def test_changes_are_in_the_order_of_the_message() -> None:
    record = Gathering.of(MESSAGE)
    assert record.missing == {101, 102}
    record.chunks[101] += [b"c"]
    record.chunks[102] += [b"a", b"b"]
    assert record.changes == (b"ab", b"c")


@pytest.mark.parametrize("size", [1, 63, 64, 65, 4096, 10_001])
@pytest.mark.parametrize("element", [1, 2, 4, 8, 16])
def test_changes_are_no_longer_than_is_allowed(size: int, element: int) -> None:
    before = np.zeros(size, np.uint8)
    for after in (before + 1, before + (np.arange(size) % 64 == 0).astype(np.uint8)):
        assert 8 + len(pack_changes(before, after, element)) <= packed_bytes_max(size)


@pytest.mark.parametrize(
    ("region", "pieces", "why"),
    [
        ([10, 0, 64, 4, 0], [[0, 0, 64]], None),
        ([10, 0, 64, 4, 1], [[0, 4, 4], [0, 8, 16], [0, 60, 4], [1, 0, 7]], None),
        ([10, 0, 63, 4, 0], [[0, 60, 3]], None),
        ([10, 0, 64, 8, 8], [], None),
        ([10, 0, 64, 4, 0], [[2, 0, 4]], "region 2 of 2"),
        ([10, 0, 64, 4, 0], [[0, 64, 4]], "bytes 64 to 68 of a region of 64"),
        ([10, 0, 64, 4, 0], [[0, 0, 2**62]], "of a region of 64"),
        ([10, 0, 64, 4, 0], [[0, 2, 4]], "cut an element of 4"),
        ([10, 0, 64, 4, 0], [[0, 0, 7]], "cut an element of 4"),
        ([10, 0, 64, 4, 0], [[0, 8, 8], [0, 12, 8]], "don't ascend"),
        ([10, 0, 64, 4, 0], [[0, 8, 8], [0, 8, 8]], "don't ascend"),
        ([10, 0, 64, 4, 0], [[1, 0, 7], [0, 0, 4]], "don't ascend"),
        ([10, 0, 64, 2, 1], [], "elements of 2 bytes"),
        ([10, 0, 64, 16, 7], [], "elements of 16 bytes"),
        ([10, 0, 62, 4, 2], [], "elements of 4 bytes in 62"),
    ],
)
def test_what_of_a_merge_fits_together(
    region: list[int], pieces: list[list[int]], why: str | None
) -> None:
    message = MESSAGE._replace(
        regions=[region, [11, 0, 7, 4, 0]], transfers=[[102, 0, pieces], [101, 0, [[1, 0, 4]]]]
    )
    found = misfit(message)
    assert found is None if why is None else found is not None and why in found
