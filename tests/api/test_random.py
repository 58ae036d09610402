"""Random programs on the cluster do what the same steps do to NumPy arrays, bit for bit.

Launches that split and launches that may not, transfers, copies, fills and user events, over
in-order and out-of-order queues, chained by events. Each program is made from its seed alone.
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
OTHERS = ("copy", "fill", "write", "read", "user")
BUFFERS = 4
GROUP = 8


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
