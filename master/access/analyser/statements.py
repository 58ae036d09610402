"""Statements of a program to those of the tree.

Owns: a case for each kind of statement. Must not know kinds of expressions, nor what is around the
outermost block.

libclang drops the empty parts of a for loop, so semicolons in the text tell which are there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from master.access import tree
from master.access.analyser import libclang
from master.access.analyser.definitions import Definitions
from master.access.analyser.expressions import Expressions
from master.access.analyser.libclang import Kind
from master.access.analyser.source import Source
from master.access.analyser.text import QUOTED
from master.access.tree import Statement

_BRACKETS = re.compile(rb"[()\[\]{};]|" + QUOTED)


class Statements:
    """Reads those of one program."""

    def __init__(
        self, source: Source, definitions: Definitions, expressions: Expressions
    ) -> None:
        self._source = source
        self._definitions = definitions
        self._expressions = expressions

    def block(self, cursor: Any) -> tree.Block:
        """Raises Unreadable."""
        found: list[Statement] = []
        for child in libclang.children(cursor):
            found += self._statements(child)
        return tree.Block(self._source.line(cursor), tuple(found))

    def _statement(self, cursor: Any) -> Statement:
        found = self._statements(cursor)
        return found[0] if len(found) == 1 else tree.Block(self._source.line(cursor), tuple(found))

    def _statements(self, cursor: Any) -> list[Statement]:
        """Declarations may be many, and an empty statement is none."""
        kind = cursor._kind_id
        if kind == Kind.EMPTY_STATEMENT:
            return []
        if kind == Kind.DECLARATIONS:
            children = libclang.children(cursor)
            for child in children:
                if not (child._kind_id == Kind.VARIABLE or child._kind_id in Kind.TYPES):
                    raise self._source.unknown(child)
            variables = [child for child in children if child._kind_id == Kind.VARIABLE]
            return [self._expressions.declaration(variable) for variable in variables]
        self._definitions.deeper(cursor)
        read = _KINDS.get(kind)
        if read is None:
            found: Statement = tree.Express(
                self._source.line(cursor), self._expressions.read(cursor, used=False)
            )
        else:
            found = read(self, cursor)
        self._definitions.back()
        return [found]

    def _attributed(self, cursor: Any) -> Statement:
        """A loop below #pragma unroll or opencl_unroll_hint."""
        children = libclang.children(cursor)
        loops = [child for child in children if child._kind_id in Kind.LOOPS]
        others = [child for child in children if child._kind_id not in Kind.ATTRIBUTES]
        if len(loops) != 1 or others != loops:
            raise self._source.unknown(cursor)
        before = self._source.text(self._source.extent(cursor)[0], self._source.extent(loops[0])[0])
        if not re.search("unroll", before):
            raise self._source.unknown(cursor)
        return self._statement(loops[0])

    def _if(self, cursor: Any) -> Statement:
        condition, then, *otherwise = self._source.parts(cursor, 2, 3)
        return tree.If(
            self._source.line(cursor),
            self._expressions.read(condition),
            self._statement(then),
            self._statement(otherwise[0]) if otherwise else None,
        )

    def _while(self, cursor: Any) -> Statement:
        condition, body = self._source.parts(cursor, 2)
        test = self._expressions.read(condition)
        return tree.While(self._source.line(cursor), test, self._statement(body))

    def _do(self, cursor: Any) -> Statement:
        body, condition = self._source.parts(cursor, 2)
        found = self._statement(body)
        return tree.DoWhile(self._source.line(cursor), found, self._expressions.read(condition))

    def _for(self, cursor: Any) -> Statement:
        start, end = self._source.extent(cursor)
        first, second, closing = self._for_header(cursor, start, end)
        *header, body = self._source.parts(cursor, 1, 2, 3, 4)
        slots: list[Any] = [None, None, None]
        for part in header:
            at = self._source.extent(part)[0]
            slot = 0 if at < first else 1 if at < second else 2
            if slots[slot] is not None or at > closing:
                raise self._source.unknown(cursor)
            slots[slot] = part
        bounds = (self._source.content.index(b"(", start), first, second, closing)
        for slot, part in enumerate(slots):
            between = self._source.content[bounds[slot] + 1 : bounds[slot + 1]].strip()
            if (part is None) == bool(between):
                raise self._source.unknown(cursor)
        if self._source.extent(body)[0] <= closing:
            raise self._source.unknown(cursor)
        initial, condition, step = slots
        line = self._source.line(cursor)
        begun = tuple(self._statements(initial)) if initial is not None else ()
        return tree.For(
            line,
            begun,
            None if condition is None else self._expressions.read(condition),
            None if step is None else self._expressions.read(step, used=False),
            self._statement(body),
        )

    def _for_header(self, cursor: Any, start: int, end: int) -> list[int]:
        """Offsets of its two semicolons and its closing parenthesis."""
        depth, places = 0, []
        for match in _BRACKETS.finditer(self._source.content, start, end):
            mark = match[0]
            if mark in b"([{":
                depth += 1
            elif mark in b")]}":
                depth -= 1
            if (mark == b";" and depth == 1) or (mark == b")" and depth == 0):
                places.append(match.start())
            if mark == b")" and depth == 0:
                break
        if len(places) != 3:
            raise self._source.unknown(cursor)
        return places

    def _switch(self, cursor: Any) -> Statement:
        chosen_by, body = self._source.parts(cursor, 2)
        value = self._expressions.read(chosen_by)
        return tree.Switch(self._source.line(cursor), value, self._statement(body))

    def _case(self, cursor: Any) -> Statement:
        value, statement = self._source.parts(cursor, 2)
        number = libclang.evaluated(value)
        if not isinstance(number, int):
            raise self._source.unknown(value)
        return tree.Case(self._source.line(cursor), number, self._statement(statement))

    def _default(self, cursor: Any) -> Statement:
        (statement,) = self._source.parts(cursor, 1)
        return tree.Default(self._source.line(cursor), self._statement(statement))

    def _return(self, cursor: Any) -> Statement:
        given = self._source.parts(cursor, 0, 1)
        value = self._expressions.read(given[0]) if given else None
        return tree.Return(self._source.line(cursor), value)

    def _break(self, cursor: Any) -> Statement:
        return tree.Break(self._source.line(cursor))

    def _continue(self, cursor: Any) -> Statement:
        return tree.Continue(self._source.line(cursor))


_KINDS: dict[int, Callable[[Statements, Any], Statement]] = {
    Kind.UNEXPOSED_STATEMENT: Statements._attributed,
    Kind.BLOCK: Statements.block,
    Kind.CASE: Statements._case,
    Kind.DEFAULT: Statements._default,
    Kind.IF: Statements._if,
    Kind.SWITCH: Statements._switch,
    Kind.WHILE: Statements._while,
    Kind.DO: Statements._do,
    Kind.FOR: Statements._for,
    Kind.CONTINUE: Statements._continue,
    Kind.BREAK: Statements._break,
    Kind.RETURN: Statements._return,
}
