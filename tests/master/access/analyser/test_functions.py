"""What is known of functions, and of their parameters."""

from __future__ import annotations

import pytest

from master.access import tree
from master.access.analyser.frontend import parse
from master.access.analyser.text import Unreadable
from master.access.tree import Space
from tests.master.access.analyser.reading import (
    FLOAT,
    INT,
    parts,
    variable,
)


def test_what_is_known_of_functions_and_variables() -> None:
    program = parse(
        """
        __constant float table[2][2] = {{1, 2}, {3, 4}};
        int helper(const int *p, local int *q) { return *p + q[0]; }
        __attribute__((reqd_work_group_size(8, 4, 1)))
        kernel void k(global const volatile int *restrict a, read_only image2d_t picture,
                      sampler_t how, const int n, int b[]) {
            local int shared[16]; private int own[4]; int plain = 1, taken = 2;
            own[n] = 3; shared[0] = helper(&taken, shared);
        }
        """.replace(", int b[]", ""),
        "",
    )
    assert not program.functions["helper"].is_kernel and program.functions["helper"].result == INT
    kernel = program.functions["k"]
    assert kernel.is_kernel
    assert kernel.attributes == (tree.Attribute("reqd_work_group_size", ("8", "4", "1")),)
    names = [program.variables[number].name for number in kernel.parameters]
    assert names == ["a", "picture", "how", "n"]
    assert variable("a", program).type == tree.Pointer(INT, Space.GLOBAL, True, True, 8)
    assert variable("picture", program).type == tree.Opaque("image2d_t", "read_only", 8)
    assert variable("how", program).type == tree.Opaque("sampler_t", "", 8)
    assert variable("n", program).const
    assert variable("table", program).space is Space.CONSTANT
    assert variable("shared", program).space is Space.LOCAL
    assert variable("p", program).type == tree.Pointer(INT, Space.PRIVATE, True, False, 8)
    taken = {declared.name for declared in program.variables if declared.address_taken}
    assert taken == {"taken", "shared"}
    assert program.globals[0].variable == 0 and len(program.globals) == 1


def test_parameters_are_pointers_where_arrays_are_written() -> None:
    source = """
    int f(const int t[4], global int b[], local float m[][3]) { return t[0] + b[1] + m[2][1]; }
    typedef volatile global int *shared;
    kernel void k(shared a) { int t[4]; local float m[2][3]; a[0] = f(t, (global int *)a, m); }
    """
    program = parse(source, "")
    numbers = program.functions["f"].parameters
    t, b, m = (program.variables[number] for number in numbers)
    assert t.type == tree.Pointer(INT, Space.PRIVATE, True, False, 8)
    assert b.type == tree.Pointer(INT, Space.GLOBAL, False, False, 8)
    assert m.type == tree.Pointer(tree.Array(FLOAT, 3), Space.LOCAL, False, False, 8)
    assert not t.const and t.space is Space.PRIVATE and not t.address_taken
    assert variable("a", program).type == tree.Pointer(INT, Space.GLOBAL, False, True, 8)
    (result,) = program.functions["f"].body.statements
    first = next(part for part in parts(result) if isinstance(part, tree.Subscript))
    assert isinstance(first.base, tree.Variable)
    for refused in ("t + 1", "t++", "n ? t : t"):
        with pytest.raises(Unreadable):
            parse(f"int f(int t[4], int n) {{ return *({refused}); }}", "")
