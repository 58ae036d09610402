"""Versions, holders and hazards of a buffer against a model with one entry a byte."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from master.plan import residency
from master.plan.residency import SETTLED, UNTOUCHED, Buffer, Contents, readers_max
from master.plan.templates import shape_of
from master.plan.uses import Use
from vcl.region import RegionMap

SIZE = 12
DEVICES = (1, 2, 3)


def regions() -> st.SearchStrategy[tuple[int, int]]:
    ends = st.lists(st.integers(0, SIZE), min_size=2, max_size=2, unique=True)
    return ends.map(lambda pair: (min(pair), max(pair)))


def make_buffer() -> Buffer:
    buffer = Buffer(1, 1, SIZE)
    for device in DEVICES:
        buffer.touched[device] = RegionMap(SIZE, UNTOUCHED)
        buffer.nodes[device] = device
    return buffer


# Versions and holders


@dataclass
class Byte:
    version: int = 0
    holders: set[int] = field(default_factory=set)
    staging: int | None = None
    lost: bool = False


def lose(byte: Byte, device: int) -> None:
    if device in byte.holders:
        byte.holders.discard(device)
        byte.lost = not byte.holders and byte.staging is None


@given(st.data())
def test_contents_agree_with_a_model(data: st.DataObject) -> None:
    buffer = make_buffer()
    model = [Byte() for _ in range(SIZE)]
    version = 0
    given_versions = [(1, 0, SIZE, 0)]  # what may be confirmed or taken back
    steps = ["write", "give", "bring", "confirm", "take back", "lose"]
    for step in data.draw(st.lists(st.sampled_from(steps), max_size=25)):
        start, end = data.draw(regions())
        device = data.draw(st.sampled_from(DEVICES))
        touched = model[start:end]
        if step in ("write", "give"):
            version += 1
            staged = step == "write"
            contents = Contents(version, frozenset() if staged else frozenset({device}))
            if staged:
                contents = Contents(version, staging=(version, start))
            buffer.supersede(start, end, contents)
            for byte in touched:
                byte.version, byte.lost = version, False
                byte.holders = set() if staged else {device}
                byte.staging = version if staged else None
            if not staged:
                given_versions.append((device, start, end, version))
        elif step == "bring":
            for low, high, contents in list(buffer.contents.segments(start, end)):
                if contents.lost is None and device not in contents.holders:
                    buffer.add_holder(device, low, high)
                    given_versions.append((device, low, high, contents.version))
                    for byte in model[low:high]:
                        byte.holders.add(device)
        elif step == "confirm":
            holder, low, high, number = data.draw(st.sampled_from(given_versions))
            buffer.confirm_holder(holder, low, high, number)
            for byte in model[low:high]:
                if byte.version == number and holder in byte.holders:
                    byte.staging = None
        elif step == "take back":
            holder, low, high, number = data.draw(st.sampled_from(given_versions))
            buffer.drop_holder(holder, low, high, lambda c, n=number: c.version == n, "broke")
            for byte in model[low:high]:
                if byte.version == number:
                    lose(byte, holder)
        else:
            buffer.drop_holder(device, 0, SIZE, lambda _: True, "node gone")
            for byte in model:
                lose(byte, device)
        compare(buffer, model)


def compare(buffer: Buffer, model: list[Byte]) -> None:
    position = 0
    for start, end, contents in buffer.contents.segments(0, SIZE):
        assert start == position < end, "exactly one version of every byte"
        position = end
        for byte in model[start:end]:
            assert contents.version == byte.version
            assert contents.holders == byte.holders
            assert (contents.staging or (None,))[0] == byte.staging
            if contents.version:  # bytes that were never written can be made anew
                assert (contents.lost is not None) == byte.lost
                assert contents.holders or contents.staging or contents.lost
    assert position == SIZE
    for device in DEVICES:
        for start, end in ((0, SIZE), (1, SIZE)):
            held = buffer.bytes_on(start, end).get(device, 0)
            assert held == sum(device in b.holders for b in model[start:end])
    assert buffer.stagings == sorted({b.staging for b in model if b.staging is not None})


def test_a_write_is_kept_by_the_client_until_a_device_has_it() -> None:
    buffer = make_buffer()
    buffer.supersede(0, SIZE, Contents(1, staging=(7, 0)))
    buffer.add_holder(1, 0, SIZE)
    buffer.confirm_holder(1, 0, SIZE, 2)
    assert buffer.unneeded_stagings() == [], "confirmed another version"
    buffer.confirm_holder(2, 0, SIZE, 1)
    assert buffer.unneeded_stagings() == [], "confirmed by who isn't a holder"
    buffer.confirm_holder(1, 0, SIZE // 2, 1)
    assert buffer.unneeded_stagings() == [], "half of it"
    buffer.confirm_holder(1, SIZE // 2, SIZE, 1)
    assert buffer.unneeded_stagings() == [7]


def test_a_failed_receive_loses_nothing_while_the_client_has_it() -> None:
    buffer = make_buffer()
    buffer.supersede(0, SIZE, Contents(1, staging=(7, 0)))
    buffer.add_holder(1, 0, SIZE)
    buffer.drop_holder(1, 0, SIZE, lambda c: c.version == 1, "broke")
    assert list(buffer.contents.segments(0, SIZE)) == [
        (0, SIZE, Contents(1, staging=(7, 0)))
    ]  # fmt: skip


# Hazards


@dataclass
class Operation:
    id: int
    device: int
    start: int
    end: int
    writes: bool
    waits: set[int]


def behind(operations: dict[int, Operation], waits: set[int], live: set[int]) -> set[int]:
    """The unfinished operations that are over once those waited for are."""
    found: set[int] = set()
    pending = [w for w in waits if w in live]
    while pending:
        number = pending.pop()
        if number not in found:
            found.add(number)
            pending += [w for w in operations[number].waits if w in live]
    return found


@pytest.mark.parametrize("most", [1, 256])
@settings(max_examples=50)
@given(st.data())
def test_whoever_touches_a_range_waits_for_whom_it_must(most: int, data: st.DataObject) -> None:
    with patch.object(residency, "pieces_max", most):
        check_waits(data)


def check_waits(data: st.DataObject) -> None:
    buffer = make_buffer()
    operations: dict[int, Operation] = {}
    live: set[int] = set()
    for number in range(1, data.draw(st.integers(2, 30))):
        if live and data.draw(st.integers(0, 3)) == 0:
            # One that waits for nothing ends.
            idle = [n for n in sorted(live) if not operations[n].waits & live]
            live.discard(data.draw(st.sampled_from(idle)))
        start, end = data.draw(regions())
        device = data.draw(st.sampled_from(DEVICES))
        writes = data.draw(st.booleans())
        if writes:
            buffer.written_by(number, device, start, end, live, waits := set())
        else:
            buffer.read_by(number, device, start, end, live, waits := set())
        assert waits <= live
        reached = behind(operations, waits, live)
        for other in operations.values():
            meet = other.device == device and other.start < end and start < other.end
            if other.id in live and meet and (writes or other.writes):
                assert other.id in reached, "a hazard isn't waited for"
            if other.id in waits:
                assert meet and (writes or other.writes), "waits for what it needn't"
        operations[number] = Operation(number, device, start, end, writes, waits)
        live.add(number)


# Buffers in many pieces


class Versions:
    """A buffer, and what the operations under way give; settles whenever it may, or never."""

    def __init__(self, settles: bool) -> None:
        with patch.object(residency, "pieces_max", 0 if settles else 10_000):
            self.buffer = make_buffer()
        self.settles = settles
        self.last = SETTLED
        self.under_way: list[list[tuple[int, int, int, int, bool]]] = []

    def new(self) -> int:
        self.last += 1
        return self.last

    def write(self, start: int, end: int) -> None:
        number = self.new()
        self.buffer.supersede(start, end, Contents(number, staging=(number, start)))

    def make(self, device: int, start: int, end: int) -> None:
        number = self.new()
        self.buffer.supersede(start, end, Contents(number, frozenset({device})))
        self._give([(device, start, end, number, True)])

    def bring(self, device: int, start: int, end: int) -> None:
        given = []
        for low, high, contents in list(self.buffer.contents.segments(start, end)):
            if contents.lost is None and device not in contents.holders:
                number = contents.version
                if number == SETTLED:
                    number = self.new()
                    self.buffer.unsettle(low, high, number)
                self.buffer.add_holder(device, low, high)
                given.append((device, low, high, number, False))
        self._give(given)

    def _give(self, given: list[tuple[int, int, int, int, bool]]) -> None:
        for one in given:
            self.buffer.giving(one[3])
        self.under_way.append(given)

    def end(self, index: int, well: bool) -> None:
        for device, low, high, number, makes in self.under_way.pop(index):
            if well:
                self.buffer.confirm_holder(device, low, high, number)
            elif makes:
                self.buffer.lose_version(low, high, number, "broke")
            else:
                self.buffer.drop_holder(
                    device, low, high, lambda c, n=number: c.version == n, "broke"
                )
            self.buffer.gave(number)

    def lose(self, device: int) -> None:
        self.buffer.drop_holder(device, 0, SIZE, lambda _: True, "node gone")

    def settle(self) -> None:
        if not self.settles:
            # What settling does to zeros: who loses them has lost something from then on.
            for low, high, contents in list(self.buffer.contents.segments(0, SIZE)):
                if contents.version == 0 and contents.holders and not self.buffer._given.get(0):
                    self.buffer.unsettle(low, high, self.new())
        else:
            self.buffer._settle()

    def bytes(self) -> list[Any]:
        """For each byte what a user of it would see, by whatever version."""
        pieces = self.buffer.contents.segments(0, SIZE)
        return [
            (c.holders, c.staging and c.staging[1], c.lost)
            for start, end, c in pieces for _ in range(start, end)
        ]  # fmt: skip


@given(st.data())
def test_settled_bytes_are_where_they_were(data: st.DataObject) -> None:
    plain, settling = Versions(False), Versions(True)
    steps = ["write", "make", "bring", "end", "fail", "lose"]
    for step in data.draw(st.lists(st.sampled_from(steps), max_size=25)):
        start, end = data.draw(regions())
        device = data.draw(st.sampled_from(DEVICES))
        index = data.draw(st.integers(0, max(0, len(plain.under_way) - 1)))
        for one in (plain, settling):
            if step == "write":
                one.write(start, end)
            elif step == "make":
                one.make(device, start, end)
            elif step == "bring":
                one.bring(device, start, end)
            elif step == "lose":
                one.lose(device)
            elif one.under_way:
                one.end(index, step == "end")
            one.settle()
        assert settling.bytes() == plain.bytes()
    while plain.under_way:
        plain.end(0, True)
        settling.end(0, True)
    settling.settle()
    assert settling.bytes() == plain.bytes()
    seen = settling.bytes()
    changes = 1 + sum(a != b for a, b in pairwise(seen))
    if all(staging is None and lost is None for _, staging, lost in seen):
        assert len(settling.buffer.contents) == changes, "as few pieces as there are places"
    assert settling.buffer.held == plain.buffer.held


@pytest.mark.parametrize("settles", [False, True])
@given(data=st.data())
def test_a_layout_is_one_shape(settles: bool, data: st.DataObject) -> None:
    """A plan that fitted a buffer fits it again while its layout is the same."""
    one = Versions(settles)
    use = Use(one.buffer, 0, SIZE, True, 1)
    seen = {one.buffer.layout: shape_of([use], SIZE)}
    for step in data.draw(st.lists(st.sampled_from(["write", "make", "bring", "fail", "lose"]))):
        start, end = data.draw(st.sampled_from([(0, SIZE), (0, 4), (4, 8), (2, 6)]))
        device = data.draw(st.sampled_from(DEVICES))
        if step == "write":
            one.write(start, end)
        elif step == "make":
            layout = one.buffer.layout
            one.make(device, start, end)
            one.make(device, start, end)
            assert one.buffer.layout <= layout + 1 + settles, "made again it is where it was"
        elif step == "bring":
            one.bring(device, start, end)
        elif step == "lose":
            one.lose(device)
        elif one.under_way:
            one.end(0, well=False)
        one.settle()
        shape = shape_of([use], SIZE)
        assert seen.setdefault(one.buffer.layout, shape) == shape


@pytest.mark.parametrize("count", [2, 63, 64, 65, 200])
def test_a_writer_waits_for_every_reader_even_of_the_drivers_queue(count: int) -> None:
    # One may still wait for a transfer when a later one is handed to the driver: their order in
    # the driver's queue isn't that of the plan.
    buffer = make_buffer()
    live: set[int] = set()
    operations: dict[int, Operation] = {}
    for number in range(1, count + 1):
        buffer.read_by(number, 1, 0, SIZE, live, waits := set())
        operations[number] = Operation(number, 1, 0, SIZE, False, waits)
        live.add(number)
    buffer.written_by(count + 1, 1, 0, SIZE, live, waits := set())
    assert behind(operations, waits, live) == live
    assert len(waits) <= readers_max


def test_readers_that_ended_are_forgotten() -> None:
    buffer = make_buffer()
    for number in range(1, 100):
        buffer.read_by(number, 1, 0, SIZE, {number - 1}, set())
    ((_, _, touched),) = buffer.touched[1].segments(0, SIZE)
    assert len(touched.readers) <= 2
