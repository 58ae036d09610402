"""What parts touch by declarations: equal to each work-item's elements, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod

from hypothesis import given
from hypothesis import strategies as st

from master.access.declared import CONST, DECLARED, cost_max, declared_footprint
from master.access.extents import extents
from master.access.kernels import Footprint
from vcl.mappers import touched
from vcl.ndrange import NDRange, split
from vcl.wire.declared import WHOLE, Declaration, Reach

LINE = NDRange((0,), (8,), (2,))


def each_item(declaration: Declaration, reach: Reach, part: NDRange) -> set[int]:
    """The bytes that the work-items of a part may touch, by what the protocol's README says."""
    found: set[int] = set()
    if reach is None:
        return found
    ranges = [
        range(o, o + s) for o, s in zip(part.global_offset, part.global_size, strict=True)
    ]
    for item in product(*ranges):
        ids = (*item, 0, 0)[:3]
        along = []
        for length, dimension, radius in zip(
            declaration.shape, declaration.ids, reach, strict=True
        ):
            place = ids[dimension]
            along.append(
                [i for i in range(length) if radius == WHOLE or abs(i - place) <= radius]
            )
        found |= in_box(declaration, along)
    return found


def in_box(declaration: Declaration, box: Sequence[Sequence[int]] | None) -> set[int]:
    """The bytes of the elements with these indices, by axis."""
    found = set()
    for element in product(*box) if box is not None else ():
        number = 0
        for index, length in zip(element, declaration.shape, strict=True):
            number = number * length + index
        first = number * declaration.item_bytes
        found.update(range(first, first + declaration.item_bytes))
    return found


@st.composite
def declarations(draw: st.DrawFn) -> Declaration:
    axes = draw(st.integers(1, 3))
    reach = st.none() | st.tuples(*[st.integers(-1, 2) | st.just(2**62)] * axes)
    return Declaration(
        0,
        draw(st.sampled_from([1, 4, 12])),
        tuple(draw(st.lists(st.integers(1, 6), min_size=axes, max_size=axes))),
        tuple(draw(st.permutations(range(3)))[:axes]),
        draw(reach),
        draw(reach),
    )


@st.composite
def ndranges(draw: st.DrawFn) -> NDRange:
    dimensions = draw(st.integers(1, 3))
    local = [draw(st.integers(1, 2)) for _ in range(dimensions)]
    size = [n * draw(st.integers(1, 3)) for n in local]
    offset = [draw(st.integers(0, 5)) for _ in range(dimensions)]
    return NDRange(tuple(offset), tuple(size), tuple(local))


@given(declarations(), ndranges(), st.integers(1, 4), st.data())
def test_a_part_touches_what_its_items_do_and_the_client_says_the_same(
    declaration: Declaration, ndrange: NDRange, count: int, data: st.DataObject
) -> None:
    found = declared_footprint([declaration], {0: True}, ndrange)
    assert isinstance(found, Footprint)
    dimension = data.draw(st.integers(0, len(ndrange.global_size) - 1))
    size = prod(declaration.shape) * declaration.item_bytes
    for part in split(ndrange, count, dimension):
        extent = extents(found, ndrange, part, {0: size})[0]
        for runs, reach in (
            (extent.reads, declaration.reads), (extent.writes, declaration.writes)
        ):  # fmt: skip
            assert runs is not None
            expected = each_item(declaration, reach, part)
            assert {byte for start, end in runs for byte in range(start, end)} == expected
            assert in_box(declaration, touched(declaration, reach, part)) == expected


def test_what_may_be_written_has_to_be_declared() -> None:
    declaration = Declaration(0, 4, (8,), (0,), None, (0,))
    found = declared_footprint([declaration], {0: True, 2: True}, LINE)
    assert found == "argument 3 is neither declared to vcl.access nor const"


def test_what_is_const_is_read_anywhere_and_never_written() -> None:
    declaration = Declaration(0, 4, (8,), (0,), (0,), (0,))
    found = declared_footprint([declaration], {0: False, 2: False}, LINE)
    assert isinstance(found, Footprint)
    assert [(t.argument, t.writes, t.line) for t in found.touches] == [
        (0, False, DECLARED), (2, False, CONST)
    ]  # fmt: skip
    extent = extents(found, LINE, NDRange((2,), (2,), (2,)), {0: 32, 2: 100})
    assert (extent[0].reads, extent[0].writes) == ([(8, 16)], [])
    assert (extent[2].reads, extent[2].writes) == (None, [])


def test_arguments_that_are_no_buffers_dont_count() -> None:
    found = declared_footprint([Declaration(1, 4, (8,), (0,), None, (0,))], {}, LINE)
    assert isinstance(found, Footprint)
    assert found.touches == ()


def test_too_many_declarations() -> None:
    many = [Declaration(n, 4, (8,), (0,), (0,), (0,)) for n in range(cost_max)]
    found = declared_footprint(many, dict.fromkeys(range(cost_max), True), LINE)
    assert found == "the kernel touches memory in too many ways"
