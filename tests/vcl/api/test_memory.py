"""Buffers and regions of them: messages, flags, lifetimes."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest

from tests.vcl.api.world import StubRuntime, check_answers, make_context, refused
from vcl.api.context import OUT_OF_ORDER, Context
from vcl.api.memory import (
    FLAGS,
    TYPES,
    Memory,
    check_flags,
    check_host_ptr,
    check_host_reads,
    check_host_writes,
    region_start,
)
from vcl.constants import CLASSES
from vcl.wire.messages import session

_INFO = CLASSES["mem_info"]
RW = FLAGS["READ_WRITE"]


def test_a_buffer_says_what_it_is(runtime: StubRuntime, context: Context) -> None:
    memory = Memory(context, 0, 64)
    assert runtime.said[-1] == session.CreateBuffer(memory._root_id, context._id, 64, False)
    assert (memory._flags, memory._size, memory._origin) == (RW, 64, 0)
    shared = Memory(context, FLAGS["READ_ONLY"], 8, shared=True)
    assert runtime.said[-1] == session.CreateBuffer(shared._root_id, context._id, 8, True)
    assert shared._flags == FLAGS["READ_ONLY"]


def test_initial_contents_are_copied_and_waited_for_by_nobody(
    runtime: StubRuntime, context: Context
) -> None:
    data = bytearray(b"12345678")
    memory = Memory(context, RW, 8, memoryview(data))
    data[:] = bytes(8)
    created, made_queue, write = runtime.said[-3:]
    assert created == session.CreateBuffer(memory._root_id, context._id, 8, False)
    assert made_queue == session.CreateQueue(write.queue, context._id, 0, OUT_OF_ORDER)
    number = memory._root_id
    assert write == session.Write(write.event, write.queue, [], number, 0, 8, write.staging)
    assert runtime.staged[write.staging] == b"12345678"
    assert runtime.released == [write.event]


def test_sizes_that_a_buffer_cannot_have(runtime: StubRuntime, context: Context) -> None:
    said = list(runtime.said)
    with refused("clCreateBuffer", "INVALID_BUFFER_SIZE", "0 bytes"):
        Memory(context, RW, 0)
    with refused("create_buffer", "INVALID_BUFFER_SIZE", "at most 100 (MAX_MEM_ALLOC_SIZE)"):
        small = make_context(StubRuntime(), MAX_MEM_ALLOC_SIZE=100)
        Memory(small, RW, 101, routine="create_buffer")
    assert runtime.said == said


def test_a_root_lives_as_long_as_its_last_region(runtime: StubRuntime, context: Context) -> None:
    memory = Memory(context, RW, 256)
    number = memory._root_id
    region = Memory.__new__(Memory)
    region._be_region_of(memory, 128, 16, RW)
    assert (region._origin, region._size, region._root_id) == (128, 16, number)
    inner = Memory.__new__(Memory)
    inner._be_region_of(region, 8, 4, RW)
    assert inner._origin == 136
    memory._root = None
    del memory, region
    assert not runtime.released
    del inner
    assert runtime.released == [number]


@pytest.mark.parametrize("group", ["READ_WRITE READ_ONLY WRITE_ONLY",
                                   "HOST_READ_ONLY HOST_WRITE_ONLY HOST_NO_ACCESS"])  # fmt: skip
def test_flags_that_contradict_each_other(group: str) -> None:
    for one, other in combinations(group.split(), 2):
        check_flags(FLAGS[one], "r")
        with refused("r", "INVALID_VALUE", "contradict"):
            check_flags(FLAGS[one] | FLAGS[other], "r")
    for other in ("ALLOC_HOST_PTR", "COPY_HOST_PTR"):
        with refused("r", "INVALID_VALUE"):
            check_flags(FLAGS["USE_HOST_PTR"] | FLAGS[other], "r")
    with refused("r", "INVALID_VALUE"):
        check_flags(1 << 40, "r")


@pytest.mark.parametrize(
    ("own", "given", "found"),
    [
        ("READ_ONLY", "", "READ_ONLY"),
        ("READ_WRITE", "WRITE_ONLY", "WRITE_ONLY"),
        ("READ_WRITE HOST_NO_ACCESS", "READ_ONLY", "READ_ONLY HOST_NO_ACCESS"),
        ("READ_WRITE HOST_NO_ACCESS", "HOST_READ_ONLY", "READ_WRITE HOST_READ_ONLY"),
        ("READ_WRITE USE_HOST_PTR", "", "READ_WRITE USE_HOST_PTR"),
        ("READ_ONLY", "WRITE_ONLY", None),
        ("READ_WRITE", "COPY_HOST_PTR", None),
    ],
)
def test_flags_of_sub_buffers(context: Context, own: str, given: str, found: str | None) -> None:
    def bits(names: str) -> int:
        return sum(FLAGS[name] for name in names.split())

    memory = Memory(context, bits(own), 1024)
    if found is None:
        with refused("clCreateSubBuffer", "INVALID_VALUE"):
            memory._sub_buffer_flags(0, 8, bits(given))
    else:
        assert memory._sub_buffer_flags(0, 8, bits(given)) == bits(found)


def test_regions_that_a_sub_buffer_cannot_have(context: Context) -> None:
    memory, routine = Memory(context, RW, 1024), "clCreateSubBuffer"
    with refused(routine, "INVALID_BUFFER_SIZE"):
        memory._sub_buffer_flags(0, 0, 0)
    with refused(routine, "INVALID_VALUE", "1000+25 is outside 1024 bytes"):
        memory._sub_buffer_flags(1000, 25, 0)
    with refused(routine, "MISALIGNED_SUB_BUFFER_OFFSET", "origin 4 isn't a multiple of 128"):
        memory._sub_buffer_flags(4, 8, 0)
    region = Memory.__new__(Memory)
    region._be_region_of(memory, 128, 512, RW)
    with refused(routine, "INVALID_MEM_OBJECT"):
        region._sub_buffer_flags(0, 8, 0)


def test_regions_of_commands(context: Context) -> None:
    region = Memory.__new__(Memory)
    region._be_region_of(Memory(context, RW, 1024), 128, 64, RW)
    assert region_start(region, 4, 60, "r") == 132
    with refused("r", "INVALID_VALUE", "bytes 4 to 65 are outside a buffer of 64"):
        region_start(region, 4, 61, "r")


@pytest.mark.parametrize(
    ("flag", "reads", "writes"),
    [
        ("READ_WRITE", True, True),
        ("HOST_READ_ONLY", True, False),
        ("HOST_WRITE_ONLY", False, True),
        ("HOST_NO_ACCESS", False, False),
    ],
)
def test_what_the_host_may_do(context: Context, flag: str, reads: bool, writes: bool) -> None:
    memory = Memory(context, FLAGS[flag], 8)
    for check, allowed in ((check_host_reads, reads), (check_host_writes, writes)):
        if allowed:
            check(memory, "r")
        else:
            with refused("r", "INVALID_OPERATION", "don't allow the host to"):
                check(memory, "r")


def test_answers_of_memory(context: Context) -> None:
    memory = Memory(context, FLAGS["READ_ONLY"], 256)
    region = Memory.__new__(Memory)
    region._be_region_of(memory, 128, 16, RW)
    same = {
        "TYPE": TYPES["BUFFER"], "MAP_COUNT": 0, "REFERENCE_COUNT": 1, "CONTEXT": context,
        "USES_SVM_POINTER": False, "PROPERTIES": [],
    }  # fmt: skip
    own: dict[str, Any]
    own = {"FLAGS": FLAGS["READ_ONLY"], "SIZE": 256, "ASSOCIATED_MEMOBJECT": None, "OFFSET": 0}
    check_answers(memory._query, _INFO, same | own)
    own = {"FLAGS": RW, "SIZE": 16, "ASSOCIATED_MEMOBJECT": memory, "OFFSET": 128}
    check_answers(region._query, _INFO, same | own)
    for param in (1, _INFO["HOST_PTR"]):
        with refused("clGetMemObjectInfo", "INVALID_VALUE"):
            memory._query(param)


def test_host_memory_comes_with_flags_that_use_it() -> None:
    for name in ("COPY_HOST_PTR", "USE_HOST_PTR"):
        check_host_ptr(RW | FLAGS[name], True, "r")
        with refused("r", "INVALID_HOST_PTR"):
            check_host_ptr(RW | FLAGS[name], False, "r")
    check_host_ptr(RW, False, "r")
    with refused("r", "INVALID_HOST_PTR", "give COPY_HOST_PTR"):
        check_host_ptr(RW | FLAGS["ALLOC_HOST_PTR"], True, "r")
