"""Adds two vectors on the cluster, and says what ran where."""

import numpy as np

import vcl as cl

a, b = np.random.default_rng(1).random((2, 1_000_000), dtype=np.float32)
context = cl.create_some_context(interactive=False)
queue = cl.CommandQueue(context)
program = cl.Program(context, """
    kernel void add(global const float *a, global const float *b, global float *c) {
        size_t i = get_global_id(0);
        c[i] = a[i] + b[i];
    }""").build()
inputs = cl.mem_flags.READ_ONLY | cl.mem_flags.COPY_HOST_PTR
a_buffer, b_buffer = (cl.Buffer(context, inputs, hostbuf=vector) for vector in (a, b))
c_buffer = cl.Buffer(context, cl.mem_flags.WRITE_ONLY, a.nbytes)
event = program.add(queue, a.shape, None, a_buffer, b_buffer, c_buffer)
c = np.empty_like(a)
cl.enqueue_copy(queue, c, c_buffer)
print(cl.launch_report(event))
np.testing.assert_array_equal(c, a + b)
print(f"the sum of {a.size:,} pairs equals NumPy's")
