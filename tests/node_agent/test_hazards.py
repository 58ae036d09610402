"""What may go wrong where an executor orders a chain by itself, one test for each.

Owns: the hazards of an executor alone, and of two that send to each other. Must not know: which
waits the master gives (`tests/master/test_hazards.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_agent.core import ExecutorCore
from node_agent.effects import Start, Store, Unmap
from node_agent.inputs import BytesReady, Ended, FromEndpoint, FromMaster, Streamed
from tests.node_agent.test_core import (
    BIG,
    HERE,
    NOW,
    OTHER,
    Rig,
    done,
    merge,
    receive,
    run,
    send,
)
from vcl.errors import RemoteProtocolError
from vcl.transfers import GrantCredit, Stream
from vcl.wire.frame import CHUNK, CREDIT, BulkFrame
from vcl.wire.limits import eager_total_bytes_max
from vcl.wire.messages import part


def fill(operation: int, *waits: int) -> part.FillRegion:
    return part.FillRegion(operation, list(waits), 1, 10, 0, 8, b"x")


# A region is overwritten while it is being sent

OVERWRITES: dict[str, Callable[..., Any]] = {"run": run, "fill": fill, "receive": receive}


@pytest.mark.parametrize("size", [8, BIG])
@pytest.mark.parametrize("by", OVERWRITES)
def test_nothing_overwrites_a_region_before_it_has_left(by: str, size: int) -> None:
    """Its bytes may be a mapping of the device's memory: they are there until the Send's end."""
    r = Rig()
    overwrite = OVERWRITES[by](2, 1)
    first = send(1, size=size)
    assert r.order(first, overwrite) == [Start(first)]
    bytes_sent = Stream(101, OTHER, (bytes(size),))
    effects = r.feed(BytesReady(1, (bytes(size),), 4))
    if size == BIG:
        assert effects == [], "it waits for credit"
        effects = r.credit(101)
    assert effects == [bytes_sent], "and is on its way"
    unmap, *after, _ = r.feed(Streamed(101))
    assert unmap == Unmap(1)
    assert after == [GrantCredit(102, OTHER) if by == "receive" else Start(overwrite)]


def test_what_only_reads_a_region_needn_t_wait_until_it_has_left() -> None:
    r = Rig()
    assert r.order(send(1), run(2), send(3)) == [Start(send(1)), Start(run(2)), Start(send(3))]


# A launch is handed over behind the last bytes that it needs, before the driver has stored them


def test_a_launch_is_handed_over_with_the_last_bytes_that_it_needs() -> None:
    r = Rig()
    wanted, needing, after = receive(1), run(2, 1), run(3, 2)
    r.order(wanted, needing, after, part.Free(4, [1], 1, 10))
    assert r.chunk(101, 0, b"1234", last=False) == [Store(wanted, 0, b"1234", False)]
    assert r.chunk(101, 4, b"5678") == [
        Store(wanted, 4, b"5678", True), Start(needing), Start(after),
    ]  # fmt: skip
    assert r.feed(Ended(1, 0, 5, 6))[0] == Start(part.Free(4, [1], 1, 10)), "which doesn't follow"


@pytest.mark.parametrize("follower", [run(2, 1), fill(2, 1), None])
def test_bytes_that_come_at_once_are_stored_in_line_with_what_comes_next(follower: Any) -> None:
    """And others apart, as they may be stored while a kernel runs."""
    r = Rig()
    wanted = receive(1)
    r.order(wanted, *([] if follower is None else [follower]))
    (store, *started) = r.chunk(101, 0, b"12345678")
    assert store == Store(wanted, 0, b"12345678", True, awaited=follower is not None)
    assert started == ([] if follower is None else [Start(follower)])


def test_a_launch_waits_for_bytes_of_which_only_the_end_comes_last() -> None:
    """The driver isn't told of a store without bytes what comes before it."""
    r = Rig()
    wanted, needing = receive(1), run(2, 1)
    r.order(wanted, needing)
    r.chunk(101, 0, b"12345678", last=False)
    assert r.chunk(101, 8, b"") == [Store(wanted, 8, b"", True)]
    assert r.feed(Ended(1, 0, 5, 6, closing=True))[0] == Start(needing)


def test_its_end_is_told_after_that_of_the_bytes() -> None:
    """Two threads of the driver tell of them, and whichever comes first."""
    r = Rig()
    r.order(receive(1), run(2, 1), run(3, 2), send(4, 3))
    r.chunk(101, 0, b"12345678")
    assert r.feed(Ended(2, 0, 6, 7), Ended(3, 0, 7, 8)) == []
    assert r.feed(BytesReady(4, (b"12345678",), 9)) == []
    assert r.feed(Ended(1, 0, 5, 6)) == [
        Stream(104, OTHER, (b"12345678",)),
        done([1, 0, NOW, 6, None, None], [2, 0, 6, 7, None, None], [3, 0, 7, 8, None, None]),
    ]


