"""Where values lie: variables, what is known of them, and the memory that a kernel touches.

Owns: spots, reading and writing them, and the list of what is touched. Must not know: what
expressions amount to (`expressions`), or what becomes of the list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from master.access import tree
from master.access.arithmetic import Arithmetic
from master.access.forms import ZERO, Form, Range, one, plus
from master.access.symbols import Kind, Symbols
from master.access.values import (
    CONSTANT,
    DATA,
    LOCAL,
    PRIVATE,
    Address,
    Cells,
    Data,
    Lanes,
    Number,
    Value,
)


def reach_max(address_bits: int) -> int:
    """Bytes from the start of a buffer past which an address is taken for any: it may wrap."""
    return 1 << address_bits - 2


class Lost(Exception):
    """A kernel that isn't understood. line: the user's; reason: a sentence without an end."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Touch:
    """Bytes of an argument's buffer that are read or written.

    form: of the first of `size` bytes, None for any. ranges: of symbols, where they are narrower
    than by themselves; a work-item for which one can't be doesn't get here. atomic: the operation,
    if it is one ("umin" and "umax" of unsigned integers), and used whether its result is; or that
    these are pixels of an image (`builtins.IMAGE`).
    """

    argument: int
    writes: bool
    form: Form | None
    size: int
    ranges: tuple[tuple[int, Range], ...]
    line: int
    atomic: str | None = None
    used: bool = False


class Spot(NamedTuple):
    """Where a value lies: in a variable, so many bytes (None: anywhere) into it, or in memory.

    type: of all that lies there. lanes: of that vector, those that are meant; if `one_of_lanes`
    it is one of these, it isn't known which. held: of what lies nowhere, such as what a function
    answered, all of the value.
    """

    type: tree.Type
    variable: int = -1
    offset: int | None = 0
    address: Address | None = None
    lanes: tuple[int, ...] | None = None
    one_of_lanes: bool = False
    held: Value | None = None


