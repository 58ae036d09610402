"""Figures of vcl beside yardsticks measured in the same run: `python -m benchmarks`.

Owns: the list of measures. Must not know: vcl; the native yardsticks import this package in
processes that must not load it.

Each measure is a module with `program(cl, device, settings)`, which sets an OpenCL program up and
answers a function that takes one sample, and `measure(cluster, settings)`, which answers rows.
The same `program` runs on vcl here and on native pyopencl in a process of its own. `merge` has no
program: it measures what a node does to bytes in memory. Nor has `start`, which times processes.
"""

MEASURES = (
    "start", "roundtrip", "launches", "write", "read", "peers", "memory", "pairs", "stencil",
    "jacobi", "dask", "sizes", "merge", "vectoradd", "matmul", "mandelbrot",
)  # fmt: skip
