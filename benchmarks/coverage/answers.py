"""The answer that a plausible launch of each kernel of a program gets, as the planner finds it.

Owns: plausible launches, and the way from a program to answers. Must not know: packages.

The way is that of `master.plan.launches`, without a cluster: the guard, the rewrite, the footprint
and the division over two devices.
"""

from __future__ import annotations

import signal
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from master.access import tree
from master.access.analyser.analysis import Analyser
from master.access.analyser.text import Unreadable
from master.access.builtins import IMAGE
from master.access.extents import extents
from master.access.kernels import BUFFER, OTHER, Footprint
from master.access.loops import inside
from master.access.standing import Standing
from master.judging import analysis_time_s_max, guard_time_s_max
from master.places import KIND, Place
from master.plan.apart import Shared, shared_of
from master.plan.looked import Looked
from master.plan.regions import Division, divide
from master.plan.residency import Buffer
from master.plan.uses import Use
from vcl.ndrange import NDRange, split
from vcl.wire.messages import session

DEVICE = dict(
    zip(
        KIND,
        ("64", "1", "cl_khr_fp64 cl_khr_byte_addressable_store cl_khr_int64_base_atomics",
         "OpenCL C 1.2", "OpenCL 3.0"),
        strict=True,
    )
)  # fmt: skip
PLACES = tuple(Place(d, d, "", "", 1024, (1024, 1024, 1024)) for d in (1, 2))
SIDE, OTHER_SIDE = 64, 128
"""Work-items in each dimension, and of the same kernel's next geometry."""

LOCAL = 8
NUMBER = 64
"""What integers are, so that they may be the sides of what is computed."""

BUFFER_BYTES = 1 << 30

ASKS_DIMENSION = frozenset((
    "get_global_id", "get_global_size", "get_local_id", "get_local_size", "get_group_id",
    "get_num_groups",
))  # fmt: skip


class Answer(NamedTuple):
    """mode: regions, hulls (a merge that needn't look past what parts may write), reduce, images (a
    merge of images that are written), merge or whole. reason: why it isn't regions. first_ms:
    reading and analysing it; again_ms: another geometry of the same program; both with the
    division."""

    kernel: str
    mode: str
    reason: str
    first_ms: float
    again_ms: float


class PastLimit(Exception):
    """The analysis took longer than the master would wait."""


class Unread(Exception):
    """A program that the analysis can't read; its text is why."""


class Launch(NamedTuple):
    """arguments: as the client says them; values: as the analysis takes them."""

    arguments: list[Any]
    values: list[bytes | str]
    uses: list[Use]
    ndrange: NDRange


class Subject:
    """A program that was read. parse_ms: what that took."""

    def __init__(self, unit: list[Any]) -> None:
        """Raises Unread."""
        self._units = [unit]
        self._analyser = Analyser()
        began = time.perf_counter()
        parsed = self._analyser.parsed(self._units, DEVICE)
        self.parse_ms = (time.perf_counter() - began) * 1000
        if isinstance(parsed, str):
            raise Unread(parsed)
        self._parsed = parsed

    def answers(self) -> Iterator[Answer]:
        """Of each of its kernels."""
        kernels = self._parsed.kernels
        try:
            with _limit(guard_time_s_max):
                standing = Standing(self._analyser, self._units[0], DEVICE)
        except PastLimit as limit:
            for name in kernels:
                yield Answer(name, "whole", str(limit), 0.0, 0.0)
            return
        for name in kernels:
            yield self._answer(name, standing)

    def _answer(self, name: str, standing: Standing) -> Answer:
        began = time.perf_counter()
        try:
            with _limit(analysis_time_s_max):
                program = self._parsed.program(name)
        except (Unreadable, PastLimit) as why:
            first_ms = self.parse_ms + (time.perf_counter() - began) * 1000
            whole = standing.why_whole(name) or standing.why_apart(name)
            mode, reason = ("merge", str(why)) if whole is None else ("whole", whole)
            return Answer(name, mode, reason, first_ms, 0.0)
        read_s = time.perf_counter() - began
        launch, other = (
            plausible(program, program.functions[name], side, standing.keeps_const)
            for side in (SIDE, OTHER_SIDE)
        )
        whole = standing.why_whole(name)
        why_apart = standing.why_apart(name) if whole is None else None
        began = time.perf_counter() - read_s
        try:
            with _limit(analysis_time_s_max):
                found = self._analyse(name, launch)
                mode, reason = _divided(found, launch, why_apart)
            first = time.perf_counter()
            with _limit(analysis_time_s_max):
                _divided(self._analyse(name, other), other, why_apart)
        except PastLimit as limit:
            mode, reason, first = "merge", str(limit), time.perf_counter()
        first_ms = self.parse_ms + (first - began) * 1000
        again_ms = (time.perf_counter() - first) * 1000
        if whole is not None:
            mode, reason = "whole", whole
        return Answer(name, mode, reason, first_ms, again_ms)

    def _analyse(self, name: str, launch: Launch) -> Footprint | str:
        n = launch.ndrange
        assert n.local_size is not None
        shape = [n.global_offset, n.global_size, n.local_size]
        return self._analyser.analyse(self._units, DEVICE, name, launch.values, shape)


