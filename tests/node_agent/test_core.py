"""The executor's core: operations in, what the driver and the connections are told, reports out.

Long because one core has all kinds of operations in all their orders.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_agent.core import ExecutorCore
from node_agent.effects import DropSnapshot, Report, Start, StartMerge, Store, Unmap
from node_agent.inputs import BuildEnded, BytesReady, Ended, FromEndpoint, FromMaster, Streamed
from vcl.errors import EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST as DEPENDENCY_FAILED
from vcl.errors import OUT_OF_RESOURCES, RemoteProtocolError
from vcl.transfers import GrantCredit, Stream
from vcl.wire.frame import CHUNK, CREDIT, BulkFrame
from vcl.wire.limits import eager_bytes_max
from vcl.wire.messages import part

HERE, OTHER, CLIENT = 1, 2, 0
NOW = 99
BIG = eager_bytes_max + 1


class Rig:
    def __init__(self) -> None:
        self.core = ExecutorCore()

    def feed(self, *inputs: Any) -> list[Any]:
        return self.core.handle(inputs, NOW)

    def order(self, *messages: Any) -> list[Any]:
        return self.feed(FromMaster(list(messages)))

    def chunk(self, transfer: int, offset: int, data: bytes, last: bool = True, source: int = OTHER
              ) -> list[Any]:  # fmt: skip
        bulk = BulkFrame(CHUNK, last, HERE, source, transfer, offset, data)
        return self.feed(FromEndpoint(bulk))

    def credit(self, transfer: int) -> list[Any]:
        return self.feed(FromEndpoint(BulkFrame(CREDIT, False, HERE, OTHER, transfer, 0, b"")))

    def cancel(self, transfer: int) -> list[Any]:
        return self.order(part.CancelTransfer(transfer, "the other end is gone"))


def run(operation: int, *waits: int) -> part.Run:
    return part.Run(operation, list(waits), 1, 5, "k", [0], [4], [4], [])


def send(operation: int, *waits: int, size: int = 8) -> part.Send:
    return part.Send(operation, list(waits), 1, 10, 0, size, 100 + operation, OTHER)


def receive(operation: int, *waits: int, size: int = 8) -> part.Receive:
    return part.Receive(operation, list(waits), 1, 10, 0, size, 100 + operation, OTHER)


def merge(operation: int, *waits: int, transfers: tuple[tuple[int, int], ...]) -> part.Merge:
    rows: list[list[Any]] = [[*pair, [[0, 0, 8]]] for pair in transfers]
    regions = [[10, 0, 8, 4, 0]]
    return part.Merge(
        operation, list(waits), 1, 3, regions, rows, 5, "k", [0], [4], [4], []
    )  # fmt: skip


def done(*entries: list[Any]) -> Report:
    return Report([part.Done([list(entry) for entry in entries])])


# Driver


def test_what_the_driver_refused_fails_alone() -> None:
    """It ends when what it waited for has, and what waits for it goes on with the same bytes."""
    r = Rig()
    r.order(run(1), run(2, 1), send(3, 2))
    refused = Ended(2, -52, 0, 0, "no", part.UNTOUCHED)
    assert r.feed(refused) == [], "the one before it still runs"
    ended = r.feed(Ended(1, 0, 5, 6))
    assert done([1, 0, 5, 6, None, None], [2, -52, 0, 0, "no", part.UNTOUCHED]) in ended
    bytes_sent = r.feed(BytesReady(3, (b"12345678",), 7))
    assert [type(one) for one in bytes_sent] == [Stream]


def test_what_was_refused_behind_a_failure_isn_t_harmless() -> None:
    r = Rig()
    r.order(run(1), run(2, 1), run(3, 2))
    r.feed(Ended(2, -52, 0, 0, "no", part.UNTOUCHED))
    (report,) = r.feed(Ended(1, -5, 5, 6, "broken"))
    assert [row[:2] + row[5:] for row in report.messages[0].operations] == [
        [1, -5, None],
        [2, -52, None],
    ]
    assert r.core.operations_count == 1, "the third is with the driver, and is doomed"
    (report,) = r.feed(Ended(3, 0, 8, 9))
    assert report.messages[0].operations[0][1] == DEPENDENCY_FAILED


def test_what_the_drivers_queue_orders_is_handed_over_at_once() -> None:
    r = Rig()
    fill = part.FillRegion(2, [1], 1, 10, 0, 8, b"x")
    assert r.order(run(1), fill, send(3, 2)) == [Start(run(1)), Start(fill), Start(send(3, 2))]
    assert r.core.operations_count == 3
    assert r.feed(Ended(1, 0, 5, 6), Ended(2, 0, 6, 7)) == [
        done([1, 0, 5, 6, None, None], [2, 0, 6, 7, None, None])
    ]
    assert r.core.operations_count == 1


def reports(effects: list[Any]) -> list[tuple[list[int], bool]]:
    """(operations, whether it is told soon) of each report."""
    told = [e for e in effects if isinstance(e, Report)]
    return [([row[0] for row in r.messages[0].operations], r.soon) for r in told]


def test_what_is_told_soon() -> None:
    """The end of what the master said last, as a program may wait for that; and of all there is."""
    r = Rig()
    r.order(run(1), run(2, 1), run(3, 2))
    r.order(run(4, 3), run(5, 4))
    assert reports(r.feed(Ended(1, 0, 5, 6), Ended(2, 0, 6, 7))) == [([1, 2], False)]
    assert reports(r.feed(Ended(3, 0, 7, 8))) == [([3], True)]
    assert reports(r.feed(Ended(4, 0, 8, 9))) == [([4], False)]
    assert reports(r.feed(Ended(5, 0, 9, 9))) == [([5], True)]
    assert not r.core._last


def test_what_leaves_nothing_to_be_done_is_told_soon() -> None:
    r = Rig()
    r.order(run(1), part.Allocate(1, 11, 64))
    assert reports(r.feed(Ended(1, 0, 5, 6))) == [([1], True)]


def test_a_failure_is_told_soon() -> None:
    r = Rig()
    r.order(run(1), run(2), run(3))
    assert reports(r.feed(Ended(1, -5, 5, 6, "broken"))) == [([1], True)]


def test_what_it_does_not_order_waits_for_the_end() -> None:
    r = Rig()
    free = part.Free(2, [1], 1, 10)
    assert r.order(run(1), free) == [Start(run(1))]
    assert r.feed(Ended(1, 0, 5, 6)) == [Start(free), done([1, 0, 5, 6, None, None])]


def test_a_run_that_told_its_shape_may_be_said_again() -> None:
    r = Rig()
    told = run(1)._replace(arguments=[[1, 10, 0, 64], b"one", b"two"], shape=3)
    r.order(told)
    (again,) = r.order(part.Again(2, [1], 3, []))
    assert again.run() == told._replace(operation=2, waits=[1], shape=0)
    (changed,) = r.order(part.Again(3, [], 3, [b"1"], 41))
    assert changed.run() == told._replace(
        operation=3, arguments=[[1, 10, 0, 64], b"1", b"two"], cause=41, shape=0
    )
    assert changed.told is again.told, "the driver finds there what it made of it"
    other = run(4)._replace(kernel="other", shape=3)
    r.order(other)
    (again,) = r.order(part.Again(5, [], 3, []))
    assert again.run() == other._replace(operation=5, shape=0)
    with pytest.raises(RemoteProtocolError, match="1 values for a launch that has 0"):
        r.order(part.Again(6, [], 3, [b"1"]))
    with pytest.raises(RemoteProtocolError, match="there is no shape 4"):
        r.order(part.Again(6, [], 4, []))
    with pytest.raises(RemoteProtocolError, match="operation 5 came twice"):
        r.order(part.Again(5, [], 3, []))


def test_memory_and_builds_start_at_once() -> None:
    r = Rig()
    allocate, build = part.Allocate(1, 10, 64), part.Build(5, 7, [1], 1, [], "")
    assert r.order(allocate, build) == [Start(allocate), Start(build)]
    built = part.BuildDone(7, 0, "", [], [])
    assert r.feed(BuildEnded(built)) == [Report([built])]
    assert r.core.operations_count == 0


def test_a_failure_ends_what_waits_for_it_and_says_why() -> None:
    r = Rig()
    r.order(run(1), run(2, 1), receive(3, 2), run(4))
    first = r.feed(Ended(1, -5, 0, 0, "broke"))
    assert first == [done([1, -5, 0, 0, "broke", None])]
    *_, report = r.feed(Ended(2, 0, 5, 6))
    assert report == done(
        [2, DEPENDENCY_FAILED, 5, 6, "broke", None], [3, DEPENDENCY_FAILED, 0, 0, "broke", None]
    )
    assert r.core.operations_count == 1


def test_memory_is_freed_even_after_a_failure() -> None:
    r = Rig()
    free = part.Free(2, [1], 1, 10)
    r.order(run(1), free)
    assert Start(free) in r.feed(Ended(1, -5, 0, 0, "broke"))


def test_a_failure_without_a_text_has_its_status() -> None:
    r = Rig()
    r.order(run(1), receive(2, 1))
    *_, report = r.feed(Ended(1, -5, 0, 0))
    assert report.messages[0].operations[1][4] == "OpenCL status -5"


def test_an_operation_comes_once() -> None:
    with pytest.raises(RemoteProtocolError, match="came twice"):
        Rig().order(run(1), run(1))


# Sending


def test_a_small_transfer_goes_at_once() -> None:
    r = Rig()
    r.order(send(1))
    assert r.feed(BytesReady(1, (b"12345678",), 4)) == [Stream(101, OTHER, (b"12345678",))]
    assert r.feed(Streamed(101)) == [Unmap(1), done([1, 0, 4, NOW, None, None])]


@pytest.mark.parametrize("early", [True, False])
def test_a_large_transfer_waits_for_credit(early: bool) -> None:
    r = Rig()
    data = (bytes(BIG),)
    r.order(send(1, size=BIG))
    stream = [Stream(101, OTHER, data)]
    if early:
        assert r.credit(101) == []
        assert r.feed(BytesReady(1, data, 4)) == stream
    else:
        assert r.feed(BytesReady(1, data, 4)) == []
        assert r.credit(101) == stream


def test_changes_are_sent_when_the_part_ended_and_their_size_is_told() -> None:
    r = Rig()
    changes = part.SendChanges(2, [1], 1, 3, [[10, 0, 8, 4]], 102, OTHER)
    assert r.order(run(1), changes) == [Start(run(1))]
    assert r.feed(Ended(1, 0, 5, 6))[0] == Start(changes)
    r.feed(BytesReady(2, (b"1234", b"56"), 4))
    assert r.feed(Streamed(102)) == [Unmap(2), done([2, 0, 4, NOW, None, 6])]


def test_a_send_that_the_driver_could_not_do() -> None:
    r = Rig()
    r.order(send(1))
    assert r.feed(Ended(1, -4, 0, 0, "no memory")) == [done([1, -4, 0, 0, "no memory", None])]


def test_bytes_of_a_failed_launch_are_not_sent() -> None:
    r = Rig()
    r.order(run(1), send(2, 1))
    r.feed(Ended(1, -54, 0, 0, "bad local size"))
    effects = r.feed(BytesReady(2, (b"12345678",), 4))
    assert not any(isinstance(e, Stream) for e in effects)


def test_a_send_whose_receiver_is_gone_ends() -> None:
    r = Rig()
    r.order(send(1, size=BIG))
    r.feed(BytesReady(1, (bytes(BIG),), 4))
    r.cancel(101)
    assert r.core.operations_count == 0


@pytest.mark.parametrize("with_driver", [True, False])
def test_a_send_whose_receiver_failed_before_its_bytes_were_there(with_driver: bool) -> None:
    r = Rig()
    before = run(1) if with_driver else receive(1)
    r.order(before, send(2, 1))
    assert r.cancel(102) == [], "what it waits for still runs"
    if with_driver:
        assert r.feed(BytesReady(2, (b"12345678",), 4)) == [], "and so it does now"
    else:
        r.chunk(101, 0, b"12345678")
    *effects, report = r.feed(Ended(1, 0, 5, 6))
    assert effects == ([Unmap(2)] if with_driver else [])
    (first, second) = report.messages[0].operations
    assert first[:2] == [1, 0] and second[:2] == [2, OUT_OF_RESOURCES if with_driver else
                                                  DEPENDENCY_FAILED]  # fmt: skip
    assert second[4] == "the other end is gone" and r.core.operations_count == 0


def test_a_transfer_has_one_operation_until_that_is_done() -> None:
    r = Rig()
    r.order(send(1))
    r.feed(BytesReady(1, (b"12345678",), 4))
    told = "operation 1 is sending already, and its transfer .* another: its bytes were there"
    with pytest.raises(RemoteProtocolError, match=told):
        r.order(send(2)._replace(transfer=101))
    r.order(receive(3))
    r.chunk(103, 0, b"12345678")
    with pytest.raises(RemoteProtocolError, match=r"operation 3 is with the driver .*: all came"):
        r.order(merge(4, transfers=((103, OTHER),)))


# Receiving


def test_credit_is_given_when_the_memory_is_free() -> None:
    r = Rig()
    wanted = receive(2, 1, size=6)
    assert r.order(run(1), wanted) == [Start(run(1))]
    assert r.chunk(102, 0, b"early", last=False) == []
    assert r.feed(Ended(1, 0, 5, 6)) == [
        GrantCredit(102, OTHER),
        Store(wanted, 0, b"early", False),
        done([1, 0, 5, 6, None, None]),
    ]
    assert r.chunk(102, 5, b"!") == [Store(wanted, 5, b"!", True)]
    assert r.feed(Ended(2, 0, 7, 8)) == [done([2, 0, 99, 8, None, None])]


def test_bytes_may_come_before_the_message_that_expects_them() -> None:
    r = Rig()
    assert r.chunk(101, 0, b"12345678") == []
    wanted = receive(1)
    assert r.order(wanted) == [GrantCredit(101, OTHER), Store(wanted, 0, b"12345678", True)]


@pytest.mark.parametrize(
    ("offset", "data", "last", "source"),
    [(1, b"x", False, OTHER), (0, b"123456789", False, OTHER), (0, b"1", True, OTHER),
     (0, b"12345678", True, CLIENT)],
)  # fmt: skip
def test_chunks_that_do_not_fit(offset: int, data: bytes, last: bool, source: int) -> None:
    r = Rig()
    r.order(receive(1))
    with pytest.raises(RemoteProtocolError):
        r.chunk(101, offset, data, last, source)


def test_a_cancelled_receive_fails_with_what_waits_for_it() -> None:
    r = Rig()
    r.order(receive(1), run(2, 1))
    (report,) = r.cancel(101)
    assert [e[:2] for e in report.messages[0].operations] == [
        [1, DEPENDENCY_FAILED], [2, DEPENDENCY_FAILED],
    ]  # fmt: skip
    assert r.cancel(101) == [] and r.core.operations_count == 0


def test_a_receive_cancelled_in_mid_transfer_drops_the_rest() -> None:
    # What came before is still being stored: nobody may have the memory until that has ended.
    r = Rig()
    wanted = receive(1)
    r.order(wanted)
    r.chunk(101, 0, b"1234", last=False)
    assert Store(wanted, 0, b"", True) in r.cancel(101)
    assert r.chunk(101, 4, b"5678") == []
    (report,) = r.feed(Ended(1, 0, 5, 6))
    assert report.messages[0].operations[0][:2] == [1, DEPENDENCY_FAILED]


def test_a_granted_receive_cancelled_before_its_first_chunk_drops_them_all() -> None:
    r = Rig()
    r.order(receive(1, size=8 << 20))
    r.cancel(101)
    for index in range(8):
        assert r.chunk(101, index << 20, bytes(1 << 20), index == 7) == []


def test_a_receive_cancelled_in_the_batch_that_announced_it() -> None:
    # As when messages were kept for an executor that wasn't ready yet.
    (report,) = Rig().order(receive(1), part.CancelTransfer(101, "gone"))
    assert report.messages[0].operations[0][:2] == [1, DEPENDENCY_FAILED]


def test_a_receive_cancelled_in_the_batch_that_dooms_it() -> None:
    r = Rig()
    r.order(run(1), receive(2, 1))
    r.feed(Ended(1, -5, 0, 0), FromMaster([part.CancelTransfer(102, "gone")]))
    assert r.core.operations_count == 0


def test_a_receive_that_the_driver_could_not_store() -> None:
    r = Rig()
    wanted = receive(1, size=12)
    r.order(wanted)
    r.chunk(101, 0, b"1234", last=False)
    assert r.feed(Ended(1, -4, 0, 0, "no memory")) == [Store(wanted, 0, b"", True)]
    assert r.chunk(101, 4, b"1234", last=False) == [] and r.chunk(101, 8, b"1234") == []
    (report,) = r.feed(Ended(1, 0, 5, 6))
    assert report.messages[0].operations[0][1] < 0
    assert r.core.operations_count == 0


def test_two_chunks_that_the_driver_could_not_store() -> None:
    # Both were on their way to it before it said so.
    r = Rig()
    r.order(receive(1))
    r.chunk(101, 0, b"1234", last=False)
    r.chunk(101, 4, b"5678")
    r.feed(Ended(1, -4, 0, 0, "no memory"))
    assert r.feed(Ended(1, -4, 0, 0, "again")) == [], "an earlier chunk may still be on its way"
    (report,) = r.feed(Ended(1, -5, 0, 0, "the queue is broken", closing=True))
    assert report.messages[0].operations[0][4] == "no memory"
    assert r.core.operations_count == 0
    assert r.feed(Ended(1, -4, 0, 0, "no memory")) == []


# Merging


def test_a_merge_starts_with_all_changes_in_the_order_of_its_message() -> None:
    r = Rig()
    message = merge(2, 1, transfers=((101, OTHER), (102, CLIENT)))
    r.order(run(1), message)
    r.chunk(102, 0, b"se", last=False, source=CLIENT)
    assert r.feed(Ended(1, 0, 5, 6))[:2] == [GrantCredit(101, OTHER), GrantCredit(102, CLIENT)]
    assert r.chunk(102, 2, b"cond", source=CLIENT) == []
    assert r.chunk(101, 0, b"first") == [StartMerge(message, (b"first", b"second"))]
    conflict = ["conflict", 10, 4]
    assert r.feed(Ended(2, 0, 7, 8, None, conflict)) == [done([2, 0, 7, 8, None, conflict])]


def test_a_merge_with_nobody_else() -> None:
    message = merge(1, transfers=())
    assert Rig().order(message) == [StartMerge(message, ())]


def test_a_merge_fails_when_one_of_its_parts_did() -> None:
    r = Rig()
    r.order(merge(1, transfers=((101, OTHER), (102, CLIENT))))
    r.chunk(102, 0, b"some", last=False, source=CLIENT)
    dropped, report = r.cancel(101)
    assert dropped == DropSnapshot(1, 3)
    assert report == done([1, DEPENDENCY_FAILED, 0, 0, "the other end is gone", None])
    assert r.chunk(102, 4, b"more", source=CLIENT) == []
    assert r.cancel(102) == [] and r.core.operations_count == 0


def test_a_merge_whose_own_part_failed() -> None:
    r = Rig()
    r.order(run(1), merge(2, 1, transfers=((101, OTHER),)))
    r.chunk(101, 0, b"first")
    *others, report = r.feed(Ended(1, -5, 0, 0, "broke"))
    assert DropSnapshot(1, 3) in others
    assert [e[:2] for e in report.messages[0].operations] == [[1, -5], [2, DEPENDENCY_FAILED]]


def test_a_merge_that_does_not_fit_together_fails_with_a_reason() -> None:
    r = Rig()
    bad = merge(2, 1, transfers=((101, OTHER), (102, CLIENT)))
    bad.transfers[1][2] = [[0, 2, 4]]
    r.order(run(1))
    credit = [GrantCredit(101, OTHER), GrantCredit(102, CLIENT)]
    assert r.order(bad) == credit, "it ends after what it waits for, its senders at once"
    *others, report = r.feed(Ended(1, 0, 5, 6))
    assert DropSnapshot(1, 3) in others
    assert not any(isinstance(e, StartMerge) for e in others)
    [[_, _, _, _, why, _]] = [row for row in report.messages[0].operations if row[0] == 2]
    assert why == "changes of bytes 2 to 6 cut an element of 4"
    assert r.chunk(101, 0, b"first") == r.chunk(102, 0, b"second", source=CLIENT) == []
    assert r.core.operations_count == 0


# Everything at once


@given(st.data())
def test_random_operations_all_end(data: st.DataObject) -> None:
    """Whatever fails, each operation is reported once, and none before what it waits for."""
    r = Rig()
    ended: dict[int, int] = {}
    waits: dict[int, list[int]] = {}
    with_driver: list[Any] = []
    streaming: list[int] = []

    def take(effects: list[Any]) -> None:
        for effect in effects:
            if isinstance(effect, Report):
                for operation, status, *_ in effect.messages[0].operations:
                    assert operation not in ended
                    # In a batch, what was doomed comes after what doomed it.
                    assert all(w in ended for w in waits[operation])
                    ended[operation] = status
            elif isinstance(effect, (Start, Store)):  # all comes in one chunk
                with_driver.append((effect.message, isinstance(effect, Store) and not effect.data))
            elif isinstance(effect, Stream):
                streaming.append(effect.transfer)

    count = data.draw(st.integers(1, 12))
    for operation in range(1, count + 1):
        earlier = [o for o in range(1, operation) if o not in ended]
        chosen = st.lists(st.sampled_from(earlier), max_size=2, unique=True)
        waits[operation] = data.draw(chosen) if earlier else []
        make = data.draw(st.sampled_from([run, send, receive]))
        take(r.order(make(operation, *waits[operation])))
        if make is receive:
            take(r.chunk(100 + operation, 0, b"12345678"))
        while with_driver and (operation == count or data.draw(st.booleans())):
            # Its queue is in order.
            message, closing = with_driver.pop(0)
            failed = data.draw(st.integers(0, 3)) == 0
            if failed or not isinstance(message, part.Send):
                status = -5 if failed else 0
                take(r.feed(Ended(message.operation, status, 1, 2, closing=closing)))
            else:
                take(r.feed(BytesReady(message.operation, (b"12345678",), 1)))
            while streaming:
                take(r.feed(Streamed(streaming.pop())))
    assert sorted(ended) == list(range(1, count + 1))
    for operation, before in waits.items():
        if any(ended[w] < 0 for w in before):
            assert ended[operation] < 0
