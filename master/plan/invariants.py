"""What holds in a session after every commit, and of every plan: for tests and simulations.

Owns: the statements. Must not know: how they come to hold. A violation is an AssertionError.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import prod

from master.access.extents import in_order
from master.commands import COMPLETE
from master.ledger import Ledger
from master.plan.plan import CLIENT_END, Kind, Plan, Step
from master.plan.residency import SETTLED, Buffer
from vcl.ndrange import NDRange


def check(ledger: Ledger, buffers: Mapping[int, Buffer]) -> None:
    """State of a session."""
    given: dict[int, Counter[int]] = {}
    for number, operation in ledger.live.items():
        assert number == operation.id, "an operation is known by its id"
        command = operation.command
        if command is not None:
            assert command.state != COMPLETE, f"operation {number} outlives its command"
            assert number in command.operations, f"operation {number} isn't known to its command"
        for transfer in operation.receives:
            record = ledger.transfers[transfer]
            assert (record.receiver, record.receiver_node) == (number, operation.node)
        for one in operation.gives:
            given.setdefault(id(one.buffer), Counter())[one.version] += 1
    for number, record in ledger.transfers.items():
        if record.receiver:
            receiver = ledger.live.get(record.receiver)
            assert receiver is not None and number in receiver.receives, f"transfer {number}"
    for buffer in buffers.values():
        check_buffer(buffer, given.get(id(buffer), Counter()))


def check_buffer(buffer: Buffer, given: Counter[int]) -> None:
    """given: how many operations under way give each version of it."""
    held: Counter[int] = Counter()
    position = 0
    for start, end, contents in buffer.contents.segments(0, buffer.size):
        assert start == position < end, "one version of every byte"
        position = end
        assert contents.holders <= buffer.touched.keys(), "holders are known places with memory"
        for device in contents.holders:
            held[device] += end - start
        if contents.version:
            somewhere = bool(contents.holders) or contents.staging is not None
            assert somewhere != (contents.lost is not None), f"bytes {start}..{end}: lost or not"
        if contents.version == SETTLED:
            # Which may have been lost since.
            assert (contents.holders or contents.lost is not None) and contents.staging is None
    assert position == buffer.size
    assert +Counter(buffer.held) == held, "the bytes that each device holds are counted"
    assert buffer.touched.keys() == buffer.nodes.keys()
    assert buffer._given == given, "versions that are under way are counted"


def check_plan(plan: Plan) -> None:
    """Steps are in order, transfers have both their ends, and the parts are the NDRange."""
    for number, (source, destination, _) in enumerate(plan.transfers):
        if source != CLIENT_END:
            assert plan.steps[source].sends == number
        if destination != CLIENT_END:
            assert number in plan.steps[destination].receives
            assert source < destination, "what is received was sent before"
    for number, step in enumerate(plan.steps):
        for transfer in step.receives:
            assert plan.transfers[transfer].destination == number
        if step.sends is not None:
            assert plan.transfers[step.sends].source == number
    if plan.answer is None:
        return
    runs = [step for step in plan.steps if step.kind is Kind.RUN]
    assert [step.part for step in runs] == list(range(len(runs)))
    pieces = [step.piece for step in runs if step.piece is not None]
    _check_disjoint(pieces)
    for step in plan.steps:
        if step.kind is Kind.MERGE and step.piece is not None:
            items = sum(prod(piece.global_size) for piece in pieces)
            assert items == prod(step.piece.global_size), "the parts cover the NDRange"
            _check_merge(plan, step)


def _check_merge(plan: Plan, merge: Step) -> None:
    """What parts may write is what they kept before, and send after; the home keeps all of it."""
    rows = [(number, at, at + size) for number, at, size, _, _ in plan.regions]
    assert rows == list(merge.writes), "the merge writes its regions"
    for one, other in pairwise(sorted(rows)):
        assert one[0] != other[0] or one[2] <= other[1], "regions of a merge are apart"
    kept = {s.place.device: s.reads for s in plan.steps if s.kind is Kind.SNAPSHOT}
    assert kept.get(merge.place.device, ()) == merge.writes, "the home keeps all that is merged"
    sent = {}
    for transfer in merge.receives:
        source, _, pieces = plan.transfers[transfer]
        step = plan.steps[source]
        sent[step.place.device] = step.reads
        named = []
        for index, offset, size in pieces:
            number, at, whole, element, _ = plan.regions[index]
            assert offset + size <= whole, "a piece is inside its region"
            assert not offset % element, "from an element"
            assert offset + size == whole or not size % element, "to an element"
            named.append((number, at + offset, at + offset + size))
        assert named == list(step.reads), "the merge is told what the part sends"
    for step in plan.steps:
        if step.kind is Kind.RUN:
            for number, start, end in step.reads:
                again = in_order([r[1:] for r in (*merge.reads, *rows) if r[0] == number])
                inside = any(a <= start and end <= b for a, b in again)
                assert inside, "the home's rerun is ordered with what any part reads"
        if step.kind is Kind.RUN and step.place is not merge.place:
            assert kept.get(step.place.device, ()) == step.writes, "a part keeps what it may write"
            assert sent.get(step.place.device, ()) == step.writes, "and sends its changes"
        elif step.kind is Kind.RUN:
            inside = all(
                any(n == m and a <= start and end <= b for m, a, b in rows)
                for n, start, end in step.writes
            )
            assert inside, "what the home's part writes is merged"


def _check_disjoint(pieces: Sequence[NDRange]) -> None:
    for index, one in enumerate(pieces):
        for other in pieces[:index]:
            ranges = zip(
                one.global_offset, one.global_size, other.global_offset, other.global_size,
                strict=True,
            )  # fmt: skip
            assert any(a + n <= b or b + m <= a for a, n, b, m in ranges), "parts are disjoint"
