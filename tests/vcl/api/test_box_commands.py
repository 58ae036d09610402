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
