"""A client's core for tests without a runtime.

Owns: `CopyingCore`. Must not know: what is tested with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vcl.client_core import ClientCore, Effect
from vcl.wire.frame import BulkFrame


class CopyingCore(ClientCore):
    """Copies at once what the runtime copies while it doesn't hold its lock."""

    def from_master(self, messages: Sequence[Any], now: int = 0) -> list[Effect]:
        """As the core's, with all copied."""
        return self._with_copied(super().from_master(messages, now))

    def from_endpoint(self, frame: BulkFrame) -> list[Effect]:
        """As the core's, with all copied."""
        return self._with_copied(super().from_endpoint(frame))

    def _with_copied(self, effects: list[Effect]) -> list[Effect]:
        copies = self.take_copies()
        for copy in copies:
            copy.destination[copy.where] = copy.data
        return effects + self.copied(copies)
