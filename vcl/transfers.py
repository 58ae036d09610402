"""The two ends of bulk transfers: credit, order and bounds, without any I/O.

Owns: `Outgoing` and `Incoming`, which clients and executors share. Must not know: where bytes come
from or go to; effects name transfers, and the owner keeps what belongs to them.

Theory of operation. A sender may begin when it has both its bytes and the receiver's credit; a
receiver grants credit, once per transfer, when the memory for it is free of older use. So one
slow transfer never holds up another. A short transfer may begin without credit (*eager*) as long
as the bytes so begun and not yet credited stay under a limit, which bounds what a receiver must
keep. Chunks of one transfer arrive in order, since one connection carries them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from vcl.errors import RemoteProtocolError
from vcl.wire.frame import Bytes
from vcl.wire.limits import eager_bytes_max, eager_total_bytes_max


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
    size: int


class Outgoing:
    """The transfers that this end sends."""

    def __init__(self) -> None:
        self._waiting: dict[int, _Out] = {}
        self._credited: set[int] = set()
        self._cancelled: set[int] = set()
        self._eager: dict[int, tuple[int, int]] = {}  # transfer: (endpoint, bytes)
        self._eager_bytes: dict[int, int] = {}  # by endpoint

    def offer(self, transfer: int, endpoint: int, data: tuple[Bytes, ...]) -> list[Stream]:
        """The bytes of a transfer are there: send them now, or when credit comes."""
        data = data or (b"",)
        size = sum(len(d) for d in data)
        if transfer in self._credited:
            self._credited.discard(transfer)
            return [Stream(transfer, endpoint, data)]
        begun = self._eager_bytes.get(endpoint, 0)
        if size <= eager_bytes_max and begun + size <= eager_total_bytes_max:
            self._eager[transfer] = (endpoint, size)
            self._eager_bytes[endpoint] = begun + size
            return [Stream(transfer, endpoint, data)]
        self._waiting[transfer] = _Out(endpoint, data, size)
        return []

    def __contains__(self, transfer: int) -> bool:
        """Whether it was sent without credit, which hasn't come yet."""
        return transfer in self._eager

    def credit(self, transfer: int) -> list[Stream]:
        """Credit came for a transfer, perhaps before its bytes are there."""
        if transfer in self._eager:
            endpoint, size = self._eager.pop(transfer)
            self._eager_bytes[endpoint] -= size
            return []
        if transfer in self._cancelled:
            self._cancelled.discard(transfer)
            return []
        out = self._waiting.pop(transfer, None)
        if out is None:
            self._credited.add(transfer)
            return []
        return [Stream(transfer, out.endpoint, out.data)]

    def cancel(self, transfer: int) -> bool:
        """An end of it failed; true if its bytes were waiting to be sent, and won't be.

        Its bytes must not be offered later. What was begun is finished.
        """
        if transfer in self._eager:
            self.credit(transfer)
            self._cancelled.add(transfer)
            return False
        if transfer in self._credited:
            self._credited.discard(transfer)
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
    endpoint: int
    size: int | None
    received: int = 0
    granted: bool = False
    early: list[tuple[int, Bytes, bool]] = field(default_factory=list)


class Incoming:
    """The transfers that this end receives."""

    def __init__(self) -> None:
        self._expected: dict[int, _In] = {}
        self._unannounced: dict[int, _In] = {}
        self._cancelled: set[int] = set()
        self._early_bytes: dict[int, int] = {}  # by endpoint

    def expect(self, transfer: int, endpoint: int, size: int | None) -> None:
        """A transfer was announced by the master. size: None if only the sender knows it.

        Raises RemoteProtocolError if what came of it already doesn't fit.
        """
        state = self._unannounced.pop(transfer, None)
        if state is None:
            state = _In(endpoint, size)
        elif state.endpoint != endpoint:
            raise RemoteProtocolError(f"transfer {transfer} comes from the wrong endpoint")
        state.size = size
        self._expected[transfer] = state

    def grant(self, transfer: int) -> list[Any]:
        """Its memory is free: take it in."""
        state = self._expected[transfer]
        state.granted = True
        effects: list[Any] = [GrantCredit(transfer, state.endpoint)]
        early, state.early = state.early, []
        for offset, data, last in early:
            self._early_bytes[state.endpoint] -= len(data)
            effects.append(self._take(transfer, state, offset, data, last))
        return effects

    def chunk(
        self, endpoint: int, transfer: int, offset: int, data: Bytes, last: bool
    ) -> list[Any]:
        """A chunk arrived; raises RemoteProtocolError if it isn't what may come."""
        if transfer in self._cancelled:
            if last:
                self._cancelled.discard(transfer)
            return []
        state = self._expected.get(transfer)
        if state is None:
            state = self._unannounced.setdefault(transfer, _In(endpoint, None))
        if state.endpoint != endpoint:
            raise RemoteProtocolError(f"transfer {transfer} comes from the wrong endpoint")
        if state.granted:
            return [self._take(transfer, state, offset, data, last)]
        early = self._early_bytes.get(endpoint, 0) + len(data)
        if early > eager_total_bytes_max:
            raise RemoteProtocolError(
                f"endpoint {endpoint} sent {early} bytes without credit; "
                f"{eager_total_bytes_max} are allowed"
            )
        self._early_bytes[endpoint] = early
        state.early.append((offset, data, last))
        return []

    def _take(self, transfer: int, state: _In, offset: int, data: Bytes, last: bool) -> Deliver:
        end = offset + len(data)
        if offset != state.received or (state.size is not None and end > state.size):
            raise RemoteProtocolError(
                f"transfer {transfer}: bytes {offset} to {end} came, after {state.received} "
                f"of {state.size}"
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
        return Deliver(transfer, offset, data, last)

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
            self._early_bytes[state.endpoint] -= len(data)
        if not any(last for _, _, last in state.early):
            self._cancelled.add(transfer)  # the rest may be on its way
        return True
