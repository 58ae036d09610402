"""The guard by tokens on programs of several files: what an #include brings is read as well."""

from __future__ import annotations

import pytest

from master.access.files import Files
from master.access.guard import Verdict, judge


def judge_with(source: str, **files: str) -> Verdict:
    """Judge with files of the folder /i: x_h is x.h."""
    entries = [["file", f"/i/{n.replace('_', '.')}", t.encode()] for n, t in files.items()]
    return judge(source, "", Files(["/i"], entries))


BODY = "__kernel void f(__global int *a) { a[get_global_id(0)] = two(1); }\n"
TWO = "int two(int x) { return 2 * x; }\n"


@pytest.mark.parametrize(
    ("source", "files"),
    [
        ('#include "x.h"\n' + BODY, {"x_h": TWO}),
        ("# /* a */ include /* b */ <x.h> // c\n" + BODY, {"x_h": "#pragma once\n" + TWO}),
        ('#include "/i/x.h"\n' + BODY, {"x_h": TWO}),
        ('#include "x.h"\n' + BODY, {"x_h": '#include "y.h"', "y_h": TWO}),
        ('#if 1\n#include "x.h"\n#else\n#include "x.h"\n#endif\n' + BODY, {"x_h": TWO}),
        ('#include "x.h"\n', {"x_h": '#ifndef X\n#define X\n#include "x.h"\n#endif\n' + TWO}),
        ('int a[] = {\n#include "x.h"\n};\n', {"x_h": "1, 2, (3)"}),
        ('struct s {\n#include "x.h"\n};\n', {"x_h": "int y;"}),
        ('#include "x.h"\n' + BODY + '#include "y.h"', {"x_h": TWO, "y_h": ""}),
        ("#define V(x) x\n" + 'int a[] = {\n#include "x.h"\n}, b[] = {\n#include "x.h"\n};',
         {"x_h": "V(1), V(2)"}),
        ('#include "x.h"\n', {"x_h": "// Gr\u00f6\u00dfe\r\n" + TWO.replace("\n", "\r\n")}),
    ],
)  # fmt: skip
def test_programs_of_several_files_may_split(source: str, files: dict[str, str]) -> None:
    verdict = judge_with(source, **files)
    assert verdict.may_split, verdict.reason


@pytest.mark.parametrize(
    ("source", "files", "where", "token"),
    [
        ('\n#include "x.h"', {}, "line 2", "#include"),
        ("\n#include <y.h>", {"x_h": ""}, "line 2", "#include"),
        ("#define H <x.h>\n#include H", {"x_h": ""}, "line 2", "#include H"),
        ("#include <x.h> int", {"x_h": ""}, "line 1", "#include"),
        ("#include <x .h>", {"x_h": ""}, "line 1", "#include"),
        ("#include <x/**/.h>", {"x_h": ""}, "line 1", "#include"),
        ("#include 'x.h'", {"x_h": ""}, "line 1", "#include"),
        ('#include "./\\\\x.h"', {"x_h": ""}, "line 1", "#include"),
        ('#include ""', {"x_h": ""}, "line 1", "#include"),
        ("#include", {"x_h": ""}, "line 1", "#include"),
        ("#include <", {"x_h": ""}, "line 1", "#include"),
        ("#include_next <x.h>", {"x_h": ""}, "line 1", "#include_next"),
        ('#import "x.h"', {"x_h": ""}, "line 1", "#import"),
        ('#if __has_include("x.h")\n#endif', {"x_h": ""}, "line 1", "__has_include"),
        ('#include "x.h"', {"x_h": "\nint a = get_group_id(0);"}, "/i/x.h, line 2", "get_group_id"),
        ('#if 0\n#include "x.h"\n#endif', {"x_h": "\n\natom_add"}, "/i/x.h, line 3", "atom_add"),
        ('#include "x.h"', {"x_h": '#include "y.h"', "y_h": "a##b"}, "/i/y.h, line 1", "##"),
        ('#include "x.h"', {"x_h": "/* open"}, "/i/x.h, line 1", "comment"),
        ('#include "x.h"', {"x_h": "a;\r"}, "/i/x.h, line 1", "\\r"),
        ('#include "x.h"', {"x_h": "#define A \\"}, "/i/x.h, line 1", "\\"),
        ('#include "x.h"', {"x_h": "#pragma twice"}, "/i/x.h, line 1", "twice"),
        ('#include "x.h"\nx = F(0);', {"x_h": "#define F vendor\n"}, "line 2", "F()"),
        # A call that is begun in one file and goes on in another.
        ('x = vendor\n#include "x.h"\n;', {"x_h": "(0)"}, "line 2", "x.h"),
        ('x = vendor\n#include "x.h"\n(0);', {"x_h": "#if 0\n+ sin\n#endif"}, "line 2", "x.h"),
        ('int a;\n#include "x.h"\n(0);', {"x_h": "x = vendor"}, "/i/x.h, line 1", "vendor()"),
        ('#include "x.h"\n', {"x_h": 'x = vendor\n#include "y.h"', "y_h": "(0);"}, "/i/x.h, line 2",
         "y.h"),
        # Again where its end matters, and within itself.
        ('int a[] = {\n#include "x.h"\n, 1};x = {\n#include "x.h"\n(0)};', {"x_h": "1, vendor"},
         "/i/x.h, line 1", "vendor()"),
        ('#include "x.h"\n', {"x_h": 'x = 1;\n#include "x.h"\n(0); x = vendor'}, "line 1", "x.h"),
    ],
)  # fmt: skip
def test_programs_of_several_files_are_refused(
    source: str, files: dict[str, str], where: str, token: str
) -> None:
    verdict = judge_with(source, **files)
    assert not verdict.may_split
    assert verdict.reason.startswith(f"{where}: "), verdict.reason
    assert token in verdict.reason, verdict.reason


def test_a_file_that_is_not_included_does_not_matter() -> None:
    assert judge_with('#include "x.h"\n' + BODY, x_h=TWO, y_h="get_group_id(0)").may_split


def test_includes_that_double_at_each_level_end() -> None:
    files = {f"x{i}_h": f'1,\n#include "x{i + 1}.h"\n,\n#include "x{i + 1}.h"\n' for i in range(40)}
    verdict = judge_with('int a[] = {\n#include "x0.h"\n};', **files, x40_h="1")
    assert "too often" in verdict.reason
    chain = {f"x{i}_h": f'#include "x{i + 1}.h"\n' for i in range(300)}
    assert "too often" in judge_with('#include "x0.h"\n', **chain, x300_h="").reason
    diamonds = {f"x{i}_h": f'#include "x{i + 1}.h"\n' * 2 for i in range(40)}
    assert judge_with('#include "x0.h"\n', **diamonds, x40_h=TWO).may_split
