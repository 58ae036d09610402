"""Nothing that doesn't block may block: commands behind a user event that the same thread sets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import vcl as cl
from tests.processes import within
from vcl.wire.limits import commands_in_flight_max

MF = cl.mem_flags
Enqueue = Callable[[Any, Any, Any, list[Any]], Any]  # queue, buffer, host memory, wait list
BOX = {"buffer_origin": (0, 0), "host_origin": (0, 0), "region": (16, 4)}
EDGE = {"origin": (0, 0), "region": (4, 4)}


def _image(queue: Any) -> Any:
    form = cl.ImageFormat(cl.channel_order.R, cl.channel_type.SIGNED_INT32)
    return cl.create_image(queue.context, MF.READ_WRITE, form, shape=(4, 4))


def _shared(queue: Any) -> Any:
    return cl.SVMAllocation(queue.context, 64, 0, cl.svm_mem_flags.READ_WRITE)


def _fill_image(queue: Any, wait_for: list[Any]) -> Any:
    color = np.ones(4, np.int32)
    return cl.enqueue_fill_image(queue, _image(queue), color, (0, 0), (4, 4), wait_for=wait_for)


COMMANDS: dict[str, Enqueue] = {
    "read": lambda q, b, h, w: cl.enqueue_copy(q, h, b, is_blocking=False, wait_for=w),
    "write": lambda q, b, h, w: cl.enqueue_copy(q, b, h, is_blocking=False, wait_for=w),
    "copy": lambda q, b, h, w: cl.enqueue_copy(
        q, b, cl.Buffer(q.context, 0, 64), wait_for=w
    ),
    "fill": lambda q, b, h, w: cl.enqueue_fill_buffer(q, b, np.int32(3), 0, 64, wait_for=w),
    "read a box": lambda q, b, h, w: cl.enqueue_copy(
        q, h, b, is_blocking=False, wait_for=w, **BOX
    ),
    "write a box": lambda q, b, h, w: cl.enqueue_copy(
        q, b, h, is_blocking=False, wait_for=w, **BOX
    ),
    "read an image": lambda q, b, h, w: cl.enqueue_copy(
        q, h, _image(q), is_blocking=False, wait_for=w, **EDGE
    ),
    "write an image": lambda q, b, h, w: cl.enqueue_copy(
        q, _image(q), h, is_blocking=False, wait_for=w, **EDGE
    ),
    "copy an image": lambda q, b, h, w: cl.enqueue_copy(
        q, _image(q), _image(q), src_origin=(0, 0), dest_origin=(0, 0), region=(4, 4), wait_for=w
    ),
    "image to buffer": lambda q, b, h, w: cl.enqueue_copy(
        q, b, _image(q), offset=0, wait_for=w, **EDGE
    ),
    "fill an image": lambda q, b, h, w: _fill_image(q, w),
    "map a buffer": lambda q, b, h, w: cl.enqueue_map_buffer(
        q, b, cl.map_flags.READ, 0, (16,), np.int32, is_blocking=False, wait_for=w
    )[1],
    "map an image": lambda q, b, h, w: cl.enqueue_map_image(
        q, _image(q), cl.map_flags.READ, (0, 0), (4, 4), (4, 4), np.int32,
        is_blocking=False, wait_for=w,
    )[1],
    "shared from host": lambda q, b, h, w: cl.enqueue_copy(
        q, _shared(q), h, is_blocking=False, wait_for=w
    ),
    "host from shared": lambda q, b, h, w: cl.enqueue_copy(
        q, h, _shared(q), is_blocking=False, wait_for=w
    ),
    "host from host": lambda q, b, h, w: cl._cl._enqueue_svm_memcpy(
        q, False, cl.SVM(h), cl.SVM(np.arange(16, dtype=np.int32)), w
    ),
    "fill shared": lambda q, b, h, w: cl.enqueue_svm_memfill(
        q, _shared(q), np.int32(1), wait_for=w
    ),
    "map shared": lambda q, b, h, w: cl._cl._enqueue_svm_map(
        q, False, cl.map_flags.READ, _shared(q), w
    ),
    "marker": lambda q, b, h, w: cl.enqueue_marker(q, wait_for=w),
    "barrier": lambda q, b, h, w: cl.enqueue_barrier(q, wait_for=w),
    "migrate": lambda q, b, h, w: cl.enqueue_migrate_mem_objects(q, [b], wait_for=w),
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_behind_a_user_event(queue: Any, command: str) -> None:
    user = cl.UserEvent(queue.context)
    buffer = cl.Buffer(queue.context, MF.COPY_HOST_PTR, hostbuf=np.arange(16, dtype=np.int32))
    host = np.zeros((4, 4), np.int32)
    event = within(lambda: COMMANDS[command](queue, buffer, host, [user]))
    assert event.command_execution_status > cl.command_execution_status.COMPLETE
    user.set_status(0)
    within(event.wait)
    if command in ("read", "read a box", "host from host"):
        assert host.ravel().tolist() == list(range(16))


def test_more_than_may_be_under_way_behind_a_user_event(
    queue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No limit on commands or on bytes may block the thread that has yet to set it."""
    monkeypatch.setattr(queue._runtime.core, "staging_bytes_max", 2**12)
    user = cl.UserEvent(queue.context)
    buffer = cl.Buffer(queue.context, MF.READ_WRITE, 64)
    found = np.zeros(16, np.int32)

    def enqueue_all_and_set() -> Any:
        for number in range(commands_in_flight_max + 1):
            data = np.full(16, number, np.int32)
            wait_for = [user] if number == 0 else []
            cl.enqueue_copy(queue, buffer, data, is_blocking=False, wait_for=wait_for)
        read = cl.enqueue_copy(queue, found, buffer, is_blocking=False)
        assert not found.any()
        user.set_status(0)
        return read

    within(lambda: enqueue_all_and_set().wait())
    assert found.tolist() == [commands_in_flight_max] * 16


