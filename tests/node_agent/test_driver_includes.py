"""The driver with real PoCL: sources with files of folders that this host doesn't have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.node_agent.test_opencl_driver import Rig
from vcl.errors import BUILD_PROGRAM_FAILURE


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    assert made.host.close() == [], "something was told twice"


STORE = "\n__kernel void f(__global int *a) { a[get_global_id(0)] = VALUE; }\n"
HEADER = "#pragma once\n#define VALUE 7\nint once(void) { return 0; }\n"


def files_of(**texts: str | bytes) -> list[list[Any]]:
    """Of /nowhere/inc; x_h is x.h and deep__x_h is deep/x.h."""
    return [
        ["file", f"/nowhere/inc/{name.replace('__', '/').replace('_', '.')}",
         text if isinstance(text, bytes) else text.encode()]
        for name, text in texts.items()
    ]  # fmt: skip


def built_with(rig: Rig, source: str, files: list[list[Any]], options: str = "",
               folders: Any = ("/nowhere/inc",)) -> Any:  # fmt: skip
    return rig.build(source + STORE, options=options, folders=list(folders), files=files)


@pytest.mark.parametrize(
    ("source", "files"),
    [
        ('#include "x.h"', {"x_h": HEADER}),
        ('#ifdef FAST\n#include "x.h"\n#else\n#include "x.h"\n#endif', {"x_h": HEADER}),
        ('/* was:\n#include "y.h"\n*/\n#include "x.h"', {"x_h": HEADER, "y_h": "#error no"}),
        ('#include "x.h" /* two\nlines */', {"x_h": HEADER}),
        ('#define H "x.h"\n#include H', {"x_h": HEADER}),
        ("#define S(x) #x\n#include S(x.h)", {"x_h": HEADER}),
        ('#inc\\\nlude \\\n"x.h"', {"x_h": HEADER}),
        ('#if __has_include("x.h") && !__has_include(<y.h>)\n#include "x.h"\n#endif',
         {"x_h": HEADER}),
        ('#if __has_include("/nowhere/inc/x.h")\n#include "/nowhere/inc/x.h"\n#endif',
         {"x_h": HEADER}),
        ("#define H </nowhere/inc/x.h>\n#include H", {"x_h": HEADER}),
        ('#include "a.h"\n#include "b.h"',
         {"a_h": '#include "x.h"', "b_h": '#include "x.h"', "x_h": HEADER}),
        ('#include "a.h"\n#include "a.h"',
         {"a_h": "#ifndef A\n#define A\n#include <x.h>\nint a(void) { return 1; }\n#endif\n",
          "x_h": HEADER}),
        ('#include "deep/a.h"', {"deep__a_h": '#include "../deep/b.h"',
                                 "deep__b_h": '#include "../x.h"', "x_h": HEADER}),
        ('#include "x.h"\n#include "deep/../x.h"', {"deep__a_h": "", "x_h": HEADER}),
        ('#include "x.h"', {"x_h": HEADER.replace("\n", "\r\n")}),
        ('#include "x.h"\n#include "e.h"', {"x_h": HEADER, "e_h": ""}),
        ('#include "x.h"', {"x_h": b"// \xff\xe9\n" + HEADER.encode()}),
        ('#define N 3\n#include "n.h"',
         {"n_h": "#if N == 3\n#undef N\n#define N 2\n#include __FILE__\n#else\n"
                 "#define VALUE 7\n#endif\n"}),
    ],
)  # fmt: skip
def test_includes_of_what_came_along(rig: Rig, source: str, files: dict[str, str]) -> None:
    built = built_with(rig, source, files_of(**files))
    assert built.status == 0, built.logs


def test_a_name_that_an_option_gives(rig: Rig) -> None:
    for option in ("-DH=<x.h>", "-DH=</nowhere/inc/x.h>"):
        built = built_with(rig, "#include H", files_of(x_h=HEADER), option)
        assert built.status == 0, built.logs


def test_folders_with_odd_names_and_their_order(rig: Rig) -> None:
    files = [
        ["file", "/no where/'é\"/x.h", b"#define VALUE 7"],
        ["file", "/other/x.h", b"#error"],
    ]
    built = built_with(rig, "#include <x.h>", files, folders=["/no where/'é\"", "/other"])
    assert built.status == 0, built.logs


def test_links_and_pragma_once(rig: Rig) -> None:
    files = [["file", "/far/x.h", HEADER.encode()], ["link", "/nowhere/inc/l", b"/far"]]
    built = built_with(rig, '#include "l/x.h"\n#include "/far/x.h"\n#include "l/../far/x.h"', files)
    assert built.status == 0, built.logs


def test_this_host_s_own_files_are_out_of_reach(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "x.h").write_text(HEADER)
    files = files_of(y_h="")
    built = built_with(rig, f'#include "{tmp_path}/x.h"', files, folders=[str(tmp_path)])
    assert built.status == BUILD_PROGRAM_FAILURE
    assert f"1:10: '{tmp_path}/x.h' file not found" in built.logs[0][2]
    assert built_with(rig, "#include <x.h>", files, folders=[str(tmp_path)]).status != 0


@pytest.mark.parametrize(
    ("source", "files", "text"),
    [
        ('\n#include "none.h"', {}, ":2:10: 'none.h' file not found"),
        ('#include "x.h"', {"x_h": '\n#include "none.h"'},
         "/nowhere/inc/x.h:2:10: 'none.h' file not found"),
        ('#include "deep/y.h"', {"deep__y_h": "\n\nint f(void) { return wrong; }"},
         "/nowhere/inc/deep/y.h:3:"),
        ('#include "x.h"', {"x_h": '#include "x.h"'}, "/nowhere/inc/x.h:1:10: #include nested too"),
    ],
)  # fmt: skip
def test_the_compiler_s_own_errors_name_the_user_s_files(
    rig: Rig, source: str, files: dict[str, str], text: str
) -> None:
    built = built_with(rig, source, files_of(**files, e_h=""))
    assert built.status == BUILD_PROGRAM_FAILURE
    assert text in built.logs[0][2]
    assert "includes" not in built.logs[0][2].replace("#include", "")


def test_a_folder_that_can_not_be_made(rig: Rig) -> None:
    built = built_with(rig, "", [["file", "/" + "x" * 300, b""]])
    assert built.status < 0 and "can't keep the files" in built.message
