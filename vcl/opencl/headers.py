"""Headers that a program includes travel with its source: they're on the client's disk.

Owns: replacing `#include` by the file's text. Must not know: what the text means; the device's
compiler still evaluates every condition, so a file under a false `#if` does no harm.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from vcl.opencl.errors import fail

_INCLUDE = re.compile(
    r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"\n]+)"|<([^>\n]+)>)[^\n]*$', re.MULTILINE
)
_GUARD = re.compile(r"^\s*#\s*(?:pragma\s+once|ifndef\b|if\s+!\s*defined\b)", re.MULTILINE)
_ONCE = re.compile(r"^[ \t]*#[ \t]*pragma[ \t]+once[^\n]*$", re.MULTILINE)
depth_max = 64


def include_folders(options: str) -> list[Path]:
    """The folders of -I options, in order; the current folder comes first."""
    folders = [Path(".")]
    words = shlex.split(options)
    at = 0
    while at < len(words):
        word = words[at]
        if word == "-I" and at + 1 < len(words):
            at += 1
            folders.append(Path(words[at].strip('"')))
        elif word.startswith("-I") and len(word) > 2:
            folders.append(Path(word[2:].strip('"')))
        at += 1
    return folders


def travelling_source(source: str, options: str, given: dict[str, str] | None = None) -> str:
    """The source with the text of every header that can be found here in place of its #include.

    given: headers by name that aren't files. A header that isn't found stays an #include: it may
    be the device's own. Build logs keep naming the user's lines.
    """
    if "include" not in source:
        return source
    return _inline(source, include_folders(options), [], set(), given or {})


def _inline(
    text: str, folders: list[Path], stack: list[Path], once: set[Path], given: dict[str, str]
) -> str:
    if len(stack) > depth_max:
        names = " -> ".join(str(p) for p in stack[-3:])
        fail("clBuildProgram", "BUILD_PROGRAM_FAILURE", f"#include nests without end: {names}")

    def replace(match: re.Match[str]) -> str:
        name = match.group(1) or match.group(2)
        line = text.count("\n", 0, match.start()) + 2
        outer = f' "{stack[-1].name}"' if stack else ""
        if name in given:
            body = _inline(given[name], folders, [*stack, Path(name)], once, given)
            return f'#line 1 "{name}"\n{body}\n#line {line}{outer}'
        here = [stack[-1].parent] if stack and match.group(1) else []
        for folder in [*here, *folders]:
            path = folder / name
            if path.is_file():
                break
        else:
            return match.group(0)
        path = path.resolve()
        if path in once:
            return ""
        header = path.read_text(encoding="utf-8", errors="replace")
        if path in stack and _GUARD.search(header):
            return ""  # its guard would leave nothing of it
        if _ONCE.search(header):
            once.add(path)
            header = _ONCE.sub("", header)
        body = _inline(header, folders, [*stack, path], once, given)
        return f'#line 1 "{path.name}"\n{body}\n#line {line}{outer}'

    return _INCLUDE.sub(replace, text)
