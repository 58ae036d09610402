"""One session: objects, the order of queues, failures, releases, and the loss of executors.

Long because a session has many kinds of objects and ends.
"""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from master import sessions
from tests.master.rigs import GLOBAL, SessionRig, kernel, place
from vcl.errors import (
    DEVICE_NOT_AVAILABLE,
    EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST,
    OUT_OF_RESOURCES,
    RemoteProtocolError,
)
from vcl.wire.messages import part

from vcl.wire.messages.session import (  # isort: skip
    BUILD, LINK, AskReport, BuildProgram, Built, CancelPush, Copy, CreateBuffer, CreateContext,
    CreateQueue, CreateUserEvent, DropStaging, EventsDone, Fill, Launch, Marker, Push, Read,
    Release, Report, SetUserEvent, Write,
)  # fmt: skip

SIZE = 1 << 20
OUT_OF_ORDER = 1
DEPENDENCY_FAILED = EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST


def rig(devices: int = 2, properties: int = 0) -> SessionRig:
    """Queue 2 is the cluster's, queue 2 + d that of device d; buffers 10 and 11; program 5."""
    made = SessionRig(*(place(d) for d in range(1, devices + 1)), properties=properties)
    made.say(*(CreateQueue(2 + d, 1, d, 0) for d in range(1, devices + 1)))
    made.say(CreateBuffer(10, 1, SIZE), CreateBuffer(11, 1, SIZE))
    made.build(5, kernel("k", (GLOBAL, "int*")))
    return made


def fill(event: int, queue: int = 3, waits: tuple[int, ...] = (), buffer: int = 10) -> Fill:
    return Fill(event, queue, list(waits), buffer, 0, SIZE, b"x")


def launch(event: int, waits: tuple[int, ...] = (), queue: int = 2) -> Launch:
    return Launch(event, queue, list(waits), 5, "k", [0], [64], [4], [[1, 10, 0, SIZE]])


# Ids and objects


@pytest.mark.parametrize(
    "message",
    [
        CreateContext(1, [1], True),
        CreateContext(0, [1], True),
        CreateContext(-1, [1], True),
        CreateQueue(2, 1, 0, 0),
        CreateQueue(90, 9, 0, 0),
        CreateQueue(90, 1, 9, 0),
        CreateBuffer(10, 1, 4),
        CreateBuffer(90, 9, 4),
        CreateBuffer(90, 1, 0),
        BuildProgram(5, 1, 90, BUILD, [["", "", [], []]], ""),
        BuildProgram(90, 9, 90, BUILD, [["", "", [], []]], ""),
        BuildProgram(90, 1, 90, BUILD, [], ""),
        BuildProgram(90, 1, 90, BUILD, [["", "", [], []], ["", "", [], []]], ""),
        BuildProgram(90, 1, 90, LINK, [[""]], ""),
        BuildProgram(90, 1, 90, 77, [["", "", [], []]], ""),
        CreateUserEvent(90, 9),
        CreateUserEvent(10, 1),
        SetUserEvent(90, 0),
        Fill(10, 3, [], 10, 0, 4, b"x"),
        Fill(90, 9, [], 10, 0, 4, b"x"),
        Fill(90, 3, [], 9, 0, 4, b"x"),
        Fill(90, 3, [], 10, -1, 4, b"x"),
        Fill(90, 3, [], 10, 0, 0, b"x"),
        Fill(90, 3, [], 10, SIZE, 1, b"x"),
        Write(90, 3, [], 10, SIZE - 1, 2, 100),
        Read(90, 3, [], 10, 0, SIZE + 1),
        Copy(90, 3, [], 10, 11, 0, 1, SIZE),
        Copy(90, 3, [], 10, 11, 1, 0, SIZE),
        Marker(90, 9, [], True),
    ],
)  # fmt: skip
def test_what_no_honest_client_says(message: Any) -> None:
    with pytest.raises(RemoteProtocolError):
        rig().say(message)


@pytest.mark.parametrize("status", [0, 1, -5])
def test_a_user_event_is_set_once_and_never_above_complete(status: int) -> None:
    r = rig()
    r.say(CreateUserEvent(20, 1), fill(21))
    if status > 0:
        with pytest.raises(RemoteProtocolError):
            r.say(SetUserEvent(20, status))
        return
    r.say(SetUserEvent(20, status))
    assert r.ended() == {20: status}
    for event in (20, 21):
        with pytest.raises(RemoteProtocolError):
            r.say(SetUserEvent(event, 0))


# Order


