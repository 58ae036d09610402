"""Programs: what is built of what, binaries, logs, lifetimes."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from tests.vcl.api.world import ADDRESS, StubRuntime, check_answers, refused, remotes
from vcl.api.context import Context
from vcl.api.devices import Device
from vcl.api.program import TYPES, KernelFacts, Program
from vcl.constants import CLASSES
from vcl.wire.messages import session

_INFO, _BUILD = CLASSES["program_info"], CLASSES["program_build_info"]
SOURCE = "kernel void k(int n) {}"
KERNELS: list[Any] = [["k", [[1, [64, [0, 0, 0], 0, 1, 0, ""]]], [[0, "int", 0, 0, "n"]]]]


@pytest.fixture
def builds(runtime: StubRuntime) -> list[Any]:
    """(status, message, logs) of the builds to come; the last is that of all further ones."""
    outcomes: list[Any] = [(0, "", [])]

    def build(message: session.BuildProgram) -> session.Built:
        status, text, logs = outcomes[0] if len(outcomes) == 1 else outcomes.pop(0)
        return session.Built(message.request, status, text, logs, KERNELS)

    runtime.answers[session.BuildProgram] = build
    return outcomes


def built(context: Context, options: str = "") -> Program:
    program = Program(context, SOURCE)
    program._build_all(options, None)
    return program


def test_a_build(runtime: StubRuntime, context: Context, builds: list[Any]) -> None:
    program = built(context, "-DX=1")
    message = runtime.said[-1]
    assert (message.program, message.step) == (program._id, session.BUILD)
    assert [unit[:2] for unit in message.units] == [[SOURCE, "-DX=1"]]
    assert list(program._built_kernels("r")) == ["k"]
    assert program._type == TYPES["EXECUTABLE"]


def test_each_build_lives_until_nothing_refers_to_it(
    runtime: StubRuntime, context: Context, builds: list[Any]
) -> None:
    program = built(context)
    first = program._id
    program._build_all("-O1", None)
    assert program._id != first
    assert runtime.released == [first]


def test_a_build_that_failed(runtime: StubRuntime, context: Context, builds: list[Any]) -> None:
    builds[:] = [(-11, "node n1: no", [[1, 0, ""], [2, -11, "line 1"]])]
    program = Program(context, SOURCE)
    cluster = context._devices[0]
    assert program._build_status(cluster) == -1
    with refused("clBuildProgram", "BUILD_PROGRAM_FAILURE", "node n1: no"):
        program._build_all("", None)
    gc.collect()  # the error's traceback
    assert runtime.released == [runtime.said[-1].program]
    assert program._build_status(cluster) == -2
    assert program._build_log(cluster) == "line 1"
    with refused("r", "INVALID_PROGRAM_EXECUTABLE"):
        program._built_kernels("r")


def test_equal_logs_are_told_once(context: Context, builds: list[Any]) -> None:
    builds[:] = [(0, "", [[1, 0, "/tmp/tempfile_a.c: x"], [2, 0, "/tmp/tempfile_b.c: x"]])]
    program = built(context)
    assert program._build_log(context._devices[0]).count(": x") == 1
    assert program._build_status(context._devices[0]) == 0


def test_devices_of_other_contexts(runtime: StubRuntime, context: Context) -> None:
    program, other = Program(context, SOURCE), Device(remotes(), None)
    said = list(runtime.said)
    with refused("clBuildProgram", "INVALID_DEVICE"):
        program._build_all("", [other])
    with refused("clGetProgramBuildInfo", "INVALID_DEVICE"):
        program._logs_of(other)
    with refused("clCreateProgramWithBinary", "INVALID_DEVICE"):
        program._take_binaries([other], [b"x"])
    assert runtime.said == said


def test_compiled_programs_are_linked(
    runtime: StubRuntime, context: Context, builds: list[Any]
) -> None:
    parts = [Program(context, SOURCE), Program(context, "int f() { return 1; }")]
    for part in parts:
        part._compile("-w", None, {})
        assert runtime.said[-1].step == session.COMPILE
        with refused("r", "INVALID_PROGRAM_EXECUTABLE"):
            part._built_kernels("r")
    linked = Program(context, "")
    linked._link(parts, "", None)
    assert runtime.said[-1].step == session.LINK
    assert [unit[0] for unit in runtime.said[-1].units] == [part._source for part in parts]
    library, count = Program(context, ""), len(runtime.said)
    library._link(parts, "-create-library", None)
    assert library._type == TYPES["LIBRARY"] and len(runtime.said) == count


def test_what_cannot_be_linked(context: Context) -> None:
    with refused("clLinkProgram", "INVALID_OPERATION"):
        Program(context, "")._link([Program(context, SOURCE)], "", None)
    with refused("clLinkProgram", "INVALID_VALUE", "no programs"):
        Program(context, "")._link([], "", None)


def test_a_binary_is_the_units(runtime: StubRuntime, context: Context, builds: list[Any]) -> None:
    assert Program(context, SOURCE)._binary() == b""
    binary = built(context, "-DX=1")._binary()
    units = runtime.said[-1].units
    again = Program(context, "")
    again._take_binaries(context._devices, [binary])
    again._build_all("-DIGNORED", None)
    assert runtime.said[-1].units == units
    assert again._binary() == binary


@pytest.mark.parametrize(
    ("binaries", "status", "text"),
    [
        ([], "INVALID_VALUE", "as many binaries"),
        ([b"x", b"x"], "INVALID_VALUE", "as many binaries"),
        ([b"\x7fELF"], "INVALID_BINARY", "only binaries that vcl made"),
        ([b"VCL program 1\n"], "INVALID_BINARY", "another version"),
        ([b"VCL program 2\n\x00"], "INVALID_BINARY", "only binaries that vcl made"),
        ([b"VCL program 2\n"], "INVALID_BINARY", "only binaries that vcl made"),
    ],
)
def test_binaries_that_are_refused(
    context: Context, binaries: list[bytes], status: str, text: str
) -> None:
    with refused("clCreateProgramWithBinary", status, text):
        Program(context, "")._take_binaries(context._devices, binaries)


def test_what_declarations_say() -> None:
    declared = [
        [ADDRESS["GLOBAL"], "float*", 0, 0, "a"],
        [ADDRESS["LOCAL"], "int*", 0, 0, "b"],
        [ADDRESS["GLOBAL"], "image2d_t", 0, 0, "c"],
        [ADDRESS["PRIVATE"], "float3", 0, 0, "d"],
        [ADDRESS["PRIVATE"], "", 0, 0, ""],
    ]
    facts = KernelFacts("k", {}, declared)
    assert facts.pointers == [True, False, False, False, False]
    assert facts.locals == [False, True, False, False, False]
    assert facts.images == [False, False, True, False, False]
    assert facts.threes == [False, False, False, True, False]
    assert facts.unknown == [False, False, False, False, True]
    assert facts.sizes[3] == 16 and facts.sizes[:2] == [None, None] and facts.sizes[4] is None


def test_answers_of_a_program(context: Context, builds: list[Any]) -> None:
    program = built(context)
    answers = {
        "REFERENCE_COUNT": 1, "CONTEXT": context, "NUM_DEVICES": 1, "DEVICES": context._devices,
        "SOURCE": SOURCE, "NUM_KERNELS": 1, "KERNEL_NAMES": "k", "IL": None,
        "BINARIES": [program._binary()], "BINARY_SIZES": [len(program._binary())],
        "SCOPE_GLOBAL_CTORS_PRESENT": False, "SCOPE_GLOBAL_DTORS_PRESENT": False,
    }  # fmt: skip
    check_answers(program._query, _INFO, answers)
    with refused("clGetProgramInfo", "INVALID_VALUE"):
        program._query(1)
    unbuilt = Program(context, SOURCE)
    check_answers(unbuilt._query, _INFO, {"BINARIES": [b""], "BINARY_SIZES": [0]})
    for name in ("NUM_KERNELS", "KERNEL_NAMES"):
        with refused("clGetProgramInfo", "INVALID_PROGRAM_EXECUTABLE"):
            unbuilt._query(_INFO[name])


def test_answers_of_a_build(context: Context, builds: list[Any]) -> None:
    builds[0] = (0, "", [[1, 0, "warning"], [2, 0, ""]])
    program, device = built(context, "-DX=1"), context._devices[0]

    def query(param: int) -> Any:
        return program._build_query(device, param)

    answers = {
        "STATUS": 0, "LOG": "warning", "OPTIONS": "-DX=1", "GLOBAL_VARIABLE_TOTAL_SIZE": 0,
        "BINARY_TYPE": TYPES["EXECUTABLE"],
    }  # fmt: skip
    check_answers(query, _BUILD, answers)
    with refused("clGetProgramBuildInfo", "INVALID_VALUE"):
        query(1)
    stranger = Device(remotes(), remotes()[0])
    for param in (*_BUILD.values(), 1):
        with refused("clGetProgramBuildInfo", "INVALID_DEVICE"):
            program._build_query(stranger, param)
