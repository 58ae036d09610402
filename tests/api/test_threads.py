"""Threads of a program that share its queues, or use the cluster for the first time at once."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import vcl as cl
from tests.processes import run_program
from vcl.api import commands
from vcl.pyopencl_cl.enqueue import finish_read

MF = cl.mem_flags
THREADS = 4
held_timeout_s = 10.0


@pytest.fixture
def _hectic() -> Iterator[None]:
    """Threads take turns as often as Python can make them."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def at_once(call: Callable[[int], Any]) -> list[Any]:
    """call(0), call(1) ... on threads that begin together; what they answer."""
    go, answers, errors = threading.Barrier(THREADS), [None] * THREADS, []

    def run(index: int) -> None:
        go.wait()
        try:
            answers[index] = call(index)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    return answers


@pytest.mark.usefixtures("_hectic")
def test_finish_waits_for_what_every_thread_enqueued(queue: Any) -> None:
    count = 1 << 15
    buffer = cl.Buffer(queue.context, MF.READ_WRITE, 4 * count)
    cl.enqueue_fill_buffer(queue, buffer, np.int32(5), 0, 4 * count)
    for _ in range(50):
        found = [np.zeros(count, np.int32) for _ in range(THREADS)]
        events = at_once(lambda i: cl.enqueue_copy(queue, found[i], buffer, is_blocking=False))  # noqa: B023
        queue.finish()
        assert all(f[-1] == 5 for f in found)
        assert all(e.command_execution_status == 0 for e in events)


@pytest.mark.usefixtures("_hectic")
def test_threads_with_objects_of_their_own(queue: Any) -> None:
    """Buffers, kernels and commands of several threads in one queue don't get mixed up."""
    program = cl.Program(
        queue.context, "__kernel void f(__global int *a, int n) { a[get_global_id(0)] += n; }"
    ).build()

    def work(index: int) -> bool:
        for step in range(10):
            data = np.arange(64, dtype=np.int32) + step
            buffer = cl.Buffer(queue.context, MF.READ_WRITE | MF.COPY_HOST_PTR, hostbuf=data)
            program.f(queue, (64,), (8,), buffer, np.int32(index))
            found = np.empty_like(data)
            cl.enqueue_copy(queue, found, buffer)
            if not np.array_equal(found, data + index):
                return False
        return True

    assert all(at_once(work))


def test_the_first_use_in_several_threads() -> None:
    """They find the same embedded cluster; nobody finds half of one."""
    done = run_program(
        """
        import threading, vcl as cl
        seen, go = [], threading.Barrier(4)

        def use():
            go.wait()
            ctx = cl.Context(cl.get_platforms()[0].get_devices()[:1])
            seen.append((ctx, cl.get_platforms()[0]))

        threads = [threading.Thread(target=use) for _ in range(4)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(len(seen), len({platform.int_ptr for _, platform in seen}))
        """,
        VCL_LOCAL_NODES="1",
    )
    assert (done.stdout, done.stderr) == ("4 1\n", "")


class Held:
    """Memory for a read, into which nothing gets until `go` is set."""

    def __init__(self, size: int) -> None:
        self.memory = bytearray(size)
        self.reached, self.go = threading.Event(), threading.Event()
        self.in_time = True

    def __len__(self) -> int:
        return len(self.memory)

    def __setitem__(self, where: slice, data: Any) -> None:
        self.reached.set()
        self.in_time = self.go.wait(held_timeout_s) and self.in_time
        self.memory[where] = data


@pytest.mark.parametrize("source", ["node", "own write", "nowhere"])
def test_a_thread_enqueues_while_bytes_of_a_read_are_copied(queue: Any, source: str) -> None:
    buffer, other = (cl.Buffer(queue.context, MF.READ_WRITE, 4096) for _ in range(2))
    if source == "node":
        cl.enqueue_fill_buffer(queue, buffer, np.uint8(7), 0, 4096)
    elif source == "own write":
        cl.enqueue_copy(queue, buffer, np.full(4096, 7, np.uint8))
    queue.finish()
    held = Held(4096)
    event = commands.read(queue, buffer, 0, held, [])
    read = finish_read(queue, event, held, False, "read", "READ_BUFFER")
    queue.flush()
    assert held.reached.wait(held_timeout_s)
    fill = cl.enqueue_fill_buffer(queue, other, np.uint8(1), 0, 4096)
    assert read.command_execution_status == cl.command_execution_status.SUBMITTED
    assert not any(held.memory)
    held.go.set()
    fill.wait()
    read.wait()
    assert held.in_time, "enqueuing waited for the copy"
    assert held.memory == bytes([0 if source == "nowhere" else 7]) * 4096
