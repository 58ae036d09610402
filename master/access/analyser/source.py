"""A program that compiles: its text, and libclang's view of it.

Owns: having it parsed, where a cursor stands in the text, and on which of the user's lines. Must
not know what a cursor stands for, nor which options a build may have (`frontend`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from clang import cindex

from master.access.analyser import base, libclang
from master.access.analyser.text import Unreadable, checked_text

_SOURCE, _BASE = "/vcl/program.cl", "/vcl/base.h"


class Source:
    """Cursors are libclang's; offsets are in bytes of `content`."""

    def __init__(self, text: str, arguments: Sequence[str], address_bits: int) -> None:
        """arguments: those of the compiler. Raises Unreadable, also if it doesn't compile."""
        self.content, self.lines = checked_text(text)
        self.address_bits = address_bits
        target = {32: "spir", 64: "spir64"}[address_bits]
        before = base.declarations() + base.reinterpretations(text)
        try:
            self.unit: Any = cindex.Index.create().parse(
                _SOURCE,
                args=[
                    *("-x", "cl", "-target", f"{target}-unknown-unknown", "-w", *arguments),
                    *("-Xclang", "-fdeclare-opencl-builtins", "-fbracket-depth=256"),
                    *("-include", _BASE, "-cl-no-stdinc"),
                ],
                unsaved_files=[(_SOURCE, self.content), (_BASE, before)],
            )
        except cindex.TranslationUnitLoadError:
            raise Unreadable(0, "the parser gives up on it") from None
        for diagnostic in self.unit.diagnostics:
            if diagnostic.severity >= cindex.Diagnostic.Error:
                inside = diagnostic.location.file and diagnostic.location.file.name == _SOURCE
                line = self.lines.of(diagnostic.location.line) if inside else 0
                raise Unreadable(line, f"it doesn't compile: {diagnostic.spelling}")
        self._start = self._location(_SOURCE)
        self._base = range(self._location(_BASE), self._location(_BASE) + len(before) + 1)

    def _location(self, name: str) -> int:
        """Of the first byte of a file: those of its others count on from it."""
        file = self.unit.get_file(name)
        return int(libclang.lib.clang_getLocationForOffset(self.unit, file, 0).int_data)

    def declarations(self) -> Iterator[Any]:
        """The cursors of what the program declares itself, in the order of the text.

        Raises Unreadable when it comes to one that stands anywhere else.
        """
        for cursor in libclang.children(self.unit.cursor):
            at = libclang.extent_of(cursor).begin_int_data
            start = at - self._start
            if 0 <= start <= len(self.content):
                if cursor.extent.start.offset != start:
                    raise self.refused(cursor, "the parser places it where it isn't")
                yield cursor
            elif at not in self._base and cursor.location.file is not None:
                raise self.unknown(cursor)  # without a file it is the parser's own

    def extent(self, cursor: Any) -> tuple[int, int]:
        """Offsets of its first byte and past its last one; of a macro of `base`, its name's."""
        span: tuple[int, int] | None = getattr(cursor, "span", None)
        if span is None:
            found, first = libclang.extent_of(cursor), self._start
            span = found.begin_int_data - first, found.end_int_data - first
            if not 0 <= span[0] <= span[1] <= len(self.content):
                span = found.start.offset, found.end.offset
            cursor.span = span  # asked for again and again
        return span

    def text(self, start: int, end: int) -> str:
        """What stands between two offsets."""
        return self.content[start:end].decode(errors="replace")

    def line(self, cursor: Any) -> int:
        """The user's, on which it begins."""
        return self.lines.at(self.extent(cursor)[0])

    def refused(self, cursor: Any, why: str) -> Unreadable:
        """What to raise because of it."""
        return self.lines.unreadable(self.extent(cursor)[0], why)

    def unknown(self, cursor: Any) -> Unreadable:
        """What to raise if it is none of those that are read."""
        start, end = self.extent(cursor)
        shown = " ".join(self.text(start, min(end, start + 40)).split())
        return self.refused(cursor, f"{shown} is of an unknown kind ({cursor._kind_id})")

    def parts(self, cursor: Any, *counts: int) -> list[Any]:
        """The cursors right within it. Raises Unreadable if they aren't of one of these counts."""
        children = libclang.children(cursor)
        if len(children) not in counts:
            raise self.unknown(cursor)
        return children
