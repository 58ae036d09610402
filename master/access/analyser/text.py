"""The text that the parser gets: that it holds nothing to preprocess, and which user lines it has.

Owns what is decided without a parser. Must not know the tree.
"""

from __future__ import annotations

import re
from bisect import bisect_right

text_chars_max = 2**22
"""Of one program, expanded: more isn't read."""


main_name = "<program source>"
"""What #line calls the source itself, where it goes on after a file that it includes."""


class Unreadable(Exception):
    """The program, or what it needs, isn't understood: `reason` is one sentence for the user.

    line: where, in the user's source, or in the included file that the reason names; 0: nowhere.
    """

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}" if line else reason)
        self.line = line
        self.reason = reason


class Lines:
    """Which line of the user's each offset of a text is on, by its #line directives."""

    def __init__(self, text: bytes) -> None:
        self._starts = [0, *(match.end() for match in re.finditer(rb"\n", text))]
        self._lines: list[int] = []
        self._files: list[str] = []
        shift, file = 0, ""
        for number, line in enumerate(text.split(b"\n"), 1):
            self._lines.append(number + shift)
            self._files.append(file)
            if match := _LINE.match(line):
                shift = int(match[1]) - number - 1
                if match[2] is not None:
                    file = match[2].decode(errors="replace")
                    file = "" if file == main_name else file

    def at(self, offset: int) -> int:
        """`offset` is in bytes."""
        return self._lines[bisect_right(self._starts, offset) - 1]

    def of(self, physical: int) -> int:
        """The user's line that is the `physical`th, counted from 1."""
        return self._lines[min(physical, len(self._lines)) - 1]

    def where(self, physical: int) -> str:
        """The same in words, with the name of the file that the user includes, if it's there."""
        file = self._files[min(physical, len(self._files)) - 1]
        return f"{file}, line {self.of(physical)}" if file else f"line {self.of(physical)}"

    def unreadable(self, offset: int, reason: str) -> Unreadable:
        """With the name of the file that the user includes, if it's there."""
        file = self._files[bisect_right(self._starts, offset) - 1]
        return Unreadable(self.at(offset), f"{reason} in {file}" if file else reason)


_LINE = re.compile(
    rb"[ \t]*#[ \t]*(?:line[ \t]+)?(\d{1,9})(?:[ \t]+\"([^\"\\\n]*)\"[ \t\d]*)?[ \t]*$"
)
_PRAGMA = re.compile(
    rb"[ \t]*#[ \t]*pragma[ \t]+(?:OPENCL[ \t]+EXTENSION[ \t]+\w+[ \t]*:[ \t]*(?:enable|disable)"
    rb"|OPENCL[ \t]+FP_CONTRACT[ \t]+(?:ON|OFF|DEFAULT|on|off)"
    rb"|(?:no)?unroll(?:[ \t]+\d+|[ \t]*\([ \t]*\d+[ \t]*\))?)[ \t]*"
)
_ATTRIBUTE = (
    rb"(?:reqd_work_group_size|work_group_size_hint|vec_type_hint|aligned|packed|unused"
    rb"|max_constant_size|always_inline|noinline|opencl_unroll_hint)"
)
_ATTRIBUTES = re.compile(
    rb"__attribute__\s*\(\s*\((?:\s*(?:,|" + _ATTRIBUTE + rb"|__" + _ATTRIBUTE + rb"__)\s*"
    rb"(?:\((?:[\w\s,.+*/<>-]|\([\w\s,.+*/<>-]*\))*\))?)*\s*\)\s*\)"
)
QUOTED = rb"""\"(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*'"""
"""A pattern of strings and characters."""

_NOTABLE = re.compile(
    rb"""(?P<comment>//[^\n]*|/\*.*?\*/)
    |(?P<string>""" + QUOTED + rb""")
    |(?P<directive>^[ \t]*\#[^\n]*)
    |(?P<attribute>__attribute(?:__)?\b)
    |(?P<word>\b(?:asm|__asm|__asm__|_Pragma|__pragma|__declspec|goto|_Generic|_Atomic
        |typeof|__typeof|__typeof__|__auto_type|extern|__extension__|__has_\w+
        |_Static_assert|__block|_Thread_local|__thread|_Alignas|__vcl\w*
        |__(?:LINE|FILE|COUNTER|DATE|TIME|TIMESTAMP|INCLUDE_LEVEL|BASE_FILE)__)\b)
    |(?P<odd>\[\s*\[|[\\#"'\0`$]|/\*|\?\?|%:|<:|:>|<%|%>|[^\0-\x7f]+)""",
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)


def checked_text(text: str) -> tuple[bytes, Lines]:
    """The text with blanks for comments. Raises Unreadable if there's something to preprocess."""
    if len(text) > text_chars_max:
        raise Unreadable(0, f"the program has more than {text_chars_max} characters")
    source = text.replace("\r\n", "\n").encode(errors="surrogatepass") + b"\n"
    lines = Lines(source)
    pieces, done = [], 0
    for match in _NOTABLE.finditer(source):
        found = match[0].strip()
        shown = found[:40].decode(errors="replace")
        match match.lastgroup:
            case "comment":
                pieces += [source[done : match.start()], re.sub(rb"[^\n]", b" ", match[0])]
                done = match.end()
            case "string":
                pass
            case "directive":
                if not (_LINE.fullmatch(match[0]) or _PRAGMA.fullmatch(match[0])):
                    raise lines.unreadable(match.start(), f"{shown} is not read")
            case "attribute":
                attributes = _ATTRIBUTES.match(source, match.start())
                if attributes is None:
                    listed = source[match.start() : match.start() + 60].decode(errors="replace")
                    why = f"{' '.join(listed.split())} is not known"
                    raise lines.unreadable(match.start(), why)
            case _:
                raise lines.unreadable(match.start(), f"{shown} is not read")
    return b"".join(pieces) + source[done:], lines
