"""What may go wrong where chains are ordered at the nodes: the waits that keep it from happening.

Owns: the hazards that the master's waits prevent, one test for each. Must not know: how executors
hold to them (`tests/node_agent/test_hazards.py`).
"""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from tests.master.rigs import GLOBAL, OPERATIONS, SessionRig, kernel, place
from vcl.wire.messages import part
from vcl.wire.messages.session import (
    Copy,
    CreateBuffer,
    CreateQueue,
    CreateUserEvent,
    Fill,
    Launch,
    Marker,
    Pull,
    Read,
    Release,
    SetUserEvent,
    Write,
)

SIZE = 64
OUT_OF_ORDER = 1


def rig(properties: int = 0) -> SessionRig:
    """Queues 3 and 4 are those of devices 1 and 2; buffers 10 to 12; kernels that write and read.

    Device 1 holds buffer 10, and nothing is under way.
    """
    r = SessionRig(place(1), place(2))
    r.say(CreateQueue(3, 1, 1, properties), CreateQueue(4, 1, 2, properties))
    r.say(*(CreateBuffer(number, 1, SIZE) for number in (10, 11, 12)))
    r.build(5, kernel("write", (GLOBAL, "int*")), kernel("read", (GLOBAL, "const int*")))
    r.session.programs[5].keeps_const = True
    r.say(Fill(20, 3, [], 10, 0, SIZE, b"x"))
    r.run()
    r.clear()
    return r


def launch(event: int, name: str, queue: int = 3) -> Launch:
    return Launch(event, queue, [], 5, name, [0], [16], [4], [[1, 10, 0, SIZE]])


def the(r: SessionRig, kind: type, device: int = 1) -> Any:
    """The one message of a class that names a device."""
    (message,) = [m for m in r.said(kind) if m.device == device]
    return message


# A region is overwritten while it is being sent

SENT = {
    "to the client": Read(30, 3, [], 10, 0, SIZE),
    "to another node": Copy(30, 4, [], 10, 11, 0, 0, SIZE),
}
OVERWRITES: dict[str, tuple[list[Any], type]] = {
    "a fill": ([Fill(31, 3, [], 10, 0, SIZE, b"y")], part.FillRegion),
    "a fill of some of it": ([Fill(31, 3, [], 10, SIZE - 1, 1, b"y")], part.FillRegion),
    "a copy": ([Copy(31, 3, [], 12, 10, 0, 0, SIZE)], part.CopyRegion),
    "a launch": ([launch(31, "write")], part.Run),
    "bytes of the client": ([Write(31, 3, [], 10, 0, SIZE, 90), launch(32, "read")], part.Receive),
    "its end": ([Release([10])], part.Free),
}


@pytest.mark.parametrize("overwrite", OVERWRITES)
@pytest.mark.parametrize("sent", SENT)
@pytest.mark.parametrize("properties", [0, OUT_OF_ORDER])
def test_what_overwrites_a_region_waits_until_it_was_sent(
    sent: str, overwrite: str, properties: int
) -> None:
    """Even where neither queue nor wait lists order the commands: the bytes do."""
    r = rig(properties)
    r.say(SENT[sent])
    messages, kind = OVERWRITES[overwrite]
    r.say(*messages)
    assert the(r, part.Send).operation in the(r, kind).waits
    r.run()
    assert set(r.ended().values()) == {0}


def test_what_reads_a_region_needn_t_wait_until_it_was_sent() -> None:
    r = rig()
    r.say(SENT["to another node"], launch(31, "read"), Read(32, 3, [], 10, 0, SIZE))
    assert the(r, part.Run).waits == []
    assert [send.waits for send in r.said(part.Send, 1)] == [[], []]


# Bytes arrive while an older operation still reads or writes their region


def test_bytes_arrive_after_all_older_readers_and_writers_of_their_region() -> None:
    """Of the node's own bytes that they replace, though nobody wants those any more."""
    r = rig()
    r.say(
        launch(30, "write"),
        launch(31, "read"),
        Read(32, 3, [], 10, 0, SIZE),
        Copy(33, 3, [], 10, 12, 0, 0, SIZE),
        Fill(34, 4, [33], 10, 0, SIZE, b"y"),
        Marker(35, 3, [34], False),
        launch(36, "read"),
    )
    write, read, last = r.said(part.Run, 1)
    older = [write, read, *r.said(part.Send, 1), the(r, part.CopyRegion)]
    receive = the(r, part.Receive)
    assert receive.waits == sorted(m.operation for m in older)
    assert last.waits == [receive.operation]


# Wait lists and the order in which commands were enqueued disagree, across queues and nodes


