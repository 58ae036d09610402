"""Commands on images: the boxes that they become, and what is refused."""

from __future__ import annotations

import gc
import struct
from typing import Any

import pytest

from tests.vcl.api.world import StubRuntime, image_context, make_image, refused
from vcl.api import image_commands
from vcl.api.context import CommandQueue
from vcl.api.images import Image
from vcl.api.memory import FLAGS, Memory
from vcl.api.pixels import ORDER, TYPE
from vcl.wire.messages import session

FLOAT, BYTE = TYPE["FLOAT"], TYPE["UNSIGNED_INT8"]


@pytest.fixture
def queue(runtime: StubRuntime) -> CommandQueue:
    """A queue of a context that has images."""
    context = image_context(runtime)
    return CommandQueue(context, context._devices[0], 0)


@pytest.fixture
def image(queue: CommandQueue) -> Image:
    """An image of 5 x 3 floats: its rows are of 20 bytes."""
    return make_image(queue._context, (5, 3), FLOAT)


def copied(runtime: StubRuntime) -> Any:
    """The copy of a box that was enqueued last."""
    return next(m for m in reversed(runtime.said) if isinstance(m, session.CopyRect))


def rect(
    queue: CommandQueue, event: int, waits: list[int], source: int, target: int, *numbers: int
) -> session.CopyRect:
    return session.CopyRect(event, queue._id, waits, source, target, *numbers)


def test_a_read(runtime: StubRuntime, queue: CommandQueue, image: Image) -> None:
    host = memoryview(bytearray(40))
    event = image_commands.read(queue, image, host, (1, 1), (2, 2), (16, 0), [5])
    copy = copied(runtime)
    assert copy == rect(
        queue, copy.event, [5], image._root_id, copy.destination, 24, 0, 8, 2, 1, 20, 60, 8, 16
    )
    runtime.reads[event][0:16] = bytes(range(1, 17))
    assert bytes(host[:24]) == bytes(range(1, 9)) + bytes(8) + bytes(range(9, 17))


def test_a_write(runtime: StubRuntime, queue: CommandQueue, image: Image) -> None:
    host = memoryview(bytes(range(40)))
    event = image_commands.write(queue, image, host, (1, 1), (2, 2), (16, 0), [5])
    write, copy = runtime.said[-2:]
    assert runtime.staged[write.staging] == bytes(range(8)) + bytes(range(16, 24))
    assert copy == rect(
        queue, event, [5, write.event], write.buffer, image._root_id,
        0, 24, 8, 2, 1, 8, 16, 20, 60,
    )  # fmt: skip


def test_a_copy(runtime: StubRuntime, queue: CommandQueue, image: Image) -> None:
    other = make_image(queue._context, (4, 4), FLOAT)
    event = image_commands.copy(queue, image, other, (1, 1), (2, 0), (2, 2), [5])
    assert runtime.said[-1] == rect(
        queue, event, [5], image._root_id, other._root_id, 24, 8, 8, 2, 1, 20, 60, 16, 64
    )
    with refused("clEnqueueCopyImage", "IMAGE_FORMAT_MISMATCH"):
        other = make_image(queue._context, (4, 4), BYTE)
        image_commands.copy(queue, image, other, (1, 1), (2, 0), (2, 2), [])


def test_copies_between_images_and_buffers(
    runtime: StubRuntime, queue: CommandQueue, image: Image
) -> None:
    buffer = Memory(queue._context, FLAGS["READ_WRITE"], 30)
    event = image_commands.copy_to_buffer(queue, image, buffer, (1, 1), (2, 2), 11, [5])
    to_buffer = rect(
        queue, event, [5], image._root_id, buffer._root_id, 24, 11, 8, 2, 1, 20, 60, 8, 16
    )
    assert runtime.said[-1] == to_buffer
    event = image_commands.copy_from_buffer(queue, buffer, image, 11, (1, 1), (2, 2), [5])
    assert runtime.said[-1] == rect(
        queue, event, [5], buffer._root_id, image._root_id, 11, 24, 8, 2, 1, 8, 16, 20, 60
    )
    with refused("clEnqueueCopyImageToBuffer", "INVALID_VALUE", "offset 15 is outside"):
        image_commands.copy_to_buffer(queue, image, buffer, (1, 1), (2, 2), 15, [])
    with refused("clEnqueueCopyBufferToImage", "INVALID_VALUE", "offset 15 is outside"):
        image_commands.copy_from_buffer(queue, buffer, image, 15, (1, 1), (2, 2), [])


def test_a_fill_is_the_copy_of_a_filled_buffer(
    runtime: StubRuntime, queue: CommandQueue, image: Image
) -> None:
    runtime.released.clear()
    event = image_commands.fill(queue, image, (0.5, 9, 9, 9), (1, 1), (2, 2), [5])
    made, fill, copy = runtime.said[-3:]
    assert made == session.CreateBuffer(made.buffer, queue._context._id, 16, False)
    pattern = b"\0\0\0\x3f"
    assert fill == session.Fill(fill.event, queue._id, [], made.buffer, 0, 16, pattern)
    assert copy == rect(
        queue, event, [5, fill.event], made.buffer, image._root_id,
        0, 24, 8, 2, 1, 8, 16, 20, 60,
    )  # fmt: skip
    gc.collect()
    assert sorted(runtime.released) == sorted([made.buffer, fill.event])


def test_fills_of_four_floats(runtime: StubRuntime, queue: CommandQueue) -> None:
    image = make_image(queue._context, (2, 2), FLOAT, order=ORDER["RGBA"])
    image_commands.fill(queue, image, (1, 2, 3, 4), (0,), (2, 2), [])
    assert runtime.said[-2].pattern == struct.pack("4f", 1, 2, 3, 4)


def test_boxes_outside_of_an_image(
    runtime: StubRuntime, queue: CommandQueue, image: Image
) -> None:
    host = memoryview(bytearray(100))
    buffer = Memory(queue._context, FLAGS["READ_WRITE"], 100)
    said = list(runtime.said)
    box = (4, 0), (2, 1)
    calls: dict[str, Any] = {
        "clEnqueueReadImage": lambda: image_commands.read(queue, image, host, *box, (0, 0), []),
        "clEnqueueWriteImage": lambda: image_commands.write(queue, image, host, *box, (0, 0), []),
        "clEnqueueCopyImage": lambda: image_commands.copy(
            queue, image, image, (0,), (4,), (2,), []
        ),
        "clEnqueueCopyImageToBuffer": lambda: image_commands.copy_to_buffer(
            queue, image, buffer, *box, 0, []
        ),
        "clEnqueueCopyBufferToImage": lambda: image_commands.copy_from_buffer(
            queue, buffer, image, 0, *box, []
        ),
        "clEnqueueFillImage": lambda: image_commands.fill(queue, image, (0, 0, 0, 0), *box, []),
    }
    for routine, call in calls.items():
        with refused(routine, "INVALID_VALUE", "outside an image of (5, 3, 1)"):
            call()
    assert runtime.said == said
