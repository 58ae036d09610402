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
