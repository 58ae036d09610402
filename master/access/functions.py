"""Which kernels of a program stay clear of its faults: the functions of a source, and what each
may reach.

Owns: finding the bodies of functions in raw tokens, and `judge_kernels`. Must not know: what a
fault is, or how text becomes tokens (`guard`).

A fault that stands in the parameters or the body of a function is that function's, and of all that
may reach it. A function may reach each name in its parameters and body that is a function's,
called or not, and whatever it means there. Nothing is expanded: the name of a macro stands for
what is in all bodies that it is ever given.

A fault elsewhere is everybody's. So it is too when the device's preprocessor could draw the line
between two functions elsewhere than raw tokens do:

* Brackets of all kinds must match, in the code and in each macro. Then a macro, or the argument
  that it drops, takes whole pairs only. Outside of functions no brace stands in parentheses.
* A branch of an #if closes only what it opened. Outside of brackets, branches and included files
  begin and end between declarations; no file is included elsewhere.
* A body follows ``name (parameters)``, perhaps with known attributes behind, where neither the name
  nor the words that tell other braces apart are a macro's; before the name stand names, ``*``,
  attributes and the members of a struct. That is no pointer to a function, and no K&R parameters.
* No ``name (...) {`` stands inside of other braces, and no name has two bodies.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

kernels_max = 1000
"""Kernels that are told apart; a program with more is judged as a whole."""

kernel_chars_max = 2**17
"""Characters of their names and reasons together."""


class Token(NamedTuple):
    """Of the source, with its splices undone and nothing expanded."""

    kind: str  # identifier, number, literal or mark
    text: str
    where: str  # "line 12" or "build options"
    offset: int
    starts_line: bool


class Parts(NamedTuple):
    """What was read of one unit.

    code: outside of directives. marks: (index in `code`, what stands before it) of "if", "branch"
    (another one), "endif", "include" (a file begins) and "end" (of it). macros: by name, all
    bodies. faults: (index in `code`, reason) of what a function may have for itself.
    """

    code: Sequence[Token]
    marks: Sequence[tuple[int, str]]
    macros: Mapping[str, Sequence[Sequence[Token]]]
    faults: Sequence[tuple[int, str]]


def judge_kernels(units: Sequence[Parts]) -> dict[str, str]:
    """Of each kernel that can be told from the others why it may not run in parts; "" if it may.

    Empty if none can. A kernel that isn't named may not, if there are any faults.
    """
    reaches: dict[str, set[str]] = {}
    bodies: set[str] = set()
    kernels: set[str] = set()
    faults: list[tuple[str, str]] = []
    try:
        for unit in units:
            walk = _Walk(unit)
            if not bodies.isdisjoint(walk.spans):
                raise _Uncertain
            bodies.update(walk.spans)
            kernels |= walk.kernels
            faults += walk.attributed(unit.faults)
            for name, texts in walk.reaches():
                reaches.setdefault(name, set()).update(texts)
    except _Uncertain:
        return {}
    reasons = _spread(reaches, faults)
    judged = {name: reasons.get(name, "") for name in sorted(kernels)}
    size = sum(len(name) + len(reason) for name, reason in judged.items())
    if _OUTSIDE in reasons or len(judged) > kernels_max or size > kernel_chars_max:
        return {}
    return judged


def _spread(
    reaches: Mapping[str, set[str]], faults: Iterable[tuple[str, str]]
) -> dict[str, str]:
    """The first fault that each may reach."""
    users: dict[str, list[str]] = {}
    for name, texts in reaches.items():
        for text in texts & reaches.keys():
            users.setdefault(text, []).append(name)
    reasons: dict[str, str] = {}
    for at_fault, reason in faults:
        todo = [at_fault]
        while todo:
            name = todo.pop()
            if name not in reasons:
                reasons[name] = reason
                todo += users.get(name, ())
    return reasons


_OUTSIDE = ""
"""Stands for all that is outside of functions."""

_OPENED_BY = {")": "(", "]": "[", "}": "{"}
_OPENING = frozenset("([{")
_MEMBERS = frozenset(("struct", "union", "enum"))
_STATEMENTS = frozenset(("if", "for", "while", "switch", "return", "sizeof"))
"""May stand before "(...) {" in a body; behind the last two it's a compound literal."""

