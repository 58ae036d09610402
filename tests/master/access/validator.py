"""Whether predictions of what launches touch hold on PoCL, where parts get nothing else.

Owns: `Validator`, and as a program (`python -m tests.master.access.validator`) the process in which
kernels run, since tests swap pyopencl in theirs. Must not know: which kernels there are.

A launch runs whole, as the user wrote it. Then it runs in parts along each dimension, and in boxes
of two, rewritten if it has to see the whole launch. Before a part runs, every byte outside of what
it is predicted to read or write is made another; after it, no byte outside of the predicted writes
may have changed.
If no part writes what another reads or writes, what all parts wrote must make the memory that the
whole launch left, bit by bit; else each part must write what it writes among the bytes as they are.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from master.access.analyser.expand import expand
from master.access.analyser.frontend import Parsed, parse
from master.access.analyser.rewrite import rewrite
from master.access.extents import Extent, extents
from master.access.hidden import hidden
from master.access.kernels import BUFFER, OTHER, Footprint, footprint
from master.access.memory import Lost
from node_agent.driver.library import load_pyopencl
from tests import processes
from vcl.ndrange import NDRange, boxes, counts_of_boxes, split

timeout_s = 100.0
ADDRESS_BITS = 64
PART_COUNTS = (1, 2, 3, 5)

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


class Region(NamedTuple):
    """Bytes of a buffer, whose number is its place among those of the launch."""

    buffer: int
    offset: int
    size: int


class Local(NamedTuple):
    """Bytes of local memory."""

    size: int


@dataclass(frozen=True)
class Launch:
    kernel: str
    arguments: tuple[Region | Local | bytes, ...]
    ndrange: NDRange
    """Has a local size that divides the global one."""
    buffers: tuple[Bytes, ...]
    """What they hold before it."""


class Outcome(NamedTuple):
    along: str
    """The dimensions along which it divides, however it is cut: of "xyz"."""
    why: str
    """Why not along the others, in the words of `master.plan.regions`, or what Lost says."""
    in_boxes: tuple[str, ...] = ()
    """The pairs of dimensions that it can be cut along at once."""


class Unsound(Exception):
    """A prediction that doesn't hold."""


Predict = Callable[[Footprint, NDRange, NDRange, dict[int, int]], dict[int, Extent]]


class _Touched(NamedTuple):
    """Of each buffer, as masks of its bytes. unknown: arguments of which any byte may be written"""

    reads: list[Mask]
    writes: list[Mask]
    unknown: list[int]


