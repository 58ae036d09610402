"""Small things that programs ask for, answered as a driver answers them."""

from __future__ import annotations

import re
import threading
import warnings
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest

import vcl as cl
from tests.processes import run_program, within

STATUS = cl.command_execution_status


def test_the_attributes_of_a_kernel(ctx: Any) -> None:
    source = "__kernel __attribute__((reqd_work_group_size(4,1,1))) void f(__global int *a) {}"
    assert "reqd_work_group_size" in cl.Program(ctx, source).build().f.attributes


def test_a_vector_of_three_in_the_room_of_three(queue: Any) -> None:
    source = "__kernel void f(__global float *a, float3 v) { a[0] = v.x + 10 * v.y + 100 * v.z; }"
    kernel = cl.Program(queue.context, source).build().f
    buffer, found = cl.Buffer(queue.context, 0, 4), np.empty(1, np.float32)
    kernel(queue, (1,), None, buffer, np.array([1, 2, 3], np.float32))
    cl.enqueue_copy(queue, found, buffer)
    assert found[0] == 321


def test_numbers_where_drivers_give_numbers(ctx: Any) -> None:
    (device,) = ctx.devices
    assert device.host_unified_memory == 0 and type(device.host_unified_memory) is int
    assert type(device.get_info(cl.device_info.PIPE_SUPPORT)) is int
    assert device.vendor_id != 0


@pytest.mark.parametrize("kind", ["SUBMITTED", "RUNNING", "COMPLETE"])
def test_a_callback_is_told_what_it_asked_for(queue: Any, kind: str) -> None:
    number = getattr(STATUS, kind)
    calls: SimpleQueue[int] = SimpleQueue()
    cl.enqueue_marker(queue).set_callback(number, calls.put)
    assert within(calls.get) == number


def test_submitted_is_told_before_the_end(queue: Any) -> None:
    user, submitted = cl.UserEvent(queue.context), threading.Event()
    event = cl.enqueue_marker(queue, wait_for=[user])
    event.set_callback(STATUS.SUBMITTED, lambda status: submitted.set())
    assert within(lambda: submitted.wait(10))
    assert event.command_execution_status != STATUS.COMPLETE
    user.set_status(0)
    event.wait()


def test_an_array_for_a_buffer_is_pointed_out(queue: Any) -> None:
    import pyopencl.array as cla

    array = cla.zeros(queue, 4, np.int32)
    with pytest.raises(TypeError, match=r"perhaps you meant to pass array\.data"):
        cl.enqueue_copy(queue, cl.Buffer(queue.context, 0, 16), array)


def test_a_context_of_the_cluster_and_its_parts_warns(platform: Any) -> None:
    devices = platform.get_devices()
    with pytest.warns(UserWarning, match="load each node twice"):
        cl.Context(devices)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cl.Context(devices[:1])
        cl.Context(devices[1:])


def test_a_build_log_that_all_devices_share_is_told_once(cluster_ctx: Any) -> None:
    """However their drivers call the temporary file."""
    with pytest.raises(cl.RuntimeError) as raised:
        cl.Program(cluster_ctx, "__kernel void f(__global int *a) { a[0] = nothing; }").build()
    assert len(re.findall("undeclared identifier 'nothing'", str(raised.value))) <= 2
    log = str(raised.value).split("Build on", 1)[-1]
    assert log.count("undeclared identifier 'nothing'") == 1


def test_an_empty_vcl_master_counts_as_none() -> None:
    done = run_program(
        "import vcl as cl; print(cl.get_platforms()[0].name)", VCL_MASTER="", VCL_LOCAL_NODES="1"
    )
    assert (done.stdout, done.stderr) == ("VCL\n", "")


def test_the_first_cause_of_a_loss_is_told_once() -> None:
    from master.plan.movement import lost
    from master.plan.residency import Contents

    once = lost(Contents(1, lost="node a is gone"))
    assert lost(Contents(2, lost=once)) == once == "bytes it needs were lost: node a is gone"