_NO_FUNCTION = re.compile(
    "(?:__|_[A-Z]).*|if|for|while|switch|return|sizeof|else|do|case|default|break|continue|goto"
    "|typeof|asm|typedef|struct|union|enum|const|restrict|volatile|static|inline|extern|register"
    "|auto|void|char|short|int|long|float|double|half|bool|signed|unsigned|kernel|global|local"
    "|constant|private|defined"
)
_NO_TOKEN = Token("none", "", "", 0, False)


class _Uncertain(Exception):
    """Where functions begin and end depends on more than raw tokens."""


class _Walk:
    """One way through the code of a unit; raises _Uncertain."""

    def __init__(self, unit: Parts) -> None:
        self._code = unit.code
        self._macros = unit.macros
        self._opened: list[int] = []
        self._starts: dict[int, int] = {}
        """By index of each closing bracket, that of its opening one."""
        self._ends: dict[int, int] = {}
        self._branches: list[int] = []
        """Of each open #if, the brackets around it; -1 of an included file."""
        self._start = 0
        """Of the declaration under way."""
        self._reached = 0
        """Index behind the last token."""
        self._function = ""
        """Whose body is under way."""
        self._parameters = 0
        self._outside: set[str] = set()
        self.spans: dict[str, tuple[int, int]] = {}
        """Of each function: from its parameters to behind its body."""
        self.kernels: set[str] = set()
        """Functions that may be kernels."""
        if not self._macros.keys().isdisjoint(_MEMBERS | _STATEMENTS | {"__attribute__"}):
            raise _Uncertain
        for bodies in self._macros.values():
            for body in bodies:
                _check_brackets(body)
        marks = iter([*unit.marks, (len(self._code) + 1, "")])
        at, mark = next(marks)
        for i, token in enumerate([*self._code, _NO_TOKEN]):
            while at == i:
                self._mark(mark)
                at, mark = next(marks)
            self._token(i, token)
        if self._opened or self._branches or self._start != len(self._code):
            raise _Uncertain

    def attributed(self, faults: Iterable[tuple[int, str]]) -> list[tuple[str, str]]:
        """(function, reason) of each fault."""
        names = [_OUTSIDE, *self.spans]
        starts, ends = zip((0, 0), *self.spans.values(), strict=True)
        found = []
        for i, reason in faults:
            last = bisect_right(starts, i) - 1
            found.append((names[last] if i < ends[last] else _OUTSIDE, reason))
        return found

    def reaches(self) -> Iterable[tuple[str, set[str]]]:
        """Of functions, macros and what is outside, with all identifiers that are in it."""
        for name, (start, end) in self.spans.items():
            yield name, _identifiers(self._code[start:end])
        for name, bodies in self._macros.items():
            yield name, {text for body in bodies for text in _identifiers(body)}
        yield _OUTSIDE, self._outside

    def _mark(self, mark: str) -> None:
        here = len(self._opened)
        between = not here and self._start == self._reached
        if not (between or (here and mark in ("if", "branch", "endif"))):
            raise _Uncertain
        if mark in ("if", "include"):
            self._branches.append(here if mark == "if" else -1)
            return
        if not self._branches or self._branches[-1] != (-1 if mark == "end" else here):
            raise _Uncertain
        if mark != "branch":
            self._branches.pop()

    def _token(self, i: int, token: Token) -> None:
        text = token.text
        if text in _OPENING:
            if text == "{":
                self._brace(i)
            self._opened.append(i)
        elif text in _OPENED_BY:
            self._close(i, _OPENED_BY[text])
        elif text == ";" and not self._opened:
            self._outside |= self._referred(self._start, i)
            self._start = i + 1
        self._reached = i + 1

    def _close(self, i: int, opened_by: str) -> None:
        if not self._opened or self._code[self._opened[-1]].text != opened_by:
            raise _Uncertain
        start = self._opened.pop()
        self._starts[i], self._ends[start] = start, i
        if self._branches and len(self._opened) < self._branches[-1]:
            raise _Uncertain
        if self._function and not self._opened:
            self.spans[self._function] = (self._parameters, i + 1)
            self._function = ""
            self._start = i + 1

    def _brace(self, i: int) -> None:
        """Find out what begins here."""
        before = self._before_attributes(i - 1)
        previous, opened = self._at(before), self._starts.get(before, 0)
        named = previous.text == ")" and self._at(opened - 1).kind == "identifier"
        if self._opened:
            if named and self._code[opened - 1].text not in _STATEMENTS:
                raise _Uncertain
            if not self._function and self._code[self._opened[-1]].text != "{":
                raise _Uncertain
        elif named:
            self._begin_function(opened)
        elif not (before == i - 1 and previous.text == "=") and not self._is_members(i):
            raise _Uncertain

    def _begin_function(self, parameters: int) -> None:
        name = self._code[parameters - 1].text
        if name in self._macros or name in self.spans or _NO_FUNCTION.fullmatch(name):
            raise _Uncertain
        head, i = self._code[self._start : parameters - 1], self._start
        while i < parameters - 1:
            token = self._code[i]
            attribute = token.text == "(" and self._at(i - 1).text == "__attribute__"
            if token.text == "{" or attribute:
                i = self._ends[i]
            elif token.kind != "identifier" and token.text != "*":
                raise _Uncertain
            i += 1
        texts = _identifiers(head)
        self._outside |= texts
        if "kernel" in texts or "__kernel" in texts or not texts.isdisjoint(self._macros):
            self.kernels.add(name)
        self._function, self._parameters = name, parameters

    def _is_members(self, i: int) -> bool:
        """Whether struct, union or enum stands before the brace, perhaps with a name."""
        before = self._before_attributes(i - 1)
        if self._at(before).text not in _MEMBERS:
            tag = self._at(before)
            if tag.kind != "identifier" or tag.text in self._macros:
                return False
            before = self._before_attributes(before - 1)
        return before >= self._start and self._at(before).text in _MEMBERS

    def _before_attributes(self, i: int) -> int:
        while self._at(i).text == ")":
            start = self._starts[i]
            if self._at(start - 1).text != "__attribute__":
                break
            i = start - 2
        return i

    def _referred(self, start: int, end: int) -> set[str]:
        """The identifiers of a declaration, but for the functions that it declares."""
        texts: set[str] = set()
        tokens = self._code[start:end]
        valued = any(token.text == "=" for token in tokens)
        depth = 0
        for token, following in zip(tokens, [*tokens[1:], _NO_TOKEN], strict=False):
            depth += (token.text in _OPENING) - (token.text in _OPENED_BY)
            declared = not depth and not valued and following.text == "("
            declared = declared and token.text not in self._macros
            if token.kind == "identifier" and not declared:
                texts.add(token.text)
        return texts

    def _at(self, i: int) -> Token:
        """The token of the declaration under way, if it has one there."""
        return self._code[i] if i >= self._start else _NO_TOKEN


def _identifiers(tokens: Iterable[Token]) -> set[str]:
    return {token.text for token in tokens if token.kind == "identifier"}


def _check_brackets(tokens: Iterable[Token]) -> None:
    opened: list[str] = []
    for token in tokens:
        if token.text in _OPENING:
            opened.append(token.text)
        elif token.text in _OPENED_BY and (
            not opened or opened.pop() != _OPENED_BY[token.text]
        ):
            raise _Uncertain
    if opened:
        raise _Uncertain
