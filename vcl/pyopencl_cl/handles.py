"""Handles: integers that stand for objects, equality and hashing by them.

Owns: the table behind `int_ptr` and `from_int_ptr`. Must not know: what the objects are.
"""

from __future__ import annotations

import itertools
from typing import Any, Self
from weakref import WeakValueDictionary

from vcl.pyopencl_cl.errors import fail

_next = itertools.count(0x5EC10000, 16)
_objects: WeakValueDictionary[int, Any] = WeakValueDictionary()


class Handle:
    """Base of the OpenCL objects: equal when they stand for the same thing."""

    _invalid = "INVALID_VALUE"

    @property
    def _handle(self) -> int:
        """Given when it's asked for: every command makes an event, and few are."""
        number: int | None = self.__dict__.get("_number")
        if number is None:
            # Threads that ask at once find the same.
            number = self.__dict__.setdefault("_number", next(_next))
            _objects[number] = self
        return number

    @property
    def int_ptr(self) -> int:
        """An integer that stands for the object in this process."""
        return self._handle

    @classmethod
    def from_int_ptr(cls, int_ptr_value: int, retain: bool = True) -> Self:
        """The object that `int_ptr` stands for; as long as the program holds it elsewhere."""
        found = _objects.get(int_ptr_value)
        if not isinstance(found, cls):
            fail(f"{cls.__name__}.from_int_ptr", cls._invalid, "no live object has this handle")
        return found

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Handle) and self._handle == other._handle)

    def __ne__(self, other: object) -> bool:
        return self is not other and not self == other

    def __hash__(self) -> int:
        return self._handle
