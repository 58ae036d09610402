"""Enqueuing launches.

Owns: `enqueue_nd_range_kernel`. Must not know: OpenCL's rules of launches (`vcl.api.launch`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vcl.api import launch as api
from vcl.api.events import wait_list
from vcl.api.integers import sizes
from vcl.pyopencl_cl.checked import check
from vcl.pyopencl_cl.context import CommandQueue, expect
from vcl.pyopencl_cl.enqueue import WaitFor, _finish_enqueue
from vcl.pyopencl_cl.errors import fail, translated
from vcl.pyopencl_cl.event import Event
from vcl.pyopencl_cl.kernel import Kernel


@translated("clEnqueueNDRangeKernel")
def enqueue_nd_range_kernel(
    queue: CommandQueue,
    kernel: Kernel,
    global_work_size: Any,
    local_work_size: Any = None,
    global_work_offset: Any = None,
    wait_for: WaitFor = None,
    g_times_l: bool = False,
    allow_empty_ndrange: bool = False,
) -> Event:
    """Enqueue a launch; on the cluster device it's split over the nodes where that is safe."""
    routine = "clEnqueueNDRangeKernel"
    queue._check()
    expect(kernel, Kernel, "kernel")
    extent = sizes(global_work_size, "global size")
    local = None
    if local_work_size is not None:
        local = sizes(local_work_size, "local size")
        if g_times_l:
            work_dim = max(len(extent), len(local))
            extent += [1] * (work_dim - len(extent))
            local += [1] * (work_dim - len(local))
            extent = [g * n for g, n in zip(extent, local, strict=True)]
        _same_dimensions(local, "local size", extent)
    offset = None
    if global_work_offset is not None:
        offset = sizes(global_work_offset, "global offset")
        _same_dimensions(offset, "global offset", extent)
    api.check_context(queue, kernel)
    waits = wait_list(wait_for, queue._context, routine)
    if kernel._checks:
        check(queue, kernel, extent, local, offset, waits)
    event = api.launch(queue, kernel, extent, local, offset, waits)
    # As pyopencl.
    kind = "MARKER" if allow_empty_ndrange and 0 in extent else "NDRANGE_KERNEL"
    return _finish_enqueue(queue, event, kind)


def _same_dimensions(given: Sequence[int], what: str, extent: Sequence[int]) -> None:
    if len(given) != len(extent):
        text = f"the {what} has {len(given)} dimensions, the global size {len(extent)}"
        fail("enqueue_nd_range_kernel", "INVALID_VALUE", text)
