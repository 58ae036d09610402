"""Allocations of shared memory: shadows, addresses, what is refused, lifetimes."""

from __future__ import annotations

import gc

import pytest

from tests.vcl.api.world import StubRuntime, make_context, make_shared, refused
from vcl.api import svm
from vcl.api.context import OUT_OF_ORDER, CommandQueue, Context
from vcl.api.memory import FLAGS
from vcl.constants import CLASSES
from vcl.wire.messages import session

_FLAGS = CLASSES["svm_mem_flags"]


def test_an_allocation_has_a_shadow_that_counts_as_the_hosts(
    runtime: StubRuntime, context: Context
) -> None:
    shared = make_shared(context, 0x10000, 64, flags=FLAGS["READ_ONLY"])
    assert shared._shadow is not None and shared.size == 64
    made = session.CreateBuffer(shared._shadow._root_id, context._id, 64, True)
    assert runtime.said[-1] == made
    assert shared._shadow._flags == FLAGS["READ_ONLY"]
    assert shared._start("r") == 0x10000


def test_an_empty_allocation_is_nowhere(runtime: StubRuntime, context: Context) -> None:
    said = list(runtime.said)
    empty = make_shared(context, 0x20000, 0)
    assert (empty._start("r"), empty.size, empty._shadow) == (0, 0, None)
    assert runtime.said == said
    with refused("r", "INVALID_ARG_VALUE"):
        svm.shared_memory(0x20000, 0, "r")
    empty._free()


def test_an_allocation_that_is_too_large() -> None:
    context = make_context(StubRuntime(), MAX_MEM_ALLOC_SIZE=100)
    with refused("clSVMAlloc", "INVALID_BUFFER_SIZE"):
        make_shared(context, 0x30000, 101)
    with refused("r", "INVALID_ARG_VALUE"):
        svm.shared_memory(0x30000, 1, "r")


def test_which_allocation_an_address_lies_in(context: Context) -> None:
    first, second = make_shared(context, 0x40000, 64), make_shared(context, 0x40040, 64)
    assert svm.shared_memory(0x40000, 64, "r") == (first, first._shadow, 0)
    assert svm.shared_memory(0x4003F, 1, "r") == (first, first._shadow, 63)
    assert svm.shared_memory(0x40050, 48, "r") == (second, second._shadow, 16)
    for address, size in ((0x3FFFF, 1), (0x40000, 65), (0x40080, 1)):
        with refused("r", "INVALID_ARG_VALUE", "system sharing is absent"):
            svm.shared_memory(address, size, "r")


def test_freed_memory_is_not_found_but_its_buffer_lives_on(
    runtime: StubRuntime, context: Context
) -> None:
    shared = make_shared(context, 0x50000, 64)
    shadow = shared._shadow
    assert shadow is not None
    number, keeps = shadow._root_id, shadow._root  # as the argument of a kernel
    shared._free()
    del shadow
    with refused("r", "INVALID_ARG_VALUE"):
        svm.shared_memory(0x50000, 64, "r")
    with refused("r", "INVALID_VALUE", "the memory was released"):
        shared._start("r")
    assert keeps is not None and number not in runtime.released
    del keeps
    gc.collect()
    assert number in runtime.released


def test_memory_that_nothing_refers_to_is_freed(runtime: StubRuntime, context: Context) -> None:
    shared = make_shared(context, 0x60000, 64)
    assert shared._shadow is not None
    number = shared._shadow._root_id
    del shared
    assert runtime.released == [number]
    with refused("r", "INVALID_ARG_VALUE"):
        svm.shared_memory(0x60000, 64, "r")


@pytest.mark.parametrize("name", ["SVM_FINE_GRAIN_BUFFER", "SVM_ATOMICS"])
def test_sharing_that_a_network_cannot_give(name: str) -> None:
    svm.check_shared_flags(FLAGS["READ_WRITE"], "r")
    with refused("r", "INVALID_VALUE", "fine-grain"):
        svm.check_shared_flags(FLAGS["READ_WRITE"] | _FLAGS[name], "r")


def test_shared_memory_belongs_to_in_order_queues(context: Context, queue: CommandQueue) -> None:
    svm.check_in_order(queue, "r")
    with refused("r", "INVALID_VALUE", "in-order"):
        svm.check_in_order(CommandQueue(context, context._devices[0], OUT_OF_ORDER), "r")


def test_which_buffers_use_shared_memory(context: Context) -> None:
    shared = make_shared(context, 0x70000, 64)
    assert svm.shadow_of(context, 0x70008, 56) == (shared._shadow, 8)
    assert svm.shadow_of(context, 0x70008, 57) is None
    assert svm.shadow_of(make_context(StubRuntime()), 0x70008, 56) is None
    shared._free()
    assert svm.shadow_of(context, 0x70008, 56) is None
