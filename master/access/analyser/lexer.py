"""Preprocessing tokens, for pcpp: its own lexer takes 1.f and 1E5 apart, whose pieces are names.

Owns tokens and the phases before them: continued lines and comments. Must not know macros.

Most lines of a program have nothing to expand, and to take them apart is what costs most. So of a
file (`LineLexer`) a line that isn't a directive is one token, which is taken apart (`taken_apart`)
where that matters; all that could fail there is told before.
"""

from __future__ import annotations

import re
from typing import Any

from master.access.analyser.text import Unreadable


class Token:
    """What pcpp expects of one; kinds have pcpp's names, as its evaluator looks at them."""

    __slots__ = ("expanded_from", "lexpos", "lineno", "source", "type", "value")

    def __init__(self, kind: str, value: str, lineno: int, lexpos: int) -> None:
        self.type = kind
        self.value = value
        self.lineno = lineno
        self.lexpos = lexpos
        self.source: str | None = None
        self.expanded_from: list[str]
        """Set by pcpp, to the macros that it comes from."""

    def __copy__(self) -> Token:
        other = Token(self.type, self.value, self.lineno, self.lexpos)
        other.source = self.source
        if hasattr(self, "expanded_from"):
            # A list of its own: pcpp adds to it.
            other.expanded_from = list(self.expanded_from)
        return other


_TOKEN = re.compile(
    r"""(?P<WS>[ \t]+|\n)
    |(?P<COMMENT1>/\*(?:.|\n)*?\*/)|(?P<COMMENT2>//[^\n]*)
    |(?P<ID>[A-Za-z_]\w*)
    |(?P<NUMBER>\.?[0-9](?:[eEpP][+-]|[\w.])*)
    |(?P<STRING>"(?:[^"\\\n]|\\.)*")|(?P<CHAR>'(?:[^'\\\n]|\\.)+')
    |(?P<LINECONT>\\[ \t]*\n)
    |(?P<mark><<=|>>=|\.\.\.|->|\+\+|--|<<|>>|\#\#|[-+*/%&|^<>=!]=|&&|\|\||[][(){}.,;:?~!%^&*+=|<>\#/\\-])
    """,
    re.VERBOSE | re.ASCII,
)
_INTEGER = re.compile(r"(?:0[xX][0-9a-fA-F]+|\d+)(?:[uU][lL]?|[lL][uU]?)?")
_MARKS = {
    "#": "POUND",
    "##": "DPOUND",
    "+": "PLUS",
    "-": "MINUS",
    "*": "STAR",
    "/": "FSLASH",
    "%": "PERCENT",
    "|": "BAR",
    "&": "AMPERSAND",
    "~": "TILDE",
    "^": "HAT",
    "<": "LESS",
    ">": "GREATER",
    "=": "EQUAL",
    "!": "EXCLAMATION",
    "?": "QUESTION",
    "(": "LPAREN",
    ")": "RPAREN",
    "[": "LBRACKET",
    "]": "RBRACKET",
    "{": "LCURLY",
    "}": "RCURLY",
    ".": "DOT",
    ",": "COMMA",
    ";": "SEMICOLON",
    ":": "COLON",
    "\\": "BSLASH",
    "->": "DEREFERENCE",
    "-=": "MINUSEQUAL",
    "--": "MINUSMINUS",
    "<<": "LSHIFT",
    "<=": "LESSEQUAL",
    ">>": "RSHIFT",
    ">=": "GREATEREQUAL",
    "||": "LOGICALOR",
    "|=": "OREQUAL",
    "&&": "LOGICALAND",
    "&=": "ANDEQUAL",
    "==": "EQUALITY",
    "!=": "INEQUALITY",
    "^=": "XOREQUAL",
    "*=": "MULTIPLYEQUAL",
    "/=": "DIVIDEEQUAL",
    "+=": "PLUSEQUAL",
    "++": "PLUSPLUS",
    "%=": "PERCENTEQUAL",
    "<<=": "LSHIFTEQUAL",
    ">>=": "RSHIFTEQUAL",
    "...": "ELLIPSIS",
}


LINE = "CPP_LINE"
"""The kind of a token that is a line's whole text."""

