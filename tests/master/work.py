"""How much work a call does, as a number that doesn't depend on the machine.

Owns: counting executed lines of our own modules. Must not know: what is measured. Work inside the
interpreter (a set's intersection, a list's insertion) is one line: it is tested where it is done.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

_ROOT = str(Path(__file__).resolve().parents[2])
_OURS = tuple(f"{_ROOT}/{package}/" for package in ("master", "vcl", "node_agent"))


def lines(call: Callable[[], object]) -> int:
    """Lines of our packages that a call executes."""
    count = 0

    def in_frame(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return in_frame

    def on_call(frame: FrameType, event: str, argument: Any) -> Any:
        return in_frame if frame.f_code.co_filename.startswith(_OURS) else None

    before = sys.gettrace()
    sys.settrace(on_call)
    try:
        call()
    finally:
        sys.settrace(before)
    return count
