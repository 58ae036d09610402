"""What OpenCL C's own functions answer, and which bytes they touch (OpenCL C 3.0, 6.15).

Owns: a case for each function that is known. Must not know: statements. A function that has no
case here is Lost where it is called.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from master.access import tree
from master.access.expressions import Expressions
from master.access.forms import Form, Range, hull, minus, one, plus, times, within
from master.access.memory import Lost
from master.access.symbols import Kind
from master.access.values import DATA, Address, Lanes, Number, Value, type_range
from vcl.ndrange import NDRange

_VALUES_ONLY = frozenset(
    """
    acos acosh acospi asin asinh asinpi atan atan2 atanh atanpi atan2pi cbrt ceil copysign cos cosh
    cospi erfc erf exp exp2 exp10 expm1 fabs fdim floor fma fmax fmin fmod hypot ilogb ldexp lgamma
    log log2 log10 log1p logb mad maxmag minmag nan nextafter pow pown powr remainder rint rootn
    round rsqrt sin sinh sinpi sqrt tan tanh tanpi tgamma trunc half_cos half_divide half_exp
    half_exp2 half_exp10 half_log half_log2 half_log10 half_powr half_recip half_rsqrt half_sin
    half_sqrt half_tan native_cos native_divide native_exp native_exp2 native_exp10 native_log
    native_log2 native_log10 native_powr native_recip native_rsqrt native_sin native_sqrt native_tan
    degrees mix radians step smoothstep sign cross dot distance length normalize fast_distance
    fast_length fast_normalize add_sat sub_sat hadd rhadd mad_hi mad_sat mul_hi rotate upsample
    isequal isnotequal isgreater isgreaterequal isless islessequal islessgreater isfinite isinf
    isnan isnormal isordered isunordered signbit any all bitselect select shuffle shuffle2
    get_image_width get_image_height get_image_depth get_image_channel_data_type
    get_image_channel_order get_image_dim get_image_array_size
    """.split()
)
"""Functions of values alone, of whose results nothing is said here."""

_BOUNDED = {
    "clz": lambda bits: (0, bits),
    "ctz": lambda bits: (0, bits),
    "popcount": lambda bits: (0, bits),
}

_NOTHING = frozenset(
    """
    barrier work_group_barrier mem_fence read_mem_fence write_mem_fence wait_group_events printf
    prefetch
    """.split()
)
"""Functions that touch no byte that others could miss."""

_OUT = frozenset("fract frexp lgamma_r modf remquo sincos".split())
"""Functions whose last argument points to where they put another result."""

_CONVERT = re.compile(r"convert_[a-z]+[0-9]*(_sat)?(_rt[ezpn])?")
_AS = re.compile(r"as_[a-z]+[0-9]*")
_VECTOR = re.compile(r"v(load|store)(a?_half)?([0-9]*)(_rt[ezpn])?")
_ATOMIC = re.compile(r"atom(?:ic)?_(add|sub|xchg|inc|dec|cmpxchg|min|max|and|or|xor)")
_IMAGE = re.compile(r"(read|write)_image(f|i|ui)")

IMAGE = "image"
"""In place of an atomic operation, of touches of an image's pixels."""


