"""The driver with real PoCL: every kind of operation, and every way to fail.

Long because every operation is tried on the real thing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from node_agent.driver import launch
from node_agent.effects import StartMerge, Store
from node_agent.inputs import BytesReady, Ended
from tests.node_agent.driver_host import DriverHost
from vcl.direct.pool import changing_memories_max
from vcl.errors import (
    BUILD_PROGRAM_FAILURE,
    MEM_OBJECT_ALLOCATION_FAILURE,
    OUT_OF_RESOURCES,
)
from vcl.wire.messages import part, session

INVALID_WORK_GROUP_SIZE = -54
SOURCE = """
__kernel void scale(__global int *x, int factor)
{ x[get_global_id(0)] *= factor; }
__kernel void whoever(__global int *x)
{ x[0] = get_global_offset(0) + 1; }
__kernel void sums(__global const int *x, __global int *y, __local int *s)
{ s[get_local_id(0)] = x[get_global_id(0)];
  barrier(CLK_LOCAL_MEM_FENCE);
  int sum = 0;
  for (int i = 0; i < get_local_size(0); i++) sum += s[i];
  y[get_global_id(0)] = sum; }
"""
PROGRAM = 5
COUNT = 64
SIZE = 4 * COUNT


class Rig:
    """One driver for many tests: buffers, merges and operations have fresh numbers."""

    def __init__(self, in_place: bool = True) -> None:
        self.host, self.in_place = DriverHost(in_place), in_place
        self._numbers = itertools.count(1000)

    def new(self) -> int:
        return next(self._numbers)

    def buffer(self, content: Any = None) -> int:
        number = self.new()
        self.host.start(part.Allocate(1, number, SIZE))
        if content is not None:
            self.write(number, np.asarray(content, np.int32).tobytes())
        return number

    def write(self, buffer: int, *chunks: bytes) -> Ended:
        operation, offset = self.new(), 0
        message = part.Receive(operation, [], 1, buffer, 0, sum(map(len, chunks)), 1, 0)
        for index, chunk in enumerate(chunks):
            self.host.store(Store(message, offset, chunk, index == len(chunks) - 1))
            offset += len(chunk)
        return self.end(operation)

    def read(self, buffer: int, offset: int = 0, size: int = SIZE) -> list[int]:
        operation = self.new()
        self.host.start(part.Send(operation, [], 1, buffer, offset, size, 1, 0))
        ready = self.host.take(operation)
        assert isinstance(ready, BytesReady), ready
        self.host.call("unmap", operation)
        return np.frombuffer(b"".join(ready.data), np.int32).tolist()

    def end(self, operation: int) -> Ended:
        ended = self.host.take(operation)
        assert isinstance(ended, Ended), ended
        return ended

    def do(self, make: Any, *fields: Any) -> Ended:
        operation = self.new()
        self.host.start(make(operation, [], 1, *fields))
        return self.end(operation)

    def run(self, kernel: str, *arguments: Any, offset: int = 0, size: int = COUNT,
            local: list[int] | None = None, program: int = PROGRAM) -> Ended:  # fmt: skip
        return self.do(part.Run, program, kernel, [offset], [size], local, list(arguments))

    def build(self, source: str, program: int | None = None, step: int = session.BUILD,
              options: str = "", request: int = 7, folders: Any = None,
              files: Any = None) -> Any:  # fmt: skip
        number = self.new() if program is None else program
        units = [[source, options, folders or [], files or []]]
        self.host.start(part.Build(number, request, [1], step, units, ""))
        return self.host.built()


@pytest.fixture(scope="module", params=[True, False], ids=["in place", "the driver's"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """Of buffers in memory that the host and the device share, and of the driver's own."""
    made = Rig(request.param)
    built = made.build(SOURCE, PROGRAM)
    assert built.status == 0, built
    yield made
    assert made.host.close() == [], "something was told twice"


def whole(buffer: int) -> list[int]:
    return [session.ARGUMENT_BUFFER, buffer, 0, SIZE]


def scalar(value: int) -> bytes:
    return value.to_bytes(4, "little")


# Operations


def allocated(rig: Rig, size: int, shared: bool = False) -> int:
    buffer = rig.new()
    rig.host.start(part.Allocate(1, buffer, size, shared))
    return buffer


