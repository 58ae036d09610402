"""What the functions of a program reach, read when somebody asks.

Owns: which definitions belong to a tree, and refusing those that can't be in one. Must not know how
one is read (`functions`, `expressions`).

Functions and variables of program scope are read one by one: most programs have more than one
launch needs, and what can't be read matters to nobody else. They reach each other by calls and
names alone, as a function is never a value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from master.access import tree
from master.access.analyser.definitions import Definition, Definitions
from master.access.analyser.expressions import Expressions
from master.access.analyser.functions import Functions
from master.access.analyser.places import PlacedVariable, Places, Unread
from master.access.analyser.source import Source
from master.access.analyser.statements import Statements
from master.access.analyser.text import Unreadable
from master.access.analyser.types import Types
from master.access.analyser.variables import Variables


class Reached:
    """Of one program."""

    def __init__(self, source: Source, definitions: Definitions) -> None:
        self._source = source
        self._definitions = definitions
        types = Types(source)
        self._variables = Variables(source, types)
        self._expressions = Expressions(source, types, self._variables, definitions)
        statements = Statements(source, definitions, self._expressions)
        self._functions = Functions(source, types, self._variables, statements)

    def program(self, name: str | None) -> tree.Program:
        """Of what a function reaches, or of all. Raises Unreadable, or RecursionError."""
        reached, builtins = self._reached(name)
        _refuse_recursion(reached)
        functions: dict[str, tree.Function] = {}
        initialised: list[tree.Declare] = []
        for one in reached:
            if isinstance(one.read, tree.Function):
                functions[one.name] = one.read
            elif one.read is not None:
                initialised.append(one.read)
        taken = set[int]().union(*(one.taken for one in reached))
        variables = tuple(
            replace(variable, address_taken=True) if number in taken else variable
            for number, variable in enumerate(self._variables.declared)
        )
        width = self._source.address_bits
        return tree.Program(functions, tuple(initialised), variables, frozenset(builtins), width)

    def _reached(self, name: str | None) -> tuple[list[Definition], set[str]]:
        """The definitions, in the order of the text, and the names of builtins that are called.

        Raises Unreadable.
        """
        defined = self._definitions
        if name is None:
            places = list(range(len(defined.every)))
            called = set(defined.prototypes).union(*(self._definition(p).called for p in places))
        else:
            places, called = self._followed(defined.bodies[name])
        reached = [defined.every[place] for place in places]
        for one in reached:
            one.ensure_read()
        for declared, offset in defined.prototypes.items():
            if declared in called and declared not in defined.bodies:
                raise self._source.lines.unreadable(offset, f"{declared}() has no body here")
        return reached, called - defined.bodies.keys()

    def _followed(self, first: int) -> tuple[list[int], set[str]]:
        """The places of what a definition reaches, in order, and the names of all calls there."""
        bodies = self._definitions.bodies
        waiting, reached, called = [first], set[int](), set[str]()
        while waiting:
            place = waiting.pop()
            if place not in reached:
                reached.add(place)
                one = self._definition(place)
                called |= one.called
                waiting += sorted(one.used.union(bodies[f] for f in one.called if f in bodies))
        return sorted(reached), called

    def _definition(self, place: int) -> Definition:
        """What was read there, or why it isn't."""
        one = self._definitions.every[place]
        how = self._functions.read if one.name else self._expressions.global_declaration
        return self._definitions.read(one, how)

    def places(self) -> Places:
        """Of the whole text, all of which is read now."""
        every = [self._definition(place) for place in range(len(self._definitions.every))]
        return Places(
            tuple(self._definitions.functions),
            tuple(
                PlacedVariable(one.cursor.spelling, self._source.line(one.cursor))
                for one in every
                if not one.name
            ),
            tuple(call for one in every for call in one.calls if one.unreadable is None),
            tuple(
                Unread(one.name, *self._source.extent(one.cursor), *one.unreadable)
                for one in every
                if one.unreadable is not None
            ),
            self._source.address_bits,
        )


def _refuse_recursion(reached: Iterable[Definition]) -> None:
    functions = {one.name: one for one in reached if one.name}
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        one = functions[name]
        if name in above:
            assert isinstance(one.read, tree.Function)
            why = f"{name}() calls itself, perhaps by way of others"
            raise Unreadable(one.read.line, why)
        if name not in done:
            for called in sorted(one.called & functions.keys()):
                visit(called, (*above, name))
            done.add(name)

    for name in functions:
        visit(name, ())
