"""Outcomes of calls on the native driver and on a cluster, compared.

Owns: the native process, which crashes and hangs cost only the call under way; which outcomes
agree; and the differences that are meant, with their reasons. Must not know: which calls there are
(`call_templates`), or how one is carried out (`call_world`).
"""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests import processes
from tests.api.call_world import Outcome

call_timeout_s = 5.0
start_timeout_s = 60.0


def native_outcomes(calls: Sequence[str]) -> list[Outcome]:
    """The outcome of each call on PoCL; ["crash", status] or ["hang"] for one that ends there."""
    outcomes: list[Outcome] = []
    while len(outcomes) < len(calls):
        outcomes += _run_until_crash(calls[len(outcomes) :])
    return outcomes


def _run_until_crash(calls: Sequence[str]) -> list[Outcome]:
    """The outcomes of the first calls; the last is a crash or hang unless these are all."""
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.api.call_world", str(writer)],
        cwd=processes.ROOT,
        env=processes.environment(PYOPENCL_NO_CACHE="1"),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        pass_fds=(writer,),
    )
    os.close(writer)
    try:
        assert process.stdin is not None
        process.stdin.write(json.dumps(calls))
        process.stdin.close()
        lines, hangs = _lines(reader, 1 + len(calls))
    finally:
        process.kill()
        status = process.wait()
    assert lines, f"the native process doesn't start; it ended with {status}"
    outcomes: list[Outcome] = [json.loads(line) for line in lines[1:]]
    if len(outcomes) < len(calls):
        outcomes.append(["hang"] if hangs else ["crash", status])
    return outcomes


def _lines(reader: int, count: int) -> tuple[list[bytes], bool]:
    """The lines that come until the process ends or hangs, and whether it hangs."""
    lines: list[bytes] = []
    rest = b""
    deadline = time.monotonic() + start_timeout_s
    with open(reader, "rb", buffering=0) as pipe:
        while len(lines) < count:
            if not select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
                return lines, True
            read = pipe.read(1 << 20)
            if not read:
                return lines, False
            *whole, rest = (rest + read).split(b"\n")
            lines += whole
            if whole:
                deadline = time.monotonic() + call_timeout_s
    return lines, False


@dataclass(frozen=True)
class Difference:
    """A call with other outcomes natively and on a device of the cluster."""

    call: str
    native: Outcome
    found: Outcome


def agree(native: Outcome, found: Outcome, faults: int) -> bool:
    """Whether two outcomes are the same.

    faults: of the call; OpenCL doesn't say which of two errors is found first.
    """
    if native[0] != found[0]:
        return False
    if native[0] == "ok" or faults < 2:
        same = [0, 1] if native[0] == "ok" else [0, 1, 2]
        if [native[at] for at in same] != [found[at] for at in same]:
            return False
    return bool(native[-1] == found[-1])


@dataclass(frozen=True)
class Meant:
    """A difference that is as it should be, or that is known.

    call, native, found: regular expressions that must match in the call and in the outcomes as
    `summary` gives them.
    """

    call: str
    native: str
    found: str
    reason: str


