"""Random programs on the cluster do what the same steps do to NumPy arrays, bit for bit.

Launches that split and launches that may not, transfers, copies, fills and user events, boxes,
sub-buffers, maps, images and shared memory, over in-order and out-of-order queues, chained by
events. Each program is made from its seed alone.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import vcl as cl

SOURCE = """
__kernel void combine(__global int *a, __global const int *b, int n)
{
    int i = get_global_id(0);
    if (i < n) a[i] = a[i] * 3 + b[i];
}
__kernel void reverse(__global int *a, __global const int *b, int n)
{
    int i = get_global_id(0);
    if (i < n) a[n - 1 - i] = b[i];
}
__kernel void scatter(__global int *a, __global const int *b, int n)
{
    int i = get_global_id(0);
    if (i < n) a[i * 7 % n] = b[i] + i;
}
__kernel void groups(__global int *a, __global const int *b, int n)
{
    int i = get_global_id(0);
    if (i < n) a[i] = b[i] + get_group_id(0);
}
"""
KERNELS = ("combine", "reverse", "scatter", "groups")
OTHERS = (
    *("copy", "fill", "write", "read", "user"),
    *("copy_box", "read_box", "write_box", "fill_part", "read_map", "write_map", "image", "shared"),
)
BUFFERS = 4
GROUP = 8
FORMAT = cl.ImageFormat(cl.channel_order.R, cl.channel_type.SIGNED_INT32)


class Steps:
    """Arrays on the cluster and their twins in NumPy; every step is done to both."""

    def __init__(self, seed: int, ctx: Any, program: Any) -> None:
        self.random = random.Random(seed)
        self.ctx = ctx
        self.count = self.random.choice([8, 100, 1001, 40_000])
        self.kernels = {name: cl.Kernel(program, name) for name in KERNELS}
        self.queues = [cl.CommandQueue(ctx, properties=properties) for properties in (0, 0, 1)]
        numbers = np.random.default_rng(seed)
        self.arrays = [
            numbers.integers(-99, 99, self.count, dtype=np.int32) for _ in range(BUFFERS)
        ]
        flags = cl.mem_flags.COPY_HOST_PTR
        self.buffers = [cl.Buffer(ctx, flags, hostbuf=array) for array in self.arrays]
        self.event: Any = None
        self.unset: list[Any] = []
        self.users: list[Any] = []
        self.reads: list[tuple[np.ndarray, np.ndarray]] = []
        self.arriving: list[Any] = []
        self.story: list[tuple[Any, ...]] = []

    def region(self) -> tuple[int, int, int]:
        """Elements, and where they begin in two buffers."""
        count = self.random.randint(1, self.count)
        first, second = (self.random.randint(0, self.count - count) for _ in range(2))
        return count, first, second

    def step(self) -> None:
        """One command, behind the one before."""
        name = self.random.choice(KERNELS + OTHERS)
        one, two = self.random.sample(range(BUFFERS), 2)
        queue = self.random.choice(self.queues)
        wait_for = None if self.event is None else [self.event]
        self.story.append((name, one, two, self.queues.index(queue)))
        if name in KERNELS:
            self.launch(name, one, two, queue, wait_for)
        else:
            getattr(self, name)(one, two, queue, wait_for)

    def launch(self, name: str, one: int, two: int, queue: Any, wait_for: Any) -> None:
        n, a, b = self.count, self.arrays[one], self.arrays[two]
        size = (-(-n // GROUP) * GROUP,)
        # Only one group size makes get_group_id answer the same everywhere.
        local = (GROUP,) if name == "groups" else self.random.choice([None, (GROUP,)])
        arguments = (self.buffers[one], self.buffers[two], np.int32(n))
        self.event = self.kernels[name](queue, size, local, *arguments, wait_for=wait_for)
        index = np.arange(n, dtype=np.int32)
        result = a.copy()
        if name == "combine":
            result = a * np.int32(3) + b
        elif name == "reverse":
            result = b[::-1].copy()
        elif name == "scatter":
            result[index.astype(np.int64) * 7 % n] = b + index
        else:
            result = b + index // np.int32(GROUP)
        self.arrays[one] = result

    def copy(self, one: int, two: int, queue: Any, wait_for: Any) -> None:
        count, source, target = self.region()
        self.event = cl.enqueue_copy(
            queue,
            self.buffers[one],
            self.buffers[two],
            src_offset=4 * source,
            dst_offset=4 * target,
            byte_count=4 * count,
            wait_for=wait_for,
        )
        self.arrays[one][target : target + count] = self.arrays[two][source : source + count]

    def fill(self, one: int, two: int, queue: Any, wait_for: Any) -> None:
        count, start, _ = self.region()
        self.event = cl.enqueue_fill_buffer(
            queue, self.buffers[one], np.int32(two), 4 * start, 4 * count, wait_for=wait_for
        )
        self.arrays[one][start : start + count] = two

    def write(self, one: int, two: int, queue: Any, wait_for: Any) -> None:
        count, start, _ = self.region()
        values = np.full(count, self.random.randint(-999, 999), np.int32)
        self.event = cl.enqueue_copy(
            queue,
            self.buffers[one],
            values,
            dst_offset=4 * start,
            is_blocking=not self.unset,
            wait_for=wait_for,
        )
        self.arrays[one][start : start + count] = values

    def read(self, one: int, two: int, queue: Any, wait_for: Any) -> None:
        count, start, _ = self.region()
        found = np.empty(count, np.int32)
        self.event = cl.enqueue_copy(
            queue,
            found,
            self.buffers[one],
            src_offset=4 * start,
            is_blocking=not self.unset and self.random.random() < 0.5,
            wait_for=wait_for,
        )
        self.arriving.append(self.event)  # as pyopencl: an event that dies is waited for first
        self.reads.append((found, self.arrays[one][start : start + count].copy()))

    def box(self) -> tuple[int, int, int, int, int]:
        """Elements of a row, rows, elements from row to row, and where it begins twice."""
        pitch = self.random.randint(1, max(1, self.count // 3))
        width = self.random.randint(1, pitch)
        rows = self.random.randint(1, max(1, self.count // pitch - 1))
        room = self.count // pitch - rows
        first, second = (pitch * self.random.randint(0, room) for _ in range(2))
        return width, rows, pitch, first, second

    @staticmethod
    def boxed(array: Any, width: int, rows: int, pitch: int, start: int) -> Any:
        """The box as a view."""
        whole = array[start : start + pitch * rows]
        return np.lib.stride_tricks.as_strided(whole, (rows, width), (4 * pitch, 4))

    def copy_box(self, one: int, two: int, queue: Any, wait_for: Any) -> None:
        width, rows, pitch, source, target = self.box()
        self.event = cl.enqueue_copy(
            queue,
            self.buffers[one],
            self.buffers[two],
            src_origin=(0, source // pitch),
            dst_origin=(0, target // pitch),
            region=(4 * width, rows),
            src_pitches=(4 * pitch,),
            dst_pitches=(4 * pitch,),
            wait_for=wait_for,
        )
        shape = (width, rows, pitch)
        self.boxed(self.arrays[one], *shape, target)[...] = self.boxed(
            self.arrays[two], *shape, source
        )

    def read_box(self, one: int, two: int, queue: Any, wait_for: Any) -> None:
        width, rows, pitch, start, _ = self.box()
        found = np.empty((rows, width), np.int32)
        self.event = cl.enqueue_copy(
            queue,
            found,
            self.buffers[one],
            buffer_origin=(0, start // pitch),
            host_origin=(0, 0),
            region=(4 * width, rows),
            buffer_pitches=(4 * pitch,),
            is_blocking=False,
            wait_for=wait_for,
        )
        self.arriving.append(self.event)
        expected = self.boxed(self.arrays[one], width, rows, pitch, start).copy()
        self.reads.append((found, expected))

    def write_box(self, one: int, two: int, queue: Any, wait_for: Any) -> None:
        width, rows, pitch, start, _ = self.box()
        values = np.full((rows, width), self.random.randint(-999, 999), np.int32)
        self.event = cl.enqueue_copy(
            queue,
            self.buffers[one],
            values,
            buffer_origin=(0, start // pitch),
            host_origin=(0, 0),
            region=(4 * width, rows),
            buffer_pitches=(4 * pitch,),
            is_blocking=False,
            wait_for=wait_for,
        )
        self.boxed(self.arrays[one], width, rows, pitch, start)[...] = values

    def fill_part(self, one: int, two: int, queue: Any, wait_for: Any) -> None:
        align = self.ctx.devices[0].mem_base_addr_align // 8 // 4
        start = align * self.random.randint(0, (self.count - 1) // align)
        count = self.random.randint(1, self.count - start)
        part = self.buffers[one].get_sub_region(4 * start, 4 * count)
        self.event = cl.enqueue_fill_buffer(
            queue, part, np.int32(two), 0, 4 * count, wait_for=wait_for
        )
        self.arrays[one][start : start + count] = two

    def read_map(self, one: int, two: int, queue: Any, wait_for: Any) -> None:
        count, start, _ = self.region()
        found, self.event = cl.enqueue_map_buffer(
            queue,
            self.buffers[one],
            cl.map_flags.READ,
            4 * start,
            (count,),
            np.int32,
            wait_for=wait_for,
            is_blocking=False,
        )
        self.arriving.append(self.event)
        self.reads.append((found, self.arrays[one][start : start + count].copy()))

    def write_map(self, one: int, two: int, queue: Any, wait_for: Any) -> None:
        count, start, _ = self.region()
        mapped, event = cl.enqueue_map_buffer(
            queue,
            self.buffers[one],
            cl.map_flags.WRITE_INVALIDATE_REGION,
            4 * start,
            (count,),
            np.int32,
            wait_for=wait_for,
            is_blocking=False,
        )
        mapped[:] = self.random.randint(-999, 999)
        self.arrays[one][start : start + count] = mapped
        self.event = mapped.base.release(queue, [event])

    def image(self, one: int, two: int, queue: Any, wait_for: Any) -> None:
        """From one buffer into an image, and a box of that into the other."""
        width = self.random.randint(1, min(64, self.count))
        rows = self.random.randint(1, min(64, self.count // width))
        _, source, target = self.region()
        source, target = (min(at, self.count - width * rows) for at in (source, target))
        image = cl.create_image(self.ctx, cl.mem_flags.READ_WRITE, FORMAT, shape=(width, rows))
        filled = cl.enqueue_copy(
            queue,
            image,
            self.buffers[two],
            offset=4 * source,
            origin=(0, 0),
            region=(width, rows),
            wait_for=wait_for,
        )
        left, top = self.random.randrange(width), self.random.randrange(rows)
        self.event = cl.enqueue_copy(
            queue,
            self.buffers[one],
            image,
            offset=4 * target,
            origin=(left, top),
            region=(width - left, rows - top),
            wait_for=[filled],
        )
        pixels = self.arrays[two][source : source + width * rows].reshape(rows, width)
        chosen = pixels[top:, left:].ravel().copy()
        self.arrays[one][target : target + chosen.size] = chosen

    def shared(self, one: int, two: int, queue: Any, wait_for: Any) -> None:
        """Through shared memory and a kernel that is given a pointer into it."""
        if not queue.properties:  # shared memory is for in-order queues
            memory = cl.csvm_empty(self.ctx, self.count + 1, np.int32)
            values = np.full(self.count + 1, self.random.randint(-99, 99), np.int32)
            written = cl.enqueue_copy(
                queue, cl.SVM(memory), values, is_blocking=False, wait_for=wait_for
            )
            arguments = (self.buffers[one], cl.SVM(memory[1:]), np.int32(self.count))
            size = (-(-self.count // GROUP) * GROUP,)
            self.event = self.kernels["combine"](
                queue, size, (GROUP,), *arguments, wait_for=[written]
            )
            self.arrays[one] = self.arrays[one] * np.int32(3) + values[1:]

    def user(self, one: int, two: int, queue: Any, wait_for: Any) -> None:
        """Everything from here on waits for an event that is set at the end, or soon."""
        user = cl.UserEvent(self.ctx)
        self.unset.append(user)
        self.users.append(user)
        self.event = cl.enqueue_marker(queue, wait_for=[user, *(wait_for or [])])
        if self.random.random() < 0.7:
            for event in self.unset:
                event.set_status(0)
            self.unset.clear()

    def check(self) -> None:
        """Let everything end, and compare."""
        for event in self.unset:
            event.set_status(0)
        for queue in self.queues:
            queue.finish()
        for found, expected in self.reads:
            assert np.array_equal(found, expected), self.story
        for buffer, expected in zip(self.buffers, self.arrays, strict=True):
            found = np.empty_like(expected)
            cl.enqueue_copy(self.queues[0], found, buffer)
            assert np.array_equal(found, expected), self.story


@pytest.fixture(scope="module")
def program(cluster_ctx: Any) -> Any:
    return cl.Program(cluster_ctx, SOURCE).build()


@pytest.mark.parametrize("seed", range(12))
def test_a_random_program(cluster_ctx: Any, program: Any, seed: int) -> None:
    steps = Steps(seed, cluster_ctx, program)
    for _ in range(steps.random.randint(10, 50)):
        steps.step()
    steps.check()


@pytest.mark.long
@pytest.mark.parametrize("start", range(1000, 1400, 50))
def test_many_random_programs(cluster_ctx: Any, program: Any, start: int) -> None:
    for seed in range(start, start + 50):
        test_a_random_program(cluster_ctx, program, seed)
