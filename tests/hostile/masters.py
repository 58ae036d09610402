"""A master with busy sessions, and the messages that fit it.

Owns: a state in which something of every kind is under way, the same in all sessions. Must not
know: what is done to it.
"""

from __future__ import annotations

from typing import Any

from master.commands import COMPLETE
from master.connections import Stage, ticket
from master.effects import Close, Log, Send
from tests.hostile.mutations import check_travels
from tests.master.rigs import ADD, GLOBAL, PRIVATE, MasterRig, kernel
from vcl.wire.declared import Declaration, pack
from vcl.wire.messages import node, part, session
from vcl.wire.messages.direct import Linked, Listening

SPLIT, IN_ORDER, OUT_OF_ORDER, ONE, OTHER, USER, PROGRAM, BUILDING = 1, 2, 3, 10, 11, 20, 30, 31
UNITS: list[list[Any]] = [[ADD, "", [], []]]
REGION = [1, ONE, 0, 256]
DECLARED = pack([Declaration(0, 2**40, (2**22, 1), (2, 0), (-1, 2**63 - 1), (0, 0))])

MADE: list[Any] = [
    session.CreateContext(SPLIT, [1, 2], True),
    session.CreateQueue(IN_ORDER, SPLIT, 0, 0),
    session.CreateQueue(OUT_OF_ORDER, SPLIT, 1, 1),
    session.CreateBuffer(ONE, SPLIT, 1024),
    session.CreateBuffer(OTHER, SPLIT, 1024),
    session.CreateUserEvent(USER, SPLIT),
    session.BuildProgram(PROGRAM, SPLIT, PROGRAM, session.BUILD, UNITS, ""),
]
UNDER_WAY: list[Any] = [
    session.Write(40, IN_ORDER, [], ONE, 0, 512, 100),
    session.Launch(
        41, IN_ORDER, [40], PROGRAM, "add", [0], [64], [1], [REGION, b"\0\0\0\0"], b"", 3
    ),
    session.Copy(42, IN_ORDER, [], ONE, OTHER, 0, 512, 256),
    session.CopyRect(43, OUT_OF_ORDER, [42], ONE, OTHER, 0, 5, 8, 3, 2, 64, 256, 8, 24),
    session.Read(44, IN_ORDER, [], OTHER, 0, 1024),
    session.Fill(45, OUT_OF_ORDER, [USER], ONE, 0, 64, b"\0\1"),
    session.Write(46, OUT_OF_ORDER, [45], ONE, 0, 64, 101),
    session.Marker(47, OUT_OF_ORDER, [], False),
    session.BuildProgram(BUILDING, SPLIT, BUILDING, session.BUILD, UNITS, ""),
    session.AskReport(48, 41),
]
ENDING = [41, 42, 43, 44, 45, 46, 47]

FROM_CLIENT: list[Any] = [
    session.CreateContext(60, [1, 2], True),
    session.CreateQueue(60, SPLIT, 1, 1),
    session.CreateBuffer(60, SPLIT, 4096),
    session.BuildProgram(60, SPLIT, 60, session.BUILD, UNITS, "-cl-mad-enable"),
    session.CreateUserEvent(60, SPLIT),
    session.SetUserEvent(USER, -5),
    session.Release([ONE, PROGRAM, 41]),
    session.Launch(
        60, IN_ORDER, [41], PROGRAM, "add", [0, 0], [64, 64], [8, 8], [REGION, b"\0\0\0\0"]
    ),
    session.Launch(
        60, IN_ORDER, [], PROGRAM, "add", [0], [64], None, [REGION, [2, 256]], DECLARED
    ),
    session.Launch(
        60, OUT_OF_ORDER, [], PROGRAM, "add", [0], [64], None,
        [[3, ONE, 0, 1024, 0x10F1, 0x10B5, 0x10DA, 16, 16, 1], [4, 0, 0x1132, 0x1140]],
    ),
    session.Repeat(60, 3, [41], [b"\0\0\0\1"]),
    session.Write(60, IN_ORDER, [], ONE, 0, 512, 102),
    session.Read(60, IN_ORDER, [41], ONE, 16, 64),
    session.Copy(60, OUT_OF_ORDER, [], ONE, OTHER, 16, 0, 128),
    session.Fill(60, IN_ORDER, [], ONE, 0, 64, b"\0\1"),
    session.Marker(60, OUT_OF_ORDER, [41, USER], True),
    session.CopyRect(60, IN_ORDER, [], ONE, OTHER, 21, 0, 8, 3, 2, 64, 256, 8, 24),
    session.AskReport(60, 41),
    session.AskWay(60, 0, 1),
    session.AskTotals(60),
    session.AskStatus(60),
    Linked(1, 2, ""),
]  # fmt: skip


