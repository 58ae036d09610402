"""Wrong calls raise pyopencl's exceptions, with a text that says what was wrong and where.

Each case names the status and what the text must mention. The session goes on after each: nothing
hangs, nothing reaches a node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import vcl as cl
from tests.processes import within

MF = cl.mem_flags
SOURCE = """
typedef struct { int a, b; } Pair;
__kernel void mixed(__global int *out, int number, __local int *scratch, Pair pair, float4 v)
{
    out[get_global_id(0)] = number;
}
__kernel void simple(__global int *out) { out[get_global_id(0)] = 1; }
"""
PAIR = np.zeros((), np.dtype([("a", np.int32), ("b", np.int32)]))[()]


class Things:
    """A context, a queue, kernels and arguments that are right, to be made wrong one at a time."""

    def __init__(self, ctx: Any, queue: Any, other: Any) -> None:
        self.ctx, self.queue, self.other = ctx, queue, other
        self.program = cl.Program(ctx, SOURCE).build()
        self.buffer = cl.Buffer(ctx, MF.COPY_HOST_PTR, hostbuf=np.zeros(64, np.int32))
        self.foreign = cl.Buffer(other, 0, 256)
        self.host = np.zeros(64, np.int32)
        self.released = cl.Buffer(ctx, 0, 256)
        self.released.release()

    def kernel(self, name: str) -> Any:
        """A new kernel without arguments."""
        return cl.Kernel(self.program, name)

    def arguments(self, index: int, value: Any) -> list[Any]:
        """Right arguments for `mixed`, but for one."""
        right = [
            self.buffer, np.int32(1), cl.LocalMemory(64), PAIR, cl.cltypes.make_float4(1, 2, 3, 4)
        ]  # fmt: skip
        right[index] = value
        return right

    def mixed(self, index: int, value: Any) -> Any:
        """A launch of `mixed` with one wrong argument."""
        return self.kernel("mixed")(self.queue, (64,), (8,), *self.arguments(index, value))

    def simple(self, size: Any, local: Any = None, offset: Any = None) -> Any:
        """A launch of `simple` with these sizes."""
        return self.kernel("simple")(self.queue, size, local, self.buffer, global_offset=offset)


@pytest.fixture(scope="module")
def things(ctx: Any, queue: Any, contexts: dict[str, Any]) -> Any:
    (other,) = (c for c in contexts.values() if c != ctx)
    return Things(ctx, queue, other)


@pytest.fixture(autouse=True)
def _the_session_goes_on(things: Any) -> Iterator[None]:
    yield

    def one_more() -> None:
        things.kernel("simple")(things.queue, (64,), (8,), things.buffer)
        cl.enqueue_copy(things.queue, things.host, things.buffer)

    within(one_more)
    assert things.host.tolist() == [1] * 64


Case = tuple[str, str, Callable[[Any], Any]]

# name: (status, what the text mentions, the wrong call)
ARGUMENTS: dict[str, Case] = {
    "number for a buffer": (
        "INVALID_ARG_SIZE",
        r"1 \(int\* out\).*mixed",
        lambda t: t.mixed(0, np.int32(1)),
    ),
    "buffer for a number": ("INVALID_ARG_SIZE", "2 .int number", lambda t: t.mixed(1, t.buffer)),
    "int64 for an int": ("INVALID_ARG_SIZE", "8 bytes", lambda t: t.mixed(1, np.int64(1))),
    "int8 for an int": ("INVALID_ARG_SIZE", "1 bytes", lambda t: t.mixed(1, np.int8(1))),
    "number without a size": ("INVALID_VALUE", "int32", lambda t: t.mixed(1, 1)),
    "text": ("INVALID_VALUE", "str", lambda t: t.mixed(1, "one")),
    "none for local": ("INVALID_ARG_VALUE", "None", lambda t: t.mixed(2, None)),
    "none for a number": ("INVALID_ARG_SIZE", "None", lambda t: t.mixed(1, None)),
    "local for a buffer": (
        "INVALID_ARG_SIZE",
        "LocalMemory",
        lambda t: t.mixed(0, cl.LocalMemory(4)),
    ),
    "sampler for local": (
        "INVALID_ARG_VALUE",
        "scratch",
        lambda t: t.mixed(2, cl.Sampler(t.ctx, False, 0x1131, 0x1140)),
    ),
    "sampler for a number": (
        "INVALID_ARG_SIZE",
        "sampler",
        lambda t: t.mixed(1, cl.Sampler(t.ctx, False, 0x1131, 0x1140)),
    ),
    "gaps": ("INVALID_VALUE", "ndarray", lambda t: t.mixed(1, np.zeros(4, "i4")[::2])),
    "buffer for local": ("INVALID_ARG_VALUE", "scratch", lambda t: t.mixed(2, t.buffer)),
    "local of 0 bytes": ("INVALID_ARG_SIZE", "0 bytes", lambda t: t.mixed(2, cl.LocalMemory(0))),
    "vector too small": (
        "INVALID_ARG_SIZE",
        "8 bytes",
        lambda t: t.mixed(4, cl.cltypes.make_float2(1, 2)),
    ),
    "foreign buffer": ("INVALID_MEM_OBJECT", "context", lambda t: t.mixed(0, t.foreign)),
    "released buffer": ("INVALID_MEM_OBJECT", "released", lambda t: t.mixed(0, t.released)),
    "index": (
        "INVALID_ARG_INDEX",
        "5 arguments",
        lambda t: t.kernel("mixed").set_arg(5, np.int32(1)),
    ),
    "unset": (
        "INVALID_KERNEL_ARGS",
        "out",
        lambda t: cl.enqueue_nd_range_kernel(t.queue, t.kernel("simple"), (8,), None),
    ),
}
SIZES: dict[str, Case] = {
    "no dimensions": ("INVALID_WORK_DIMENSION", "0 dimensions", lambda t: t.simple(())),
    "four dimensions": ("INVALID_WORK_DIMENSION", "4 dimensions", lambda t: t.simple((1, 1, 1, 1))),
    "local does not divide": (
        "INVALID_WORK_GROUP_SIZE",
        r"\(7,\) doesn't divide.*\(64,\)",
        lambda t: t.simple((64,), (7,)),
    ),
    "local larger than global": (
        "INVALID_WORK_GROUP_SIZE",
        "divide",
        lambda t: t.simple((8,), (16,)),
    ),
    "local of 0": ("INVALID_WORK_GROUP_SIZE", "empty", lambda t: t.simple((8,), (0,))),
    "local too large": (
        "INVALID_WORK_GROUP_SIZE",
        "at most",
        lambda t: t.simple((1 << 20,), (1 << 20,)),
    ),
    "local has other dimensions": (
        "INVALID_VALUE",
        "2 dimensions",
        lambda t: t.simple((8,), (8, 1)),
    ),
    "offset has other dimensions": (
        "INVALID_VALUE",
        "2 dimensions",
        lambda t: t.simple((8,), None, (0, 0)),
    ),
    "offset and size beyond 64 bits": (
        "INVALID_GLOBAL_OFFSET",
        "exceed",
        lambda t: t.simple((8,), None, ((1 << 64) - 4,)),
    ),
    "status of an event under way": (
        "INVALID_VALUE",
        "clSetUserEventStatus",
        lambda t: cl.UserEvent(t.ctx).set_status(1),
    ),
}
BUFFERS: dict[str, Case] = {
    "of no bytes": ("INVALID_BUFFER_SIZE", "0 bytes", lambda t: cl.Buffer(t.ctx, 0, 0)),
    "larger than any device": (
        "INVALID_BUFFER_SIZE",
        "MAX_MEM_ALLOC_SIZE",
        lambda t: cl.Buffer(t.ctx, 0, 1 << 50),
    ),
    "write past the end": (
        "INVALID_VALUE",
        "256",
        lambda t: cl.enqueue_copy(t.queue, t.buffer, t.host, dst_offset=4),
    ),
    "read past the end": (
        "INVALID_VALUE",
        "outside",
        lambda t: cl.enqueue_copy(t.queue, np.zeros(65, "i4"), t.buffer),
    ),
    "copy past the source": (
        "INVALID_VALUE",
        "outside",
        lambda t: cl.enqueue_copy(t.queue, cl.Buffer(t.ctx, 0, 999), t.buffer, byte_count=257),
    ),
    "copy past the target": (
        "INVALID_VALUE",
        "outside",
        lambda t: cl.enqueue_copy(t.queue, cl.Buffer(t.ctx, 0, 9), t.buffer, byte_count=10),
    ),
    "copy of no bytes": (
        "INVALID_VALUE",
        "nothing",
        lambda t: cl.enqueue_copy(t.queue, cl.Buffer(t.ctx, 0, 9), t.buffer, byte_count=0),
    ),
    "fill past the end": (
        "INVALID_VALUE",
        "outside",
        lambda t: cl.enqueue_fill_buffer(t.queue, t.buffer, np.uint8(1), 0, 257),
    ),
    "fill with 3 bytes": (
        "INVALID_VALUE",
        "3 bytes",
        lambda t: cl.enqueue_fill_buffer(t.queue, t.buffer, b"abc", 0, 6),
    ),
    "fill that does not fit": (
        "INVALID_VALUE",
        "multiple",
        lambda t: cl.enqueue_fill_buffer(t.queue, t.buffer, np.int32(1), 2, 8),
    ),
    "fill of an image as a buffer": (
        "INVALID_MEM_OBJECT",
        "isn't a buffer",
        lambda t: cl.enqueue_fill_buffer(
            t.queue,
            cl.create_image(t.ctx, 1, cl.ImageFormat(0x10B5, 0x10DA), shape=(8, 8)),
            np.uint8(1),
            0,
            4,
        ),
    ),
    "released, to write": (
        "INVALID_MEM_OBJECT",
        "released",
        lambda t: cl.enqueue_copy(t.queue, t.released, t.host),
    ),
    "released, to copy": (
        "INVALID_MEM_OBJECT",
        "released",
        lambda t: cl.enqueue_copy(t.queue, t.buffer, t.released),
    ),
}
FOREIGN: dict[str, Case] = {
    "buffer": ("INVALID_CONTEXT", "context", lambda t: cl.enqueue_copy(t.queue, t.foreign, t.host)),
    "second buffer": (
        "INVALID_CONTEXT",
        "context",
        lambda t: cl.enqueue_copy(t.queue, t.buffer, t.foreign),
    ),
    "kernel": (
        "INVALID_CONTEXT",
        "kernel",
        lambda t: t.kernel("simple")(cl.CommandQueue(t.other), (8,), None, t.buffer),
    ),
    "event": (
        "INVALID_CONTEXT",
        "wait list",
        lambda t: cl.enqueue_marker(
            t.queue, wait_for=[cl.enqueue_marker(cl.CommandQueue(t.other))]
        ),
    ),
    "not an event": (
        "INVALID_EVENT_WAIT_LIST",
        "isn't an event",
        lambda t: cl.enqueue_marker(t.queue, wait_for=["event"]),
    ),
    "device": ("INVALID_DEVICE", "context", lambda t: cl.CommandQueue(t.ctx, t.other.devices[0])),
}
CASES = [
    pytest.param(case, id=f"{kind}: {name}")
    for kind, cases in (
        ("argument", ARGUMENTS), ("size", SIZES), ("buffer", BUFFERS), ("foreign", FOREIGN)
    )
    for name, case in cases.items()
]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_wrong_calls(things: Any, case: Case) -> None:
    statuses, mentioned, call = case
    with pytest.raises(cl.Error) as raised:
        within(lambda: call(things))
    codes = [getattr(cl.status_code, status) for status in statuses.split("|")]
    assert raised.value.code in codes, str(raised.value)
    with pytest.raises(cl.Error, match=mentioned):
        raise raised.value


@pytest.mark.parametrize(
    "call",
    [
        lambda t: t.kernel("simple")(t.queue, (8,), None),
        lambda t: t.kernel("simple")(t.queue, (8,), None, t.buffer, t.buffer),
        lambda t: t.kernel("simple").set_args(),
        lambda t: t.kernel("simple")(t.queue, "eight", None, t.buffer),
        lambda t: t.kernel("simple")(t.queue, 8, None, t.buffer),
        lambda t: t.simple((-8,)),
        lambda t: t.simple((8,), (-1,)),
        lambda t: t.simple((1 << 70,)),
        lambda t: t.simple((8,), None, (1 << 64,)),
        lambda t: t.simple((8,), None, (-1,)),
        lambda t: t.mixed(2, cl.LocalMemory(1 << 70)),
        lambda t: cl.Buffer(t.ctx, 0, -4),
        lambda t: cl.enqueue_copy(t.queue, t.buffer, t.host[:1], dst_offset=-4),
        lambda t: cl.enqueue_copy(t.queue, t.host, t.host),
        lambda t: cl.enqueue_fill_buffer(t.queue, "buffer", np.uint8(1), 0, 4),
        lambda t: cl.Buffer(t.ctx, 0, "large"),
        lambda t: cl.Buffer("context", 0, 4),
        lambda t: cl.CommandQueue("context"),
        lambda t: cl.UserEvent("context"),
        lambda t: cl.UserEvent(t.queue),  # has a number that isn't a context's
        lambda t: cl.UserEvent(t.ctx).set_status(-(1 << 70)),
        lambda t: cl.enqueue_marker(None),
        lambda t: cl.enqueue_nd_range_kernel(t.queue, "kernel", (8,), None),
        lambda t: cl.CommandQueue(t.ctx, "device"),
        lambda t: cl.Sampler("context", False, 0x1131, 0x1140),
        lambda t: cl.Sampler(t.ctx, "x", 0x1131, 0x1140),
        lambda t: cl.ImageFormat(1.5, 1),
        lambda t: cl.Image(t.ctx, 1, None, (8, 8)),
        lambda t: cl.get_supported_image_formats(t.ctx, 1 << 64, 0x10F1),
        lambda t: cl.wait_for_events([]),
        lambda t: cl.wait_for_events([None]),
        lambda t: cl.Program(t.ctx, 5).build(),
        lambda t: cl.Kernel("program", "simple"),
    ],
)
def test_what_python_itself_would_refuse(things: Any, call: Any) -> None:
    """Wrong counts and types that pyopencl answers with Python's exceptions or its own."""
    with pytest.raises((cl.Error, TypeError, ValueError, AttributeError)) as raised:
        within(lambda: call(things))
    assert str(raised.value)


def test_more_memory_than_the_devices_have(things: Any) -> None:
    """Each buffer is allowed, their sum isn't: an error in the end, and the session goes on."""
    device = things.ctx.devices[0]
    if device.global_mem_size > 64 << 30:
        pytest.skip("too much memory to fill")
    count = device.global_mem_size // device.max_mem_alloc_size + 2
    made = [cl.Buffer(things.ctx, 0, device.max_mem_alloc_size) for _ in range(count)]
    assert len(made) == count  # memory is taken at the first use of each, of which there is none


def test_a_token_that_is_wrong_is_not_in_the_text(cluster: Any) -> None:
    from vcl.errors import ConnectionProblem
    from vcl.runtime import Runtime

    with pytest.raises(ConnectionProblem, match="token") as raised:
        Runtime(cluster.url, "not the token")
    assert "not the token" not in str(raised.value)
    assert cluster.token not in str(raised.value)
