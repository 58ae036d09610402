"""Outgoing and Incoming joined by links that keep order and nothing else.

The limits are small here, so that short transfers reach them.

Long because both ends are tested together, and what each must refuse.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcl.errors import RemoteProtocolError
from vcl.transfers import (
    Deliver,
    GrantCredit,
    In,
    Incoming,
    Out,
    Outgoing,
    Stream,
)

EAGER, EAGER_FRAME, EAGER_TOTAL = 8, 2, 24
SENDER, RECEIVER = 5, 9


@pytest.fixture(autouse=True, scope="module")
def small_limits() -> Iterator[None]:
    with patch.multiple(
        "vcl.transfers",
        eager_bytes_max=EAGER,
        eager_frame_bytes=EAGER_FRAME,
        eager_total_bytes_max=EAGER_TOTAL,
    ):
        yield


def is_empty(end: Outgoing | Incoming) -> bool:
    """Nothing is left of any transfer; a counter that is back at zero isn't a transfer's.

    Of cancelled ones the id may be kept: the peer may still send for them.
    """
    cancelled = (In.CANCELLED, Out.CANCELLED)
    if any(state not in cancelled for state in end.states().values()):
        return False
    return not any(
        any(kept.values()) if type(kept) is dict else kept
        for name, kept in vars(end).items()
        if name not in ("_records", "_cancelled")
    )


class Pair:
    """A sender and a receiver, what they were told, and what is on its way between them."""

    def __init__(self, contents: dict[int, tuple[bytes, ...]]) -> None:
        self.contents = contents
        self.outgoing, self.incoming = Outgoing(), Incoming()
        self.chunks: dict[int, list[tuple[int, bytes, bool]]] = {}
        self.credits: list[int] = []
        self.arrived: dict[int, bytes] = {}
        self.ended: set[int] = set()
        self.credited: set[int] = set()
        for transfer in contents:
            if transfer % 2:  # the master tells of the others when their bytes are there
                self.outgoing.expect(transfer)

    def done(self, effects: list[Any]) -> None:
        for effect in effects:
            if isinstance(effect, Stream):
                self.stream(effect)
            elif isinstance(effect, GrantCredit):
                assert effect.endpoint == SENDER
                self.credits.append(effect.transfer)
            else:
                assert isinstance(effect, Deliver)
                before = self.arrived.get(effect.transfer, b"")
                assert effect.offset == len(before) and effect.transfer not in self.ended
                self.arrived[effect.transfer] = before + bytes(effect.data)
                if effect.last:
                    self.ended.add(effect.transfer)

    def stream(self, effect: Stream) -> None:
        assert effect.endpoint == RECEIVER and effect.transfer not in self.chunks
        assert effect.data == self.contents[effect.transfer]
        offset, chunks = 0, []
        for index, piece in enumerate(effect.data):
            chunks.append((offset, bytes(piece), index == len(effect.data) - 1))
            offset += len(piece)
        self.chunks[effect.transfer] = chunks

    def begun_without_credit(self) -> int:
        return sum(
            sum(len(piece) + EAGER_FRAME for piece in self.contents[transfer])
            for transfer in self.chunks
            if transfer not in self.credited
        )

    # What may happen next to a transfer.

    def offer(self, transfer: int) -> None:
        if transfer % 2 == 0:
            self.outgoing.expect(transfer)
        self.done(list(self.outgoing.offer(transfer, RECEIVER, self.contents[transfer])))

    def expect(self, transfer: int) -> None:
        known = transfer % 3 != 0
        size = sum(map(len, self.contents[transfer]))
        self.incoming.expect(transfer, SENDER, size if known else None)

    def grant(self, transfer: int) -> None:
        self.done(self.incoming.grant(transfer))

    def chunk(self, transfer: int) -> None:
        offset, data, last = self.chunks[transfer].pop(0)
        self.done(self.incoming.chunk(SENDER, transfer, offset, data, last))

    def credit(self, transfer: int) -> None:
        self.credits.remove(transfer)
        self.credited.add(transfer)
        self.done(list(self.outgoing.credit(transfer)))


PIECES = st.lists(st.binary(max_size=14), min_size=1, max_size=4).map(tuple)


class Play:
    """A Pair, and what the master and both owners have yet to do about each transfer."""

    def __init__(self, contents: list[tuple[bytes, ...]]) -> None:
        self.pair = Pair(dict(enumerate(contents, 1)))
        self.to_offer, self.to_expect = set(self.pair.contents), set(self.pair.contents)
        self.to_grant: set[int] = set()
        self.expected: set[int] = set()
        self.cancelled: set[int] = set()

    def possible(self, cancelling: bool) -> list[tuple[str, int]]:
        pair = self.pair
        under_way = {transfer for transfer, chunks in pair.chunks.items() if chunks}
        steps = {
            "offer": self.to_offer,
            "expect": self.to_expect,
            "grant": self.to_grant,
            "chunk": under_way,
            "credit": set(pair.credits),
        }
        if cancelling:
            # The sender fails before it began; the receiver fails amid what comes.
            steps["sender_fails"] = self.to_offer - set(pair.credits)
            begun = {transfer for transfer, data in pair.arrived.items() if data}
            steps["receiver_fails"] = (under_way & begun) - self.cancelled
        return [(step, transfer) for step, of in steps.items() for transfer in sorted(of)]

    def take(self, step: str, transfer: int) -> None:
        if step == "offer":
            self.to_offer.remove(transfer)
        elif step == "expect":
            self.to_expect.remove(transfer)
            self.to_grant.add(transfer)
            self.expected.add(transfer)
        elif step == "grant":
            self.to_grant.remove(transfer)
        if step in ("sender_fails", "receiver_fails"):
            getattr(self, step)(transfer)
        else:
            getattr(self.pair, step)(transfer)

    def sender_fails(self, transfer: int) -> None:
        for left in (self.to_offer, self.to_expect, self.to_grant):
            left.discard(transfer)
        self.cancelled.add(transfer)
        assert self.pair.incoming.cancel(transfer) == (transfer in self.expected)
        assert not self.pair.outgoing.cancel(transfer)

    def receiver_fails(self, transfer: int) -> None:
        self.cancelled.add(transfer)
        assert self.pair.incoming.cancel(transfer)


@given(st.lists(PIECES, min_size=1, max_size=6), st.booleans(), st.data())
def test_any_order_delivers_the_exact_bytes(
    contents: list[tuple[bytes, ...]], cancelling: bool, data: st.DataObject
) -> None:
    play = Play(contents)
    pair = play.pair
    while possible := play.possible(cancelling):
        play.take(*data.draw(st.sampled_from(possible)))
        assert pair.begun_without_credit() <= EAGER_TOTAL
    for transfer, pieces in pair.contents.items():
        whole, arrived = b"".join(pieces), pair.arrived.get(transfer, b"")
        assert whole.startswith(arrived)
        if transfer not in play.cancelled:
            assert arrived == whole and transfer in pair.ended
    assert not pair.ended & play.cancelled
    assert is_empty(pair.outgoing) and is_empty(pair.incoming)


def offer(
    outgoing: Outgoing, transfer: int, size: int, endpoint: int = RECEIVER
) -> list[Stream]:
    """The master tells of a transfer whose bytes are there."""
    outgoing.expect(transfer)
    return outgoing.offer(transfer, endpoint, (bytes(size),))


@given(st.lists(st.integers(0, 12), max_size=12), st.data())
def test_what_is_begun_without_credit_is_bounded_by_receiver(
    sizes: list[int], data: st.DataObject
) -> None:
    outgoing = Outgoing()
    begun: dict[int, dict[int, int]] = {1: {}, 2: {}}
    held: dict[int, tuple[int, int]] = {}
    for transfer, size in enumerate(sizes, 1):
        endpoint = data.draw(st.sampled_from([1, 2]))
        room = EAGER_TOTAL - sum(begun[endpoint].values())
        streams = offer(outgoing, transfer, size, endpoint)
        assert bool(streams) == (size <= EAGER and size + EAGER_FRAME <= room)
        if streams:
            begun[endpoint][transfer] = size + EAGER_FRAME
        else:
            held[transfer] = endpoint, size
        known = [*begun[1], *begun[2], *held]
        credited = data.draw(st.none() | st.sampled_from(known))
        if credited is not None:
            streams = outgoing.credit(credited)
            assert [s.transfer for s in streams] == ([credited] if credited in held else [])
            for table in (begun[1], begun[2], held):
                table.pop(credited, None)
    for transfer in [*begun[1], *begun[2], *held]:
        outgoing.credit(transfer)
    assert is_empty(outgoing)


def test_credit_may_come_before_the_bytes() -> None:
    outgoing = Outgoing()
    assert outgoing.credit(1) == []
    assert offer(outgoing, 1, 100) == [Stream(1, RECEIVER, (bytes(100),))]
    assert is_empty(outgoing)


def test_one_slow_transfer_holds_up_no_other() -> None:
    outgoing = Outgoing()
    assert offer(outgoing, 1, 100) == []
    assert offer(outgoing, 2, 100) == []
    assert [s.transfer for s in outgoing.credit(2)] == [2]
    assert [s.transfer for s in outgoing.credit(1)] == [1]


# Cancelling


def test_a_transfer_that_waits_for_credit_can_be_cancelled() -> None:
    outgoing = Outgoing()
    offer(outgoing, 1, 100)
    assert outgoing.cancel(1)
    assert is_empty(outgoing)


def test_cancelling_what_was_begun_gives_its_room_back() -> None:
    outgoing = Outgoing()
    for transfer in (1, 2):
        assert offer(outgoing, transfer, EAGER)
    assert offer(outgoing, 3, EAGER) == []
    assert not outgoing.cancel(1)
    assert offer(outgoing, 4, EAGER)
    for transfer in (2, 3, 4):
        outgoing.cancel(transfer)
    assert is_empty(outgoing)


def test_cancelling_drops_a_credit_that_came_first() -> None:
    outgoing = Outgoing()
    outgoing.credit(1)
    assert not outgoing.cancel(1)
    assert not outgoing.cancel(1)
    assert is_empty(outgoing)


@pytest.mark.parametrize("granted", [False, True])
def test_an_expected_transfer_can_be_cancelled(granted: bool) -> None:
    incoming = Incoming()
    incoming.expect(1, SENDER, 10)
    if granted:
        incoming.grant(1)
    assert incoming.cancel(1)
    assert not incoming.cancel(1)
    assert is_empty(incoming)


def test_cancelling_drops_what_came_early() -> None:
    incoming = Incoming()
    incoming.chunk(SENDER, 1, 0, b"12345", True)
    assert not incoming.cancel(1), "it isn't expected yet"
    incoming.expect(1, SENDER, 5)
    assert incoming.cancel(1)
    assert is_empty(incoming)


@given(st.integers(1, 4))
def test_the_rest_of_a_cancelled_transfer_is_dropped(arrived: int) -> None:
    incoming = Incoming()
    incoming.expect(1, SENDER, 5)
    incoming.grant(1)
    for offset in range(5):
        if offset == arrived:
            assert incoming.cancel(1)
        effects = incoming.chunk(SENDER, 1, offset, b"x", offset == 4)
        assert bool(effects) == (offset < arrived)
    assert is_empty(incoming)


@pytest.mark.parametrize(
    ("offset", "size", "source", "may"),
    [
        (4, 6, SENDER, True),
        (6, 2, SENDER, True),
        (3, 1, SENDER, False),
        (4, 7, SENDER, False),
        (4, 6, SENDER + 1, False),
    ],
)
def test_the_memory_of_a_transfer_may_be_written_where_bytes_are_missing(
    offset: int, size: int, source: int, may: bool
) -> None:
    incoming = Incoming()
    incoming.expect(1, SENDER, 10)
    assert not incoming.may_write(SENDER, 1, 0, 10), "older readers may use it"
    incoming.grant(1)
    assert incoming.may_write(SENDER, 1, 0, 10)
    incoming.chunk(SENDER, 1, 0, b"abcd", False)
    assert incoming.may_write(source, 1, offset, size) is may
    assert not incoming.may_write(SENDER, 2, offset, size), "nobody has announced it"


@pytest.mark.parametrize("ending", ["the last chunk", "cancel", "refuse", "forget"])
def test_the_memory_of_a_transfer_that_is_over_may_not_be_written(ending: str) -> None:
    incoming = Incoming()
    incoming.expect(1, SENDER, 10)
    incoming.grant(1)
    incoming.chunk(SENDER, 1, 0, b"abcd", False)
    match ending:
        case "the last chunk":
            incoming.chunk(SENDER, 1, 4, b"efghij", True)
        case "cancel":
            incoming.cancel(1)
        case "refuse":
            incoming.refuse(1)
        case "forget":
            incoming.forget(SENDER)
    assert not incoming.may_write(SENDER, 1, 4, 6)


def test_where_only_the_sender_knows_the_size_nothing_is_written_ahead() -> None:
    incoming = Incoming()
    incoming.expect(1, SENDER, None, 10)
    incoming.grant(1)
    assert not incoming.may_write(SENDER, 1, 0, 10)


# Misuse by the peer


def expecting(size: int | None = 4, *, granted: bool = True) -> Incoming:
    incoming = Incoming()
    incoming.expect(1, SENDER, size)
    if granted:
        incoming.grant(1)
    return incoming


@pytest.mark.parametrize(
    ("offset", "data", "last", "text"),
    [
        (1, b"abc", True, "bytes 1 to 4 came, after 0 of 4"),
        (0, b"abcde", True, "bytes 0 to 5 came, after 0 of 4"),
        (0, b"abcde", False, "bytes 0 to 5 came"),
        (0, b"abc", True, "ended after 3 of 4 bytes"),
        (0, b"", True, "ended after 0 of 4 bytes"),
    ],
)
@pytest.mark.parametrize("early", [False, True])
def test_a_chunk_that_does_not_fit(
    offset: int, data: bytes, last: bool, text: str, early: bool
) -> None:
    incoming = expecting(granted=not early)
    with pytest.raises(RemoteProtocolError, match=text):
        incoming.chunk(SENDER, 1, offset, data, last)
        incoming.grant(1)


def test_a_repeated_chunk() -> None:
    incoming = expecting()
    incoming.chunk(SENDER, 1, 0, b"ab", False)
    with pytest.raises(RemoteProtocolError, match="bytes 0 to 2 came, after 2 of 4"):
        incoming.chunk(SENDER, 1, 0, b"ab", False)


def test_a_gap_where_only_the_sender_knows_the_size() -> None:
    incoming = expecting(None)
    incoming.chunk(SENDER, 1, 0, b"ab", False)
    with pytest.raises(RemoteProtocolError, match="after 2 of None"):
        incoming.chunk(SENDER, 1, 3, b"ab", True)


def test_the_wrong_endpoint() -> None:
    with pytest.raises(RemoteProtocolError, match="wrong endpoint"):
        expecting().chunk(SENDER + 1, 1, 0, b"abcd", True)
    incoming = Incoming()
    incoming.chunk(SENDER + 1, 1, 0, b"abcd", True)
    with pytest.raises(RemoteProtocolError, match="wrong endpoint"):
        incoming.expect(1, SENDER, 4)


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 12)), min_size=1))
def test_what_comes_without_credit_is_bounded_by_sender(chunks: list[tuple[int, int]]) -> None:
    incoming = Incoming()
    held = dict.fromkeys((1, 2, 3), 0)
    for transfer, (endpoint, size) in enumerate(chunks):
        held[endpoint] += size + EAGER_FRAME
        if held[endpoint] > EAGER_TOTAL:
            with pytest.raises(RemoteProtocolError, match="without credit; 24 are allowed"):
                incoming.chunk(endpoint, transfer, 0, bytes(size), False)
            return
        assert incoming.chunk(endpoint, transfer, 0, bytes(size), False) == []


def test_frames_without_payload_count_too() -> None:
    incoming = Incoming()
    for transfer in range(EAGER_TOTAL // EAGER_FRAME):
        assert incoming.chunk(SENDER, transfer, 0, b"", False) == []
    with pytest.raises(RemoteProtocolError, match="without credit"):
        incoming.chunk(SENDER, 99, 0, b"", True)


def test_the_smallest_transfers_that_a_sender_begins_are_never_too_many() -> None:
    outgoing, incoming = Outgoing(), Incoming()
    begun = 0
    for transfer in range(2 * EAGER_TOTAL):
        for stream in offer(outgoing, transfer, 0):
            incoming.chunk(SENDER, stream.transfer, 0, b"", True)
            begun += 1
    assert begun == EAGER_TOTAL // EAGER_FRAME


def test_credit_for_what_nobody_announced_is_bounded() -> None:
    outgoing = Outgoing()
    outgoing.expect(1)
    with patch("vcl.transfers.transfers_unannounced_max", 3):
        for transfer in (1, 2, 3, 4):
            outgoing.credit(transfer)
        outgoing.expect(2)
        outgoing.credit(5)
        with pytest.raises(RemoteProtocolError, match="too many transfers"):
            outgoing.credit(6)
    assert offer(outgoing, 3, 100) and outgoing.offer(1, RECEIVER, (bytes(100),))


def test_of_cancelled_transfers_the_last_are_remembered() -> None:
    incoming, outgoing = Incoming(), Outgoing()
    with patch("vcl.transfers.transfers_cancelled_max", 2):
        for transfer in (1, 2, 3):
            incoming.expect(transfer, SENDER, 4)
            assert incoming.cancel(transfer)
            outgoing.cancel(transfer)
    assert incoming.states() == {2: In.CANCELLED, 3: In.CANCELLED}
    assert outgoing.states() == {2: Out.CANCELLED, 3: Out.CANCELLED}


def test_a_transfer_is_announced_once() -> None:
    incoming, outgoing = expecting(), Outgoing()
    outgoing.expect(1)
    for announce in (lambda: incoming.expect(1, SENDER, 4), lambda: outgoing.expect(1)):
        with pytest.raises(RemoteProtocolError, match=r"is (offered|granted) already"):
            announce()


def test_what_only_the_sender_knows_the_size_of_is_bounded() -> None:
    incoming = Incoming()
    incoming.expect(1, SENDER, None, most=5)
    incoming.grant(1)
    assert incoming.chunk(SENDER, 1, 0, b"", False) == [], "nothing to deliver"
    assert incoming.chunk(SENDER, 1, 0, b"abc", False)
    with pytest.raises(RemoteProtocolError, match="after 3 of at most 5"):
        incoming.chunk(SENDER, 1, 3, b"def", False)


def test_an_endpoint_that_is_gone_leaves_nothing_at_a_receiver() -> None:
    incoming, other = Incoming(), SENDER + 1
    for transfer, endpoint in ((1, SENDER), (2, SENDER), (3, other)):
        incoming.expect(transfer, endpoint, 4)
    incoming.grant(1)
    assert incoming.chunk(SENDER, 1, 0, b"ab", False)
    for transfer in (2, 4):
        assert incoming.chunk(SENDER, transfer, 0, b"ab", False) == []
    assert incoming.chunk(SENDER, 5, 0, b"all", True) == []
    assert incoming.forget(SENDER) == [1, 2]
    for transfer in (1, 2, 4):
        assert incoming.chunk(SENDER, transfer, 2, b"cd", True) == [], "it was on its way"
    assert incoming.forget(SENDER) == []
    incoming.grant(3)
    assert incoming.chunk(other, 3, 0, b"abcd", True) == [Deliver(3, 0, b"abcd", True)]
    assert is_empty(incoming)


def test_what_can_not_happen_is_told_with_the_story() -> None:
    outgoing, incoming = Outgoing(), Incoming()
    outgoing.expect(7)
    outgoing.credit(7)
    text = "transfer 7 is granted already, and it got credit: the master announced it, then it got"
    with pytest.raises(RemoteProtocolError, match=text):
        outgoing.credit(7)
    incoming.expect(8, SENDER, 4)
    incoming.grant(8)
    incoming.chunk(SENDER, 8, 0, b"ab", False)
    with pytest.raises(RemoteProtocolError, match="8 is streaming already, and the master announ"):
        incoming.expect(8, SENDER, 4)