def from_executor(world: World, number: int) -> list[Any]:
    """What a session's executor on node 1 may say next."""
    live = world.rig.core.sessions[number].session.ledger.live
    ours = [o for o in live.values() if o.node == 1]
    run = next(o.id for o in ours if o.part is not None)
    merge = next(o.id for o in ours if len(o.gives) == 1 and o.gives[0].makes)
    built = kernel("add", (GLOBAL, "float*"), (PRIVATE, "float"))
    return [
        part.Done([[ours[0].id, 0, 1, 2, None, None], [ours[1].id, -5, 0, 0, "full", None]]),
        part.Done([[run, -5, 1, 2, "refused", part.UNTOUCHED]]),
        part.Done([[merge, 0, 1, 2, None, ["conflict", ONE, 4]]]),
        part.BuildDone(BUILDING, 0, "", [[1, 0, "log"]], [built]),
        part.BuildDone(BUILDING, -11, "failed", [[1, -11, "log"]], []),
        part.Printed(run, b"one \xff\n"),
        Linked(0, 2, ""),
        Listening(["unix:a"]),
    ]


def from_agent(number: int) -> list[Any]:
    """What an agent may say, about a session among other things."""
    return [node.Heartbeat(2), node.ExecutorEnded(number, 1, "it crashed")]


def check_region(m: Any) -> None:
    """An executor is told only of regions inside its buffers, and of patterns that fit."""
    if isinstance(m, (part.FillRegion, part.Send, part.Receive, part.CopyRegion)):
        offsets = (m.source_offset, m.destination_offset) if hasattr(m, "source") else (m.offset,)
        assert all(offset >= 0 and offset + m.size <= 4096 for offset in offsets), m
    if isinstance(m, part.FillRegion):
        assert len(m.pattern) in (1, 2, 4, 8, 16, 32, 64, 128), m
        assert m.offset % len(m.pattern) == 0 == m.size % len(m.pattern), m
    if isinstance(m, part.CopyBox):
        for offset, row, slice_ in [
            (m.source_offset, m.source_row_pitch, m.source_slice_pitch),
            (m.destination_offset, m.destination_row_pitch, m.destination_slice_pitch),
        ]:
            assert row >= m.row_bytes and slice_ >= row * m.rows, m
            end = offset + m.row_bytes + row * (m.rows - 1) + slice_ * (m.slices - 1)
            assert end <= 4096, m
    if isinstance(m, (part.Run, part.Merge)):
        assert 1 <= len(m.global_size) == len(m.global_offset) <= 3, m
        for offset, size in zip(m.global_offset, m.global_size, strict=True):
            assert offset >= 0 and size >= 0 and offset + size < 2**64, m
    if isinstance(m, (part.Build, part.Allocate)):
        devices = m.devices if isinstance(m, part.Build) else [m.device]
        assert devices and len(devices) == len(set(devices)) and set(devices) <= {1, 2}, m


