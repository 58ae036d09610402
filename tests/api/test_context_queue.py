"""Contexts and command queues."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import vcl as cl

PROPERTIES = cl.command_queue_properties
OUT_OF_ORDER = PROPERTIES.OUT_OF_ORDER_EXEC_MODE_ENABLE


def test_context_answers(ctx: Any, platform: Any) -> None:
    assert ctx.num_devices == 1
    assert ctx.devices[0] in platform.get_devices()
    assert ctx.properties == []
    assert ctx.reference_count >= 1
    assert cl.Context.from_int_ptr(ctx.int_ptr) == ctx
    with pytest.raises(cl.LogicError):
        ctx.get_info(1)


def test_context_from_type(platform: Any) -> None:
    assert cl.Context(dev_type=cl.device_type.CPU).devices == platform.get_devices()
    assert cl.Context().devices == platform.get_devices()[:1]
    properties = [(cl.context_properties.PLATFORM, platform)]
    assert cl.Context(properties=properties).devices == platform.get_devices()[:1]
    with pytest.raises(cl.RuntimeError) as raised:
        cl.Context(dev_type=cl.device_type.GPU)
    assert raised.value.code == cl.status_code.DEVICE_NOT_FOUND


def test_context_of_several_devices_shares_buffers(platform: Any) -> None:
    """Writes on one device's queue are seen on the other's, ordered by an event."""
    _, one, two = platform.get_devices()
    ctx = cl.Context([one, two])
    first, second = cl.CommandQueue(ctx, one), cl.CommandQueue(ctx, two)
    assert (first.device, second.device) == (one, two)
    program = cl.Program(
        ctx, "__kernel void twice(__global int *a) { a[get_global_id(0)] *= 2; }"
    ).build()
    values = np.arange(100, dtype=np.int32)
    buffer = cl.Buffer(ctx, cl.mem_flags.COPY_HOST_PTR, hostbuf=values)
    kernel = program.twice
    event = kernel(first, (100,), None, buffer)
    kernel(second, (100,), None, buffer, wait_for=[event])
    found = np.empty_like(values)
    cl.enqueue_copy(second, found, buffer)
    np.testing.assert_array_equal(found, 4 * values)


def test_context_of_the_cluster_and_a_device(platform: Any) -> None:
    cluster, one, _ = platform.get_devices()
    ctx = cl.Context([cluster, one])
    program = cl.Program(
        ctx, "__kernel void more(__global int *a) { a[get_global_id(0)] += 1; }"
    ).build()
    kernel = program.more
    buffer = cl.Buffer(ctx, cl.mem_flags.COPY_HOST_PTR, hostbuf=np.zeros(64, np.int32))
    found = np.empty(64, np.int32)
    queues = [cl.CommandQueue(ctx, device) for device in (cluster, one, cluster)]
    for queue in queues:
        kernel(queue, (64,), (8,), buffer)
        queue.finish()
    cl.enqueue_copy(queues[0], found, buffer)
    assert found.tolist() == [3] * 64


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (([],), "INVALID_VALUE"),
        ((["device"],), "INVALID_DEVICE"),
    ],
)
def test_context_refuses(platform: Any, arguments: Any, code: str) -> None:
    with pytest.raises(cl.LogicError) as raised:
        cl.Context(*arguments)
    assert raised.value.code == getattr(cl.status_code, code)


def test_queue_answers(ctx: Any) -> None:
    queue = cl.CommandQueue(ctx, properties=PROPERTIES.PROFILING_ENABLE)
    assert queue.context == ctx
    assert queue.device == ctx.devices[0]
    assert queue.properties == PROPERTIES.PROFILING_ENABLE
    assert cl.CommandQueue(ctx).properties == 0
    assert queue.reference_count >= 1
    assert cl.CommandQueue.from_int_ptr(queue.int_ptr) == queue
    with pytest.raises(cl.LogicError):
        queue.get_info(1)


def test_queue_properties_as_a_list(ctx: Any) -> None:
    queue = cl.CommandQueue(ctx, properties=[cl.queue_properties.PROPERTIES, OUT_OF_ORDER])
    assert queue.properties == OUT_OF_ORDER


@pytest.mark.parametrize(
    ("properties", "code"),
    [
        (PROPERTIES.ON_DEVICE, "INVALID_QUEUE_PROPERTIES"),
        (1 << 20, "INVALID_VALUE"),
        ([1, 2], "INVALID_VALUE"),
    ],
)
def test_queue_refuses_properties(ctx: Any, properties: Any, code: str) -> None:
    with pytest.raises(cl.LogicError) as raised:
        cl.CommandQueue(ctx, properties=properties)
    assert raised.value.code == getattr(cl.status_code, code)


def test_queue_refuses_a_device_of_another_context(ctx: Any, platform: Any) -> None:
    with pytest.raises(cl.LogicError, match="isn't of the context") as raised:
        cl.CommandQueue(ctx, platform.get_devices()[2])
    assert raised.value.code == cl.status_code.INVALID_DEVICE


def test_flush_and_finish_of_an_empty_queue(ctx: Any) -> None:
    for properties in (0, OUT_OF_ORDER):
        queue = cl.CommandQueue(ctx, properties=properties)
        queue.flush()
        queue.finish()


def test_finish_waits_for_everything(ctx: Any) -> None:
    for properties in (0, OUT_OF_ORDER):
        queue = cl.CommandQueue(ctx, properties=properties)
        buffers = [cl.Buffer(ctx, 0, 4096) for _ in range(20)]
        events = [cl.enqueue_fill_buffer(queue, b, np.uint8(7), 0, 4096) for b in buffers]
        queue.finish()
        done = [event.command_execution_status for event in events]
        assert done == [cl.command_execution_status.COMPLETE] * 20


def test_with_queue_finishes_it_and_warns_of_later_use(ctx: Any) -> None:
    buffer = cl.Buffer(ctx, 0, 64)
    with cl.CommandQueue(ctx) as queue:
        event = cl.enqueue_fill_buffer(queue, buffer, np.uint8(1), 0, 64)
    assert event.command_execution_status == cl.command_execution_status.COMPLETE
    with pytest.warns(cl.CommandQueueUsedAfterExit):
        cl.enqueue_fill_buffer(queue, buffer, np.uint8(1), 0, 64)


def test_a_failed_command_is_raised_by_finish_once(ctx: Any) -> None:
    queue = cl.CommandQueue(ctx)
    user = cl.UserEvent(ctx)
    cl.enqueue_marker(queue, wait_for=[user])
    user.set_status(-5)
    with pytest.raises(cl.Error, match="user event"):
        queue.finish()
    queue.finish()


def test_many_queues_and_contexts_come_and_go(platform: Any) -> None:
    for _ in range(50):
        ctx = cl.Context(platform.get_devices()[:1])
        queue = cl.CommandQueue(ctx)
        cl.enqueue_marker(queue)
    queue.finish()
