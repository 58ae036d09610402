"""Commands on shared memory: what they become, and what they keep."""

from __future__ import annotations

from typing import Any

import pytest

from tests.vcl.api.world import StubRuntime, make_context, make_shared, refused
from vcl.api import svm_commands
from vcl.api.context import CommandQueue
from vcl.api.svm import Allocation, shared_memory
from vcl.api.svm_commands import Place, Way
from vcl.client_core import COMPLETE
from vcl.constants import CLASSES
from vcl.wire.messages import session

_MAP = CLASSES["map_flags"]
HERE, THERE = 0x100000, 0x200000


@pytest.fixture
def shared(queue: CommandQueue) -> Allocation:
    """64 bytes at HERE."""
    return make_shared(queue._context, HERE, 64)


def root(allocation: Allocation) -> int:
    assert allocation._shadow is not None
    return allocation._shadow._root_id


def place(allocation: Allocation, offset: int, size: int) -> Place:
    return Place(allocation._start("r") + offset, allocation._bytes[offset : offset + size])


def host(data: bytes) -> Place:
    """Memory that isn't shared."""
    return Place(0x900000, memoryview(bytearray(data)))


def test_between_shared_memories(
    runtime: StubRuntime, queue: CommandQueue, shared: Allocation
) -> None:
    other = make_shared(queue._context, THERE, 32)
    event, way = svm_commands.copy(queue, place(other, 4, 8), place(shared, 16, 8), [5])
    assert way is Way.SHARED
    assert runtime.said[-1] == session.Copy(
        event, queue._id, [5], root(shared), root(other), 16, 4, 8
    )
    with refused("clEnqueueCopyBuffer", "MEM_COPY_OVERLAP"):
        svm_commands.copy(queue, place(shared, 0, 8), place(shared, 7, 8), [])
    foreign = make_shared(make_context(StubRuntime()), THERE + 0x1000, 8)
    with refused("clEnqueueCopyBuffer", "INVALID_CONTEXT"):
        svm_commands.copy(queue, place(shared, 0, 8), place(foreign, 0, 8), [])


def test_to_shared_memory(runtime: StubRuntime, queue: CommandQueue, shared: Allocation) -> None:
    source = host(b"abcd")
    event, way = svm_commands.copy(queue, place(shared, 8, 4), source, [5])
    source.host[:] = bytes(4)
    staging = runtime.said[-1].staging
    assert way is Way.TO_SHARED
    assert runtime.said[-1] == session.Write(event, queue._id, [5], root(shared), 8, 4, staging)
    assert runtime.staged[staging] == b"abcd"


def test_from_shared_memory(
    runtime: StubRuntime, queue: CommandQueue, shared: Allocation
) -> None:
    target = host(bytes(4))
    event, way = svm_commands.copy(queue, target, place(shared, 8, 4), [5])
    assert way is Way.FROM_SHARED
    assert runtime.said[-1] == session.Read(event, queue._id, [5], root(shared), 8, 4)
    assert runtime.reads == {event: target.host}


@pytest.mark.parametrize("status", [0, -5])
def test_a_copy_on_the_host_happens_in_its_turn(
    runtime: StubRuntime, queue: CommandQueue, status: int
) -> None:
    target, source = host(bytes(4)), host(b"abcd")
    event, way = svm_commands.copy(queue, target, source, [5])
    created, turn, end = runtime.said[-3:]
    assert way is Way.ON_HOST
    assert turn == session.Marker(turn.event, queue._id, [5], False)
    assert end == session.Marker(event, queue._id, [turn.event, created.event], False)
    assert runtime.released == [turn.event] and runtime.flushes == 1
    assert bytes(target.host) == bytes(4)
    source.host[0:1] = b"x"  # it's copied when its turn comes, not before
    [(kind, of, callback)] = runtime.callbacks
    assert (kind, of) == ("ended", turn.event)
    callback(status)
    assert bytes(target.host) == (bytes(4) if status else b"xbcd")
    assert runtime.said[-1] == session.SetUserEvent(created.event, status)


def test_a_copy_of_overlapping_host_memory(runtime: StubRuntime, queue: CommandQueue) -> None:
    memory = memoryview(bytearray(range(8)))
    svm_commands.copy(queue, Place(0x900001, memory[1:7]), Place(0x900000, memory[0:6]), [])
    runtime.callbacks[0][2](0)
    assert bytes(memory) == bytes([0, 0, 1, 2, 3, 4, 5, 7])


