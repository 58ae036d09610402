"""When launches are split that may be.

Owns: that choice's name. Must not know: where it comes from.
"""

from __future__ import annotations

from enum import StrEnum


class Split(StrEnum):
    """Where it pays, or always."""

    pays = "pays"
    always = "always"
