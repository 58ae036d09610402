"""The two ends of bulk transfers: credit, order and bounds, without any I/O.

Owns: `Outgoing` and `Incoming`, which clients and executors share. Must not know: where bytes come
from or go to; effects name transfers, and the owner keeps what belongs to them.

Theory of operation. A sender may begin when it has both its bytes and the receiver's credit; a
receiver grants credit, once per transfer, when the memory for it is free of older use. So one
slow transfer never holds up another. A short transfer may begin without credit (*eager*) as long
as the bytes so begun and not yet credited stay under a limit, which bounds what a receiver must
keep. A frame costs memory even if it is empty, so both ends count `eager_frame_bytes` more for
each. Chunks of one transfer arrive in order, since one connection carries them.

The state of each transfer is one record with its place in a table (`transfer_states`).

What the peers alone decide on is bounded: what comes early by the eager limit, credit for
transfers of which the master hasn't said anything by `transfers_unannounced_max`. What the master
announced is bounded by the commands that it lets be under way. Of cancelled transfers, of which
something may be on its way, the last `transfers_cancelled_max` are remembered.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from vcl.errors import RemoteProtocolError
from vcl.transfer_states import INCOMING, OUTGOING, Happens, In, Out, Record
from vcl.wire.frame import Bytes
from vcl.wire.limits import (
    eager_bytes_max,
    eager_frame_bytes,
    eager_total_bytes_max,
    transfers_cancelled_max,
    transfers_unannounced_max,
)


@dataclass(frozen=True, slots=True)
class Stream:
    """Send these bytes now, in chunks, the last one flagged; then tell `Outgoing.streamed`."""

    transfer: int
    endpoint: int
    data: tuple[Bytes, ...]

    def chunks(self, most: int) -> Iterator[tuple[int, memoryview, bool]]:
        """(offset in the transfer, bytes, whether it is the last) of each chunk; one is of at most
        `most` bytes, and within one piece of the data."""
        offset = 0
        for index, whole in enumerate(self.data):
            view = memoryview(whole)
            final = index == len(self.data) - 1
            for start in range(0, max(1, len(view)), most):
                chunk = view[start : start + most]
                yield offset, chunk, final and start + most >= len(view)
                offset += len(chunk)


@dataclass(frozen=True, slots=True)
class GrantCredit:
    """Send credit for a transfer to the endpoint that sends it."""

    transfer: int
    endpoint: int


@dataclass(frozen=True, slots=True)
class Deliver:
    """Bytes arrived for a transfer. last: it is complete with them."""

    transfer: int
    offset: int
    data: Bytes
    last: bool


@dataclass(slots=True)
class _Out(Record):
    """endpoint, data: once its bytes are there. counts: what it counts while it is eager."""

    state: Out = Out.NONE
    endpoint: int = 0
    data: tuple[Bytes, ...] = ()
    counts: int = 0


@dataclass(slots=True)
class _In(Record):
    """size: None until it is known, and where only the sender knows it; most: bytes in any case.
    early: what came without credit."""

    state: In = In.NONE
    endpoint: int = 0
    size: int | None = None
    most: int | None = None
    received: int = 0
    early: list[tuple[int, Bytes, bool]] = field(default_factory=list)


class _Cancelled:
    """The last transfers that were cancelled: of older ones nothing comes any more."""

    def __init__(self) -> None:
        self._known: dict[int, None] = {}  # in the order in which they were cancelled

    def add(self, transfer: int) -> int | None:
        """Answers the one that is forgotten for it, if one is."""
        self._known[transfer] = None
        if len(self._known) <= transfers_cancelled_max:
            return None
        oldest = next(iter(self._known))
        del self._known[oldest]
        return oldest

    def discard(self, transfer: int) -> None:
        """It has come to its end."""
        self._known.pop(transfer, None)


class Outgoing:
    """The transfers that this end sends."""

    def __init__(self) -> None:
        self._records: dict[int, _Out] = {}
        self._promised_count = 0
        self._cancelled = _Cancelled()
        self._eager_bytes: dict[int, int] = {}  # by endpoint

    def states(self) -> dict[int, Out]:
        """Of all transfers that haven't come to their end, cancelled ones among them."""
        return {transfer: record.state for transfer, record in self._records.items()}

    def expect(self, transfer: int) -> None:
        """The master told of a transfer whose bytes will be offered.

        Raises RemoteProtocolError if another of that number is under way.
        """
        self._take(transfer, Happens.ANNOUNCED)

    def offer(self, transfer: int, endpoint: int, data: tuple[Bytes, ...]) -> list[Stream]:
        """The bytes of an expected transfer are there: send them now, or when credit comes."""
        record = self._records[transfer]
        data = data or (b"",)
        size = sum(len(d) for d in data)
        # Each piece of such a short transfer is one frame.
        counts = size + eager_frame_bytes * len(data)
        begun = self._eager_bytes.get(endpoint, 0)
        fits = size <= eager_bytes_max and begun + counts <= eager_total_bytes_max
        if record.state is Out.OFFERED and fits:
            record.endpoint, record.counts = endpoint, counts
            self._eager_bytes[endpoint] = begun + counts
            self._take(transfer, Happens.SENT_EARLY)
            return [Stream(transfer, endpoint, data)]
        self._take(transfer, Happens.BYTES)
        if record.state is Out.DONE:
            return [Stream(transfer, endpoint, data)]
        record.endpoint, record.data = endpoint, data
        return []

    def __contains__(self, transfer: int) -> bool:
        """Whether it was sent without credit, which hasn't come yet."""
        record = self._records.get(transfer)
        return record is not None and record.state is Out.EAGER

    def credit(self, transfer: int) -> list[Stream]:
        """Credit came for a transfer, perhaps before its bytes are there.

        Raises RemoteProtocolError if it came before, or is one of too many that nobody announced.
        """
        record = self._take(transfer, Happens.CREDIT)
        return [Stream(transfer, record.endpoint, record.data)] if record.data else []

    def cancel(self, transfer: int) -> bool:
        """An end of it failed; true if its bytes were waiting to be sent, and won't be.

        Its bytes must not be offered later. What was begun is finished.
        """
        record = self._take(transfer, Happens.CANCEL)
        waited, record.data = bool(record.data), ()
        return waited

    def forget(self, endpoint: int) -> None:
        """An endpoint is gone: credit for what was sent to it without won't be used."""
        for transfer in [
            t for t, r in self._records.items() if r.state is Out.EAGER and r.endpoint == endpoint
        ]:
            self._take(transfer, Happens.CANCEL)
        self._eager_bytes.pop(endpoint, None)

    def _take(self, transfer: int, happens: Happens) -> _Out:
        record = self._records.get(transfer)
        if record is None:
            record = self._records[transfer] = _Out(transfer)
        before = record.state
        record.take(OUTGOING, happens)
        after = record.state
        if after is before:
            return record
        self._promised_count += (after is Out.PROMISED) - (before is Out.PROMISED)
        if before is Out.EAGER:
            self._eager_bytes[record.endpoint] -= record.counts
        if after is Out.CANCELLED:
            self._forget(self._cancelled.add(transfer))
        elif after is Out.DONE:
            self._cancelled.discard(transfer)
            self._forget(transfer)
        if self._promised_count > transfers_unannounced_max:
            raise RemoteProtocolError("credit for too many transfers that nobody has announced")
        return record

    def _forget(self, transfer: int | None) -> None:
        if transfer is not None:
            del self._records[transfer]