def test_its_end_is_told_last_though_something_else_has_doomed_it() -> None:
    r = Rig()
    r.order(run(1), receive(2), run(3, 1, 2))
    r.chunk(102, 0, b"12345678")
    r.feed(Ended(1, -5, 0, 0, "broken"))
    assert r.feed(Ended(3, 0, 6, 7)) == []
    (report,) = r.feed(Ended(2, 0, 5, 6))
    assert [row[0] for row in report.messages[0].operations] == [2, 3]


def test_a_launch_on_bytes_that_could_not_be_stored_has_failed_though_it_ran() -> None:
    r = Rig()
    r.order(receive(1), run(2, 1), send(3, 2))
    r.chunk(101, 0, b"12345678")
    r.feed(Ended(2, 0, 6, 7), BytesReady(3, (b"12345678",), 8), Ended(1, -4, 0, 0, "no memory"))
    (*effects, report) = r.feed(Ended(1, 0, 9, 9, closing=True))
    assert effects == [Unmap(3)], "nothing is sent"
    assert [row[0] for row in report.messages[0].operations if row[1] < 0] == [1, 2, 3]


# Bytes arrive while an older operation still reads or writes their region


@pytest.mark.parametrize("order", list(permutations([1, 2, 3])))
@pytest.mark.parametrize("early", [True, False])
def test_bytes_wait_until_older_readers_and_writers_of_their_region_have_ended(
    order: tuple[int, ...], early: bool
) -> None:
    """No credit is given, and what came without is kept aside."""
    r = Rig()
    wanted = receive(4, 1, 2, 3, size=8 if early else BIG)
    r.order(run(1), send(2), fill(3), wanted)
    r.feed(BytesReady(2, (b"12345678",), 4))  # which goes without credit
    if early:
        assert r.chunk(104, 0, b"newbytes") == []
    ends = {1: Ended(1, 0, 5, 6), 2: Streamed(102), 3: Ended(3, 0, 6, 7)}
    for operation in order:
        effects = r.feed(ends[operation])
        moved = [e for e in effects if isinstance(e, (GrantCredit, Store))]
        stored = [Store(wanted, 0, b"newbytes", True)] if early else []
        expected = [GrantCredit(104, OTHER), *stored] if operation == order[-1] else []
        assert moved == expected


# A transfer is stuck behind the credit of another


class Pair:
    """Two executors, 1 and 2, that send to each other; `do` carries out one of `possible`."""

    def __init__(self) -> None:
        self.cores = {1: ExecutorCore(), 2: ExecutorCore()}
        self.possible: list[tuple[int, Any]] = []
        """Inputs that may be next of an executor, by its number."""

    def order(self, end: int, *messages: Any) -> None:
        """As the master, to one of them."""
        self.feed(end, FromMaster(list(messages)))

    def feed(self, end: int, one: Any) -> None:
        """An input; what follows from it, at either end, is possible then."""
        other = 3 - end
        for effect in self.cores[end].handle([one], NOW):
            if isinstance(effect, Start) and isinstance(effect.message, part.Send):
                ready = BytesReady(effect.message.operation, (bytes(BIG),), 1)
                self.possible.append((end, ready))
            elif isinstance(effect, (Start, Store)):
                self.possible.append((end, Ended(effect.message.operation, 0, 1, 2)))
            elif isinstance(effect, GrantCredit):
                credit = BulkFrame(CREDIT, False, other, end, effect.transfer, 0, b"")
                self.possible.append((other, FromEndpoint(credit)))
            elif isinstance(effect, Stream):
                (data,) = effect.data
                chunk = BulkFrame(CHUNK, True, other, end, effect.transfer, 0, data)
                self.possible += [(other, FromEndpoint(chunk)), (end, Streamed(effect.transfer))]

    def do(self, index: int) -> None:
        """One of `possible` happens."""
        self.feed(*self.possible.pop(index))


