"""A kernel that runs in parts sees the whole launch, and everything else stays as it was.

Each rule has a case of text; what the text means is asked of PoCL, where parts must write what the
whole launch writes.

Long because there are both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from master.access.analyser.expand import expand
from master.access.analyser.frontend import Parsed, parse
from master.access.analyser.places import PlacedCall, Places
from master.access.analyser.rewrite import Rewritten, rewrite
from master.access.analyser.text import Unreadable
from master.access.hidden import hidden
from tests.master.access.analyser.native_launches import NativeLaunches, Result
from vcl.ndrange import NDRange


def rewritten(source: str, options: str = "", address_bits: int = 64) -> Rewritten:
    text = expand(source, options).text
    return rewrite(text, Parsed(text, options, address_bits).places())


def changed(source: str, options: str = "") -> str:
    """The text without what stands in front of it, and with shorter names."""
    text = rewritten(source, options).text
    front = re.search(r"typedef struct \{ .*? \} __vcl_Launch; (size_t __vcl_\w+\(.*?; \} )*", text)
    assert front is not None
    text = text[: front.start()] + text[front.end() :]
    text = re.sub(r"__vcl_(get_\w+)_[0-9a-f]{16}\b", r"VCL_\1", text)
    text = text.replace("__vcl_Launch __vcl_launch", "L l").replace("__vcl_launch", "l")
    return text.strip("\n")


# Text


@pytest.mark.parametrize(
    "source",
    [
        "kernel void k(global int *a) { a[get_global_id(0)] = 1; }",
        "kernel void k(global int *a) { a[get_local_id(0) + get_local_size(0)] = get_work_dim(); }",
        "int get_group_id(int d) { return d; } kernel void k(global int *a) { get_group_id(*a); }",
        "kernel void k(global int *get_group_id) { get_group_id[0] = 1; }",
        "kernel void k(global int *a) { a[0] = sizeof(get_global_size(0)); }",
        "\n\nkernel void k(global int *a) {\n#pragma unroll 4\nfor (int i = 0; i < 8; i++) ; }\n",
    ],
)
def test_a_program_that_needs_nothing_is_the_same(source: str) -> None:
    found = rewritten(source)
    assert found.text == expand(source, "").text
    assert found.hidden == {"k": None}


def test_only_what_needs_it_changes() -> None:
    assert changed(
        """
        int id(int n) { return n + get_global_id(0); }
        int groups(void) { return get_num_groups(1); }
        int twice() { return 2 * groups() + id(1); }
        kernel void without(global int *a) { a[id(0)] = 0; }
        kernel void with(global int *a) { a[id(0)] = twice(); }
        kernel void calls(global int *a) { with(a); without(a); }
        """
    ) == (
        """int id(int n) { return n + get_global_id(0); }