def test_an_in_order_queue_completes_in_order() -> None:
    r = rig()
    r.say(fill(20), fill(21, buffer=11))
    first, second = r.said(part.FillRegion)
    assert second.waits == [], "nothing in common but the queue"
    r.done(second)
    assert r.ended() == {}
    r.done(first)
    assert [e[0] for m in r.told(EventsDone) for e in m.events] == [20, 21]


def test_an_out_of_order_queue_does_not() -> None:
    r = rig(properties=OUT_OF_ORDER)
    r.say(fill(20, 2), fill(21, 2, buffer=11))
    r.done(r.said(part.FillRegion)[1])
    assert r.ended() == {21: 0}


def test_a_barrier_orders_an_out_of_order_queue() -> None:
    r = rig(properties=OUT_OF_ORDER)
    r.say(fill(20, 2), Marker(21, 2, [], True), Read(22, 2, [], 11, 0, 8))
    assert r.ended() == {}
    r.run()
    assert [e[0] for m in r.told(EventsDone) for e in m.events] == [20, 21, 22]


def test_a_marker_with_a_wait_list_waits_for_nothing_else() -> None:
    r = rig(properties=OUT_OF_ORDER)
    r.say(CreateUserEvent(20, 1), fill(21, 2, waits=(20,)), Read(22, 2, [], 11, 0, 8))
    r.say(Marker(23, 2, [22], False))
    assert r.ended() == {22: 0, 23: 0}


def test_a_marker_without_waits_for_all_before_it() -> None:
    r = rig(properties=OUT_OF_ORDER)
    r.say(CreateUserEvent(20, 1), fill(21, 2, waits=(20,)), Marker(22, 2, [], False))
    assert r.ended() == {}
    r.say(SetUserEvent(20, 0))
    r.run()
    assert r.ended() == {20: 0, 21: 0, 22: 0}


def test_a_marker_waits_for_what_an_earlier_barrier_did_not_wait_for() -> None:
    # clFinish on an out-of-order queue is such a marker.
    r = rig(properties=OUT_OF_ORDER)
    r.say(CreateUserEvent(20, 1), CreateUserEvent(21, 1))
    r.say(fill(22, 2, waits=(20,)), Marker(23, 2, [21], True), Marker(24, 2, [], False))
    r.say(SetUserEvent(21, 0))
    assert r.ended() == {21: 0, 23: 0}


def test_a_user_event_that_is_released_unset_is_dropped_unless_something_waits() -> None:
    r = rig()
    before = r.session._unfinished
    r.say(CreateUserEvent(20, 1), CreateUserEvent(21, 1), fill(22, waits=(21,)))
    assert r.session._unfinished == before + 3
    r.say(Release([20, 21]))
    assert 20 not in r.session.commands and r.session._unfinished == before + 2
    r.say(SetUserEvent(21, 0))  # no honest client, which holds it no more
    assert 21 not in r.session.commands


def test_nothing_is_planned_before_its_user_event_is_set() -> None:
    r = rig()
    r.say(CreateUserEvent(20, 1), fill(21, waits=(20,)), fill(22))
    assert r.nodes == {}
    r.say(SetUserEvent(20, 0))
    assert len(r.said(part.FillRegion)) == 2


# Failures


def test_a_failed_user_event_fails_those_that_wait_for_it_only() -> None:
    r = rig()
    r.say(CreateUserEvent(20, 1), fill(21, waits=(20,)), fill(22), Marker(23, 2, [21], False))
    r.say(SetUserEvent(20, -5))
    r.run()
    assert r.ended() == {20: -5, 21: DEPENDENCY_FAILED, 22: 0, 23: DEPENDENCY_FAILED}
    assert len(r.said(part.FillRegion)) == 1, "21 never ran"


def test_a_failed_operation_takes_its_version_back() -> None:
    r = rig()
    r.say(fill(20))
    r.done(r.said(part.FillRegion)[0], -5, "broke")
    r.say(Read(21, 2, [], 10, 0, 8))
    assert r.ended() == {20: -5, 21: OUT_OF_RESOURCES}
    _, told = r.told(EventsDone)
    assert "broke" in told.events[0][4]


def test_a_sender_that_failed_ends_its_receiver() -> None:
    r = rig()
    r.say(fill(20), Copy(21, 4, [20], 10, 11, 0, 0, SIZE))
    (send,) = r.said(part.Send)
    r.done(send, -5, "broke")
    (cancel,) = r.said(part.CancelTransfer, 2)
    assert cancel.transfer == send.transfer and "broke" in cancel.message


