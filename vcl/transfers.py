"""The two ends of bulk transfers: credit, order and bounds, without any I/O.

Owns: `Outgoing` and `Incoming`, which clients and executors share. Must not know: where bytes come
from or go to; effects name transfers, and the owner keeps what belongs to them.

Theory of operation. A sender may begin when it has both its bytes and the receiver's credit; a
receiver grants credit, once per transfer, when the memory for it is free of older use. So one
slow transfer never holds up another. A short transfer may begin without credit (*eager*) as long
as the bytes so begun and not yet credited stay under a limit, which bounds what a receiver must
keep. A frame costs memory even if it is empty, so both ends count `eager_frame_bytes` more for
each. Chunks of one transfer arrive in order, since one connection carries them.

What the peers alone decide on is bounded: what comes early by the eager limit, credit for
transfers of which the master hasn't said anything by `transfers_unannounced_max`. What the master
announced is bounded by the commands that it lets be under way. Of cancelled transfers, of which
something may be on its way, the last `transfers_cancelled_max` are remembered.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from vcl.errors import RemoteProtocolError
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
class _Out:
    endpoint: int
    data: tuple[Bytes, ...]


class _Cancelled:
    """The last transfers that were cancelled, while something of them may be on its way."""

    def __init__(self) -> None:
        self._known: dict[int, None] = {}  # in the order in which they were cancelled

    def add(self, transfer: int) -> None:
        self._known[transfer] = None
        if len(self._known) > transfers_cancelled_max:
            del self._known[next(iter(self._known))]

    def discard(self, transfer: int) -> None:
        self._known.pop(transfer, None)

    def __contains__(self, transfer: int) -> bool:
        return transfer in self._known


class Outgoing:
    """The transfers that this end sends."""

    def __init__(self) -> None:
        self._announced: set[int] = set()  # and their bytes aren't there yet
        self._waiting: dict[int, _Out] = {}
        self._credited: set[int] = set()  # of the announced
        self._unannounced: set[int] = set()  # credited, but the master hasn't told of them
        self._cancelled = _Cancelled()
        self._eager: dict[int, tuple[int, int]] = {}  # transfer: (endpoint, what it counts)
        self._eager_bytes: dict[int, int] = {}  # by endpoint

    def expect(self, transfer: int) -> None:
        """The master told of a transfer whose bytes will be offered.

        Raises RemoteProtocolError if another of that number is under way.
        """
        known = (self._announced, self._eager, self._waiting)
        if any(transfer in transfers for transfers in known):
            raise RemoteProtocolError(f"transfer {transfer} is under way already")
        self._announced.add(transfer)
        if transfer in self._unannounced:
            self._unannounced.discard(transfer)
            self._credited.add(transfer)

    def offer(self, transfer: int, endpoint: int, data: tuple[Bytes, ...]) -> list[Stream]:
        """The bytes of an expected transfer are there: send them now, or when credit comes."""
        self._announced.remove(transfer)
        data = data or (b"",)
        if transfer in self._credited:
            self._credited.discard(transfer)
            return [Stream(transfer, endpoint, data)]
        size = sum(len(d) for d in data)
        # Each piece of such a short transfer is one frame.
        counts = size + eager_frame_bytes * len(data)
        begun = self._eager_bytes.get(endpoint, 0)
        if size <= eager_bytes_max and begun + counts <= eager_total_bytes_max:
            self._eager[transfer] = (endpoint, counts)
            self._eager_bytes[endpoint] = begun + counts
            return [Stream(transfer, endpoint, data)]
        self._waiting[transfer] = _Out(endpoint, data)
        return []

    def __contains__(self, transfer: int) -> bool:
        """Whether it was sent without credit, which hasn't come yet."""
        return transfer in self._eager

    def credit(self, transfer: int) -> list[Stream]:
        """Credit came for a transfer, perhaps before its bytes are there.

        Raises RemoteProtocolError if it is one of too many that nobody has announced.
        """
        if transfer in self._eager:
            endpoint, counts = self._eager.pop(transfer)
            self._eager_bytes[endpoint] -= counts
            return []
        if transfer in self._cancelled:
            self._cancelled.discard(transfer)
            return []
        if transfer in self._announced:
            self._credited.add(transfer)
            return []
        out = self._waiting.pop(transfer, None)
        if out is not None:
            return [Stream(transfer, out.endpoint, out.data)]
        self._unannounced.add(transfer)
        if len(self._unannounced) > transfers_unannounced_max:
            raise RemoteProtocolError("credit for too many transfers that nobody has announced")
        return []

    def cancel(self, transfer: int) -> bool:
        """An end of it failed; true if its bytes were waiting to be sent, and won't be.

        Its bytes must not be offered later. What was begun is finished.
        """
        self._announced.discard(transfer)
        if transfer in self._eager:
            self.credit(transfer)
            self._cancelled.add(transfer)
            return False
        if transfer in self._credited or transfer in self._unannounced:
            self._credited.discard(transfer)
            self._unannounced.discard(transfer)
        else:
            self._cancelled.add(transfer)  # its credit may be on its way
        return self._waiting.pop(transfer, None) is not None

    def forget(self, endpoint: int) -> None:
        """An endpoint is gone: credit for what was sent to it without won't be used."""
        self._eager_bytes.pop(endpoint, None)
        for transfer in [t for t, e in self._eager.items() if e[0] == endpoint]:
            del self._eager[transfer]
            self._cancelled.add(transfer)  # its credit may be on its way


