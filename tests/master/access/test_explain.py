"""What `vcl explain` says of kernels, and of flags that don't fit them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from master.access.explain import Wrong, explain
from tests.processes import environment

SOURCE = """
kernel void diffuse(global const float *a, global float *b, int w, int h) {
  int x = get_global_id(0), y = get_global_id(1);
  if (x > 0 && x < w - 1 && y < h)
    b[y * w + x] = a[y * w + x - 1];
}
kernel void histogram(global const uchar *v, global int *bins)
{ atomic_inc(&bins[v[get_global_id(0)]]); }
kernel void scatter(global const int *where, global int *out)
{ out[where[get_global_id(0)]] = 1; }
kernel void sees(global int *out, global int *never) { out[get_group_id(0)] = 1; }
"""
UNIT = [SOURCE, "", [], []]


def test_each_kernel_is_answered() -> None:
    diffuse, histogram, scatter, sees = explain(UNIT)
    assert (diffuse.answer, diffuse.assumed, diffuse.global_size) == ("regions", True, [64, 64])
    read, written = diffuse.buffers
    assert (read.name, read.answer, read.writes) == ("a", "read", [])
    assert read.reads == ["byte 4*x + 256*y - 4, 4 bytes (line 5)"]
    assert (written.name, written.answer) == ("b", "regions")
    assert written.writes == ["byte 4*x + 256*y, 4 bytes (line 5)"]
    assert (histogram.answer, histogram.buffers[-1].answer) == ("reduce", "reduce")
    assert [b.answer for b in scatter.buffers] == ["read", "merge"]
    assert scatter.answer == "merge"
    assert [b.answer for b in sees.buffers] == ["regions", "untouched"]


def test_a_kernel_that_is_not_read_is_no_matter_of_others() -> None:
    odd = "kernel void odd(global int *a, long long b) { a[get_global_id(0)] = 1; }"
    *others, last = explain([SOURCE + odd, "", [], []])
    assert [one.answer for one in others] == ["regions", "reduce", "merge", "regions"]
    assert (last.answer, last.global_size, last.buffers) == ("merge", [], [])
    assert last.reason == "line 12: the type long long is not read"


def test_a_launch_that_is_given() -> None:
    given = {"w": "8", "h": "0x8", "a": "buffer:256", "b": "buffer:256"}
    (answer,) = explain(UNIT, "diffuse", (8, 8), (4, 2), given, parts=4)
    assert not answer.assumed and answer.local_size == [4, 2]
    assert [b.parts for b in answer.buffers] == [[(2 * 24, 0)] * 4, [(0, 2 * 24)] * 4]


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ({"kernel": "no"}, "there is no kernel 'no'; there are diffuse, histogram"),
        ({"global_size": (64,), "local_size": (7,)}, "doesn't divide the global size"),
        ({"kernel": "diffuse", "given": {"n": "1"}}, "no argument 'n'; there are a, b, w, h"),
        ({"kernel": "diffuse", "given": {"a": "7"}}, "--arg a=buffer:BYTES"),
        ({"kernel": "diffuse", "given": {"w": "1.5"}}, "'w' is an integer of 4 bytes"),
        ({"unit": ["kernel void f( {", "", [], []]}, "line 1: it doesn't compile"),
    ],
)
def test_what_does_not_fit(what: dict[str, Any], text: str) -> None:
    with pytest.raises(Wrong, match=None) as caught:
        explain(**{"unit": UNIT, **what})
    assert text in str(caught.value)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vcl.cli.main", "explain", *arguments],
        capture_output=True, text=True, timeout=60, env=environment() | {"COLUMNS": "120"},
        check=False,
    )  # fmt: skip


def test_a_cut_into_boxes() -> None:
    source = (
        "kernel void k(global int *a, global const int *b, int n) {"
        "int x = get_global_id(0), y = get_global_id(1);"
        "for (int j = 0; j < n; j++) a[y * 8 + x] += b[y * n + j] + b[(8 + x) * n + j]; }"
    )
    for n, expected in ((2**18, "x and y (2 x 2)"), (2**12, "y")):
        given = {"n": str(n), "b": f"buffer:{64 * n}"}
        (k,) = explain([source, "", [], []], "k", (8, 8), (2, 2), given, 4)
        assert k.reason == f"each part writes bytes of its own, cut along {expected}"
    assert [size for size, _ in k.buffers[1].parts] == [10 * 4 * n] * 4, "two rows and eight"


def test_the_command(tmp_path: Path) -> None:
    file = tmp_path / "k.cl"
    file.write_text(SOURCE.replace("w - 1", "w - ONE"))
    done = command(str(file), "-D", "ONE=1", "--json")
    assert [one["answer"] for one in json.loads(done.stdout)] == [
        "regions", "reduce", "merge", "regions"
    ]  # fmt: skip
    assert done.returncode == 0
    table = command(str(file), "-DONE=1", "--kernel", "diffuse", "--global", "64,64")
    assert "diffuse: regions (global 64 x 64, local " in table.stdout
    assert "each part writes bytes of its own, cut along y" in table.stdout
    wrong = command(str(file))
    assert wrong.returncode == 2 and "use of undeclared identifier 'ONE'" in wrong.stderr
    assert command(str(file), "-DONE=1", "--global", "x").returncode == 2
    assert "--kernel" in command("--help").stdout
