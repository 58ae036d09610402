"""Kernels: what each declaration takes, how arguments travel, how long they keep memory."""

from __future__ import annotations

from typing import Any

import pytest

from tests.vcl.api.world import (
    ADDRESS,
    StubRuntime,
    check_answers,
    make_context,
    make_kernel,
    refused,
    remotes,
)
from vcl.api.context import Context
from vcl.api.devices import Device
from vcl.api.kernel import Kernel
from vcl.api.memory import FLAGS, Memory
from vcl.constants import CLASSES
from vcl.wire.declared import Declaration, unpack
from vcl.wire.limits import declared_bytes_max
from vcl.wire.messages import session

_INFO, _GROUP = CLASSES["kernel_info"], CLASSES["kernel_work_group_info"]
_ARGUMENT = CLASSES["kernel_arg_info"]
GLOBAL, LOCAL, PRIVATE = ADDRESS["GLOBAL"], ADDRESS["LOCAL"], ADDRESS["PRIVATE"]
DECLARED = {
    "pointer": (GLOBAL, "float*"),
    "local": (LOCAL, "float*"),
    "int": (PRIVATE, "int"),
    "int3": (PRIVATE, "int3"),
    "image": (GLOBAL, "image2d_t"),
    "sampler": (PRIVATE, "sampler_t"),
    "unknown": (PRIVATE, ""),
}
BUFFER, SIZE, VALUE = "given a buffer", "INVALID_ARG_SIZE", "INVALID_ARG_VALUE"


@pytest.fixture
def kernel(context: Context) -> Kernel:
    """A kernel with an argument of each kind, in the order of DECLARED."""
    return make_kernel(context, *DECLARED.values())


def put(kernel: Kernel, name: str, what: str) -> Any:
    """Give an argument something; answers how it travels."""
    index = list(DECLARED).index(name)
    memory = Memory(kernel._context, FLAGS["READ_WRITE"], 64)
    ways = {
        "null": lambda: kernel._set_null(index),
        "buffer": lambda: kernel._set_buffer(index, memory),
        "shared": lambda: kernel._set_shared(index, memory, 16),
        "image": lambda: kernel._set_image(index, memory, [1, 2, 3, 4, 5, 6]),
        "sampler": lambda: kernel._set_sampler(index, [1, 2, 3]),
        "queue": lambda: kernel._set_queue(index),
        "local": lambda: kernel._set_local(index, 32),
        "local 0": lambda: kernel._set_local(index, 0),
        "4 bytes": lambda: kernel._set_bytes(index, b"abcd"),
        "12 bytes": lambda: kernel._set_bytes(index, bytes(range(12))),
    }
    ways[what]()
    found = kernel._arguments[index]
    return [found[0], *found[2:]] if isinstance(found, list) and what != "local" else found


@pytest.mark.parametrize(
    ("name", "what", "found"),
    [
        ("pointer", "null", None),
        ("pointer", "buffer", [session.ARGUMENT_BUFFER, 0, 64]),
        ("pointer", "shared", [session.ARGUMENT_BUFFER, 16, 48]),
        ("image", "image", [session.ARGUMENT_IMAGE, 0, 64, 1, 2, 3, 4, 5, 6]),
        ("local", "local", [session.ARGUMENT_LOCAL, 32]),
        ("int", "4 bytes", b"abcd"),
        ("int3", "12 bytes", bytes(range(12)) + bytes(4)),
        ("unknown", "buffer", [session.ARGUMENT_BUFFER, 0, 64]),
        ("unknown", "12 bytes", bytes(range(12))),
    ],
)
def test_what_a_declaration_takes(kernel: Kernel, name: str, what: str, found: Any) -> None:
    assert put(kernel, name, what) == found


def test_a_sampler_travels_with_its_modes(kernel: Kernel) -> None:
    kernel._set_sampler(list(DECLARED).index("sampler"), [1, 2, 3])
    assert [session.ARGUMENT_SAMPLER, 1, 2, 3] in kernel._arguments


