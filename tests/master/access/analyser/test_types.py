"""Types are the devices': their sizes, spaces and layouts."""

from __future__ import annotations

from master.access import tree
from master.access.analyser.frontend import parse
from master.access.tree import Space
from tests.master.access.analyser.reading import (
    INT,
    UINT,
    variable,
)


def test_spaces_of_pointers() -> None:
    source = "kernel void k(global int *a) {{ {} int *p = 0; }}"
    assert variable("p", parse(source.format(""), "")).type == tree.Pointer(
        INT, Space.PRIVATE, False, False, 8
    )
    later = variable("p", parse(source.format(""), "-cl-std=CL2.0")).type
    assert later == tree.Pointer(INT, Space.GENERIC, False, False, 8)


def test_the_address_width_is_a_parameter() -> None:
    program = parse("kernel void k(global int *a) { size_t n = sizeof(a); }", "", 32)
    assert program.address_bits == 32
    assert variable("a", program).type.size == 4 and variable("n", program).type == UINT


def test_layouts() -> None:
    source = """
    struct P { char c; int i; } __attribute__((packed));
    union U { char c; double d; };
    typedef struct { float3 v; struct P p[2]; union U u; half h; } T;
    kernel void k(global T *t) { t->p[1].i = 1; t->u.d = 2; }
    """
    program = parse(source, "")
    pointer = variable("t", program).type
    assert isinstance(pointer, tree.Pointer) and isinstance(pointer.to, tree.Struct)
    struct = pointer.to
    assert (struct.name, struct.size) == ("T", 48)
    assert [member.offset for member in struct.fields] == [0, 16, 32, 40]
    assert [member.type.size for member in struct.fields] == [16, 10, 8, 2]
    union = struct.fields[2].type
    assert isinstance(union, tree.Struct) and union.union
