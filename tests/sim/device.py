"""A driver that really computes on bytes: carries out the effects of an executor core.

Owns: fake devices, their in-order queues, and a detector of races between what runs at the same
time on one device. Must not know: sessions, links, or what the master planned. Behaves as
`node_agent.driver` does, down to the order in which it posts: a queue for kernels and one
for bytes per device, one host thread per driver; a mapping for a Send lasts until Unmap.

Long because a fake driver has all the parts of the real one, and a race detector besides.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np

from node_agent import merge
from node_agent.driver.merging import changes_by_region
from node_agent.effects import StartMerge, Store
from node_agent.inputs import BuildEnded, BytesReady, Ended
from tests.sim.heap import Heap, Violation
from tests.sim.kernels import GLOBAL, KERNELS, kernels_in, touched
from tests.sim.reference import copy_box, views_of
from vcl.wire.messages import part

OUT_OF_RESOURCES, ALLOCATION_FAILURE, BUILD_FAILURE = -5, -4, -11
Access = tuple[int, int, int, bool]
"""(buffer, start, end, writes)."""


class Failure(Exception):
    """An operation failed with an OpenCL status."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(slots=True)
class Item:
    """Something in a queue. begin: when its turn comes; finish: when its time is over."""

    begin: Callable[[], None]
    finish: Callable[[], None]
    after: list[Item] = field(default_factory=list)
    done: bool = False


def _nothing() -> None:
    """What a barrier does."""


class InOrder:
    """A queue that carries out one item at a time."""

    def __init__(self, heap: Heap, rng: Random, scale_s: float) -> None:
        self._heap = heap
        self._rng = rng
        self._scale_s = scale_s
        self._items: deque[Item] = deque()
        self._busy = False
        self.followers: list[InOrder] = []
        """Queues whose items may wait for this one's."""

    def add(self, item: Item) -> Item:
        """Enqueue an item."""
        self._items.append(item)
        self.turn()
        return item

    def turn(self) -> None:
        """Begin the next item if it may begin."""
        if not self._busy and self._items and all(a.done for a in self._items[0].after):
            self._busy = True
            item = self._items[0]
            item.begin()
            self._heap.after(self._scale_s * self._rng.random() ** 4, self._end, item)

    def _end(self, item: Item) -> None:
        self._busy = False
        self._items.popleft()
        item.done = True
        item.finish()
        self.turn()
        for queue in self.followers:
            queue.turn()


class Device:
    """One device as one session's executor has it."""

    def __init__(self, number: int, heap: Heap, rng: Random, scale_s: float) -> None:
        self.number = number
        self.buffers: dict[int, bytearray] = {}
        self.snapshots: dict[int, list[bytes]] = {}
        self.active: dict[object, list[Access]] = {}
        self.compute = InOrder(heap, rng, scale_s)
        self.transfer = InOrder(heap, rng, scale_s / 4)
        self.compute.followers.append(self.transfer)
        self.transfer.followers.append(self.compute)

    def buffer(self, number: int) -> bytearray:
        """Raises Failure if it isn't here."""
        found = self.buffers.get(number)
        if found is None:
            raise Failure(ALLOCATION_FAILURE, "the buffer isn't on this device")
        return found

    def occupy(self, key: object, accesses: list[Access]) -> None:
        """Something begins to use memory: nothing else may be at it, unless all only read."""
        for other, theirs in self.active.items():
            for buffer, start, end, writes in theirs:
                for b, s, e, w in accesses:
                    if b == buffer and max(s, start) < min(e, end) and (w or writes):
                        raise Violation(
                            f"race on device {self.number}, buffer {b}: {key} at {s}:{e} and "
                            f"{other} at {start}:{end}"
                        )
        self.active[key] = accesses

    def vacate(self, key: object) -> None:
        """It has ended."""
        del self.active[key]


