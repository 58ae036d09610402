"""What is read has the tree that it should have; what is not understood is refused, and where.

Long because each kind of node and each refusal has its case.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from master.access import tree
from master.access.analyser.frontend import Parsed, parse
from master.access.analyser.text import Unreadable
from master.access.tree import Space

INT, UINT, LONG = tree.Scalar(32, True), tree.Scalar(32, False), tree.Scalar(64, True)
ULONG, CHAR, BOOL = tree.Scalar(64, False), tree.Scalar(8, True), tree.Scalar(1, False)
FLOAT, DOUBLE = tree.Scalar(32, True, True), tree.Scalar(64, True, True)

HEAD = """
struct S { char c; int i; float4 v; union { int u; float f; }; int a[3]; };
__constant int table[] = {1, 2, 3};
int g(int n) { return n; }
"""
PARAMETERS = "global int *a, global float4 *v, global struct S *s, int n, float x"


def body(text: str, parameters: str = PARAMETERS, options: str = "") -> tuple[tree.Statement, ...]:
    program = parse(f"{HEAD}kernel void k({parameters}) {{ {text} }}", options)
    return program.functions["k"].body.statements


def value(text: str, options: str = "") -> tree.Expression:
    """Of an expression whose value is used."""
    (statement,) = body(f"if ({text}) ;", options=options)
    assert isinstance(statement, tree.If)
    return statement.condition


def effect(text: str) -> tree.Expression:
    (statement,) = body(f"{text};")
    assert isinstance(statement, tree.Express)
    return statement.expression


def literal(number: float, kind: tree.Scalar = INT) -> tree.Literal:
    return tree.Literal(kind, 0, number)


def variable(name: str, program: tree.Program) -> tree.Declared:
    (found,) = [declared for declared in program.variables if declared.name == name]
    return found


@pytest.mark.parametrize(
    ("text", "kind", "number"),
    [
        ("7", INT, 7),
        ("017", INT, 15),
        ("0x80000000", UINT, 2**31),
        ("3000000000", LONG, 3_000_000_000),
        ("0xffffffffffffffff", ULONG, 2**64 - 1),
        ("5ul", ULONG, 5),
        ("'a'", INT, 97),
        ("'\\n'", INT, 10),
        ("true", BOOL, 1),
        ("false", BOOL, 0),
        ("1.5f", FLOAT, 1.5),
        ("0.1f", FLOAT, 0.10000000149011612),
        (".5", DOUBLE, 0.5),
        ("0x1.8p1f", FLOAT, 3.0),
        ("sizeof(int)", ULONG, 4),
        ("sizeof(struct S)", ULONG, 48),
        ("sizeof(float3)", ULONG, 16),
        ("M_PI", DOUBLE, 3.141592653589793),
        ("INFINITY", FLOAT, float("inf")),
        ("INT_MAX", INT, 2**31 - 1),
    ],
)
def test_literals(text: str, kind: tree.Scalar, number: float) -> None:
    assert value(text) == literal(number, kind)


def test_a_constant_of_an_enum_is_a_literal_but_for_those_that_each_device_chooses() -> None:
    program = parse("enum { A = -3 }; kernel void k(int n) { if (A) barrier(n); }", "")
    (statement,) = program.functions["k"].body.statements
    assert isinstance(statement, tree.If) and statement.condition == literal(-3)
    call = effect("barrier(CLK_LOCAL_MEM_FENCE)")
    assert isinstance(call, tree.Call)
    (argument,) = call.arguments
    assert isinstance(argument, tree.Cast)
    assert argument.value == tree.Named(INT, 0, "CLK_LOCAL_MEM_FENCE")


@pytest.mark.parametrize("operator", "* / % + - << >> < > <= >= == != & ^ | && ||".split())
def test_binary_operators(operator: str) -> None:
    found = value(f"n {operator} 2")
    assert isinstance(found, tree.Binary) and found.operator == operator and found.type == INT
    assert isinstance(found.left, tree.Variable) and found.right == literal(2)


@pytest.mark.parametrize("operator", "* / % + - << >> & ^ |".split())
def test_compound_assignments(operator: str) -> None:
    found = effect(f"a[(n)] {operator}= (2)")
    assert isinstance(found, tree.Assign) and found.operator == operator
    assert isinstance(found.target, tree.Subscript) and found.value == literal(2)


@pytest.mark.parametrize("operator", "+ - ~ !".split())
def test_unary_operators(operator: str) -> None:
    found = value(f"{operator} (n)")
    assert isinstance(found, tree.Unary) and found.operator == operator


@pytest.mark.parametrize(
    ("text", "by", "prefix"),
    [("n++", 1, False), ("++n", 1, True), ("(n)--", -1, False), ("--(n)", -1, True)],
)
def test_increments(text: str, by: int, prefix: bool) -> None:
    found = effect(text)
    assert isinstance(found, tree.Increment) and (found.by, found.prefix) == (by, prefix)


def test_memory_is_reached_by_subscripts_pointers_and_members() -> None:
    found = value("*(a + n)")
    assert isinstance(found, tree.Dereference) and isinstance(found.pointer, tree.Binary)
    assert found.pointer.type == tree.Pointer(INT, Space.GLOBAL, False, False, 8)
    swapped, straight = value("n[a]"), value("a[n]")
    assert swapped == straight and isinstance(straight, tree.Subscript)
    through = value("s->i")
    assert isinstance(through, tree.Member) and through.offset == 4 and through.through_pointer
    direct = value("s[1].i")
    assert isinstance(direct, tree.Member) and not direct.through_pointer
    anonymous = value("s->f > 0")
    assert isinstance(anonymous, tree.Binary)
    assert isinstance(anonymous.left, tree.Member) and anonymous.left.offset == 32
    address = effect("vload4(0, &s->c)")
    assert isinstance(address, tree.Call)
    assert any(isinstance(part, tree.AddressOf) for part in _parts(address))


@pytest.mark.parametrize(
    ("text", "lanes"),
    [
        ("v->x", (0,)),
        ("v[n].w", (3,)),
        ("v[n].s3", (3,)),
        ("v[n].zyx", (2, 1, 0)),
        ("v[n].s1F", None),
        ("v[n].S03", (0, 3)),
        ("v[n].lo", (0, 1)),
        ("v[n].hi", (2, 3)),
        ("v[n].odd", (1, 3)),
        ("(v[n]) . even", (0, 2)),
        ("v[n].s012.hi", (2, 3)),
        ("((float4)(x)).y", (1,)),
    ],
)
def test_lanes(text: str, lanes: tuple[int, ...] | None) -> None:
    if lanes is None:
        with pytest.raises(Unreadable):
            value(f"any(isnan({text}))")
        return
    inner = _parts(value(f"isnan({text}).x" if len(lanes) > 1 else text))
    assert lanes in [part.lanes for part in inner if isinstance(part, tree.Lanes)]


def test_casts_say_whether_they_are_implicit_and_fill_vectors() -> None:
    found = effect("v[n] = (float4)(n)")
    assert isinstance(found, tree.Assign)
    assert isinstance(found.value, tree.Cast) and not found.value.implicit
    assert found.value.type == tree.Vector(FLOAT, 4)
    assert isinstance(found.value.value, tree.Cast) and found.value.value.implicit
    widened = value("n + 1L")
    assert isinstance(widened, tree.Binary) and isinstance(widened.left, tree.Cast)
    assert widened.left.type == LONG and widened.left.implicit


def test_composed_values() -> None:
    found = effect("v[n] = (float4)(x, v[0].xy, 1)")
    assert isinstance(found, tree.Assign) and isinstance(found.value, tree.Compose)
    assert [type(part) for part in found.value.values] == [tree.Variable, tree.Lanes, tree.Cast]
    (declared,) = body("int t[3] = {n, 2};")
    assert isinstance(declared, tree.Declare) and isinstance(declared.initial, tree.Compose)
    assert len(declared.initial.values) == 2 and declared.initial.type == tree.Array(INT, 3)
    (nested,) = body("struct { int p; char q[2]; } t = {1, {2, 3}};")
    assert isinstance(nested, tree.Declare) and isinstance(nested.initial, tree.Compose)
    inner = nested.initial.values[1]
    assert isinstance(inner, tree.Compose)
    assert inner.values[0] == tree.Cast(CHAR, 0, literal(2), True)


@pytest.mark.parametrize(
    ("text", "used"),
    [
        ("g(n)", [False]),
        ("(void)g(n)", [False]),
        ("((g((n))))", [False]),
        ("g(g(n))", [False, True]),
        ("g(n), g(n)", [False, False]),
        ("n ? g(1) : g(2)", [False, False]),
        ("n = g(n)", [True]),
        ("n = (g(1), g(2))", [False, True]),
        ("g(n) + 1", [True]),
    ],
)
def test_calls_say_whether_their_result_is_used(text: str, used: list[bool]) -> None:
    calls = [part for part in _parts(effect(text)) if isinstance(part, tree.Call)]
    assert [call.used for call in calls] == used


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


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("int t[4]; t[n] = 1;", False),
        ("int t[4]; int *p = t;", True),
        ("int t[4]; int *p = &t[1];", True),
        ("int t[4]; *t = 1;", True),
        ("int t[2][2]; t[n][1] = 1;", False),
        ("int t[2][2]; int *p = t[1];", True),
        ("struct S t; t.a[n] = 1;", False),
        ("struct S t; int *p = t.a;", True),
        ("struct S t; int *p = &t.i;", True),
        ("float4 t; float *p = (float *)&t;", True),
        ("int t[4], u = 1; t[g((int)(&u != 0))] = 1; int *p = t;", True),
        ("int *t = 0; int *p = &t[1];", False),
    ],
)
def test_whose_address_is_taken(text: str, taken: bool) -> None:
    program = parse(f"{HEAD}kernel void k({PARAMETERS}) {{ {text} }}", "")
    assert variable("t", program).address_taken is taken
    assert "u" not in [v.name for v in program.variables] or variable("u", program).address_taken


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
    first = next(part for part in _parts(result) if isinstance(part, tree.Subscript))
    assert isinstance(first.base, tree.Variable)
    for refused in ("t + 1", "t++", "n ? t : t"):
        with pytest.raises(Unreadable):
            parse(f"int f(int t[4], int n) {{ return *({refused}); }}", "")


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


def test_builtins_that_are_called_are_named() -> None:
    program = parse("kernel void k(int n) { printf(\"%d\", n); as_float(n); sin(1.0f); }", "")
    assert program.builtins == {"printf", "as_float", "sin"}


REFUSED = {
    "goto end; end: ;": "goto is not read",
    "again: n = 1;": "unknown kind",
    'asm("nop");': "asm is not read",
    "int t[n];": "variable length",
    "size_t p = (size_t)a;": "an address becomes a number",
    "global int *p = (global int *)(size_t)n;": "a number an address",
    "n = ({ n + 1; });": "unknown kind",
    "n = n ?: 2;": "unknown kind",
    "n = __builtin_popcount(n);": "compiler's own",
    "struct { int b : 3; } t; t.b = 1;": "bit-field",
    "int t[2][2] = {1, 2, 3, 4};": "inner braces",
    "int t[2] = {[1] = 3};": "unknown kind",
    "struct S t = {.i = 3};": "unknown kind",
    "n = _Generic(n, int: 1);": "_Generic is not read",
    "switch (n) { case 1 ... 3: break; }": "unknown kind",
    "__typeof__(n) t;": "__typeof__ is not read",
    "n = undeclared;": "doesn't compile",
    "undeclared();": "doesn't compile",
    "int later(int); n = later(1);": "",
    "__attribute__((annotate(\"x\"))) int t;": "is not known",
    "v[n] = __builtin_shufflevector(v[0], v[1], 0, 1, 2, 3);": "unknown kind",
    "v[n] = __builtin_astype(v[0], float4);": "unknown kind",
    "n = __LINE__;": "__LINE__ is not read",
    "n = a[[0]];": "",
    "n = '\\\n';": "",
    "extern int t;": "extern is not read",
    "n = __real__ n;": "",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(Unreadable) as raised:
        body(text)
    assert REFUSED[text] in raised.value.reason


@pytest.mark.parametrize(
    ("source", "options", "reason"),
    [
        ("#define A 1\n", "", "#define A 1 is not read"),
        ("/**/ #define A 1\n", "", "# is not read"),
        ("#pragma omp parallel\n", "", "#pragma omp parallel is not read"),
        ("int f(int n);\nkernel void k(int n) { f(n); }", "", "f() has no body here"),
        ("int f(int n);int h(int n) { return f(n); } int f(int n) { return h(n); }", "", "itself"),
        ("int f(int n) { return n ? f(n - 1) : 0; }", "", "f() calls itself"),
        ("kernel void k(global atomic_int *a) {}", "-cl-std=CL2.0", "an atomic type is not read"),
        ("void f(int n, ...) {}", "", ""),
        ("struct N { global struct N *n; }; kernel void k(global struct N *n) {}", "", "its own"),
        ("kernel void k(queue_t q) { int (^b)(void) = ^{ return 1; }; }", "-cl-std=CL2.0", ""),
        ("typedef int v4 __attribute__((ext_vector_type(4)));", "", "is not known"),
        ("kernel void k(int n) {}", "-fancy", "-fancy is not a known option"),
        ("kernel void k(int n) {}", "-cl-std=CLC++", "not a known option"),
        ("kernel void k(int n) {}", "-D", "has no value"),
        ("kernel void k(int n) {}", '-D "a', "build options"),
        ("kernel void k(int n) { n = " + "(" * 5000 + "1" + ")" * 5000 + "; }", "", ""),
        ("kernel void k(int n) { n = " + "-~" * 150 + "1; }", "", "nested too deeply"),
        ("kernel void k(int n) {" + "{" * 230 + "}" * 230 + "}", "", ""),
        ("kernel void k(int n) { n = `; }", "", "` is not read"),
        ("_Static_assert(1, \"\");", "", "_Static_assert is not read"),
        ("long long f(void) { return 1; }", "", ""),
    ],
)
def test_programs_that_are_refused(source: str, options: str, reason: str) -> None:
    with pytest.raises(Unreadable) as raised:
        parse(source, options)
    assert reason in raised.value.reason


PARTLY = """
ulong low(ulong a) { return a & (ulong)(unsigned long long)1; }
int middle(int n) { return (int)low(n); }
struct B { long long b; };
__constant struct B bits = { 1 };
int given(struct B b) { return 1; }
struct B result(int n) { struct B b = { n }; return b; }
int missing(int n);
int self(int n) { return n ? self(n - 1) : 0; }
__constant int fine[] = {1, 2};
int good(int n) { return fine[n & 1]; }
kernel void calls(global int *a) { a[0] = middle(1); }
kernel void names(global int *a) { a[0] = bits.b; }
kernel void points(global int *a) { __constant struct B *p = &bits; a[0] = 1; }
kernel void passes(global int *a) { struct B b; a[0] = given(b); }
kernel void gets(global int *a) { result(1); }
kernel void lacks(global int *a) { a[0] = missing(1); }
kernel void circles(global int *a) { a[0] = self(1); }
kernel void sees(global int *a) { a[0] = good(1) + sizeof(low(1)); }
kernel void alone(global int *a) { int b[2]; global int *p = &a[0]; p[0] = max(1, 2); }
"""
"""Programs that are read in parts: of each kernel the line and reason, or None."""

WHYS = {
    "calls": (2, "the type unsigned long long is not read"),
    "names": (4, "the type long long is not read"),
    "points": (4, "the type long long is not read"),
    "passes": (4, "the type long long is not read"),
    "gets": (4, "the type long long is not read"),
    "lacks": (8, "missing() has no body here"),
    "circles": (9, "self() calls itself, perhaps by way of others"),
    "sees": None,
    "alone": None,
}


@pytest.mark.parametrize("order", [list(WHYS), list(WHYS)[::-1]])
def test_what_cannot_be_read_counts_for_those_that_reach_it(order: list[str]) -> None:
    parsed = Parsed(PARTLY, "")
    assert parsed.kernels == tuple(WHYS) and parsed.functions > set(WHYS)
    for name in [*order, *order]:
        why = WHYS[name]
        if why is None:
            assert name in parsed.program(name).functions
        else:
            with pytest.raises(Unreadable) as raised:
                parsed.program(name)
            assert (raised.value.line, raised.value.reason) == why
    with pytest.raises(Unreadable, match="long long"):
        parsed.program()


def test_a_kernel_has_what_it_reaches_and_nothing_else() -> None:
    parsed = Parsed(PARTLY, "")
    sees, alone = parsed.program("sees"), parsed.program("alone")
    assert list(sees.functions) == ["good", "sees"] and sees.builtins == frozenset()
    assert [sees.variables[one.variable].name for one in sees.globals] == ["fine"]
    assert list(alone.functions) == ["alone"] and alone.builtins == {"max"}
    assert alone.globals == ()


def test_the_first_in_the_text_is_the_reason() -> None:
    text = "void b(void) { int a[2][2] = {1, 2, 3}; }\nvoid d(void) { long long n; }\n"
    parsed = Parsed(f"{text}kernel void k() {{ d(); b(); }}", "")
    with pytest.raises(Unreadable, match=r"^line 1: an initialiser"):
        parsed.program("k")


def test_an_address_is_taken_by_what_is_reached() -> None:
    head = "__constant int t[] = {1, 2};\n"
    takes = "kernel void takes(global int *a) { __constant int *p = t; a[0] = p[1]; }\n"
    reads = "kernel void reads(global int *a) { a[0] = t[1]; }\n"
    parsed = Parsed(head + takes + reads, "")
    assert variable("t", parsed.program("takes")).address_taken
    assert not variable("t", parsed.program("reads")).address_taken
    assert variable("t", parsed.program()).address_taken


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


def _parts(node: object) -> Iterator[object]:
    yield node
    for name in getattr(node, "__dataclass_fields__", {}):
        if name != "type":
            inner = getattr(node, name)
            for part in inner if isinstance(inner, tuple) else (inner,):
                yield from _parts(part)