class Player:
    """Carries out what executors are told, on bytes, in any order that waits allow."""

    def __init__(self, r: SessionRig, random: Random) -> None:
        self._r = r
        self._random = random
        self._memory: dict[tuple[int, int], bytearray] = {}
        self._transfers: dict[int, bytes] = {}
        self._done: set[int] = set()
        self.found: dict[int, bytes] = {}
        """What reads have got, by event."""

    def play(self, count: int | None = None) -> None:
        """Carry out so many operations, or all."""
        while count is None or count > 0:
            waiting = [m for m in self._r.said(OPERATIONS) if m.operation not in self._done]
            possible = [m for m in waiting if self._done.issuperset(m.waits) and self._came(m)]
            assert possible or not waiting, "each of them waits for another"
            if not possible:
                return
            message = self._random.choice(possible)
            self._do(message)
            self._done.add(message.operation)
            self._r.done(message)
            count = None if count is None else count - 1

    def _came(self, m: Any) -> bool:
        return not isinstance(m, part.Receive) or m.transfer in self._transfers

    def _of(self, device: int, buffer: int) -> bytearray:
        return self._memory.setdefault((device, buffer), bytearray(SIZE))

    def _do(self, m: Any) -> None:
        if isinstance(m, part.FillRegion):
            self._of(m.device, m.buffer)[m.offset : m.offset + m.size] = m.pattern * m.size
        elif isinstance(m, part.CopyRegion):
            data = self._of(m.device, m.source)[m.source_offset :][: m.size]
            first = m.destination_offset
            self._of(m.device, m.destination)[first : first + m.size] = data
        elif isinstance(m, part.Send):
            data = bytes(self._of(m.device, m.buffer)[m.offset : m.offset + m.size])
            self._transfers[m.transfer] = data
            for pull in self._r.told(Pull):
                if pull.transfer == m.transfer:
                    self.found[pull.event] = data
        else:
            assert isinstance(m, part.Receive)
            data = self._transfers[m.transfer]
            self._of(m.device, m.buffer)[m.offset : m.offset + m.size] = data


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("set_after", [0, 1, 2, 5])
def test_happens_before_counts_and_not_the_order_of_arrival(seed: int, set_after: int) -> None:
    """Two chains cross two queues and nodes, and the one that was enqueued first happens last.

    Each hands buffer 10 from node to node. When 40 is set, B has been planned, however little of it
    is done: so all of A is behind it on both nodes, where B's bytes are still read and sent. By
    arrival each would be before the other somewhere, and both would wait for ever.
    """
    r = rig(OUT_OF_ORDER)
    player = Player(r, Random(seed))
    r.say(
        CreateUserEvent(40, 1),
        # A, which waits for 40.
        Fill(50, 3, [40], 10, 0, SIZE, b"A"),
        Copy(51, 4, [50], 10, 11, 0, 0, SIZE),
        Fill(52, 4, [51], 10, 0, 32, b"a"),
        Read(53, 3, [52], 10, 0, SIZE),
        Read(54, 4, [51], 11, 0, SIZE),
        # B, behind it in the same queues.
        Fill(60, 4, [], 10, 0, SIZE, b"B"),
        Copy(61, 3, [60], 10, 12, 0, 0, SIZE),
        Fill(62, 3, [61], 10, 0, 32, b"b"),
        Read(63, 4, [62], 10, 0, SIZE),
        Read(64, 3, [61], 12, 0, SIZE),
    )
    b_is = {63: b"b" * 32 + b"B" * 32, 64: b"B" * SIZE}
    assert r.said(part.FillRegion) and not any(m.cause < 60 for m in r.said(OPERATIONS))
    player.play(set_after)
    r.say(SetUserEvent(40, 0))
    player.play()
    a_is = {53: b"a" * 32 + b"A" * 32, 54: b"A" * SIZE}
    assert player.found == a_is | b_is
    assert set(r.ended().values()) == {0} and len(r.ended()) == 1 + 10


@pytest.mark.parametrize("seed", range(20))
def test_a_region_that_goes_back_and_forth_is_never_mixed(seed: int) -> None:
    """In two in-order queues that only wait lists tie together, all of it under way at once."""
    r = rig()
    player = Player(r, Random(seed))
    last, wanted = 100, {}
    for step in range(6):
        here, there = (3, 4) if step % 2 else (4, 3)
        letter = bytes([ord("a") + step])
        r.say(
            Fill(last + 1, here, [last] if step else [], 10, 0, SIZE, letter),
            Read(last + 2, there, [last + 1], 10, 0, SIZE),
            Copy(last + 3, there, [last + 1], 10, 11, 0, 0, SIZE),
            Read(last + 4, here, [last + 3], 11, 0, SIZE),
        )
        wanted |= {last + 2: letter * SIZE, last + 4: letter * SIZE}
        last += 4
    player.play()
    assert player.found == wanted
