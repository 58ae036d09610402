"""The preprocessor gives what C says, or refuses; and it tells what a program looked at."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from master.access.analyser import expand as subject
from master.access.analyser.expand import expand
from master.access.analyser.frontend import parse
from master.access.analyser.lexer import Lexer
from master.access.analyser.text import Lines, Unreadable, checked_text
from master.access.files import Files


def words(
    source: str, options: str = "", headers: Mapping[str, str] | None = None, **macros: str
) -> str:
    """The expanded text without its lines."""
    files = [["file", f"/i/{name}", text.encode()] for name, text in (headers or {}).items()]
    text = expand(source, options, Files(["/i"], files), macros).text
    return " ".join(re.sub(r"(?m)^#line.*$", "", text).split())


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("#define N 3\nint a[N];", "int a[3];"),
        ("#define F(x, y) x + y\nF(1, (2, 3))", "1 + (2, 3)"),
        ("#define F(x) #x\nF( a  b )", '"a b"'),
        ('#define F(x) #x\nF("a\\n")', '"\\"a\\\\n\\""'),
        ("#define C(a, b) a##b\nC(get_, id)", "get_id"),
        ("#define C(a, b) a ## b\n#define D(a, b) C(a, b)\n#define X 1\nD(f, X) C(f, X)", "f1 fX"),
        ("#define A A B\n#define B A\nA", "A A"),
        ("#define f(x) x\nf (\n1\n)", "1"),
        ("#define f(x) x\nf", "f"),
        ("#define f(x) <x>\n#define g(x) x\ng(f)\n(1)", "<1>"),
        ("#define f(x) <x>\n#define g f\na g\n(1); f(a; b\n\n c;\n)", "a <1>; <a; b c;>"),
        ("#define E 2.7\n1.0E-5f 1E5f 0x1p3 E", "1.0E-5f 1E5f 0x1p3 2.7"),
        ("#define f(x) x\n1.f + 2.f", "1.f + 2.f"),
        ("#define NEG -1\nx = -NEG; y-NEG", "x = - -1; y- -1"),
        ("#define P +\n+P a P+ b", "+ + a + + b"),
        ("#define LT <\na LT< b", "a < < b"),
        ("#define X x\nX.y 1 .X", "x.y 1 .x"),
        ("#define V(...) f(__VA_ARGS__)\nV(1, 2)", "f(1, 2)"),
        ("#if 1 + 1 == 2 && !defined(A)\nyes\n#else\nno\n#endif", "yes"),
        ("#ifdef A\na\n#elif 0\nb\n#elif defined B || 1\nc\n#else\nd\n#endif", "c"),
        ("#if 0\n#if 1\na\n#endif\n#error no\n#include <none>\n#endif\nb", "b"),
        ("#define A 1\n#undef A\nA", "A"),
        ("a /* b\n c */ d // e\nf", "a d f"),
        ("#define A 1 /* x\n */ + 2\nA", "1 + 2"),
        ("#define A 1 + \\\n 2\nA", "1 + 2"),
        ("in\\\nt a;", "int a;"),
        ('"a // b" \'"\' "/*"', '"a // b" \'"\' "/*"'),
        ("#pragma OPENCL FP_CONTRACT ON\na", "#pragma OPENCL FP_CONTRACT ON a"),
        ("#define N 4\n#pragma unroll N\na", "#pragma unroll 4 a"),
        ("# define A 1\n#\n  #  ifdef A\nA\n#endif", "1"),
        ("a ^= b; a <<= 1; a->b...", "a ^= b; a <<= 1; a->b..."),
    ],
)
def test_expansion(source: str, expected: str) -> None:
    assert words(source) == expected


def test_options() -> None:
    options = "-D A -DB=3 -D C(x)=x+1 -D D=4 -UD -cl-fast-relaxed-math"
    assert words("A B C(2) D", options) == "1 3 2+1 D"
    assert words("E;", "-DE=") == ";"


def test_included_files() -> None:
    headers = {
        "a.h": "#pragma once\nint a;\n#include \"sub/b.h\"\n",
        "sub/b.h": "#include \"c.h\"\nint b;\n",
        "sub/c.h": "#ifndef C\n#define C\nint c;\n#endif\n",
    }
    found = words('#include "a.h"\n#include <a.h>\n#include <sub/c.h>\nint d;', headers=headers)
    assert found == "int a; int c; int b; int d;"
    assert words("#define H <a.h>\n#include H\n", headers={"a.h": "x"}) == "x"


def test_lines_and_files_are_kept() -> None:
    files = Files(["/i"], [["file", "/i/a.h", b"\n\nint a;\n"]])
    source = (
        '#include "a.h"\n/*\n\n\n*/ int b; \\\n int c;\nint d;\n'
        + "\n" * 30
        + "#define TWO(x) x \\\n x\nTWO(int e;) TWO(\n\nint f;) int g;\nint h;\n"
    )
    text = expand(source, "", files).text
    cleaned, lines = checked_text(text)
    at = {name: lines.at(cleaned.index(b"int %c;" % ord(name))) for name in "abcdefgh"}
    assert at == {"a": 3, "b": 2, "c": 2, "d": 7, "e": 40, "f": 40, "g": 40, "h": 43}
    assert "in /i/a.h" in lines.unreadable(cleaned.index(b"int a"), "x").reason
    assert " in " not in lines.unreadable(cleaned.index(b"int b"), "x").reason


def test_what_a_program_looks_at_is_told() -> None:
    source = """
    #define OWN 1
    #ifdef cl_khr_fp64
    #endif
    #ifndef cl_khr_fp16
    #endif
    #if OWN && defined(__NV__) || __OPENCL_VERSION__ >= 120 || UNKNOWN > 2
    #endif
    #ifdef OWN
    #endif
    #if 0 && NEVER
    #elif 0
    #endif
    int a = __ENDIAN_LITTLE__ + UNSEEN;
    """
    given = dict.fromkeys(("cl_khr_fp64", "__ENDIAN_LITTLE__", "other"), "1")
    given["__OPENCL_VERSION__"] = "200"
    looked_at = expand(source, "-DOPTION", None, given).looked_at
    named = "cl_khr_fp64 cl_khr_fp16 __NV__ __OPENCL_VERSION__ UNKNOWN __ENDIAN_LITTLE__"
    assert looked_at - {"NEVER"} == set(named.split())


@pytest.mark.parametrize(
    ("source", "options", "line", "reason"),
    [
        ('\n#include "no.h"', "", 2, '"no.h" did not come with the program'),
        ("#include\n", "", 1, "#include of nothing"),
        ("\n#error why\n", "", 2, "#error why"),
        ("#line 7\n", "", 1, "#line 7"),
        ("#if 1\n", "", 0, "unterminated"),
        ("#endif\n", "", 1, "misplaced #endif"),
        ("#if 1 +\n#endif", "", 1, "could not evaluate"),
        ("#if __has_include(<a>)\n#endif", "", 0, ""),
        ("#define f(x) x\nf(1\n", "", 2, "not closed"),
        ("#define f(x) x\nf(1, 2)\n", "", 2, "requires 1 arguments"),
        ("#define f(x) x\nf(\n#define A\n1)", "", 2, "not closed"),
        ("#define f(x, y) x##y\nf(,)", "", 1, "empty"),
        ("a ` b", "", 1, "'`' is not read"),
        ("\n\na $ b", "", 3, "'$' is not read"),
        ("a /* b", "", 1, "not closed"),
        ('a "b', "", 1, "not closed"),
        ("a ??= b", "", 1, "is not read"),
        ("a <: b", "", 1, "is not read"),
        ("é", "", 1, "is not read"),
        ("a \\ b", "", 0, ""),
        ("", "-DA=\"x\"", 0, "quotes"),
        ("", "-D 1=2", 0, "is not read"),
        ("#define A B\n#define B A\n" + "#if 1\n" * 3, "", 0, "unterminated"),
    ],
)
def test_refusals(source: str, options: str, line: int, reason: str) -> None:
    with pytest.raises(Unreadable) as raised:
        parse(expand(source, options).text, "")
    assert reason in raised.value.reason
    assert raised.value.line == line or not line


def test_a_fault_in_an_included_file_names_it() -> None:
    files = Files(["/i"], [["file", "/i/a.h", b"\n#error why\n"]])
    with pytest.raises(Unreadable, match=r"line 2: #error why in /i/a\.h"):
        expand('#include "a.h"\n', "", files)


@pytest.mark.parametrize(
    "source",
    [
        "#define A0 x\n" + "".join(f"#define A{i + 1} A{i} A{i}\n" for i in range(60)) + "A60\n",
        "#define A0 x\n" + "".join(f"#define A{i + 1} A{i}\n" for i in range(2000)) + "A2000\n",
        "#define f(x) x x x x x x x x\n" + "f(" * 12 + "y" + ")" * 12,
        '#include "self.h"\n',
        '#include "twice.h"\n',
    ],
)
def test_what_never_ends_is_refused_soon(source: str) -> None:
    texts = {"self.h": '#include "self.h"\n', "twice.h": '#include "twice.h"\n' * 2}
    files = Files(["/i"], [["file", f"/i/{name}", text.encode()] for name, text in texts.items()])
    start = time.process_time()
    with pytest.raises(Unreadable):
        expand(source, "", files)
    assert time.process_time() - start < 20


def test_a_long_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "text_chars_max", 100)
    with pytest.raises(Unreadable, match="too much"):
        expand("int a;\n" * 100, "")


_TOKENS = st.sampled_from("a b1 1 .5 1e5 + - ++ -> < << = == & && . , ( ) [ ] \"s\" 'c' /".split())


@given(st.lists(_TOKENS, min_size=1, max_size=12))
def test_tokens_from_macros_stay_apart(tokens: list[str]) -> None:
    """However they are put together, what comes out are the same tokens."""
    source = "".join(f"#define M{i} {token}\n" for i, token in enumerate(tokens))
    source += "".join(f"M{i}/**/" for i in range(len(tokens))) + "\n"
    for text in (source, "#define Z\n" + source.replace("/**/", " Z ")):
        lexer = Lexer()
        lexer.input(re.sub(r"(?m)^#line.*$", "", expand(text, "").text))
        assert [token.value for token in lexer if not token.value.isspace()] == tokens


_LINES = st.sampled_from(
    """#define A x