def test_how_much_is_copied() -> None:
    assert svm_commands.copied_bytes([8, 8], None) == 8
    assert svm_commands.copied_bytes([8], None) == 8
    assert svm_commands.copied_bytes([8, 16], 4) == 4
    with refused("_enqueue_svm_memcpy", "INVALID_VALUE", "sizes of source and destination differ"):
        svm_commands.copied_bytes([8, 16], None)
    with refused("clEnqueueSVMMemcpy", "INVALID_VALUE", "9 bytes are more than"):
        svm_commands.copied_bytes([8, 16], 9)


def mapped(queue: CommandQueue, shared: Allocation, offset: int, count: int, flags: int) -> Any:
    found, shadow, _ = shared_memory(HERE + offset, 1, "r")
    assert found is shared
    return svm_commands.map_memory(queue, shared, shadow, offset, count, flags, [5])


def unmapped(queue: CommandQueue, shared: Allocation, offset: int) -> Any:
    assert shared._shadow is not None
    return svm_commands.unmap_memory(queue, shared, shared._shadow, offset, [6])


@pytest.mark.parametrize(
    ("names", "reads", "writes"),
    [
        ("READ", True, False),
        ("WRITE", True, True),
        ("READ WRITE", True, True),
        ("WRITE_INVALIDATE_REGION", False, True),
    ],
)
def test_a_map_reads_and_its_unmap_writes(
    runtime: StubRuntime,
    queue: CommandQueue,
    shared: Allocation,
    names: str,
    reads: bool,
    writes: bool,
) -> None:
    flags = sum(_MAP[name] for name in names.split())
    event, read = mapped(queue, shared, 8, 4, flags)
    assert read == reads
    if reads:
        assert runtime.said[-1] == session.Read(event, queue._id, [5], root(shared), 8, 4)
        runtime.reads[event][0:4] = b"abcd"
        assert bytes(shared._bytes[8:12]) == b"abcd"
    else:
        assert runtime.said[-1] == session.Marker(event, queue._id, [5], False)
    shared._bytes[8:12] = b"efgh"
    event, written = unmapped(queue, shared, 8)
    assert written == (4 if writes else 0)
    if writes:
        write = runtime.said[-1]
        assert write == session.Write(
            event, queue._id, [6], root(shared), 8, 4, write.staging
        )
        assert runtime.staged[write.staging] == b"efgh"
    else:
        assert runtime.said[-1] == session.Marker(event, queue._id, [6], False)
    with refused("clEnqueueSVMUnmap", "INVALID_VALUE", "isn't mapped"):
        unmapped(queue, shared, 8)


def test_a_map_of_nothing(runtime: StubRuntime, queue: CommandQueue, shared: Allocation) -> None:
    event, _ = mapped(queue, shared, 8, 0, _MAP["WRITE"])
    assert runtime.said[-1] == session.Marker(event, queue._id, [5], False)
    event, written = unmapped(queue, shared, 8)
    assert runtime.said[-1] == session.Marker(event, queue._id, [6], False) and not written


def test_a_map_that_is_refused_leaves_nothing_mapped(
    queue: CommandQueue, shared: Allocation
) -> None:
    with refused("clEnqueueSVMMap", "INVALID_VALUE", "map_flags"):
        mapped(queue, shared, 8, 4, 8)
    with refused("clEnqueueSVMUnmap", "INVALID_VALUE", "isn't mapped"):
        unmapped(queue, shared, 8)


def test_a_free(runtime: StubRuntime, queue: CommandQueue, shared: Allocation) -> None:
    event = svm_commands.free(queue, shared, [5])
    assert runtime.said[-1] == session.Marker(event, queue._id, [5], False)
    assert runtime.states[event].status > COMPLETE  # but nobody finds it any more
    with refused("r", "INVALID_ARG_VALUE"):
        shared_memory(HERE, 64, "r")


def test_migrations(shared: Allocation) -> None:
    svm_commands.check_migration([shared])
    with refused("clEnqueueSVMMigrateMem", "INVALID_VALUE", "no memory"):
        svm_commands.check_migration([])
