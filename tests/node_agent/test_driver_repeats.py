"""Launches that are said again by number, with real PoCL."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from node_agent.driver.failures import NotEnqueued
from node_agent.driver.launch import Launcher
from node_agent.inputs import Ended
from tests.node_agent.test_opencl_driver import (
    COUNT,
    INVALID_WORK_GROUP_SIZE,
    PROGRAM,
    SIZE,
    SOURCE,
    Rig,
    scalar,
    whole,
)
from vcl.errors import BUILD_PROGRAM_FAILURE, MEM_OBJECT_ALLOCATION_FAILURE
from vcl.wire.messages import part, session
from vcl.wire.shapes import Told


class Repeats(Rig):
    """A rig with launches that may be repeated."""

    def tell(
        self,
        shape: int,
        kernel: str,
        *arguments: Any,
        program: int = PROGRAM,
        size: int = COUNT,
        local: list[int] | None = None,
        offset: int = 0,
    ) -> None:
        run = part.Run(
            self.new(), [], 1, program, kernel, [offset], [size], local, list(arguments), 0, shape
        )
        self.host.tell(run)

    def again(self, shape: int, *values: bytes) -> Ended:
        operation = self.new()
        self.host.again(part.Again(operation, [], shape, list(values)))
        return self.end(operation)


@pytest.fixture(scope="module")
def rig() -> Iterator[Repeats]:
    made = Repeats()
    assert made.build(SOURCE, PROGRAM).status == 0
    yield made
    assert made.host.close() == [], "something was told twice"


def test_each_repetition_has_its_own_values(rig: Repeats) -> None:
    first, second = rig.buffer([1] * COUNT), rig.buffer([1] * COUNT)
    rig.tell(1, "scale", whole(first), scalar(2))
    rig.tell(2, "scale", whole(second), scalar(3))
    for shape, values in ((1, []), (2, []), (1, [5]), (1, [5]), (2, []), (1, []), (2, [7])):
        assert rig.again(shape, *map(scalar, values)).status == 0
        # One that isn't repeated, of the same kernel, sets nothing of theirs.
        assert rig.run("scale", whole(second), scalar(1)).status == 0
    assert rig.read(first) == [2 * 5 * 5 * 2] * COUNT
    assert rig.read(second) == [3 * 3 * 7] * COUNT


def test_a_repetition_has_the_geometry_and_arguments_that_were_told(rig: Repeats) -> None:
    source, destination = rig.buffer(range(COUNT)), rig.buffer([0] * COUNT)
    region = [session.ARGUMENT_BUFFER, source, 128, 32]
    local = [session.ARGUMENT_LOCAL, 16]
    rig.tell(1, "sums", region, whole(destination), local, size=8, local=[4])
    rig.tell(2, "scale", whole(source), scalar(10), size=8, offset=4)
    assert rig.again(1).status == 0
    assert rig.read(destination, 0, 40) == [134] * 4 + [150] * 4 + [0, 0]
    assert rig.again(2).status == 0
    assert rig.read(source, 0, 64) == [0, 1, 2, 3, *range(40, 120, 10), 12, 13, 14, 15]


def test_a_number_that_is_told_again_means_the_later_launch(rig: Repeats) -> None:
    buffers = [rig.buffer([1] * COUNT) for _ in range(3)]
    operations = []
    for buffer in buffers:
        # Not waited for: the earlier one's kernel goes while it is in the queue.
        rig.tell(1, "scale", whole(buffer), scalar(3))
        operations += [rig.new(), rig.new()]
        rig.host.again(*(part.Again(o, [], 1, []) for o in operations[-2:]))
    assert [rig.end(o).status for o in operations] == [0] * 6
    assert [set(rig.read(buffer)) for buffer in buffers] == [{9}] * 3


def test_a_buffer_that_is_freed_and_allocated_again_is_another(rig: Repeats) -> None:
    buffer = rig.buffer([1] * COUNT)
    rig.tell(1, "scale", whole(buffer), scalar(3))
    assert rig.again(1, scalar(2)).status == 0
    assert rig.do(part.Free, buffer).status == 0
    ended = rig.again(1, scalar(2))
    assert (ended.status, ended.extra) == (MEM_OBJECT_ALLOCATION_FAILURE, part.UNTOUCHED)
    rig.host.start(part.Allocate(1, buffer, SIZE))
    rig.write(buffer, np.full(COUNT, 2, np.int32).tobytes())
    assert rig.again(1, scalar(2)).status == 0
    assert rig.again(1).status == 0
    assert rig.read(buffer) == [2 * 2 * 3] * COUNT


def test_a_repetition_that_the_driver_refuses(rig: Repeats) -> None:
    buffer = rig.buffer([1] * COUNT)
    rig.tell(1, "scale", whole(buffer), scalar(3), local=[7])
    for _ in range(2):
        ended = rig.again(1)
        assert (ended.status, ended.extra) == (INVALID_WORK_GROUP_SIZE, part.UNTOUCHED)
    assert rig.read(buffer) == [1] * COUNT


def test_a_forgotten_program(rig: Repeats) -> None:
    source = "__kernel void one(__global int *x) { x[0] = 1; }"
    program, buffer = rig.new(), rig.buffer([0] * COUNT)
    rig.build(source, program)
    rig.tell(1, "one", whole(buffer), program=program)
    assert rig.again(1).status == 0
    operation = rig.new()
    rig.host.start(part.ForgetProgram(operation, [], program))
    assert rig.end(operation).status == 0
    assert rig.again(1).status == BUILD_PROGRAM_FAILURE
    rig.build(source.replace("= 1", "= 2"), program)
    assert rig.again(1).status == 0
    assert rig.read(buffer, 0, 4) == [2]


def test_what_a_repetition_prints_is_taken_before_it_ends(rig: Repeats) -> None:
    program = rig.new()
    rig.build('__kernel void say(int i) { printf("%d\\n", i); }', program)
    rig.tell(1, "say", scalar(1), program=program, size=1)
    for value in (4, 5):
        operation = rig.new()
        rig.host.again(part.Again(operation, [], 1, [scalar(value)]))
        printed: Any = rig.host.take(operation)
        assert printed.text == b"%d\n" % value
        assert rig.end(operation).status == 0


class Noting:
    """A kernel that notes what is set, and takes no argument of value b"no"."""

    def __init__(self) -> None:
        self.set: list[Any] = []

    def set_arg(self, index: int, value: Any) -> None:
        if value == b"no":
            raise ValueError
        self.set.append((index, value))


def test_values_that_are_set_are_not_set_again_unless_one_was_refused() -> None:
    kernel = Noting()
    cl: Any = SimpleNamespace(
        Kernel=lambda program, name: kernel, enqueue_nd_range_kernel=lambda *call: call[1]
    )
    device: Any = SimpleNamespace(
        frees=3, compute=SimpleNamespace(queue=None), argument=lambda cl, *where: where
    )
    programs: Any = SimpleNamespace(program=lambda program, device: None)
    launcher = Launcher(cl, programs)
    m = part.Run(1, [], 1, 5, "k", [0], [1], None, [[1, 10, 0, 64], b"a", b"b"], 0, 1)
    told = Told(m)

    def give(*values: bytes) -> list[Any]:
        kernel.set = []
        assert launcher.repeat(device, told, list(values)) is kernel
        return kernel.set

    anew = [(0, (10, 0, 64)), (1, b"a"), (2, b"b")]
    assert [give(), give(), give(b"a")] == [anew, [], []]
    assert [give(b"c"), give(b"c", b"b")] == [[(1, b"c"), (2, b"b")], []]
    with pytest.raises(NotEnqueued):
        give(b"a", b"no")
    assert [give(), give(b"c")] == [anew, [(1, b"c"), (2, b"b")]]
    device.frees += 1
    assert [give(b"c"), give(b"c")] == [[*anew, (1, b"c"), (2, b"b")], []]