class Driver:
    """Carries out Start, Store, StartMerge and Unmap for one executor.

    post: takes inputs for the core. faults: by device and kind of operation, how many more are
    carried out before one fails.
    """

    def __init__(
        self,
        heap: Heap,
        rng: Random,
        devices: Sequence[int],
        scale_s: float,
        post: Callable[[list[Any]], None],
        faults: dict[tuple[int, str], int],
        marks: Counter[str],
    ) -> None:
        self._heap = heap
        self._rng = rng
        self._post = post
        self._faults = faults
        self._marks = marks
        self.devices = {d: Device(d, heap, rng, scale_s) for d in devices}
        self.programs: set[tuple[int, int, str]] = set()
        self.builds = True
        self.mapped: dict[int, Device] = {}
        self._items: dict[int, Item] = {}
        self._refused: set[int] = set()
        self._host: deque[Callable[[Callable[[], None]], None]] = deque()
        self._host_busy = False

    # ---- effects

    def start(self, m: Any) -> None:
        """Carry out a Start."""
        if isinstance(m, part.Allocate):
            if not self._fails(m.device, "Allocate"):
                garbage = self._rng.randbytes(m.size)
                self.devices[m.device].buffers[m.buffer] = bytearray(garbage)
        elif isinstance(m, part.Build):
            if m.request == 0:
                self._build(m, lambda: None)
            else:
                self._on_host(lambda done: self._later(self._build, m, done))
        elif isinstance(m, part.Free):
            device = self.devices[m.device]
            size = len(device.buffers.get(m.buffer, b""))
            device.occupy(_key(m), [(m.buffer, 0, size, True)])
            device.vacate(_key(m))
            device.buffers.pop(m.buffer, None)
            self._ended(m, 0)
        elif isinstance(m, part.ForgetProgram):
            self.programs = {p for p in self.programs if p[0] != m.program}
            self._ended(m, 0)
        elif isinstance(m, part.SendChanges):
            self._on_host(lambda done: self._pack_changes(m, done))
        else:
            self._guarded(m, self._send if isinstance(m, part.Send) else self._compute)

    def _later(self, action: Callable[..., None], *arguments: Any) -> None:
        self._heap.after(1e-3 * self._rng.random(), action, *arguments)

    def _ended(
        self,
        m: Any,
        status: int,
        text: str | None = None,
        extra: Any = None,
        closing: bool = False,
    ) -> None:
        now = int(self._heap.now * 1e9)
        self._post([Ended(m.operation, status, now, now, text, extra, closing)])

    def _guarded(
        self, m: Any, carry_out: Callable[[Any], None], closing: bool = False
    ) -> None:
        try:
            if self._fails(m.device, type(m).__name__):
                raise Failure(OUT_OF_RESOURCES, "the device failed")
            carry_out(m)
        except Failure as failure:
            self._refused.add(m.operation)
            before = self._before(m)
            if before and carry_out == self._compute:
                # As in the real driver: what is enqueued behind it waits, though it doesn't, for
                # the bytes that it was to wait for.
                self.devices[m.device].compute.add(Item(_nothing, _nothing, before))
            self._ended(m, failure.code, str(failure), closing=closing)

    def _fails(self, device: int, kind: str) -> bool:
        left = self._faults.get((device, kind))
        if left is None:
            return False
        if left == 0:
            del self._faults[device, kind]
            self._marks["device error"] += 1
            return True
        self._faults[device, kind] = left - 1
        return False

    def _on_host(self, action: Callable[[Callable[[], None]], None]) -> None:
        self._host.append(action)
        if not self._host_busy:
            self._host_next()

    def _host_next(self) -> None:
        self._host_busy = bool(self._host)
        if self._host:
            self._host.popleft()(self._host_next)

    # ---- the compute queue

    def _compute(self, m: Any) -> None:
        device = self.devices[m.device]
        accesses, work = self._prepare(device, m)

        def begin() -> None:
            # What waits for bytes that were refused computes nonsense, which the core throws away.
            device.occupy(_key(m), accesses if self._refused.isdisjoint(m.waits) else [])

        def finish() -> None:
            work()
            device.vacate(_key(m))
            del self._items[m.operation]
            self._ended(m, 0)

        # Into the table first: an idle queue begins at once.
        item = self._items[m.operation] = Item(begin, finish, self._before(m))
        device.compute.add(item)

    def _before(self, m: Any) -> list[Item]:
        """What is in one of the queues and has to end before an operation begins."""
        return [self._items[w] for w in m.waits if w in self._items]

    def _prepare(self, device: Device, m: Any) -> tuple[list[Access], Callable[[], None]]:
        """What an operation of the compute queue touches, and what it does."""
        if isinstance(m, part.FillRegion):
            data = device.buffer(m.buffer)
            end = m.offset + m.size

            def fill() -> None:
                data[m.offset : end] = m.pattern * (m.size // len(m.pattern))

            return [(m.buffer, m.offset, end, True)], fill
        if isinstance(m, part.CopyRegion):
            source, target = device.buffer(m.source), device.buffer(m.destination)
            start, first = m.source_offset, m.destination_offset

            def copy() -> None:
                target[first : first + m.size] = source[start : start + m.size]

            return [
                (m.source, start, start + m.size, False),
                (m.destination, first, first + m.size, True),
            ], copy
        if isinstance(m, part.CopyBox):
            source, target = device.buffer(m.source), device.buffer(m.destination)
            start, first = m.source_offset, m.destination_offset
            last_row, last_slice = m.rows - 1, m.slices - 1
            end = start + last_row * m.source_row_pitch + last_slice * m.source_slice_pitch
            last = first + last_row * m.destination_row_pitch
            last += last_slice * m.destination_slice_pitch
            return [
                (m.source, start, end + m.row_bytes, False),
                (m.destination, first, last + m.row_bytes, True),
            ], lambda: copy_box(source, target, tuple(m[5:14]))
        if isinstance(m, part.Snapshot):
            whole = [(device.buffer(b), o, s) for b, o, s, _ in m.regions]

            def snapshot() -> None:
                device.snapshots[m.merge] = [bytes(b[o : o + s]) for b, o, s in whole]

            return [(b, o, o + s, False) for b, o, s, _ in m.regions], snapshot
        return self._launch(device, m)

    def _launch(self, device: Device, m: Any) -> tuple[list[Access], Callable[[], None]]:
        if (m.program, m.device, m.kernel) not in self.programs:
            raise Failure(BUILD_FAILURE, "the program isn't built here")
        kernel = KERNELS[m.kernel]
        accesses = []
        arguments = [("region", *a[1:]) if type(a) is list else a for a in m.arguments]
        for index, a in enumerate(arguments):
            if type(a) is tuple:
                device.buffer(a[1])
                accesses.append((a[1], a[2], a[2] + a[3], index in kernel.writes))
        known = touched(kernel.name, arguments, m.global_offset, m.global_size)
        if known is not None:
            # Its device has nothing but what it touches, perhaps.
            starts = {i: (a[1], a[2]) for i, a in enumerate(arguments) if type(a) is tuple}
            accesses = [
                (starts[index][0], starts[index][1] + start, starts[index][1] + end, written)
                for index, start, end, written in known
            ]
        items = [
            range(o, o + s) for o, s in zip(m.global_offset, m.global_size, strict=True)
        ]
        return accesses, lambda: kernel.run(views_of(arguments, device.buffers), items)

    # ---- bytes

    def _send(self, m: part.Send) -> None:
        device = self.devices[m.device]
        data = device.buffer(m.buffer)
        end = m.offset + m.size
        after = self._before(m)
        self.mapped[m.operation] = device

        def finish() -> None:
            # A view, as a mapping is: what is sent is what is there when it is sent.
            view = memoryview(data)[m.offset : end]
            self._post([BytesReady(m.operation, (view,), int(self._heap.now * 1e9))])

        def begin() -> None:
            # What waits for a refused operation reads nonsense, and the core throws it away.
            useful = self._refused.isdisjoint(m.waits)
            device.occupy(_key(m), [(m.buffer, m.offset, end, False)] if useful else [])

        # In which queue is the driver's affair.
        queue = device.compute if after and self._rng.random() < 0.5 else device.transfer
        queue.add(Item(begin, finish, after))

    def unmap(self, operation: int) -> None:
        """Carry out an Unmap."""
        device = self.mapped.pop(operation, None)
        if device is not None:
            device.vacate(("Send", operation))

    def store(self, effect: Store) -> None:
        """Carry out a Store."""
        self._guarded(effect.message, lambda m: self._store(m, effect), not effect.data)

    def _store(self, m: part.Receive, effect: Store) -> None:
        device = self.devices[m.device]
        target = device.buffer(m.buffer)
        start = m.offset + effect.offset
        end = start + len(effect.data)

        def finish() -> None:
            target[start:end] = effect.data
            device.vacate((_key(m), start))
            if effect.last:
                self._items.pop(m.operation, None)
                self._ended(m, 0, closing=not effect.data)

        def begin() -> None:
            device.occupy((_key(m), start), [(m.buffer, start, end, True)])

        item = Item(begin, finish)
        if effect.last and effect.data:
            self._items[m.operation] = item
        in_line = effect.awaited and self._rng.random() < 0.5
        (device.compute if in_line else device.transfer).add(item)

    # ---- the host thread

    def _pack_changes(self, m: part.SendChanges, done: Callable[[], None]) -> None:
        device = self.devices[m.device]
        snapshots = device.snapshots.pop(m.merge, None)
        if self._fails(m.device, "SendChanges") or snapshots is None:
            self._ended(m, OUT_OF_RESOURCES, "the changes can't be packed")
            done()
            return

        def begin() -> None:
            device.occupy(_key(m), [(b, o, o + s, False) for b, o, s, _ in m.regions])

        def finish() -> None:
            data: list[Any] = []
            for (buffer, offset, size, element), old in zip(m.regions, snapshots, strict=True):
                before = np.frombuffer(old, np.uint8)
                after = np.frombuffer(device.buffers[buffer], np.uint8)[offset : offset + size]
                packed = bytes(merge.pack_changes(before, after, element))
                data += [len(packed).to_bytes(8, "little"), packed]
            device.vacate(_key(m))
            self._later(self._host_done, done, BytesReady(m.operation, tuple(data), 1))

        device.transfer.add(Item(begin, finish))

    def _host_done(self, done: Callable[[], None], result: Any) -> None:
        self._post([result])
        done()

    def start_merge(self, effect: StartMerge) -> None:
        """Carry out a StartMerge."""
        self._on_host(lambda done: self._merge(effect.message, effect.changes, done))

    def _merge(self, m: part.Merge, changes: Sequence[bytes], done: Callable[[], None]) -> None:
        device = self.devices[m.device]
        snapshots = device.snapshots.pop(m.merge, None)
        if self._fails(m.device, "Merge") or snapshots is None:
            self._ended(m, OUT_OF_RESOURCES, "the merge failed")
            done()
            return

        def begin() -> None:
            device.occupy(_key(m), [(b, o, o + s, True) for b, o, s, _, _ in m.regions])

        def finish() -> None:
            extra = self._merge_regions(device, m, changes, snapshots)
            device.vacate(_key(m))
            if extra is None:
                self._marks["merge"] += 1
                if len(m.regions) > 2:
                    self._marks["merge of many pieces"] += 1
                self._host_done(done, Ended(m.operation, 0, 1, 2, None, None))
            else:
                self._marks["merge conflict"] += 1
                if any(size < len(device.buffers[b]) for b, _, size, _, _ in m.regions):
                    self._marks["conflict inside hulls"] += 1
                self._run_again(device, m, snapshots, extra, done)

        device.transfer.add(Item(begin, finish))

    def _merge_regions(
        self, device: Device, m: part.Merge, changes: Sequence[bytes], snapshots: list[bytes]
    ) -> list[Any] | None:
        assert list(map(len, snapshots)) == [size for _, _, size, _, _ in m.regions]
        for index, incoming in enumerate(changes_by_region(m, changes)):
            buffer, offset, size, _, how = m.regions[index]
            before = np.frombuffer(snapshots[index], np.uint8)
            target = np.frombuffer(device.buffers[buffer], np.uint8)[offset : offset + size]
            for at, one in incoming:
                here = slice(at, at + one.buffer_bytes)
                conflict = merge.merge(before[here], target[here], [one], how)
                if conflict is not None:
                    return ["conflict", buffer, offset + at + conflict]
        return None

    def _run_again(
        self,
        device: Device,
        m: part.Merge,
        snapshots: list[bytes],
        extra: list[Any],
        done: Callable[[], None],
    ) -> None:
        accesses, work = self._launch(device, m)

        def finish() -> None:
            for (buffer, offset, size, *_), old in zip(m.regions, snapshots, strict=True):
                device.buffers[buffer][offset : offset + size] = old
            work()
            device.vacate(_key(m))
            self._host_done(done, Ended(m.operation, 0, 1, 2, None, extra))

        accesses += [(b, o, o + s, True) for b, o, s, _, _ in m.regions]
        device.compute.add(Item(lambda: device.occupy(_key(m), accesses), finish))

    # ---- programs

    def _build(self, m: part.Build, done: Callable[[], None]) -> None:
        kernels: dict[str, list[Any]] = {}
        if not self.builds:
            self._post([BuildEnded(part.BuildDone(m.request, -11, "it can't", [], []))])
            done()
            return
        for device in m.devices:
            for kernel in kernels_in(m.units[0][0]):
                self.programs.add((m.program, device, kernel.name))
                arguments = [
                    [a, t, 0, int(i not in kernel.writes and a == GLOBAL), "p"]
                    for i, (a, t) in enumerate(kernel.arguments)
                ]
                entry = kernels.setdefault(kernel.name, [kernel.name, [], arguments])
                entry[1].append([device, [64, [0, 0, 0], 0, 1, 0, ""]])
        logs = [[device, 0, ""] for device in m.devices]
        answer = part.BuildDone(m.request, 0, "", logs, list(kernels.values()))
        self._post([BuildEnded(answer)])
        done()


def _key(m: Any) -> tuple[str, int]:
    """What a complaint about a race calls an operation."""
    return type(m).__name__, m.operation
