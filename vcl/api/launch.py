"""Launches: the checks of an NDRange, and enqueuing it (OpenCL 3.0 API, 5.10).

Owns: `launch` and its checks. Must not know: how a launch is carried out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vcl.api.commands import marker
from vcl.api.context import CommandQueue
from vcl.api.errors import fail
from vcl.api.kernel import Kernel
from vcl.client_core import Enqueued
from vcl.wire.messages import session

_ROUTINE = "clEnqueueNDRangeKernel"


def launch(
    queue: CommandQueue,
    kernel: Kernel,
    extent: list[int],
    local: list[int] | None,
    offset: list[int] | None,
    waits: list[int],
) -> int:
    """Enqueue a launch; on the cluster device it's split over the nodes where that is safe.

    extent: the global size; local, offset: None, or of as many dimensions. waits: as
    `vcl.api.events.wait_list` answers. A launch of no work-items is a marker, which ends when the
    launch might begin (allowed since OpenCL 2.1). Raises CallError, OperatingError.
    """
    # Read before the arguments are: what another thread sets meanwhile makes it another setting.
    how = kernel._setting, queue._id, extent, local, offset
    last = kernel._enqueued
    if last is None or last[0] != how:
        arguments = checked_arguments(queue, kernel, extent, local, offset)
        if 0 in extent:
            return marker(queue, waits)
        origin = offset or [0] * len(extent)
        launch = session.Launch(
            0,
            queue._id,
            [],
            kernel._program_id,
            kernel._facts.name,
            origin,
            extent,
            local,
            arguments,
            kernel._declared_packed,
        )
        last = kernel._enqueued = how, Enqueued(launch)
    return queue._runtime.launch(queue._id, last[1], waits)


def checked_arguments(
    queue: CommandQueue,
    kernel: Kernel,
    extent: list[int],
    local: list[int] | None,
    offset: list[int] | None,
) -> list[Any]:
    """The arguments of a launch as they travel. Raises CallError unless it can be enqueued."""
    if not 1 <= len(extent) <= 3:
        text = f"{len(extent)} dimensions; one to three are allowed"
        fail(_ROUTINE, "INVALID_WORK_DIMENSION", text)
    if max(extent) >= 1 << 63:
        fail(_ROUTINE, "INVALID_GLOBAL_WORK_SIZE", f"global size {tuple(extent)} is too large")
    if offset and any(o + s >= 1 << 64 for o, s in zip(offset, extent, strict=True)):
        fail(_ROUTINE, "INVALID_GLOBAL_OFFSET", "global offset and size exceed what size_t counts")
    shape = queue._device, extent, local
    if kernel._fitted != shape and 0 not in extent:
        _check_groups(queue, kernel, extent, local)
        kernel._fitted = shape
    return kernel._launch_arguments(_ROUTINE)


def check_context(queue: CommandQueue, kernel: Kernel) -> None:
    """Raise CallError unless queue and kernel are of one context."""
    if kernel._context is not queue._context and kernel._context != queue._context:
        fail(_ROUTINE, "INVALID_CONTEXT", "the kernel is of another context than the queue")


def _check_groups(
    queue: CommandQueue, kernel: Kernel, extent: Sequence[int], local: Sequence[int] | None
) -> None:
    """Raise what a driver would for this local size."""
    groups = kernel._group(queue._device, _ROUTINE)
    compiled = [s for s in groups[0][1] if s]
    if local is None:
        if compiled:
            fail(
                _ROUTINE,
                "INVALID_WORK_GROUP_SIZE",
                f"the kernel requires local size {tuple(compiled)}",
            )
        return
    if 0 in local:
        fail(_ROUTINE, "INVALID_WORK_GROUP_SIZE", f"local size {tuple(local)} is empty")
    if compiled and [*local, 1, 1][:3] != [*groups[0][1], 1, 1][:3]:
        fail(_ROUTINE, "INVALID_WORK_GROUP_SIZE", f"the kernel requires {tuple(groups[0][1])}")
    items = 1
    for count in local:
        items *= count
    limit = min(queue._device._info("MAX_WORK_GROUP_SIZE"), min(g[0] for g in groups))
    if items > limit:
        fail(
            _ROUTINE,
            "INVALID_WORK_GROUP_SIZE",
            f"{items} work-items in a work-group; at most {limit} are allowed",
        )
    per_dimension = queue._device._info("MAX_WORK_ITEM_SIZES")
    for count, most in zip(local, per_dimension, strict=False):
        if count > most:
            fail(_ROUTINE, "INVALID_WORK_ITEM_SIZE", f"local size {count}; at most {most}")
    if any(g % n for g, n in zip(extent, local, strict=True)):
        fail(
            _ROUTINE,
            "INVALID_WORK_GROUP_SIZE",
            f"local size {tuple(local)} doesn't divide global size {tuple(extent)}",
        )