class World:
    """Two agents, and sessions with their client and two executors each; the first is honest."""

    def __init__(self) -> None:
        self.rig = MasterRig()
        self.agents = [self.rig.agent("a"), self.rig.agent("b")]
        self.clients: dict[int, int] = {}
        """Control connections by session."""
        self.executors: dict[tuple[int, int], int] = {}
        """Control connections by session and node."""
        self.honest = self.open()
        self._honest_connections = set(self.rig.core._connections) - set(self.agents)

    def open(self) -> int:
        """Another session; answers its number."""
        rig = self.rig
        client = rig.open("client")
        welcome = rig.answered()
        number = welcome.session
        self.clients[number] = client
        rig.open("client-bulk", welcome.key, session=number)
        rig.judges = True
        rig.say(client, *MADE)
        starts = [(1, rig.asked(self.agents[0])), (2, rig.asked(self.agents[1]))]
        for place, start in starts:
            self.executors[number, place], _ = rig.join(start)
            built = kernel("add", (GLOBAL, "float*"), (PRIVATE, "float"), devices=[place])
            done = part.BuildDone(PROGRAM, 0, "", [], [built])
            rig.say(self.executors[number, place], done)
        rig.judges = False  # so that a build is under way
        rig.say(client, *UNDER_WAY)
        return int(number)

    def close(self, number: int) -> None:
        """A session's client goes, if it isn't gone yet."""
        self.check(self.rig.close(self.clients.pop(number)))
        for executor in [e for e in self.executors if e[0] == number]:
            del self.executors[executor]

    def say(self, connection: int, array: list[Any]) -> None:
        """An array comes, and what follows is checked: it concerns the honest session in nothing,
        and can be done."""
        self.check(self.rig.say_arrays(connection, array))

    def check(self, effects: list[Any]) -> None:
        """What is asked of the shell can be done, and is nothing to the honest session."""
        conversations = dict.fromkeys(self.agents, node.TO_AGENT)
        conversations |= dict.fromkeys(self.clients.values(), session.TO_CLIENT)
        for effect in effects:
            if isinstance(effect, (Send, Close)):
                assert effect.connection not in self._honest_connections
            if isinstance(effect, Send):
                to = conversations.get(effect.connection, part.TO_EXECUTOR)
                check_travels(to, effect.messages)
                for message in effect.messages:
                    check_region(message)
            assert not isinstance(effect, Log) or "unexpected" not in effect.text, effect.text

    def serves(self, connection: int) -> bool:
        """Whether a connection wasn't closed."""
        return self.rig.core._connections[connection].stage is Stage.OPEN

    def _executor(self, number: int, place: int, well: bool) -> int:
        """The control connection of an executor; of a new one where the first is lost."""
        found = self.executors[number, place]
        if not self.serves(found):
            assert not well and place == 1, "it did nothing wrong"
            live = self.rig.core.sessions[number]
            asked = live.executors[place]
            token = ticket(live.key, place, asked.start)
            start = node.StartExecutor(number, asked.endpoint, asked.start, token, [])
            found, _ = self.rig.join(start)
            self.executors[number, place] = found
        return found

    def finish(self, number: int, well: bool = True) -> None:
        """What is under way in a session ends as it should.

        well: nobody was hostile; else statuses don't matter, but all ends, and those who only did
        as they were told are still there.
        """
        rig, told = self.rig, dict[int, int]()
        live = rig.core.sessions[number].session.ledger.live

        def say(connection: int, *messages: Any) -> None:
            rig.say(connection, *messages)
            for m in rig.sent(self.clients[number]):
                if isinstance(m, session.EventsDone):
                    told.update((event, status) for event, status, *_ in m.events)

        say(self.clients[number], session.SetUserEvent(USER, 0))
        while live:
            operation = next(iter(live.values()))
            row = [operation.id, 0, 10, 20, None, None]
            say(self._executor(number, operation.node, well), part.Done([row]))
        if well:
            assert told == dict.fromkeys([USER, *ENDING], 0)
        assert all(c.state == COMPLETE for c in rig.core.sessions[number].session.commands.values())
