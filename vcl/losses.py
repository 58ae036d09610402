"""Warning a program that a node is gone.

Owns: the warning, and that it points to the program's own line. Must not know: how a loss is
noticed.
"""

from __future__ import annotations

import sys
import warnings


class NodeLost(UserWarning):
    """A node, or what ran there for this program, is gone. Commands that needed bytes which only
    it had fail; the others go on, on the nodes that are left."""


def warn(losses: list[str]) -> None:
    """Tell of losses, in words, which are taken out of the list; a filter may raise NodeLost.

    On the program's thread, holding nothing.
    """
    while losses:
        text = losses.pop(0)
        warnings.warn(
            f"{text}; bytes that only it had are lost, and what needs none of them goes on",
            NodeLost,
            stacklevel=_level(),
        )


def _level() -> int:
    """As of warnings.warn, for `warn`: the first frame that is neither vcl's nor pyopencl's."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] not in ("vcl", "pyopencl"):
            break
        level, frame = level + 1, frame.f_back
    return level
