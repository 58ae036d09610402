"""A wrong program of pyopencl's names: each line that has `# wrong` at its end is."""

import numpy as np
import vcl.nosuch  # wrong
import vcl.transpose  # wrong

import vcl as cl
import vcl.array
from vcl import NoSuchClass  # wrong
from vcl.array import no_such_function  # wrong
from vcl.scan import InclusiveScanKernel

print(NoSuchClass, no_such_function)
ones = np.ones(16, dtype=np.float32)
context = cl.create_some_context()
queue = cl.CommandQueue(context)
cl.Buffer("x")  # wrong
cl.Buffer(context, cl.mem_flags.READ_ONLY, hostbuf=3)  # wrong
cl.CommandQueue(queue)  # wrong
cl.create_some_context(interactiv=False)  # wrong
cl.NoSuchName  # wrong  # noqa: B018
cl.mem_flags.NO_SUCH_FLAG  # wrong  # noqa: B018
cl.enqueue_nd_range_kernel(queue, "f", (16,), None)  # wrong
cl.Kernel(context, "f")  # wrong
cl.wait_for_events(3)  # wrong
count: int = cl.get_platforms()  # wrong
platform: cl.Platform = cl.get_platforms()[0].get_devices()[0]  # wrong
vcl.array.to_device(queue, "x")  # wrong
vcl.array.zeros()  # wrong
size: str = vcl.array.to_device(queue, ones).size  # wrong
InclusiveScanKernel(context)  # wrong