int groups(L l) { return VCL_get_num_groups(1, l); }
int twice(L l) { return 2 * groups(l) + id(1); }
kernel void without(global int *a) { a[id(0)] = 0; }
kernel void with(global int *a, L l) { a[id(0)] = twice(l); }
kernel void calls(global int *a, L l) { with(a, l); without(a); }"""
    )


def test_kernels_say_whether_they_take_it_and_where() -> None:
    assert rewritten(
        """kernel void a(int x, int y) { y = get_group_id(x); } kernel void b(int x) { }
        kernel void c(void) { a(1, 2); } int h(int n) { c(); return 1; }
        kernel void d(global int *p, int n, int m) { h(n); }"""
    ).hidden == {"a": 2, "b": None, "c": 0, "d": 3}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("int h(int); int h(int n) { G }", "int h(int, L l); int h(int n, L l) { G }"),
        ("int h(), g(); int h(void) { G } int g() { return 1; }", None),
        ("int h(void), h(); int h() { G }", "int h(L l), h(L l); int h(L l) { G }"),
        ("inline int h( void ) { G }", "inline int h( L l ) { G }"),
        ("int h (int\nn,\nint m\n) { G }", "int h (int\nn,\nint m\n, L l) { G }"),
        ("long h(int n)\n__attribute__((noinline))\n{ G }", None),
        ("__attribute__((noinline)) int h(int (*p)[3]) { G }", None),
        ("global int *h(global int *p) { G }", "global int *h(global int *p, L l) { G }"),
        ("int h(int n __attribute__((unused))) { G }", None),
        ("int h(int h) { G }", "int h(int h, L l) { G }"),
        ("int h(\n\n\n\n\n\n\n\n\n\n\n\n\nvoid\n\n\n\n\n\n\n\n\n\n\n) { G }", None),
        ("int h\n\n\n\n\n\n\n\n\n\n\n\n\n(int n)\n\n\n\n\n\n\n\n\n\n\n\n\n\n{ G }", None),
    ],
)
def test_parameter_lists(source: str, expected: str | None) -> None:
    found = changed(source.replace("G", "get_group_id(0); return 0;"))
    if expected is not None:
        assert found == expected.replace("G", "VCL_get_group_id(0, l); return 0;")
    # Whatever it looks like, every declaration of h has it and nothing else does.
    assert found.count("L l") == len(re.findall(r"\bh\s*(?:#.*\s*)?\(", found))
    compiles(found)


def compiles(changed_text: str) -> None:
    names = "group_id num_groups global_size global_offset"
    front = "typedef struct { ulong n[12]; } L;" + "".join(
        f"size_t VCL_get_{name}(uint d, L l) {{ return d; }}" for name in names.split()
    )
    parse(f"{front} {changed_text}", "")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("h(get_group_id(n))", "h(VCL_get_group_id(n, l), l)"),
        ("h(h(h(1)))", "h(h(h(1, l), l), l)"),
        ("get_num_groups(get_global_size(0) + n++)", None),
        ("h ( (n, 1) )", "h ( (n, 1) , l)"),
        ("printf(\"h(1) get_group_id(0) %d\", h(1))", 'printf("h(1) get_group_id(0) %d", h(1, l))'),
        ("n ? h(')') : h('(')", "n ? h(')', l) : h('(', l)"),
        ("(s.h + s.get_group_id)", "(s.h + s.get_group_id)"),
        ("(int)get_global_id(get_work_dim() - 1)", "(int)get_global_id(get_work_dim() - 1)"),
        ("M(n)", "h(n + 1, l)*VCL_get_global_offset(n, l)"),
    ],
)
def test_calls(before: str, after: str | None) -> None:
    head = """
#define M(n) h(n + 1) * \\
    get_global_offset(n)
