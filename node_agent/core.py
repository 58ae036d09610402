"""The executor without I/O: operations in, driver calls and bulk out, reports back.

Owns: one session's operations on one node: when each may start, its transfers, its report. Must
not know: sockets, clocks, threads, OpenCL. The driver behind the effects may be real
(`opencl_driver`) or a fake that computes on bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from node_agent.effects import DropSnapshot, Effect, Report, Start, StartMerge, Store, Unmap
from node_agent.inputs import (
    BuildEnded,
    BytesReady,
    Ended,
    FromEndpoint,
    FromMaster,
    Input,
    Printed,
    Streamed,
)
from node_agent.readiness import Readiness
from vcl.errors import (
    EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST,
    OUT_OF_RESOURCES,
    RemoteProtocolError,
)
from vcl.text import clipped
from vcl.transfers import Deliver, Incoming, Outgoing
from vcl.wire.frame import CREDIT
from vcl.wire.limits import printed_message_bytes_max, rows_max
from vcl.wire.messages import part

QUEUED = (part.Run, part.FillRegion, part.CopyRegion, part.CopyBox, part.Snapshot)
"""Operations that the driver's in-order queue keeps in order by itself."""

HANDED_OVER = (*QUEUED, part.Send)
"""Operations that may be handed to the driver behind queued ones: it waits for their events."""


@dataclass(slots=True)
class _Gathering:
    """The changes for a Merge, by transfer, in the order of its message."""

    message: part.Merge
    chunks: dict[int, list[bytes]] = field(default_factory=dict)
    missing: set[int] = field(default_factory=set)


