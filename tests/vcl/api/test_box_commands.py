"""Commands on boxes of buffers: the messages of each, what is refused, what is let go of."""

from __future__ import annotations

import gc
import itertools

from tests.vcl.api.world import StubRuntime, refused
from vcl.api import box_commands, boxes
from vcl.api.boxes import Box
from vcl.api.context import CommandQueue
from vcl.api.memory import FLAGS, Memory
from vcl.wire.messages import session

RW = FLAGS["READ_WRITE"]
REGION = [4, 3, 2]


def test_a_write_goes_through_a_packed_buffer(runtime: StubRuntime, queue: CommandQueue) -> None:
    memory = Memory(queue._context, RW, 256)
    host = bytearray(range(100))
    before = len(runtime.said)
    event = box_commands.write(
        queue, memory, memoryview(host), Box(1, 8, 32), Box(5, 10, 40), REGION, [5]
    )
    host[:] = bytes(100)
    made, write, copy = runtime.said[before:]
    assert made == session.CreateBuffer(made.buffer, queue._context._id, 24, False)
    assert write == session.Write(
        write.event, queue._id, [], made.buffer, 0, 24, write.staging
    )
    rows = [bytes(range(at, at + 4)) for at in (5, 15, 25, 45, 55, 65)]
    assert runtime.staged[write.staging] == b"".join(rows)
    assert copy == session.CopyRect(
        event, queue._id, [5, write.event], made.buffer, memory._root_id,
        0, 1, 4, 3, 2, 4, 12, 8, 32,
    )  # fmt: skip
    gc.collect()
    assert sorted(runtime.released) == sorted([write.event, made.buffer])


def test_a_read_goes_through_a_packed_buffer(runtime: StubRuntime, queue: CommandQueue) -> None:
    memory = Memory(queue._context, RW, 256)
    host = bytearray(100)
    before = len(runtime.said)
    event = box_commands.read(
        queue, memory, memoryview(host), Box(1, 8, 32), Box(5, 10, 40), REGION, [5]
    )
    made, copy, read = runtime.said[before:]
    assert made == session.CreateBuffer(made.buffer, queue._context._id, 24, False)
    assert copy == session.CopyRect(
        copy.event, queue._id, [5], memory._root_id, made.buffer, 1, 0, 4, 3, 2, 8, 32, 4, 12
    )
    assert read == session.Read(event, queue._id, [copy.event], made.buffer, 0, 24)
    assert sorted(runtime.released) == sorted([copy.event, made.buffer])
    destination = runtime.reads[event]
    destination[0:24] = bytes(range(1, 25))
    assert host[5:9] == bytes([1, 2, 3, 4]) and host[65:69] == bytes([21, 22, 23, 24])
    assert sum(host) == sum(range(25))


def test_the_copy_of_a_box(runtime: StubRuntime, queue: CommandQueue) -> None:
    source, target = Memory(queue._context, RW, 256), Memory.__new__(Memory)
    target._be_region_of(Memory(queue._context, RW, 1024), 128, 256, RW)
    event = box_commands.copy(queue, source, target, Box(1, 8, 32), Box(2, 4, 12), REGION, [5])
    assert runtime.said[-1] == session.CopyRect(
        event, queue._id, [5], source._root_id, target._root_id, 1, 130, 4, 3, 2, 8, 32, 4, 12
    )


def test_boxes_overlap_if_they_share_a_byte(queue: CommandQueue) -> None:
    """Against the bytes themselves, for all small boxes of one buffer."""
    memory, region = Memory(queue._context, RW, 1024), [2, 2, 2]
    origins = list(itertools.product(range(4), range(3), range(2)))
    made = [boxes.make_box(at, region, (6, 24), "", "r") for at in origins]

    def touched(box: Box) -> set[int]:
        return {
            box.offset + z * box.slice_pitch + y * box.row_pitch + x
            for x, y, z in itertools.product(range(2), repeat=3)
        }

    refusals = 0
    for one, other in itertools.product(made, repeat=2):
        if touched(one) & touched(other):
            refusals += 1
            with refused("r", "MEM_COPY_OVERLAP"):
                box_commands.check_copy(memory, memory, one, other, region, "r")
        else:
            box_commands.check_copy(memory, memory, one, other, region, "r")
    assert len(made) < refusals < len(made) ** 2
    with refused("r", "INVALID_VALUE", "pitches must be equal"):
        box_commands.check_copy(memory, memory, made[0], Box(500, 8, 24), region, "r")


