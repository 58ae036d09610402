"""Enqueuing launches.

Owns: `enqueue_nd_range_kernel` and its checks (OpenCL 3.0 API, 5.8). Must not know: how a launch
is carried out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vcl.pyopencl_cl.context import CommandQueue, expect
from vcl.pyopencl_cl.enqueue import WaitFor, _finish_enqueue, marker
from vcl.pyopencl_cl.errors import fail, translated
from vcl.pyopencl_cl.event import Event, wait_list
from vcl.pyopencl_cl.integers import sizes
from vcl.pyopencl_cl.kernel import Kernel
from vcl.pyopencl_cl.platform import INFO
from vcl.wire.messages import session


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
    queue._check(routine)
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
    if kernel._context != queue._context:
        fail(routine, "INVALID_CONTEXT", "the kernel is of another context than the queue")
    waits = wait_list(wait_for, queue._context, routine)
    if not 1 <= len(extent) <= 3:
        text = f"{len(extent)} dimensions; one to three are allowed"
        fail(routine, "INVALID_WORK_DIMENSION", text)
    if max(extent) >= 1 << 63:
        fail(routine, "INVALID_GLOBAL_WORK_SIZE", f"global size {tuple(extent)} is too large")
    if offset and any(o + s >= 1 << 64 for o, s in zip(offset, extent, strict=True)):
        fail(routine, "INVALID_GLOBAL_OFFSET", "global offset and size exceed what size_t counts")
    offset = offset or [0] * len(extent)
    shape = queue._device, extent, local
    if kernel._fitted != shape and 0 not in extent:
        _check_groups(queue, kernel, extent, local, routine)
        kernel._fitted = shape
    arguments = kernel._launch_arguments(routine)
    if 0 in extent:
        # Allowed since OpenCL 2.1: a launch of no work-items, which ends when it might begin.
        kind = "MARKER" if allow_empty_ndrange else "NDRANGE_KERNEL"  # as pyopencl
        return marker(queue, wait_for, False, routine, kind, waits=waits)
    event = queue._runtime.enqueue(
        queue._id,
        lambda event: session.Launch(
            event,
            queue._id,
            waits,
            kernel._program_id,
            kernel._facts.name,
            offset,
            extent,
            local,
            arguments,
        ),
    )
    return _finish_enqueue(queue, event, "NDRANGE_KERNEL")


def _same_dimensions(given: Sequence[int] | None, what: str, extent: Sequence[int]) -> None:
    if given is not None and len(given) != len(extent):
        text = f"the {what} has {len(given)} dimensions, the global size {len(extent)}"
        fail("enqueue_nd_range_kernel", "INVALID_VALUE", text)


def _check_groups(
    queue: CommandQueue,
    kernel: Kernel,
    extent: Sequence[int],
    local: Sequence[int] | None,
    routine: str,
) -> None:
    """Raise what a driver would for this local size (OpenCL 3.0 API, 5.8)."""
    groups = kernel._group(queue._device, routine)
    compiled = [s for s in groups[0][1] if s]
    if local is None:
        if compiled:
            fail(
                routine,
                "INVALID_WORK_GROUP_SIZE",
                f"the kernel requires local size {tuple(compiled)}",
            )
        return
    if 0 in local:
        fail(routine, "INVALID_WORK_GROUP_SIZE", f"local size {tuple(local)} is empty")
    if compiled and [*local, 1, 1][:3] != [*groups[0][1], 1, 1][:3]:
        fail(routine, "INVALID_WORK_GROUP_SIZE", f"the kernel requires {tuple(groups[0][1])}")
    items = 1
    for count in local:
        items *= count
    limit = min(queue._device.get_info(INFO["MAX_WORK_GROUP_SIZE"]), min(g[0] for g in groups))
    if items > limit:
        fail(
            routine,
            "INVALID_WORK_GROUP_SIZE",
            f"{items} work-items in a work-group; at most {limit} are allowed",
        )
    per_dimension = queue._device.get_info(INFO["MAX_WORK_ITEM_SIZES"])
    for count, most in zip(local, per_dimension, strict=False):
        if count > most:
            fail(routine, "INVALID_WORK_ITEM_SIZE", f"local size {count}; at most {most}")
    if any(g % n for g, n in zip(extent, local, strict=True)):
        fail(
            routine,
            "INVALID_WORK_GROUP_SIZE",
            f"local size {tuple(local)} doesn't divide global size {tuple(extent)}",
        )
