"""What a command costs doesn't grow with how many others are live, or with what is stored.

Long because each thing that might grow has its test here.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from master import sessions
from master.places import PlanPaused
from master.plan import commit, looked, movement, regions, residency, touched
from master.plan import templates as subject
from master.plan.asked import Question
from master.plan.movement import bring
from master.plan.plan import Draft
from master.plan.residency import Contents
from tests.master.plan import test_regions
from tests.master.rigs import GLOBAL, MasterRig, SessionRig, kernel, place
from tests.master.work import lines
from vcl.errors import DEVICE_NOT_AVAILABLE
from vcl.wire.messages import part
from vcl.wire.messages.session import (
    Copy,
    CreateBuffer,
    CreateContext,
    CreateQueue,
    Fill,
    Launch,
    Marker,
    Pull,
    Read,
    Release,
    Write,
)

pytestmark = pytest.mark.unchecked

N = 400
SIZE = 1 << 20
OUT_OF_ORDER = 1


def rig(devices: int = 2) -> SessionRig:
    """Queue 2 is the cluster's, 3 device 1's, 4 an out-of-order one of the cluster."""
    made = SessionRig(*(place(d) for d in range(1, devices + 1)))
    made.say(CreateQueue(3, 1, 1, 0), CreateQueue(4, 1, 0, OUT_OF_ORDER))
    made.say(CreateBuffer(10, 1, SIZE), CreateBuffer(11, 1, SIZE))
    made.build(12, kernel("add", (GLOBAL, "float*")))
    return made


def launch(r: SessionRig, event: int, queue: int = 3) -> None:
    region = [1, 10, 0, SIZE]
    r.say(Launch(event, queue, [], 12, "add", [0], [1024], [64], [region]))


def write(r: SessionRig, event: int) -> None:
    number = event - 1000
    r.say(Write(event, 3, [], 10, 2 * number, 1, 1_000_000 + number))


def read(r: SessionRig, event: int) -> None:
    r.say(Read(event, 3, [], 10, 64, 64))


def marker(r: SessionRig, event: int) -> None:
    r.say(Marker(event, 4, [], False))


def barrier_after_launch(r: SessionRig, event: int) -> None:
    if event % 2:
        launch(r, event, queue=4)
    else:
        r.say(Marker(event, 4, [], True))


def create_and_release(r: SessionRig, event: int) -> None:
    """Of a buffer that was written, while all before are still waited for."""
    number = 10_000_000 + event
    r.say(CreateBuffer(number, 1, 64), Write(event, 3, [], number, 0, 64, 1_000_000 + event))
    r.say(Release([number]))


STEPS = [launch, write, read, marker, barrier_after_launch, create_and_release]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_a_command_costs_the_same_however_many_are_live(
    step: Callable[[SessionRig, int], None],
) -> None:
    r = rig()
    write(r, 1000 + SIZE // 4)
    events = iter(range(1000, 1000 + 2 * N))

    def some() -> None:
        for _ in range(N // 2):
            step(r, next(events))

    some()
    first = lines(some)
    some()
    assert lines(some) < 1.1 * first


def test_what_is_done_costs_nothing_afterwards() -> None:
    r = rig()
    events = iter(range(1000, 1000 + 4 * N))

    def some() -> None:
        for queue in (3, 4):
            for _ in range(N // 2):
                launch(r, next(events), queue)
        r.run()
        r.clear()

    some()
    first = lines(some)
    assert lines(some) < 1.05 * first
    assert not r.session.commands and not r.session.queues[4].recent


def test_a_buffer_that_a_device_holds_whole_costs_the_same_in_however_many_pieces_it_is() -> None:
    def cost(pieces: int) -> int:
        r = rig()
        for n in range(pieces):
            r.say(Fill(1000 + n, 3, [], 10, 4 * n, 1, b"x"))
        r.say(Copy(9000, 3, [], 10, 11, 0, 0, SIZE))
        buffer, view = r.session.buffers[10], r.session._view
        assert len(buffer.contents) > pieces
        return lines(lambda: bring(Draft(1), view, buffer, 0, SIZE, place(1)))

    assert cost(N) == cost(N // 2)


def test_a_launch_on_one_device_costs_the_same_however_many_there_are() -> None:
    def cost(devices: int) -> int:
        r = rig(devices)
        launch(r, 1000)
        return lines(lambda: launch(r, 1001))

    assert cost(400) == cost(200)


def test_a_whole_launch_of_the_cluster_costs_the_same_however_many_devices_there_are() -> None:
    def cost(devices: int) -> int:
        r = rig(devices)
        one_group = [[0], [64], [64], [[1, 10, 0, SIZE]]]
        r.say(Launch(1000, 2, [], 12, "add", *one_group))
        return lines(lambda: r.say(Launch(1001, 2, [], 12, "add", *one_group)))

    assert cost(400) == cost(200)


def test_bytes_for_one_more_device_cost_the_same_however_many_hold_them() -> None:
    """Planned, sent, and noted when they have come; what sets of holders cost is in C."""

    def cost(holders: int) -> int:
        r = rig(holders + 2)
        launches = iter(range(1000, 1000 + holders + 2))
        r.say(Fill(900, 3, [], 10, 0, SIZE, b"x"))
        for device in range(1, holders + 3):
            r.say(CreateQueue(100 + device, 1, device, 0))
        for device in range(2, holders + 1):
            r.say(Copy(next(launches), 100 + device, [], 10, 11, 0, 0, 64))
        r.run()
        last = Copy(next(launches), 100 + holders + 2, [], 10, 11, 0, 0, 64)

        def copy_there() -> None:
            r.say(last)
            r.run()

        count = lines(copy_there)
        (_, _, contents), *_ = r.session.buffers[10].contents.segments(0, 64)
        assert len(contents.holders) == holders + 1
        return count

    assert cost(200) == cost(100)


@pytest.mark.parametrize("divides", [False, True])
def test_a_part_costs_the_same_in_however_many_a_launch_is(divides: bool) -> None:
    """When the launch is planned, when it comes again, and when it has ended."""

    def cost(devices: int) -> list[int]:
        r = test_regions.Rig("a[i] = b[i];" if divides else "a[b[i]] = i;", devices)

        def one(event: int) -> None:
            r.launch(event)
            r.run()

        costs = [lines(lambda event=event: one(event)) for event in range(1000, 1004)]
        mode, *_ = r.report(1003)
        assert mode == ("regions" if divides else "merge")
        return costs

    few, many = cost(8), cost(16)
    for less, more in zip(few, many, strict=True):
        assert more < 2.1 * less


def test_a_launch_over_many_devices_is_divided_and_planned_once() -> None:
    """Past each bound that a launch over few has; and costs by part what one over few does."""

    def cost(devices: int) -> float:
        r, message = wide_rig(devices)

        def one(event: int) -> None:
            r.say(message(event))
            r.run()

        for event in (1000, 1001, 1002):  # memory, zeros and shapes come with the first
            one(event)
        templates = r.session._planner.templates
        used = templates.used
        count = lines(lambda: one(1003))
        assert templates.used == used + 1 and r.report(1003)[0] == "regions"
        return count / devices

    many = 300
    assert many > residency.pieces_max and 4 * many > regions.runs_together_max
    assert cost(many) < 1.1 * cost(30)


def wide_rig(devices: int) -> tuple[test_regions.Rig, Callable[[int], Launch]]:
    """And launches in so many parts, by event: a[i] += b[i]."""
    r = test_regions.Rig("a[i] += b[i];", devices)
    r.say(CreateBuffer(20, 1, 16 * devices), CreateBuffer(21, 1, 16 * devices))
    arguments = [[1, 20, 0, 16 * devices], [1, 21, 0, 16 * devices], bytes(4)]

    def message(event: int) -> Launch:
        return Launch(event, 2, [], 5, "k", [0], [4 * devices], [4], arguments)

    return r, message


def test_a_report_costs_the_same_by_part() -> None:
    def cost(devices: int) -> float:
        r, message = wide_rig(devices)
        r.say(message(1000))
        r.run()
        return lines(lambda: r.report(1000)) / devices

    assert cost(80) < 1.1 * cost(20)


def in_turns(r: SessionRig, most: int = 10_000) -> list[int]:
    """Turns of one thing each until nothing is left to do, at most so many: lines of each."""
    done: list[int] = []
    more = True

    def turn() -> None:
        nonlocal more
        more = r.session.advance(lambda: True)

    while more and len(done) < most:
        done.append(lines(turn))
    return done


def told_to_go(r: SessionRig) -> int:
    """Parts that are under way."""
    return sum(operation.main for operation in r.session.ledger.live.values())


def test_a_launch_in_many_parts_is_carried_out_in_turns() -> None:
    """Each as long, however many there are; what is said meanwhile waits."""

    def turns(devices: int) -> list[int]:
        r, message = wide_rig(devices)
        for event in (1000, 1001, 1002):
            r.say(message(event))
            r.run()
        r.session.from_client([message(1003), message(1004)])
        lasted = in_turns(r)
        assert told_to_go(r) == 2 * devices
        r.run()
        assert r.ended()[1003] == r.ended()[1004] == 0
        return lasted

    few, many = turns(2 * commit.steps_in_turn_max), turns(4 * commit.steps_in_turn_max)
    assert max(many) < 1.1 * max(few) and len(many) == len(few) + 4


def test_a_launch_in_many_parts_is_looked_at_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """In each as many parts, and nothing twice: places may change meanwhile."""
    monkeypatch.setattr(looked, "looked_at_in_turn_max", 200)
    seen: list[object] = []
    extents = touched.extents
    monkeypatch.setattr(touched, "extents", lambda *of: seen.append(of[2]) or extents(*of))
    r, message = wide_rig(300)
    r.session.from_client([message(1000)])
    in_turns(r)
    (question,) = r.session.ledger.for_analysis
    assert isinstance(question, Question)
    r.session.analysed(question.number, r.analyse(question))
    r.session.ledger.for_analysis.clear()
    most = 0
    while not told_to_go(r):
        before = len(seen)
        in_turns(r, 1)
        most = max(most, len(seen) - before)
        r.session.places_changed()
    assert 0 < most <= 200 and len(seen) == len({id(piece) for piece in seen}) == 300
    in_turns(r)
    r.run()
    assert r.ended() == {1000: 0}


def test_each_device_may_have_work_and_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "operations_max", 1)
    r, message = wide_rig(3)
    r.say(message(1000))
    r.run()
    r.say(*map(message, range(1001, 1005)))
    assert told_to_go(r) == 6
    r.run()
    assert set(r.ended().values()) == {0} and len(r.ended()) == 5


def test_an_executor_that_is_lost_meanwhile_is_lost_afterwards() -> None:
    def what_is_left(turns: int) -> tuple[dict[int, int], list[tuple[int, int, Contents]]]:
        devices = 3 * commit.steps_in_turn_max
        r, message = wide_rig(devices)
        for event in (1000, 1001, 1002):
            r.say(message(event))
            r.run()
        r.session.from_client([message(1003)])
        in_turns(r, turns)
        assert (0 < told_to_go(r) < devices) == (turns < 10)
        r.session.executor_lost(devices, "gone")
        r.say(message(1004))
        r.run()
        return r.ended(), list(r.session.buffers[20].contents.segments(0, 16 * devices))

    ended, contents = what_is_left(turns=3)
    assert ended[1003] == DEVICE_NOT_AVAILABLE and contents[-1][2].lost is not None
    assert (ended, contents) == what_is_left(turns=10)


def test_what_a_launch_may_bring_at_once_grows_with_its_parts() -> None:
    """A halo of each part, whenever it is launched, so that its plan is kept."""
    devices = movement.brought_max
    r = test_regions.Rig("a[i] = b[max(i - 1, 0)] + b[min(i + 1, n - 1)];", devices)
    items = 4 * devices
    r.say(CreateBuffer(20, 1, 4 * items), CreateBuffer(21, 1, 4 * items))
    arguments = [[1, 20, 0, 4 * items], [1, 21, 0, 4 * items]]
    templates = r.session._planner.templates

    def one(event: int) -> None:
        swapped = arguments[:: 1 if event % 2 else -1]
        values = items.to_bytes(4, "little")
        r.say(Launch(event, 2, [], 5, "k", [0], [items], [4], [*swapped, values]))
        r.run()

    for event in range(1000, 1008):
        one(event)
    used = templates.used
    r.clear()
    one(1008)
    assert len(r.said(part.Receive)) == 2 * (devices - 1) > movement.brought_max
    assert templates.used == used + 1 and r.report(1008)[0] == "regions"


def test_what_many_hold_takes_more_room_to_bring() -> None:
    """As all of them are looked through for the nearest."""
    r = rig(2)
    r.say(Fill(1000, 3, [], 10, 0, SIZE, b"x"))
    buffer, view = r.session.buffers[10], r.session._view

    def bring_two() -> None:
        draft = Draft(2)
        for start in (0, 64):
            bring(draft, view, buffer, start, start + 64, place(999))

    bring_two()
    for device in range(2, movement.holders_by_piece + 1):
        buffer.add_holder(device, 0, SIZE)
    with pytest.raises(PlanPaused):
        bring_two()


def test_a_launch_over_many_buffers_in_pieces_is_planned_once() -> None:
    """As on 128 nodes with 19 buffers, each of which has its part of every one."""
    r = rig()
    numbers, pieces = range(100, 119), 128
    r.say(CreateQueue(5, 1, 2, 0), *(CreateBuffer(n, 1, SIZE) for n in numbers))
    r.build(13, kernel("k", *[(GLOBAL, "const float*")] * len(numbers)))
    r.session.programs[13].keeps_const = True
    events = iter(range(1000, 10_000))
    for number in numbers:
        for piece in range(pieces):
            queue, start = [3, 5][piece % 2], piece * SIZE // pieces
            r.say(Fill(next(events), queue, [], number, start, SIZE // pieces, b"x"))
    arguments = [[1, number, 0, SIZE] for number in numbers]
    templates = r.session._planner.templates
    for _ in range(20):  # the first has them brought, in turns
        r.say(Launch(next(events), 3, [], 13, "k", [0], [64], [64], arguments))
        r.run()
    used = templates.used
    assert sum(len(r.session.buffers[n].contents) for n in numbers) == pieces * len(numbers)
    r.say(Launch(next(events), 3, [], 13, "k", [0], [64], [64], arguments))
    assert templates.used == used + 1
    assert templates._pieces <= subject.pieces_together_max


def master_with(agents: int) -> tuple[MasterRig, int, list[int]]:
    """A master, its client, and the executors of its session on all nodes but the last."""
    m = MasterRig()
    nodes = [m.agent(f"n{number}") for number in range(agents)]
    client = m.open("client")
    m.say(client, CreateContext(1, list(range(1, agents + 1)), True), CreateBuffer(9000, 1, SIZE))
    executors = []
    for device in range(1, agents + 1):
        m.say(client, CreateQueue(1 + device, 1, device, 0))
        if device < agents:
            m.say(client, Fill(1000 + device, 1 + device, [], 9000, 0, 64, b"x"))
            executor, _ = m.join(m.asked(nodes[device - 1]))
            executors.append(executor)
    return m, client, executors


def test_a_frame_costs_the_same_however_many_executors_are_up() -> None:
    def cost(agents: int) -> list[int]:
        m, client, executors = master_with(agents)
        m.say(client, Fill(5000, 3, [], 9000, 64, 64, b"x"))
        (fill,) = m.sent(executors[1])
        done = part.Done([[fill.operation, 0, 1, 2, None, None]])
        return [
            lines(lambda: m.say(client, Fill(5001, 3, [], 9000, 128, 64, b"x"))),
            lines(lambda: m.say(executors[1], done)),
        ]

    cost(3)  # which makes what is made once in a process
    assert cost(80) == cost(40)


def test_who_joins_costs_the_same_however_many_have() -> None:
    """An executor, and an agent, which is compared with those of its name."""

    def cost(agents: int) -> list[int]:
        m, client, _ = master_with(agents)
        m.say(client, Fill(5000, agents + 1, [], 9000, 0, 64, b"x"))
        (start,) = [s for n in range(1, agents + 1) for s in m.sent(n)]
        return [lines(lambda: m.join(start)), lines(lambda: m.agent("another"))]

    assert cost(80) == cost(40)


def test_a_command_over_a_buffer_in_many_pieces_fills_no_gaps() -> None:
    """Whoever cut it has paid, whether by fills, copies or writes."""
    r = rig()
    for step in range(3 * N):
        offset = 4 * step
        if step % 3 == 0:
            r.say(Fill(1000 + step, 3, [], 10, offset, 1, b"x"))
        elif step % 3 == 1:
            r.say(Copy(1000 + step, 3, [], 11, 10, 0, offset, 1))
        else:
            r.say(Write(1000 + step, 3, [], 10, offset, 1, 1_000_000 + step))
    before = len(r.session.ledger.live)
    r.say(Copy(9000, 3, [], 10, 11, 0, 0, SIZE))
    assert len(r.session.ledger.live) <= before + 64 + 1, "what was written before the first gap"
    r.run()
    assert set(r.ended().values()) == {0}


@pytest.mark.parametrize("devices", [1, 2])
def test_a_buffer_in_many_pieces_is_gathered_by_who_cuts_it(devices: int) -> None:
    """In turns, so that no command has more than a few pieces to bring, and all are soon one."""
    r = rig()
    r.say(CreateQueue(5, 1, 2, 0))
    queues = [3, 5][:devices]
    for event in range(1000, 1000 + 6 * N):
        offset = 4 * (event - 1000)
        r.say(Fill(event, queues[event % devices], [], 10, offset, 1, b"x"))
        if event % 50 == 0:
            r.run()
    r.run()
    r.clear()
    r.session.from_client([Copy(9000, 3, [], 10, 11, 0, 0, SIZE)])
    most, turns = 0, 1
    while r.session.advance(lambda: True):
        turns += 1
        most = max(most, len(r.session.ledger.live))
    assert most <= 2 * movement.brought_max + 2 and turns < 20
    r.run()
    assert set(r.ended().values()) == {0}
    assert len(r.session.buffers[10].contents) < 3 * residency.pieces_max
    assert all(len(m) < 3 * residency.pieces_max for m in r.session.buffers[10].touched.values())


def test_a_read_of_many_pieces_brings_them_together_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(movement, "brought_max", 4)
    r = rig()
    r.say(CreateQueue(5, 1, 2, 0))
    for event in range(1000, 1020):
        r.say(Fill(event, [3, 5][event % 2], [], 10, event - 1000, 1, b"x"))
    r.run()
    r.clear()
    r.say(Read(2000, 3, [], 10, 0, 20))
    pulls = r.told(Pull)
    assert len(pulls) <= movement.brought_max + 1 and sum(p.size for p in pulls) == 20
    assert len(r.said(part.Receive)) > 5
    r.run()
    assert r.ended() == {2000: 0}
