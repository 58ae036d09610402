"""Commands on buffers: the message of each, and what is refused."""

from __future__ import annotations

import pytest

from tests.vcl.api.world import StubRuntime, make_context, refused
from vcl.api import commands
from vcl.api.context import CommandQueue
from vcl.api.memory import FLAGS, TYPES, Memory
from vcl.wire.messages import session

RW = FLAGS["READ_WRITE"]


@pytest.fixture
def memory(queue: CommandQueue) -> Memory:
    """A region of 64 bytes at 128 of its root."""
    region = Memory.__new__(Memory)
    region._be_region_of(Memory(queue._context, RW, 1024), 128, 64, RW)
    return region


def test_write(runtime: StubRuntime, queue: CommandQueue, memory: Memory) -> None:
    event = commands.write(queue, memory, 130, b"abc", [5])
    staging = runtime.said[-1].staging
    root = memory._root_id
    assert runtime.said[-1] == session.Write(event, queue._id, [5], root, 130, 3, staging)
    assert runtime.staged[staging] == b"abc"


def test_read(runtime: StubRuntime, queue: CommandQueue, memory: Memory) -> None:
    destination = memoryview(bytearray(4))
    event = commands.read(queue, memory, 130, destination, [5])
    assert runtime.said[-1] == session.Read(event, queue._id, [5], memory._root_id, 130, 4)
    assert runtime.reads == {event: destination}


def test_copy(runtime: StubRuntime, queue: CommandQueue, memory: Memory) -> None:
    other = Memory(queue._context, RW, 32)
    event = commands.copy(queue, memory, other, 4, 8, 16, [5])
    assert runtime.said[-1] == session.Copy(
        event, queue._id, [5], memory._root_id, other._root_id, 132, 8, 16
    )


def test_copies_that_are_refused(runtime: StubRuntime, queue: CommandQueue, memory: Memory) -> None:
    said, routine = list(runtime.said), "clEnqueueCopyBuffer"
    for first, second, count in ((0, 49, 16), (49, 0, 16)):
        with refused(routine, "INVALID_VALUE", "bytes 49 to 65 are outside"):
            commands.copy(queue, memory, memory, first, second, count, [])
    with refused(routine, "INVALID_VALUE", "nothing to copy"):
        commands.copy(queue, memory, memory, 0, 32, 0, [])
    with refused(routine, "MEM_COPY_OVERLAP"):
        commands.copy(queue, memory, memory, 0, 15, 16, [])
    assert runtime.said == said
    commands.copy(queue, memory, memory, 0, 16, 16, [])


def test_fill(runtime: StubRuntime, queue: CommandQueue, memory: Memory) -> None:
    event = commands.fill(queue, memory, b"ab", 4, 8, [5])
    root = memory._root_id
    assert runtime.said[-1] == session.Fill(event, queue._id, [5], root, 132, 8, b"ab")
    event = commands.fill(queue, memory, b"ab", 4, 0, [5])
    assert runtime.said[-1] == session.Marker(event, queue._id, [5], False)


def test_fills_that_are_refused(queue: CommandQueue, memory: Memory) -> None:
    routine = "clEnqueueFillBuffer"
    for offset, count in ((1, 8), (4, 7)):
        with refused(routine, "INVALID_VALUE", "multiples of the pattern's size"):
            commands.fill(queue, memory, b"ab", offset, count, [])
    with refused(routine, "INVALID_VALUE", "outside"):
        commands.fill(queue, memory, b"ab", 60, 6, [])
    for length in range(1, 130):
        if length in (1, 2, 4, 8, 16, 32, 64, 128):
            commands.check_pattern(bytes(length))
        else:
            with refused(routine, "INVALID_VALUE", f"a pattern of {length} bytes"):
                commands.check_pattern(bytes(length))
    commands.check_fill(memory)
    memory._type = TYPES["IMAGE2D"]
    with refused(routine, "INVALID_MEM_OBJECT"):
        commands.check_fill(memory)


@pytest.mark.parametrize("barrier", [False, True])
def test_marker(runtime: StubRuntime, queue: CommandQueue, barrier: bool) -> None:
    waits = [5]
    event = commands.marker(queue, waits, barrier)
    waits.append(6)
    assert runtime.said[-1] == session.Marker(event, queue._id, [5], barrier)


def test_memory_of_another_context(queue: CommandQueue, memory: Memory) -> None:
    commands.check_context(queue, memory, "r")
    with refused("r", "INVALID_CONTEXT"):
        commands.check_context(queue, Memory(make_context(StubRuntime()), RW, 8), "r")


def test_migrations(memory: Memory) -> None:
    commands.check_migration([memory], 3)
    with refused("clEnqueueMigrateMemObjects", "INVALID_VALUE", "no memory objects"):
        commands.check_migration([], 0)
    with refused("clEnqueueMigrateMemObjects", "INVALID_VALUE", "flags 0x4"):
        commands.check_migration([memory], 4)
