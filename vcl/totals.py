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
    "kernel", "launches", "mode", "parts", "moved", "computing", "elapsed", "moving", "waiting",
    "saved",
)  # fmt: skip

MEANING = (
    "computing: all parts together. elapsed: from each launch's first start to its last end. "
    "moving: in which bytes moved and no part ran. waiting: in which neither. saved: computing "
    "less elapsed; what one node would have taken longer. Seconds"
)

COLOURS = ("#2a7", "#e93", "#bbb")

_STYLE = (
    "body{font:15px sans-serif;margin:2em}table{border-collapse:collapse}"
    "td,th{padding:.2em .8em;text-align:right;border-bottom:1px solid #ddd}"
    "td:first-child,th:first-child,td.why{text-align:left}.why{color:#666}"
)


@dataclass(frozen=True)
class KernelTotals:
    """The launches of the kernels of one name that were carried out in one mode.

    parts: of all launches together. bytes_moved: because of them. computing_s: of all parts, added
    up. busy_s: in which some part of a launch ran. moving_s: in which none did and bytes were
    moved. elapsed_s: from each launch's first start to its last end. reason: why the last one was
    carried out so.
    """

    kernel: str
    mode: str
    launches: int
    parts: int
    bytes_moved: int
    computing_s: float
    busy_s: float
    moving_s: float
    elapsed_s: float
    reason: str

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> KernelTotals:
        """From a row of a session.Totals message."""
        kernel, mode, launches, parts, moved, *times, reason = row
        computing, busy, moving, elapsed = (ns / 1e9 for ns in times)
        return cls(
            kernel, mode, launches, parts, moved, computing, busy, moving, elapsed, reason
        )

    @property
    def waiting_s(self) -> float:
        """In which neither a part ran nor bytes were moved: on the way, or for each other."""
        return max(0.0, self.elapsed_s - self.busy_s - self.moving_s)

    @property
    def saved_s(self) -> float:
        """What one node alone would have taken longer; less than 0: what the split cost."""
        return self.computing_s - self.elapsed_s

    def cells(self) -> tuple[str, ...]:
        """As of HEADINGS."""
        times = (
            self.computing_s, self.elapsed_s, self.moving_s, self.waiting_s, self.saved_s
        )  # fmt: skip
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
    """An array of objects with the fields of KernelTotals, waiting_s and saved_s."""
    more = [
        asdict(row) | {"waiting_s": row.waiting_s, "saved_s": row.saved_s} for row in totals
    ]
    return json.dumps(more, indent=2) + "\n"


def as_html(totals: Sequence[KernelTotals], title: str) -> str:
    """A page with the table, and a bar a row: computing, moving and waiting."""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in (*HEADINGS, ""))
    most = max((row.elapsed_s for row in totals), default=0.0) or 1.0
    body = []
    for row in totals:
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in row.cells())
        at, bar = 0.0, ""
        for seconds, colour in zip((row.busy_s, row.moving_s, row.waiting_s), COLOURS, strict=True):
            width = 200 * seconds / most
            bar += f'<rect x="{at:.1f}" width="{width:.1f}" height="14" fill="{colour}"/>'
            at += width
        bar = f'<svg width="202" height="14">{bar}</svg>'
        why = f'<tr><td class="why" colspan="11">{escape(row.reason)}</td></tr>'
        body.append(f"<tr>{cells}<td>{bar}</td></tr>{why}")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1>"
        f"<table><tr>{head}</tr>{''.join(body)}</table>"
        f'<p>Green: a part computes. Orange: moving. Grey: waiting.</p><p class="why">'
        f"{escape(MEANING)}.</p></html>\n"
    )


def write(totals: Sequence[KernelTotals], title: str, path: Path) -> None:
    """Write a file, by its ending: .json or .html. Raises OSError."""
    text = as_html(totals, title) if path.suffix == ".html" else as_json(totals)
    path.write_text(text, encoding="utf-8")
