"""Launches: the message, and the sizes that are refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.vcl.api.world import ADDRESS, StubRuntime, make_context, make_kernel, refused
from vcl.api.context import CommandQueue
from vcl.api.launch import check_context, launch
from vcl.api.memory import FLAGS, Memory
from vcl.wire.declared import Declaration, unpack
from vcl.wire.messages import session

ROUTINE = "clEnqueueNDRangeKernel"


def test_a_launch(runtime: StubRuntime, queue: CommandQueue) -> None:
    kernel = make_kernel(queue._context, (ADDRESS["PRIVATE"], "int"))
    kernel._set_bytes(0, b"abcd")
    event = launch(queue, kernel, [64, 2], [8, 1], None, [5])
    program = kernel._program_id
    assert runtime.said[-1] == session.Launch(
        event, queue._id, [5], program, "k", [0, 0], [64, 2], [8, 1], [b"abcd"]
    )
    event = launch(queue, kernel, [64], None, [3], [])
    assert runtime.said[-1] == session.Launch(
        event, queue._id, [], program, "k", [3], [64], None, [b"abcd"]
    )


def test_what_is_enqueued_again_is_made_anew_once_it_differs(
    runtime: StubRuntime, queue: CommandQueue
) -> None:
    kernel = make_kernel(queue._context, (ADDRESS["PRIVATE"], "int"), (ADDRESS["GLOBAL"], "int*"))
    memory = Memory(queue._context, FLAGS["READ_WRITE"], 64)
    kernel._set_bytes(0, b"abcd")
    kernel._set_buffer(1, memory)

    def said(on: CommandQueue = queue, extent: Any = (64,), local: Any = None, offset: Any = None,
             waits: Any = ()) -> session.Launch:  # fmt: skip
        event = launch(on, kernel, list(extent), local, offset, list(waits))
        message: session.Launch = runtime.said[-1]
        assert message.event == event
        return message._replace(event=0)

    first = said()
    assert said() == first and len({id(m.arguments) for m in runtime.said[-2:]}) == 1
    assert said(waits=[5]) == first._replace(waits=[5])
    assert said(extent=[32]) == first._replace(global_size=[32])
    assert said(local=[8]) == first._replace(local_size=[8])
    assert said(offset=[8]) == first._replace(global_offset=[8])
    other = CommandQueue(queue._context, queue._device, 0)
    assert said(other) == first._replace(queue=other._id)
    kernel._set_bytes(0, b"efgh")
    assert said().arguments == [b"efgh", first.arguments[1]]
    kernel._set_null(1)
    assert said().arguments == [b"efgh", None]
    kernel._set_buffer(1, memory)
    assert said().arguments == [b"efgh", first.arguments[1]]
    kernel._declare(Declaration(1, 4, (16,), (0,), None, (0,)))
    assert said().declared
    with refused(ROUTINE, "INVALID_WORK_DIMENSION"):
        said(extent=[])


def test_what_another_thread_sets_meanwhile_is_not_lost(
    runtime: StubRuntime, queue: CommandQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = make_kernel(queue._context, (ADDRESS["PRIVATE"], "int"))
    kernel._set_bytes(0, b"abcd")
    taken = kernel._launch_arguments

    def take_and_set(routine: str) -> list[Any]:
        arguments = taken(routine)
        kernel._set_bytes(0, b"efgh")
        return arguments

    monkeypatch.setattr(kernel, "_launch_arguments", take_and_set)
    launch(queue, kernel, [64], None, None, [])
    monkeypatch.undo()
    launch(queue, kernel, [64], None, None, [])
    assert [m.arguments for m in runtime.said[-2:]] == [[b"abcd"], [b"efgh"]]


def test_a_kernel_keeps_no_queue(runtime: StubRuntime, queue: CommandQueue) -> None:
    kernel = make_kernel(queue._context)
    other = CommandQueue(queue._context, queue._device, 0)
    number = other._id
    launch(other, kernel, [64], None, None, [])
    del other
    assert number in runtime.released


def test_a_launch_carries_what_was_declared(runtime: StubRuntime, queue: CommandQueue) -> None:
    kernel = make_kernel(queue._context, (ADDRESS["GLOBAL"], "int*"))
    kernel._set_buffer(0, Memory(queue._context, FLAGS["READ_WRITE"], 64))
    declaration = Declaration(0, 4, (16,), (0,), None, (0,))
    kernel._declare(declaration)
    launch(queue, kernel, [64], None, None, [])
    assert unpack(runtime.said[-1].declared) == [declaration]
    kernel._declare(declaration._replace(shape=(17,)))
    text = "argument 1 (int* a0) of kernel 'k' was given 64 bytes, and 68 were declared"
    with refused(ROUTINE, "INVALID_ARG_SIZE", text):
        launch(queue, kernel, [64], None, None, [])
    kernel._set_null(0)
    launch(queue, kernel, [64], None, None, [])


def test_a_launch_of_no_work_items_is_a_marker(runtime: StubRuntime, queue: CommandQueue) -> None:
    kernel = make_kernel(queue._context)
    event = launch(queue, kernel, [4, 0], None, None, [5])
    assert runtime.said[-1] == session.Marker(event, queue._id, [5], False)


@pytest.mark.parametrize(
    ("extent", "local", "offset", "status", "text"),
    [
        ([], None, None, "INVALID_WORK_DIMENSION", "0 dimensions"),
        ([1] * 4, None, None, "INVALID_WORK_DIMENSION", "4 dimensions"),
        ([1 << 63], None, None, "INVALID_GLOBAL_WORK_SIZE", "too large"),
        ([2], None, [(1 << 64) - 2], "INVALID_GLOBAL_OFFSET", "exceed"),
        ([4], [0], None, "INVALID_WORK_GROUP_SIZE", "is empty"),
        ([128], [128], None, "INVALID_WORK_GROUP_SIZE", "128 work-items"),
        ([10], [3], None, "INVALID_WORK_GROUP_SIZE", "doesn't divide"),
        ([32], [32], None, "INVALID_WORK_ITEM_SIZE", "local size 32; at most 16"),
    ],
)
def test_sizes_that_are_refused(
    runtime: StubRuntime, extent: Any, local: Any, offset: Any, status: str, text: str
) -> None:
    context = make_context(runtime, MAX_WORK_ITEM_SIZES=[16, 16, 16])
    queue, kernel = CommandQueue(context, context._devices[0], 0), make_kernel(context)
    said = list(runtime.said)
    with refused(ROUTINE, status, text):
        launch(queue, kernel, extent, local, offset, [])
    assert runtime.said == said


@pytest.mark.parametrize("local", [None, [8], [4, 2]])
def test_a_local_size_that_the_kernel_requires(queue: CommandQueue, local: Any) -> None:
    kernel = make_kernel(queue._context, local_size=(4, 1, 1))
    with refused(ROUTINE, "INVALID_WORK_GROUP_SIZE", "the kernel requires"):
        launch(queue, kernel, [8] * len(local or [1]), local, None, [])
    launch(queue, kernel, [8], [4], None, [])


def test_sizes_that_fit_are_looked_at_once(
    queue: CommandQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = make_kernel(queue._context)
    looks: list[Any] = []
    group = kernel._group
    monkeypatch.setattr(kernel, "_group", lambda *given: looks.append(given) or group(*given))
    for extent in ([8], [8], [16], [16]):
        launch(queue, kernel, extent, [4], None, [])
    assert len(looks) == 2


def test_a_kernel_of_another_context(queue: CommandQueue) -> None:
    check_context(queue, make_kernel(queue._context))
    with refused(ROUTINE, "INVALID_CONTEXT"):
        check_context(queue, make_kernel(make_context(StubRuntime())))
