"""Variables and parameters, as they are declared.

Owns: their numbers, and where each lies. Must not know what they begin with (`expressions`).
"""

from __future__ import annotations

from typing import Any

from clang.cindex import StorageClass

from master.access import tree
from master.access.analyser import libclang
from master.access.analyser.source import Source
from master.access.analyser.types import SPACES, Types, is_array
from master.access.tree import Declared, Space


class Variables:
    """Those of one program, in the order in which they were declared."""

    def __init__(self, source: Source, types: Types) -> None:
        self._source = source
        self._types = types
        self.declared: list[Declared] = []
        """By their numbers; whose address is taken isn't told here."""
        self.numbers: dict[int, int] = {}
        """By the address of a variable's declaration."""

    def declare(self, cursor: Any, at_program_scope: bool, taken: Any = None) -> int:
        """The number of a new one. Raises Unreadable.

        taken: the type of a parameter without its qualifiers.
        """
        found = libclang.type_of(cursor)
        declared = self._types.read(taken or found, cursor)
        if taken and is_array(found):
            found = taken
        address_space, const, volatile = self._types.qualified(found)
        space = SPACES.get(address_space)
        if address_space == 0 and not at_program_scope:
            space = Space.PRIVATE
        elif address_space == 0 and isinstance(declared, tree.Opaque):
            space = Space.CONSTANT  # a sampler
        if space is None or cursor.storage_class == StorageClass.EXTERN:
            raise self._source.refused(cursor, f"{cursor.spelling} lies in no known place")
        number = self.numbers[cursor.data[0]] = len(self.declared)
        self.declared.append(Declared(cursor.spelling, declared, space, False, const, volatile))
        return number
