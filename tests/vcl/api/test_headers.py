"""Which files travel with a source: all that its compiler may ask for, as they are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from vcl.api import headers
from vcl.api.headers import make_unit, split_options
from vcl.errors import INVALID_VALUE, CallError
from vcl.wire.units import GIVEN


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, and a folder of -I with headers a.h and b.h."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    inc = tmp_path / "inc"
    (inc / "deep").mkdir(parents=True)
    (inc / "a.h").write_text("int a;\n")
    (inc / "b.h").write_text("int b;\n")
    (inc / "deep" / "c.h").write_text("int c;\n")
    return inc


def unit_of(source: str, folder: Path, options: str = "", given: Any = None) -> list[Any]:
    return make_unit("clBuildProgram", source, f'{options} -I "{folder}"', given)


def found(source: str, folder: Path, options: str = "", given: Any = None) -> list[str]:
    """What travels, relative to the folder; links and folders marked."""
    marks = {"file": "", "link": "@", "folder": "/"}
    return [
        os.path.relpath(path, folder) + marks[kind]
        for kind, path, _ in unit_of(source, folder, options, given)[3]
    ]


@pytest.mark.parametrize(
    "source",
    [
        '#include "a.h"',
        "#include <a.h>",
        '#include "a.h" /* two\nlines */',
        '# /* x */ include /* y */ "a.h" // z',
        '/* x\n */ #include "a.h"',
        '#include /* x\n */ "a.h"',
        '#inc\\\nlude \\ \n "a\\\n.h"',
        '#include \\\r\n"a.h"\r\n',
        '#if 0\n#include "a.h"\n#endif',
        '/* #include "a.h" */',
        '#import "a.h"',
        "#include_next <a.h>",
        '%:include "a.h"',
        '#define H "a.h"\n#include H',
        "#define H <a.h>\n#define G H\n#include G",
        '#define H "none.h"\n#define H "a.h"\n#include H // c',
        '#if __has_include("a.h")\n#endif',
        "#if defined X && 1 < 2 && __has_include(<a.h>)\n#endif",
        "#define HAS __has_include(<a.h>)\n#if HAS\n#endif",
        '#define H "a.h"\n#if __has_include(H)\n#endif',
        '#include "deep/../a.h"',
        '#include "none.h"\n#include "a.h"',
    ],
)
def test_a_name_is_found(folder: Path, source: str) -> None:
    assert [name for name in found(source, folder) if name != "deep/"] == ["a.h"]


@pytest.mark.parametrize("option", ['-DH="a.h"', "-DH=<a.h>", '-DH=\\"a.h\\"', '-D H="\\"a.h\\""',
                                    "'-DH=\"a.h\"'", "-DG=H -DH=<a.h>"])  # fmt: skip
def test_a_name_in_an_option_is_found(folder: Path, option: str) -> None:
    assert found("#include H" if "G" not in option else "#include G", folder, option) == ["a.h"]


@pytest.mark.parametrize("source", ["", "int a;", 'char *s = "a.h";', '#define H "a.h"',
                                    "// a.h is important", '#include "none.h"'])  # fmt: skip
def test_nothing_travels_that_need_not(folder: Path, source: str) -> None:
    unit = unit_of(source, folder, "-w")
    assert unit == [source, "-w", [], []]


@pytest.mark.parametrize(
    "source",
    [
        "#define STR(x) #x\n#include STR(a.h)",
        "#include H",
        "#define H() <a.h>\n#include H()",
        "#define H <a.h>\n#define H F(a)\n#include H",
        "#define HAS(x) __has_include(x)\n#if HAS(<a.h>)\n#endif",
    ],
)
def test_everything_travels_when_a_macro_makes_the_name(folder: Path, source: str) -> None:
    (folder / "binary").write_bytes(b"\x7fELF\0\0")
    (folder / ".git").mkdir()
    (folder / ".git" / "x.h").write_text("")
    (folder.parent / "outside.h").write_text("")
    (folder / "deep" / "d.h").write_text('#include "../../outside.h"')
    names = ["../outside.h", "a.h", "b.h", "deep/c.h", "deep/d.h"]
    assert sorted(found(source, folder)) == names


def test_folders_that_lead_round(folder: Path) -> None:
    (folder / "deep" / "up").symlink_to(folder)
    assert found("#include H", folder) == ["a.h", "b.h", "deep/c.h"]


def test_files_as_they_are_and_what_they_include(folder: Path) -> None:
    text = b'\xff\xfe\r\n#include "deep/d.h"\r\n'
    (folder / "a.h").write_bytes(text)
    (folder / "deep" / "d.h").write_bytes(b'#include "c.h"\n#include "../b.h"\n#include "../a.h"')
    source = '#include "a.h"\n'
    unit = unit_of(source, folder)
    assert unit[0] == source and unit[2] == [str(folder)]
    assert unit[3][0] == ["file", f"{folder}/a.h", text]
    assert [Path(path).name for _, path, _ in unit[3]] == ["a.h", "b.h", "c.h", "d.h"]


def test_an_empty_header(folder: Path) -> None:
    (folder / "a.h").write_bytes(b"")
    assert unit_of("#include <a.h>", folder)[3] == [["file", f"{folder}/a.h", b""]]


def test_a_macro_s_name_is_searched_beside_the_file_that_uses_it(folder: Path) -> None:
    (folder / "deep" / "user.h").write_text("#include H\n")
    names = found('#define H "c.h"\n#include "deep/user.h"', folder)
    assert names == ["deep/c.h", "deep/user.h"]


def test_the_current_folder_comes_first(folder: Path) -> None:
    Path("a.h").write_text("first")
    for source in ('#include "a.h"', "#include <a.h>"):
        unit = unit_of(source, folder)
        assert unit[2] == [str(Path.cwd()), str(folder)]
        assert [path for _, path, _ in unit[3]] == [f"{Path.cwd()}/a.h", f"{folder}/a.h"]


def test_relative_folders(folder: Path) -> None:
    unit = make_unit("clBuildProgram", "#include <c.h>", "-I ../inc -I../inc/deep")
    assert unit[1:3] == ["", [f"{folder}/deep"]]


def test_absolute_names(folder: Path) -> None:
    unit = make_unit("clBuildProgram", f'#include "{folder}/a.h"', "")
    assert [path for _, path, _ in unit[3]] == [f"{folder}/a.h"]


def test_links(folder: Path) -> None:
    far = folder.parent / "far"
    (far / "away").mkdir(parents=True)
    (far / "away" / "x.h").write_text('#include "../y.h"\n')
    (far / "y.h").write_text("")
    (folder / "link").symlink_to(far / "away")
    (folder / "x.h").symlink_to("link/x.h")
    assert found('#include "link/x.h"', folder) == ["../far/away/x.h", "../far/y.h", "link@"]
    (folder.parent / "y.h").write_text("")
    names = ["../cwd/", "../far/away/x.h", "x.h@", "../y.h"]
    assert found('#include "x.h"', folder) == names, "its own includes are relative to the link"
    other = folder.parent / "other"
    other.symlink_to(folder)
    unit = unit_of('#include "a.h"', other)
    assert unit[2] == [str(other)], "as the user spells it"
    assert [entry[:2] for entry in unit[3]] == [["file", f"{folder}/a.h"], ["link", str(other)]]
    assert unit[3][1][2] == os.fsencode(folder)


def test_a_folder_on_the_way_travels(folder: Path) -> None:
    assert found('#include "deep/../a.h"', folder) == ["a.h", "deep/"]


def test_headers_by_name(folder: Path) -> None:
    given = {"x/g.h": '#include "a.h"\n#include "h.h"', "x/h.h": "", "a.h": "int given;"}
    unit = unit_of('#include "x/g.h"', folder, given=given)
    assert unit[2] == [GIVEN, str(folder)]
    names = [f"{GIVEN}/a.h", f"{GIVEN}/x/g.h", f"{GIVEN}/x/h.h", f"{folder}/a.h"]
    assert sorted(path for _, path, _ in unit[3]) == sorted(names)
    with pytest.raises(CallError, match=r"\.\./g\.h"):
        unit_of("", folder, given={"../g.h": ""})


def test_what_is_no_file(folder: Path) -> None:
    os.mkfifo(folder / "pipe.h")
    (folder / "dangling.h").symlink_to("nowhere")
    names = ("pipe.h", "dangling.h", "deep", "x" * 300, "a\0b", "\udcff", ".", "..", "/")
    assert not found("".join(f'#include "{name}"\n' for name in names), folder)


def test_too_much(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("source_files_max", "source_bytes_max"):
        with monkeypatch.context() as patch:
            patch.setattr(headers, limit, 1)
            with pytest.raises(CallError, match=r"[ab]\.h among them.*narrower") as raised:
                unit_of('#include "a.h"\n#include "b.h"', folder)
            assert raised.value.code == INVALID_VALUE


@pytest.mark.parametrize(
    ("options", "rest", "folders"),
    [
        ("", "", []),
        ("-w  -DA=' x'", "-w  -DA=' x'", []),
        ("-w -I a -Ib -g", "-w -g", ["a", "b"]),
        ('-I "a b" -I"c d" "-Ie f" -I g\\ h', "", ["a b", "c d", "e f", "g h"]),
        ('-DT="\\"-I x\\"" -I a', '-DT="\\"-I x\\""', ["a"]),
        ("-I 'a \"b\"'", "", ["a b"]),
        ("-I", "-I", []),
        ("-I a -D'x", "-D'x", ["a"]),
        ("-cl-mad-enable -Werror", "-cl-mad-enable -Werror", []),
    ],
)
def test_options_without_folders(options: str, rest: str, folders: list[str]) -> None:
    assert split_options(options) == (rest, folders)