#define B A
#define F(x) <x>
#define G F
#define H(x, y) x##y F(x)
#define S(x) #x
#define OPEN F(
#define NONE
#define I(x) x
#undef A
#undef F
#if 1
#ifdef A
#else
#endif
A;
F(A);
F(a; b);
F(
A
)
(A)
G
G;
G(1)
I(G)
G (A) F
H(A, B) +
H(A,
B) {
OPEN 1);
NONE (2)
  int b = 3;
if (A)
F "A" F('A');
x.A, A . F
b # A
b / /A""".split("\n")
)


@given(st.lists(_LINES, max_size=14))
def test_lines_that_are_not_taken_apart_change_nothing(lines: list[str]) -> None:
    """What comes out, or is refused, is what it is if every line is taken apart."""

    def outcome() -> object:
        try:
            found = expand("\n".join(lines), "", None, {"b": "c"})
        except Unreadable as error:
            return error.line, error.reason
        lexer = Lexer()
        lexer.input(re.sub(r"(?m)^#line.*$", "", found.text))
        words = [token.value for token in lexer if not token.value.isspace()]
        where = Lines(found.text.encode() + b"\n")
        numbers = [where.at(match.start()) for match in re.finditer(r"(?m)^(?!#line).", found.text)]
        return words, numbers, found.looked_at

    given = outcome()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subject, "LineLexer", Lexer)
        assert given == outcome()


def test_lines_without_macros_are_not_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    apart: list[str] = []
    taken_apart = subject.taken_apart
    monkeypatch.setattr(
        subject, "taken_apart", lambda line: apart.append(line.value) or taken_apart(line)
    )
    text = "#define F(x) x\na b;\nF(1,\n2,\n3)\n;\n  f(c);\nF\n(1) + F\n;\nd\n"
    assert words(text.replace("1,\n2,\n3", "(1,\n2,\n3)")) == "a b; (1, 2, 3) ; f(c); 1 + F ; d"
    assert apart == ["F((1,", "2,", "3))", ";", "F", "(1) + F", ";"]