_PLAIN_LINE = re.compile(
    r"""[ \t]*+(?!\#)(?:[\w \t\[\](){}.,;:?~!%^&*+=|<>-]++|/(?![/*])
    |"(?:[^"\\\n]|\\.)*+"|'(?:[^'\\\n]|\\.)++')++(?=\n|\Z)""",
    re.VERBOSE | re.ASCII,
)
"""A line that isn't empty, no directive, and all of which is tokens."""


class Lexer:
    """What pcpp and its evaluator ask of a lexer made by ply."""

    def __init__(self) -> None:
        self.lineno = 1
        self._text = ""
        self._offset = 0

    def clone(self) -> Lexer:
        return Lexer()

    def input(self, text: str) -> None:
        self._text, self._offset = text, 0

    def token(self) -> Token | None:
        """The next one, or None at the end. Raises Unreadable."""
        if self._offset >= len(self._text):
            return None
        match = _TOKEN.match(self._text, self._offset)
        if match is None:
            odd = self._text[self._offset]
            raise Unreadable(self.lineno, f"{odd!r} is not read, or not closed")
        kind, value = str(match.lastgroup), match[0]
        if kind == "mark":
            kind = _MARKS[value]
        elif kind == "NUMBER":
            kind = "INTEGER" if _INTEGER.fullmatch(value) else "FLOAT"
        token = Token(f"CPP_{kind}", value, self.lineno, self._offset)
        if kind == "LINECONT":
            token.value = value[1:-1]
        self.lineno += value.count("\n")
        self._offset = match.end()
        return token

    def __iter__(self) -> Lexer:
        return self

    def __next__(self) -> Any:
        token = self.token()
        if token is None:
            raise StopIteration
        return token


class LineLexer(Lexer):
    """For a file: lines that aren't directives are one token each, without their end."""

    def token(self) -> Token | None:
        """The next one, or None at the end. Raises Unreadable."""
        text, offset = self._text, self._offset
        if offset == 0 or text[offset - 1 : offset] == "\n":
            match = _PLAIN_LINE.match(text, offset)
            if match is not None:
                self._offset = match.end()
                return Token(LINE, match[0], self.lineno, offset)
        return super().token()


def taken_apart(line: Token) -> list[Token]:
    """The tokens of one that is a line."""
    lexer = Lexer()
    lexer.input(line.value)
    lexer.lineno = line.lineno
    found = list(lexer)
    for token in found:
        token.source = line.source
    return found


_PHASES = re.compile(
    r"""(?P<splice>\\[ ]*\n)|(?P<comment>//(?:[^\n\\]|\\[ ]*\n|\\)*|/\*.*?\*/)
    |(?P<literal>"(?:[^"\\\n]|\\[ ]*\n|\\.)*"|'(?:[^'\\\n]|\\[ ]*\n|\\.)*')|(?P<newline>\n)
    |(?P<odd>\?\?[=/'()!<>-]|%:|<:|:>|<%|%>|[^\t\n\x20-\x7e]|/\*)""",
    re.VERBOSE | re.DOTALL,
)


def logical_lines(text: str) -> str:
    """With continued lines joined and blanks for comments; all else stays on its line.

    Raises Unreadable for what compilers read in different ways.
    """
    text = text.replace("\r\n", "\n").replace("\f", " ").replace("\v", " ")
    pieces, owed, done = [], 0, 0
    for match in _PHASES.finditer(text):
        pieces.append(text[done : match.start()])
        done = match.end()
        match match.lastgroup:
            case "newline":
                pieces.append("\n" * (owed + 1))
                owed = 0
            case "odd":
                line = text.count("\n", 0, match.start()) + 1
                raise Unreadable(line, f"{match[0]!r} is not read, or not closed")
            case "literal" if match[0].isascii():
                owed += match[0].count("\n")
                pieces.append(re.sub(r"\\ *\n", "", match[0]))
            case "literal":
                line = text.count("\n", 0, match.start()) + 1
                raise Unreadable(line, "text that isn't ASCII is not read")
            case kind:
                owed += match[0].count("\n")
                pieces.append("" if kind == "splice" else " ")
    pieces.append(text[done:])
    return "".join(pieces)