class Memory(Arithmetic):
    """Finds spots, and notes what is touched there while it records."""

    def __init__(self, program: tree.Program, symbols: Symbols) -> None:
        super().__init__(program, symbols)
        self.recording = True
        self.touches: dict[Touch, None] = {}

    def value(self, e: tree.Expression) -> Value:
        """What an expression amounts to."""
        raise NotImplementedError

    def number(self, e: tree.Expression) -> Number:
        """An expression whose value is an integer."""
        value = self.value(e)
        if isinstance(value, Number):
            return value
        assert isinstance(e.type, tree.Scalar), e
        found = self.knowledge.unknown(e.type)
        assert isinstance(found, Number), e
        return found

    def address_of(self, spot: Spot) -> Value:
        """The address of a spot: of a variable, that it lies in a work-item's own memory."""
        if spot.address is not None:
            return spot.address
        return Address(frozenset((PRIVATE,)), one(self.symbols.new()))

    # ---- spots

    def spot(self, e: tree.Expression) -> Spot:
        """Where the value of an expression lies, that can be assigned to or has an address."""
        if self.state is None:
            return Spot(e.type, offset=None)
        if isinstance(e, tree.Variable):
            return self._variable(e)
        if isinstance(e, tree.Subscript):
            return self._element(e)
        if isinstance(e, tree.Dereference):
            return Spot(e.type, address=self.pointer(e.pointer))
        if isinstance(e, tree.Member):
            if e.through_pointer:
                return Spot(e.type, address=_shifted(self.pointer(e.base), e.offset))
            base = self.spot(e.base)
            if base.address is not None:
                return Spot(e.type, address=_shifted(base.address, e.offset))
            offset = None if base.offset is None else base.offset + e.offset
            return base._replace(type=e.type, offset=offset)
        if isinstance(e, tree.Lanes):
            if isinstance(e.base.type, tree.Pointer):
                return Spot(e.base.type.to, address=self.pointer(e.base), lanes=e.lanes)
            base = self.spot(e.base)
            if base.lanes is None:
                return base._replace(lanes=e.lanes)
            if max(e.lanes) >= len(base.lanes):
                raise Lost(e.line, "a lane is named that there isn't")
            return base._replace(lanes=tuple(base.lanes[n] for n in e.lanes))
        return Spot(e.type, variable=_NOWHERE, held=self.value(e))

    def _variable(self, e: tree.Variable) -> Spot:
        declared = self.program.variables[e.number]
        if declared.space is tree.Space.LOCAL:
            return Spot(e.type, address=Address(frozenset((LOCAL,)), ZERO))
        if declared.space in (tree.Space.CONSTANT, tree.Space.GLOBAL):
            if declared.space is tree.Space.GLOBAL:
                raise Lost(e.line, f"the program has a variable {declared.name!r} in global memory")
            if self.now().values.get(e.number) is not None:
                return Spot(e.type, variable=e.number)
            return Spot(e.type, address=Address(frozenset((CONSTANT,)), ZERO))
        if declared.address_taken:
            return Spot(e.type, address=Address(frozenset((PRIVATE,)), ZERO))
        return Spot(e.type, variable=e.number)

    def _element(self, e: tree.Subscript) -> Spot:
        base = e.base
        if isinstance(base, tree.Cast) and isinstance(base.value.type, tree.Array):
            base = base.value  # an array that becomes a pointer, to be indexed at once
        if isinstance(base.type, tree.Array):
            spot = self.spot(base)
            at_index = self.number(e.index)
            if self.state is None:
                return Spot(e.type, offset=None)
            if spot.address is not None:
                pointer = tree.Pointer(e.type, tree.Space.PRIVATE, False, False, 8)
                moved = self.moved(spot.address, pointer, at_index, 1)
                assert isinstance(moved, Address)
                return Spot(e.type, address=moved)
            at = self.exact(at_index)
            if at.terms or spot.offset is None:
                return spot._replace(type=e.type, offset=None)
            return spot._replace(type=e.type, offset=spot.offset + at.constant * e.type.size)
        if isinstance(base.type, tree.Vector):
            spot = self.spot(base)
            at_index = self.number(e.index)
            if self.state is None:
                return Spot(e.type, offset=None)
            at = self.exact(at_index)
            lanes = tuple(range(base.type.count)) if spot.lanes is None else spot.lanes
            if at.terms or not 0 <= at.constant < len(lanes):
                return spot._replace(lanes=lanes, one_of_lanes=True)
            return spot._replace(lanes=(lanes[at.constant],))
        assert isinstance(base.type, tree.Pointer)
        address = self.pointer(base)
        index = self.value(e.index)
        if self.state is None:
            return Spot(e.type, offset=None)
        moved = self.moved(address, base.type, index, 1)
        assert isinstance(moved, Address)
        return Spot(e.type, address=moved)

    def pointer(self, e: tree.Expression) -> Address:
        """An expression that is a pointer, which is about to be followed."""
        value = self.value(e)
        if isinstance(value, Address) or self.state is None:
            return value if isinstance(value, Address) else Address(frozenset(), ZERO)
        assert isinstance(e.type, tree.Pointer), e
        # In constant memory may lie an argument, too.
        place = {tree.Space.LOCAL: LOCAL, tree.Space.PRIVATE: PRIVATE}.get(e.type.space)
        if place is None:
            raise Lost(e.line, "a pointer comes from memory, or from where it can't be followed")
        return Address(frozenset((place,)), one(self.symbols.new()))

    # ---- reading and writing

    def load(self, spot: Spot, line: int) -> Value:
        """The value that lies there."""
        if self.state is None:
            return DATA
        if spot.address is not None:
            for offset, size in _pieces(spot):
                self.touch(_shifted(spot.address, offset), size, False, line)
            return self.knowledge.unknown(_result(spot))
        value = spot.held
        if value is None:
            value = self.state.values.get(spot.variable)
        if isinstance(value, Cells):
            if spot.lanes is not None:
                return self.knowledge.unknown(_result(spot))
            return self._cell(value, spot)
        if spot.offset != 0 or value is None:
            return self.knowledge.unknown(_result(spot))
        if spot.lanes is not None:
            return self._lanes_of(value, spot)
        return self.knowledge.unknown(spot.type) if isinstance(value, Data) else value

    def _cell(self, cells: Cells, spot: Spot) -> Value:
        if isinstance(spot.type, (tree.Struct, tree.Array)):
            if spot.offset is None:
                return Cells()
            end = spot.offset + spot.type.size
            inside = [
                (at - spot.offset, v) for at, v in cells.cells if spot.offset <= at < end
            ]
            return Cells(tuple(inside))
        for at, value in cells.cells:
            if at == spot.offset and _fits(value, spot.type):
                return value
        return self.knowledge.unknown(spot.type)

    def _lanes_of(self, value: Value, spot: Spot) -> Value:
        assert spot.lanes is not None
        if spot.one_of_lanes or not isinstance(value, Lanes) or max(spot.lanes) >= len(value.lanes):
            return self.knowledge.unknown(_result(spot))
        if len(spot.lanes) == 1:
            return value.lanes[spot.lanes[0]]
        return Lanes(tuple(value.lanes[n] for n in spot.lanes))

    def store(self, spot: Spot, value: Value, line: int) -> None:
        """Put a value there."""
        if self.state is None:
            return
        if spot.address is not None:
            if isinstance(value, Address) and max(spot.address.places, default=-1) >= 0:
                raise Lost(line, "a pointer is kept in a buffer")
            # All of a vector, whichever its lanes: compilers write back those beside them.
            self.touch(spot.address, spot.type.size, True, line)
            return
        before = self.state.values.get(spot.variable)
        declared = (
            self.program.variables[spot.variable].type if spot.variable >= 0 else spot.type
        )
        if isinstance(declared, (tree.Struct, tree.Array)):
            self.state.values[spot.variable] = self._with_cell(before, spot, value)
        elif spot.lanes is not None:
            self.state.values[spot.variable] = self._with_lanes(before, spot, value)
        elif spot.offset != 0:
            self.state.values[spot.variable] = DATA  # a part of a union, or of a vector
        else:
            self.state.values[spot.variable] = value

    def _with_cell(self, before: Value | None, spot: Spot, value: Value) -> Value:
        cells = before.cells if isinstance(before, Cells) else ()
        if spot.offset is None or spot.lanes is not None:
            return Cells()
        end = spot.offset + spot.type.size
        # A cell has no size of its own here: what begins before may reach in.
        kept = [(at, v) for at, v in cells if at >= end or at + _reach(v) <= spot.offset]
        if isinstance(value, Cells):
            kept += [(at + spot.offset, v) for at, v in value.cells]
        elif not isinstance(value, Data):
            kept.append((spot.offset, value))
        return Cells(tuple(sorted(kept, key=lambda c: c[0])))

    def _with_lanes(self, before: Value | None, spot: Spot, value: Value) -> Value:
        assert spot.lanes is not None
        if spot.one_of_lanes:
            return DATA
        if not isinstance(before, Lanes):
            unknown = self.knowledge.unknown(spot.type)
            if not isinstance(unknown, Lanes):
                return DATA
            before = unknown
        lanes = list(before.lanes)
        if isinstance(value, Number):
            given: tuple[Number, ...] = (value,)
        elif isinstance(value, Lanes):
            given = value.lanes
        else:
            return DATA
        if len(given) != len(spot.lanes):
            return DATA
        for lane, number in zip(spot.lanes, given, strict=True):
            if lane < len(lanes):
                lanes[lane] = number
        return Lanes(tuple(lanes))

    # ---- what is touched

    def touch(
        self,
        address: Address,
        size: int,
        writes: bool,
        line: int,
        atomic: str | None = None,
        used: bool = False,
    ) -> None:
        """Note that these bytes are read or written here."""
        if self.state is None or not self.recording:
            return
        state = self.state
        whole = self.knowledge.apart(state, self.symbols.folded(address.form))
        form: Form | None = self.knowledge.summed(state, whole)
        assert form is not None
        low, high = self.range_of(form)
        reach = reach_max(self.program.address_bits)
        if low < -reach or high > reach:
            form = None
        ids = [n for n, d in enumerate(self.symbols.definitions[:3]) if d.kind is Kind.ITEM]
        # A sum is at most what its symbols make it, too.
        named = {n for n, _ in (*form.terms, *whole.terms)} if form is not None else set()
        ranges = tuple((n, state.ranges[n]) for n in sorted({*ids, *named}) if n in state.ranges)
        for place in address.places:
            if place >= 0:
                touch = Touch(place, writes, form, size, ranges, line, atomic, used)
                self.touches.setdefault(touch)


_NOWHERE = -2
"""In place of a variable's number."""


def _shifted(address: Address, offset: int) -> Address:
    return address._replace(form=plus(address.form, Form(offset)))


def _result(spot: Spot) -> tree.Type:
    """The type of what lies there, or of its lanes."""
    if spot.lanes is None:
        return spot.type
    assert isinstance(spot.type, tree.Vector)
    element = spot.type.element
    single = len(spot.lanes) == 1 or spot.one_of_lanes
    return element if single else tree.Vector(element, len(spot.lanes))


def _pieces(spot: Spot) -> list[tuple[int, int]]:
    """(offset, size) in bytes of what of memory a spot is."""
    if spot.lanes is None:
        return [(0, spot.type.size)]
    assert isinstance(spot.type, tree.Vector)
    size = spot.type.element.size
    return [(lane * size, size) for lane in sorted(set(spot.lanes))]


def _fits(value: Value, type_: tree.Type) -> bool:
    if isinstance(value, Number):
        return value.type == type_
    return isinstance(value, Address) and isinstance(type_, tree.Pointer)


def _reach(value: Value) -> int:
    """How many bytes of a struct a value takes at most."""
    if isinstance(value, Number):
        return value.type.size
    return 8 if isinstance(value, Address) else 1 << 30