class ExecutorCore:
    """`handle(inputs, now)` answers with effects, in order."""

    def __init__(self) -> None:
        self._readiness = Readiness()
        self._outgoing = Outgoing()
        self._incoming = Incoming()
        self._receives: dict[int, part.Receive] = {}  # by transfer
        self._gathering: dict[int, _Gathering] = {}  # by transfer
        self._held: dict[int, BytesReady] = {}
        self._refused: dict[int, Ended] = {}  # by operation, until what ran before it has ended
        self._sends: set[int] = set()  # transfers whose bytes aren't ready
        self._unwanted: dict[int, str] = {}  # of these, the ones whose receiver failed
        self._sending: dict[int, tuple[int, int, int]] = {}  # transfer: operation, start, bytes
        self._done: list[list[Any]] = []
        self._effects: list[Effect] = []
        self._now = 0

    @property
    def operations_count(self) -> int:
        """Operations that aren't done."""
        return len(self._readiness)

    def handle(self, inputs: Sequence[Input], now: int) -> list[Effect]:
        """Take inputs in; `now` is the wall clock in ns.

        Raises RemoteProtocolError if the master or an endpoint broke the protocol.
        """
        self._now = now
        for one in inputs:
            if isinstance(one, Ended):
                self._ended(one)
            elif isinstance(one, FromMaster):
                for message in one.messages:
                    self._from_master(message)
            elif isinstance(one, FromEndpoint):
                self._from_endpoint(one)
            elif isinstance(one, BytesReady):
                self._bytes_ready(one)
            elif isinstance(one, Streamed):
                self._streamed(one.transfer)
            elif isinstance(one, Printed):
                self._printed(one)
            else:
                assert isinstance(one, BuildEnded)
                self._effects.append(Report([one.message]))
        self._advance()
        for start in range(0, len(self._done), rows_max):
            self._effects.append(Report([part.Done(self._done[start : start + rows_max])]))
        self._done = []
        effects, self._effects = self._effects, []
        return effects

    # ---- from the master

    def _from_master(self, message: Any) -> None:
        if isinstance(message, (part.Allocate, part.Build)):
            self._effects.append(Start(message))
        elif isinstance(message, part.CancelTransfer):
            self._cancel(message)
        else:
            if message.operation in self._readiness:
                raise RemoteProtocolError(f"operation {message.operation} came twice")
            if isinstance(message, part.Receive):
                self._receives[message.transfer] = message
                self._incoming.expect(message.transfer, message.endpoint, message.size)
            elif isinstance(message, part.Merge):
                self._expect_changes(message)
            elif isinstance(message, (part.Send, part.SendChanges)):
                if message.transfer in self._sending:
                    raise RemoteProtocolError(f"transfer {message.transfer} is under way already")
                self._outgoing.expect(message.transfer)
                self._sends.add(message.transfer)
            self._readiness.add(
                message.operation,
                message,
                message.waits,
                follows=isinstance(message, HANDED_OVER),
                leads=isinstance(message, QUEUED),
                regardless=isinstance(message, (part.Free, part.ForgetProgram)),
            )

    def _expect_changes(self, message: part.Merge) -> None:
        gathering = _Gathering(message)
        most = sum(_packed_bytes_max(size) for _, _, size, _ in message.regions)
        for transfer, endpoint in message.transfers:
            gathering.chunks[transfer] = []
            gathering.missing.add(transfer)
            self._gathering[transfer] = gathering
            self._incoming.expect(transfer, endpoint, None, most)

    def _cancel(self, message: part.CancelTransfer) -> None:
        """The other end failed: so does the operation that waits for it."""
        if message.transfer in self._sending:
            if self._outgoing.cancel(message.transfer):
                operation, start, _ = self._sending.pop(message.transfer)
                self._effects.append(Unmap(operation))
                self._end(operation, OUT_OF_RESOURCES, start, self._now, message.message, None)
            return  # else it has begun, and will end by itself
        if message.transfer in self._sends:
            self._unwanted[message.transfer] = message.message
            return
        if message.transfer in self._outgoing:
            self._outgoing.cancel(message.transfer)
            return
        receive = self._receives.get(message.transfer)
        if receive is not None:
            if self._incoming.begun(message.transfer):
                self._stop_storing(receive, message.message)
            else:
                del self._receives[message.transfer]
                self._incoming.cancel(message.transfer)
                self._readiness.fail(receive.operation, message.message)
        elif self._incoming.cancel(message.transfer):
            gathering = self._gathering[message.transfer]
            self._forget_gathering(gathering)
            self._readiness.fail(gathering.message.operation, message.message)

    def _forget_gathering(self, gathering: _Gathering) -> None:
        for transfer in gathering.chunks:
            if self._gathering.pop(transfer, None) is not None:
                self._effects.extend(self._incoming.refuse(transfer))

    # ---- from endpoints

    def _from_endpoint(self, one: FromEndpoint) -> None:
        frame = one.frame
        if frame.kind == CREDIT:
            self._effects.extend(self._outgoing.credit(frame.transfer))
        else:
            self._deliver(
                self._incoming.chunk(
                    frame.source, frame.transfer, frame.offset, frame.payload, frame.last
                )
            )

    def _deliver(self, effects: Sequence[Any]) -> None:
        for effect in effects:
            if not isinstance(effect, Deliver):
                self._effects.append(effect)
            elif effect.transfer in self._receives:
                receive = self._receives[effect.transfer]
                if effect.last:
                    del self._receives[effect.transfer]
                self._effects.append(Store(receive, effect.offset, effect.data, effect.last))
            else:
                gathering = self._gathering[effect.transfer]
                gathering.chunks[effect.transfer].append(bytes(effect.data))
                if effect.last:
                    del self._gathering[effect.transfer]
                    gathering.missing.discard(effect.transfer)
                    self._start_merge(gathering)

    def _start_merge(self, gathering: _Gathering) -> None:
        if not gathering.missing:
            changes = tuple(b"".join(chunks) for chunks in gathering.chunks.values())
            self._effects.append(StartMerge(gathering.message, changes))

    # ---- from the driver

    def _ended(self, one: Ended) -> None:
        if one.operation not in self._readiness:
            return  # it failed before, and more of it was on its way to the driver
        if one.status < 0 and self._still_running(one):
            return
        self._end(one.operation, one.status, one.start, one.end, one.text, one.extra)

    def _printed(self, one: Printed) -> None:
        """Tell it at once, in messages of their own: the launch's end comes after them."""
        if one.operation in self._readiness:
            for start in range(0, len(one.text), printed_message_bytes_max):
                text = one.text[start : start + printed_message_bytes_max]
                self._effects.append(Report([part.Printed(one.operation, text)]))

    def _still_running(self, one: Ended) -> bool:
        """Whether what the driver had before this still runs: others must wait for it."""
        message = self._readiness.message(one.operation)
        text = one.text or f"OpenCL status {one.status}"
        if one.operation in self._refused:
            return False
        if isinstance(message, part.Receive):
            self._refused[one.operation] = one
            self._stop_storing(message, text)
            return True
        if self._readiness.waits(one.operation):
            self._refused[one.operation] = one
            if one.extra == part.UNTOUCHED:
                self._readiness.skip(one.operation)
            else:
                self._readiness.fail(one.operation, text)
            return True
        return False

    def _stop_storing(self, message: part.Receive, reason: str) -> None:
        """The rest is dropped; it ends when the chunks before have got to the device."""
        self._receives.pop(message.transfer, None)
        self._incoming.cancel(message.transfer)
        self._readiness.doom(message.operation, reason)
        self._effects.append(Store(message, 0, b"", True))

    def _bytes_ready(self, one: BytesReady) -> None:
        if self._readiness.waits(one.operation):
            # The driver's threads race: whether what made these bytes failed isn't told yet.
            self._held[one.operation] = one
            return
        message = self._readiness.message(one.operation)
        self._sends.discard(message.transfer)
        size = sum(len(d) for d in one.data)
        self._sending[message.transfer] = (one.operation, one.start, size)
        unwanted = self._unwanted.pop(message.transfer, None)
        unwanted = unwanted or self._readiness.doomed(one.operation)
        if unwanted is not None:
            del self._sending[message.transfer]
            self._effects.append(Unmap(one.operation))
            self._end(one.operation, OUT_OF_RESOURCES, one.start, self._now, unwanted, None)
            return
        self._effects.extend(
            self._outgoing.offer(message.transfer, message.endpoint, one.data)
        )

    def _streamed(self, transfer: int) -> None:
        operation, start, size = self._sending.pop(transfer)
        message = self._readiness.message(operation)
        extra = size if isinstance(message, part.SendChanges) else None
        self._effects.append(Unmap(operation))
        self._end(operation, 0, start, self._now, None, extra)

    def _end(
        self, operation: int, status: int, start: int, end: int, text: str | None, extra: Any
    ) -> None:
        refused = self._refused.pop(operation, None)
        if refused is not None:
            status, start, end, text = refused.status, refused.start, refused.end, refused.text
            extra = refused.extra
        harmless = status >= 0 or extra == part.UNTOUCHED
        failure = None if harmless else text or f"OpenCL status {status}"
        message = self._readiness.message(operation)
        if isinstance(message, (part.Send, part.SendChanges)):
            self._sends.discard(message.transfer)
            self._unwanted.pop(message.transfer, None)
            if failure is not None:
                self._outgoing.cancel(message.transfer)
        doomed = self._readiness.end(operation, failure)
        if doomed is not None and status >= 0:
            status, text = EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST, doomed
        if doomed is not None and extra == part.UNTOUCHED:
            extra = None  # by this one, but what it waited for failed
        clip = None if text is None else clipped(text)
        self._done.append([operation, status, start, end, clip, extra])

    # ---- starting

    def _advance(self) -> None:
        """Start what may start, and end what failed unstarted, until neither is left."""
        while True:
            started = self._readiness.take()
            for node in started:
                self._start(node.message)
            failed = self._readiness.take_failed()
            for operation, reason in failed:
                self._end_unstarted(operation, reason)
            held = [h for h in self._held.values() if not self._readiness.waits(h.operation)]
            for one in held:
                del self._held[one.operation]
                self._bytes_ready(one)
            if not started and not failed and not held:
                return

    def _start(self, message: Any) -> None:
        if isinstance(message, part.Receive):
            self._deliver(self._incoming.grant(message.transfer))
        elif isinstance(message, part.Merge):
            if not message.transfers:
                self._effects.append(StartMerge(message, ()))
            for transfer, _ in message.transfers:
                self._deliver(self._incoming.grant(transfer))
        else:
            self._effects.append(Start(message))

    def _end_unstarted(self, operation: int, reason: str) -> None:
        message = self._readiness.message(operation)
        if isinstance(message, (part.SendChanges, part.Merge)):
            self._effects.append(DropSnapshot(message.device, message.merge))
        if isinstance(message, part.Receive):
            self._receives.pop(message.transfer, None)
            self._effects.extend(self._incoming.refuse(message.transfer))
        elif isinstance(message, part.Merge):
            for transfer, _ in message.transfers:
                gathering = self._gathering.get(transfer)
                if gathering is not None:
                    self._forget_gathering(gathering)
        self._end(operation, EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST, 0, 0, reason, None)


def _packed_bytes_max(size: int) -> int:
    """No less than the length and the packed changes of a region, whatever its elements are.

    Tables are 20 bytes at most per block, which is of 64 bytes or more, and one partial element is
    padded. This bounds what a part can make its home keep.
    """
    return 128 + 2 * size + size // 2
