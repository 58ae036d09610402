"""Whether a launch touches what `vcl.access` was told, and nothing else: its check.

Owns: `check`, which tries a launch on copies of its buffers. Must not know: how launches are
divided, or what an analysis would find.

Theory of operation. The work-items of a *piece* of the launch run on one device, on copies of the
buffers as they are now. What the piece changes has to be declared for it. Then it runs again on
copies in which garbage stands wherever the piece declares neither to read nor to write; if it does
anything else than before, it touches what holds garbage, and the first such byte is found by
halving how many bytes are garbage. Garbage is 0 in place of what isn't, and 1 in place of 0, so
that an index that was read there still points into its array more often than not.

Pieces are work-groups one by one, or if there are many, the two halves along each dimension. A
kernel that asks for more of its launch than ids would see the piece, not the launch: it runs in one
piece.

A run shows what this launch does with these bytes, and no more: a value that is read but not used,
or of which 0 makes nothing else than what was there, isn't found. Neither is writing what was there
before into what is declared to be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np

from vcl.api import commands
from vcl.api.events import Event
from vcl.api.launch import checked_arguments
from vcl.api.lifetimes import Owner
from vcl.api.memory import FLAGS, Memory
from vcl.errors import AccessError
from vcl.mappers import touched
from vcl.ndrange import NDRange, choose_local_size, split
from vcl.pyopencl_cl.context import CommandQueue
from vcl.pyopencl_cl.kernel import Kernel
from vcl.wire.declared import Declaration, Reach
from vcl.wire.messages import session

groups_max = 16
"""Work-groups of a launch that run one by one."""

_SEES = re.compile(r"\bget_(?:group_id|num_groups|global_size|global_offset|global_linear_id)\b")

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
Positions = np.ndarray[Any, np.dtype[np.intp]]


@dataclass(frozen=True)
class _Region:
    """What a launch is given of one root buffer: bytes [start, end) of it."""

    root: int
    start: int
    end: int


@dataclass(frozen=True)
class _Declared:
    """What a piece declares, by root: the bytes that it reads, and those that it writes."""

    reads: Mapping[int, Mask]
    writes: Mapping[int, Mask]


def check(
    queue: CommandQueue,
    kernel: Kernel,
    extent: list[int],
    local: list[int] | None,
    offset: list[int] | None,
    waits: list[int],
) -> None:
    """Try a launch that is to be enqueued; its buffers stay as they are.

    Waits for what the launch would wait for. Raises AccessError, and CallError where the launch
    can't be enqueued or fails.
    """
    arguments = checked_arguments(queue, kernel, extent, local, offset)
    if 0 in extent:
        return
    if not _may_begin(queue, waits):
        return
    trial = _Trial(queue, kernel, arguments)
    if local is None:
        local = list(
            choose_local_size(
                extent,
                min(group[0] for group in kernel._group(queue._device, "vcl.access")),
                queue._device._info("MAX_WORK_ITEM_SIZES")[: len(extent)],
            )
        )
    whole = NDRange(tuple(offset or [0] * len(extent)), tuple(extent), tuple(local))
    for piece in [whole] if _sees_launch(kernel) else _pieces(whole):
        trial.check(piece)


def _may_begin(queue: CommandQueue, waits: list[int]) -> bool:
    """Wait for what a launch would wait for; whether that went well, so that it runs at all."""
    marker = Event(queue, queue._context, commands.marker(queue, waits), "MARKER")
    state = marker._runtime.wait(marker._id)
    if state.status < 0:
        with marker._runtime.lock:
            marker._runtime.core.told_failure(marker._id, state.queue)
    return state.status >= 0


def _sees_launch(kernel: Kernel) -> bool:
    """Whether a kernel may ask for more of its launch than ids."""
    for source, options, _, files in kernel._program._units:
        texts = [source, options, *(text.decode(errors="replace") for _, _, text in files)]
        if any(map(_SEES.search, texts)):
            return True
    return False


def _pieces(whole: NDRange) -> Iterator[NDRange]:
    counts, local = whole.group_counts, whole.local_size
    assert local is not None
    if prod(counts) > groups_max:
        for dimension, count in enumerate(counts):
            if count > 1:
                yield from split(whole, 2, dimension)
        return
    for group in product(*map(range, counts)):
        offset = tuple(
            o + g * n for o, g, n in zip(whole.global_offset, group, local, strict=True)
        )
        yield NDRange(offset, local, local)


def _at(positions: Mapping[int, Positions], number: int) -> tuple[int, int]:
    """(root, position) of one of all of them, counted from 0."""
    for root, here in positions.items():
        if number < len(here):
            return root, int(here[number])
        number -= len(here)
    raise AssertionError("there are fewer")


class _Trial:
    """A launch, and copies of its buffers on one device."""

    def __init__(self, queue: CommandQueue, kernel: Kernel, arguments: list[Any]) -> None:
        self._kernel = kernel
        self._context = queue._context
        self._runtime = queue._runtime
        device = queue._device._id or queue._device._remotes[0].device
        self._queue = self._runtime.new_id()
        self._runtime.say(session.CreateQueue(self._queue, self._context._id, device, 0))
        self._owner = Owner(self._runtime, self._queue)
        given = [session.argument_region(argument) for argument in arguments]
        self._given = {index: region for index, region in enumerate(given) if region is not None}
        self._regions: dict[int, _Region] = {}
        for root, first, size in self._given.values():
            known = self._regions.get(root, _Region(root, first, first + size))
            self._regions[root] = _Region(
                root, min(known.start, first), max(known.end, first + size)
            )
        self._copies = {
            root: Memory(self._context, FLAGS["READ_WRITE"], region.end - region.start)
            for root, region in self._regions.items()
        }
        self._arguments = [self._moved(argument) for argument in arguments]
        self._now = {root: self._read(root, r.start, r.end) for root, r in self._regions.items()}
        self._garbage = self._garbled()

    def _moved(self, argument: Any) -> Any:
        """The same argument, in the copy of its buffer."""
        region = session.argument_region(argument)
        if region is None:
            return argument
        root, offset, _ = region
        copy = self._copies[root]._root_id
        return [argument[0], copy, offset - self._regions[root].start, *argument[3:]]

    def _garbled(self) -> dict[int, Bytes]:
        garbled = {root: (now == 0).astype(np.uint8) for root, now in self._now.items()}
        for index, declaration in self._kernel._declared.items():
            element = self._kernel._elements[index].base
            if index in self._given and element.kind in "biufc":
                values = self._array(self._now, index, declaration.size).view(element)
                bytes_ = (values == 0).astype(element).view(np.uint8)
                self._array(garbled, index, declaration.size)[:] = bytes_
        return garbled

    def _array(
        self, of: Mapping[int, np.ndarray[Any, np.dtype[Any]]], index: int, size: int
    ) -> np.ndarray[Any, np.dtype[Any]]:
        """The first bytes of what was given for an argument."""
        root, offset, _ = self._given[index]
        first = offset - self._regions[root].start
        return of[root][first : first + size]

    # ---- one piece

    def check(self, piece: NDRange) -> None:
        """Raise AccessError if the work-items of a piece touch what isn't declared."""
        declared = self._declared(piece)
        after = self._run(self._now, piece)
        found = self._first_changed(self._now, after, declared)
        if found is not None:
            self._fail(piece, "write", *found)
        undeclared = {
            root: np.flatnonzero(
                ~(declared.reads[root] | declared.writes[root])
                & (self._garbage[root] != self._now[root])
            )
            for root in self._regions
        }
        count = sum(map(len, undeclared.values()))
        if not count or not self._differs(undeclared, count, piece, after, declared):
            return
        if self._differs(undeclared, 0, piece, after, declared):
            text = f"kernel {self._kernel._facts.name!r} can't be checked for what it reads: "
            raise AccessError(text + "it doesn't do the same twice with the same bytes")
        same, other = 0, count
        while other - same > 1:
            middle = (same + other) // 2
            if self._differs(undeclared, middle, piece, after, declared):
                other = middle
            else:
                same = middle
        root, position = _at(undeclared, other - 1)
        # It has written what was there before, or it did something else because of the garbage.
        garbled = self._with_garbage(undeclared, other)
        wrote = self._run(garbled, piece)[root][position] != garbled[root][position]
        self._fail(piece, "write" if wrote else "read", root, position)

    def _declared(self, piece: NDRange) -> _Declared:
        reads, writes = (
            {root: np.zeros(len(now), np.bool_) for root, now in self._now.items()}
            for _ in range(2)
        )
        for index, (_, _, size) in self._given.items():
            declaration = self._kernel._declared.get(index)
            if declaration is not None:
                self._mark(reads, declaration, declaration.reads, piece)
                self._mark(writes, declaration, declaration.writes, piece)
                continue
            # The launch isn't divided by declarations unless this is only read.
            self._array(reads, index, size)[:] = True
            if not self._kernel._stays_unwritten(index):
                self._array(writes, index, size)[:] = True
        return _Declared(reads, writes)

    def _mark(
        self, masks: dict[int, Mask], declaration: Declaration, reach: Reach, piece: NDRange
    ) -> None:
        box = touched(declaration, reach, piece)
        if box is not None:
            array = self._array(masks, declaration.argument, declaration.size)
            elements = array.reshape(*declaration.shape, declaration.item_bytes)
            elements[tuple(slice(r.start, r.stop) for r in box)] = True

    def _with_garbage(self, undeclared: Mapping[int, Positions], count: int) -> dict[int, Bytes]:
        """The bytes as they are, but for the first so many of those that aren't declared."""
        made = {}
        for root, now in self._now.items():
            positions = undeclared[root][:count]
            made[root] = now.copy()
            made[root][positions] = self._garbage[root][positions]
            count -= len(positions)
        return made

    def _differs(
        self,
        undeclared: Mapping[int, Positions],
        count: int,
        piece: NDRange,
        after: Mapping[int, Bytes],
        declared: _Declared,
    ) -> bool:
        """Whether the piece does anything else than before if so many bytes are garbage."""
        given = self._with_garbage(undeclared, count)
        found = self._run(given, piece)
        if self._first_changed(given, found, declared) is not None:
            return True
        return any(
            bool(np.any((found[root] != after[root]) & declared.writes[root])) for root in found
        )

    def _first_changed(
        self, given: Mapping[int, Bytes], found: Mapping[int, Bytes], declared: _Declared
    ) -> tuple[int, int] | None:
        """(root, position) of the first byte that was written and isn't declared to be."""
        for root in self._regions:
            changed = (given[root] != found[root]) & ~declared.writes[root]
            if changed.any():
                return root, int(changed.argmax())
        return None

    def _fail(self, piece: NDRange, verb: str, root: int, position: int) -> None:
        """Raise AccessError, for a byte of a region."""
        end = [o + s for o, s in zip(piece.global_offset, piece.global_size, strict=True)]
        where = self._name(root, position)
        raise AccessError(
            f"work-items {list(piece.global_offset)} up to {end} of kernel "
            f"{self._kernel._facts.name!r} {verb} {where}, and vcl.access doesn't declare that"
        )

    def _name(self, root: int, position: int) -> str:
        """Of a byte: the element of the array that was declared, or where it is behind it."""
        at = self._regions[root].start + position
        beyond = ""
        for index, (other, offset, size) in self._given.items():
            if other != root or not offset <= at < offset + size:
                continue
            argument = self._kernel._facts.arguments[index][4] or index + 1
            declaration = self._kernel._declared.get(index)
            if declaration is None or at - offset >= declaration.size:
                beyond = beyond or f"byte {at - offset} of argument {argument!r}"
                continue
            number = (at - offset) // declaration.item_bytes
            element = [int(i) for i in np.unravel_index(number, declaration.shape)]
            return f"element {element} of argument {argument!r}"
        return beyond or f"byte {at} of a buffer between its arguments"

    # ---- commands

    def _run(self, contents: Mapping[int, Bytes], piece: NDRange) -> dict[int, Bytes]:
        """What the copies hold after a run of a piece."""
        for root, data in contents.items():
            self._write(root, data.tobytes())
        self._wait(
            self._runtime.enqueue(
                self._queue,
                lambda event: session.Launch(
                    event, self._queue, [], self._kernel._program_id, self._kernel._facts.name,
                    list(piece.global_offset), list(piece.global_size),
                    list(piece.local_size or ()), self._arguments,
                ),
            )
        )  # fmt: skip
        return {root: self._read(c._root_id, 0, c._size) for root, c in self._copies.items()}

    def _write(self, root: int, data: bytes) -> None:
        copy = self._copies[root]._root_id
        self._wait(
            self._runtime.write(
                self._queue,
                data,
                lambda event, staging, digest: session.Write(
                    event, self._queue, [], copy, 0, len(data), staging, digest
                ),
            )
        )

    def _read(self, buffer: int, start: int, end: int) -> Bytes:
        destination = memoryview(bytearray(end - start))
        self._wait(
            self._runtime.read(
                self._queue,
                destination,
                lambda event: session.Read(event, self._queue, [], buffer, start, end - start),
            )
        )
        return np.frombuffer(destination, np.uint8)

    def _wait(self, event: int) -> None:
        Event(None, self._context, event, "USER")._wait()