@dataclass(slots=True)
class _In:
    """size: None until it is known, and where only the sender knows it; most: bytes in any case."""

    endpoint: int
    size: int | None = None
    most: int | None = None
    received: int = 0
    granted: bool = False
    early: list[tuple[int, Bytes, bool]] = field(default_factory=list)


class Incoming:
    """The transfers that this end receives."""

    def __init__(self) -> None:
        self._expected: dict[int, _In] = {}
        self._unannounced: dict[int, _In] = {}
        self._cancelled = _Cancelled()
        self._early_bytes: dict[int, int] = {}  # by endpoint

    def expect(
        self, transfer: int, endpoint: int, size: int | None, most: int | None = None
    ) -> None:
        """A transfer was announced by the master.

        size: None if only the sender knows it, and then `most` is what it may be at most, if that
        isn't None. Raises RemoteProtocolError if another of that number is under way, or if what
        came of it already doesn't fit.
        """
        if transfer in self._expected or transfer in self._cancelled:
            raise RemoteProtocolError(f"transfer {transfer} is under way already")
        state = self._unannounced.pop(transfer, None)
        if state is None:
            state = _In(endpoint)
        elif state.endpoint != endpoint:
            raise RemoteProtocolError(f"transfer {transfer} comes from the wrong endpoint")
        state.size, state.most = size, size if most is None else most
        self._expected[transfer] = state

    def grant(self, transfer: int) -> list[Any]:
        """Its memory is free: take it in."""
        state = self._expected[transfer]
        state.granted = True
        effects: list[Any] = [GrantCredit(transfer, state.endpoint)]
        early, state.early = state.early, []
        for offset, data, last in early:
            self._early_bytes[state.endpoint] -= len(data) + eager_frame_bytes
            effects += self._take(transfer, state, offset, data, last)
        return effects

    def chunk(
        self, endpoint: int, transfer: int, offset: int, data: Bytes, last: bool
    ) -> list[Any]:
        """A chunk arrived; raises RemoteProtocolError if it isn't what may come."""
        if transfer in self._cancelled:
            if last:
                self._cancelled.discard(transfer)
            return []
        state = self._expected.get(transfer) or self._unannounced.get(transfer)
        if state is None:
            state = _In(endpoint)
        elif state.endpoint != endpoint:
            raise RemoteProtocolError(f"transfer {transfer} comes from the wrong endpoint")
        if state.granted:
            return self._take(transfer, state, offset, data, last)
        early = self._early_bytes.get(endpoint, 0) + len(data) + eager_frame_bytes
        if early > eager_total_bytes_max:
            raise RemoteProtocolError(
                f"endpoint {endpoint} sent {early} bytes without credit; "
                f"{eager_total_bytes_max} are allowed"
            )
        self._early_bytes[endpoint] = early
        state.early.append((offset, data, last))
        if transfer not in self._expected:
            self._unannounced[transfer] = state
        return []

    def _take(
        self, transfer: int, state: _In, offset: int, data: Bytes, last: bool
    ) -> list[Deliver]:
        end = offset + len(data)
        if offset != state.received or (state.most is not None and end > state.most):
            raise RemoteProtocolError(
                f"transfer {transfer}: bytes {offset} to {end} came, after {state.received} "
                f"of {state.size if state.most == state.size else f'at most {state.most}'}"
            )
        if last and state.size is not None and end != state.size:
            raise RemoteProtocolError(
                f"transfer {transfer} ended after {end} of {state.size} bytes"
            )
        if transfer not in self._expected:
            raise RemoteProtocolError(f"transfer {transfer} goes on after its end")
        state.received = end
        if last:
            del self._expected[transfer]
        elif not data:
            return []
        return [Deliver(transfer, offset, data, last)]

    def begun(self, transfer: int) -> bool:
        """Whether some of its bytes were delivered."""
        state = self._expected.get(transfer)
        return state is not None and state.received > 0

    def refuse(self, transfer: int) -> list[GrantCredit]:
        """Nobody wants it now: drop what comes, but let the sender be rid of it."""
        state = self._expected.get(transfer)
        if state is None:
            return []
        self.cancel(transfer)
        return [] if state.granted else [GrantCredit(transfer, state.endpoint)]

    def cancel(self, transfer: int) -> bool:
        """The sender failed: no more will come of it; true if it was expected."""
        state = self._expected.pop(transfer, None)
        if state is None:
            return False
        for _, data, _ in state.early:
            self._early_bytes[state.endpoint] -= len(data) + eager_frame_bytes
        if not any(last for _, _, last in state.early):
            self._cancelled.add(transfer)  # the rest may be on its way
        return True

    def forget(self, endpoint: int) -> list[int]:
        """An endpoint is gone: no more will come of its transfers. Answers those that were
        expected; what is on its way of any is dropped."""
        expected = [t for t, state in self._expected.items() if state.endpoint == endpoint]
        for transfer in expected:
            self.cancel(transfer)
        for transfer in [t for t, s in self._unannounced.items() if s.endpoint == endpoint]:
            state = self._unannounced.pop(transfer)
            if not any(last for _, _, last in state.early):
                self._cancelled.add(transfer)
        self._early_bytes.pop(endpoint, None)
        return expected
