"""The report of a program: its rows, and its three forms."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from vcl import totals
from vcl.totals import KernelTotals

ROWS = [
    ["small", "whole", 3, 3, 0, 3_000_000, 3_000_000, 0, 3_000_000, "it takes 1 ms"],
    ["<big>", "regions", 5, 10, 2**20, 8 * 10**9, 4 * 10**9, 7 * 10**8, 5 * 10**9, "[cut] along x"],
]


def made() -> list[KernelTotals]:
    return totals.ordered(ROWS)


def test_what_took_longest_comes_first() -> None:
    big, small = made()
    assert (big.kernel, small.kernel) == ("<big>", "small")
    assert (big.launches, big.parts, big.bytes_moved) == (5, 10, 2**20)
    assert (big.moving_s, big.waiting_s, big.saved_s) == (0.7, pytest.approx(0.3), 3.0)
    assert (small.moving_s, small.waiting_s, small.saved_s) == (0.0, 0.0, 0.0)


def test_a_table_for_people() -> None:
    file = io.StringIO()
    totals.show(made(), "vcl report of app.py", file)
    lines = file.getvalue().splitlines()
    assert lines[0].strip() == "vcl report of app.py"
    (row,) = [line for line in lines if "│ <big>" in line]
    assert [cell.strip() for cell in row.split("│")[1:-1]] == [
        "<big>", "5", "regions", "10", "1.0 MiB", "8.000", "5.000", "0.700", "0.300", "3.000",
    ]  # fmt: skip
    assert "<big>, regions: [cut] along x" in lines


def test_a_program_without_launches() -> None:
    file = io.StringIO()
    totals.show([], "vcl report of app.py", file)
    assert file.getvalue() == "vcl report of app.py: no launch has ended\n"


def test_json_has_all_that_the_table_has(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    totals.write(made(), "title", path)
    big, _ = json.loads(path.read_text())
    assert big == {
        "kernel": "<big>", "mode": "regions", "launches": 5, "parts": 10, "bytes_moved": 2**20,
        "computing_s": 8.0, "busy_s": 4.0, "moving_s": 0.7, "elapsed_s": 5.0,
        "waiting_s": pytest.approx(0.3), "saved_s": 3.0, "reason": "[cut] along x",
    }  # fmt: skip


@pytest.mark.parametrize("rows", [[], ROWS])
def test_a_page_names_kernels_as_they_are_and_is_not_changed_by_them(
    rows: list[list[object]], tmp_path: Path
) -> None:
    path = tmp_path / "r.html"
    totals.write(totals.ordered(rows), "a <title>", path)
    page = path.read_text()
    assert "<h1>a &lt;title&gt;</h1>" in page and "<big>" not in page
    assert page.count("<svg") == len(rows) and ("&lt;big&gt;" in page) == bool(rows)