def _divided(
    found: Footprint | str, launch: Launch, why_apart: str | None
) -> tuple[str, str]:
    """(mode, reason) of a launch that may be split. why_apart: as `Standing` says it."""
    if isinstance(found, str):
        return ("merge", found) if why_apart is None else ("whole", found)
    message = session.Launch(0, 0, [], 0, "", [], [], None, launch.arguments)
    shared = Shared() if why_apart is None else shared_of(found, message)
    uses, looked = shared.uses(launch.uses), Looked(in_turns=False)
    division = divide(found, message, launch.ndrange, uses, PLACES, looked)
    if isinstance(division, Division):
        return "regions", ""
    if isinstance(division, str):
        return ("merge", division) if why_apart is None else ("whole", division)
    if why_apart is not None:
        if (why := shared.why_not(division)) is not None:
            return "whole", f"{why_apart} ({why})"
        if all(map(shared.is_reduction, division.meeting)):
            return "reduce", division.why
    if any(touch.writes and touch.atomic == IMAGE for touch in found.touches):
        return "images", division.why
    return ("hulls" if _bounded(found, launch) else "merge"), division.why


def _bounded(found: Footprint, launch: Launch) -> bool:
    """Whether what each part may write is known, and less than the whole of any region."""
    given = enumerate(launch.arguments)
    sizes = {i: BUFFER_BYTES for i, a in given if session.argument_region(a) is not None}
    for piece in split(launch.ndrange, len(PLACES)):
        for extent in extents(found, launch.ndrange, piece, sizes).values():
            if extent.writes is None or extent.writes == [(0, BUFFER_BYTES)]:
                return False
    return True


@contextmanager
def _limit(seconds: float) -> Iterator[None]:
    """As the master's processes have it: processor time past which nobody waits."""

    def stop(*_: object) -> None:
        raise PastLimit(f"reading the program took longer than {seconds:g} s")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


# ---- plausible launches


def plausible(
    program: tree.Program, function: tree.Function, side: int, keeps_const: bool
) -> Launch:
    """A launch as a program might ask for it."""
    arguments: list[Any] = []
    values: list[bytes | str] = []
    uses = []
    for index, number in enumerate(function.parameters):
        type_ = program.variables[number].type
        if isinstance(type_, tree.Pointer) and type_.space is not tree.Space.LOCAL:
            may_write = type_.space is not tree.Space.CONSTANT and not (type_.const and keeps_const)
            uses.append(Use(Buffer(index + 1, 1, BUFFER_BYTES), 0, BUFFER_BYTES, may_write, 1))
            arguments.append([session.ARGUMENT_BUFFER, index + 1, 0, BUFFER_BYTES])
            values.append(BUFFER)
        elif isinstance(type_, (tree.Pointer, tree.Opaque)):
            image = isinstance(type_, tree.Opaque) and type_.name.startswith("image")
            arguments.append(None)
            values.append(OTHER)
            if image:
                buffer = Buffer(index + 1, 1, BUFFER_BYTES)
                uses.append(Use(buffer, 0, BUFFER_BYTES, type_.access == "write_only", 1))
                arguments[-1] = [session.ARGUMENT_IMAGE, index + 1, 0, BUFFER_BYTES]
        else:
            data = _bytes(type_)
            arguments.append(data)
            floating = isinstance(type_, tree.Scalar) and type_.floating
            values.append(OTHER if floating else data)
    dimensions = _dimensions(program, function)
    local = _local_size(function, dimensions)
    sizes = tuple(-(-side // one) * one for one in local)
    ndrange = NDRange((0,) * dimensions, sizes, local)
    return Launch(arguments, values, uses, ndrange)


def _bytes(type_: tree.Type) -> bytes:
    if isinstance(type_, tree.Scalar):
        if type_.floating:
            return struct.pack({2: "<e", 4: "<f", 8: "<d"}[type_.size], 1.0)
        return min(NUMBER, 2 ** (type_.bits - type_.signed) - 1).to_bytes(type_.size, "little")
    if isinstance(type_, tree.Vector):
        return (_bytes(type_.element) * type_.count).ljust(type_.size, b"\0")
    if isinstance(type_, tree.Array):
        return _bytes(type_.element) * type_.count
    assert isinstance(type_, tree.Struct), type_
    data = bytearray(type_.size)
    for field in type_.fields:
        data[field.offset : field.offset + field.type.size] = _bytes(field.type)
    return bytes(data)


def _local_size(function: tree.Function, dimensions: int) -> tuple[int, ...]:
    for attribute in function.attributes:
        numbers = [a for a in attribute.arguments if a.isdigit()]
        if attribute.name == "reqd_work_group_size" and len(numbers) == 3:
            return tuple(map(int, numbers))[:dimensions]
    return (LOCAL,) * dimensions


def _dimensions(program: tree.Program, function: tree.Function) -> int:
    """As many as it, and what it calls, asks after."""
    most, seen, waiting = 0, set(), [function.name]
    while waiting:
        name = waiting.pop()
        if name in seen or name not in program.functions:
            continue
        seen.add(name)
        nodes: list[object] = [program.functions[name].body]
        while nodes:
            node = nodes.pop()
            nodes.extend(inside(node))
            if isinstance(node, tree.Call):
                waiting.append(node.function)
                if node.function in ASKS_DIMENSION:
                    most = max(most, _constant(node.arguments))
    return min(most, 2) + 1


def _constant(arguments: Sequence[tree.Expression]) -> int:
    e = arguments[0]
    while isinstance(e, tree.Cast):
        e = e.value
    return e.value if isinstance(e, tree.Literal) and isinstance(e.value, int) else 0