def test_checked_writes_and_reads(runtime: StubRuntime, queue: CommandQueue) -> None:
    memory = Memory(queue._context, RW, 64)
    host = memoryview(bytearray(range(40)))
    event = box_commands.write_rect(
        queue, memory, host, (1, 1), (0, 0, 1), (2, 2), (8, 64), (4, 8), [5]
    )
    write, copy = runtime.said[-2:]
    assert runtime.staged[write.staging] == bytes([8, 9, 12, 13])
    assert copy == session.CopyRect(
        event, queue._id, [5, write.event], write.buffer, memory._root_id,
        0, 9, 2, 2, 1, 2, 4, 8, 64,
    )  # fmt: skip
    event = box_commands.read_rect(
        queue, memory, host, (1, 1), (0, 0, 1), (2, 2), (8, 64), (4, 8), [5]
    )
    runtime.reads[event][0:4] = b"abcd"
    assert bytes(host[8:14]) == b"ab" + bytes([10, 11]) + b"cd"


def test_a_checked_copy(runtime: StubRuntime, queue: CommandQueue) -> None:
    source, target = Memory(queue._context, RW, 64), Memory(queue._context, RW, 64)
    event = box_commands.copy_rect(
        queue, source, target, (1,), (0, 1), (2, 2), (8,), (4,), [5]
    )
    assert runtime.said[-1] == session.CopyRect(
        event, queue._id, [5], source._root_id, target._root_id, 1, 4, 2, 2, 1, 8, 16, 4, 8
    )


def test_boxes_that_are_refused(runtime: StubRuntime, queue: CommandQueue) -> None:
    memory, host = Memory(queue._context, RW, 64), memoryview(bytearray(64))
    closed = Memory(queue._context, FLAGS["HOST_NO_ACCESS"], 64)
    other = Memory(queue._context, RW, 64)
    said = list(runtime.said)
    for call, routine in (
        (box_commands.write_rect, "clEnqueueWriteBufferRect"),
        (box_commands.read_rect, "clEnqueueReadBufferRect"),
    ):
        with refused(routine, "INVALID_OPERATION"):
            call(queue, closed, host, (0,), (0,), (4,), None, None, [])
        with refused(routine, "INVALID_VALUE", "is empty"):
            call(queue, memory, host, (0,), (0,), (0,), None, None, [])
        with refused(routine, "INVALID_VALUE", "buffer pitches (2, 2) are too small"):
            call(queue, memory, host, (0,), (0,), (4,), (2,), None, [])
        with refused(routine, "INVALID_VALUE", "host pitches (2, 2) are too small"):
            call(queue, memory, host, (0,), (0,), (4,), None, (2,), [])
        with refused(routine, "INVALID_VALUE", "the buffer of 64 bytes"):
            call(queue, memory, host, (61,), (0,), (4,), None, None, [])
        with refused(routine, "INVALID_VALUE", "the host memory of 64 bytes"):
            call(queue, memory, host, (0,), (61,), (4,), None, None, [])
    routine = "clEnqueueCopyBufferRect"
    for origins, what in ((((61,), (0,)), "source"), (((0,), (61,)), "destination")):
        with refused(routine, "INVALID_VALUE", f"the {what} of 64 bytes"):
            box_commands.copy_rect(queue, memory, other, *origins, (4,), None, None, [])
    with refused(routine, "MEM_COPY_OVERLAP"):
        box_commands.copy_rect(queue, memory, memory, (0,), (3,), (4,), None, None, [])
    assert runtime.said == said
