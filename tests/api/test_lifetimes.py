"""What lives how long: events that die before their command is done, and what they promised."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import vcl as cl

MF = cl.mem_flags
N = 1 << 14
SLOW = """
    __kernel void slow(__global float *a) {
        size_t i = get_global_id(0); float x = i;
        for (int j = 0; j < 20000; j++) x = x * .5f + 1;
        a[i] = x;
    }
"""


def _plain(queue: Any, buffer: Any, found: Any) -> None:
    cl.enqueue_copy(queue, found, buffer, is_blocking=False)


def _box(queue: Any, buffer: Any, found: Any) -> None:
    cl.enqueue_copy(
        queue, found, buffer, is_blocking=False,
        buffer_origin=(0, 0), host_origin=(0, 0), region=(N // 16, 64),
    )  # fmt: skip


def _image(queue: Any, buffer: Any, found: Any) -> None:
    one = cl.ImageFormat(cl.channel_order.R, cl.channel_type.FLOAT)
    image = cl.create_image(queue.context, MF.READ_WRITE, one, shape=(128, N // 128))
    cl.enqueue_copy(queue, image, buffer, offset=0, origin=(0, 0), region=(128, N // 128))
    cl.enqueue_copy(
        queue, found, image, is_blocking=False, origin=(0, 0), region=(128, N // 128)
    )


def _mapped(queue: Any, buffer: Any, found: Any) -> None:
    array = cl.enqueue_map_buffer(
        queue, buffer, cl.map_flags.READ, 0, (N,), np.float32, is_blocking=False
    )[0]
    found[:] = array


def _shared(queue: Any, buffer: Any, found: Any) -> None:
    shared = cl.SVMAllocation(queue.context, 4 * N, 0, cl.svm_mem_flags.READ_WRITE)
    host = np.empty(N, np.float32)
    cl.enqueue_copy(queue, host, buffer)
    cl.enqueue_copy(queue, shared, host, is_blocking=False)
    cl.enqueue_copy(queue, found, shared, is_blocking=False)


def _array(queue: Any, buffer: Any, found: Any) -> None:
    import pyopencl.array as cla

    # The array holds the event too.
    found[:] = cla.Array(queue, (N,), np.float32, data=buffer).get_async()[0]


READS: dict[str, Callable[[Any, Any, Any], None]] = {
    "buffer": _plain,
    "box": _box,
    "image": _image,
    "map": _mapped,
    "shared memory": _shared,
    "array": _array,
}


@pytest.mark.parametrize("form", READS)
def test_a_read_whose_event_is_dropped_has_arrived(queue: Any, form: str) -> None:
    """As pyopencl: the event's end waits, and what was read is there afterwards."""
    buffer = cl.Buffer(queue.context, MF.READ_WRITE, 4 * N)
    cl.Program(queue.context, SLOW).build().slow(queue, (N,), (64,), buffer)
    found = np.zeros(N, np.float32)
    READS[form](queue, buffer, found)
    assert (found == 2).all()


def test_a_dropped_write_is_not_waited_for(queue: Any) -> None:
    """Its bytes were copied when it was enqueued."""
    user = cl.UserEvent(queue.context)
    buffer = cl.Buffer(queue.context, MF.READ_WRITE, 16)
    host = np.arange(4, dtype=np.int32)
    cl.enqueue_copy(queue, buffer, host, is_blocking=False, wait_for=[user])
    host[:] = 9
    user.set_status(0)
    found = np.empty_like(host)
    cl.enqueue_copy(queue, found, buffer)
    assert found.tolist() == [0, 1, 2, 3]


def test_an_event_in_a_cycle_holds_nothing_up(queue: Any) -> None:
    """The collector may come by anywhere, also while the session's lock is held."""
    buffer = cl.Buffer(queue.context, MF.COPY_HOST_PTR, hostbuf=np.arange(4, dtype=np.int32))
    found = np.zeros(4, np.int32)
    cycle: list[Any] = [cl.enqueue_copy(queue, found, buffer, is_blocking=False)]
    cycle.append(cycle)
    del cycle
    with queue._runtime.lock:
        gc.collect()
    queue.finish()
    assert found.tolist() == [0, 1, 2, 3]


def test_a_destination_lives_until_it_is_written(queue: Any) -> None:
    """The program has let go of it; the session holds it until its bytes have come."""
    user = cl.UserEvent(queue.context)
    buffer = cl.Buffer(queue.context, MF.COPY_HOST_PTR, hostbuf=np.arange(1 << 16))
    event = cl.enqueue_copy(
        queue, np.empty(1 << 16, int), buffer, is_blocking=False, wait_for=[user]
    )
    gc.collect()
    user.set_status(0)
    event.wait()
    assert event.get_ward() is None
