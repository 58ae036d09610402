"""The fenced blocks of the pages in docs/, with what the pages include from elsewhere.

Owns: finding and reading them. Must not know: how they are run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))

_INCLUDE = re.compile(r'^--8<-- "(?P<path>[^":]+)(?::(?P<section>[\w-]+))?"$', re.MULTILINE)
_MARK = re.compile(r"^.*--8<-- \[(?:start|end):[\w-]+\].*\n?", re.MULTILINE)
FENCE = re.compile(
    r'^(?P<ticks>```+) *(?P<language>\S*)(?: title="(?P<title>[^"]*)")? *\n'
    r"(?P<text>.*?)^(?P=ticks) *$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """One fenced block. title: of a file that the page has the reader write, or `output`."""

    page: str
    line: int
    language: str
    title: str
    text: str

    @property
    def where(self) -> str:
        """For messages."""
        return f"{self.page}, block at line {self.line}"


def included(text: str) -> str:
    """A page's text with what it includes by `--8<-- "FILE"` or `--8<-- "FILE:SECTION"`.

    Raises ValueError where there is no such section, OSError where there is no such file.
    """

    def content(found: re.Match[str]) -> str:
        path, section = found["path"], found["section"]
        whole = (ROOT / path).read_text(encoding="utf-8")
        if section is not None:
            mark = r"^.*--8<-- \[{}:" + re.escape(section) + r"\].*\n"
            start = re.search(mark.format("start"), whole, re.MULTILINE)
            end = re.search(mark.format("end"), whole, re.MULTILINE)
            if start is None or end is None:
                raise ValueError(f"{path} has no section {section!r}")
            whole = whole[start.end() : end.start()]
        return _MARK.sub("", whole).rstrip("\n")

    return _INCLUDE.sub(content, text)


def blocks_of(page: str, text: str) -> list[Block]:
    """The blocks of a page whose inclusions are there already."""
    return [
        Block(
            page, text.count("\n", 0, found.start()) + 1, found["language"], found["title"] or "",
            found["text"],
        )
        for found in FENCE.finditer(text)
    ]  # fmt: skip


def read(page: Path) -> list[Block]:
    """The blocks of a page, in order."""
    return blocks_of(page.name, included(page.read_text(encoding="utf-8")))