@given(st.data())
def test_a_transfer_that_waits_for_credit_holds_up_no_other(data: st.DataObject) -> None:
    """Each end offers its transfers in an order, and can take the other's in the opposite one.

    One credit for all that a connection carries would be with the first, for ever.
    """
    pair = Pair()
    for end in (1, 2):
        to, out, back = 3 - end, 100 * end, 100 * (3 - end)
        region = [1, 10, 0, BIG]
        pair.order(
            end,
            part.Send(1, [], *region, out + 1, to),
            part.Send(2, [], *region, out + 2, to),
            part.Send(3, [], *region, out + 3, to),
            part.Receive(4, [7], *region, back + 1, to),
            part.Receive(5, [6], *region, back + 2, to),
            part.Receive(6, [], *region, back + 3, to),
            run(7, 5),
        )
    while pair.possible:
        pair.do(data.draw(st.integers(0, len(pair.possible) - 1)))
    assert [core.operations_count for core in pair.cores.values()] == [0, 0]


# A chunk is sent again, or out of its place


PLACES = {"again": 0, "with bytes that came": 2, "with bytes missing before it": 5}


@pytest.mark.parametrize("offset", PLACES.values(), ids=list(PLACES))
@pytest.mark.parametrize("early", [True, False])
def test_a_chunk_out_of_its_place_is_a_protocol_error(offset: int, early: bool) -> None:
    """Whether it comes before there is credit or afterwards, its bytes get to no memory."""
    r = Rig()
    r.order(run(1), receive(2, *([1] if early else [])))
    r.chunk(102, 0, b"1234", last=False)
    if early:
        assert r.chunk(102, offset, b"xyz", last=False) == []
    story = f"transfer 102: bytes {offset} to {offset + 3} came, after 4 of 8"
    with pytest.raises(RemoteProtocolError, match=story):
        r.feed(Ended(1, 0, 5, 6)) if early else r.chunk(102, offset, b"xyz", last=False)


def test_a_chunk_after_the_last_is_a_protocol_error_while_the_transfer_waits() -> None:
    r = Rig()
    r.order(run(1), receive(2, 1))
    r.chunk(102, 0, b"12345678")
    r.chunk(102, 8, b"", last=False)
    with pytest.raises(RemoteProtocolError, match="102 is stored already, and a chunk came"):
        r.feed(Ended(1, 0, 5, 6))


@pytest.mark.parametrize("stored", [True, False])
def test_a_chunk_after_the_last_gets_to_no_memory(stored: bool) -> None:
    """Once all came it is one of a transfer that nobody has announced: of those few bytes are kept.

    No number comes twice, so nobody ever announces it.
    """
    r = Rig()
    r.order(receive(1))
    r.chunk(101, 0, b"12345678")
    if stored:
        r.feed(Ended(1, 0, 5, 6))
    size = eager_total_bytes_max // 4
    for _ in range(3):
        assert r.chunk(101, 0, bytes(size)) == []
    with pytest.raises(RemoteProtocolError, match="without credit"):
        r.chunk(101, 0, bytes(size))


# Bytes are read to where they belong while they come


def head(transfer: int, offset: int = 0, source: int = OTHER) -> BulkFrame:
    return BulkFrame(CHUNK, False, HERE, source, transfer, offset, b"")


def test_bytes_go_to_their_region_only_while_it_is_theirs() -> None:
    """Older readers of it have ended, and its Receive hasn't."""
    r = Rig()
    r.order(run(1), receive(2, 1))
    assert r.core.belongs(head(102), 8) is None, "the launch may read the region"
    assert r.core.belongs(head(103), 8) is None, "nobody has announced it"
    r.feed(Ended(1, 0, 5, 6))
    assert r.core.belongs(head(102), 8) == receive(2, 1)
    r.chunk(102, 0, b"1234", last=False)
    assert r.core.belongs(head(102, 4), 4) == receive(2, 1)
    assert r.core.belongs(head(102, 4), 5) is None
    assert r.core.belongs(head(102, 4, HERE), 4) is None
    r.chunk(102, 4, b"5678")
    assert r.core.belongs(head(102, 4), 4) is None


@pytest.mark.parametrize("why", ["its other end failed", "the driver refused a chunk"])
def test_the_rest_of_bytes_that_nobody_wants_goes_to_no_region(why: str) -> None:
    """Others may have brought the same bytes again by when it comes."""
    r = Rig()
    r.order(receive(2))
    r.chunk(102, 0, b"1234", last=False)
    assert r.core.belongs(head(102, 4), 4) is not None
    if why == "its other end failed":
        r.cancel(102)
    else:
        r.feed(Ended(2, -5, 0, 0, "no"))
    assert r.core.belongs(head(102, 4), 4) is None


def test_changes_for_a_merge_go_to_no_region() -> None:
    r = Rig()
    r.order(merge(1, transfers=((101, OTHER),)))
    assert r.core.belongs(head(101), 4) is None
