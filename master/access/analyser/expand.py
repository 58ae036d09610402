"""Runs the preprocessor over a program, so that what is analysed can be what devices compile.

Owns expansion: macros, conditions, #include, and which macros of the devices a program looks at.
Must not know the language, nor devices: what they define is given.

The work is pcpp's. Around it stand: a lexer of our own (`lexer`); limits; blanks where two tokens
would be read as one (-NEG, where NEG is -1); an error where pcpp would go on after one, and where
it is wrong by itself: arguments that aren't closed before a directive, and nothing to paste.

pcpp gets only what there is to expand: whole lines (`lexer.LINE`) without a macro's name stay
tokens, and others are given to it a few at a time (`_Expander._lines_expanded`).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, NoReturn

from pcpp import preprocessor

from master.access.analyser.lexer import (
    LINE,
    Lexer,
    LineLexer,
    Token,
    logical_lines,
    taken_apart,
)
from master.access.analyser.text import Unreadable, main_name, text_chars_max
from master.access.files import Files

includes_max = 1000
"""Files that are read for one program, one that is read again included."""

include_depth_max = 50
"""Of files that include one another."""

expansion_depth_max = 100
"""Of macros within macros."""

work_max = 2**16
"""Tokens that are looked at in expanding macros, each time that one is: some seconds."""


@dataclass(frozen=True)
class Expanded:
    """A program without directives, but for #line and #pragma."""

    text: str
    looked_at: frozenset[str]
    """Names that the program tested or used and didn't define: devices must agree on these."""


def expand(
    source: str, options: str, files: Files | None = None, device_macros: Mapping[str, str] = {}
) -> Expanded:
    """Expand a program as a device does that defines `device_macros`.

    options: those of the build; only -D and -U count. Raises Unreadable.
    """
    expander = _Expander(files or Files())
    try:
        for name, body in device_macros.items():
            expander.define(f"{name} {body}")
        expander.macros.given = frozenset(device_macros)
        for kind, value in _definitions(options):
            if kind == "-U":
                expander.undef(value)
            else:
                name, _, body = value.partition("=")
                expander.define(f"{name} {body if '=' in value else '1'}")
        expander.macros.looked_at.clear()
        text = _joined(expander.parsegen(source, None, None))
    except RecursionError:
        raise Unreadable(0, "macros or conditions are nested too deeply") from None
    return Expanded(text, frozenset(expander.macros.looked_at))


def _definitions(options: str) -> Iterator[tuple[str, str]]:
    """(-D or -U, value) in their order."""
    if re.search(r"[\"'\\]", options):
        raise Unreadable(0, "build options: drivers don't agree on quotes")
    words = iter(shlex.split(options))
    for word in words:
        if word[:2] in ("-D", "-U", "-I"):
            value = word[2:] or next(words, "")
            if word[:2] == "-I":
                continue
            if not re.fullmatch(r"[A-Za-z_]\w*(?:\([\w,.]*\))?(?:=[^\n]*)?", value):
                raise Unreadable(0, f"build options: {word[:2]} {value} is not read")
            yield word[:2], value


class _Macros(dict[str, Any]):
    """Notes the names that are looked up and given, or tested and not there."""

    def __init__(self) -> None:
        super().__init__()
        self.given: frozenset[str] = frozenset()
        self.looked_at: set[str] = set()

    def __contains__(self, name: object) -> bool:
        found = super().__contains__(name)
        if found and name in self.given:
            self.looked_at.add(str(name))
        return found


