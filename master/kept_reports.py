"""Launches that are remembered for their reports, and who waits for one.

Owns: how many are kept, and answering who asked. Must not know: what is in a report (`reports`).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from master.ledger import Ledger
from master.reports import LaunchRecord, as_message
from vcl.errors import RemoteProtocolError
from vcl.wire.messages import session

reports_kept_max, parts_kept_max = 1024, 2**16
"""Launches that are remembered for their reports, and their parts together, at some 200 bytes and,
where each has a plan of its own, 2 kB; the last one in any case."""

reports_asked_max = 1024
"""Reports that a client waits for at one time: each of its threads waits for one at most."""


class KeptReports:
    """Of one session."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._kept: OrderedDict[int, LaunchRecord] = OrderedDict()
        self._parts = 0  # of all together
        self._asked: dict[int, list[int]] = {}  # requests, by event
        self._asked_count = 0

    @property
    def tables(self) -> tuple[dict[int, Any], ...]:
        """All that is kept."""
        return self._kept, self._asked

    def is_asked_for(self, event: int) -> bool:
        """Whether somebody waits for the report of a command."""
        return event in self._asked

    def ask(self, event: int, request: int, under_way: bool) -> None:
        """Answer a request once the command isn't under way any more. Raises RemoteProtocolError
        for more of them than an honest client waits for."""
        if not under_way:
            self._answer(event, request)
            return
        self._asked_count += 1
        if self._asked_count > reports_asked_max:
            raise RemoteProtocolError(f"more than {reports_asked_max} reports are asked for")
        self._asked.setdefault(event, []).append(request)

    def completed(self, event: int, record: LaunchRecord | None) -> None:
        """A command is complete. record: of a launch."""
        if record is not None:
            self._keep(event, record)
        if self._asked:
            for request in self._asked.pop(event, ()):
                self._asked_count -= 1
                self._answer(event, request)

    def _keep(self, event: int, record: LaunchRecord) -> None:
        kept = self._kept
        if event in kept:
            self._parts -= len(kept.pop(event).times)
        kept[event] = record
        self._parts += len(record.times)
        while len(kept) > reports_kept_max or (self._parts > parts_kept_max and len(kept) > 1):
            _, oldest = kept.popitem(last=False)
            self._parts -= len(oldest.times)

    def _answer(self, event: int, request: int) -> None:
        record = self._kept.get(event)
        report = None if record is None else as_message(record)
        self._ledger.for_client.append(session.Report(request, report))