int h(int n) { return get_group_id(n); }
kernel void k(global int *a, int n) { struct { int h, get_group_id; } s = {0}; a[0] = """
    found = changed(f"{head}{before};\n}}")
    compiles(found)
    called = found.split("a[0] = ")[1].split(";\n")[0]
    if after is not None:
        assert called.replace(" ", "") == after.replace(" ", "")
    else:
        assert called == "VCL_get_num_groups(VCL_get_global_size(0, l) + n++, l)"


def test_a_local_of_the_same_name_is_no_call() -> None:
    body = "int h = 1; { int get_group_id = h; a[get_group_id] = h + 1; } a[h] = get_num_groups(0);"
    text = f"int h(int n) {{ return get_group_id(n); }} kernel void k(global int *a) {{ {body} }}"
    found = changed(text)
    expected = f"(global int *a, L l) {{ {body[:-2]}, l); }}"
    assert found.endswith(expected.replace("get_num", "VCL_get_num"))
    compiles(found)


@pytest.mark.parametrize("first", ["", "\n", "#pragma OPENCL EXTENSION cl_khr_fp64 : enable\n"])
def test_every_line_stays_where_it_is(first: str) -> None:
    text = expand(
        f"{first}int h(\nint n)\n{{ return\nget_group_id(n); }}\n" + 12 * "\n"
        + "kernel void k(\n) {\nh(\n1\n); }",
        "",
    ).text
    found = rewrite(text, Parsed(text, "").places()).text
    before, after = text.split("\n"), found.split("\n")
    assert len(after) == len(before)
    assert [i for i, line in enumerate(before) if line.startswith("#")] == [
        i for i, line in enumerate(after) if line.startswith("#")
    ]
    for one, other in zip(before, after, strict=True):
        assert all(word in other for word in re.findall(r"#.*|\w+", one))


def test_directives_that_are_indented_are_blank() -> None:
    text = "int h(\n  #line 9\n void\n\t#line 12\n)\n #line 20\n{ return get_group_id(0); }"
    found = rewrite(text, Parsed(text, "").places()).text
    assert "h(\n  #line 9\n __vcl_Launch __vcl_launch\n\t#line 12\n)\n #line 20\n{" in found


def test_fields_are_as_wide_as_size_t() -> None:
    source = "kernel void k(global ulong *a) { a[0] = get_num_groups(0); }"
    assert "{ uint group_start[3]; uint group_counts[3];" in rewritten(source, "", 32).text
    assert "{ ulong group_start[3]; ulong group_counts[3];" in rewritten(source).text


def test_two_programs_that_are_linked_share_no_name() -> None:
    names = [
        re.findall(r"\w+(?=\(uint d)", rewritten(f"kernel void {k}() {{ get_group_id(0); }}").text)
        for k in ("a", "b")
    ]
    assert names[0] != names[1]


@pytest.mark.parametrize(
    ("source", "line", "reason"),
    [
        ("int h(n)\nint n;\n{ G } kernel void k() { h(1); }", 1, "h() is declared in an unusual"),
        ("typedef void V;\nint h(V) { G }\nkernel void k() { h(); }", 2, "h() is declared in"),
        ("int h(int n) { G }\nkernel void k(int n) { n = sizeof(h(1)); }", 2, "h() is not read"),
        ("kernel void k(int n) {\nn = sizeof(get_group_id(1));\nG }", 2, "get_group_id() is not"),
        ("kernel void k() { G\nint a[sizeof(get_group_id(0))]; }", 2, "get_group_id() is not"),
        ("int h(int n) { G }\nkernel void k() {\ntypedef int h;\nh (b); }", 4, "h() is not read"),
        ("int get_global_id(int d)\n{ return d; } kernel void k() { G }", 1, "the program's own"),
    ],
)
def test_what_is_not_read_is_refused(source: str, line: int, reason: str) -> None:
    with pytest.raises(Unreadable, match=re.escape(reason)) as caught:
        rewritten(source.replace("G", "get_group_id(0);"), "-cl-std=CL3.0")
    assert caught.value.line == line


UNREAD = "ulong u(ulong n) { %s unsigned long long x = 1; return n; }\n"
SEES = "size_t h(int d) { return get_group_id(d); }\nkernel void k(global int *a) { a[h(0)] = 1; }"


def test_what_is_not_read_stays_as_it_is() -> None:
    uses = "kernel void v(global int *b) { b[get_global_id(0)] = u(3); }"
    odd = "kernel void w(global int *c) { long long x = 1; c[0] = x; }\nint away(int n);"
    found = rewritten(f"{UNREAD % ''}{SEES}\n{uses}\n{odd}")
    assert found.hidden == {"k": 1, "v": None, "w": None}
    for text in (UNREAD % "", uses, odd):
        assert expand(text, "").text.strip() in found.text
    assert "k(global int *a, __vcl_Launch" in found.text


@pytest.mark.parametrize(
    ("what", "rest"),
    [
        ("h(0);", SEES),
        ("sizeof(h(0));", SEES),
        ("int h = 1;", SEES),
        ("get_group_id(0);", ""),
        ("get_num_groups(0);", SEES),
        ("int get_group_id = 1;", SEES.replace("get_group_id", "get_global_id")),
    ],
)
def test_what_is_not_read_may_not_name_what_changes(what: str, rest: str) -> None:
    text = f"size_t h(int d);\n{UNREAD % what}{rest}"
    with pytest.raises(Unreadable, match=r"^line 2: the type __private unsigned"):
        rewritten(text)


def test_a_function_without_a_body_may_not_be_called() -> None:
    text = "int h(int n);\nkernel void k() { h(1); }"
    with pytest.raises(Unreadable, match=r"line 1: h\(\) has no body"):
        rewritten(text)
    with pytest.raises(Unreadable, match="long long"):
        rewritten(f"int h(int n);\n{UNREAD % 'h(1);'}")


@pytest.mark.parametrize(
    "name", ["get_sub_group_id", "sub_group_barrier", "get_vendor_id", "enqueue_marker"]
)
def test_what_a_builtin_may_say_of_a_part_is_refused(name: str) -> None:
    # The parser knows none of them without an extension: here it has read them.
    text = f"kernel void k() {{\n{name}(); }}"
    place = text.index(name)
    call = PlacedCall("k", name, place, text.index(")", place), 0)
    places = Places((), (), (call,), (), 64)
    with pytest.raises(Unreadable, match=f"line 2: what {name}"):
        rewrite(text, places)


# On PoCL


@pytest.fixture(scope="module")
def native() -> Iterator[NativeLaunches]:
    launches = NativeLaunches()
    yield launches
    launches.close()


SHAPES = {
    "one": NDRange((0,), (30,), (2,)),
    "one, offset": NDRange((7,), (30,), (3,)),
    "two": NDRange((0, 0), (5, 12), (1, 2)),
    "two, offset": NDRange((4, 1), (10, 5), (2, 1)),
    "three": NDRange((0, 0, 0), (10, 5, 6), (2, 1, 1)),
    "three, offset": NDRange((1, 20, 3), (5, 10, 6), (1, 2, 1)),
}

ASKED = (
    *(
        f"{name}({d})"
        for name in "get_global_size get_num_groups get_group_id get_global_offset get_global_id"
        " get_local_id get_local_size".split()
        for d in range(4)
    ),
    "get_work_dim()",
)
ASKED_LATER = (
    *ASKED,
    *(f"get_enqueued_local_size({d})" for d in range(3)),
    "get_local_linear_id()",
    "get_global_linear_id()",
)

# Where a work-item's numbers lie mustn't follow from what is tested: `at` tells the launch.
PARAMETERS = "global ulong *out, ulong8 at"
ITEM = """((get_global_id(2) - at.s5) * at.s1 + get_global_id(1) - at.s4) * at.s0
    + get_global_id(0) - at.s3"""


def writes(expressions: Sequence[str]) -> str:
    lines = "\n".join(f"    out[{i}] = {text};" for i, text in enumerate(expressions))
    return f"    out += {len(expressions)} * ({ITEM});\n{lines}\n"


def cut(whole: NDRange, dimension: int, count: int) -> list[NDRange]:
    """In parts along a dimension that has enough work-groups."""
    assert whole.local_size is not None
    groups, local = whole.group_counts[dimension], whole.local_size[dimension]
    assert groups >= count
    parts = []
    for i in range(count):
        first, end = groups * i // count, groups * (i + 1) // count
        offset, size = list(whole.global_offset), list(whole.global_size)
        offset[dimension] += first * local
        size[dimension] = (end - first) * local
        parts.append(NDRange(tuple(offset), tuple(size), whole.local_size))
    return parts


def at(whole: NDRange) -> bytes:
    size = (*whole.global_size, 1, 1)[:3]
    offset = (*whole.global_offset, 0, 0)[:3]
    return b"".join(number.to_bytes(8, "little") for number in (*size, *offset, 0, 0))


def assert_parts_write_the_same(
    native: NativeLaunches,
    source: str,
    whole: NDRange,
    numbers: int,
    counts: Sequence[int] = (2, 3, 5),
    options: str = "",
) -> None:
    """numbers: what each work-item writes."""
    size = 8 * numbers * whole.work_items
    expected = _good(native.run(source, options, size, [(whole, [at(whole)])]))
    found = rewritten(source, options)
    takes = found.hidden["k"]
    assert takes in (None, 2)

    def launched(parts: Sequence[NDRange]) -> bytes:
        more = [[hidden(whole, part, 64)] if takes else [] for part in parts]
        told = [(part, [at(whole), *one]) for part, one in zip(parts, more, strict=True)]
        return _good(native.run(found.text, options, size, told))

    assert launched([whole]) == expected
    for dimension in range(len(whole.global_size)):
        for count in counts:
            if count <= whole.group_counts[dimension]:
                assert launched(cut(whole, dimension, count)) == expected, (dimension, count)


def _good(result: Result) -> bytes:
    assert not result.error, result
    assert any(result.data)
    return result.data


@pytest.mark.parametrize("shape", SHAPES)
def test_parts_see_what_the_whole_launch_sees(native: NativeLaunches, shape: str) -> None:
    source = f"kernel void k({PARAMETERS}) {{\n{writes(ASKED)}}}"
    assert_parts_write_the_same(native, source, SHAPES[shape], len(ASKED))


@pytest.mark.parametrize("shape", ["one, offset", "two, offset", "three, offset"])
def test_functions_of_later_versions(native: NativeLaunches, shape: str) -> None:
    source = f"kernel void k({PARAMETERS}) {{\n{writes(ASKED_LATER)}}}"
    options = "-cl-std=CL3.0"
    assert_parts_write_the_same(native, source, SHAPES[shape], len(ASKED_LATER), options=options)


def test_parts_of_what_is_not_rewritten_see_less(native: NativeLaunches) -> None:
    source = f"kernel void k({PARAMETERS}) {{\n{writes(ASKED)}}}"
    whole = SHAPES["one"]
    size = 8 * len(ASKED) * whole.work_items
    expected, found = (
        _good(native.run(source, "", size, [(part, [at(whole)]) for part in parts]))
        for parts in ([whole], cut(whole, 0, 2))
    )
    assert expected != found


def test_helpers_kernels_and_dimensions_that_are_computed(native: NativeLaunches) -> None:
    source = f"""
#define ITEMS (get_global_size(0) * get_global_size(1))
typedef struct {{ ulong get_group_id, n; }} Pair;
ulong deeper(uint d);
ulong counts() {{ return ITEMS + get_num_groups(1); }}
void both(
    Pair *pair,
    uint d) {{ pair->get_group_id = deeper(d); pair->n = counts(); }}
ulong deeper(uint d) {{
    ulong n = 100 * get_group_id(d++); return n + 10 * get_global_offset(d) + d;
}}
kernel void other(global ulong *to, uint d) {{ to[0] = deeper(d) + get_num_groups(d); }}
void relay(global ulong *to) {{ other(to, 1); }}
kernel __attribute__((work_group_size_hint(1, 1, 1))) void k({PARAMETERS}) {{
    Pair get_num_groups = {{0}}; ulong sum = 0;
    both(&get_num_groups, get_work_dim() - 1);
    for (uint d = 0; d < 5; d++) sum = 31 * sum + deeper(d) + get_group_id(d);
{writes(("sum", "get_num_groups.n", "get_num_groups.get_group_id", "deeper(deeper(0) & 1)", "0"))}
    relay(out + 4);
}}"""
    for shape in ("one, offset", "two, offset", "three"):
        assert_parts_write_the_same(native, source, SHAPES[shape], 5)


def test_a_dimension_is_computed_once(native: NativeLaunches) -> None:
    names = ("get_group_id", "get_num_groups", "get_global_size", "get_global_offset")
    sums = " ".join(f"sum += {name}(d++) * d;" for name in names)
    source = f"""kernel void k({PARAMETERS}) {{
        uint d = 0; ulong sum = 0; {sums}
        {writes(("sum", "d"))}
    }}"""
    assert_parts_write_the_same(native, source, SHAPES["three, offset"], 2)


def test_local_memory_and_barriers(native: NativeLaunches) -> None:
    source = f"""
    void put(local ulong *to) {{ to[get_local_id(0)] = get_group_id(0) * get_num_groups(0); }}
    kernel void k({PARAMETERS}) {{
        local ulong shared[8];
        put(shared);
        barrier(CLK_LOCAL_MEM_FENCE);
        ulong other = shared[get_local_size(0) - 1 - get_local_id(0)];
        {writes(("other", "1"))}
    }}"""
    assert_parts_write_the_same(native, source, NDRange((3,), (40,), (4,)), 2)


def test_the_build_log_names_the_users_line(native: NativeLaunches) -> None:
    source = f"""
    ulong group(void) {{
        return get_group_id(0);
    }}
    kernel void k({PARAMETERS}) {{
        out[0] = get_num_groups(0) / 0; // line 6
        out[1] = group();
    }}
"""
    whole = NDRange((0,), (1,), (1,))
    for text in (source, rewritten(source).text):
        result = native.run(text, "", 16, [])
        assert re.findall(r":(\d+):\d+: division by zero", result.log) == ["6"]
    wrong = rewritten(source).text.replace("out[1]", "missing[1]")
    result = native.run(wrong, "", 16, [(whole, [])])
    assert re.search(r":7:\d+: use of undeclared identifier 'missing'", result.error)


# Programs that are drawn


# Dimensions are constants, as PoCL crashes on some that are computed, rewritten or not.
_VALUES = st.sampled_from(
    [
        *(f"{f}({d})" for f in ("get_group_id", "get_num_groups") for d in range(3)),
        *(f"{f}(1)" for f in ("get_global_size", "get_global_offset", "get_global_id")),
        "get_local_id(0)",
        "x",
        "3",
    ]
)
_OPERATORS = st.sampled_from(["+", "*", "^", ",", "? 5 :"])


def _values(known: Sequence[str]) -> st.SearchStrategy[str]:
    """Expressions that may call functions that are known."""
    forms = st.sampled_from(
        ["({} + 7)", "get_group_id(({}, 1))", *(f"{name} ({{}})" for name in known)]
    )

    def extended(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        called = st.builds(str.format, forms, inner)
        return called | st.builds("({} {} {})".format, inner, _OPERATORS, inner)

    return st.recursive(_VALUES, extended, max_leaves=5)


@st.composite
def _programs(draw: st.DrawFn) -> str:
    """Functions, each of which may call those before it, and a kernel."""
    pieces: list[str] = []
    names = ("f", "g", "h")
    for i, name in enumerate(names):
        value = draw(_values(names[:i]))
        blank = draw(st.sampled_from(["", " ", "\n"]))
        shadow = ""
        if "get_global_size" not in value and draw(st.booleans()):
            shadow = "ulong get_global_size = x; x += get_global_size; "
        if draw(st.booleans()):
            pieces.insert(0, f"ulong {name}{blank}(ulong);")
        pieces.append(
            f"ulong {name}{blank}(ulong x{blank}){blank}{{ {shadow}return {value}; }}"
        )
    asked = ("x + 1", *(f"{name}(x)" for name in names))
    pieces.append(f"kernel void k({PARAMETERS}) {{ ulong x = 1;\n{writes(asked)}}}")
    return "\n".join(pieces)


@settings(max_examples=40, deadline=None)
@given(_programs(), st.sampled_from(sorted(SHAPES)))
def test_drawn_programs_write_the_same_in_parts(
    native: NativeLaunches, source: str, shape: str
) -> None:
    assert_parts_write_the_same(native, source, SHAPES[shape], 4, counts=(3,))
