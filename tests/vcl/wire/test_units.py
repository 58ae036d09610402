"""What is a unit and what isn't, and where paths with links lead."""

from __future__ import annotations

from typing import Any

import pytest

from vcl.errors import RemoteProtocolError
from vcl.wire.limits import path_bytes_max, source_bytes_max, source_files_max
from vcl.wire.units import check_unit, is_path, real_path, unit_bytes

UNIT: list[Any] = [
    "source", "-w", ["/", "/a b"],
    [["file", "/a b/x.h", b"\xff"], ["folder", "/c", b""], ["link", "/d", b"/c"]],
]  # fmt: skip


def test_a_unit_and_its_size() -> None:
    check_unit(UNIT)
    check_unit(["", "", [], []])
    assert unit_bytes(UNIT) == 8 + 1 + 4 + 8 + 1 + 2 + 2 + 2


@pytest.mark.parametrize(
    "unit",
    [
        None,
        [],
        ["", ""],
        [1, "", [], []],
        ["", b"", [], []],
        ["", "", ["relative"], []],
        ["", "", [1], []],
        ["", "", [], {}],
        ["", "", [], [["file", "/a"]]],
        ["", "", [], [["pipe", "/a", b""]]],
        ["", "", [], [["file", "/a", "text"]]],
        ["", "", [], [["folder", "/a", b"text"]]],
        ["", "", [], [["file", "/", b""]]],
        ["", "", [], [["link", "/a", b"../b"]]],
        ["", "", [], [["link", "/a", b"/b/../../c"]]],
        ["", "", [], [["link", "/a", b"/\xff"]]],
        ["", "", [], [["file", "/../../etc/passwd", b""]]],
        ["", "", [], [["file", "/a", b""], ["link", "/a", b"/b"]]],
        ["", "", [], [["folder", f"/{i}", b""] for i in range(source_files_max + 1)]],
        ["x", "", [], [["file", "/a", bytes(source_bytes_max)]]],
    ],
)
def test_what_is_no_unit(unit: Any) -> None:
    with pytest.raises(RemoteProtocolError):
        check_unit(unit)


@pytest.mark.parametrize(
    "path",
    ["", "a", "/a/", "//a", "/a//b", "/.", "/a/..", "/../a", "/a\0b", "/\udcff", b"/a", None,
     "/" + "a" * path_bytes_max],
)  # fmt: skip
def test_what_is_no_path(path: Any) -> None:
    assert not is_path(path)


@pytest.mark.parametrize("path", ["/", "/a", "/...", "/a b/ü.h", "/a\\b", "/a\n"])
def test_paths(path: str) -> None:
    assert is_path(path)


@pytest.mark.parametrize(
    ("path", "real"),
    [
        ("/a/b", "/a/b"),
        ("/a/./b/../c", "/a/c"),
        ("/../../a", "/a"),
        ("/", "/"),
        ("/link/x", "/far/away/x"),
        ("/link/../x", "/far/x"),
        ("/twice/x", "/far/away/x"),
        ("/round/x", None),
    ],
)
def test_where_paths_lead(path: str, real: str | None) -> None:
    links = {"/link": "/far/away", "/twice": "/link", "/round": "/round"}
    assert real_path(path, links) == real


def test_a_path_through_what_is_not_there_leads_nowhere() -> None:
    assert real_path("/a/b/../x", {}, {"", "/a", "/a/b"}) == "/a/x"
    assert real_path("/a/c/../x", {}, {"", "/a", "/a/b"}) is None
    assert real_path("/a/c/x", {}, {"", "/a"}) is None
