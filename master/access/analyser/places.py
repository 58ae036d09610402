"""Where functions, variables and calls stand in the text of a program, for those who change it.

Owns these values. Must not know how they are found (`definitions`, `expressions`), nor what
changes. They are no part of the tree, which is the same wherever things stand. Offsets are in bytes
of what `text.checked_text` makes of the text.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PlacedFunction:
    """One declaration of a function of the program, with or without a body."""

    name: str
    offset: int
    """Of the name."""
    line: int
    """The user's."""
    parameters: int
    """How many it has."""
    has_body: bool
    is_kernel: bool


@dataclass(frozen=True, slots=True)
class PlacedVariable:
    """One declaration of a variable of program scope."""

    name: str
    line: int
    """The user's."""


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
class Unread:
    """A function, or variable of program scope, in which there may be calls that nobody knows."""

    name: str
    """"" for a variable."""
    start: int
    end: int
    """Offsets of its first byte and past its last one: what it names is named between them."""
    line: int
    reason: str
    """Of `Unreadable`: why it isn't read."""


@dataclass(frozen=True, slots=True)
class Places:
    """`calls` are those that a run may carry out, not those within sizeof; those of what is
    `unread` are not among them."""

    functions: tuple[PlacedFunction, ...]
    variables: tuple[PlacedVariable, ...]
    calls: tuple[PlacedCall, ...]
    unread: tuple[Unread, ...]
    address_bits: int
    """The address width that it was read for: 32 or 64."""
