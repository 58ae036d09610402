"""A text that still holds something to preprocess isn't read; lines are counted as #line says."""

from __future__ import annotations

import pytest

from master.access.analyser import text as subject
from master.access.analyser.text import Lines, Unreadable, checked_text


def test_lines_go_on_from_each_directive() -> None:
    text = b'a\n#line 10\nb\nc\n# 3 "x.h"\nd\n#line 20 "<program source>"\ne'
    lines = Lines(text)
    assert [lines.at(text.index(part)) for part in (b"a", b"b", b"c")] == [1, 10, 11]
    assert lines.at(text.index(b"d\n")) == 3 and lines.at(len(text) - 1) == 20
    assert lines.unreadable(text.index(b"d\n"), "why").reason == "why in x.h"
    assert lines.unreadable(len(text) - 1, "why").reason == "why"
    assert lines.of(3) == 10 and lines.of(99) == 20


def test_comments_become_blanks_and_nothing_moves() -> None:
    text = 'a /* b\n c */ d // e\n"/* f */"\n'
    found, _ = checked_text(text)
    assert found == b'a     \n      d     \n"/* f */"\n\n'


@pytest.mark.parametrize(
    "text",
    [
        "#define A",
        "#if 1\n#endif",
        "#pragma omp",
        "a # b",
        "/* */ #line 3",
        "a \\\n b",
        "a ?" "?= b",
        "%: b",
        "'a",
        '"a\n"',
        "/* a",
        "a \u00e9 b",
        "a \ud800 b",
        "__attribute__((ext_vector_type(4)))",
        "__attribute__((aligned(4), address_space(1)))",
        "__attribute((packed))",
        "[[x]]",
        "asm volatile",
        "_Pragma",
        "__FILE__",
    ],
)
def test_what_is_left_to_preprocess_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        checked_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "#pragma unroll",
        "#pragma unroll(4)",
        "#pragma OPENCL EXTENSION cl_khr_fp64 : enable",
        "__attribute__((aligned(sizeof(int)), __packed__))",
        "a[b[0]]",
        '"goto # \\" ??" \'"\'',
        "gotos _asm",
    ],
)
def test_all_else_is_read(text: str) -> None:
    assert checked_text(text)[0] == text.encode() + b"\n"


def test_a_long_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "text_chars_max", 10)
    with pytest.raises(Unreadable, match="more than 10 characters"):
        checked_text("a" * 11)
