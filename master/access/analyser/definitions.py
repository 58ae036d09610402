"""The functions and variables of program scope, and what is known of each.

Owns: finding them, and which one is being read. Must not know how one is read (`functions`,
`expressions`), nor which are wanted (`reached`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from master.access import tree
from master.access.analyser import libclang
from master.access.analyser.libclang import Kind
from master.access.analyser.places import PlacedCall, PlacedFunction
from master.access.analyser.source import Source
from master.access.analyser.text import Unreadable

depth_max = 200
"""Of nested expressions and statements: Python's own stack and libclang's are not endless."""


class Definition:
    """A function's or variable's, and what was met in reading it."""

    def __init__(self, cursor: Any, name: str) -> None:
        self.cursor = cursor
        self.name = name
        """"" for a variable of program scope."""
        self.read: tree.Function | tree.Declare | None = None
        self.unreadable: tuple[int, str] | None = None
        """Line and reason, once that is known."""
        self.calls: list[PlacedCall] = []
        self.called: set[str] = set()
        self.used: set[int] = set()
        """The definitions of variables, by their places among all."""
        self.taken: set[int] = set()
        """The numbers of variables whose address is."""
        self.depth = 0
        """Of what is being read."""

    def ensure_read(self) -> None:
        """Raises Unreadable if it isn't."""
        if self.unreadable is not None:
            raise Unreadable(*self.unreadable)


class Definitions:
    """What a program defines, by places in the order of its text."""

    def __init__(self, source: Source) -> None:
        """Raises Unreadable of what is neither a function nor a variable nor a type."""
        self._source = source
        self.every: list[Definition] = []
        self.bodies: dict[str, int] = {}
        """Of each function that has one the place."""
        self.variables: dict[int, int] = {}
        """The same of variables, by the addresses of their declarations."""
        self.prototypes: dict[str, int] = {}
        """Of functions in the program, with or without a body: the offset of the first."""
        self.own: set[int] = set()
        """The addresses of their declarations; those of builtins lie where they are first used."""
        self.functions: list[PlacedFunction] = []
        self.now = Definition(None, "")
        """The one that is being read."""
        for cursor in source.declarations():
            if cursor._kind_id == Kind.FUNCTION:
                self._add_function(cursor)
            elif cursor._kind_id == Kind.VARIABLE:
                self.variables[cursor.data[0]] = len(self.every)
                self.every.append(Definition(cursor, ""))
            elif not (cursor._kind_id in Kind.TYPES or _is_semicolon(source, cursor)):
                raise source.unknown(cursor)

    def _add_function(self, cursor: Any) -> None:
        name = cursor.spelling
        self.prototypes.setdefault(name, self._source.extent(cursor)[0])
        self.own.add(cursor.data[0])
        children = libclang.children(cursor)
        has_body = bool(children) and children[-1]._kind_id == Kind.BLOCK
        taken = sum(child._kind_id == Kind.PARAMETER for child in children)
        is_kernel = any(
            child._kind_id in Kind.ATTRIBUTES and attribute(self._source, child).name == "kernel"
            for child in children
        )
        line = self._source.line(cursor)
        self.functions.append(
            PlacedFunction(name, cursor.location.offset, line, taken, has_body, is_kernel)
        )
        if has_body and name not in self.bodies:
            self.bodies[name] = len(self.every)
            self.every.append(Definition(cursor, name))
        elif has_body:
            why = self._source.refused(cursor, f"{name}() is not one function")
            self.every[self.bodies[name]].unreadable = why.line, why.reason

    def read(
        self, one: Definition, how: Callable[[Any], tree.Function | tree.Declare]
    ) -> Definition:
        """With what is there, or why it isn't read; `how` it is, the first time."""
        if one.read is None and one.unreadable is None:
            outer, self.now = self.now, one
            try:
                one.read = how(one.cursor)
            except Unreadable as why:
                one.unreadable = why.line, why.reason
            except RecursionError:
                one.unreadable = 0, "it is nested too deeply"
            finally:
                self.now = outer
        return one

    def deeper(self, cursor: Any) -> None:
        """Into an expression or statement of what is being read. Raises Unreadable."""
        self.now.depth += 1
        if self.now.depth > depth_max:
            raise self._source.refused(cursor, "it is nested too deeply")

    def back(self) -> None:
        """Out of it, when it's read."""
        self.now.depth -= 1


def _is_semicolon(source: Source, cursor: Any) -> bool:
    return source.text(*source.extent(cursor)).strip() == ";"


def attribute(source: Source, cursor: Any) -> tree.Attribute:
    """Of a function."""
    name, _, arguments = source.text(*source.extent(cursor)).partition("(")
    listed = arguments.rpartition(")")[0].split(",") if arguments else []
    return tree.Attribute(name.strip().strip("_"), tuple(part.strip() for part in listed))
