"""Every message of the master follows from one that it was told, by what the two name.

Owns: that statement, for all that passes through a simulated master. Must not know: the core.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from vcl.wire.messages import part, session
from vcl.wire.messages.direct import ExpectLink, OpenLink

_MADE = ("event", "context", "queue", "buffer", "program", "request", "staging")
"""Fields in which a client names what it makes, asks or enqueues."""


class Causes:
    """What may be named, by session."""

    def __init__(self) -> None:
        self._client: defaultdict[int, set[int]] = defaultdict(set)
        self._operations: defaultdict[int, set[int]] = defaultdict(set)
        self._transfers: defaultdict[int, set[int]] = defaultdict(set)

    def said(self, number: int | None, messages: Sequence[Any]) -> None:
        """A client or an executor of a session (None: an agent) said this to the master."""
        for m in messages:
            if type(m) in session.TO_MASTER.classes.values():
                self._client[number or 0].update(getattr(m, f) for f in _MADE if hasattr(m, f))
            elif isinstance(m, part.Done):
                assert {row[0] for row in m.operations} <= self._operations[number or 0], m
            elif isinstance(m, part.Printed):
                assert m.operation in self._operations[number or 0], m

    def told(self, number: int | None, messages: Sequence[Any]) -> None:
        """The master says this to a client or an executor of a session (None: to an agent)."""
        if number is None:
            return
        named, transfers = self._client[number], self._transfers[number]
        for m in messages:
            assert self._follows(m, named, transfers), f"nothing caused {m}"
            if hasattr(m, "operation"):
                self._operations[number].add(m.operation)
            if isinstance(m, part.Merge):
                transfers.update(transfer for transfer, _, _ in m.transfers)
            elif getattr(m, "transfer", 0):
                transfers.add(m.transfer)

    def _follows(self, m: Any, named: set[int], transfers: set[int]) -> bool:
        if isinstance(m, part.Build) and m.request > 0:
            return m.request in named
        if isinstance(m, part.Build) and m.request < 0 and not m.cause:
            return m.program in named  # on trial, as a node has come
        if isinstance(m, (part.CancelTransfer, session.CancelPush)):
            return m.transfer in transfers
        if isinstance(m, session.EventsDone):
            return {row[0] for row in m.events} <= named
        if isinstance(m, session.DropStaging):
            return set(m.stagings) <= named
        if isinstance(m, session.EndpointLost):
            return True  # from a connection, whose end the client sees no other way
        if isinstance(m, (OpenLink, ExpectLink)):
            return True  # of two ends, whatever goes between them
        for field in ("cause", "event", "request", "program", "buffer"):
            if hasattr(m, field):
                number = getattr(m, field)
                # A variant has the negative number of its program.
                return (abs(number) if field == "program" else number) in named
        return False
