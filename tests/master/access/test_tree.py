"""A tree is data: sizes are OpenCL's, and two that mean the same are equal on any lines."""

from __future__ import annotations

import dataclasses

import pytest

from master.access import tree

INT = tree.Scalar(32, True)


@pytest.mark.parametrize(
    ("kind", "size"),
    [
        (tree.Scalar(1, False), 1),
        (tree.Scalar(64, True, True), 8),
        (tree.Vector(INT, 3), 16),
        (tree.Vector(INT, 16), 64),
        (tree.Array(tree.Array(tree.Vector(INT, 3), 2), 5), 160),
        (tree.Pointer(INT, tree.Space.GLOBAL, False, False, 4), 4),
        (tree.Struct("S", 24, (tree.Field("a", 0, INT),)), 24),
        (tree.Void(), 1),
    ],
)
def test_sizes(kind: tree.Type, size: int) -> None:
    assert kind.size == size


def test_lines_make_no_difference_but_types_do() -> None:
    assert tree.Literal(INT, 1, 5) == tree.Literal(INT, 2, 5)
    assert hash(tree.Literal(INT, 1, 5)) == hash(tree.Literal(INT, 2, 5))
    assert tree.Literal(INT, 1, 5) != tree.Literal(tree.Scalar(32, False), 1, 5)


def test_nothing_can_be_changed() -> None:
    node = tree.Literal(INT, 1, 5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        node.value = 6  # type: ignore[misc]
