"""Where functions and calls stand in the text of a program, for those who change it.

Owns these values. Must not know how they are found (`frontend`), nor what changes. They are no
part of the tree, which is the same wherever things stand. Offsets are in bytes of what
`text.checked_text` makes of the text.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PlacedFunction:
    """One declaration of a function of the program, with or without a body."""

    name: str
    offset: int
    """Of the name."""


@dataclass(frozen=True, slots=True)
class PlacedCall:
    within: str
    """The function whose body it is in, or "" at program scope."""
    function: str
    """The name of what is called, which may be a builtin."""
    offset: int
    """Of that name."""
    close: int
    """Offset of the parenthesis that ends its arguments."""
    arguments: int
    """How many it has."""


@dataclass(frozen=True, slots=True)
class Places:
    """`calls` are those that a run may carry out: not those within sizeof."""

    functions: tuple[PlacedFunction, ...]
    calls: tuple[PlacedCall, ...]
