"""Launches that are replayed against the general way: the same session twice, one never replays.

Whatever a client, executors and nodes do, both must say the same, and be in the same state.

Long because the stories, and what each premise needs of them, share one pair of sessions.
"""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any
from unittest.mock import patch

import pytest

from master.plan import invariants, residency, templates
from master.plan.replay import Replay
from tests.master.rigs import GLOBAL, PRIVATE, SessionRig, kernel, place
from vcl.errors import RemoteProtocolError
from vcl.wire import shapes
from vcl.wire.declared import Declaration, pack
from vcl.wire.messages import part, session

SIZE = 64
PLACES = [place(1), place(2), place(3, node=2)]
KERNELS = [
    kernel("both", (GLOBAL, "int*"), (GLOBAL, "int*"), (PRIVATE, "int"), (PRIVATE, "int")),
    kernel("reads", (GLOBAL, "const int*"), (GLOBAL, "int*"), (PRIVATE, "int")),
    kernel("nothing", (PRIVATE, "int")),
]
REGIONS = [(0, SIZE), (0, SIZE), (0, SIZE), (0, 32), (32, 32), (16, 32)]


def declared(facts: list[list[Any]], items: int, rng: Random) -> bytes:
    """What is declared of arguments: most often that each work-item touches an element of its own,
    else that it reads its neighbours', or nothing, or writes nothing."""
    return pack([
        Declaration(
            index, 4, (items,), (0,), rng.choice(((0,), (0,), (1,), None)),
            None if fact[3] else rng.choice(((0,), (0,), None)),
        )
        for index, fact in enumerate(facts)
        if fact[0] == GLOBAL
    ])  # fmt: skip


class Twins:
    """Two sessions that are told the same; the second one never replays."""

    def __init__(self, split: bool, devices: int) -> None:
        self.rigs = [SessionRig(*PLACES[:devices], split=split) for _ in range(2)]
        self.replays = 0
        vars(self.rigs[1].session)["_replay"] = lambda m, told: False

    def both(self, act: Any) -> None:
        """Do something with each, and hold them against each other."""
        refused = []
        for rig in self.rigs:
            try:
                act(rig)
            except RemoteProtocolError as error:
                refused.append(str(error))
            else:
                refused.append("")
        one, other = self.rigs
        assert refused[0] == refused[1]
        assert one.client == other.client
        assert one.nodes == other.nodes
        for rig in self.rigs:
            invariants.check(rig.session.ledger, rig.session.buffers)
            rig.clear()
        assert state(one.session) == state(other.session)

    def say(self, *messages: Any) -> None:
        """As the client."""
        self.both(lambda rig: rig.say(*messages))


def state(s: Any) -> Any:
    """All that later messages depend on."""
    buffers = {
        number: (
            list(b.contents.segments(0, b.size)), b.held, b._given, b._staged, b.users, b.layout,
            {d: list(m.segments(0, b.size)) for d, m in b.touched.items()}, b._unneeded,
        )
        for number, b in s.buffers.items()
    }  # fmt: skip
    live = {
        n: (o.node, o.command and o.command.event, o.main, o.part, o.piece, o.transfer, o.receives,
            [(g.buffer.id, *g[1:]) for g in o.gives])
        for n, o in s.ledger.live.items()
    }  # fmt: skip
    commands = {
        e: (c.state, c.status, c.failure, c.start, c.end, c.incomplete, c.operations, c.released,
            [w.event for w in c.waits], [d.event for d in c.dependents], [b.id for b in c.buffers],
            c.program and c.program.id, c.record and record(c.record))
        for e, c in s.commands.items()
    }  # fmt: skip
    programs = {n: (p.nodes, p.operations, p.users, kernels(p)) for n, p in s.programs.items()}
    queues = {n: (q.last and q.last.event, list(q.recent)) for n, q in s.queues.items()}
    reports = {e: record(r) for e, r in s._reports._kept.items()}
    counts = s._unfinished, s._waits, s._planner.templates.used, s.ledger.new_version()
    return buffers, live, commands, programs, queues, reports, counts


def kernels(program: Any) -> Any:
    """What was learned of a program's kernels."""
    return {n: (k.conflicts, k.item_ns) for n, k in program.kernels.items()}


def record(r: Any) -> Any:
    """A launch record without what differs by identity."""
    named = [a for a in r.message.arguments if type(a) is not bytes]
    return r.mode, r.reason, r.bytes_moved, r.times, len(r.plan.steps), named


