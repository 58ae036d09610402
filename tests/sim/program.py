"""A random program: what a client does, drawn from a seed before anything runs.

Owns: the choice of objects and commands, and wait lists that keep the program free of races.
Must not know: how it is carried out. Everything that conflicts is ordered by queue order, a wait
list or a wait of the host; nothing else is, so that the cluster may choose any order it likes.

Long because each kind of command is drawn here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import gcd
from random import Random
from typing import Any

from tests.sim.kernels import ATOMIC, KERNELS
from tests.sim.reference import Command, Memory, Region, apply

CLUSTER = 0


@dataclass(slots=True)
class Queue:
    """device: 0 for the cluster, else the number of a device from 1 on."""

    in_order: bool
    device: int
    last: Command | None = None
    recent: list[Command] = field(default_factory=list)
    barrier: Command | None = None


@dataclass(slots=True)
class Program:
    """steps: (what, argument...) in the order in which the host carries them out."""

    queues: list[Queue]
    buffers: dict[int, tuple[int, bool]]
    programs: list[list[str]]
    commands: list[Command]
    steps: list[tuple[Any, ...]]
    sizes: dict[int, int]


class Generator:
    """Draws one program."""

    def __init__(self, rng: Random, length: int) -> None:
        self._rng = rng
        self._length = length
        self._queues = [
            Queue(rng.random() < 0.6, rng.choice((CLUSTER, CLUSTER, 1, 2, 3)))
            for _ in range(rng.randint(1, 4))
        ]
        self._queues[0].device = CLUSTER
        self._buffers: dict[int, tuple[int, bool]] = {}
        for number in range(rng.randint(2, 5)):
            shared = rng.random() < 0.05
            self._buffers[number] = (8 * rng.randint(3, 60), shared)
        plain = [name for name in KERNELS if name not in ATOMIC]
        self._programs = [plain, [*sorted(ATOMIC), "scale"]]
        self._usable = set(self._buffers)
        self._memory: Memory = {b: bytearray(s) for b, (s, _) in self._buffers.items()}
        self._commands: list[Command] = []
        self._steps: list[tuple[Any, ...]] = []
        self._held: set[int] = set()
        self._done = 0  # bit set: the host knows that these ended
        self._unset: list[int] = []
        self._nonce = rng.randrange(1 << 40)
        self._again = Random(self._nonce)  # of its own: programs differ in their writes only
        self._written: list[tuple[Region, bytes]] = []
        self._launched: list[tuple[str, list[Any], list[int], list[int], list[int] | None]] = []

    def draw(self) -> Program:
        """The whole program, ending with a wait for everything."""
        weights = {
            self._write: 6, self._launch: 12, self._read: 5, self._fill: 2, self._copy: 3,
            self._copy_box: 1, self._marker: 2, self._user_event: 1, self._set_some: 1,
            self._release_event: 3, self._release_buffer: 0.3, self._wait: 1, self._finish: 0.5,
            self._flush: 3, self._ask_report: 1.5,
        }  # fmt: skip
        makers, chances = list(weights), list(weights.values())
        for _ in range(self._length):
            self._rng.choices(makers, chances)[0]()
        self._finish()
        for buffer in sorted(self._usable):
            if self._rng.random() < 0.5:
                self._read(buffer, 0, self._buffers[buffer][0])
        self._finish()
        sizes = {buffer: size for buffer, (size, _) in self._buffers.items()}
        return Program(
            self._queues, self._buffers, self._programs, self._commands, self._steps, sizes
        )

    # ---- order

    def _enter(
        self,
        kind: str,
        reads: list[Region],
        writes: list[Region],
        detail: tuple[Any, ...] = (),
        waits: list[int] | None = None,
    ) -> Command:
        """Put a command into a random queue with the waits that it needs."""
        number = self._rng.randrange(len(self._queues))
        queue = self._queues[number]
        needed = [c.index for c in self._commands if _conflicts(c, reads, writes)]
        waits = list(waits or ())
        if kind != "marker" or waits:
            # An empty wait list of a marker means everything before it.
            held = sorted(self._held)
            for _ in range(self._rng.choice((0, 0, 0, 1, 2))):
                if held:
                    waits.append(self._rng.choice(held))
        command = Command(len(self._commands), kind, number, waits, reads, writes, detail)
        before = self._done | self._by_queue(queue, command)
        for wait in waits:
            before |= self._commands[wait].before | 1 << wait
        for other in reversed(needed):
            if before >> other & 1:
                continue
            wait = self._someone_after(other)
            if wait is None:
                self._finish()
                before |= self._done
            else:
                waits.append(wait)
                before |= self._commands[wait].before | 1 << wait
        command.before = before
        self._note(queue, command)
        return command

    def _by_queue(self, queue: Queue, command: Command) -> int:
        if queue.in_order:
            others = [queue.last]
        elif command.kind == "marker" and not command.waits:
            others = [queue.barrier, *queue.recent]
        else:
            others = [queue.barrier]
        before = 0
        for other in others:
            if other is not None:
                before |= other.before | 1 << other.index
        return before

    def _someone_after(self, other: int) -> int | None:
        """A command whose event the host still holds, and that ends after another, or is it."""
        if other in self._held:
            return other
        after = [c for c in self._held if self._commands[c].before >> other & 1]
        return self._rng.choice(sorted(after)) if after else None

    def _note(self, queue: Queue, command: Command) -> None:
        command.skipped = any(self._commands[wait].skipped for wait in command.waits)
        queue.last = command
        if command.kind == "marker" and command.detail[0] and not queue.in_order:
            queue.barrier = command
            queue.recent.clear()
        else:
            queue.recent.append(command)
        self._add(command)
        if not command.skipped:
            command.expected = apply(command, self._memory) or b""

    def _add(self, command: Command) -> None:
        self._commands.append(command)
        self._held.add(command.index)
        self._steps.append(("command", command.index))

    # ---- commands

    def _region(self, buffer: int, align: int = 1) -> Region:
        size = self._buffers[buffer][0] // align
        start = self._rng.choice((0, 0, self._rng.randrange(size)))
        end = self._rng.choice((size, size, self._rng.randint(start + 1, size)))
        return buffer, start * align, end * align

    def _buffer(self) -> int | None:
        usable = sorted(self._usable)
        return self._rng.choice(usable) if usable else None

    def _write(self) -> None:
        buffer = self._buffer()
        if buffer is None:
            return
        region = self._region(buffer)
        data = self._rng.randbytes(region[2] - region[1])
        if self._written and self._again.random() < 0.6:
            # The same bytes again, where they were written or somewhere else.
            before, same = self._again.choice(self._written)
            room = self._buffers[buffer][0] - len(same)
            if self._again.random() < 0.5 and before[0] in self._usable:
                region, data = before, same
            elif room >= 0:
                start = self._again.randint(0, room)
                region, data = (buffer, start, start + len(same)), same
        self._written.append((region, data))
        self._enter("write", [], [region], (data,))

    def _read(self, buffer: int | None = None, start: int = 0, end: int = 0) -> None:
        if buffer is None:
            buffer = self._buffer()
            if buffer is None:
                return
            _, start, end = self._region(buffer)
        self._enter("read", [(buffer, start, end)], [])

    def _fill(self) -> None:
        buffer = self._buffer()
        if buffer is not None:
            pattern = self._rng.randbytes(self._rng.choice((1, 2, 4, 8)))
            self._enter("fill", [], [self._region(buffer, 8)], (pattern,))

    def _copy(self) -> None:
        source, target = self._buffer(), self._buffer()
        if source is None or target is None:
            return
        _, start, end = self._region(source)
        size = min(end - start, self._buffers[target][0])
        to = self._rng.randint(0, self._buffers[target][0] - size)
        if source == target and start < to + size and to < start + size:
            return
        self._enter("copy", [(source, start, start + size)], [(target, to, to + size)])

    def _copy_box(self) -> None:
        source, target = self._buffer(), self._buffer()
        if source is None or target is None or source == target:
            return
        row_bytes, rows, slices = (self._rng.randint(1, 4) for _ in range(3))
        pitches: list[int] = []
        starts: list[int] = []
        hulls: list[Region] = []
        for buffer in (source, target):
            row = row_bytes + self._rng.randrange(3)
            layer = row * rows + self._rng.randrange(3)
            hull = row_bytes + (rows - 1) * row + (slices - 1) * layer
            if hull > self._buffers[buffer][0]:
                return
            start = self._rng.randint(0, self._buffers[buffer][0] - hull)
            pitches += [row, layer]
            starts.append(start)
            hulls.append((buffer, start, start + hull))
        box = (*starts, row_bytes, rows, slices, *pitches)
        self._enter("copy_box", [hulls[0]], [hulls[1]], (source, target, box))

    def _marker(self) -> None:
        waits = None
        held = sorted(self._held)
        if held and self._rng.random() < 0.5:
            waits = [self._rng.choice(held)]
        self._enter("marker", [], [], (self._rng.random() < 0.5,), waits)

    def _launch(self) -> None:
        if self._launched and self._rng.random() < 0.4:
            self._launch_again(*self._rng.choice(self._launched))
        else:
            self._launch_another()

    def _launch_again(
        self, name: str, arguments: list[Any], offset: list[int], size: list[int],
        local: list[int] | None,
    ) -> None:  # fmt: skip
        """What was launched before, perhaps with another value."""
        if not {a[1] for a in arguments if type(a) is tuple} <= self._usable:
            return
        for _ in range(self._rng.randint(1, 3)):
            arguments = list(arguments)
            if name == "conflict":
                self._nonce += 1 << 20
                arguments[1] = self._nonce.to_bytes(8, "little")
            elif name == "scale" and self._rng.random() < 0.7:
                arguments[1] = self._rng.randrange(256).to_bytes(4, "little")
            self._enter_launch(name, arguments, offset, size, local)

    def _launch_another(self) -> None:
        program = 0 if self._rng.random() < 0.85 else 1
        name = self._rng.choice(self._programs[program])
        kernel = KERNELS[name]
        arguments: list[Any] = []
        for _, type_name in kernel.arguments:
            if not type_name.endswith("*"):
                arguments.append(None)
                continue
            buffer = self._buffer()
            if buffer is None:
                return
            _, start, end = self._region(buffer, 8)
            arguments.append(("region", buffer, start, end - start))
        regions = [a for a in arguments if a is not None]
        for index in kernel.writes:
            a = arguments[index]
            for b in regions:
                if a is not b and a[1] == b[1] and a[2] < b[2] + b[3] and b[2] < a[2] + a[3]:
                    return
        shape = self._shape(name, arguments)
        if shape is None:
            return
        offset, size = shape
        local = None
        if self._rng.random() < 0.4:
            local = [self._rng.choice((1, 2, 4, 8, 3)) for _ in size]
        self._launched.append((name, arguments, offset, size, local))
        self._enter_launch(*self._launched[-1])

    def _enter_launch(
        self, name: str, arguments: list[Any], offset: list[int], size: list[int],
        local: list[int] | None,
    ) -> None:  # fmt: skip
        kernel = KERNELS[name]
        reads = [_extent(arguments[i]) for i in sorted(kernel.reads | kernel.writes)]
        writes = [_extent(arguments[i]) for i in sorted(kernel.writes)]
        self._enter("launch", reads, writes, (name, arguments, offset, size, local))

    def _shape(self, name: str, arguments: list[Any]) -> tuple[list[int], list[int]] | None:
        """Global offset and size within all regions; sets the by-value argument."""
        rng = self._rng
        count = min(a[3] for a in arguments if a is not None)
        if name == "plane":
            width = rng.randint(1, min(16, count))
            height = count // width
            for index in (0, 1):
                arguments[index] = (*arguments[index][:3], width * height)
            arguments[2] = width.to_bytes(4, "little")
            return [0, 0], [width, height]
        if name == "conflict":
            self._nonce += 1 << 20
            arguments[1] = self._nonce.to_bytes(8, "little")
            return [0], [rng.randint(1, 64)]
        if name == "scale":
            arguments[1] = rng.randrange(256).to_bytes(4, "little")
        if name == "swap":
            arguments[2] = rng.choice((1, 2, 3, 8)).to_bytes(4, "little")
        if name == "comb":
            arguments[2] = max(1, arguments[0][3] // 4).to_bytes(4, "little")
        if name in ("scatter", "spread"):
            words = arguments[0][3] // 4
            strides = [s for s in range(1, 12) if gcd(s, words) == 1]
            arguments[-1] = rng.choice(strides).to_bytes(4, "little")
            count //= 4
        offset = rng.choice((0, 0, rng.randrange(count)))
        size = rng.choice((count - offset, rng.randint(1, count - offset)))
        if size and rng.random() < 0.5 and size > 8:
            size -= size % 8
        return [offset], [size]

    # ---- the host

    def _user_event(self) -> None:
        command = Command(len(self._commands), "user", -1, [])
        command.skipped = self._rng.random() < 0.2
        self._unset.append(command.index)
        self._add(command)

    def _set_some(self) -> None:
        if self._unset:
            index = self._unset.pop(self._rng.randrange(len(self._unset)))
            self._steps.append(("set", index, -7 if self._commands[index].skipped else 0))

    def _finish(self) -> None:
        while self._unset:
            self._set_some()
        self._steps.append(("finish",))
        self._done = (1 << len(self._commands)) - 1

    def _wait(self) -> None:
        held = [c for c in sorted(self._held) if c not in self._unset]
        if held:
            index = self._rng.choice(held)
            before = self._commands[index].before
            for other in [u for u in self._unset if before >> u & 1]:
                self._unset.remove(other)
                self._steps.append(("set", other, -7 if self._commands[other].skipped else 0))
            self._steps.append(("wait", index))
            self._done |= before | 1 << index

    def _flush(self) -> None:
        self._steps.append(("flush",))

    def _release_event(self) -> None:
        held = [c for c in sorted(self._held) if c not in self._unset]
        if held:
            index = self._rng.choice(held)
            self._held.discard(index)
            self._steps.append(("release_event", index))

    def _release_buffer(self) -> None:
        if len(self._usable) > 1:
            buffer = self._rng.choice(sorted(self._usable))
            self._usable.discard(buffer)
            self._steps.append(("release_buffer", buffer))

    def _ask_report(self) -> None:
        launches = [
            c for c in self._commands
            if c.kind == "launch" and not any(c.before >> u & 1 for u in self._unset)
        ]
        if launches:
            self._steps.append(("report", self._rng.choice(launches).index))


def _extent(argument: tuple[str, int, int, int]) -> Region:
    return argument[1], argument[2], argument[2] + argument[3]


def _conflicts(other: Command, reads: list[Region], writes: list[Region]) -> bool:
    mine = [*reads, *writes]
    return any(_meet(w, r) for w in writes for r in (*other.reads, *other.writes)) or any(
        _meet(w, r) for w in other.writes for r in mine
    )


def _meet(a: Region, b: Region) -> bool:
    return a[0] == b[0] and a[1] < b[2] and b[1] < a[2]
