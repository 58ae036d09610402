"""Memory of the program that objects were made to use, and pointers into shared memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import vcl as cl

MF = cl.mem_flags
READ, WRITE = cl.map_flags.READ, cl.map_flags.WRITE
INVALIDATE = cl.map_flags.WRITE_INVALIDATE_REGION
DOUBLE = "__kernel void twice(__global int *a) { a[get_global_id(0)] *= 2; }"
FLOAT = cl.ImageFormat(cl.channel_order.R, cl.channel_type.FLOAT)


@pytest.fixture
def twice(queue: Any) -> Any:
    return cl.Program(queue.context, DOUBLE).build().twice


def test_a_map_is_the_programs_own_memory(queue: Any, twice: Any, read: Any) -> None:
    host = np.arange(8, dtype=np.int32)
    buffer = cl.Buffer(queue.context, MF.READ_WRITE | MF.USE_HOST_PTR, hostbuf=host)
    twice(queue, (8,), None, buffer)
    array, _ = cl.enqueue_map_buffer(queue, buffer, READ, 8, (4,), np.int32)
    assert host.tolist() == [0, 1, 4, 6, 8, 10, 6, 7], "what was mapped, and only that"
    assert np.shares_memory(array, host)
    array.base.release(queue)
    array, _ = cl.enqueue_map_buffer(queue, buffer, WRITE, 0, (8,), np.int32)
    host[:] = 10
    array.base.release(queue)
    twice(queue, (8,), None, buffer)
    assert read(queue, buffer).tolist() == [20] * 8


@pytest.mark.parametrize("flags", [READ, INVALIDATE])
def test_a_map_waits_for_whatever_can_be_gone_through(queue: Any, flags: int) -> None:
    buffer = cl.Buffer(queue.context, MF.READ_WRITE, 16)
    user = cl.UserEvent(queue.context)
    _, event = cl.enqueue_map_buffer(
        queue, buffer, flags, 0, (4,), np.int32, wait_for=iter([user]), is_blocking=False
    )
    user.set_status(-5)
    with pytest.raises(cl.RuntimeError):
        event.wait()


def test_a_map_of_a_sub_buffer(queue: Any, read: Any) -> None:
    align = queue.device.mem_base_addr_align // 8
    host = np.zeros(align, np.int32)
    buffer = cl.Buffer(queue.context, MF.READ_WRITE | MF.USE_HOST_PTR, hostbuf=host)
    sub = buffer.get_sub_region(align, align)
    array, _ = cl.enqueue_map_buffer(queue, sub, WRITE, 4, (2,), np.int32)
    array[:] = 7
    assert host[align // 4 + 1 : align // 4 + 4].tolist() == [7, 7, 0]
    array.base.release(queue)
    assert read(queue, buffer)[align // 4 : align // 4 + 4].tolist() == [0, 7, 7, 0]


@pytest.mark.parametrize("pitch", [0, 24])
def test_a_map_of_an_image(queue: Any, pitch: int) -> None:
    """With the host's own pitches."""
    wide = (pitch or 16) // 4
    host = np.arange(3 * wide, dtype=np.float32).reshape(3, wide)
    image = cl.create_image(
        queue.context, MF.READ_WRITE | MF.USE_HOST_PTR, FLOAT, shape=(4, 3),
        pitches=(pitch,) if pitch else None, hostbuf=host,
    )  # fmt: skip
    array, _, row, _ = cl.enqueue_map_image(
        queue, image, READ | WRITE, (1, 1), (2, 2), (2, 2), np.float32, strides=(4 * wide, 4)
    )
    assert row == 4 * wide
    assert np.array_equal(array, host[1:3, 1:3]) and np.shares_memory(array, host)
    array[:] = -1
    array.base.release(queue)
    found = np.empty((3, 4), np.float32)
    cl.enqueue_copy(queue, found, image, origin=(0, 0), region=(4, 3))
    assert np.array_equal(found, host[:, :4])
    assert (host[1:3, 1:3] == -1).all() and (host != -1).sum() == host.size - 4


