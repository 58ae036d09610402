"""The executor's core against a master and endpoints that say what no honest one says.

Whatever comes is carried out or is a RemoteProtocolError, and what is sent can be packed.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node_agent.core import ExecutorCore
from node_agent.effects import Report, Start, StartAgain, StartMerge, Store, Unmap
from node_agent.inputs import BuildEnded, BytesReady, Ended, FromEndpoint, FromMaster, Streamed
from tests.hostile.mutations import check_travels, is_well_formed, mutated
from vcl.errors import RemoteProtocolError
from vcl.transfers import GrantCredit, Stream
from vcl.wire.frame import CHUNK, CREDIT, BulkFrame, pack_bulk_header
from vcl.wire.limits import eager_bytes_max
from vcl.wire.messages import part
from vcl.wire.messages.direct import ExpectLink, OpenLink

HERE, OTHER = 1, 2
BIG = eager_bytes_max + 1
RUN = (5, "k", [0], [4], [4], [b"1234"])
UNDER_WAY: list[Any] = [
    part.Allocate(1, 10, 4096),
    part.Run(1, [], 1, *RUN, 0, 3),
    part.FillRegion(2, [1], 1, 10, 0, 64, b"\0"),
    part.Send(3, [2], 1, 10, 0, 8, 103, OTHER),
    part.Send(4, [], 1, 10, 0, BIG, 104, OTHER),
    part.Receive(5, [1], 1, 10, 0, 8, 105, OTHER),
    part.Receive(6, [], 1, 10, 0, 8, 106, OTHER),
    part.Snapshot(7, [6], 1, 1, [[10, 0, 64, 4]]),
    part.SendChanges(8, [7], 1, 1, [[10, 0, 64, 4]], 108, OTHER),
    part.Merge(
        9, [], 1, 2, [[10, 0, 64, 4, 0], [10, 64, 8, 8, 1]],
        [[109, OTHER, [[0, 0, 64]]], [110, OTHER, [[0, 4, 8], [1, 0, 8]]]], *RUN,
    ),
    part.Build(5, 9, [1], 0, [["", "", [], []]], ""),
]
NEXT: list[Any] = [
    part.Allocate(1, 11, 4096),
    part.Free(20, [1, 2], 1, 10),
    part.Build(6, 20, [1], 2, [["", "", [], []]], ""),
    part.ForgetProgram(20, [1], 5),
    part.Run(20, [5], 1, *RUN),
    part.Again(20, [5], 3, [b"5678"]),
    part.FillRegion(20, [5], 1, 10, 0, 64, b"\0"),
    part.CopyRegion(20, [9], 1, 10, 16, 11, 128, 64),
    part.CopyBox(20, [7], 1, 10, 11, 0, 5, 8, 3, 2, 64, 256, 8, 24),
    part.Send(20, [3], 1, 10, 0, 64, 120, OTHER),
    part.Receive(20, [3], 1, 10, 0, 4096, 120, OTHER),
    part.Snapshot(20, [9], 1, 3, [[10, 0, 4096, 4]]),
    part.SendChanges(20, [7], 1, 1, [[10, 0, 4096, 4]], 120, OTHER),
    part.Merge(
        20, [5], 1, 1, [[10, 0, 64, 4, 3]],
        [[120, OTHER, [[0, 0, 64]]], [121, 5, [[0, 8, 4], [0, 16, 48]]]], *RUN,
    ),
    *(part.CancelTransfer(transfer, "gone") for transfer in range(103, 111)),
    OpenLink(OTHER, "ticket", "answer", ["unix:a"]),
    ExpectLink(OTHER, "ticket", "answer"),
]
IDS = [1, 4, 5, 9, 10, 20, 103, 104, 105, 106, 108, 109, 110, 120]
MUTATED = [
    array
    for message in NEXT
    for array in mutated(message, IDS)
    if is_well_formed(part.TO_EXECUTOR, array)
]
FRAMES = st.builds(
    BulkFrame,
    st.sampled_from([CHUNK, CHUNK, CREDIT]),
    st.booleans(),
    st.just(HERE),
    st.sampled_from([OTHER, OTHER, OTHER, 0, HERE, 2**32 - 1]),
    st.sampled_from([*range(103, 111), 120, 0, 999, 2**64 - 1]),
    st.sampled_from([0, 0, 0, 4, 2**63, 2**64 - 1]),
    st.sampled_from([b"", b"1234", b"12345678", b"x" * 500]),
)


class Rig:
    """A core, and a driver that does what it is asked when it is told to."""

    def __init__(self) -> None:
        self.core = ExecutorCore()
        self.begun: dict[int, Any] = {}
        """By operation: what the driver was asked."""
        self.streams: list[int] = []
        self.feed(FromMaster(UNDER_WAY))

    def feed(self, one: Any) -> None:
        for effect in self.core.handle([one], 99):
            if isinstance(effect, Report):
                check_travels(part.FROM_EXECUTOR, effect.messages)
            elif isinstance(effect, (Start, StartAgain, StartMerge, Store)):
                m = effect.message
                if isinstance(m, part.Build):
                    self.feed(BuildEnded(part.BuildDone(m.request, 0, "", [], [])))
                elif not isinstance(m, part.Allocate) and getattr(effect, "last", True):
                    self.begun[m.operation] = m
            elif isinstance(effect, (Stream, GrantCredit)):
                offset = 0 if isinstance(effect, GrantCredit) else sum(map(len, effect.data))
                head = BulkFrame(CHUNK, True, effect.endpoint, HERE, effect.transfer, offset, b"")
                pack_bulk_header(head)
                if isinstance(effect, Stream):
                    self.streams.append(effect.transfer)
            elif isinstance(effect, Unmap):
                self.begun.pop(effect.operation, None)

    def drive(self, good: bool) -> None:
        """The driver ends what it began first."""
        if self.streams:
            self.feed(Streamed(self.streams.pop(0)))
        elif self.begun:
            operation, m = next(iter(self.begun.items()))
            del self.begun[operation]
            if good and isinstance(m, (part.Send, part.SendChanges)):
                size = m.size if isinstance(m, part.Send) else 40
                self.feed(BytesReady(operation, (bytes(min(size, BIG)),), 5))
            else:
                self.feed(Ended(operation, 0 if good else -5, 5, 6))


def message_of(array: list[Any]) -> Any:
    (message,) = part.TO_EXECUTOR.unpack([array])
    return message


@pytest.mark.parametrize("message", NEXT, ids=lambda m: type(m).__name__)
def test_the_master(message: Any) -> None:
    for array in mutated(message, IDS):
        if not is_well_formed(part.TO_EXECUTOR, array):
            continue
        rig = Rig()
        try:
            rig.feed(FromMaster([message_of(array)]))
            for _ in range(8):
                rig.drive(True)
        except RemoteProtocolError:
            continue


@settings(max_examples=600)
@given(
    st.lists(
        st.sampled_from(MUTATED) | FRAMES | FRAMES | st.sampled_from([True, True, False]),
        min_size=3,
        max_size=25,
    )
)
def test_several_after_one_another(steps: list[Any]) -> None:
    rig = Rig()
    try:
        for step in steps:
            if isinstance(step, bool):
                rig.drive(step)
            elif isinstance(step, BulkFrame):
                rig.feed(FromEndpoint(step))
            else:
                rig.feed(FromMaster([message_of(step)]))
    except RemoteProtocolError:
        return
