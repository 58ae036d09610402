"""How parts of a launch may touch the same bytes and yet each do what the whole launch does.

Owns: `sharing`. Must not know: parts, or how what they did comes together.

Two ways are known. *Reductions*: all that is done to a buffer are atomic operations of one kind on
integers of one size, and nobody looks at what they answer; then it doesn't matter in which order
they come, and what the parts added to the same value before can be added up (OpenCL C 1.2,
6.12.11). *Images* that a kernel writes and doesn't read: parts write pixels of their own, or the
program is racy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from master.access.builtins import IMAGE
from master.access.memory import Touch

_REDUCTIONS = {
    **dict.fromkeys(("add", "sub", "inc", "dec"), "add"),
    **{name: name for name in ("min", "max", "umin", "umax", "and", "or", "xor")},
}
"""Of atomic operations those that come together, and as what."""

SIZES = (4, 8)


class Sharing(NamedTuple):
    """how: "image", or a reduction: add (modulo), min, max, umin, umax (of unsigned integers), and,
    or, xor. size: bytes of its integers; line: where the first is."""

    how: str
    size: int
    line: int

    @property
    def operation(self) -> str:
        """Of a reduction, as OpenCL C names it."""
        return self.how.removeprefix("u")


def sharing(
    touches: Sequence[Touch], regions: Mapping[int, tuple[int, int]]
) -> Sharing | None:
    """How parts share a buffer, if they may.

    touches: all of it, not none. regions: by argument, (offset, size) in the buffer.
    """
    first = touches[0]
    if all(touch.atomic == IMAGE and touch.writes for touch in touches):
        return Sharing("image", 1, first.line)
    hows = {_REDUCTIONS.get(touch.atomic or "") for touch in touches}
    (how, *more) = hows
    if how is None or more or first.size not in SIZES:
        return None
    in_step = not any(n % first.size for region in regions.values() for n in region)
    if not in_step or not all(not t.used and _aligned(t, first.size) for t in touches):
        return None
    return Sharing(how, first.size, first.line)


def _aligned(touch: Touch, size: int) -> bool:
    """Whether it is known to touch one integer of this size, and not parts of two."""
    form = touch.form
    if form is None or touch.size != size:
        return False
    return not any(n % size for n in (form.constant, *(c for _, c in form.terms)))
