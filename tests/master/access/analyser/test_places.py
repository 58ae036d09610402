"""Functions and calls stand where their places say."""

from __future__ import annotations

from master.access.analyser.frontend import Parsed

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
    places = Parsed(TEXT, "").places()
    assert [placed.name for placed in places.functions] == ["h", "g", "k", "h"]
    for placed in places.functions:
        assert TEXT[placed.offset :].startswith(f"{placed.name}(")


def test_functions_and_variables_are_told() -> None:
    places = Parsed(f"__constant int c = 1;{TEXT}", "").places()
    assert [(f.name, f.line, f.parameters, f.has_body, f.is_kernel) for f in places.functions] == [
        ("h", 2, 1, False, False),
        ("g", 40, 0, True, False),
        ("k", 41, 2, True, True),
        ("h", 45, 1, True, False),
    ]
    assert [(v.name, v.line) for v in places.variables] == [("c", 1)]
    assert places.unread == () and places.address_bits == 64


def test_what_is_not_read_is_told() -> None:
    odd = "int f(int n) { long long x = g(); return 1; }"
    text = f"int g(void) {{ return 1; }}\n{odd}\n__constant struct {{ long long b; }} s = {{ 1 }};"
    places = Parsed(text, "").places()
    function, variable = places.unread
    assert (function.name, function.line) == ("f", 2) and "long long" in function.reason
    assert text[function.start : function.end] == odd
    assert (variable.name, text[variable.start : variable.end + 1][-10:]) == ("", "s = { 1 };")
    assert places.calls == ()


def test_calls_that_are_carried_out_have_a_place() -> None:
    places = Parsed(TEXT, "").places()
    found = [(c.within, c.arguments, TEXT[c.offset : c.close + 1]) for c in places.calls]
    assert sorted(found) == [
        ("k", 0, "g()"),
        ("k", 1, "get_group_id( 0 )"),
        ("k", 1, "h ( (int)get_group_id( 0 ) )"),
        ("k", 1, "h(g())"),
    ]
    assert {c.function for c in places.calls} == {"g", "h", "get_group_id"}
