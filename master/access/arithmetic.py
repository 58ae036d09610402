"""What operators make of integers, vectors of them and addresses.

Owns: arithmetic as OpenCL C has it, on values of which little is known, and their conversions. Must
not know: expressions (`expressions`), or memory.
"""

from __future__ import annotations

from collections.abc import Callable

from master.access import tree
from master.access.forms import Form, Range, minus, one, plus, times, within
from master.access.symbols import Kind, Symbols
from master.access.values import (
    DATA,
    Address,
    Knowledge,
    Lanes,
    Number,
    State,
    Value,
    type_range,
)


class Arithmetic:
    """Works in a current state, which is None where nobody can be."""

    def __init__(self, program: tree.Program, symbols: Symbols) -> None:
        self.program = program
        self.symbols = symbols
        self.knowledge = Knowledge(symbols)
        self.state: State | None = State()

    def now(self) -> State:
        """The state, where it is known that somebody can be."""
        assert self.state is not None
        return self.state

    def exact(self, number: Number) -> Form:
        """What a number is."""
        return self.knowledge.exact(self.now(), number)

    def range_of(self, form: Form) -> Range:
        """What a form can be here."""
        return self.knowledge.range_of(self.now(), form)

    def fresh(self, type_: tree.Type, range_: Range) -> Value:
        """A new integer of a scalar type in a range."""
        assert isinstance(type_, tree.Scalar)
        return Number(one(self.symbols.new(range_)), type_)

    def lanewise(
        self, type_: tree.Type, function: Callable[..., Value], *values: Value
    ) -> Value:
        """A function of integers, lane by lane for vectors."""
        if self.state is None:
            return DATA
        if isinstance(type_, tree.Vector):
            if not all(isinstance(v, Lanes) and len(v.lanes) == type_.count for v in values):
                return self.knowledge.unknown(type_)
            rows = zip(*(v.lanes for v in values if isinstance(v, Lanes)), strict=True)
            lanes = [function(*row) for row in rows]
            if all(isinstance(lane, Number) for lane in lanes):
                return Lanes(tuple(lane for lane in lanes if isinstance(lane, Number)))
            return self.knowledge.unknown(type_)
        if all(isinstance(v, Number) for v in values):
            return function(*values)
        return self.knowledge.unknown(type_)

    def combined(
        self,
        operator: str,
        type_: tree.Type,
        left: Value,
        right: Value,
        left_type: tree.Type,
        right_type: tree.Type,
    ) -> Value:
        """What an operator makes of two values, in the common type."""
        if self.state is None:
            return DATA
        if isinstance(left_type, tree.Pointer) and isinstance(right_type, tree.Pointer):
            return self._distance(type_, left, right, left_type)
        if isinstance(left_type, tree.Pointer):
            sign = -1 if operator == "-" else 1
            return self.moved(left, left_type, right, sign)
        if isinstance(right_type, tree.Pointer):
            return self.moved(right, right_type, left, 1)
        function = _OPERATORS[operator]
        return self.lanewise(type_, lambda a, b: function(self, a, b), left, right)

    def moved(
        self, pointer: Value, pointer_type: tree.Pointer, index: Value, sign: int
    ) -> Value:
        """A pointer so many elements further on."""
        if not isinstance(pointer, Address):
            return DATA
        if not isinstance(index, Number):
            return pointer._replace(form=one(self.symbols.new()))
        # An index as wide as an address wraps as that does.
        wide = index.type.bits >= self.program.address_bits
        form = index.form if wide else self.exact(index)
        step = times(form, sign * pointer_type.to.size)
        return pointer._replace(form=self.symbols.folded(plus(pointer.form, step)))

    def _distance(
        self, type_: tree.Type, left: Value, right: Value, pointer_type: tree.Pointer
    ) -> Value:
        if isinstance(left, Address) and isinstance(right, Address):
            places = left.places | right.places
            if len(places) == 1 and isinstance(type_, tree.Scalar):
                form = self.symbols.folded(minus(left.form, right.form))
                limit = 1 << self.program.address_bits - 2
                if not within(self.range_of(form), (-limit, limit)):
                    return self.knowledge.unknown(type_)  # it may have wrapped around
                state = self.now()
                ranges = lambda n: self.knowledge.ranges(state, n)  # noqa: E731
                quotient, _ = self.symbols.divided(form, pointer_type.to.size, ranges)
                return Number(quotient, type_)
        return self.knowledge.unknown(type_)

    # ---- integers

    def _sum(self, a: Number, b: Number) -> Value:
        return Number(self.symbols.folded(plus(a.form, b.form)), a.type)

    def _difference(self, a: Number, b: Number) -> Value:
        return Number(self.symbols.folded(minus(a.form, b.form)), a.type)

    def _product(self, a: Number, b: Number) -> Value:
        if not b.form.terms:
            return Number(times(a.form, b.form.constant), a.type)
        if not a.form.terms:
            return Number(times(b.form, a.form.constant), a.type)
        factors = tuple(sorted((self.exact(a), self.exact(b))))
        if not factors[0].terms:
            return Number(times(factors[1], factors[0].constant), a.type)
        return Number(one(self.symbols.function(Kind.PRODUCT, factors)), a.type)

    def _ratio(self, a: Number, b: Number) -> Value:
        divided, divisor = self.exact(a), self.exact(b)
        low, high = self.range_of(divided)
        least, greatest = self.range_of(divisor)
        if least == greatest > 0 and low >= 0:
            return Number(self._divided(divided, least)[0], a.type)
        if least > 0:
            # Towards zero.
            quotients = [_toward_zero(n, d) for n in (low, high) for d in (least, greatest)]
            return self.fresh(a.type, (min(quotients), max(quotients)))
        return self.knowledge.unknown(a.type)

    def _rest(self, a: Number, b: Number) -> Value:
        divided, divisor = self.exact(a), self.exact(b)
        low, high = self.range_of(divided)
        least, greatest = self.range_of(divisor)
        if least == greatest > 0 and low >= 0:
            return Number(self._divided(divided, least)[1], a.type)
        if least <= 0:
            return self.knowledge.unknown(a.type)  # by zero it is unspecified
        most = greatest - 1
        return self.fresh(a.type, (max(-most, min(low, 0)), min(most, max(high, 0))))

    def _divided(self, form: Form, divisor: int) -> tuple[Form, Form]:
        state = self.now()
        return self.symbols.divided(
            self.symbols.folded(form), divisor, lambda n: self.knowledge.ranges(state, n)
        )

    def _left(self, a: Number, b: Number) -> Value:
        amount = self.exact(b)
        if not amount.terms:
            # OpenCL C 6.3.j: by the amount modulo the bits of the left side.
            return Number(times(a.form, 1 << amount.constant % a.type.bits), a.type)
        least, greatest = self.range_of(amount)
        low, high = self.range_of(self.exact(a))
        if least >= 0 and low >= 0 and greatest < a.type.bits:
            shifted = (low << least, high << greatest)
            if within(shifted, type_range(a.type)):
                return self.fresh(a.type, shifted)
        return self.knowledge.unknown(a.type)

    def _right(self, a: Number, b: Number) -> Value:
        amount, form = self.exact(b), self.exact(a)
        if not amount.terms:
            return Number(self._divided(form, 1 << amount.constant % a.type.bits)[0], a.type)
        low, high = self.range_of(form)
        return self.fresh(a.type, (min(low, 0), max(high, 0)))

    def _and(self, a: Number, b: Number) -> Value:
        for number, other in ((a, b), (b, a)):
            if not other.form.terms:
                span = 1 << a.type.bits
                mask = other.form.constant % span
                if mask & (mask + 1) == 0 and mask:
                    # The low bits are the same whether it has wrapped around or not.
                    return Number(self._divided(number.form, mask + 1)[1], a.type)
                if (gap := span - mask) & (gap - 1) == 0 and mask:
                    form = self.exact(number)
                    low_bits = self._divided(form, gap)[1]
                    return Number(self.symbols.folded(minus(form, low_bits)), a.type)
        ranges = [self.range_of(self.exact(n)) for n in (a, b)]
        highs = [high for low, high in ranges if low >= 0]
        if not highs:
            return self.knowledge.unknown(a.type)
        return self.fresh(a.type, (0, min(highs)))

    def _or(self, a: Number, b: Number) -> Value:
        first, second = self.exact(a), self.exact(b)
        for high, low in ((first, second), (second, first)):
            least, greatest = self.range_of(low)
            if least >= 0:
                unit = 1 << greatest.bit_length()
                if not any(n % unit for n in (high.constant, *(c for _, c in high.terms))):
                    return Number(plus(high, low), a.type)  # no bit is in both
        return self._bits(a, first, second)

    def _exclusive(self, a: Number, b: Number) -> Value:
        first, second = self.exact(a), self.exact(b)
        if not first.terms:
            first, second = second, first
        if not second.terms and second.constant >= 0 and self.range_of(first)[0] >= 0:
            bound = (1 << a.type.bits - a.type.signed) - 1
            symbol = self.symbols.function(
                Kind.EXCLUSIVE, (first,), second.constant, (0, bound)
            )
            return Number(one(symbol), a.type)
        return self._bits(a, first, second)

    def _bits(self, a: Number, first: Form, second: Form) -> Value:
        ranges = [self.range_of(first), self.range_of(second)]
        if min(low for low, _ in ranges) < 0:
            return self.knowledge.unknown(a.type)
        most = max(high for _, high in ranges)
        return self.fresh(a.type, (0, (1 << most.bit_length()) - 1))

    # ---- conversions

    def converted(self, value: Value, source: tree.Type, target: tree.Type) -> Value:
        """A value in another type."""
        if self.state is None:
            return DATA
        if isinstance(target, tree.Pointer):
            if isinstance(value, Number):
                return Address(frozenset(), value.form)  # a null pointer
            return value
        if isinstance(target, tree.Scalar) and not target.floating:
            return self._integer(value, target)
        if isinstance(target, tree.Vector) and not target.element.floating:
            if isinstance(value, Number):
                lane = self._integer(value, target.element)
                return Lanes((lane,) * target.count)
            if isinstance(value, Lanes) and len(value.lanes) == target.count:
                return Lanes(tuple(self._integer(v, target.element) for v in value.lanes))
            return self.knowledge.unknown(target)
        if isinstance(target, tree.Struct):
            return value
        return DATA

    def _integer(self, value: Value, target: tree.Scalar) -> Number:
        if isinstance(value, Number):
            if value.type == target:
                return value
            if target.bits == 1:
                low, high = self.range_of(self.exact(value))
                if (low, high) == (0, 0) or low > 0 or high < 0:
                    return Number(Form(int((low, high) != (0, 0))), target)
            elif target.bits > value.type.bits:
                return Number(self.exact(value), target)
            else:
                return Number(value.form, target)
        found = self.knowledge.unknown(target)
        assert isinstance(found, Number)
        return found

    # ---- compound assignments

    def _compound(self, e: tree.Assign, old: Value, value: Value) -> Value:
        common = _common(e.operator, e.target.type, e.value.type)
        if common is None:
            return self.knowledge.unknown(e.target.type)
        left = self.converted(old, e.target.type, common)
        if e.operator in ("<<", ">>"):
            right = value
            if isinstance(common, tree.Vector) and isinstance(value, Number):
                right = Lanes((value,) * common.count)
        else:
            right = self.converted(value, e.value.type, common)
        result = self.combined(e.operator, common, left, right, common, common)
        return self.converted(result, common, e.target.type)


