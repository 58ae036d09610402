"""Messages that no honest peer sends, and pictures of what they must leave alone.

Owns: hostile values, putting them in every place of a message, and comparing state. Must not know:
which messages there are, or what a core makes of them.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterator, Sequence
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

from vcl.wire import codec
from vcl.wire.frame import Encoder, unpack_value
from vcl.wire.limits import message_bytes_max, message_values_max

NUMBERS: list[Any] = [
    0, -1, 1, 2, 3, 64, 2**32, 2**63 - 64, 2**63 - 1, 2**63, 2**64 - 1, -(2**63),
]  # fmt: skip
OTHERS: list[Any] = [
    None, True, False, 1.5, "", "x" * 70_000, b"", b"x", b"x" * 3, b"x" * 256, b"x" * 70_000,
    [], [0], [-1], [1, 1], [1, 2, 3, 4], [2**64 - 1] * 3, [2**63 - 1], list(range(300)), [[]],
    [[1, 2**63 - 1, 2**63 - 1, 2**63 - 1]], [None], [b""], ["x"], [[2, 2**63 - 1]],
    [[1, 10, 0, 2**63 - 1]], [[4, 2**63 - 1, 0, 0]],
]  # fmt: skip


def places(array: Sequence[Any], before: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """Where something stands in an array and in the arrays in it."""
    for index, value in enumerate(array):
        yield (*before, index)
        if type(value) is list:
            yield from places(value, (*before, index))


def replaced(array: Sequence[Any], place: tuple[int, ...], value: Any) -> list[Any]:
    """The array with another value in one place."""
    changed: Any = copy.deepcopy(list(array))
    inner = changed
    for index in place[:-1]:
        inner = inner[index]
    inner[place[-1]] = copy.deepcopy(value)
    return list(changed)


def mutated(message: Any, ids: Sequence[int] = ()) -> Iterator[list[Any]]:
    """The message as it travels, with every hostile value in every place but that of its code.

    ids: numbers of things that exist, and may be of the wrong kind or somebody else's.
    """
    array = list(codec.pack(message))
    for place in places(array):
        if place == (0,):
            continue
        for value in [*NUMBERS, *ids, *OTHERS]:
            yield replaced(array, place, value)
        inner = array
        for index in place:
            inner = inner[index]
        if type(inner) is list and inner:
            yield replaced(array, place, inner * 2)
            yield replaced(array, place, inner[:-1])


def is_well_formed(conversation: codec.Conversation, array: list[Any]) -> bool:
    """Whether the codec lets the array pass, so that it is the core's to refuse."""
    # Not by unpack, which would say what is wrong.
    _, check = conversation._checks.get(array[0]) or conversation._prepare(array[0])
    return check(array)


_ENCODER = Encoder()


def check_travels(conversation: codec.Conversation, messages: Sequence[Any]) -> None:
    """What is sent can be packed, and is what the other end takes."""
    for message in messages:
        data = _ENCODER.pack(codec.pack(message))
        assert len(data) <= message_bytes_max
        array = unpack_value(data, map_length=0, values=message_values_max)
        assert conversation.unpack([array]) == [message]


_CODE = (FunctionType, MethodType, BuiltinFunctionType, type)


def picture(thing: Any) -> Any:
    """All that can be reached from a thing, as plain values that can be compared."""
    seen: dict[int, int] = {}

    def look(one: Any) -> Any:
        if one is None or isinstance(one, (int, float, str, bytes)):
            return one
        if isinstance(one, _CODE):
            return None
        if id(one) in seen:
            return ("again", seen[id(one)])
        seen[id(one)] = len(seen)
        if isinstance(one, dict):
            return [(look(key), look(value)) for key, value in one.items()]
        if isinstance(one, (set, frozenset)):
            return sorted(one)
        if isinstance(one, (list, tuple, deque)):
            return [look(value) for value in one]
        names = [*getattr(one, "__dict__", ())]
        for cls in type(one).__mro__:
            names += getattr(cls, "__slots__", ())
        return [type(one).__name__, *((n, look(getattr(one, n))) for n in names)]

    return look(thing)