class _Expander(preprocessor.Preprocessor):  # type: ignore[misc]
    """pcpp, stricter."""

    def __init__(self, files: Files) -> None:
        super().__init__(Lexer())
        self.macros: _Macros = _Macros()
        self.auto_pragma_once_enabled = False
        self.expand_linemacro = self.expand_filemacro = self.expand_countermacro = False
        self.rewrite_paths: list[Any] = []
        self._files = files
        self._folders: list[str | None] = [None]
        """Of the files that are being read: what their #include "" looks at first."""
        self._included = 0
        self._work = 0

    def on_error(self, file: str, line: int, msg: str) -> NoReturn:
        reason = msg[:1].lower() + msg[1:].strip()
        raise Unreadable(line if isinstance(line, int) else 0, reason)

    def on_unknown_macro_in_defined_expr(self, tok: Token) -> bool:
        self.macros.looked_at.add(tok.value)
        return False

    def on_unknown_macro_in_expr(self, ident: str) -> int:
        self.macros.looked_at.add(ident)
        return 0

    def on_unknown_macro_function_in_expr(self, ident: str) -> NoReturn:
        raise Unreadable(0, f"{ident}() in a condition is not read")

    def on_directive_handle(
        self, directive: Token, toks: list[Token], ifpassthru: bool, precedingtoks: list[Token]
    ) -> bool:
        needs = ("define", "undef", "ifdef", "ifndef", "if", "elif", "include", "pragma")
        if not toks and directive.value in needs:
            self.on_error("", directive.lineno, f"#{directive.value} of nothing")
        return True

    def on_directive_unknown(
        self, directive: Token, toks: list[Token], ifpassthru: bool, precedingtoks: list[Token]
    ) -> bool | None:
        if directive.value == "warning":
            return True
        if directive.value != "pragma":
            text = "".join(token.value for token in toks)
            self.on_error("", directive.lineno, f"#{directive.value} {text:.60}".strip())
        if toks[0].value == "unroll":  # the one whose macros compilers expand
            for token in toks[1:]:
                if token.type == self.t_ID and token.value in self.macros:
                    body = self.expand_macros([copy(token)])
                    token.value = "".join(part.value for part in body)
        return None

    def collect_args(
        self, tokenlist: list[Token], ignore_errors: bool = False
    ) -> tuple[int, list[list[Token]], list[int]]:
        count, arguments, positions = super().collect_args(tokenlist, ignore_errors)
        if not count:
            self.on_error("", tokenlist[0].lineno, "the arguments of a macro are not closed")
        return count, arguments, positions

    def macro_expand_args(self, macro: Any, args: list[list[Token]]) -> list[Token]:
        pasted = {number for kind, number, _ in macro.patch if kind == "t"}
        last = len(args) - 1 if macro.variadic else -1
        if any(not args[number] for number in pasted if number != last):
            line = macro.value[0].lineno
            self.on_error("", line, f"{macro.name} pastes an argument that is empty")
        return list(super().macro_expand_args(macro, args))

    def expand_macros(self, tokens: list[Token], expanding_from: list[str] = []) -> list[Token]:  # noqa: B006
        if not expanding_from and any(token.type == LINE for token in tokens):
            return self._lines_expanded(tokens)
        self._work += len(tokens)
        line = tokens[0].lineno if tokens else 0
        if self._work > work_max or len(expanding_from) > expansion_depth_max:
            self.on_error("", line, "macros expand to too much")
        if self.macros.keys().isdisjoint([token.value for token in tokens]):
            return tokens
        return list(super().expand_macros(tokens, expanding_from))

    def group_lines(self, input: str, abssource: str | None) -> Iterator[list[Token]]:
        lexer = LineLexer()
        lexer.input("\n".join(line.rstrip() for line in input.splitlines()))
        line: list[Token] = []
        for token in lexer:
            token.source = abssource
            line.append(token)
            if token.value == "\n":
                yield line
                line = []
        if line:
            end = copy(line[-1])
            end.type, end.value = self.t_NEWLINE, "\n"
            yield [*line, end]

    def _lines_expanded(self, tokens: list[Token]) -> list[Token]:
        """Of all lines between two directives.

        What a macro is replaced by depends on what follows it only if that are arguments: they
        may begin behind its name, or behind the parenthesis of another macro's arguments. So from
        a line that names a macro on lines are expanded together up to one that ends in another
        mark. If arguments go on behind it, pcpp finds them not closed, and all that is left is
        expanded together.
        """
        kinds = {token.type for token in tokens}
        if not kinds <= {LINE, self.t_SPACE, self.t_NEWLINE}:  # lines that aren't whole tokens
            return self.expand_macros(_all_apart(tokens))
        macros = self.macros.keys()
        found: list[Token] = []
        at, count = 0, len(tokens)
        while at < count:
            token = tokens[at]
            if token.type != LINE or macros.isdisjoint(_NAME.findall(token.value)):
                found.append(token)
                at += 1
                continue
            end = _statement_end(tokens, at)
            try:
                found += self.expand_macros(_all_apart(tokens[at:end]))
            except Unreadable:
                if end == count:
                    raise
                end = count
                found += self.expand_macros(_all_apart(tokens[at:end]))
            at = end
        return found

    def parsegen(
        self, input: str, source: str | None = None, abssource: str | None = None
    ) -> Iterator[Token]:
        try:
            yield from super().parsegen(logical_lines(input), source, abssource)
        except Unreadable as error:
            if source is None or f" in {source}" in error.reason:
                raise
            raise Unreadable(error.line, f"{error.reason} in {source}") from None

    def include(self, tokens: list[Token], original_line: list[Token]) -> Iterator[Token]:
        line = original_line[0].lineno
        name = "".join(token.value for token in tokens)
        if not re.fullmatch(r'"[^"\\]+"|<[^<>"\\]+>', name):
            self.on_error("", line, f"#include {name:.60} is not read")
        beside = self._folders[-1] if name[0] == '"' else None
        found = self._files.find(name[1:-1], beside)
        if found is None:
            self.on_error("", line, f"{name:.60} did not come with the program")
        path, folder = found
        if path in self.include_once:
            return
        self._included += 1
        if self._included > includes_max or len(self._folders) > include_depth_max:
            self.on_error("", line, f"{name:.60} is included too often")
        self._folders.append(folder)
        yield from self.parsegen(self._files.text(path), path, path)
        self._folders.pop()


