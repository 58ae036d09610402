"""Reads, writes, copies, fills, markers and barriers, and the order that queues give them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import vcl as cl

MF = cl.mem_flags
OUT_OF_ORDER = cl.command_queue_properties.OUT_OF_ORDER_EXEC_MODE_ENABLE
COMPLETE = cl.command_execution_status.COMPLETE
Read = Callable[..., np.ndarray]

SOURCE = """
__kernel void affine(__global int *a, int factor, int term)
{
    int i = get_global_id(0);
    a[i] = a[i] * factor + term;
}
"""


@pytest.fixture(scope="module")
def affine(ctx: Any) -> Any:
    return cl.Program(ctx, SOURCE).build().affine


@pytest.fixture
def loose(ctx: Any) -> Any:
    """An out-of-order queue."""
    return cl.CommandQueue(ctx, properties=OUT_OF_ORDER)


@pytest.mark.parametrize("is_blocking", [True, False])
def test_copies_to_and_from_the_host(ctx: Any, queue: Any, is_blocking: bool) -> None:
    values = np.random.default_rng(1).integers(0, 256, 3_000_001, dtype=np.uint8)
    buffer = cl.Buffer(ctx, 0, values.nbytes)
    wrote = cl.enqueue_copy(queue, buffer, values, is_blocking=is_blocking)
    found = np.zeros_like(values)
    event = cl.enqueue_copy(queue, found, buffer, is_blocking=is_blocking)
    if not is_blocking:
        event.wait()
        wrote.wait()
    np.testing.assert_array_equal(found, values)
    assert isinstance(event, cl.NannyEvent)
    assert event.command_type == cl.command_type.READ_BUFFER
    assert wrote.command_type == cl.command_type.WRITE_BUFFER


def test_a_blocking_write_lets_go_of_the_host_memory(ctx: Any, queue: Any, read: Read) -> None:
    values = np.arange(100_000, dtype=np.int32)
    buffer = cl.Buffer(ctx, 0, values.nbytes)
    cl.enqueue_copy(queue, buffer, values)
    values[:] = 0
    np.testing.assert_array_equal(read(queue, buffer), np.arange(100_000))


def test_the_memory_of_a_read_outlives_its_name(ctx: Any, queue: Any) -> None:
    """Neither the array nor the event is kept by the program: no crash, nothing lost."""
    buffer = cl.Buffer(ctx, MF.COPY_HOST_PTR, hostbuf=np.arange(100_000, dtype=np.int32))
    for _ in range(5):
        cl.enqueue_copy(queue, np.empty(100_000, np.int32), buffer, is_blocking=False)
    queue.finish()


def test_offsets_on_the_device(ctx: Any, queue: Any, read: Read) -> None:
    buffer = cl.Buffer(ctx, MF.COPY_HOST_PTR, hostbuf=np.zeros(10, np.int32))
    cl.enqueue_copy(queue, buffer, np.array([1, 2, 3], np.int32), dst_offset=16)
    found = np.empty(4, np.int32)
    cl.enqueue_copy(queue, found, buffer, src_offset=12)
    assert found.tolist() == [0, 1, 2, 3]
    cl.enqueue_copy(queue, buffer, b"\x01\x02", dst_offset=39 - 1)
    assert read(queue, buffer, np.uint8)[-3:].tolist() == [0, 1, 2]


@pytest.mark.parametrize("kind", ["bytearray", "memoryview", "fortran", "slice", "2d", "struct"])
def test_kinds_of_host_memory_to_read_into(ctx: Any, queue: Any, kind: str) -> None:
    values = np.arange(24, dtype=np.uint8)
    buffer = cl.Buffer(ctx, MF.COPY_HOST_PTR, hostbuf=values)
    whole = np.zeros(48, np.uint8)
    target: Any = {
        "bytearray": bytearray(24),
        "memoryview": memoryview(bytearray(24)),
        "fortran": np.zeros((4, 6), np.uint8, order="F"),
        "slice": whole[12:36],
        "2d": np.zeros((2, 3), np.int32),
        "struct": np.zeros(3, np.dtype([("a", np.int32), ("b", np.float32)])),
    }[kind]
    cl.enqueue_copy(queue, target, buffer)
    data = target.tobytes("A") if isinstance(target, np.ndarray) else bytes(target)
    assert data == values.tobytes()


def test_reading_into_memory_that_cannot_be_written(ctx: Any, queue: Any) -> None:
    buffer = cl.Buffer(ctx, 0, 4)
    fixed = np.zeros(4, np.uint8)
    fixed.flags.writeable = False
    for target in (fixed, b"abcd"):
        with pytest.raises((BufferError, ValueError, TypeError)):
            cl.enqueue_copy(queue, target, buffer)


def test_copy_between_buffers(ctx: Any, queue: Any, read: Read) -> None:
    values = np.arange(100, dtype=np.int32)
    source = cl.Buffer(ctx, MF.COPY_HOST_PTR, hostbuf=values)
    target = cl.Buffer(ctx, MF.COPY_HOST_PTR, hostbuf=np.zeros(200, np.int32))
    event = cl.enqueue_copy(queue, target, source)
    assert event.command_type == cl.command_type.COPY_BUFFER
    cl.enqueue_copy(queue, target, source, src_offset=40, dst_offset=600, byte_count=80)
    expected = np.zeros(200, np.int32)
    expected[:100], expected[150:170] = values, values[10:30]
    np.testing.assert_array_equal(read(queue, target), expected)


def test_copy_inside_one_buffer(ctx: Any, queue: Any, read: Read) -> None:
    buffer = cl.Buffer(ctx, MF.COPY_HOST_PTR, hostbuf=np.arange(20, dtype=np.int32))
    cl.enqueue_copy(queue, buffer, buffer, src_offset=0, dst_offset=40, byte_count=40)
    assert read(queue, buffer).tolist() == [*range(10)] * 2
    with pytest.raises(cl.Error) as raised:
        cl.enqueue_copy(queue, buffer, buffer, src_offset=0, dst_offset=4, byte_count=40)
    assert raised.value.code == cl.status_code.MEM_COPY_OVERLAP


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
def test_fill(ctx: Any, queue: Any, read: Read, bits: int) -> None:
    kind = np.dtype(f"uint{bits}")
    pattern = kind.type(0x0102030405060708 & (2**bits - 1))
    buffer = cl.Buffer(ctx, MF.COPY_HOST_PTR, hostbuf=np.zeros(64, kind))
    start, size = 8 * kind.itemsize, 16 * kind.itemsize
    event = cl.enqueue_fill_buffer(queue, buffer, pattern, start, size)
    assert event.command_type == cl.command_type.FILL_BUFFER
    expected = np.zeros(64, kind)
    expected[8:24] = pattern
    np.testing.assert_array_equal(read(queue, buffer, kind), expected)


def test_fill_with_a_long_pattern(ctx: Any, queue: Any, read: Read) -> None:
    for length in (16, 128):
        pattern = np.arange(length, dtype=np.uint8)
        buffer = cl.Buffer(ctx, 0, 4 * length)
        cl.enqueue_fill(queue, buffer, pattern, 4 * length)
        assert read(queue, buffer, np.uint8).tolist() == [*range(length)] * 4


def test_fill_of_nothing(ctx: Any, queue: Any) -> None:
    cl.enqueue_fill_buffer(queue, cl.Buffer(ctx, 0, 4), np.uint8(1), 0, 0).wait()


def test_an_in_order_queue_keeps_order(ctx: Any, queue: Any, read: Read, affine: Any) -> None:
    buffer = cl.Buffer(ctx, MF.COPY_HOST_PTR, hostbuf=np.zeros(64, np.int32))
    value = 0
    for step in range(60):
        affine(queue, (64,), (8,), buffer, np.int32(2), np.int32(step))
        value = value * 2 + step
        if step % 20 == 19:
            cl.enqueue_fill_buffer(queue, buffer, np.int32(step), 0, 128)
            cl.enqueue_copy(queue, buffer, buffer, dst_offset=128, byte_count=128)
            value = step
    assert read(queue, buffer).tolist() == [value] * 64


def test_wait_for_across_queues(ctx: Any, read: Read, affine: Any) -> None:
    """A chain over two queues, ordered by events alone, each link of it waiting for the last."""
    queues = [cl.CommandQueue(ctx), cl.CommandQueue(ctx, properties=OUT_OF_ORDER)]
    buffer = cl.Buffer(ctx, MF.COPY_HOST_PTR, hostbuf=np.zeros(64, np.int32))
    event = cl.enqueue_marker(queues[0])
    value = 0
    for step in range(20):
        chosen = queues[step % 2]
        arguments = (buffer, np.int32(2), np.int32(step))
        event = affine(chosen, (64,), (8,), *arguments, wait_for=[event])
        value = value * 2 + step
    found = np.empty(64, np.int32)
    cl.enqueue_copy(queues[0], found, buffer, wait_for=[event])
    assert found.tolist() == [value] * 64


def test_an_out_of_order_queue_orders_by_events(
    ctx: Any, loose: Any, read: Read, affine: Any
) -> None:
    buffer = cl.Buffer(ctx, 0, 256)
    first = cl.enqueue_fill_buffer(loose, buffer, np.int32(5), 0, 256)
    second = affine(loose, (64,), (8,), buffer, np.int32(2), np.int32(1), wait_for=[first])
    third = affine(loose, (64,), (8,), buffer, np.int32(10), np.int32(0), wait_for=[second])
    found = np.empty(64, np.int32)
    cl.enqueue_copy(loose, found, buffer, wait_for=[third])
    assert found.tolist() == [110] * 64


def test_a_barrier_orders_an_out_of_order_queue(ctx: Any, loose: Any, affine: Any) -> None:
    buffer = cl.Buffer(ctx, 0, 256)
    user = cl.UserEvent(ctx)
    cl.enqueue_fill_buffer(loose, buffer, np.int32(5), 0, 256, wait_for=[user])
    barrier = cl.enqueue_barrier(loose)
    affine(loose, (64,), (8,), buffer, np.int32(2), np.int32(1))
    cl.enqueue_barrier(loose)
    found = np.zeros(64, np.int32)
    read = cl.enqueue_copy(loose, found, buffer, is_blocking=False)
    loose.flush()
    assert barrier.command_execution_status != COMPLETE
    assert read.command_execution_status != COMPLETE
    user.set_status(COMPLETE)
    loose.finish()
    assert found.tolist() == [11] * 64


def test_commands_of_an_out_of_order_queue_pass_one_that_waits(ctx: Any, loose: Any) -> None:
    user = cl.UserEvent(ctx)
    one, two = cl.Buffer(ctx, 0, 64), cl.Buffer(ctx, 0, 64)
    late = cl.enqueue_fill_buffer(loose, one, np.uint8(1), 0, 64, wait_for=[user])
    cl.enqueue_fill_buffer(loose, two, np.uint8(2), 0, 64).wait()
    assert late.command_execution_status != COMPLETE
    user.set_status(COMPLETE)
    late.wait()


def test_markers(ctx: Any, loose: Any) -> None:
    user, other = cl.UserEvent(ctx), cl.UserEvent(ctx)
    buffer = cl.Buffer(ctx, 0, 64)
    fill = cl.enqueue_fill_buffer(loose, buffer, np.uint8(1), 0, 64, wait_for=[user])
    everything = cl.enqueue_marker(loose)
    chosen = cl.enqueue_marker(loose, wait_for=[other])
    assert everything.command_type == cl.command_type.MARKER
    other.set_status(COMPLETE)
    chosen.wait()
    assert everything.command_execution_status != COMPLETE
    user.set_status(COMPLETE)
    everything.wait()
    assert fill.command_execution_status == COMPLETE


def test_a_barrier_with_a_wait_list_holds_back_what_follows(ctx: Any, loose: Any) -> None:
    user = cl.UserEvent(ctx)
    barrier = cl.enqueue_barrier(loose, wait_for=[user])
    assert barrier.command_type == cl.command_type.BARRIER
    later = cl.enqueue_marker(loose)
    loose.flush()
    assert later.command_execution_status != COMPLETE
    user.set_status(COMPLETE)
    later.wait()
    assert barrier.command_execution_status == COMPLETE


def test_migration_changes_nothing(ctx: Any, queue: Any, read: Read) -> None:
    buffer = cl.Buffer(ctx, MF.COPY_HOST_PTR, hostbuf=np.arange(16, dtype=np.int32))
    cl.enqueue_migrate_mem_objects(queue, [buffer]).wait()
    cl.enqueue_migrate_mem_objects(queue, [buffer], flags=cl.mem_migration_flags.HOST).wait()
    assert read(queue, buffer).tolist() == list(range(16))


def test_a_blocking_read_that_waits_for_a_user_event(ctx: Any, queue: Any) -> None:
    """Another thread sets it: the blocked one must not hold what that needs."""
    buffer = cl.Buffer(ctx, MF.COPY_HOST_PTR, hostbuf=np.arange(16, dtype=np.int32))
    user = cl.UserEvent(ctx)
    timer = threading.Timer(0.05, user.set_status, [COMPLETE])
    timer.start()
    found = np.empty(16, np.int32)
    cl.enqueue_copy(queue, found, buffer, wait_for=[user])
    timer.join()
    assert found.tolist() == list(range(16))


def test_enqueuing_from_several_threads(ctx: Any, read: Read, affine: Any) -> None:
    """Each thread has its queue, kernel and buffer; they share the session."""
    buffers = [cl.Buffer(ctx, MF.COPY_HOST_PTR, hostbuf=np.zeros(64, "i4")) for _ in range(4)]

    def enqueue_all(buffer: Any) -> None:
        queue, kernel = cl.CommandQueue(ctx), affine.clone()
        for step in range(25):
            kernel(queue, (64,), (8,), buffer, np.int32(2), np.int32(step % 3))
        queue.finish()

    threads = [threading.Thread(target=enqueue_all, args=[buffer]) for buffer in buffers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    value = 0
    for step in range(25):
        value = value * 2 + step % 3
    queue = cl.CommandQueue(ctx)
    for buffer in buffers:
        assert read(queue, buffer).tolist() == [value] * 64


def test_more_commands_than_a_batch_holds(ctx: Any, queue: Any, read: Read) -> None:
    buffer = cl.Buffer(ctx, 0, 64)
    for step in range(5000):
        cl.enqueue_fill_buffer(queue, buffer, np.int32(step), 0, 64)
    assert read(queue, buffer).tolist() == [4999] * 16


def test_boxes(ctx: Any, queue: Any, read: Read) -> None:
    """A box of a volume to the host, back elsewhere, and between buffers."""
    volume = np.arange(4 * 6 * 8, dtype=np.uint8).reshape(4, 6, 8)
    buffer = cl.Buffer(ctx, MF.COPY_HOST_PTR, hostbuf=volume)
    pitches = (8, 48)
    host = np.zeros((2, 3, 5), np.uint8)
    cl.enqueue_copy(
        queue, host, buffer, buffer_origin=(2, 1, 1), host_origin=(0, 0, 0), region=(5, 3, 2),
        buffer_pitches=pitches, host_pitches=(5, 15),
    )  # fmt: skip
    np.testing.assert_array_equal(host, volume[1:3, 1:4, 2:7])
    cl.enqueue_copy(
        queue, buffer, host, buffer_origin=(0, 3, 2), host_origin=(1, 0, 0), region=(4, 3, 2),
        buffer_pitches=pitches, host_pitches=(5, 15),
    )  # fmt: skip
    expected = volume.copy()
    expected[2:4, 3:6, 0:4] = host[:, :, 1:5]
    np.testing.assert_array_equal(read(queue, buffer, np.uint8).reshape(volume.shape), expected)
    target = cl.Buffer(ctx, MF.COPY_HOST_PTR, hostbuf=np.zeros_like(volume))
    cl.enqueue_copy(
        queue, target, buffer, src_origin=(4, 2, 0), dst_origin=(0, 0, 1), region=(4, 4, 3),
        src_pitches=pitches, dst_pitches=pitches,
    )  # fmt: skip
    found = read(queue, target, np.uint8).reshape(volume.shape)
    np.testing.assert_array_equal(found[1:4, 0:4, 0:4], expected[0:3, 2:6, 4:8])
    assert found.astype(int).sum() == expected[0:3, 2:6, 4:8].astype(int).sum()


def test_boxes_of_the_wrong_shape(ctx: Any, queue: Any) -> None:
    buffer, host = cl.Buffer(ctx, 0, 64), np.zeros(64, np.uint8)
    for origin, region in (((0, 7), (8, 2)), ((1, 0), (8, 8)), ((0, 0), (0, 1))):
        with pytest.raises((cl.LogicError, ValueError)):
            cl.enqueue_copy(
                queue, host, buffer, buffer_origin=origin, host_origin=(0, 0), region=region,
                buffer_pitches=(8,), host_pitches=(8,),
            )  # fmt: skip


def test_a_blocking_write_is_seen_by_every_queue(ctx: Any) -> None:
    """It has ended when it returns, so no event is needed to order other queues behind it."""
    ordered, other = cl.CommandQueue(ctx), cl.CommandQueue(ctx)
    unordered = cl.CommandQueue(ctx, properties=1)
    expected = np.arange(64, dtype=np.int32)
    for second in (other, unordered):
        busy, source, target = (cl.Buffer(ctx, 0, 256) for _ in range(3))
        cl.enqueue_copy(ordered, busy, expected)
        cl.enqueue_copy(ordered, source, expected)
        cl.enqueue_copy(second, target, source).wait()
        found = np.zeros_like(expected)
        cl.enqueue_copy(ordered, found, target)
        assert np.array_equal(found, expected)


def test_an_event_of_a_blocking_write_is_released_once(ctx: Any) -> None:
    queue, buffer = cl.CommandQueue(ctx), cl.Buffer(ctx, 0, 256)
    values = np.arange(64, dtype=np.int32)
    for _ in range(50):
        kept = cl.enqueue_copy(queue, buffer, values)
        cl.enqueue_copy(queue, buffer, values)
        kept.wait()
    queue.finish()
    cl.enqueue_marker(queue).wait()
    assert not ctx._written


def test_sizes_are_checked_whatever_fitted_in_the_launch_before(
    ctx: Any, queue: Any, affine: Any
) -> None:
    buffer = cl.Buffer(ctx, MF.READ_WRITE, 64)
    affine.set_args(buffer, np.int32(1), np.int32(1))
    for extent, local, fits in (
        ((16,), (4,), True), ((16,), (3,), False), ((16,), (4,), True), ((14,), (4,), False),
        ((14,), None, True), ((16,), (4,), True),
    ):  # fmt: skip
        if fits:
            cl.enqueue_nd_range_kernel(queue, affine, extent, local).wait()
        else:
            with pytest.raises(cl.LogicError, match="INVALID_WORK_GROUP_SIZE"):
                cl.enqueue_nd_range_kernel(queue, affine, extent, local)
