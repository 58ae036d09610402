"""Texts for log lines and errors.

Owns: clipping and escaping what comes from elsewhere, and what several errors say alike.
Must not know: where a text comes from.
"""

from __future__ import annotations

import shlex
import sys
import traceback

failure_length_max = 2000
"""Characters of one failure's text; what follows is cut off."""


def clipped(text: str, length: int = failure_length_max) -> str:
    """The text, or its beginning and how much is missing."""
    if len(text) <= length:
        return text
    return f"{text[:length]}... ({len(text) - length} more characters)"


def raised(error: BaseException) -> str:
    """An exception on one line: its type, its text, and the line of ours that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    where = "".join(f", in {f.name}, {f.filename}:{f.lineno}: {f.line}" for f in frames[-1:])
    return plain(f"{type(error).__name__}: {error}", failure_length_max) + where


def plain(text: str, length: int = 200) -> str:
    """The text on one line: clipped, with everything that isn't printable escaped.

    So it can't forge a line of a log, or send a terminal what it obeys.
    """
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode("ascii")
        for c in clipped(text, length)
    )


def counted(number: int, noun: str) -> str:
    """As people say it: "1 device", "2 devices"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def sized(count: int) -> str:
    """So many bytes, as people read it: "512 B", "4.0 MiB"."""
    size = float(count)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{count} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def how_to_install(package: str) -> str:
    """The command that installs a package for this very Python.

    By the package's own name: an extra, as "vcl[local]", can be asked for only where vcl itself can
    be had, in a checkout or an index that has it.
    """
    return f"{shlex.quote(sys.executable or 'python3')} -m pip install {package}"
