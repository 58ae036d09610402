"""What a program's launches came to, kernel by kernel: the report of `vcl run --report`.

Owns: its rows and its printed, JSON and HTML forms. Must not know: when it is asked for, or how it
is fetched.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

from vcl.text import sized

HEADINGS = (
    "kernel", "launches", "mode", "parts", "moved", "computing", "elapsed", "moving, waiting",
    "saved",
)  # fmt: skip

MEANING = (
    "computing: all parts together. elapsed: from each launch's first start to its last end. "
    "moving, waiting: elapsed but for the longest part. saved: computing less elapsed; what one "
    "node would have taken longer. Seconds"
)

_STYLE = (
    "body{font:15px sans-serif;margin:2em}table{border-collapse:collapse}"
    "td,th{padding:.2em .8em;text-align:right;border-bottom:1px solid #ddd}"
    "td:first-child,th:first-child,td.why{text-align:left}.why{color:#666}"
)


@dataclass(frozen=True)
class KernelTotals:
    """The launches of the kernels of one name that were carried out in one mode.

    parts: of all launches together. bytes_moved: because of them. computing_s: of all parts, added
    up. longest_s: of each launch's longest part. elapsed_s: from each launch's first start to its
    last end. reason: why the last one was carried out so.
    """

    kernel: str
    mode: str
    launches: int
    parts: int
    bytes_moved: int
    computing_s: float
    longest_s: float
    elapsed_s: float
    reason: str

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> KernelTotals:
        """From a row of a session.Totals message."""
        kernel, mode, launches, parts, moved, computing, longest, elapsed, reason = row
        times = (computing / 1e9, longest / 1e9, elapsed / 1e9)
        return cls(kernel, mode, launches, parts, moved, *times, reason)

    @property
    def overhead_s(self) -> float:
        """Spent moving bytes, merging, and waiting for that and for each other."""
        return self.elapsed_s - self.longest_s

    @property
    def saved_s(self) -> float:
        """What one node alone would have taken longer; less than 0: what the split cost."""
        return self.computing_s - self.elapsed_s

    def cells(self) -> tuple[str, ...]:
        """As of HEADINGS."""
        times = (self.computing_s, self.elapsed_s, self.overhead_s, self.saved_s)
        counts = (f"{self.launches:,}", self.mode, f"{self.parts:,}", sized(self.bytes_moved))
        return (self.kernel, *counts, *(f"{seconds:.3f}" for seconds in times))


def ordered(rows: Sequence[Sequence[Any]]) -> list[KernelTotals]:
    """From a session.Totals message, what took longest first."""
    return sorted(map(KernelTotals.from_row, rows), key=lambda row: -row.elapsed_s)


def show(totals: Sequence[KernelTotals], title: str, file: Any) -> None:
    """Print the table for people."""
    from rich.console import Console
    from rich.markup import escape as plain
    from rich.table import Table

    if not totals:
        print(f"{title}: no launch has ended", file=file)
        return
    table = Table(title=title, caption=MEANING, title_justify="left", caption_justify="left")
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading in ("kernel", "mode") else "right")
    for row in totals:
        table.add_row(*map(plain, row.cells()))
    console = Console(file=file, width=None if file.isatty() else 120)
    console.print(table)
    for row in totals:
        console.print(f"{row.kernel}, {row.mode}: {row.reason}", markup=False, highlight=False)


def as_json(totals: Sequence[KernelTotals]) -> str:
    """An array of objects with the fields of KernelTotals, overhead_s and saved_s."""
    more = [
        asdict(row) | {"overhead_s": row.overhead_s, "saved_s": row.saved_s} for row in totals
    ]
    return json.dumps(more, indent=2) + "\n"


def as_html(totals: Sequence[KernelTotals], title: str) -> str:
    """A page with the table, and a bar a row: computing on top of moving and waiting."""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in (*HEADINGS, ""))
    most = max((row.elapsed_s for row in totals), default=0.0) or 1.0
    body = []
    for row in totals:
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in row.cells())
        busy, rest = (200 * s / most for s in (row.longest_s, row.overhead_s))
        bar = (
            f'<svg width="202" height="14"><rect width="{busy:.1f}" height="14" fill="#2a7"/>'
            f'<rect x="{busy:.1f}" width="{rest:.1f}" height="14" fill="#e93"/></svg>'
        )
        why = f'<tr><td class="why" colspan="10">{escape(row.reason)}</td></tr>'
        body.append(f"<tr>{cells}<td>{bar}</td></tr>{why}")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1>"
        f"<table><tr>{head}</tr>{''.join(body)}</table>"
        f'<p>Green: the longest part computes. Orange: moving, waiting.</p><p class="why">'
        f"{escape(MEANING)}.</p></html>\n"
    )


def write(totals: Sequence[KernelTotals], title: str, path: Path) -> None:
    """Write a file, by its ending: .json or .html. Raises OSError."""
    text = as_html(totals, title) if path.suffix == ".html" else as_json(totals)
    path.write_text(text, encoding="utf-8")