class Validator:
    """Validates launches of one program, in a process that lives until `close`."""

    def __init__(self, source: str, options: str, predict: Predict = extents) -> None:
        text = expand(source, options).text
        self._program = parse(text, options, ADDRESS_BITS)
        rewritten = rewrite(text, Parsed(text, options, ADDRESS_BITS).places())
        self._hidden = rewritten.hidden
        self._predict = predict
        self._device = _Device([text, rewritten.text], options)

    def close(self) -> None:
        """End the process."""
        self._device.close()

    def validate(self, launch: Launch) -> Outcome:
        """Whether a launch divides; raises Unsound."""
        arguments = [
            BUFFER if isinstance(a, Region) else OTHER if isinstance(a, Local) else a
            for a in launch.arguments
        ]
        try:
            found = footprint(self._program, launch.kernel, arguments, launch.ndrange)
        except Lost as lost:
            return Outcome("", str(lost))
        (whole,) = self._device.run(0, [_Run(launch, launch.ndrange, None, launch.buffers)])
        along, why = "", ""
        for dimension, groups in enumerate(launch.ndrange.group_counts):
            reasons = [
                self._cut(launch, found, pieces, whole)
                for pieces in cuts(launch.ndrange, dimension)
            ]
            # All of it in one part comes first.
            if groups > 1 and not any(reasons[1:]):
                along += "xyz"[dimension]
            why = next(filter(None, reasons[1:]), why)
        in_boxes = []
        for first, second in combinations(range(len(launch.ndrange.global_size)), 2):
            made = box_cuts(launch.ndrange, first, second)
            reasons = [self._cut(launch, found, pieces, whole) for pieces in made]
            if made and not any(reasons):
                in_boxes.append("xyz"[first] + "xyz"[second])
        return Outcome(along, why, tuple(in_boxes))

    def _cut(
        self, launch: Launch, found: Footprint, pieces: list[NDRange], whole: list[Bytes]
    ) -> str:
        """Why these parts don't divide the launch; "" if they do. Raises Unsound."""
        touched = [self._touched(launch, found, piece) for piece in pieces]
        why = _why_not(touched)
        rng = np.random.default_rng(len(pieces))
        before = [
            [
                _spoilt(contents, reads | writes, rng)
                for contents, reads, writes in zip(launch.buffers, t.reads, t.writes, strict=True)
            ]
            for t in touched
        ]
        after = self._parts(launch, pieces, before)
        for piece, part, had, has in zip(pieces, touched, before, after, strict=True):
            for buffer, (old, new, writes) in enumerate(zip(had, has, part.writes, strict=True)):
                _none(np.flatnonzero((old != new) & ~writes), "writes", buffer, launch, piece)
        if why:
            expected = self._parts(launch, pieces, [launch.buffers] * len(pieces))
        else:
            expected = [whole] * len(pieces)
            for buffer, was in enumerate(launch.buffers):
                written = np.logical_or.reduce([part.writes[buffer] for part in touched])
                left = np.flatnonzero((whole[buffer] != was) & ~written)
                _none(left, "as a whole also writes", buffer, launch, launch.ndrange)
        for piece, part, has, right in zip(pieces, touched, after, expected, strict=True):
            for buffer, (new, good, writes) in enumerate(
                zip(has, right, part.writes, strict=True)
            ):
                _none(np.flatnonzero((new != good) & writes), "misses", buffer, launch, piece)
        return why

    def _touched(self, launch: Launch, found: Footprint, piece: NDRange) -> _Touched:
        regions = {n: a for n, a in enumerate(launch.arguments) if isinstance(a, Region)}
        sizes = {n: region.size for n, region in regions.items()}
        reads = [np.zeros(len(b), dtype=bool) for b in launch.buffers]
        writes = [np.zeros(len(b), dtype=bool) for b in launch.buffers]
        unknown = []
        for argument, extent in self._predict(found, launch.ndrange, piece, sizes).items():
            buffer, offset, size = regions[argument]
            if extent.writes is None:
                unknown.append(argument)
            for mask, runs in ((reads[buffer], extent.reads), (writes[buffer], extent.writes)):
                for start, end in [(0, size)] if runs is None else runs:
                    mask[offset + start : offset + end] = True
        return _Touched(reads, writes, unknown)

    def _parts(
        self, launch: Launch, pieces: Sequence[NDRange], before: Sequence[Sequence[Bytes]]
    ) -> list[list[Bytes]]:
        takes = self._hidden[launch.kernel] is not None
        runs = [
            _Run(
                launch, piece,
                hidden(launch.ndrange, piece, ADDRESS_BITS) if takes else None, contents,
            )
            for piece, contents in zip(pieces, before, strict=True)
        ]  # fmt: skip
        return self._device.run(int(takes), runs)


def cuts(ndrange: NDRange, dimension: int) -> list[list[NDRange]]:
    """Ways to cut a launch along a dimension: into equal parts, and uneven ones."""
    assert ndrange.local_size is not None
    groups, local = ndrange.group_counts[dimension], ndrange.local_size[dimension]
    made = [split(ndrange, count, dimension) for count in PART_COUNTS if count <= groups]
    for edges in ([0, 1, groups], [0, groups - 1, groups], [0, 1, 2, groups]):
        pieces = []
        for low, high in pairwise(edges):
            offset, size = list(ndrange.global_offset), list(ndrange.global_size)
            offset[dimension] += low * local
            size[dimension] = (high - low) * local
            pieces.append(NDRange(tuple(offset), tuple(size), ndrange.local_size))
        if all(min(piece.global_size) > 0 for piece in pieces) and pieces not in made:
            made.append(pieces)
    return made


def box_cuts(ndrange: NDRange, first: int, second: int) -> list[list[NDRange]]:
    """Ways to cut a launch along two dimensions at once: into equal boxes, and uneven ones."""
    columns, rows = ([c for c in cuts(ndrange, d) if len(c) > 1] for d in (first, second))
    # Each way of one dimension once, beside another way of the other.
    pairs = zip(columns, [*rows[1:], *rows[:1]], strict=False)
    equal = [c for c in counts_of_boxes(ndrange, 4) if c[first] == c[second] == 2]
    made = [boxes(ndrange, counts) for counts in equal]
    return made + [[_both(column, row, second) for row in b for column in a] for a, b in pairs]


def _both(column: NDRange, row: NDRange, dimension: int) -> NDRange:
    """What is in both; row: cut along this dimension only."""
    offset, size = list(column.global_offset), list(column.global_size)
    offset[dimension], size[dimension] = row.global_offset[dimension], row.global_size[dimension]
    return NDRange(tuple(offset), tuple(size), column.local_size)


