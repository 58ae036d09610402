"""Integers of every kind at every entry: NumPy's as good as Python's, what isn't one refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import vcl as cl
from vcl.errors import OperatingError

MF = cl.mem_flags
Call = Callable[[Any, Any, Any, Any], Any]  # queue, a buffer of 1 KiB, another, the number 0 or 8

# Every integer that a function of pyopencl's backend takes; each call is right with 0 and with 8
# (or with a multiple of the alignment).
ENTRIES: dict[str, Call] = {
    "read: offset": lambda q, a, b, n: cl.enqueue_copy(q, np.empty(8, "u1"), a, src_offset=n),
    "write: offset": lambda q, a, b, n: cl.enqueue_copy(q, a, np.ones(8, "u1"), dst_offset=n),
    "copy: count": lambda q, a, b, n: cl.enqueue_copy(q, a, b, byte_count=n + type(n)(8)),
    "copy: offsets": lambda q, a, b, n: cl.enqueue_copy(
        q, a, b, byte_count=8, src_offset=n, dst_offset=n
    ),
    "fill: offset": lambda q, a, b, n: cl.enqueue_fill_buffer(q, a, np.uint8(7), n, 8),
    "fill: size": lambda q, a, b, n: cl.enqueue_fill_buffer(q, a, np.uint8(7), 0, n),
    "migrate: flags": lambda q, a, b, n: cl.enqueue_migrate_mem_objects(q, [a], n * type(n)(0)),
    "buffer: flags": lambda q, a, b, n: cl.Buffer(q.context, n * type(n)(0), 8),
    "buffer: size": lambda q, a, b, n: cl.Buffer(q.context, 0, n + type(n)(8)),
    "sub-buffer: origin": lambda q, a, b, n: a.get_sub_region(n * type(n)(0), 8),
    "sub-buffer: size": lambda q, a, b, n: a.get_sub_region(0, n + type(n)(8)),
    "box: origins": lambda q, a, b, n: cl.enqueue_copy(
        q, np.empty(256, "u1"), a, buffer_origin=(n, n), host_origin=(n, 0), region=(4, 2)
    ),
    "box: region": lambda q, a, b, n: cl.enqueue_copy(
        q, a, np.empty(256, "u1"), buffer_origin=(0, 0), host_origin=(0, 0),
        region=(n + type(n)(1), n + type(n)(1)),
    ),
    "box: pitches": lambda q, a, b, n: cl.enqueue_copy(
        q, a, b, src_origin=(0, 0), dst_origin=(0, 0), region=(4, 2), src_pitches=(n,),
        dst_pitches=(n,),
    ),
    "map: offset and shape": lambda q, a, b, n: cl.enqueue_map_buffer(
        q, a, cl.map_flags.READ, n, (n + type(n)(8),), np.uint8
    ),
    "map: flags": lambda q, a, b, n: cl.enqueue_map_buffer(
        q, a, n * type(n)(0) + type(n)(1), 0, (8,), np.uint8
    ),
    "local memory": lambda q, a, b, n: cl.LocalMemory(n + type(n)(8)),
    "queue: properties": lambda q, a, b, n: cl.CommandQueue(
        q.context, properties=n * type(n)(0)
    ),
    "image: shape": lambda q, a, b, n: cl.create_image(
        q.context, MF.READ_WRITE, cl.ImageFormat(cl.channel_order.RGBA, cl.channel_type.FLOAT),
        shape=(n + type(n)(1), n + type(n)(1)),
    ),
    "svm: size": lambda q, a, b, n: cl.SVMAllocation(q.context, n + type(n)(8), 0, 1),
    "pool: size": lambda q, a, b, n: cl.tools.MemoryPool(
        cl.tools.ImmediateAllocator(q)
    ).allocate(n + type(n)(8)),
}
KINDS = (int, np.int64, np.uint8, np.int32, np.uint64)


@pytest.fixture
def buffers(ctx: Any) -> tuple[Any, Any]:
    return cl.Buffer(ctx, MF.READ_WRITE, 1024), cl.Buffer(ctx, MF.READ_WRITE, 1024)


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("kind", KINDS)
def test_numpy_integers(queue: Any, buffers: Any, entry: str, kind: Any) -> None:
    for number in (0, 8):
        ENTRIES[entry](queue, *buffers, kind(number))
    queue.finish()


@pytest.mark.parametrize("wrong", [8.0, np.float32(8), "8", None, -1, 1 << 64, np.bool_(True)])
def test_what_isnt_a_size(queue: Any, buffers: Any, wrong: Any) -> None:
    """As pyopencl's own backend refuses it, before anything is enqueued."""
    first, second = buffers
    calls = (
        lambda: cl.enqueue_copy(queue, np.empty(8, "u1"), first, src_offset=wrong),
        lambda: cl.enqueue_copy(queue, first, np.empty(8, "u1"), dst_offset=wrong),
        lambda: cl.enqueue_copy(queue, first, second, byte_count=8, src_offset=wrong),
        lambda: cl.Buffer(queue.context, 0, wrong),
        lambda: first.get_sub_region(wrong, 8),
        lambda: cl.enqueue_map_buffer(queue, first, 1, wrong, (8,), np.uint8),
        lambda: cl.LocalMemory(wrong),
    )
    for call in calls:
        with pytest.raises(TypeError, match="must be"):
            call()
    queue.finish()


def test_indexing_an_array_with_numpy_s_own_numbers(queue: Any) -> None:
    import pyopencl.array as cla

    array = cla.to_device(queue, np.arange(12, dtype="f").reshape(3, 4))
    assert array[np.argmax([1, 5, 2])].get().tolist() == [4, 5, 6, 7]


def test_a_launch_with_numpy_s_sizes(queue: Any, read: Any) -> None:
    source = "__kernel void f(__global int *a) { a[get_global_id(0)] = 1; }"
    kernel = cl.Program(queue.context, source).build().f
    buffer = cl.Buffer(queue.context, MF.COPY_HOST_PTR, hostbuf=np.zeros(16, np.int32))
    size, local, offset = np.array([8]), (np.int64(4),), np.array([np.uint8(4)])
    kernel(queue, size, local, buffer, global_offset=offset)
    assert read(queue, buffer).tolist() == [0] * 4 + [1] * 8 + [0] * 4


def test_what_cant_be_sent_fails_that_command_only(queue: Any, read: Any) -> None:
    """Whatever slips through the checks above must not take the session with it."""
    runtime = queue._runtime
    buffer = cl.Buffer(queue.context, MF.COPY_HOST_PTR, hostbuf=np.arange(4, dtype=np.int32))
    count, staged = len(runtime.core.events), runtime.core.staged_bytes
    with pytest.raises(OperatingError, match="can't be sent"):
        runtime.write(queue._id, b"1234", lambda event, staging, digest: _marker(event, object()))
    with pytest.raises(OperatingError, match="can't be sent"):
        runtime.read(queue._id, memoryview(bytearray(4)), lambda event: _marker(event, 1 << 70))
    assert (len(runtime.core.events), runtime.core.staged_bytes) == (count, staged)
    queue.finish()
    assert read(queue, buffer).tolist() == [0, 1, 2, 3]


def _marker(event: int, queue: Any) -> Any:
    from vcl.wire.messages import session

    return session.Marker(event, queue, [], False)