def test_a_copy_on_the_host_waits_for_its_turn(queue: Any) -> None:
    """Host memory is read when the copy's turn comes, not when it is enqueued."""
    user = cl.UserEvent(queue.context)
    source, target = np.zeros(4, np.int32), np.zeros(4, np.int32)
    buffer = cl.Buffer(queue.context, MF.COPY_HOST_PTR, hostbuf=np.arange(4, dtype=np.int32))
    first = cl.enqueue_copy(queue, source, buffer, is_blocking=False, wait_for=[user])
    copy = cl._cl._enqueue_svm_memcpy(queue, False, cl.SVM(target), cl.SVM(source), None)
    user.set_status(0)
    within(copy.wait)
    assert target.tolist() == [0, 1, 2, 3]
    first.wait()


def test_a_box_scattered_in_host_memory(queue: Any) -> None:
    """Rows and slices arrive between what was there."""
    data = np.arange(4 * 6 * 8, dtype=np.uint8)
    buffer = cl.Buffer(queue.context, MF.COPY_HOST_PTR, hostbuf=data)
    host = np.full((5, 7, 10), 255, np.uint8)
    event = cl.enqueue_copy(
        queue, host, buffer, is_blocking=False, buffer_origin=(1, 2, 1), host_origin=(3, 1, 2),
        region=(5, 3, 2), buffer_pitches=(8, 48), host_pitches=(10, 70),
    )  # fmt: skip
    event.wait()
    expected = np.full((5, 7, 10), 255, np.uint8)
    expected[2:4, 1:4, 3:8] = data.reshape(4, 6, 8)[1:3, 2:5, 1:6]
    assert np.array_equal(host, expected)


