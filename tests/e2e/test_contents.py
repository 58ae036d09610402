"""Bytes that a program uploads again, on a real cluster whose links are held to be slow."""

from __future__ import annotations

from tests.processes import run_program
from vcl.local import LocalCluster

PROGRAM = """
    import numpy as np
    import vcl as cl

    context = cl.Context([cl.get_platforms()[0].get_devices()[0]])
    queue = cl.CommandQueue(context)
    program = cl.Program(context, '''
        kernel void sum(global const uint *x, global uint *y, uint n) {
            uint found = 0;
            for (uint i = 0; i < n; i++) found += x[i];
            y[0] = found;
        }
        kernel void more(global uint *x) { x[get_global_id(0)] += 1; }
    ''').build()
    data = np.random.default_rng(1).integers(0, 2**32, 2**20, np.uint32)
    flags = cl.mem_flags.READ_WRITE
    one, two = (cl.Buffer(context, flags, data.nbytes) for _ in range(2))
    answer = cl.Buffer(context, flags, 4)

    def upload(buffer):
        cl.enqueue_copy(queue, buffer, data)
        event = program.sum(queue, (1,), None, buffer, answer, np.uint32(data.size))
        found = np.empty(1, np.uint32)
        cl.enqueue_copy(queue, found, answer)
        assert found[0] == data.sum(dtype=np.uint32)
        # Whatever this host's links are: bytes leave slowly.
        event._runtime._repeats.sent(2**30, 1e3)
        return cl.launch_report(event).bytes_moved // data.nbytes

    print(*(upload(one) for _ in range(4)), *(upload(two) for _ in range(2)))
    program.more(queue, data.shape, None, one)
    print(upload(one), upload(one))
    data[1000] += 1  # which no sample sees
    print(upload(one), upload(one))
    """


def test_the_same_bytes_again_are_not_sent() -> None:
    with LocalCluster(nodes=1, data_listen="none", shared_memory=False) as cluster:
        done = run_program(PROGRAM, VCL_MASTER=cluster.url, VCL_TOKEN=cluster.token)
    assert done.returncode == 0, done.stderr
    again, changed, other = done.stdout.splitlines()
    assert again == "1 1 0 0 0 0", "the first has no digest, the second is the first that has"
    assert changed == "0 0", "the other buffer has them still: the device copies them"
    assert other == "1 0"
