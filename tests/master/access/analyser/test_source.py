"""Everything is on the line of the user's that it stands on."""

from __future__ import annotations

import pytest

from master.access.analyser.frontend import Parsed, parse
from master.access.analyser.text import Unreadable


def test_a_syntax_error_counts_for_all() -> None:
    with pytest.raises(Unreadable, match="line 1: it doesn't compile"):
        Parsed("void f( { }\nkernel void k() { }", "")


@pytest.mark.parametrize(
    "head", ["", "\n\n", "#line 40\n", '#line 7 "a.h"\nenum { F };\n#line 40 "b.h"\n']
)
def test_lines_are_the_users(head: str) -> None:
    first = 40 if "40" in head else head.count("\n") + 1
    source = "kernel void k(global int *a)\n{\n  a[0] = 1;\n\n  a[1]\n = 2;\n"
    function = parse(f"{head}{source}}}", "").functions["k"]
    assert function.line == first
    assert [statement.line - first for statement in function.body.statements] == [2, 4]
    for wrong in ("goto x;", "a = 3;", "int t[2][2] = {1, 2, 3};"):
        with pytest.raises(Unreadable) as raised:
            parse(f"{head}{source}{wrong}}}", "")
        assert raised.value.line == first + 6
    with pytest.raises(Unreadable, match=r"in b\.h" if "b.h" in head else "read"):
        parse(f"{head}{source}goto x;}}", "")
