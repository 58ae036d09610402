"""Kernels that crash their executor or never end, on real processes and the real driver."""

from __future__ import annotations

import pytest

from tests.processes import await_gone, started_text
from tests.vcl.test_runtime import executors
from vcl.local import LocalCluster
from vcl.wire.limits import close_timeout_s

# A program that runs a kernel on the second node for each name that it reads.
PROGRAM = """
    import sys
    import numpy as np
    import vcl as cl

    device = cl.get_platforms()[0].get_devices()[2]
    context = cl.Context([device])
    queue = cl.CommandQueue(context)
    program = cl.Program(context, '''
        kernel void fair(global int *x) { x[get_global_id(0)] += 1; }
        kernel void crash(global int *x) { x[(get_global_id(0) + 1) * 100000000000UL] = 1; }
        kernel void endless(volatile global int *x) { while (x[0] >= 0) x[0] = 1; }
    ''').build()
    print("ready", flush=True)
    for line in sys.stdin:
        if line.strip() == "end":
            break
        x = np.zeros(8, np.int32)
        try:
            buffer = cl.Buffer(context, cl.mem_flags.COPY_HOST_PTR, hostbuf=x)
            event = getattr(program, line.strip())(queue, (8,), None, buffer)
            queue.flush()
            if line.strip() == "endless":
                print("it runs", flush=True)
                continue
            cl.enqueue_copy(queue, x, buffer)
            print("sum", x.sum(), flush=True)
        except cl.Error as error:
            print(str(error).replace("\\n", " "), flush=True)
    """


def test_a_kernel_that_crashes_ends_with_the_signal_and_harms_nobody_else(
    cluster: LocalCluster, variables: dict[str, str]
) -> None:
    with started_text(PROGRAM, **variables) as bad, started_text(PROGRAM, **variables) as good:
        for program in (bad, good):
            assert program.line() == "ready"
            program.say("fair")
            assert program.line() == "sum 8"
        mine = executors(cluster, 1)
        bad.say("crash")
        text = bad.line()
        assert "its process was ended by SIGSEGV, as when a kernel or the driver crashes" in text
        assert "node local1" in text
        good.say("fair")
        assert good.line() == "sum 8"
        assert sum(process.is_running() for process in mine) == len(mine) - 1
        bad.say("fair")
        assert bad.line() == "sum 8", "a new executor serves the rest of the session"


@pytest.mark.parametrize("end", ["is killed", "ends"])
def test_an_endless_kernel_ends_with_its_program(
    cluster: LocalCluster, variables: dict[str, str], end: str
) -> None:
    before = {process.pid for process in executors(cluster, 1)}
    with started_text(PROGRAM, **variables) as program:
        assert program.line() == "ready"
        program.say("fair")
        assert program.line() == "sum 8"
        (executor,) = [p for p in executors(cluster, 1) if p.pid not in before]
        program.say("endless")
        assert program.line() == "it runs"
        if end == "ends":
            program.say("end")
            program.end()
        else:
            program.process.kill()
        await_gone([executor], close_timeout_s)
