"""What the nodes keep lives as long as something here refers to it, and so does the session.

Owns: `Owner`, and which contexts of the process are alive. Must not know: what the numbers stand
for, or how a session ends (`session`).
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable

from vcl.api.runtime import Runtime

REFERENCES = 1
"""What every object answers for its REFERENCE_COUNT: the program's reference, as each is held once
here."""


class Owner:
    """Holds a number of the session's; it is released when the last reference to this goes.

    At the end of the process nothing is released: the session ends then, with all that it has.
    """

    def __init__(self, runtime: Runtime, number: int) -> None:
        self.number = number
        weakref.finalize(self, runtime.release, number).atexit = False


class Living:
    """The objects that are alive, by number.

    when_none: called whenever the last of them has gone.
    """

    def __init__(self) -> None:
        self.when_none: Callable[[], None] | None = None
        self._numbers: set[int] = set()
        self._next = itertools.count(1)

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self) -> int:
        """One more is alive; answers its number."""
        number = next(self._next)
        self._numbers.add(number)
        return number

    def discard(self, number: int) -> None:
        """It has gone. For destructors, which may run on any thread at any time: so it takes no
        lock."""
        self._numbers.discard(number)
        if not self._numbers and self.when_none is not None:
            self.when_none()


CONTEXTS = Living()
"""The contexts of the process."""


class Leaving:
    """Says that an object has gone, when the object's own memory is freed.

    A collection of garbage calls all destructors before it frees anything, in any order: those of
    contexts before those of objects that still use them in theirs. What a destructor makes and
    hangs on its object goes after all of these.
    """

    def __init__(self, living: Living, number: int) -> None:
        self._living, self._number = living, number

    def __del__(self) -> None:
        self._living.discard(self._number)