def test_a_receiver_that_failed_stops_the_client_and_loses_nothing() -> None:
    r = rig()
    r.say(Write(20, 3, [], 10, 0, SIZE, 100), Copy(21, 3, [], 10, 11, 0, 0, SIZE))
    (push,), (receive,), (copy,) = (
        r.told(Push), r.said(part.Receive), r.said(part.CopyRegion)
    )  # fmt: skip
    r.done(receive, -5, "broke")
    assert r.told(CancelPush) == [CancelPush(push.transfer)]
    r.done(copy, DEPENDENCY_FAILED, "broke")
    r.say(Read(22, 2, [], 10, 0, SIZE))
    assert r.ended() == {20: 0, 21: -5, 22: 0}
    assert not r.told(DropStaging)


@pytest.mark.parametrize("operations", [[[7, 0, 0, 0, None, None]], [[1, 0, 0, 0, None, None]] * 2])
def test_reports_of_operations_that_are_not_under_way(operations: list[Any]) -> None:
    r = rig()
    r.say(fill(20))
    with pytest.raises(RemoteProtocolError, match="isn't under way"):
        r.answer(1, part.Done(operations))


def test_a_report_in_the_name_of_another_node() -> None:
    r = rig()
    r.say(fill(20))
    with pytest.raises(RemoteProtocolError, match="isn't under way"):
        r.answer(2, part.Done([[1, 0, 0, 0, None, None]]))


# Reports of launches


def test_a_report_of_what_is_unknown_or_no_launch() -> None:
    r = rig()
    r.say(AskReport(90, 77), fill(20))
    r.run()
    r.say(AskReport(91, 20))
    assert r.told(Report) == [Report(90, None), Report(91, None)]


def test_a_report_asked_for_a_launch_that_was_never_planned_is_answered() -> None:
    r = rig()
    r.say(CreateUserEvent(20, 1), launch(21, waits=(20,)), AskReport(90, 21))
    r.say(SetUserEvent(20, -5))
    assert r.told(Report) == [Report(90, None)]


# Release


def test_a_buffer_is_freed_after_its_last_use() -> None:
    r = rig()
    r.say(fill(20), Copy(21, 4, [20], 10, 11, 0, 0, SIZE), Release([10]))
    (on_1,), (on_2,) = r.said(part.Free, 1), r.said(part.Free, 2)
    assert on_1.waits == [
        m.operation for m in r.nodes[1] if isinstance(m, (part.FillRegion, part.Send))
    ]
    assert on_2.waits == [
        m.operation for m in r.nodes[2] if isinstance(m, (part.Receive, part.CopyRegion))
    ]
    r.run()
    assert 10 not in r.session.buffers
    assert r.ended() == {20: 0, 21: 0}


def test_a_buffer_lives_while_a_command_that_is_not_planned_refers_to_it() -> None:
    r = rig()
    r.say(CreateUserEvent(20, 1), fill(21, waits=(20,)), Release([10, 21, 3]))
    assert 10 in r.session.buffers
    r.say(SetUserEvent(20, 0))
    assert 10 not in r.session.buffers
    r.run()
    assert r.ended() == {20: 0, 21: 0} and 21 not in r.session.commands


def test_a_released_buffer_drops_what_the_client_keeps_for_it() -> None:
    r = rig()
    r.say(Write(20, 3, [], 10, 0, SIZE, 100), Release([10]))
    assert r.told(DropStaging) == [DropStaging([100])]


def test_a_program_is_forgotten_after_its_last_launch() -> None:
    r = rig()
    r.say(launch(20), Release([5]))
    for node in (1, 2):
        (forget,), (run,) = r.said(part.ForgetProgram, node), r.said(part.Run, node)
        assert run.operation in forget.waits
    r.run()
    assert r.ended() == {20: 0} and not r.session.programs


def test_released_events_and_their_ids() -> None:
    r = rig()
    r.say(fill(20), Release([20]), Release([77]))
    r.run()
    assert r.ended() == {20: 0} and 20 not in r.session.commands
    r.say(fill(21, waits=(20,)))
    r.run()
    assert r.ended()[21] == 0, "a wait for what is complete and released is none"


# Executors lost


def test_a_lost_executor_fails_what_it_had_and_loses_its_bytes() -> None:
    r = rig()
    r.say(fill(20), fill(21, 4, buffer=11))
    r.lose(1)
    assert r.ended() == {20: DEVICE_NOT_AVAILABLE}
    r.run()
    r.say(Read(22, 2, [], 10, 0, 8), Read(23, 2, [], 11, 0, 8))
    r.run()
    assert r.ended() == {20: DEVICE_NOT_AVAILABLE, 21: 0, 22: OUT_OF_RESOURCES, 23: 0}