KINDS: dict[str, str] = {
    "read": "READ_BUFFER", "write": "WRITE_BUFFER", "copy": "COPY_BUFFER", "fill": "FILL_BUFFER",
    "read a box": "READ_BUFFER_RECT", "write a box": "WRITE_BUFFER_RECT",
    "read an image": "READ_IMAGE", "write an image": "WRITE_IMAGE",
    "copy an image": "COPY_IMAGE", "image to buffer": "COPY_IMAGE_TO_BUFFER",
    "fill an image": "FILL_IMAGE", "map a buffer": "MAP_BUFFER", "map an image": "MAP_IMAGE",
    "shared from host": "SVM_MEMCPY", "host from shared": "SVM_MEMCPY",
    "host from host": "SVM_MEMCPY", "fill shared": "SVM_MEMFILL", "map shared": "SVM_MAP",
    "marker": "MARKER", "barrier": "BARRIER", "migrate": "MIGRATE_MEM_OBJECTS",
}  # fmt: skip


@pytest.mark.parametrize("command", KINDS)
def test_the_type_of_a_command(queue: Any, command: str) -> None:
    buffer = cl.Buffer(queue.context, MF.READ_WRITE, 64)
    event = COMMANDS[command](queue, buffer, np.zeros((4, 4), np.int32), [])
    assert event.command_type == getattr(cl.command_type, KINDS[command])
    event.wait()


def test_the_type_of_an_unmap(queue: Any) -> None:
    buffer = cl.Buffer(queue.context, MF.READ_WRITE, 64)
    for flags in (cl.map_flags.READ, cl.map_flags.WRITE):
        array, _ = cl.enqueue_map_buffer(queue, buffer, flags, 0, (16,), np.int32)
        event = array.base.release(queue)
        assert event.command_type == cl.command_type.UNMAP_MEM_OBJECT


def test_commands_that_have_nothing_to_do(queue: Any) -> None:
    """OpenCL 2.1 and drivers allow them, and they keep their type."""
    buffer = cl.Buffer(queue.context, MF.READ_WRITE, 64)
    kernel = cl.Program(queue.context, "__kernel void f(__global int *a) { a[0] = 1; }").build().f
    nothing = np.zeros(0, np.int32)
    assert kernel(queue, (0,), None, buffer).command_type == cl.command_type.NDRANGE_KERNEL
    assert cl.enqueue_copy(queue, buffer, nothing).command_type == cl.command_type.WRITE_BUFFER
    assert cl.enqueue_copy(queue, nothing, buffer).command_type == cl.command_type.READ_BUFFER
    fill = cl.enqueue_fill_buffer(queue, buffer, np.uint8(1), 0, 0)
    assert fill.command_type == cl.command_type.FILL_BUFFER
    found = np.ones(16, np.int32)
    cl.enqueue_copy(queue, found, buffer)
    assert not found.any()


INVALIDATE = cl.map_flags.WRITE_INVALIDATE_REGION
NOTHING = np.zeros(0, np.int32)
BLOCKING: dict[str, Any] = {
    "map a buffer": lambda q, b, w: cl.enqueue_map_buffer(
        q, b, INVALIDATE, 0, (16,), np.int32, wait_for=w
    ),
    "map an image": lambda q, b, w: cl.enqueue_map_image(
        q, _image(q), INVALIDATE, (0, 0), (4, 4), (4, 4), np.int32, wait_for=w
    ),
    "map shared": lambda q, b, w: cl._cl._enqueue_svm_map(q, True, INVALIDATE, _shared(q), w),
    "copy nothing": lambda q, b, w: cl._cl._enqueue_svm_memcpy(
        q, True, _shared(q), _shared(q), w, 0
    ),
    "read nothing": lambda q, b, w: cl.enqueue_copy(q, NOTHING.copy(), b, wait_for=w),
    "write nothing": lambda q, b, w: cl.enqueue_copy(q, b, NOTHING, wait_for=w),
}


@pytest.mark.parametrize("command", BLOCKING)
def test_blocking_commands_wait_though_no_bytes_travel(queue: Any, command: str) -> None:
    """The host writes what it mapped so: what was read into that memory before must be there."""
    buffer = cl.Buffer(queue.context, MF.READ_WRITE, 64)
    user = cl.UserEvent(queue.context)
    user.set_status(-5)
    with pytest.raises(cl.RuntimeError):
        BLOCKING[command](queue, buffer, [user])
