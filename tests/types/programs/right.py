"""A right program of pyopencl's names: no checker has anything to say of it."""

import numpy as np

import vcl as cl
import vcl.array
import vcl.characterize
import vcl.clmath
import vcl.cltypes
import vcl.compyte.dtypes
from vcl import Buffer, CommandQueue, Context
from vcl.cltypes import float4
from vcl.elementwise import ElementwiseKernel
from vcl.reduction import ReductionKernel
from vcl.scan import InclusiveScanKernel
from vcl.tools import ImmediateAllocator, MemoryPool

ones = np.ones(16, dtype=np.float32)


def context_of(platform: cl.Platform) -> Context:
    """Of the platform's first device."""
    devices: list[cl.Device] = platform.get_devices(cl.device_type.ALL)
    return cl.Context(devices[:1])


context = context_of(cl.get_platforms()[0]) if cl.have_gl() else cl.create_some_context()
queue: CommandQueue = cl.CommandQueue(
    context, properties=cl.command_queue_properties.PROFILING_ENABLE
)
source = cl.Buffer(context, cl.mem_flags.READ_ONLY | cl.mem_flags.COPY_HOST_PTR, hostbuf=ones)
target: Buffer = cl.Buffer(context, cl.mem_flags.WRITE_ONLY, ones.nbytes)
try:
    program = cl.Program(context, "kernel void f(global float *a) { }").build(options=["-DX=1"])
except cl.RuntimeError as error:
    raise SystemExit(str(error)) from error
kernel = cl.Kernel(program, "f")
kernel.set_args(source)
event: cl.Event = cl.enqueue_nd_range_kernel(queue, kernel, (16,), None)
cl.enqueue_copy(queue, ones, target, wait_for=[event])
event.wait()
seconds: float = (event.profile.end - event.profile.start) * 1e-9
queue.finish()

pool = MemoryPool(ImmediateAllocator(queue))
array: vcl.array.Array = vcl.array.to_device(queue, ones, allocator=pool)
sines: vcl.array.Array = vcl.clmath.sin(array)
sums = vcl.array.zeros(queue, 16, np.float32)
ElementwiseKernel(context, "float *x", "x[i] = 1")(sums)
ReductionKernel(context, np.float32, neutral="0", reduce_expr="a + b")
InclusiveScanKernel(context, np.dtype(np.float32), "a + b")
back: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = sums.get()
doubles: bool = vcl.characterize.has_double_support(context.devices[0])
size: int = float4.itemsize + vcl.cltypes.float4.itemsize
name: str = vcl.compyte.dtypes.dtype_to_ctype(np.dtype(np.float32))
versions: tuple[str, tuple[int, ...]] = (cl.VERSION_TEXT, cl.VERSION)