def test_what_another_holds_too_is_not_lost() -> None:
    r = rig()
    r.say(fill(20), Copy(21, 4, [20], 10, 11, 0, 0, SIZE))
    r.run()
    r.lose(1)
    r.say(Read(22, 2, [], 10, 0, 8))
    r.run()
    assert r.ended() == {20: 0, 21: 0, 22: 0}


def test_a_node_that_is_still_there_starts_afresh() -> None:
    r = rig(1)
    r.say(fill(20))
    r.run()
    r.lose(1, with_node=False)
    r.clear()
    r.say(fill(21), launch(22))
    allocate, refill, build, run = r.nodes[1]
    assert isinstance(allocate, part.Allocate) and refill.waits == []
    assert isinstance(build, part.Build) and isinstance(run, part.Run)
    r.run()
    assert r.ended() == {21: 0, 22: 0}


def test_the_home_of_a_merge_is_lost() -> None:
    r = rig()
    r.say(launch(20))
    r.lose(1)
    for operation in [o for o in r.session.ledger.live.values() if not o.transfer]:
        r.answer(2, part.Done([[operation.id, 0, 1, 2, None, None]]))
    assert all(o.node == 2 for o in r.session.ledger.live.values())
    r.run()
    assert r.ended() == {20: DEVICE_NOT_AVAILABLE}
    assert not r.session.ledger.transfers


def test_another_part_of_a_merge_is_lost() -> None:
    r = rig()
    r.say(launch(20))
    (merge,) = r.said(part.Merge, 1)
    r.lose(2)
    cancelled = {m.transfer for m in r.said(part.CancelTransfer, 1)}
    assert cancelled >= {t for t, _, _ in merge.transfers}
    r.done(merge, DEPENDENCY_FAILED, "cancelled")
    r.run()
    assert r.ended() == {20: DEVICE_NOT_AVAILABLE}


def test_a_sender_is_told_that_its_receiver_is_lost() -> None:
    # A large transfer waits for credit, which never comes then: the command would never end.
    r = rig()
    r.say(fill(20))
    r.run()
    r.say(Copy(21, 4, [20], 10, 11, 0, 0, SIZE))
    (send,) = r.said(part.Send, 1)
    r.lose(2)
    assert [m.transfer for m in r.said(part.CancelTransfer, 1)] == [send.transfer]


def test_a_build_goes_on_without_a_lost_node() -> None:
    r = rig()
    r.say(BuildProgram(7, 1, 6, BUILD, [["", "", [], []]], ""))
    r.answer(1, part.BuildDone(6, 0, "", [], [kernel("k")]))
    r.lose(2)
    assert [m.status for m in r.told(Built)] == [0]
    assert not r.session._builds.under_way


def test_a_user_event_set_and_released_in_one_batch() -> None:
    r = SessionRig(place(1))
    r.say(CreateUserEvent(20, 1), SetUserEvent(20, 0), Release([20]))
    assert 20 not in r.session.commands


# Limits


def test_a_session_has_so_many_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "objects_max", 10)
    r = rig()
    with pytest.raises(RemoteProtocolError, match="at most 10 objects"):
        r.say(*(CreateBuffer(100 + n, 1, 64) for n in range(7)))


def test_a_session_has_so_many_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "commands_max", 3)
    r = rig()
    for event in range(100, 110):  # ended at once: they don't count, though the client holds them
        r.say(CreateUserEvent(event, 1), SetUserEvent(event, 0))
    with pytest.raises(RemoteProtocolError, match="at most 3 commands under way"):
        r.say(*(CreateUserEvent(event, 1) for event in range(200, 204)))


def test_operations_beyond_the_limit_are_planned_when_others_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sessions, "operations_max", 4)
    r = rig()
    r.say(*(fill(20 + n) for n in range(10)))
    assert len(r.session.ledger.live) == 4
    r.run()
    assert r.ended() == {20 + n: 0 for n in range(10)}


def test_a_turn_ends_in_the_middle_and_the_next_goes_on() -> None:
    r = rig()
    r.session.from_client([fill(20), fill(21), Release([20, 21])])
    turns = 1
    while r.session.advance(lambda: True):
        turns += 1
    assert turns > 5, "one thing each"
    assert sorted(r.session.commands) == [20, 21]
    r.run()
    assert r.ended() == {20: 0, 21: 0} and not r.session.commands


def test_a_session_that_has_ended_is_let_go_in_turns() -> None:
    r = rig()
    r.say(*(fill(20 + n) for n in range(10)), CreateUserEvent(50, 1), fill(51, waits=(50,)))
    r.session.from_client([fill(60)])
    turns = 1
    while r.session.take_apart(lambda: True):
        turns += 1
    assert turns > 30
    left = [name for name, value in vars(r.session).items() if type(value) is dict and value]
    assert not left and not r.session.ledger.live and not r.session.graph.ready