_OPERATORS: dict[str, Callable[[Arithmetic, Number, Number], Value]] = {
    "+": Arithmetic._sum,
    "-": Arithmetic._difference,
    "*": Arithmetic._product,
    "/": Arithmetic._ratio,
    "%": Arithmetic._rest,
    "<<": Arithmetic._left,
    ">>": Arithmetic._right,
    "&": Arithmetic._and,
    "|": Arithmetic._or,
    "^": Arithmetic._exclusive,
}


def _toward_zero(number: int, divisor: int) -> int:
    return number // divisor if number >= 0 else -(-number // divisor)


def _common(operator: str, target: tree.Type, value: tree.Type) -> tree.Type | None:
    """The type in which a compound assignment is worked out; None if it isn't of integers."""
    if isinstance(target, tree.Vector):
        return None if target.element.floating else target
    if not isinstance(target, tree.Scalar) or target.floating:
        return None
    promoted = _promoted(target)
    if operator in ("<<", ">>"):
        return promoted
    if not isinstance(value, tree.Scalar) or value.floating:
        return None
    other = _promoted(value)
    if promoted.bits != other.bits:
        return promoted if promoted.bits > other.bits else other
    return promoted if not promoted.signed else other


def _promoted(type_: tree.Scalar) -> tree.Scalar:
    return tree.Scalar(32, True) if type_.bits < 32 else type_
