"""Launches that are told once and then repeated by a number: their shapes.

Owns: the tables of both ends, and which arguments may be others each time. Must not know: what a
launch does, or the messages' other fields.

A launch that is told with a number (Launch.shape, Run.shape) may be said again by that number, with
other values for its arguments by value. A number that is told again means the later launch. Both
ends have room for `shapes_max` of them, so whoever tells chooses which of them to give up.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Any

from vcl.errors import RemoteProtocolError
from vcl.wire.limits import shapes_max


def values_of(arguments: Sequence[Any]) -> list[bytes]:
    """The arguments by value, in order."""
    return [a for a in arguments if type(a) is bytes]


def changed(values: Sequence[bytes], known: Sequence[bytes]) -> list[bytes]:
    """The first of some values, up to the last that isn't known already."""
    count = len(values)
    while count and values[count - 1] == known[count - 1]:
        count -= 1
    return list(values[:count])


def size_of(launch: Any) -> int:
    """About as many bytes as a launch takes to be kept, and said anew: a Launch or a Run."""
    size = 64 * len(launch.arguments) + len(launch.kernel) + len(getattr(launch, "declared", b""))
    return size + sum([len(a) for a in launch.arguments if type(a) is bytes])


class Told:
    """A launch that was told. values: of its arguments by value; where: their indices.

    depends: indices of those that matter to its owner; all, until it says otherwise. kept: what
    else its owner made of it; lives as long as the number means this launch.
    """

    __slots__ = ("depends", "kept", "message", "values", "where")

    def __init__(self, message: Any) -> None:
        self.message = message._replace(waits=[])
        self.where = [i for i, a in enumerate(message.arguments) if type(a) is bytes]
        self.values = values_of(message.arguments)
        self.depends = tuple(self.where)
        self.kept: Any = None

    def check(self, values: Sequence[bytes]) -> None:
        """Raise RemoteProtocolError for more values than there are arguments."""
        if len(values) > len(self.where):
            raise RemoteProtocolError(
                f"{len(values)} values for a launch that has {len(self.where)} arguments by value"
            )

    def arguments(self, values: Sequence[bytes]) -> list[Any]:
        """Those of a repetition. values: of the first arguments by value; others are as told.

        Raises RemoteProtocolError for more values than there are arguments.
        """
        if not values:
            told: list[Any] = self.message.arguments
            return told
        self.check(values)
        arguments = list(self.message.arguments)
        for index, value in zip(self.where, values, strict=False):
            arguments[index] = value
        return arguments

    def values_in(self, arguments: Sequence[Any]) -> list[bytes]:
        """The values of a repetition, all of them; arguments: as `arguments` answered."""
        if arguments is self.message.arguments:
            return self.values
        return [arguments[i] for i in self.where]


class ShapesTold:
    """Of the end that is told: the launches by their numbers."""

    def __init__(self) -> None:
        self._told: dict[int, Told] = {}

    def tell(self, number: int, told: Told) -> None:
        """A number means this from now on. Raises RemoteProtocolError for one that can't be."""
        if not 0 < number <= shapes_max:
            raise RemoteProtocolError(f"{number} can't be the number of a shape")
        self._told[number] = told

    def find(self, number: int) -> Told:
        """What a number means. Raises RemoteProtocolError for one that was never told."""
        found = self._told.get(number)
        if found is None:
            raise RemoteProtocolError(f"there is no shape {number}")
        return found


class Numbered:
    """A number that was told. number: 0 once it means something else. kept: its owner's.
    used: since it was last looked for one to give up."""

    __slots__ = ("kept", "number", "used")

    def __init__(self, number: int, kept: Any) -> None:
        self.number = number
        self.kept = kept
        self.used = True


class ShapeNumbers:
    """Of the end that tells: which number means what there."""

    def __init__(self) -> None:
        self._numbers: OrderedDict[Hashable, Numbered] = OrderedDict()
        self._given = 0  # numbers so far; one may be lost where a signal's handler raises

    def find(self, key: Hashable) -> Numbered | None:
        """The number that was told for a key."""
        found = self._numbers.get(key)
        if found is not None:
            found.used = True
        return found

    def tell(self, key: Hashable, kept: Any) -> Numbered | None:
        """The number that a key is about to be told with, and what to keep with it.

        It is the key's own, or a new one; of what wasn't used for longest, if all are given; None
        if all are lost.
        """
        found = self._numbers.get(key)
        if found is None:
            number = self._new()
            if not number:
                return None
            self._numbers[key] = found = Numbered(number, kept)
        found.kept = kept
        return found

    def _new(self) -> int:
        if self._given < shapes_max:
            self._given += 1
            return self._given
        while self._numbers:
            oldest, found = next(iter(self._numbers.items()))
            if not found.used:
                del self._numbers[oldest]
                number, found.number = found.number, 0
                return number
            # A second chance; looking for one costs as much as was used meanwhile.
            found.used = False
            self._numbers.move_to_end(oldest)
        return 0