BAD_CAST = r"^error RuntimeError .*bad_cast"
MEANT = (
    # pyopencl's own
    Meant(
        ".", BAD_CAST, "^error (TypeError|LogicError INVALID_(EVENT_WAIT_LIST|DEVICE))",
        "a sequence with a wrong element: pyopencl says std::bad_cast, we say which and why",
    ),
    Meant(
        r"enqueue_copy\(", "^error LogicError INVALID_VALUE",
        "^(ok Event COPY_BUFFER|error RuntimeError MEM_COPY_OVERLAP)",
        "without byte_count pyopencl documents the smaller size, and takes the source's",
    ),
    Meant(
        r"enqueue_(svm_memfill|fill)\(.*svm", "^ok",
        "^(ok|error LogicError INVALID_(VALUE|CONTEXT))",
        "pyopencl ignores byte_count of a fill of shared memory",
    ),
    Meant(
        "enqueue_map_", "^error SystemError", "^error (TypeError|ValueError)",
        "pyopencl returns NULL for arrays that NumPy refuses",
    ),
    Meant(
        r"create_image\(.*hostbuf=", "^ok Image", "^error LogicError INVALID_VALUE",
        "pyopencl reads past the end of host memory that is too small",
    ),
    Meant(
        "enqueue_(copy|fill_image)", "^ok",
        "^error LogicError INVALID_VALUE .*(host memory|components)",
        "pyopencl reads and writes past the end of host memory",
    ),
    Meant(
        "released|gone", ".", "^error",
        "pyopencl uses memory after its release, so that anything may come of it",
    ),
    # PoCL's, against the specification (OpenCL 3.0 API)
    Meant(
        "enqueue_nd_range|count|fixed|mixed", "^ok",
        "^error LogicError INVALID_(WORK_GROUP_SIZE|GLOBAL_OFFSET)",
        "PoCL takes a local size of 0 for none given, and offsets beyond size_t; 5.8",
    ),
    Meant(
        "src_origin", "^error RuntimeError MEM_COPY_OVERLAP", "^error .*MEM_COPY_OVERLAP",
        "PoCL finds overlaps where there are none, as the nodes' PoCL does later; appendix D",
    ),
    Meant(
        "enqueue_copy.*sub", "^ok Event COPY_BUFFER", "^error LogicError INVALID_VALUE .*outside",
        "PoCL doesn't check where a sub-buffer ends; 5.2.2",
    ),
    Meant(
        "foreign_queue.*svm", "^ok", "^error LogicError INVALID_CONTEXT",
        "PoCL doesn't check contexts of shared memory; 5.6.1",
    ),
    Meant(
        "Image|image", "^ok", "^error LogicError INVALID_IMAGE_SIZE",
        "PoCL makes images without pixels; 5.3.1",
    ),
    Meant(
        "enqueue_(copy|fill_image).*img", "^ok", "^error LogicError INVALID_VALUE",
        "PoCL checks neither pitches nor regions of 0, nor the region in copies between images and "
        "buffers; 5.3.3 and 5.3.5",
    ),
    Meant(
        "enqueue_copy.*img.*foreign", "^ok", "^error LogicError INVALID_CONTEXT",
        "PoCL doesn't check contexts in copies between images and buffers; 5.3.5",
    ),
    Meant(
        "enqueue_map_", "^ok", "^error LogicError INVALID_VALUE .*(map_flags|region)",
        "PoCL takes any map flags and empty regions; 5.2.4 and 5.3.6",
    ),
    Meant(
        "Image|image", "^error LogicError INVALID_OPERATION",
        "^error (RuntimeError IMAGE_FORMAT_NOT|LogicError INVALID_IMAGE_(FORMAT|SIZE))",
        "PoCL has one status for formats and sizes that it hasn't; 5.3.1 has three others",
    ),
    Meant(
        "Image|image", "^error LogicError INVALID_BUFFER_SIZE",
        "^error LogicError INVALID_IMAGE_SIZE",
        "PoCL allocates before it checks an image's size; 5.3.1",
    ),
    Meant(
        "image.*buffer=", "^error LogicError INVALID_MEM_OBJECT",
        "^error LogicError INVALID_IMAGE_SIZE",
        "PoCL blames the buffer that is smaller than its image, not the size; 5.3.1",
    ),
    Meant(
        "get_sub_region", "^ok", "^error LogicError INVALID_VALUE .*flags",
        "PoCL takes unknown flags of a sub-buffer; 5.2.1",
    ),
    Meant(
        "Sampler", "^ok", "^error LogicError INVALID_VALUE .*mode",
        "PoCL takes unknown modes of samplers; 5.7.1",
    ),
    Meant(
        "CommandQueue", "^ok", "^error LogicError INVALID_",
        "PoCL takes properties of queues on the device alone, which it hasn't; 5.1",
    ),
    Meant(
        "pixels|mixed|count",
        "^(ok|error (RuntimeError IMAGE_FORMAT|LogicError INVALID_GL_OBJECT))",
        "^error LogicError INVALID_(ARG|MEM_OBJECT)",
        "PoCL takes any object of any context for an argument of the size of a pointer; 5.9.2",
    ),
    Meant(
        "enqueue_copy", "^error RuntimeError MEM_COPY_OVERLAP", "^error LogicError INVALID_",
        "two faults, and OpenCL doesn't say which is found first",
    ),
    Meant(
        ".", "^error .*(differing dimensions|INVALID_BUFFER_SIZE)", "^error",
        "two faults, of which ours finds the other first",
    ),
    Meant(
        "enqueue_nd_range|count", "^error", "^error .*dimensions, the global size",
        "two faults, of which ours finds the other first",
    ),
    # Ours, known
    Meant(
        "enqueue_map_buffer", "^error LogicError INVALID_VALUE", "^error TypeError None the shape",
        "a negative extent of a map",
    ),
    Meant(
        r"cl\.Program\(", "^error TypeError", "^error RuntimeError BUILD_PROGRAM_FAILURE",
        "what isn't a source is found to be none by the build",
    ),
    Meant(
        r"CommandQueue\(.*None", "^error TypeError", "^ok",
        "None for the properties of a queue means that there are none",
    ),
    Meant(
        "is_array", r"^ok Image \d+ 4341", r"^ok Image \d+ 4341",
        "pyopencl gives an array of 1D images a single layer, whatever the shape",
    ),
    Meant(
        "enqueue_map_buffer", "^ok", "^(error ValueError|ok)",
        "maps refuse more strides than dimensions here, and leave gaps between strides alone",
    ),
    Meant(
        "svm|SVM", "^(error|ok SVMAllocation)", ".",
        "shared memory accepts more here, or says it otherwise",
    ),
    Meant(
        r"content\(\w+\[|migrate", "^error LogicError INVALID_VALUE", "^error TypeError",
        "an index of a buffer that isn't a slice",
    ),
    Meant(
        r"cl\.Buffer\(", "^error TypeError", "^error AttributeError",
        "a buffer of what isn't a context",
    ),
)  # fmt: skip


def summary(outcome: Outcome) -> str:
    """An outcome in a line, without the contents."""
    if outcome[0] == "ok":
        return "ok " + re.sub(r"[\[\]',\"]", "", json.dumps(outcome[1]))
    return " ".join(str(part) for part in outcome[:4])


def reason_for(call: str, native: Outcome, found: Outcome) -> str | None:
    """Why two outcomes that don't agree are as they should be, if they are."""
    pairs = (summary(native), summary(found))
    for meant in MEANT:
        if all(
            re.search(pattern, text, re.DOTALL)
            for pattern, text in zip(
                (meant.call, meant.native, meant.found), (call, *pairs), strict=True
            )
        ):
            return meant.reason
    return None
