"""Launches on PoCL in a process of its own, since tests swap pyopencl in theirs.

Owns: `NativeLaunches`, and as a program (`python -m tests.master.access.analyser.native_launches`)
the process. Must not know: why a program is launched, or what its arguments mean.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from node_agent.driver.library import load_pyopencl
from tests import processes
from vcl.ndrange import NDRange

timeout_s = 60.0

CRASH = "crash"


@dataclass(frozen=True)
class Result:
    error: str
    """Of the build or a launch; "" if there was none, CRASH if it ended the process."""
    log: str
    """Of the build."""
    data: bytes
    """What is in the buffer after all launches."""


class NativeLaunches:
    """The process, and another one after a crash, until `close`."""

    def __init__(self) -> None:
        self._process = self._started()

    def _started(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.master.access.analyser.native_launches"],
            cwd=processes.ROOT,
            env=processes.environment(POCL_MAX_PTHREAD_COUNT="2", PYOPENCL_NO_CACHE="1"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self,
        source: str,
        options: str,
        size: int,
        launches: Sequence[tuple[NDRange, Sequence[bytes]]],
        kernel: str = "k",
    ) -> Result:
        """Build, and launch one after another.

        size: of the zeroed buffer that is the first argument of each launch, in bytes.
        launches: with the arguments behind it.
        """
        told = [
            [n.global_offset, n.global_size, n.local_size, [value.hex() for value in values]]
            for n, values in launches
        ]
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([source, options, kernel, size, told]) + "\n")
        self._process.stdin.flush()
        guard = threading.Timer(timeout_s, self._process.kill)
        guard.start()
        try:
            answer = self._process.stdout.readline()
        finally:
            guard.cancel()
        if not answer:
            self._process.communicate()
            self._process = self._started()
            return Result(CRASH, "", b"")
        error, log, data = json.loads(answer)
        return Result(error, log, bytes.fromhex(data))

    def close(self) -> None:
        self._process.communicate(timeout=timeout_s)
        assert self._process.returncode == 0


def main() -> None:
    """Answer each line of standard input by one."""
    cl = load_pyopencl()
    # Whatever a driver prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    device = cl.get_platforms()[0].get_devices()[0]
    queue = cl.CommandQueue(cl.Context([device]))

    def launched(source: str, options: str, kernel: str, size: int, launches: Any) -> list[str]:
        program = cl.Program(queue.context, source)
        log = ""
        out = bytearray(size)
        try:
            program.build(options.split())
            log = program.get_build_info(device, cl.program_build_info.LOG)
            buffer = cl.Buffer(queue.context, cl.mem_flags.COPY_HOST_PTR, hostbuf=out)
            called = cl.Kernel(program, kernel)
            for offset, global_size, local_size, values in launches:
                given = [bytes.fromhex(value) for value in values]
                called.set_args(buffer, *given)
                cl.enqueue_nd_range_kernel(queue, called, global_size, local_size, offset)
            cl.enqueue_copy(queue, out, buffer)
        except cl.Error as error:
            return [str(error), log, ""]
        return ["", log, out.hex()]

    for line in sys.stdin:
        print(json.dumps(launched(*json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