class Incoming:
    """The transfers that this end receives."""

    def __init__(self) -> None:
        self._records: dict[int, _In] = {}
        self._cancelled = _Cancelled()
        self._early_bytes: dict[int, int] = {}  # by endpoint

    def states(self) -> dict[int, In]:
        """Of all transfers that haven't come to their end, cancelled ones among them."""
        return {transfer: record.state for transfer, record in self._records.items()}

    def expect(
        self, transfer: int, endpoint: int, size: int | None, most: int | None = None
    ) -> None:
        """A transfer was announced by the master.

        size: None if only the sender knows it, and then `most` is what it may be at most, if that
        isn't None. Raises RemoteProtocolError if another of that number is under way, or if what
        came of it already doesn't fit.
        """
        record = self._of(transfer, endpoint)
        self._take(record, Happens.ANNOUNCED)
        record.size, record.most = size, size if most is None else most

    def grant(self, transfer: int) -> list[Any]:
        """Its memory is free: take it in."""
        record = self._records[transfer]
        self._take(record, Happens.CREDIT)
        effects: list[Any] = [GrantCredit(transfer, record.endpoint)]
        early, record.early = record.early, []
        for offset, data, last in early:
            self._early_bytes[record.endpoint] -= len(data) + eager_frame_bytes
            effects += self._accept(record, offset, data, last)
        return effects

    def chunk(
        self, endpoint: int, transfer: int, offset: int, data: Bytes, last: bool
    ) -> list[Any]:
        """A chunk arrived; raises RemoteProtocolError if it isn't what may come."""
        record = self._records.get(transfer)
        if record is not None and record.state is In.CANCELLED:
            self._take(record, Happens.END if last else Happens.CHUNK)
            return []
        record = self._of(transfer, endpoint)
        if record.state in (In.GRANTED, In.STREAMING):
            return self._accept(record, offset, data, last)
        early = self._early_bytes.get(endpoint, 0) + len(data) + eager_frame_bytes
        if early > eager_total_bytes_max:
            raise RemoteProtocolError(
                f"endpoint {endpoint} sent {early} bytes without credit; "
                f"{eager_total_bytes_max} are allowed"
            )
        self._take(record, Happens.END if last else Happens.CHUNK)
        self._early_bytes[endpoint] = early
        record.early.append((offset, data, last))
        return []

    def may_write(self, endpoint: int, transfer: int, offset: int, size: int) -> bool:
        """Whether the memory of a transfer is free, and these bytes can still come for it. That a
        chunk is the next one is known only when it is here."""
        record = self._records.get(transfer)
        return (
            record is not None
            and record.endpoint == endpoint
            and record.state in (In.GRANTED, In.STREAMING)
            and record.size is not None
            and record.received <= offset <= record.size - size
        )

    def _of(self, transfer: int, endpoint: int) -> _In:
        """The record of a transfer, which begins with the first that is heard of it."""
        record = self._records.get(transfer)
        if record is None:
            return _In(transfer, endpoint=endpoint)
        if record.endpoint != endpoint:
            raise RemoteProtocolError(f"transfer {transfer} comes from the wrong endpoint")
        return record

    def _accept(self, record: _In, offset: int, data: Bytes, last: bool) -> list[Deliver]:
        """A chunk of a transfer that has credit."""
        transfer, end = record.number, offset + len(data)
        if offset != record.received or (record.most is not None and end > record.most):
            raise RemoteProtocolError(
                f"transfer {transfer}: bytes {offset} to {end} came, after {record.received} "
                f"of {record.size if record.most == record.size else f'at most {record.most}'}"
            )
        if last and record.size is not None and end != record.size:
            raise RemoteProtocolError(
                f"transfer {transfer} ended after {end} of {record.size} bytes"
            )
        self._take(record, Happens.END if last else Happens.CHUNK)
        record.received = end
        return [Deliver(transfer, offset, data, last)] if data or last else []

    def refuse(self, transfer: int) -> list[GrantCredit]:
        """Nobody wants it now: drop what comes, but let the sender be rid of it."""
        record = self._records.get(transfer)
        granted = record is not None and record.state in (In.GRANTED, In.STREAMING)
        if not self.cancel(transfer):
            return []
        assert record is not None
        return [] if granted else [GrantCredit(transfer, record.endpoint)]

    def cancel(self, transfer: int) -> bool:
        """The sender failed: no more will come of it; true if it was expected."""
        record = self._records.get(transfer)
        if record is None or record.state not in (In.OFFERED, In.GRANTED, In.STREAMING):
            return False
        self._drop(record)
        return True

    def forget(self, endpoint: int) -> list[int]:
        """An endpoint is gone: no more will come of its transfers. Answers those that were
        expected; what is on its way of any is dropped."""
        from_it = [
            record
            for record in self._records.values()
            if record.endpoint == endpoint and record.state is not In.CANCELLED
        ]
        expected = [record.number for record in from_it if record.state is not In.EARLY]
        for record in from_it:
            self._drop(record)
        self._early_bytes.pop(endpoint, None)
        return expected

    def _drop(self, record: _In) -> None:
        """What came of it early is dropped, and what is still to come will be."""
        early, record.early = record.early, []
        for _, data, _ in early:
            self._early_bytes[record.endpoint] -= len(data) + eager_frame_bytes
        self._take(record, Happens.CANCEL)
        if any(last for _, _, last in early):
            self._take(record, Happens.END)  # nothing is

    def _take(self, record: _In, happens: Happens) -> None:
        transfer, before = record.number, record.state
        record.take(INCOMING, happens)
        self._records[transfer] = record
        if record.state is before:
            return
        if record.state is In.CANCELLED:
            oldest = self._cancelled.add(transfer)
            if oldest is not None:
                del self._records[oldest]
        elif record.state is In.DONE:
            self._cancelled.discard(transfer)
            del self._records[transfer]
