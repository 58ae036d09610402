"""Functions of a program to those of the tree.

Owns: what a function is beside its body: parameters, result and attributes. Must not know
statements, nor which functions are wanted (`reached`).
"""

from __future__ import annotations

from typing import Any

from master.access import tree
from master.access.analyser import libclang
from master.access.analyser.definitions import attribute
from master.access.analyser.libclang import Kind
from master.access.analyser.source import Source
from master.access.analyser.statements import Statements
from master.access.analyser.types import Types, is_function, is_variadic
from master.access.analyser.variables import Variables


class Functions:
    """Reads those of one program."""

    def __init__(
        self, source: Source, types: Types, variables: Variables, statements: Statements
    ) -> None:
        self._source = source
        self._types = types
        self._variables = variables
        self._statements = statements

    def read(self, cursor: Any) -> tree.Function:
        """cursor: of its definition. Raises Unreadable."""
        name = cursor.spelling
        children = libclang.children(cursor)
        found = libclang.type_of(cursor)
        if not is_function(found):
            raise self._source.refused(cursor, f"{name}() is not one function")
        if is_variadic(found):
            raise self._source.refused(cursor, f"{name}() takes any number of arguments")
        attributes: list[tree.Attribute] = []
        parameters: list[int] = []
        for child in children[:-1]:
            if child._kind_id == Kind.PARAMETER:
                # The canonical type of a function has pointers where arrays were written.
                taken = libclang.argument_type(libclang.canonical(found), len(parameters))
                parameters.append(self._variables.declare(child, False, taken))
            elif child._kind_id in Kind.ATTRIBUTES:
                attributes.append(attribute(self._source, child))
            elif not (child._kind_id == Kind.TYPE_REFERENCE or child._kind_id in Kind.TYPES):
                raise self._source.unknown(child)
        body = self._statements.block(children[-1])
        return tree.Function(
            name,
            tuple(parameters),
            self._types.read(libclang.result_type(found), cursor),
            body,
            any(one.name == "kernel" for one in attributes),
            tuple(one for one in attributes if one.name != "kernel"),
            self._source.line(cursor),
        )