@pytest.mark.parametrize(
    ("host", "flags", "allowed"),
    [
        (MF.HOST_WRITE_ONLY, READ, False),
        (MF.HOST_WRITE_ONLY, WRITE, True),
        (MF.HOST_WRITE_ONLY, INVALIDATE, True),
        (MF.HOST_READ_ONLY, READ, True),
        (MF.HOST_READ_ONLY, WRITE, False),
        (MF.HOST_READ_ONLY, INVALIDATE, False),
        (MF.HOST_NO_ACCESS, WRITE, False),
    ],
)
def test_what_the_host_may_map(queue: Any, host: int, flags: int, allowed: bool) -> None:
    """It is the map that is refused, not its end."""
    buffer = cl.Buffer(queue.context, MF.READ_WRITE | host, 16)
    image = cl.create_image(queue.context, MF.READ_WRITE | host, FLOAT, shape=(2, 2))
    maps = (
        lambda: cl.enqueue_map_buffer(queue, buffer, flags, 0, (4,), np.float32),
        lambda: cl.enqueue_map_image(queue, image, flags, (0, 0), (2, 2), (2, 2), np.float32),
    )
    for mapped in maps:
        if allowed:
            mapped()[0].base.release(queue)
        else:
            with pytest.raises(cl.LogicError, match="INVALID_OPERATION"):
                mapped()
    queue.finish()


def test_a_buffer_over_shared_memory(queue: Any, twice: Any) -> None:
    shared = cl.SVMAllocation(queue.context, 64, 0, cl.svm_mem_flags.READ_WRITE)
    host = np.frombuffer(shared.buf, np.int32)
    buffer = cl.Buffer(queue.context, MF.READ_WRITE | MF.USE_HOST_PTR, hostbuf=shared.buf)
    cl.enqueue_copy(queue, buffer, np.arange(16, dtype=np.int32))
    twice(queue, (16,), None, buffer)
    array, _ = cl.enqueue_map_buffer(queue, buffer, READ, 0, (16,), np.int32)
    assert np.shares_memory(array, host)
    assert host.tolist() == [2 * i for i in range(16)]


def test_a_sub_buffer_of_a_buffer_over_shared_memory(queue: Any, twice: Any) -> None:
    align = queue.device.mem_base_addr_align // 8
    shared = cl.SVMAllocation(queue.context, 4 * align, 0, cl.svm_mem_flags.READ_WRITE)
    host = np.frombuffer(shared.buf, np.uint8)[align:]
    buffer = cl.Buffer(queue.context, MF.USE_HOST_PTR, hostbuf=host)
    assert (buffer.offset, buffer.associated_memobject) == (0, None)
    sub = buffer.get_sub_region(align, 16)
    assert (sub.offset, sub.associated_memobject) == (align, buffer)
    cl.enqueue_copy(queue, sub, np.arange(4, dtype=np.int32))
    twice(queue, (4,), None, sub)
    found = np.empty(4, np.int32)
    cl.enqueue_copy(queue, found, buffer, src_offset=align)
    assert found.tolist() == [0, 2, 4, 6]
    assert buffer.get_sub_region(align, 16, MF.READ_ONLY).size == 16, "the buffer is for both"


@pytest.mark.parametrize("first", [0, 1, 8, 33])
def test_a_pointer_to_the_inside_of_shared_memory(queue: Any, twice: Any, first: int) -> None:
    """Of any alignment; OpenCL lets a pointer be one to anywhere in an allocation."""
    raw = cl.csvm_empty(queue.context, 64, np.int32)
    cl.enqueue_copy(queue, cl.SVM(raw), np.arange(64, dtype=np.int32))
    twice(queue, (8,), None, cl.SVM(raw[first : first + 8]))
    found = np.zeros(64, np.int32)
    cl.enqueue_copy(queue, found, cl.SVM(raw))
    expected = np.arange(64)
    expected[first : first + 8] *= 2
    assert np.array_equal(found, expected)


def test_two_pointers_into_one_allocation(queue: Any) -> None:
    """What is written through one is there for the other."""
    kernel = cl.Program(
        queue.context,
        "__kernel void f(__global int *a, __global int *b)"
        " { int i = get_global_id(0); a[i + 3] = i; b[i] = a[i + 3] + 10 * a[i + 4]; }",
    ).build().f
    raw = cl.csvm_empty(queue.context, 32, np.int32)
    cl.enqueue_copy(queue, cl.SVM(raw), np.ones(32, np.int32))
    kernel(queue, (1,), None, cl.SVM(raw), cl.SVM(raw[3:]))
    found = np.zeros(32, np.int32)
    cl.enqueue_copy(queue, found, cl.SVM(raw))
    assert found[:6].tolist() == [1, 1, 1, 10, 1, 1]