class Builtins(Expressions):
    """Calls of builtins in a launch of this NDRange."""

    ndrange: NDRange
    ids: tuple[Form, Form, Form]
    """Global ids by dimension, without the global offset."""
    groups: tuple[Form, Form, Form]
    locals: tuple[Form, Form, Form]
    """The ids of work-groups, and in them; nothing where no function of GROUPED is called."""

    def builtin(self, e: tree.Call) -> Value:
        """What the call of a builtin answers."""
        name = e.function
        item = _ITEMS.get(name)
        if item is not None:
            return self._item(e, item)
        if (match := _VECTOR.fullmatch(name)) is not None:
            return self._vector(e, match)
        if (match := _ATOMIC.fullmatch(name)) is not None:
            return self._atomic(e, match[1])
        if name.startswith("async_work_group_"):
            return self._async(e)
        values = [self.value(argument) for argument in e.arguments]
        if self.state is None:
            return DATA
        special = _SPECIAL.get(name)
        if special is not None:
            return special(self, e, values)
        if name in _OUT:
            pointer = self._pointed(e.arguments[-1], values[-1])
            self.touch(pointer, _to(e.arguments[-1]).size, True, e.line)
            return self.knowledge.unknown(e.type)
        if (match := _IMAGE.fullmatch(name)) is not None:
            return self._image(e, match[1] == "write", values[0])
        if name in _NOTHING or name in _VALUES_ONLY:
            return self.knowledge.unknown(e.type)
        if _CONVERT.fullmatch(name):
            return self._convert(e, values)
        if _AS.fullmatch(name):
            return self._as(e, values)
        raise Lost(e.line, f"nothing is known of the function {name!r}")

    def _pointed(self, e: tree.Expression, value: Value) -> Address:
        if isinstance(value, Address):
            return value
        return self.pointer(e)

    # ---- work-items

    def _item(self, e: tree.Call, item: Callable[[Builtins, int], Form]) -> Value:
        values = [self.value(argument) for argument in e.arguments]
        if self.state is None:
            return DATA
        assert isinstance(e.type, tree.Scalar)
        if not values:
            return Number(item(self, 0), e.type)
        (dimension,) = values
        at = self.exact(dimension) if isinstance(dimension, Number) else one(0)
        if not at.terms:
            if 0 <= at.constant < 3:
                return Number(item(self, at.constant), e.type)
            return Number(Form(_BEYOND.get(e.function, 0)), e.type)
        ranges = [self.range_of(item(self, d)) for d in range(3)]
        low, high = hull([*ranges, (0, 1)])
        return self.fresh(e.type, (low, high))

    def _global_id(self, d: int) -> Form:
        return plus(self.ids[d], Form(_at(self.ndrange.global_offset, d, 0)))

    def _global_size(self, d: int) -> Form:
        return Form(_at(self.ndrange.global_size, d, 1))

    def _local_size(self, d: int) -> Form:
        assert self.ndrange.local_size is not None
        return Form(_at(self.ndrange.local_size, d, 1))

    def _group_count(self, d: int) -> Form:
        return Form(-(-self._global_size(d).constant // self._local_size(d).constant))

    def _global_linear(self, d: int) -> Form:
        return self._linear(self.ids, self._global_size)

    def _local_linear(self, d: int) -> Form:
        return self._linear(self.locals, self._local_size)

    def _linear(self, ids: Sequence[Form], size: Callable[[int], Form]) -> Form:
        width, height = size(0).constant, size(1).constant
        return plus(plus(ids[0], times(ids[1], width)), times(ids[2], width * height))

    # ---- memory

    def _vector(self, e: tree.Call, match: re.Match[str]) -> Value:
        stores, half, digits = match[1] == "store", match[2], match[3]
        values = [self.value(argument) for argument in e.arguments]
        if self.state is None:
            return DATA
        at, pointer = (1, 2) if stores else (0, 1)
        address = self._pointed(e.arguments[pointer], values[pointer])
        element = _to(e.arguments[pointer]).size
        count = int(digits) if digits else 1
        if half == "a_half" and count == 3:
            count = 4  # OpenCL C 6.15.8: they step by four, and drivers write the fourth, too
        step = element * count
        pitch = tree.Pointer(
            tree.Array(tree.Scalar(8, False), step), tree.Space.GLOBAL, False, False, 8
        )
        moved = self.moved(address, pitch, values[at], 1)
        assert isinstance(moved, Address)
        # Of such three a device may write the fourth, as PoCL does.
        self.touch(moved, step, stores, e.line)
        return DATA if stores else self.knowledge.unknown(e.type)

    def _atomic(self, e: tree.Call, operation: str) -> Value:
        values = [self.value(argument) for argument in e.arguments]
        if self.state is None:
            return DATA
        address = self._pointed(e.arguments[0], values[0])
        to = _to(e.arguments[0])
        assert isinstance(to, tree.Scalar)
        if operation in ("min", "max") and not to.signed:
            operation = "u" + operation
        for writes in (False, True):
            self.touch(address, to.size, writes, e.line, operation, e.used)
        return self.knowledge.unknown(e.type)

    def _image(self, e: tree.Call, writes: bool, image: Value) -> Value:
        """Any of its pixels may be touched."""
        type_ = e.arguments[0].type
        assert isinstance(type_, tree.Opaque)
        if not isinstance(image, Address) or writes != (type_.access == "write_only"):
            raise Lost(e.line, "an image is used in a way that isn't followed")
        anywhere = image._replace(form=one(self.symbols.new()))
        self.touch(anywhere, 1, writes, e.line, IMAGE)
        return self.knowledge.unknown(e.type)

    def _async(self, e: tree.Call) -> Value:
        values = [self.value(argument) for argument in e.arguments]
        if self.state is None:
            return DATA
        if e.function not in ("async_work_group_copy", "async_work_group_strided_copy"):
            raise Lost(e.line, f"nothing is known of the function {e.function!r}")
        target, source = (self._pointed(e.arguments[n], values[n]) for n in (0, 1))
        element = _to(e.arguments[0]).size
        count, stride = self._most(values[2]), 1
        strided = "strided" in e.function
        if strided:
            stride = max(1, self._most(values[3]))
        # One side of a strided copy is local; whichever it is, this is the most there is.
        whole = element * count * stride
        for address, writes in ((target, True), (source, False)):
            self.touch(address, max(whole, 1), writes, e.line)
        return DATA

    def _most(self, value: Value) -> int:
        """The greatest that a count can be."""
        if isinstance(value, Number):
            return max(0, min(self.range_of(self.exact(value))[1], 1 << 60))
        return 1 << 60

    # ---- values

    def _convert(self, e: tree.Call, values: list[Value]) -> Value:
        (argument,) = e.arguments
        saturates = "_sat" in e.function
        source, target = _element(argument.type), _element(e.type)
        integers = not source.floating and not target.floating
        if integers and not (saturates and not within(type_range(source), type_range(target))):
            return self.converted(values[0], argument.type, e.type)
        return self.knowledge.unknown(e.type)

    def _as(self, e: tree.Call, values: list[Value]) -> Value:
        (argument,) = e.arguments
        source, target = argument.type, e.type
        if isinstance(source, tree.Scalar) and isinstance(target, tree.Scalar):
            return self.converted(values[0], source, target)
        return self.knowledge.unknown(target)

    def _each(
        self,
        e: tree.Call,
        values: list[Value],
        function: Callable[..., Value],
    ) -> Value:
        """A function of integers; a scalar among vectors is for all lanes."""
        if isinstance(e.type, tree.Vector):
            count = e.type.count
            values = [Lanes((v,) * count) if isinstance(v, Number) else v for v in values]
        if _element(e.type).floating:
            return DATA
        return self.lanewise(e.type, function, *values)

    def _minimum(self, e: tree.Call, values: list[Value]) -> Value:
        return self._each(e, values, self._lesser)

    def _maximum(self, e: tree.Call, values: list[Value]) -> Value:
        return self._each(e, values, self._greater)

    def _clamped(self, e: tree.Call, values: list[Value]) -> Value:
        def clamp(value: Number, low: Number, high: Number) -> Value:
            crossing = self.symbols.folded(minus(self.exact(low), self.exact(high)))
            if self.range_of(crossing)[1] > 0:
                return self.knowledge.unknown(value.type)  # undefined if they are crossed
            return self._lesser(self._greater(value, low), high)

        return self._each(e, values, clamp)

    def _lesser(self, a: Number, b: Number) -> Number:
        first, second = self.exact(a), self.exact(b)
        one_range, other = self.range_of(first), self.range_of(second)
        if one_range[1] <= other[0]:
            return a
        if other[1] <= one_range[0]:
            return b
        forms = tuple(sorted((first, second)))
        return Number(one(self.symbols.function(Kind.LEAST, forms)), a.type)

    def _greater(self, a: Number, b: Number) -> Number:
        first, second = self.exact(a), self.exact(b)
        one_range, other = self.range_of(first), self.range_of(second)
        if one_range[1] <= other[0]:
            return b
        if other[1] <= one_range[0]:
            return a
        forms = tuple(sorted((first, second)))
        return Number(one(self.symbols.function(Kind.GREATEST, forms)), a.type)

    def _absolute(self, e: tree.Call, values: list[Value]) -> Value:
        target = _element(e.type)

        def absolute(value: Number) -> Value:
            form = self.exact(value)
            low, high = self.range_of(form)
            if low >= 0:
                return Number(form, target)
            if high <= 0:
                return Number(times(form, -1), target)
            forms = tuple(sorted((form, times(form, -1))))
            return Number(one(self.symbols.function(Kind.GREATEST, forms)), target)

        return self._each(e, values, absolute)

    def _multiplied(self, e: tree.Call, values: list[Value]) -> Value:
        """mul24 and mad24: known where both factors have 24 bits."""

        def multiply(a: Number, b: Number, c: Number | None = None) -> Value:
            bound: Range = (-(1 << 23), (1 << 23) - 1) if a.type.signed else (0, (1 << 24) - 1)
            if not all(within(self.range_of(self.exact(n)), bound) for n in (a, b)):
                return self.knowledge.unknown(a.type)
            product = self._product(a, b)
            assert isinstance(product, Number)
            return product if c is None else self._sum(product, c)

        return self._each(e, values, multiply)

    def _counted(self, e: tree.Call, values: list[Value]) -> Value:
        element = _element(e.type)
        range_ = _BOUNDED[e.function](element.bits)
        if isinstance(e.type, tree.Vector):
            return self.knowledge.unknown(e.type)
        return self.fresh(element, range_)


_ITEMS: dict[str, Callable[[Builtins, int], Form]] = {
    "get_global_id": Builtins._global_id,
    "get_local_id": lambda self, d: self.locals[d],
    "get_group_id": lambda self, d: self.groups[d],
    "get_global_size": Builtins._global_size,
    "get_local_size": Builtins._local_size,
    "get_enqueued_local_size": Builtins._local_size,
    "get_num_groups": Builtins._group_count,
    "get_global_offset": lambda self, d: Form(_at(self.ndrange.global_offset, d, 0)),
    "get_work_dim": lambda self, d: Form(len(self.ndrange.global_size)),
    "get_global_linear_id": Builtins._global_linear,
    "get_local_linear_id": Builtins._local_linear,
}

GROUPED = frozenset("get_local_id get_group_id get_local_linear_id".split())
"""Functions that tell more of a work-item than its global id."""

_BEYOND = dict.fromkeys(
    (
        "get_global_size", "get_local_size", "get_enqueued_local_size", "get_num_groups",
    ),
    1,
)  # fmt: skip
"""What is answered for a dimension that there isn't (OpenCL C 6.15.1); else 0."""

_SPECIAL: dict[str, Callable[[Builtins, tree.Call, list[Value]], Value]] = {
    "min": Builtins._minimum,
    "max": Builtins._maximum,
    "clamp": Builtins._clamped,
    "abs": Builtins._absolute,
    "mul24": Builtins._multiplied,
    "mad24": Builtins._multiplied,
    "clz": Builtins._counted,
    "ctz": Builtins._counted,
    "popcount": Builtins._counted,
    "abs_diff": lambda self, e, values: self.knowledge.unknown(e.type),
}


def _at(values: Sequence[int], dimension: int, default: int) -> int:
    return values[dimension] if dimension < len(values) else default


def _to(e: tree.Expression) -> tree.Type:
    assert isinstance(e.type, tree.Pointer), e
    return e.type.to


def _element(type_: tree.Type) -> tree.Scalar:
    if isinstance(type_, tree.Vector):
        return type_.element
    assert isinstance(type_, tree.Scalar), type_
    return type_