class Story:
    """What a random client, its executors and its nodes do."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = Random(seed)
        self.twins = Twins(split=rng.random() < 0.5, devices=rng.choice((2, 3)))
        self.event = 1000
        self.next_object = 100
        self.told: dict[Any, int] = {}
        self.buffers: list[int] = []
        self.programs: list[int] = []
        self.events: list[int] = []
        self.user_events: list[int] = []
        self.seen: Counter[str] = Counter()
        self.queues = [3, 4]
        device = 0 if rng.random() < 0.5 else 1
        self.twins.say(session.CreateQueue(3, 1, 0, 0), session.CreateQueue(4, 1, device, 0))
        if rng.random() < 0.3:
            self.twins.say(session.CreateQueue(5, 1, 0, 1))
            self.queues.append(5)
        for _ in range(3):
            self.new_buffer()
        self.new_program()
        self.busy = rng.random()

    def new_buffer(self) -> None:
        self.next_object += 1
        self.twins.say(session.CreateBuffer(self.next_object, 1, SIZE))
        self.buffers.append(self.next_object)

    def new_program(self) -> None:
        self.next_object += 1
        number = self.next_object
        self.twins.both(lambda rig: rig.build(number, *KERNELS))
        self.programs.append(number)

    def next_event(self) -> int:
        self.event += 1
        self.events.append(self.event)
        return self.event

    def waits(self) -> list[int]:
        if self.rng.random() < 0.9:
            return []
        return self.rng.sample(self.events, min(2, len(self.events)))

    def launch(self) -> Any:
        rng, waits = self.rng, self.waits()
        event = self.next_event()
        program = rng.choice(self.programs)
        name, _, facts = rng.choice(KERNELS)
        region = rng.choice(REGIONS)
        few = self.buffers[:2] if rng.random() < 0.8 else self.buffers
        named = [[1, rng.choice(few), *region] for f in facts if f[0] == GLOBAL]
        count = len(facts) - len(named)
        values = [bytes([rng.choice((1, 1, 2)), 0, 0, 0]) for _ in range(count)]
        queue, items = rng.choice(self.queues[: rng.choice((1, 3))]), rng.choice((8, 8, 16))
        said = b""
        if region[1] >= 4 * items and rng.random() < 0.6:
            said = declared(facts, items, rng)
        key = (queue, program, name, items, repr(named), said)
        shape = self.told.get(key)
        if shape is not None and rng.random() < 0.95:
            self.seen["repeat"] += 1
            more = [b"more"] * 5 if rng.random() < 0.005 else []
            return session.Repeat(event, shape, waits, [*values[: rng.randint(0, count)], *more])
        shape = len(self.told) % 6 + 1 if shape is None else shape
        self.told = {k: n for k, n in self.told.items() if n != shape}
        self.told[key] = shape
        arguments = [*named, *values]
        return session.Launch(
            event, queue, waits, program, name, [0], [items], [4], arguments, said, shape
        )

    def other(self) -> Any:
        rng, waits = self.rng, self.waits()
        event, queue = self.next_event(), rng.choice(self.queues)
        buffer, (offset, size) = rng.choice(self.buffers), rng.choice(REGIONS)
        kind = rng.choice(("write", "read", "copy", "fill", "marker"))
        self.seen[kind] += 1
        if kind == "write":
            return session.Write(event, queue, waits, buffer, offset, size, event)
        if kind == "read":
            return session.Read(event, queue, waits, buffer, offset, size)
        if kind == "copy":
            to = rng.choice([b for b in self.buffers if b != buffer])
            return session.Copy(event, queue, waits, buffer, offset, to, offset, size)
        if kind == "fill":
            return session.Fill(event, queue, waits, buffer, offset, size, b"x")
        return session.Marker(event, queue, waits, rng.random() < 0.5)

    def done(self, count: int) -> None:
        """Some of the first operations end."""
        rng = self.rng
        for _ in range(count):
            live = self.twins.rigs[0].session.ledger.live
            if not live:
                return
            number = list(live)[min(len(live) - 1, rng.choice((0, 0, 0, 1, 2)))]
            row: list[Any] = [number, 0, 10, 10 + number, None, None]
            if rng.random() < 0.02:
                self.seen["failure"] += 1
                untouched = part.UNTOUCHED if rng.random() < 0.5 else None
                row = [number, -5, 0, 0, "broke", untouched]
            node = live[number].node
            self.twins.both(lambda rig, n=node, r=row: rig.answer(n, part.Done([r])))

    def release(self) -> None:
        rng = self.rng
        kind = rng.choice(("events", "events", "events", "buffer", "program"))
        self.seen[f"release {kind}"] += 1
        if kind == "events":
            some = [e for e in self.events if rng.random() < 0.7]
            self.events = [e for e in self.events if e not in some]
            self.twins.say(session.Release(some))
        elif kind == "buffer":
            number = rng.choice(self.buffers)
            self.twins.say(session.Release([number]))
            self.new_buffer()
            self.still_named(self.buffers, number)
        else:
            number = self.programs[-1]
            self.twins.say(session.Release([number]))
            self.new_program()
            self.still_named(self.programs, number)

    def still_named(self, objects: list[int], number: int) -> None:
        """A client has let go of an object, and perhaps launches with it nevertheless."""
        for _ in range(self.rng.choice((0, 0, 1))):
            self.twins.say(self.launch(), self.launch())
        objects.remove(number)

    def nodes(self) -> None:
        rng = self.rng
        present = self.twins.rigs[0].places
        kind = rng.choice(("executor", "node", "place"))
        self.seen[kind] += 1
        if kind == "place" or (kind == "node" and len({p.node for p in present}) < 2):
            places = [p for p in PLACES if p in present or rng.random() < 0.7]
            self.twins.both(lambda rig: setattr(rig, "places", places))
            return
        number = rng.choice(present).node
        self.twins.both(lambda rig: rig.lose(number, with_node=kind == "node"))

    def user_event(self) -> None:
        if self.user_events:
            status = self.rng.choice((0, 0, -7))
            self.twins.say(session.SetUserEvent(self.user_events.pop(), status))
        else:
            event = self.next_event()
            self.twins.say(session.CreateUserEvent(event, 1))
            self.user_events.append(event)

    def step(self) -> None:
        """Do one thing."""
        choice = self.rng.random()
        if choice < 0.6:
            batch = [self.launch() for _ in range(self.rng.choice((1, 1, 2, 5)))]
            self.twins.say(*batch)
            self.twins.say(session.AskReport(self.event + 10**6, batch[0].event))
        elif choice < 0.68:
            self.twins.say(self.other(), self.launch(), self.launch())
        elif choice < 0.72:
            self.twins.say(self.other())
        elif choice < 0.93:
            self.done(1 if self.rng.random() < self.busy else 40)
        elif choice < 0.96:
            self.release()
        elif choice < 0.975:
            self.user_event()
        elif choice < 0.995:
            self.nodes()
        else:
            self.seen["tick"] += 1
            self.twins.both(lambda rig: rig.session.tick())


def rig_with(*kernels: list[Any]) -> SessionRig:
    """A session of one device, in-order queue 3 and program 5."""
    rig = SessionRig(place(1), split=False)
    rig.say(session.CreateQueue(3, 1, 1, 0))
    rig.build(5, *kernels)
    return rig


def test_an_executor_that_came_anew_is_told_the_shape_again() -> None:
    rig = rig_with(KERNELS[2])
    value = b"\1\0\0\0"
    rig.say(session.Launch(20, 3, [], 5, "nothing", [0], [8], [4], [value], b"", 1))
    rig.say(*(session.Repeat(21 + n, 1, [], []) for n in range(3)))
    assert [type(m) for m in rig.nodes[1]] == [part.Run] + [part.Again] * 3
    rig.lose(1, with_node=False)
    rig.clear()
    # It builds the program for another launch before it is asked for this one.
    rig.say(session.Launch(30, 3, [], 5, "nothing", [0], [16], [4], [value], b"", 2))
    rig.say(session.Repeat(31, 1, [], []), session.Repeat(32, 1, [], []))
    assert [type(m) for m in rig.nodes[1]] == [part.Build, part.Run, part.Run, part.Again]


def test_a_shape_whose_number_was_given_up_is_told_again() -> None:
    rig = rig_with(KERNELS[2])

    def launch(event: int, items: int, shape: int) -> session.Launch:
        value = b"\1\0\0\0"
        return session.Launch(event, 3, [], 5, "nothing", [0], [items], [4], [value], b"", shape)

    with patch.object(shapes, "shapes_max", 2):
        rig.say(launch(20, 8, 1), *(session.Repeat(21 + n, 1, [], []) for n in range(3)))
        rig.say(launch(30, 16, 2), launch(31, 32, 2))
        rig.clear()
        rig.say(session.Repeat(40, 1, [], []), session.Repeat(41, 1, [], []))
    assert [(type(m), m.shape > 0) for m in rig.nodes[1]] == [(part.Run, True), (part.Again, True)]


@pytest.mark.parametrize(("released", "what"), [(5, "program"), (10, "buffer"), (3, "queue")])
def test_objects_that_the_client_let_go_of_are_refused(released: int, what: str) -> None:
    rig = rig_with(*KERNELS)
    rig.say(session.CreateBuffer(10, 1, SIZE), session.CreateBuffer(11, 1, SIZE))
    arguments = [[1, 10, 0, SIZE], [1, 11, 0, SIZE], b"\1\0\0\0", b"\2\0\0\0"]
    rig.say(session.Launch(20, 3, [], 5, "both", [0], [8], [4], arguments, b"", 1))
    rig.say(*(session.Repeat(21 + n, 1, [], []) for n in range(4)))
    assert len(rig.said(part.Again)) == 3
    rig.say(session.Release([released]))
    rig.clear()
    with pytest.raises(RemoteProtocolError, match=f"there is no {what} {released}"):
        rig.say(session.Repeat(30, 1, [], []))
    assert not rig.nodes and 30 not in rig.session.commands


def test_what_follows_a_command_that_waits_waits_too() -> None:
    rig = rig_with(KERNELS[2])
    rig.say(session.CreateUserEvent(10, 1))
    rig.say(session.Launch(20, 3, [], 5, "nothing", [0], [8], [4], [b"\1\0\0\0"], b"", 1))
    rig.say(*(session.Repeat(21 + n, 1, [], []) for n in range(3)))
    rig.clear()
    rig.say(session.Marker(30, 3, [10], False), session.Repeat(31, 1, [], []))
    assert not rig.nodes
    rig.say(session.SetUserEvent(10, 0))
    assert [m.cause for m in rig.said(part.Again)] == [31]


def test_a_replay_waits_for_what_reads_and_writes_its_regions() -> None:
    rig = rig_with(*KERNELS)
    rig.say(session.CreateBuffer(10, 1, SIZE), session.CreateBuffer(11, 1, SIZE))
    arguments = [[1, 10, 0, SIZE], [1, 11, 0, SIZE], b"\1\0\0\0", b"\2\0\0\0"]
    rig.say(session.Launch(20, 3, [], 5, "both", [0], [8], [4], arguments, b"", 1))
    rig.say(*(session.Repeat(21 + n, 1, [], []) for n in range(4)))
    rig.run()
    rig.clear()
    rig.say(session.Read(30, 3, [], 10, 0, SIZE), session.Repeat(31, 1, [], []))
    (send,), (again,) = rig.said(part.Send), rig.said(part.Again)
    assert again.waits == [send.operation]
    rig.say(session.Repeat(32, 1, [], []))
    assert rig.said(part.Again)[1].waits == [again.operation]


def test_only_the_first_of_a_kind_goes_the_general_way() -> None:
    rig = rig_with(*KERNELS)
    rig.say(session.CreateBuffer(10, 1, SIZE), session.CreateBuffer(11, 1, SIZE))
    arguments = [[1, 10, 0, SIZE], [1, 11, 0, SIZE], b"\1\0\0\0", b"\2\0\0\0"]
    turned = [arguments[1], arguments[0], *arguments[2:]]
    with patch.object(Replay, "commit", autospec=True, side_effect=Replay.commit) as commit:
        for event, (shape, given) in enumerate([(1, arguments), (2, turned), (1, arguments)]):
            rig.say(session.Launch(20 + event, 3, [], 5, "both", [0], [8], [4], given, b"", shape))
        batch = [
            session.Repeat(30 + n, 1 + n % 2, [], [bytes([n, 0, 0, 0])] if n % 3 else [])
            for n in range(20)
        ]
        rig.say(*batch)
    assert commit.call_count == 20
    again = rig.said(part.Again)
    assert [m.cause for m in again] == [m.event for m in batch]
    assert [m.values for m in again[:3]] == [[], [], [bytes([2, 0, 0, 0])]], "1 is as it was"
    rig.run()
    assert rig.ended() == dict.fromkeys([20, 21, 22, *range(30, 50)], 0)


@pytest.mark.parametrize("seeds", [range(start, start + 10) for start in range(0, 40, 10)], ids=str)
def test_a_replay_is_what_the_general_way_does(seeds: range) -> None:
    seen: Counter[str] = Counter()
    for seed in seeds:
        tell(seed, seen)
    assert seen["replayed"] > 20 and seen["in parts"], seen


def tell(seed: int, seen: Counter[str]) -> None:
    """One story; seen: what was in it."""
    commit = Replay.commit

    def counted(self: Replay, *given: Any) -> None:
        seen["replayed"] += 1
        seen["in parts"] += len(self._parts) > 1
        commit(self, *given)

    rng = Random(f"limits {seed}")
    with (
        patch.object(Replay, "commit", counted),
        patch.object(residency, "pieces_max", rng.choice((2, 256))),
        patch.object(residency, "readers_max", rng.choice((2, 64))),
        patch.object(templates, "templates_max", rng.choice((2, 256))),
        patch.object(shapes, "shapes_max", rng.choice((1, 6, 256))),
    ):
        story = Story(seed)
        for _ in range(80):
            story.step()
        story.done(10**4)
    seen.update(story.seen)
    assert not story.twins.rigs[0].session.ledger.live
