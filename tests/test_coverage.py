"""The coverage table finds programs in a package's files, and each answer that there is.

Owns: small packages in memory. Must not know: PyPI, or a compiler.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import pytest
from rich.console import Console

from benchmarks.coverage.__main__ import Covered, percentiles, table, total
from benchmarks.coverage.answers import Subject, Unread
from benchmarks.coverage.extraction import sources
from benchmarks.coverage.packages import Package

PLAIN = Package("plain", "1", "")


def found(files: Mapping[str, str], package: Package = PLAIN) -> dict[str, list[Any]]:
    data = {path: text.encode() for path, text in files.items()}
    return dict(sources(package, data, {}))


def answer(text: str) -> tuple[str, str]:
    (one,) = Subject([text, "", [], []]).answers()
    assert one.first_ms > 0
    return one.mode, one.reason


def test_programs_are_files_and_strings_that_have_kernels_but_not_documentation() -> None:
    kernel = "kernel void k(global int *a) { a[0] = 1; }"
    programs = found({
        "/p/a.cl": kernel,
        "/p/b.cl": "int helper(int a) { return a; }",
        "/p/c.py": f'"""{kernel}"""\ntext = "{kernel} "\nother = f"{{text}} kernel void x"',
        "/p/d.h": kernel,
    })  # fmt: skip
    assert sorted(programs) == ["p/a.cl", "p/c.py:2"]


def test_files_that_a_program_includes_come_with_it() -> None:
    (unit,) = found({
        "/p/cl/a.cl": '#include "sub/b.h"\n'
        "kernel void k(global int *a) { a[get_global_id(0)] = B; }",
        "/p/cl/sub/b.h": '#include "c.h"',
        "/p/cl/sub/c.h": "#define B 1",
        "/p/cl/sub/d.h": "#define D 1",
    }).values()  # fmt: skip
    assert [path for _, path, _ in unit[3]] == ["/p/cl/sub/b.h", "/p/cl/sub/c.h"]
    assert [a.mode for a in Subject(unit).answers()] == ["regions"]


def test_what_the_hosts_of_clij_define_is_before_a_kernel() -> None:
    text = (
        "kernel void k(IMAGE_src_TYPE src, IMAGE_dst_TYPE dst) { const sampler_t s = 0;"
        " POS_dst_TYPE at = POS_dst_INSTANCE(get_global_id(0), get_global_id(1), 0, 0);"
        " WRITE_dst_IMAGE(dst, at, READ_src_IMAGE(src, s, at)); }"
    )
    files = {"/p/_tier0/preamble.cl": "// first", "/p/copy_2d_x.cl": text}
    (unit,) = found(files, PLAIN._replace(clij=True)).values()
    assert "#define READ_src_IMAGE(a,b,c) read_buffer2df(" in unit[0]
    assert unit[0].endswith("// first\n" + text)


@pytest.mark.parametrize(
    ("body", "mode"),
    [
        ("a[get_global_id(1) * n + get_global_id(0)] = 1;", "regions"),
        ("a[n] = get_global_id(0);", "hulls"),
        ("a[a[get_global_id(0)]] = 1;", "merge"),
        ("atomic_inc(a);", "reduce"),
        ("a[0] = atomic_inc(a);", "whole"),
    ],
)
def test_every_answer(body: str, mode: str) -> None:
    got, reason = answer(f"kernel void k(global int *a, int n) {{ {body} }}")
    assert got == mode and bool(reason) == (mode != "regions")


def test_images_are_an_answer_of_their_own() -> None:
    source = "kernel void k(%s image2d_t i, global int *a) { a[get_global_id(0)] = 1; %s }"
    assert answer(source % ("read_only", "")) == ("regions", "")
    reads = "sampler_t s = 0; float4 v = read_imagef(i, s, (int2)(0)); a[n] = 1;"
    assert answer(source.replace("a)", "a, int n)") % ("read_only", reads))[0] == "hulls"
    writes = "write_imagef(i, (int2)(0), (float4)(a[0]));"
    assert answer(source % ("write_only", writes))[0] == "images"


def test_what_is_not_read_says_why() -> None:
    with pytest.raises(Unread, match="line 1"):
        Subject(["kernel void k(global int *a) { a[0] = b; }", "", [], []])


def test_a_kernel_that_is_not_read_is_merged() -> None:
    odd = "kernel void k(global int *a, long long b) { a[0] = 1; }"
    assert answer(odd) == ("merge", "line 1: the type long long is not read")


def test_a_table_counts_each_answer_and_all_packages() -> None:
    subject = Subject(["kernel void k(global int *a) { a[get_global_id(0)] = 1; }", "", [], []])
    rows = [Covered(name, "1", 1, [("x", a) for a in subject.answers()]) for name in "pq"]
    console = Console(file=io.StringIO(), width=200)
    console.print(table([*rows, total(rows)]))
    assert total(rows).count("regions") == 2 and len(total(rows).answers) == 2
    assert isinstance(console.file, io.StringIO) and "all" in console.file.getvalue()
    assert percentiles([]) == ("", "") and percentiles([3, 1, 2]) == ("2.0", "3.0")
