"""A wrong program of vcl's own names: each line that has `# wrong` at its end is."""

import vcl as cl
from vcl.losses import NoSuchWarning  # wrong

print(NoSuchWarning)
cl.connect(url=3)  # wrong
cl.connect("ws://127.0.0.1:7470", "a token")  # wrong
cl.connect().no_such_method()  # wrong
cl.launch_report(3)  # wrong
cl.LocalCluster(nodes="2")  # wrong
cl.LocalCluster(2).no_such_method()  # wrong
cl.neighborhood("1")  # wrong
cl.cluster().no_such_field  # wrong  # noqa: B018
context = cl.create_some_context()
kernel = cl.Kernel(cl.Program(context, "kernel void f(global float *a) { }").build(), "f")
cl.access("f", 0, shape=16, dtype=float)  # wrong
cl.access(kernel, 0, dtype=float)  # wrong
cl.access(kernel, 0, shape="16", dtype=float)  # wrong
cl.access(kernel, 0, shape=16, dtype=float, reads=(1, 1))  # wrong
queue = cl.CommandQueue(context)
event = cl.enqueue_nd_range_kernel(queue, kernel, (16,), None)
number: int = cl.launch_report(event).mode  # wrong
