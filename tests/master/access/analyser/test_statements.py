"""Statements have the tree that they should have."""

from __future__ import annotations

import pytest

from master.access import tree
from tests.master.access.analyser.reading import (
    body,
)


def test_the_step_of_a_loop_is_not_used() -> None:
    (loop,) = body("for (;; g(n)) ;")
    assert isinstance(loop, tree.For) and isinstance(loop.step, tree.Call) and not loop.step.used


@pytest.mark.parametrize("slots", range(8))
@pytest.mark.parametrize("comment", ["", "/* ; */", "\n"])
def test_the_empty_parts_of_a_loop_are_recovered(slots: int, comment: str) -> None:
    texts = ("n = ';'", "n < (3)", "n++")
    initial, condition, step = [t if slots & 1 << i else "" for i, t in enumerate(texts)]
    (loop,) = body(f"for {comment} ({initial}{comment}; {condition} ;{comment}{step}) n = 2;")
    assert isinstance(loop, tree.For)
    assert [bool(loop.initial), loop.condition is not None, loop.step is not None] == [
        bool(slots & bit) for bit in (1, 2, 4)
    ]
    assert isinstance(loop.body, tree.Express)


def test_statements() -> None:
    found = body(
        """
        if (n) a[0] = 1; else { a[1] = 2; }
        while (n) continue;
        do { if (n) break; } while (n > 2);
        switch (n) { case 1: case -2: a[0] = 3; break; default: return; }
        #pragma unroll 4
        for (int i = 0, j = 1; i < n; i++) ;
        __attribute__((opencl_unroll_hint(2))) while (n) n--;
        ; {}
        """.replace("#pragma", "\n#pragma")
    )
    kinds = [tree.If, tree.While, tree.DoWhile, tree.Switch, tree.For, tree.While, tree.Block]
    assert [type(statement) for statement in found] == kinds
    switch, loop = found[3], found[4]
    assert isinstance(switch, tree.Switch) and isinstance(switch.body, tree.Block)
    case = switch.body.statements[0]
    assert isinstance(case, tree.Case) and case.value == 1
    assert isinstance(case.statement, tree.Case) and case.statement.value == -2
    assert isinstance(switch.body.statements[-1], tree.Default)
    assert isinstance(loop, tree.For) and len(loop.initial) == 2