@pytest.mark.parametrize(
    ("name", "what", "status"),
    [
        ("int", "null", SIZE), ("local", "null", VALUE),
        ("int", "buffer", SIZE), ("local", "buffer", VALUE),
        ("pointer", "image", VALUE), ("pointer", "sampler", SIZE), ("local", "sampler", VALUE),
        ("pointer", "local", SIZE), ("int", "local", VALUE), ("local", "local 0", SIZE),
        ("pointer", "queue", SIZE), ("pointer", "4 bytes", SIZE), ("local", "4 bytes", VALUE),
        ("image", "4 bytes", SIZE), ("sampler", "4 bytes", SIZE), ("int", "12 bytes", SIZE),
        ("int3", "4 bytes", SIZE),
    ],
)  # fmt: skip
def test_what_a_declaration_refuses(kernel: Kernel, name: str, what: str, status: str) -> None:
    before = list(kernel._arguments)
    text = f"({DECLARED[name][1]} a{list(DECLARED).index(name)}) of kernel 'k' was given"
    with refused("clSetKernelArg", status, text):
        put(kernel, name, what)
    assert kernel._arguments == before


def test_shared_memory_for_what_isn_t_a_pointer(kernel: Kernel) -> None:
    with refused("clSetKernelArgSVMPointer", VALUE):
        put(kernel, "int", "shared")


def test_an_argument_keeps_its_memory(runtime: StubRuntime, kernel: Kernel) -> None:
    memory = Memory(kernel._context, FLAGS["READ_WRITE"], 64)
    number = memory._root_id
    kernel._set_buffer(0, memory)
    del memory
    assert not runtime.released
    kernel._set_null(0)
    assert runtime.released == [number]


def test_memory_of_another_context(kernel: Kernel) -> None:
    memory = Memory(make_context(StubRuntime()), FLAGS["READ_WRITE"], 8)
    with refused("clSetKernelArg", "INVALID_MEM_OBJECT"):
        kernel._set_buffer(0, memory)


def test_indices_and_names(kernel: Kernel) -> None:
    kernel._check_index(6)
    with refused("clSetKernelArg", "INVALID_ARG_INDEX", "has 7 arguments, not 8"):
        kernel._check_index(7)
    with refused("clCreateKernel", "INVALID_KERNEL_NAME", "no kernel 'other'"):
        Kernel(kernel._program, "other")


def test_a_launch_needs_all_arguments(context: Context) -> None:
    kernel = make_kernel(context, DECLARED["int"], DECLARED["int"])
    kernel._set_bytes(0, bytes(4))
    with refused("r", "INVALID_KERNEL_ARGS", "argument 2 (int a1)"):
        kernel._launch_arguments("r")
    kernel._set_bytes(1, bytes(4))
    arguments = kernel._launch_arguments("r")
    kernel._set_bytes(0, b"1234")
    assert arguments == [bytes(4), bytes(4)]  # those of a launch don't change after it


def test_a_build_lives_as_long_as_its_kernels(runtime: StubRuntime, kernel: Kernel) -> None:
    program, number = kernel._program, kernel._program_id
    del kernel._program, program
    assert not runtime.released
    kernel._made = None
    assert runtime.released == [number]


def test_work_group_info_of_all_devices(kernel: Kernel) -> None:
    assert len(kernel._group(kernel._context._devices[0], "r")) == 2
    with refused("r", "INVALID_DEVICE"):
        kernel._group(Device(remotes(), None), "r")


def test_answers_of_a_kernel(kernel: Kernel) -> None:
    answers = {
        "FUNCTION_NAME": "k", "NUM_ARGS": len(DECLARED), "REFERENCE_COUNT": 1, "ATTRIBUTES": "",
        "CONTEXT": kernel._context, "PROGRAM": kernel._program,
    }  # fmt: skip
    check_answers(kernel._query, _INFO, answers)
    with refused("clGetKernelInfo", "INVALID_VALUE"):
        kernel._query(1)