def test_events_of_failed_commands_that_are_held_are_not_under_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sessions, "commands_max", 3)
    monkeypatch.setattr(sessions, "failures_held_max", 8)
    r = rig()
    for event in range(100, 108):
        r.say(CreateUserEvent(event, 1), SetUserEvent(event, -5))
    r.say(Release([100]), CreateUserEvent(200, 1), SetUserEvent(200, -5))
    with pytest.raises(RemoteProtocolError, match="at most 8 failed commands may be held"):
        r.say(CreateUserEvent(201, 1))


def test_what_is_released_but_used_and_contexts_do_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sessions, "objects_max", 10)
    r = rig()
    r.say(CreateUserEvent(50, 1))
    for n in range(20):
        r.say(CreateBuffer(100 + n, 1, 64), Fill(200 + n, 3, [50], 100 + n, 0, 64, b"x"))
        r.say(Release([100 + n]), CreateContext(300 + n, [1], False), Release([300 + n]))
    r.say(SetUserEvent(50, 0))
    r.run()
    assert r.ended()[219] == 0 and set(r.session.contexts) == {1}


def test_the_loss_of_an_executor_takes_turns_and_goes_before_all_else() -> None:
    r = rig()
    r.say(*(CreateBuffer(100 + n, 1, 64) for n in range(30)))
    r.say(*(Fill(200 + n, 3, [], 100 + n, 0, 64, b"x") for n in range(30)))
    done = r.said(part.FillRegion, 1)[0]
    r.session.from_client([Fill(300, 3, [], 100, 0, 64, b"x"), Marker(301, 3, [], True)])
    r.session.from_executor(1, [part.Done([[done.operation, 0, 1, 2, None, None]])])
    r.session.executor_lost(1, "n1 is gone")
    turns = 0
    while r.session.advance(lambda: True) and r.session._losses:
        turns += 1
        assert r.session._inbox.kept and 1 not in r.session.ledger.for_nodes
    assert turns > 60, "buffers and operations, one each"
    r._take()
    ended = r.ended()
    assert ended[200] == 0, "what it had said before holds"
    assert all(ended[201 + n] == DEVICE_NOT_AVAILABLE for n in range(29))
    assert [type(m) for m in r.nodes[1]][-2:] == [part.Allocate, part.FillRegion]


def test_last_words_that_are_wrong_cost_an_executor_that_is_gone_nothing() -> None:
    r = rig()
    r.say(fill(20))
    r.session.from_executor(1, [part.Done([[999, 0, 1, 2, None, None]])])
    r.lose(1)
    assert r.ended() == {20: DEVICE_NOT_AVAILABLE}


def test_a_session_is_in_no_reference_cycle() -> None:
    gc.disable()
    try:
        r = rig()
        r.build(12, kernel("add", (GLOBAL, "float*")))
        r.say(fill(20), fill(21), CreateUserEvent(50, 1), fill(51, waits=(50,)))
        r.say(Launch(52, 2, [], 12, "add", [0], [16], None, [[1, 10, 0, 64]]))
        r.lose(1)
        r.session.executor_lost(2, "n2 is gone")
        while r.session.take_apart(lambda: False):
            pass
        gone = [weakref.ref(one) for one in (r.session, r.session.graph, r.session._planner)]
        del r.session  # it refers to the rig, which finds its places
        assert [one() for one in gone] == [None] * 3
    finally:
        gc.enable()


def test_sources_are_bounded_with_those_that_are_still_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sessions, "sources_bytes_max", 1000)
    r = rig()
    units = [["x" * 900, "", [], []]]
    for program in range(20, 30):
        r.say(BuildProgram(program, 1, program, BUILD, units, ""), Release([program]))
    r.say(BuildProgram(30, 1, 30, BUILD, units, ""), BuildProgram(31, 1, 31, BUILD, units, ""))
    with pytest.raises(RemoteProtocolError, match="more than 1000 bytes of sources"):
        r.say(BuildProgram(32, 1, 32, BUILD, units, ""))


def test_wait_lists_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "waits_together_max", 10)
    r = rig()
    r.say(CreateUserEvent(50, 1), *(Marker(60 + n, 3, [50] * 5, False) for n in range(2)))
    r.say(SetUserEvent(50, 0), CreateUserEvent(51, 1))
    r.say(*(Marker(70 + n, 3, [51] * 5, False) for n in range(2)))
    with pytest.raises(RemoteProtocolError, match="10 entries of wait lists are under way"):
        r.say(Marker(80, 3, [51], False))
