"""Functions and calls stand where their places say."""

from __future__ import annotations

from master.access.analyser.frontend import parse_placed

TEXT = """
static int h(int n);
#line 40 "a.h"
int g(void) { return 1; }
kernel void k(global int *h2, int h3) {
    struct { int h; } s = { h(g()) };
    h2[s.h] = (h3) ? h ( (int)get_group_id( 0 ) ) : sizeof(g());
}
int h(int n) { return n; }
"""


def test_all_declarations_have_a_place() -> None:
    _, places = parse_placed(TEXT, "")
    assert [placed.name for placed in places.functions] == ["h", "g", "k", "h"]
    for placed in places.functions:
        assert TEXT[placed.offset :].startswith(f"{placed.name}(")


def test_calls_that_are_carried_out_have_a_place() -> None:
    _, places = parse_placed(TEXT, "")
    found = [(c.within, c.arguments, TEXT[c.offset : c.close + 1]) for c in places.calls]
    assert sorted(found) == [
        ("k", 0, "g()"),
        ("k", 1, "get_group_id( 0 )"),
        ("k", 1, "h ( (int)get_group_id( 0 ) )"),
        ("k", 1, "h(g())"),
    ]
    assert {c.function for c in places.calls} == {"g", "h", "get_group_id"}
