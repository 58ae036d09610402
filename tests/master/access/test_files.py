"""Which file an #include names, as a compiler would find it."""

from __future__ import annotations

from typing import Any

import pytest

from master.access.files import Files

FILES: list[Any] = [
    ["file", "/i/x.h", b"1\xff"],
    ["file", "/j/x.h", b"2"],
    ["file", "/j/sub/y.h", b"3"],
    ["file", "/far/away/z.h", b"4"],
    ["file", "/far/w.h", b"5"],
    ["folder", "/i/empty", b""],
    ["link", "/i/link", b"/far/away"],
    ["link", "/i/z.h", b"/far/away/z.h"],
]


@pytest.mark.parametrize(
    ("name", "beside", "path"),
    [
        ("x.h", None, "/i/x.h"),
        ("x.h", "/j", "/j/x.h"),
        ("../x.h", "/j/sub", "/j/x.h"),
        ("sub/y.h", None, "/j/sub/y.h"),
        ("y.h", None, None),
        ("y.h", "/j/sub", "/j/sub/y.h"),
        ("./x.h", None, "/i/x.h"),
        ("empty/../x.h", None, "/i/x.h"),
        ("sub/../x.h", None, "/j/x.h"),
        ("none/../x.h", None, None),
        ("link/z.h", None, "/far/away/z.h"),
        ("link/../w.h", None, "/far/w.h"),
        ("z.h", None, "/far/away/z.h"),
        ("/far/w.h", None, "/far/w.h"),
        ("/far/none.h", None, None),
        ("sub", None, None),
        ("sub/..", None, None),
        ("", None, None),
    ],
)
def test_what_a_name_means(name: str, beside: str | None, path: str | None) -> None:
    found = Files(["/i", "/j"], FILES).find(name, beside)
    assert (found and found[0]) == path


def test_a_file_that_is_a_link_includes_from_where_the_link_is() -> None:
    assert Files(["/i"], FILES).find("z.h", None) == ("/far/away/z.h", "/i")
    assert Files(["/i"], FILES).find("link/z.h", None) == ("/far/away/z.h", "/far/away")


def test_a_text_is_one_character_a_byte() -> None:
    assert Files(["/i"], FILES).text("/i/x.h") == "1ÿ"
