"""Functions and variables of program scope are found in order, and each is read once."""

from __future__ import annotations

from typing import Any

import pytest

from master.access import tree
from master.access.analyser.definitions import Definitions
from master.access.analyser.source import Source
from master.access.analyser.text import Unreadable

TEXT = """
int later(int n);
struct S { int i; };
__constant int a = 1, b = 2;
int early(void) { return later(a); };
int later(int n) { return n; }
__kernel void k(void) { }
"""


@pytest.fixture
def definitions() -> Definitions:
    return Definitions(Source(TEXT, [], 64))


def test_definitions_are_in_the_order_of_the_text(definitions: Definitions) -> None:
    assert [one.name for one in definitions.every] == ["", "", "early", "later", "k"]
    assert definitions.bodies == {"early": 2, "later": 3, "k": 4}
    assert sorted(definitions.variables.values()) == [0, 1]
    assert definitions.prototypes["later"] == TEXT.index("int later")
    assert [f.name for f in definitions.functions if f.is_kernel] == ["k"]
    assert not any(one.read for one in definitions.every)


def test_each_is_read_once(definitions: Definitions) -> None:
    one, read = definitions.every[0], tree.Declare(4, 0, None)

    def how(cursor: Any) -> tree.Declare:
        assert cursor is one.cursor and definitions.now is one
        return read

    outer = definitions.now
    assert definitions.read(one, how).read is read and definitions.now is outer
    one.ensure_read()
    assert definitions.read(one, _fails).read is read


def test_what_is_not_read_keeps_its_reason(definitions: Definitions) -> None:
    one, other = definitions.every[:2]
    outer = definitions.now
    assert definitions.read(one, _fails).unreadable == (7, "odd")
    assert definitions.read(other, _recurses).unreadable == (0, "it is nested too deeply")
    assert definitions.read(one, _recurses).unreadable == (7, "odd")
    assert definitions.now is outer
    with pytest.raises(Unreadable, match="line 7: odd"):
        one.ensure_read()


def _fails(cursor: Any) -> tree.Declare:
    raise Unreadable(7, "odd")


def _recurses(cursor: Any) -> tree.Declare:
    return _recurses(cursor)