def test_the_cluster_answers_what_holds_on_all_devices(runtime: StubRuntime) -> None:
    every = remotes(2)
    cluster, first = Device(every, None), Device(every, every[0])
    kernel = make_kernel(Context(runtime, [cluster, first]))
    kernel._facts.groups = {
        1: [64, [8, 1, 1], 10, 4, 300, ""],
        2: [32, [8, 1, 1], 20, 8, 200, ""],
    }
    own = {
        "WORK_GROUP_SIZE": 64, "COMPILE_WORK_GROUP_SIZE": [8, 1, 1], "LOCAL_MEM_SIZE": 10,
        "PREFERRED_WORK_GROUP_SIZE_MULTIPLE": 4, "PRIVATE_MEM_SIZE": 300,
    }  # fmt: skip
    check_answers(lambda param: kernel._work_group_query(param, first), _GROUP, own)
    common = own | {
        "WORK_GROUP_SIZE": 32, "LOCAL_MEM_SIZE": 20, "PREFERRED_WORK_GROUP_SIZE_MULTIPLE": 8
    }  # fmt: skip
    check_answers(lambda param: kernel._work_group_query(param, cluster), _GROUP, common)
    routine = "clGetKernelWorkGroupInfo"
    with refused(routine, "INVALID_VALUE"):
        kernel._work_group_query(1, first)
    with refused(routine, "INVALID_DEVICE"):
        kernel._work_group_query(_GROUP["WORK_GROUP_SIZE"], Device(every, every[1]))


def test_answers_of_an_argument(kernel: Kernel) -> None:
    index = list(DECLARED).index("local")
    kernel._facts.arguments[index] = [LOCAL, "float*", 2, 3, "scratch"]
    answers = {
        "ADDRESS_QUALIFIER": LOCAL, "TYPE_NAME": "float*", "ACCESS_QUALIFIER": 2,
        "TYPE_QUALIFIER": 3, "NAME": "scratch",
    }  # fmt: skip
    check_answers(lambda param: kernel._argument_query(index, param), _ARGUMENT, answers)
    with refused("clGetKernelArgInfo", "INVALID_VALUE"):
        kernel._argument_query(index, 1)
    for outside in (-1, len(DECLARED)):
        with refused("clGetKernelArgInfo", "INVALID_ARG_INDEX"):
            kernel._argument_query(outside, _ARGUMENT["NAME"])


def test_declarations(kernel: Kernel) -> None:
    first = Declaration(0, 4, (8,), (0,), (1,), (0,))
    kernel._declare(first)
    kernel._declare(first._replace(writes=None))
    assert unpack(kernel._declared_packed) == [first._replace(writes=None)], "the last counts"
    for name in ("local", "int", "image", "sampler"):
        index = list(DECLARED).index(name)
        with refused("vcl.access", "INVALID_ARG_VALUE", "isn't a buffer"):
            kernel._declare(first._replace(argument=index))
    assert unpack(kernel._declared_packed) == [first._replace(writes=None)]
    assert [kernel._index("a3"), kernel._index(3)] == [3, 3]
    for argument in ("b", 7, -1):
        with refused("vcl.access", "INVALID_ARG_INDEX", f"no argument {argument!r}"):
            kernel._index(argument)


def test_what_is_constant_is_not_declared_to_be_written(context: Context) -> None:
    kernel = make_kernel(context, (ADDRESS["CONSTANT"], "int*"))
    written = Declaration(0, 4, (8,), (0,), None, (0,))
    with refused("vcl.access", "INVALID_ARG_VALUE", "is constant"):
        kernel._declare(written)
    kernel._declare(written._replace(reads=(0,), writes=None))
    assert kernel._stays_unwritten(0)


def test_declarations_have_a_limit(context: Context) -> None:
    kernel = make_kernel(context, *[(GLOBAL, "int*")] * 1200)
    with refused("vcl.access", "OUT_OF_RESOURCES", f"more than {declared_bytes_max} bytes"):
        for index in range(1200):
            kernel._declare(Declaration(index, 4, (2**40,), (0,), (0,), (0,)))
    assert 0 < len(kernel._declared_packed) <= declared_bytes_max
