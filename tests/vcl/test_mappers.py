"""Mappers: how far each reaches, and which shapes they fit."""

from __future__ import annotations

import pytest

import vcl
from vcl.mappers import Mapper, all, neighborhood, none, one_to_one, slice, touched
from vcl.ndrange import NDRange
from vcl.wire.declared import WHOLE, Declaration, Reach


@pytest.mark.parametrize(
    ("mapper", "reach", "text"),
    [
        (one_to_one(), (0, 0), "one_to_one()"),
        (neighborhood(1, 2), (1, 2), "neighborhood(1, 2)"),
        (slice(0), (WHOLE, 0), "slice(0)"),
        (slice(1), (0, WHOLE), "slice(1)"),
        (all(), (WHOLE, WHOLE), "all()"),
        (none(), None, "none()"),
    ],
)
def test_reaches(mapper: Mapper, reach: Reach, text: str) -> None:
    assert mapper.reach(2) == reach
    assert str(mapper) == text


def test_what_does_not_fit_the_shape() -> None:
    with pytest.raises(ValueError, match=r"neighborhood\(1\) has 1 axes, the shape 2"):
        neighborhood(1).reach(2)
    with pytest.raises(ValueError, match="doesn't have"):
        slice(2).reach(2)
    for radius in [(), (1, -1)]:
        with pytest.raises(ValueError, match="none below 0"):
            neighborhood(*radius)
    with pytest.raises(ValueError, match="from 0"):
        slice(-1)


def test_a_place_is_a_global_id_with_its_offset() -> None:
    # b[y * 8 + x]: x goes along the last axis.
    declaration = Declaration(0, 4, (6, 8), (1, 0), None, None)
    part = NDRange((2, 1), (4, 3), (1, 1))
    assert touched(declaration, (0, 0), part) == [range(1, 4), range(2, 6)]
    assert touched(declaration, (2, 3), part) == [range(6), range(8)]
    assert touched(declaration, (0, WHOLE), part) == [range(1, 4), range(8)]
    assert touched(declaration, None, part) is None
    assert touched(declaration, (0, 0), NDRange((8, 0), (4, 3), (1, 1))) is None


def test_they_are_names_of_vcl_but_hide_no_builtins() -> None:
    assert (vcl.all, vcl.slice, vcl.one_to_one) == (all, slice, one_to_one)
    assert {"all", "slice"} <= set(dir(vcl))
    assert not {"all", "slice"} & set(vcl.__all__)
