"""Frames as a peer may send them, honest or not.

Owns: packing plain values. Must not know: which of them are right.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vcl.wire import frame


def control(sequence: int, acknowledged: int, messages: Sequence[Any]) -> bytes:
    """A control frame of any values as messages."""
    return frame.pack_control(sequence, acknowledged, [frame.pack_value(m) for m in messages])