def _why_not(touched: Sequence[_Touched]) -> str:
    """Why parts that touch this can't run apart; "" if they can.

    Told anew from `master.plan.regions`, on bytes instead of runs of them.
    """
    if len(touched) < 2:
        return ""
    for part in touched:
        if part.unknown:
            return f"where argument {part.unknown[0] + 1} is written isn't known"
    for buffer in range(len(touched[0].writes)):
        writers = np.sum([part.writes[buffer] for part in touched], axis=0)
        for part in touched:
            others = writers - part.writes[buffer] > 0
            if np.any(others & (part.reads[buffer] | part.writes[buffer])):
                return "its parts touch the same bytes"
    return ""


def _spoilt(contents: Bytes, kept: Mask, rng: np.random.Generator) -> Bytes:
    """The same bytes where they are kept, and others elsewhere."""
    turned = rng.integers(1, 256, len(contents), dtype=np.uint8)
    return np.where(kept, contents, contents ^ turned)


def _none(
    places: npt.NDArray[np.intp], what: str, buffer: int, launch: Launch, piece: NDRange
) -> None:
    if len(places):
        raise Unsound(
            f"{launch.kernel} {what} {len(places)} bytes of buffer {buffer}, the first at "
            f"{places[0]}, in {piece} of {launch.ndrange}"
        )


# ---- the process


class _Run(NamedTuple):
    launch: Launch
    piece: NDRange
    told: bytes | None
    """The argument behind the user's."""
    contents: Sequence[Bytes]


class _Device:
    """Programs on PoCL, each built when it is first asked for."""

    def __init__(self, texts: list[str], options: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.master.access.validator"],
            cwd=processes.ROOT,
            env=processes.environment(
                # Alone, so that those who race do so in the same order each time.
                POCL_MAX_PTHREAD_COUNT="1",
                PYOPENCL_NO_CACHE="1",
            ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._say((texts, options))

    def run(self, program: int, runs: list[_Run]) -> list[list[Bytes]]:
        """What is in the buffers after each run."""
        self._say((program, runs))
        assert self._process.stdout is not None
        guard = threading.Timer(timeout_s, self._process.kill)
        guard.start()
        try:
            answer: list[list[Bytes]] = pickle.load(self._process.stdout)
        except EOFError:
            raise Unsound(f"{runs[0].launch.kernel} ended the process") from None
        finally:
            guard.cancel()
        return answer

    def _say(self, what: Any) -> None:
        assert self._process.stdin is not None
        pickle.dump(what, self._process.stdin)
        self._process.stdin.flush()

    def close(self) -> None:
        self._process.communicate(timeout=timeout_s)
        assert self._process.returncode == 0


def _run(cl: Any, queue: Any, program: Any, run: _Run) -> list[Bytes]:
    flags = cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR
    buffers = [cl.Buffer(queue.context, flags, hostbuf=data) for data in run.contents]
    given: list[Any] = []
    for argument in run.launch.arguments:
        if isinstance(argument, Region):
            buffer = buffers[argument.buffer]
            all_of_it = (0, buffer.size) == argument[1:]
            given.append(buffer if all_of_it else buffer.get_sub_region(*argument[1:]))
        else:
            given.append(cl.LocalMemory(argument.size) if isinstance(argument, Local) else argument)
    if run.told is not None:
        given.append(run.told)
    kernel = cl.Kernel(program, run.launch.kernel)
    kernel.set_args(*given)
    piece = run.piece
    cl.enqueue_nd_range_kernel(
        queue, kernel, piece.global_size, piece.local_size, piece.global_offset
    )
    after = [np.empty_like(data) for data in run.contents]
    for data, buffer in zip(after, buffers, strict=True):
        cl.enqueue_copy(queue, data, buffer)
    return after


def main() -> None:
    """Carry out runs that come on standard input until it ends."""
    cl = load_pyopencl()
    # Whatever a driver prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    queue = cl.CommandQueue(cl.Context([cl.get_platforms()[0].get_devices()[0]]))
    texts, options = pickle.load(sys.stdin.buffer)
    programs: dict[int, Any] = {}
    with contextlib.suppress(EOFError):
        while True:
            number, runs = pickle.load(sys.stdin.buffer)
            if number not in programs:
                programs[number] = cl.Program(queue.context, texts[number]).build(options.split())
            pickle.dump([_run(cl, queue, programs[number], run) for run in runs], answers)
            answers.flush()


if __name__ == "__main__":
    from tests.master.access.validator import main as as_module  # so that pickles find its classes

    as_module()
