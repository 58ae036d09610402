"""Contexts and command queues: messages, refusals, lifetimes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.vcl.api.world import StubRuntime, check_answers, make_context, refused, remotes
from vcl.api.context import (
    OUT_OF_ORDER,
    PROFILING,
    CommandQueue,
    Context,
    check_devices,
    check_property,
    queue_flags,
)
from vcl.api.devices import Device
from vcl.constants import CLASSES
from vcl.errors import OperatingError
from vcl.wire.messages import session

_CONTEXT = CLASSES["context_info"]
_QUEUE = CLASSES["command_queue_info"]
_PROPERTIES = CLASSES["command_queue_properties"]


def test_a_context_of_the_cluster_device_is_of_all_devices(runtime: StubRuntime) -> None:
    context = make_context(runtime)
    assert runtime.said == [session.CreateContext(context._id, [1, 2], True)]


def test_a_context_of_remote_devices_is_of_these(runtime: StubRuntime) -> None:
    every = remotes(3)
    context = Context(runtime, [Device(every, every[2]), Device(every, every[0])])
    assert runtime.said == [session.CreateContext(context._id, [3, 1], False)]


def test_devices_that_a_context_cannot_have() -> None:
    with refused("clCreateContext", "INVALID_VALUE", "needs a device"):
        check_devices([])
    with refused("clCreateContext", "INVALID_DEVICE"):
        check_devices([Device(remotes(), None), 1])
    check_devices([Device(remotes(), None)])


def test_a_context_is_released_with_its_initial_queue(runtime: StubRuntime) -> None:
    context = make_context(runtime)
    number, initial = context._id, context._initial_queue()
    assert context._initial_queue() == initial
    assert runtime.said[1:] == [session.CreateQueue(initial, number, 0, OUT_OF_ORDER)]
    del context
    assert runtime.released == [initial, number]


def test_a_context_that_was_not_made_is_not_released(runtime: StubRuntime) -> None:
    runtime.dead = OperatingError(-5, "gone")
    with pytest.raises(OperatingError, match="gone"):
        make_context(runtime)
    assert not runtime.released


def test_a_queue_says_what_it_is(runtime: StubRuntime, context: Context) -> None:
    queue = CommandQueue(context, context._devices[0], PROFILING)
    assert runtime.said[-1] == session.CreateQueue(queue._id, context._id, 0, PROFILING)
    assert queue._in_order
    assert not CommandQueue(context, context._devices[0], OUT_OF_ORDER)._in_order


def test_a_queue_is_released_when_it_goes(runtime: StubRuntime, queue: CommandQueue) -> None:
    other = CommandQueue(queue._context, queue._device, 0)
    number = other._id
    del other
    assert runtime.released == [number]


@pytest.mark.parametrize(
    ("flags", "routine", "status"),
    [
        (
            _PROPERTIES["ON_DEVICE"],
            "clCreateCommandQueueWithProperties",
            "INVALID_QUEUE_PROPERTIES",
        ),
        (1 << 20, "clCreateCommandQueue", "INVALID_VALUE"),
    ],
)
def test_properties_that_a_queue_cannot_have(
    runtime: StubRuntime, context: Context, flags: int, routine: str, status: str
) -> None:
    said = list(runtime.said)
    with refused(routine, status):
        CommandQueue(context, context._devices[0], flags)
    assert runtime.said == said


def test_a_queue_on_a_device_of_another_context(context: Context) -> None:
    with refused("clCreateCommandQueue", "INVALID_DEVICE"):
        CommandQueue(context, Device(remotes(), None), 0)


def test_a_list_of_properties() -> None:
    assert queue_flags([]) == 0
    assert queue_flags([_QUEUE["PROPERTIES"], 3, 0]) == 3
    with refused("clCreateCommandQueueWithProperties", "INVALID_VALUE"):
        queue_flags([12345, 1])


def test_finish_of_an_in_order_queue_waits_for_its_commands(
    runtime: StubRuntime, queue: CommandQueue
) -> None:
    event = runtime.enqueue(queue._id, lambda event: session.Marker(event, queue._id, [], False))
    queue._finish()
    assert runtime.waited == [event]


def test_finish_of_an_out_of_order_queue_waits_for_a_marker(
    runtime: StubRuntime, context: Context
) -> None:
    queue = CommandQueue(context, context._devices[0], OUT_OF_ORDER)
    queue._finish()
    (marker,) = runtime.waited
    assert runtime.said[-1] == session.Marker(marker, queue._id, [], False)
    assert runtime.released == [marker]


def test_finish_raises_a_failure_once(runtime: StubRuntime, queue: CommandQueue) -> None:
    runtime.failures[queue._id] = (7, -5, "node n1 was lost")
    with refused("clFinish", "OUT_OF_RESOURCES", "node n1 was lost"):
        queue._finish()
    queue._finish()


@pytest.mark.parametrize("call", ["_flush", "_finish"])
def test_a_dead_session_says_so(runtime: StubRuntime, queue: Any, call: str) -> None:
    runtime.dead = OperatingError(-5, "gone")
    with pytest.raises(OperatingError, match="gone"):
        getattr(queue, call)()
    assert not runtime.flushes


def test_properties_have_a_name_and_a_value() -> None:
    check_property((1, 2))
    for given in ((), (1,), (1, 2, 3)):
        with refused("Context", "INVALID_VALUE", "length 2"):
            check_property(given)


def test_answers_of_a_context(runtime: StubRuntime) -> None:
    devices = [Device(remotes(), one) for one in remotes()]
    context = Context(runtime, devices, [(1, 2)])
    answers = {
        "DEVICES": devices, "NUM_DEVICES": 2, "PROPERTIES": [(1, 2)], "REFERENCE_COUNT": 1
    }  # fmt: skip
    check_answers(context._query, _CONTEXT, answers)
    context._query(_CONTEXT["DEVICES"]).clear()
    assert context._devices == devices
    with refused("clGetContextInfo", "INVALID_VALUE"):
        context._query(1)


def test_answers_of_a_queue(context: Context) -> None:
    device = context._devices[0]
    queue = CommandQueue(context, device, PROFILING)
    answers = {
        "CONTEXT": context, "DEVICE": device, "REFERENCE_COUNT": 1, "PROPERTIES": PROFILING,
        "PROPERTIES_ARRAY": [_QUEUE["PROPERTIES"], PROFILING, 0],
    }  # fmt: skip
    check_answers(queue._query, _QUEUE, answers)
    plain = CommandQueue(context, device, 0)
    check_answers(plain._query, _QUEUE, {"PROPERTIES": 0, "PROPERTIES_ARRAY": []})
    with refused("clGetCommandQueueInfo", "INVALID_COMMAND_QUEUE"):
        queue._query(1)
