"""A right program of vcl's own names, and of its use with pyopencl's."""

from typing import Literal

import numpy as np
import pyopencl

import vcl as cl
from vcl import LocalCluster, errors, one_to_one
from vcl.losses import NodeLost
from vcl.report import LaunchReport

with LocalCluster(nodes=2, split="always") as local:
    platform: pyopencl.Platform = cl.connect(local.url, token=local.token)
try:
    platform = cl.connect()
except errors.ConnectionProblem as problem:
    print(problem)
context = cl.Context(platform.get_devices()[:1])
queue: pyopencl.CommandQueue = cl.CommandQueue(context)
kernel = cl.Kernel(cl.Program(context, "kernel void f(global float *a) { }").build(), "f")
image = np.ones((4, 4), dtype=np.float32)
cl.access(kernel, "a", shape=image.shape, dtype=image.dtype, reads=cl.neighborhood(1, 1))
cl.access(kernel, 0, shape=16, dtype=np.float32, writes=one_to_one(), ids=(0,), check=True)
cl.access(kernel, 0, shape=[4, np.int64(4)], dtype="f4", reads=cl.all(), writes=cl.slice(0))
cl.access(kernel, 0, shape=16, dtype=float, reads=cl.none())
event = cl.enqueue_nd_range_kernel(queue, kernel, (16,), None)
report: LaunchReport = cl.launch_report(event)
mode: Literal["regions", "merge", "reduce", "whole"] = cl.launch_report(event).mode
seconds: list[float] = [part.seconds for part in report.parts]
nodes: list[str] = [node.name for node in cl.cluster().nodes]
version: str = cl.__vcl_version__ + cl.__version__
lost: type[UserWarning] = NodeLost