def sent(rig: Rig, buffer: int, offset: int, size: int) -> tuple[bytes, bool]:
    """A buffer's bytes, and whether ends on this host can read them where they are."""
    operation = rig.new()
    rig.host.start(part.Send(operation, [], 1, buffer, offset, size, 1, 0))
    ready = rig.host.take(operation)
    assert isinstance(ready, BytesReady), ready
    rig.host.call("unmap", operation)
    rig.host.call("tell_place", operation)
    return b"".join(ready.data), rig.end(operation).extra


@pytest.mark.parametrize("size", [2**20, 2**20 + 12, 20 * 2**20])
def test_a_large_buffer_is_where_others_can_read_it(rig: Rig, size: int) -> None:
    buffer = allocated(rig, size)
    numbers = np.arange(size // 4, dtype=np.int32)
    assert rig.write(buffer, numbers.tobytes()).status == 0
    region = [session.ARGUMENT_BUFFER, buffer, 2**19, 2**19]
    assert rig.run("scale", region, scalar(3), size=2**17).status == 0
    numbers[2**17 : 2**18] *= 3
    assert sent(rig, buffer, 0, size) == (numbers.tobytes(), rig.in_place)
    assert sent(rig, buffer, 4, size - 4) == (numbers[1:].tobytes(), rig.in_place)
    assert rig.do(part.Free, buffer).status == 0


@pytest.mark.parametrize(("size", "shared"), [(2**20 - 4, False), (2**20, True)])
def test_a_small_buffer_and_shared_virtual_memory_are_the_drivers(
    rig: Rig, size: int, shared: bool
) -> None:
    buffer = allocated(rig, size, shared)
    data = np.arange(size // 4, dtype=np.int32).tobytes()
    assert rig.write(buffer, data).status == 0
    assert sent(rig, buffer, 0, size) == (data, False)
    assert rig.do(part.Free, buffer).status == 0


def test_bytes_that_were_put_into_their_place_needn_t_be_copied(rig: Rig) -> None:
    if not rig.in_place:
        pytest.skip("there is none")
    size, base = 4 * 2**20, 8
    buffer, operation = allocated(rig, size + 2 * base), rig.new()
    assert rig.do(part.FillRegion, buffer, 0, size + 2 * base, b"\7").status == 0
    numbers = np.arange(size // 4, dtype=np.int32)
    data, message = numbers.tobytes(), part.Receive(operation, [], 1, buffer, base, size, 1, 0)
    # One of them comes elsewhere, as what comes before there is credit does.
    for offset in range(0, size, 2**20):
        store = Store(message, offset, data[offset : offset + 2**20], offset + 2**20 == size)
        if offset == 2**20:
            rig.host.store(store)
            continue
        rig.host.store_in_place(store)
        assert rig.end(0).extra, "it has no place"
    ended = rig.end(operation)
    assert ended.status == 0 and 0 < ended.start <= ended.end
    region = [session.ARGUMENT_BUFFER, buffer, 0, size + 2 * base]
    assert rig.run("scale", region, scalar(3), size=size // 4).status == 0
    numbers[:-2] *= 3
    wanted = bytes([21, 21, 21, 21]) * 2 + numbers.tobytes() + bytes([7] * base)
    assert sent(rig, buffer, 0, size + 2 * base)[0] == wanted
    assert rig.do(part.Free, buffer).status == 0


@pytest.mark.parametrize(
    ("allocate", "offset", "size"),
    [(2**20, 2**19, 2**20), (2**20, 2**20, 1)],
    ids=["more than there are", "behind the last"],
)
def test_bytes_without_a_place(rig: Rig, allocate: int, offset: int, size: int) -> None:
    buffer, operation = allocated(rig, allocate), rig.new()
    message = part.Receive(operation, [], 1, buffer, offset, size, 1, 0)
    rig.host.store_in_place(Store(message, 0, bytes(size), True))
    assert not rig.end(0).extra
    assert rig.do(part.Free, buffer).status == 0


def test_more_large_buffers_than_there_are_memories_for(rig: Rig) -> None:
    if not rig.in_place:
        pytest.skip("there are none")
    size = 9 * 2**20
    buffers = [allocated(rig, size) for _ in range(changing_memories_max + 2)]
    found = []
    for n, buffer in enumerate(buffers):
        assert rig.do(part.FillRegion, buffer, 0, size, bytes([n])).status == 0
        data, shared = sent(rig, buffer, size - 2**20, 2**20)
        assert data == bytes([n]) * 2**20
        found.append(shared)
    assert found[:100] == [True] * 100 and found[-2:] == [False] * 2
    for buffer in buffers:
        assert rig.do(part.Free, buffer).status == 0
    assert sent(rig, allocated(rig, size), 0, size)[1], "freed memory is used again"


def test_bytes_in_and_out(rig: Rig) -> None:
    buffer = rig.buffer()
    ended = rig.write(buffer, bytes(range(100)), bytes(range(100, SIZE)))
    assert ended.status == 0 and 0 < ended.start <= ended.end
    assert rig.read(buffer) == np.arange(SIZE, dtype=np.uint8).view(np.int32).tolist()
    assert rig.read(buffer, 16, 4) == rig.read(buffer)[4:5]


@pytest.mark.parametrize("pattern", [b"\0", b"\x07", b"ab", b"abcd", bytes(range(16))])
@pytest.mark.parametrize(("offset", "size"), [(0, SIZE), (16, 32), (48, 16)])
def test_fill(rig: Rig, pattern: bytes, offset: int, size: int) -> None:
    buffer = rig.buffer(range(COUNT))
    assert rig.do(part.FillRegion, buffer, offset, size, pattern).status == 0
    expected = bytearray(np.arange(COUNT, dtype=np.int32).tobytes())
    expected[offset : offset + size] = pattern * (size // len(pattern))
    assert rig.read(buffer) == np.frombuffer(expected, np.int32).tolist()


def test_a_fill_of_single_bytes_at_an_odd_place(rig: Rig) -> None:
    buffer = rig.buffer([0] * COUNT)
    assert rig.do(part.FillRegion, buffer, 3, 2, b"\x01").status == 0
    assert rig.read(buffer, 0, 8) == [1 << 24, 1]


def test_copy(rig: Rig) -> None:
    source, destination = rig.buffer(range(COUNT)), rig.buffer([0] * COUNT)
    assert rig.do(part.CopyRegion, source, 8, destination, 16, 12).status == 0
    assert rig.read(destination, 12, 24) == [0, 2, 3, 4, 0, 0]


def test_copy_of_a_box(rig: Rig) -> None:
    source, destination = rig.buffer(range(COUNT)), rig.buffer([-1] * COUNT)
    # Two rows of two ints, out of rows of 8 ints into rows of 4, beginning at the int 9 and 1.
    box = (source, destination, 36, 4, 8, 2, 1, 32, 128, 16, 64)
    assert rig.do(part.CopyBox, *box).status == 0
    assert rig.read(destination, 0, 32) == [-1, 9, 10, -1, -1, 17, 18, -1]


def test_a_kernel_with_an_offset(rig: Rig) -> None:
    buffer = rig.buffer(range(COUNT))
    ended = rig.run("scale", whole(buffer), scalar(10), offset=4, size=8, local=[4])
    assert ended.status == 0 and 0 < ended.start <= ended.end
    expected = [i * 10 if 4 <= i < 12 else i for i in range(COUNT)]
    assert rig.read(buffer) == expected


def test_a_region_and_local_memory_as_arguments(rig: Rig) -> None:
    source, destination = rig.buffer(range(COUNT)), rig.buffer([0] * COUNT)
    region = [session.ARGUMENT_BUFFER, source, 128, 32]
    local = [session.ARGUMENT_LOCAL, 16]
    assert rig.run("sums", region, whole(destination), local, size=8, local=[4]).status == 0
    assert rig.read(destination, 0, 40) == [134] * 4 + [150] * 4 + [0, 0]


def test_a_batch_is_carried_out_in_order(rig: Rig) -> None:
    buffer = rig.buffer([1] * COUNT)
    runs = [rig.new() for _ in range(5)]
    send = rig.new()
    arguments = [whole(buffer), scalar(3)]
    rig.host.start(
        *(part.Run(o, [], 1, PROGRAM, "scale", [0], [COUNT], None, arguments) for o in runs),
        part.Send(send, runs, 1, buffer, 0, SIZE, 1, 0),
    )
    ready = rig.host.take(send)
    assert isinstance(ready, BytesReady)
    assert set(np.frombuffer(ready.data[0], np.int32)) == {3**5}
    rig.host.call("unmap", send)
    ends = [rig.end(o) for o in runs]
    assert [e.status for e in ends] == [0] * 5
    assert all(a.end <= b.end for a, b in itertools.pairwise(ends))


def test_what_follows_bytes_finds_them_though_nobody_has_waited(rig: Rig) -> None:
    """It is the driver that has to order two queues: neither a kernel nor what is read behind it
    may see what was there before."""
    buffer = rig.buffer([0] * COUNT)
    for value in range(1, 100):
        stored, scaled, read = rig.new(), rig.new(), rig.new()
        data = np.full(COUNT, value, np.int32).tobytes()
        receive = part.Receive(stored, [], 1, buffer, 0, SIZE, 1, 0)
        arguments = [whole(buffer), scalar(3)]
        rig.host.call("store", Store(receive, 0, data, True))
        rig.host.start(
            part.Run(scaled, [stored], 1, PROGRAM, "scale", [0], [COUNT], None, arguments, value),
            part.Send(read, [scaled], 1, buffer, 0, SIZE, 1, 0, value),
        )
        ready = rig.host.take(read)
        assert isinstance(ready, BytesReady)
        assert set(np.frombuffer(ready.data[0], np.int32)) == {3 * value}
        rig.host.call("unmap", read)
        assert rig.end(stored).status == rig.end(scaled).status == 0


# Arguments, which aren't set again where they are the same


def test_each_launch_has_its_own_arguments(rig: Rig) -> None:
    first, second = rig.buffer([1] * COUNT), rig.buffer([1] * COUNT)
    for buffer, factor in ((first, 2), (first, 2), (second, 2), (second, 5), (first, 5)):
        assert rig.run("scale", whole(buffer), scalar(factor)).status == 0
    half = [session.ARGUMENT_BUFFER, first, SIZE // 2, SIZE // 2]
    assert rig.run("scale", half, scalar(5), size=COUNT // 2).status == 0
    assert rig.read(first) == [20] * 32 + [100] * 32
    assert rig.read(second) == [10] * COUNT


def test_a_buffer_that_is_freed_and_allocated_again_is_another(rig: Rig) -> None:
    buffer, stays = rig.buffer([1] * COUNT), rig.buffer([1] * COUNT)
    for factor in (3, 3):
        assert rig.run("scale", whole(buffer), scalar(factor)).status == 0
    assert rig.do(part.Free, buffer).status == 0
    assert rig.run("scale", whole(buffer), scalar(3)).status == MEM_OBJECT_ALLOCATION_FAILURE
    rig.host.start(part.Allocate(1, buffer, SIZE))
    rig.write(buffer, np.full(COUNT, 2, np.int32).tobytes())
    for _ in range(2):
        assert rig.run("scale", whole(buffer), scalar(3)).status == 0
    assert rig.run("scale", whole(stays), scalar(3)).status == 0
    assert (set(rig.read(buffer)), set(rig.read(stays))) == ({18}, {3})


def test_local_memory_of_another_size(rig: Rig) -> None:
    source, destination = rig.buffer(range(COUNT)), rig.buffer([0] * COUNT)
    for items in (4, 16, 16, 64):
        local = [session.ARGUMENT_LOCAL, 4 * items]
        ended = rig.run("sums", whole(source), whole(destination), local, local=[items])
        assert ended.status == 0
        sums = np.arange(COUNT).reshape(-1, items).sum(axis=1)
        assert rig.read(destination) == np.repeat(sums, items).tolist()


class Refusing:
    """A kernel that notes what is set, and takes no argument of value b"no"."""

    def __init__(self) -> None:
        self.set: list[Any] = []

    def set_arg(self, index: int, value: Any) -> None:
        if value == b"no":
            raise ValueError
        self.set.append((index, value))


def test_nothing_is_taken_for_known_after_a_failure() -> None:
    kernel = Refusing()
    kept = launch.Kernel(kernel)

    def give(*arguments: Any, frees: int = 0, images: Any = ()) -> list[int]:
        changed = kept.changed(list(arguments), frees)
        kept.set_bytes([field for entry in changed for field in entry])
        kept.keep(list(arguments), images)
        return [index for index, _ in changed]

    assert [give(b"a", b"b"), give(b"a", b"b"), give(b"a", b"c")] == [[0, 1], [], [1]]
    with pytest.raises(ValueError):
        give(b"d", b"no")
    assert give(b"a", b"c") == [0, 1]
    assert [give(b"a", b"c", frees=1), give(b"a", b"c", frees=1)] == [[0, 1], []]
    assert [give(b"a", b"c", frees=1, images=[1]) for _ in range(2)] == [[], [1]]
    assert [give(b"a", frees=1), give(b"a", b"c", frees=1)] == [[], [1]]


# Merges


def snapshot(
    rig: Rig, merge: int, buffer: int, at: int = 0, size: int = SIZE
) -> list[list[int]]:
    regions = [[buffer, at, size, 4]]
    assert rig.do(part.Snapshot, merge, regions).status == 0
    return regions


def changes(
    rig: Rig, content: list[int], changed: dict[int, int], at: int = 0, size: int = SIZE
) -> bytes:
    """What another device that changed these elements would send of these bytes."""
    buffer, merge = rig.buffer(content), rig.new()
    regions = snapshot(rig, merge, buffer, at, size)
    after = list(content)
    for index, value in changed.items():
        after[index] = value
    rig.write(buffer, np.asarray(after, np.int32).tobytes())
    operation = rig.new()
    rig.host.start(part.SendChanges(operation, [], 1, merge, regions, 1, 0))
    ready = rig.host.take(operation)
    assert isinstance(ready, BytesReady), ready
    return b"".join(ready.data)


def finish(
    rig: Rig, merge: int, buffer: int, *others: bytes, how: int = 0, at: int = 0, size: int = SIZE
) -> Ended:
    """at, size: the bytes that the others send changes of."""
    regions = [[buffer, 0, SIZE, 4, how]]
    operation = rig.new()
    transfers = [[index, 2, [[0, at, size]]] for index, _ in enumerate(others)]
    message = part.Merge(
        operation, [], 1, merge, regions, transfers, PROGRAM, "scale", [0], [COUNT], [4],
        [whole(buffer), scalar(2)],
    )  # fmt: skip
    rig.host.merge(StartMerge(message, others))
    return rig.end(operation)


def test_a_merge_takes_in_what_the_others_changed(rig: Rig) -> None:
    before = list(range(COUNT))
    merge, buffer = rig.new(), rig.buffer(before)
    snapshot(rig, merge, buffer)
    assert rig.run("scale", whole(buffer), scalar(2), size=32).status == 0
    other = changes(rig, before, {40: -1, 63: -2})
    third = changes(rig, before, {41: -3, 40: -1})
    ended = finish(rig, merge, buffer, other, third)
    assert (ended.status, ended.extra) == (0, None) and ended.start <= ended.end
    expected = [2 * i if i < 32 else i for i in before]
    expected[40], expected[63], expected[41] = -1, -2, -3
    assert rig.read(buffer) == expected


def test_a_conflict_runs_the_launch_whole_on_the_pre_image(rig: Rig) -> None:
    before = list(range(COUNT))
    merge, buffer = rig.new(), rig.buffer(before)
    snapshot(rig, merge, buffer)
    assert rig.run("scale", whole(buffer), scalar(2), size=32).status == 0
    other = changes(rig, before, {50: -1, 3: -7})
    ended = finish(rig, merge, buffer, other)
    assert (ended.status, ended.extra) == (0, ["conflict", buffer, 12])
    assert rig.read(buffer) == [2 * i for i in before]


def test_a_merge_of_pieces(rig: Rig) -> None:
    before = list(range(COUNT))
    merge, buffer = rig.new(), rig.buffer(before)
    snapshot(rig, merge, buffer)
    assert rig.run("scale", whole(buffer), scalar(2), size=32).status == 0
    other = changes(rig, before, {40: -1, 50: -2}, 160, 44)
    ended = finish(rig, merge, buffer, other, at=160, size=44)
    assert (ended.status, ended.extra) == (0, None)
    expected = [2 * i if i < 32 else i for i in before]
    expected[40], expected[50] = -1, -2
    assert rig.read(buffer) == expected


def test_a_conflict_in_a_piece_is_told_by_its_place_in_the_buffer(rig: Rig) -> None:
    before = list(range(COUNT))
    merge, buffer = rig.new(), rig.buffer(before)
    snapshot(rig, merge, buffer)
    assert rig.run("scale", whole(buffer), scalar(2), size=32).status == 0
    other = changes(rig, before, {20: -1, 40: 7}, 64, 128)
    ended = finish(rig, merge, buffer, other, at=64, size=128)
    assert (ended.status, ended.extra) == (0, ["conflict", buffer, 80])
    assert rig.read(buffer) == [2 * i for i in before]


def test_a_reduction_has_no_conflicts(rig: Rig) -> None:
    before = list(range(COUNT))
    merge, buffer = rig.new(), rig.buffer(before)
    snapshot(rig, merge, buffer)
    assert rig.run("scale", whole(buffer), scalar(2), size=32).status == 0
    others = [changes(rig, before, {10: 13, 40: 30}), changes(rig, before, {10: 9, 41: 141})]
    ended = finish(rig, merge, buffer, *others, how=part.How.ADD)
    assert (ended.status, ended.extra) == (0, None)
    expected = [2 * i if i < 32 else i for i in before]
    expected[10], expected[40], expected[41] = 20 + 3 - 1, 30, 141
    assert rig.read(buffer) == expected


@pytest.mark.parametrize(("at", "size"), [(0, SIZE - 4), (4, SIZE - 4)])
def test_changes_of_other_bytes_than_was_said(rig: Rig, at: int, size: int) -> None:
    before = [0] * COUNT
    merge, buffer = rig.new(), rig.buffer(before)
    snapshot(rig, merge, buffer)
    ended = finish(rig, merge, buffer, changes(rig, before, {1: 1}), at=at, size=size)
    assert ended.status < 0 and "another region" in (ended.text or "")
    assert rig.read(buffer) == before


def test_a_snapshot_of_other_bytes_than_those_merged(rig: Rig) -> None:
    before = [0] * COUNT
    merge, buffer = rig.new(), rig.buffer(before)
    snapshot(rig, merge, buffer, 0, SIZE - 4)
    ended = finish(rig, merge, buffer, changes(rig, before, {1: 1}))
    assert ended.status < 0 and "other regions" in (ended.text or "")


@pytest.mark.parametrize("spoil", [lambda c: c[:-1], lambda c: c + b"x", lambda c: c[:8]])
def test_changes_that_are_not_whole(rig: Rig, spoil: Any) -> None:
    before = [0] * COUNT
    merge, buffer = rig.new(), rig.buffer(before)
    snapshot(rig, merge, buffer)
    ended = finish(rig, merge, buffer, spoil(changes(rig, before, {1: 1})))
    assert ended.status < 0 and ended.text


# Programs


def test_what_a_build_tells(rig: Rig) -> None:
    built = rig.build("__kernel void k(__global const float4 *a, __local int *b, uint c) {}")
    assert (built.request, built.status) == (7, 0)
    ((device, status, _),) = built.logs
    assert (device, status) == (1, 0)
    ((name, groups, arguments),) = built.kernels
    ((device, group),) = groups
    assert (name, device, len(group)) == ("k", 1, 6)
    assert [a[1] for a in arguments] == ["float4*", "int*", "uint"]
    assert [a[4] for a in arguments] == ["a", "b", "c"]
    assert arguments[0][0] == 0x119B and arguments[2][0] == 0x119E


@pytest.mark.parametrize("request_number", [0, 7])
def test_a_build_that_fails_has_the_compilers_log(rig: Rig, request_number: int) -> None:
    built = rig.build("__kernel void k() { nonsense; }", request=request_number)
    assert built.status == BUILD_PROGRAM_FAILURE and built.kernels == []
    assert "nonsense" in built.logs[0][2]


def test_a_kernel_of_a_program_that_is_not_built(rig: Rig) -> None:
    buffer = rig.buffer([0] * COUNT)
    ended = rig.run("k", whole(buffer), program=4)
    assert ended.status == BUILD_PROGRAM_FAILURE and "isn't built" in (ended.text or "")
    assert rig.run("absent", whole(buffer)).status < 0


def test_a_forgotten_program(rig: Rig) -> None:
    source = "__kernel void one(__global int *x) { x[0] = 1; }"
    program, buffer = rig.new(), rig.buffer([0] * COUNT)
    rig.build(source, program)
    assert rig.run("one", whole(buffer), program=program).status == 0
    operation = rig.new()
    rig.host.start(part.ForgetProgram(operation, [], program))
    assert rig.end(operation).status == 0
    assert rig.run("one", whole(buffer), program=program).status == BUILD_PROGRAM_FAILURE


# Failures


@pytest.mark.parametrize("kind", ["run", "fill", "copy", "send", "snapshot", "store"])
def test_a_missing_buffer(rig: Rig, kind: str) -> None:
    operation = rig.new()
    receive = part.Receive(operation, [], 1, 77, 0, 8, 1, 0)
    messages: dict[str, Any] = {
        "run": part.Run(operation, [], 1, PROGRAM, "whoever", [0], [1], None, [whole(77)]),
        "fill": part.FillRegion(operation, [], 1, 77, 0, 8, b"x"),
        "copy": part.CopyRegion(operation, [], 1, 77, 0, 77, 8, 8),
        "send": part.Send(operation, [], 1, 77, 0, 8, 1, 0),
        "snapshot": part.Snapshot(operation, [], 1, 1, [[77, 0, 8, 4]]),
    }
    if kind == "store":
        rig.host.store(Store(receive, 0, bytes(8), True))
    else:
        rig.host.start(messages[kind])
    ended = rig.end(operation)
    assert ended.status == MEM_OBJECT_ALLOCATION_FAILURE
    assert "isn't on this device" in (ended.text or "")


def test_memory_that_could_not_be_had_shows_in_the_operations(rig: Rig) -> None:
    buffer = rig.new()
    rig.host.start(part.Allocate(1, buffer, 1 << 50))
    ended = rig.do(part.FillRegion, buffer, 0, 8, b"x")
    assert ended.status == MEM_OBJECT_ALLOCATION_FAILURE
    assert str(1 << 50) in (ended.text or "")


def test_a_freed_buffer_is_gone_with_its_regions(rig: Rig) -> None:
    buffer = rig.buffer([0] * COUNT)
    region = [session.ARGUMENT_BUFFER, buffer, 128, 32]
    assert rig.run("whoever", region, size=1).status == 0
    assert rig.do(part.Free, buffer).status == 0
    assert rig.run("whoever", region, size=1).status == MEM_OBJECT_ALLOCATION_FAILURE


@pytest.mark.parametrize(
    ("local", "arguments", "status"),
    [
        ([7], [b"\1\0\0\0"], INVALID_WORK_GROUP_SIZE),
        (None, [b"\1"], None),
        (None, [b"\1\0\0\0", b"extra"], None),
    ],
)
def test_a_launch_that_the_driver_refuses(
    rig: Rig, local: list[int] | None, arguments: list[bytes], status: int | None
) -> None:
    buffer = rig.buffer(range(COUNT))
    ended = rig.run("scale", whole(buffer), *arguments, local=local)
    assert ended.status < 0 and ended.text and ended.extra == part.UNTOUCHED
    assert status is None or ended.status == status
    assert rig.read(buffer) == list(range(COUNT))
    assert rig.run("scale", whole(buffer), scalar(1)).status == 0, "the next one runs"


def test_more_kernels_than_a_message_can_tell_of(rig: Rig) -> None:
    arguments = ", ".join(f"int a{n}" for n in range(40))
    source = "".join(f"__kernel void k{n}({arguments}) {{}}\n" for n in range(300))
    built = rig.build(source)
    assert built.status == OUT_OF_RESOURCES and built.kernels == []
    assert "the program's 300 kernels have too many arguments" in built.message
