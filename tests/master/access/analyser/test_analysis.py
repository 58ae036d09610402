"""From a build's units to footprints; what devices define; trees that are kept."""

from __future__ import annotations

import pytest

from master.access.analyser import analysis
from master.access.analyser.analysis import Analyser, device_macros
from master.access.kernels import BUFFER, Footprint
from master.access.programs import Variant, judge_program

DEVICE = {
    "ADDRESS_BITS": "64",
    "ENDIAN_LITTLE": "1",
    "EXTENSIONS": "cl_khr_fp64 cl_khr_3d_image_writes",
    "OPENCL_C_VERSION": "OpenCL C 3.0 vendor",
    "VERSION": "OpenCL 3.0 vendor",
}
COPY = "kernel void k(global int *a) { a[get_global_id(0)] = %s; }"


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The programs that are parsed from now on."""
    read: list[str] = []

    class Counted(analysis.Parsed):
        def __init__(self, text: str, options: str, address_bits: int) -> None:
            read.append(text)
            super().__init__(text, options, address_bits)

    monkeypatch.setattr(analysis, "Parsed", Counted)
    return read


def analyse(made: Analyser, source: str, options: str = "", count: int = 1) -> Footprint | str:
    unit = [source, options, [], []]
    return made.analyse([unit] * count, DEVICE, "k", [BUFFER], [[0], [8], [4]])


def test_programs_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read = counted(monkeypatch)
    monkeypatch.setattr(analysis, "parsed_max", 2)
    made = Analyser()
    for number in (1, 1, 2, 1, 3, 1, 2):
        assert isinstance(analyse(made, COPY % number), Footprint)
    assert len(read) == 4, "the third took the place of the second"


def test_large_programs_take_the_place_of_several(monkeypatch: pytest.MonkeyPatch) -> None:
    read = counted(monkeypatch)
    monkeypatch.setattr(analysis, "parsed_chars_max", 200)
    made = Analyser()
    large = f"1; int b[] = {{ {', '.join('1' * 100)} }}"
    for number in ("1", "2", large, large, "2"):
        assert isinstance(analyse(made, COPY % number), Footprint)
    assert len(read) == 4


def test_what_cannot_be_read_counts_for_its_kernel_alone() -> None:
    made = Analyser()
    source = "kernel void x(global long long *a) { }\n" + COPY % 1
    assert isinstance(analyse(made, source), Footprint)
    other = made.analyse([[source, "", [], []]], DEVICE, "x", [BUFFER], [[0], [8], [4]])
    assert other == "line 1: the type __global long long is not read"


def test_what_is_linked_has_no_source_of_its_own() -> None:
    assert analyse(Analyser(), COPY % 1, count=2) == "the program is linked from several"


@pytest.mark.parametrize(
    ("options", "version"), [("", "120"), ("-cl-std=CL2.0", "200"), ("-cl-std=CL1.1", "110")]
)
def test_the_language_is_the_latest_of_1_unless_asked(options: str, version: str) -> None:
    macros = device_macros(DEVICE, options)
    assert macros["__OPENCL_C_VERSION__"] == version
    assert macros["__OPENCL_VERSION__"] == "300"
    assert macros["cl_khr_fp64"] == macros["__ENDIAN_LITTLE__"] == "1"


def test_headers_that_are_for_several_languages() -> None:
    source = "#ifdef __cplusplus\n#error no\n#endif\n" + COPY % 1
    assert isinstance(analyse(Analyser(), source), Footprint)


@pytest.mark.parametrize(
    ("name", "is_asked"), [("__openclfeatures_dot_hpp", False), ("__vendors_dot_hpp", True)]
)
def test_names_that_devices_may_define_are_not_looked_at(name: str, is_asked: bool) -> None:
    found = analyse(Analyser(), f"#ifndef {name}\n#define {name}\n{COPY % 1}\n#endif")
    if is_asked:
        assert found == f"the program asks for {name}, which devices define as they like"
    else:
        assert isinstance(found, Footprint)


@pytest.mark.parametrize(
    ("body", "ignored"),
    [
        ("a[i] = n * m;", [(), (1,), (1, 2), (1, 2)]),
        ("if (i < n) a[i] = m;", [(), (), (2,), ()]),
        ("if (i < 1 + (n & 1)) a[i] = m;", [(), (), (2,), ()]),
        ("for (int j = 0; j < m; j++) a[n + j] = 1;", [(), (), (), ()]),
    ],
)
def test_values_that_make_no_difference_are_told_from_the_second_time_on(
    body: str, ignored: list[tuple[int, ...]]
) -> None:
    source = f"kernel void k(global int *a, int n, int m) {{ int i = get_global_id(0); {body} }}"
    made = Analyser()
    found = []
    for values in ((4, 4), (6, 4), (6, 5), (3, 6)):
        arguments = [BUFFER, *(n.to_bytes(4, "little") for n in values)]
        one = made.analyse([[source, "", [], []]], DEVICE, "k", arguments, [[0], [8], [4]])
        assert isinstance(one, Footprint)
        found.append(one.ignored)
    assert found == ignored


def rewritten(source: str, files: dict[str, str] | None = None) -> Variant:
    kept = [["file", f"/i/{name}", text.encode()] for name, text in (files or {}).items()]
    found = Analyser().rewrite([[source, "-I/i -w", ["/i"] if files else [], kept]], DEVICE)
    assert isinstance(found, Variant), found
    return found


@pytest.mark.parametrize(
    "source",
    [
        "#define NAME(a, b) a##b\nkernel void NAME(k, 1)(global int *a) { a[0] = 1; }",
        "#define DEBUG(...)\nkernel void k1(global int *a) { DEBUG(printf(1)); a[0] = 1; }",
        "#if 0\nvolatile\n#endif\nkernel void k1(global int *a) { a[get_group_id(0)] = 1; }",
    ],
)
def test_a_variant_is_judged_by_what_devices_compile(source: str) -> None:
    assert not judge_program([[source, "", [], []]]).verdict.may_split
    found = rewritten(source)
    assert found.word.verdict.may_split and found.hidden.keys() == {"k1"}
    assert found.options == "-w"


@pytest.mark.parametrize("first", ["analyse", "rewrite"])
def test_a_program_is_read_once_for_both_and_in_any_order(
    first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "int h(int i) { return i + get_group_id(0); }\n" + COPY % "h(1)"
    alone = rewritten(source)
    expand, calls = analysis.expand, []
    monkeypatch.setattr(analysis, "expand", lambda *what: calls.append(what) or expand(*what))
    made = Analyser()
    if first == "analyse":
        assert isinstance(analyse(made, source, "-I/i -w"), Footprint)
    assert made.rewrite([[source, "-I/i -w", [], []]], DEVICE) == alone
    assert isinstance(analyse(made, source, "-I/i -w"), Footprint)
    assert len(calls) == 1


def test_what_is_left_of_a_variant_is_told_apart_by_its_kernels() -> None:
    header = '#define PRINTF(a) printf("%d", a)\n\n\n\nvoid h(global int *a) { PRINTF(1); }'
    source = f"""#include <a.h>
#define COUNT(p) atomic_inc(p)
kernel void f(global int *a) {{ h(a); }}{21 * chr(10)}
kernel void g(global int *a) {{ COUNT(a); }}
kernel void k(global int *a) {{}}"""
    found = rewritten(source, {"a.h": header})
    assert not found.word.verdict.may_split
    assert found.word.kernels == {
        "f": "/i/a.h, line 5: printf output would lose its order",
        "g": "line 25: atomic_inc may let work-groups of different parts reach each other",
        "k": "",
    }