_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_ENDING = frozenset(";{},:=+-*/%&|^!~?<>[].")
"""Marks behind which no arguments of what stands before them begin."""


def _all_apart(tokens: Iterable[Token]) -> list[Token]:
    apart: list[Token] = []
    for token in tokens:
        if token.type == LINE:
            apart += taken_apart(token)
        else:
            apart.append(copy(token))
    return apart


def _statement_end(tokens: list[Token], first: int) -> int:
    """The place behind the first line, from `first` on, that closes what was opened and ends so
    that no arguments follow."""
    depth = 0
    for place in range(first, len(tokens)):
        token = tokens[place]
        if token.type == LINE:
            depth += token.value.count("(") - token.value.count(")")
            if depth <= 0 and token.value[-1] in _ENDING:
                return place + 1
    return len(tokens)


_GLUED = frozenset(
    "++ -- -> << >> <= >= == != && || += -= *= /= %= &= |= ^= // /* ##"
    " <: <% %: %> :> :: .. ??".split()
)


def _would_glue(before: str, after: str) -> bool:
    """Whether two tokens, written side by side, are read as others."""
    last, first = before[-1], after[0]
    if before[0].isdigit() or (before[0] == "." and before[1:2].isdigit()):
        return first in "._" or first.isalnum() or (last in "eEpP" and first in "+-")
    if last == "_" or last.isalnum():
        return first in "_\"'" or first.isalnum()
    return last + first in _GLUED or (last == "." and first.isdigit())


def _joined(tokens: Iterable[Token]) -> str:
    """The text of all tokens, with each on its line by #line."""
    pieces: list[str] = []
    size, line, source, previous, starts = 0, 1, None, "", True
    for token in tokens:
        value = token.value
        if value == "\n":
            if not starts:
                pieces.append("\n")
                line, starts, previous = line + 1, True, ""
            continue
        if not value or (starts and value.isspace()):
            continue
        if value.isspace():
            value = " "
        if starts:
            value = value.lstrip(" \t")
            ahead = token.lineno - line
            if token.source != source:
                pieces.append(f'#line {token.lineno} "{token.source or main_name}"\n')
            elif 0 <= ahead <= 8:
                pieces.append("\n" * ahead)
            else:
                pieces.append(f"#line {token.lineno}\n")
            line, source, starts = token.lineno, token.source, False
        elif previous not in ("", " ") and value != " " and _would_glue(previous, value):
            pieces.append(" ")
        pieces.append(value)
        previous = value
        size += len(value)
        if size > text_chars_max:
            raise Unreadable(token.lineno, "the program expands to too much")
    return "".join(pieces)
