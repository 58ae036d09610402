"""Integers as programs give them: Python's, NumPy's, and whatever else has `__index__`.

Owns: turning them into plain ints that fit C's types, at every entry of a face. Must not know: what
they count. Nothing but plain ints goes into a message.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import index
from typing import Any

_SIZE_MAX = 2**64 - 1
_INT_MAX = 2**31 - 1


def size(value: Any, what: str) -> int:
    """A size_t or bit field; raises TypeError for what isn't one."""
    number = integer(value, what)
    if not 0 <= number <= _SIZE_MAX:
        raise TypeError(f"the {what} is {number}; it must be from 0 to 2**64 - 1")
    return number


def int32(value: Any, what: str) -> int:
    """An int of C; raises TypeError for what isn't one."""
    number = integer(value, what)
    if not -_INT_MAX - 1 <= number <= _INT_MAX:
        raise TypeError(f"the {what} is {number}; it must be from -2**31 to 2**31 - 1")
    return number


def int64(value: Any, what: str) -> int:
    """A ptrdiff_t; raises TypeError for what isn't one."""
    number = integer(value, what)
    if not -(2**63) <= number < 2**63:
        raise TypeError(f"the {what} is {number}; it must be from -2**63 to 2**63 - 1")
    return number


def uint32(value: Any, what: str) -> int:
    """An enumerated value of C; raises TypeError for what isn't one."""
    number = integer(value, what)
    if not 0 <= number <= 2 * _INT_MAX + 1:
        raise TypeError(f"the {what} is {number}; it must be from 0 to 2**32 - 1")
    return number


def integer(value: Any, what: str) -> int:
    """An integer of any sign and size; raises TypeError for what isn't one."""
    if type(value) is int:
        return value
    try:
        return int(index(value))
    except TypeError:
        raise TypeError(
            f"the {what} must be an integer, not {type(value).__name__} ({value!r:.40})"
        ) from None


def sizes(values: Iterable[Any], what: str) -> list[int]:
    """As `size`, for each of a sequence; raises TypeError if it isn't a sequence either."""
    return [size(value, what) for value in values]
