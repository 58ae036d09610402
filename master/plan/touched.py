"""What some of a launch touches, by buffer.

Owns: the extents of arguments put together by the buffers that these are regions of. Must not know:
how a launch is divided.
"""

from __future__ import annotations

from master.access.extents import Extent, Runs, extents, in_order
from master.access.kernels import Footprint
from vcl.ndrange import NDRange
from vcl.wire.messages import session

Touched = dict[int, tuple[Runs, Runs]]
"""(reads, writes) of each buffer, by id."""


def given_regions(m: session.Launch) -> dict[int, tuple[int, int, int]]:
    """(buffer, offset, size) by argument, of those that are regions."""
    return {i: r for i, a in enumerate(m.arguments) if (r := session.argument_region(a))}


def touched_by(
    footprint: Footprint,
    ndrange: NDRange,
    piece: NDRange,
    given: dict[int, tuple[int, int, int]],
) -> tuple[Touched, int | None]:
    """What some of a launch touches, and the first argument of which it may write anything."""
    sizes = {index: size for index, (_, _, size) in given.items()}
    starts = {index: (buffer, offset) for index, (buffer, offset, _) in given.items()}
    found = extents(footprint, ndrange, piece, sizes)
    unbounded = (index for index, extent in found.items() if extent.writes is None)
    return _by_buffer(found, starts, sizes), next(unbounded, None)


def _by_buffer(
    found: dict[int, Extent], starts: dict[int, tuple[int, int]], sizes: dict[int, int]
) -> Touched:
    """Of whichever arguments a buffer was given for; all of a region where that isn't known."""
    by_buffer: Touched = {}
    for index, extent in found.items():
        buffer, offset = starts[index]
        reads, writes = by_buffer.setdefault(buffer, ([], []))
        for runs, known in ((reads, extent.reads), (writes, extent.writes)):
            anywhere = [(0, sizes[index])]
            runs += [
                (offset + start, offset + end)
                for start, end in (anywhere if known is None else known)
            ]
    return {
        buffer: (in_order(reads), in_order(writes)) for buffer, (reads, writes) in by_buffer.items()
    }
