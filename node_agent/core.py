"""The executor without I/O: operations in, driver calls and bulk out, reports back.

Owns: one session's operations on one node: when each may start, its transfers, its report. Must
not know: sockets, clocks, threads, OpenCL. The driver behind the effects may be real
(`driver`) or a fake that computes on bytes.

What is known of an operation is one `readiness.Node`; of one that moves bytes, its `kept` is a
record with its place in a table (`moves`).

Long because each kind of operation has its way in, its way out and its way to fail here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from node_agent.effects import (
    DropSnapshot,
    Effect,
    Report,
    Start,
    StartAgain,
    StartMerge,
    Store,
    Unmap,
)
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
from node_agent.moves import (
    At,
    Gathering,
    Happens,
    Receiving,
    Sending,
    misfit,
    packed_bytes_max,
)
from node_agent.readiness import Node, Readiness
from vcl.errors import (
    EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST,
    OUT_OF_RESOURCES,
    RemoteProtocolError,
)
from vcl.text import clipped
from vcl.transfers import Deliver, Incoming, Outgoing
from vcl.wire.frame import CREDIT, BulkFrame
from vcl.wire.limits import printed_message_bytes_max, rows_max
from vcl.wire.messages import part
from vcl.wire.messages.direct import ExpectLink, OpenLink
from vcl.wire.shapes import ShapesTold, Told


class ExecutorCore:
    """`handle(inputs, now)` answers with effects, in order."""

    def __init__(self) -> None:
        self._readiness = Readiness()
        self._outgoing = Outgoing()
        self._incoming = Incoming()
        self._shapes = ShapesTold()
        self._sends: dict[int, Sending] = {}  # by transfer, until the operation is done
        self._receives: dict[int, Receiving | Gathering] = {}  # likewise
        self._done: list[list[Any]] = []
        self._last: set[int] = set()
        """Operations that were the last of what the master said at once: what a program said before
        it began to wait."""
        self._soon = False  # whether one of these has ended, or any has failed
        self._effects: list[Effect] = []
        self._now = 0
        self._inputs: Mapping[type, Callable[[Any], None]] = {
            FromMaster: self._from_master,
            FromEndpoint: self._from_endpoint,
            Ended: self._ended,
            BytesReady: self._bytes_ready,
            Streamed: self._streamed,
            Printed: self._printed,
            BuildEnded: self._build_ended,
        }
        self._messages: Mapping[type, Callable[[Any], None]] = {
            part.Allocate: self._start_at_once,
            part.Build: self._start_at_once,
            part.Free: self._add_regardless,
            part.ForgetProgram: self._add_regardless,
            part.Run: self._add_run,
            part.Again: self._add_again,
            part.FillRegion: self._add_queued,
            part.CopyRegion: self._add_queued,
            part.CopyBox: self._add_queued,
            part.Snapshot: self._add_queued,
            part.Send: self._add_send,
            part.SendChanges: self._add_send,
            part.Receive: self._add_receive,
            part.Merge: self._add_merge,
            part.CancelTransfer: self._cancel,
            OpenLink: self._open_link,
            ExpectLink: self._open_link,
        }

    @property
    def operations_count(self) -> int:
        """Operations that aren't done."""
        return len(self._readiness)

    def handle(self, inputs: Sequence[Input], now: int) -> list[Effect]:
        """Take inputs in; `now` is the wall clock in ns.

        Raises RemoteProtocolError if the master or an endpoint broke the protocol.
        """
        self._now = now
        take = self._inputs
        for one in inputs:
            take[type(one)](one)
        self._advance()
        if self._done:
            soon = self._soon or not self._readiness
            for start in range(0, len(self._done), rows_max):
                rows = self._done[start : start + rows_max]
                self._effects.append(Report([part.Done(rows)], soon))
            self._done, self._soon = [], False
        effects, self._effects = self._effects, []
        return effects

    # ---- from the master

    def _from_master(self, one: FromMaster) -> None:
        take = self._messages
        for message in one.messages:
            take[type(message)](message)
        last: int = getattr(one.messages[-1], "operation", 0) if one.messages else 0
        if last in self._readiness:
            self._last.add(last)

    def _open_link(self, message: OpenLink | ExpectLink) -> None:
        self._effects.append(message)

    def _start_at_once(self, message: Any) -> None:
        self._effects.append(Start(message))

    def _add(
        self, message: Any, follows: bool = False, leads: bool = False, regardless: bool = False
    ) -> Node:
        operation = message.operation
        if operation in self._readiness:
            raise RemoteProtocolError(f"operation {operation} came twice")
        return self._readiness.add(operation, message, message.waits, follows, leads, regardless)

    def _add_queued(self, message: Any) -> None:
        """The driver's in-order queue keeps these in order by itself."""
        self._add(message, follows=True, leads=True)

    def _add_run(self, message: part.Run) -> None:
        if message.shape:
            self._shapes.tell(message.shape, Told(message))
        self._add_queued(message)

    def _add_again(self, message: part.Again) -> None:
        operation, waits, shape, values, _ = message
        told = self._shapes.find(shape)
        told.check(values)
        if operation in self._readiness:
            raise RemoteProtocolError(f"operation {operation} came twice")
        self._readiness.add(operation, StartAgain(message, told), waits, True, True)

    def _add_regardless(self, message: part.Free | part.ForgetProgram) -> None:
        self._add(message, regardless=True)

    def _add_send(self, message: part.Send | part.SendChanges) -> None:
        transfer = message.transfer
        if transfer in self._sends:
            self._sends[transfer].happens(Happens.NAMED_AGAIN)
        # The driver waits for the events of what a Send follows.
        node = self._add(message, follows=isinstance(message, part.Send))
        self._outgoing.expect(transfer)
        node.kept = self._sends[transfer] = Sending(message.operation, message=message)

    def _add_receive(self, message: part.Receive) -> None:
        record = Receiving(message.operation, message=message)
        self._add(message).kept = record
        self._expect(record, message.transfer, message.endpoint, message.size, None)

    def _add_merge(self, message: part.Merge) -> None:
        record = Gathering.of(message)
        self._add(message).kept = record
        for transfer, endpoint, pieces in message.transfers:
            most = sum(packed_bytes_max(size) for _, _, size in pieces)
            self._expect(record, transfer, endpoint, None, most)
        if (why := misfit(message)) is not None:
            record.happens(Happens.MISFIT)
            self._refuse(record)
            self._readiness.fail(record.number, why)

    def _expect(
        self,
        record: Receiving | Gathering,
        transfer: int,
        endpoint: int,
        size: int | None,
        most: int | None,
    ) -> None:
        if transfer in self._receives:
            self._receives[transfer].happens(Happens.NAMED_AGAIN)
        self._incoming.expect(transfer, endpoint, size, most)
        self._receives[transfer] = record

    def _cancel(self, message: part.CancelTransfer) -> None:
        """The other end failed: so does the operation that waits for it."""
        transfer = message.transfer
        if transfer in self._sends:
            self._cancel_send(self._sends[transfer], message)
        elif transfer in self._outgoing:
            self._outgoing.cancel(transfer)
        elif transfer in self._receives:
            record = self._receives[transfer]
            if isinstance(record, Gathering):
                self._cancel_merge(record, message)
            else:
                self._cancel_receive(record, message)

    def _cancel_send(self, record: Sending, message: part.CancelTransfer) -> None:
        if record.happens(Happens.CANCEL) is not At.SENDING:
            self._readiness.doom(record.number, message.message)
        elif self._outgoing.cancel(message.transfer):
            self._end_send(record, OUT_OF_RESOURCES, message.message)
        # Else it has begun, and will end by itself.

    def _cancel_receive(self, record: Receiving, message: part.CancelTransfer) -> None:
        before = record.state
        after = record.happens(Happens.CANCEL)
        if after is before:
            return  # it is over, or all has come
        self._incoming.cancel(message.transfer)
        if after is At.STOPPED:
            self._stop_storing(record, message.message)
        else:
            self._readiness.fail(record.number, message.message)

    def _cancel_merge(self, record: Gathering, message: part.CancelTransfer) -> None:
        if message.transfer not in record.missing:
            return  # what it brings is here
        if record.happens(Happens.CANCEL) is At.DROPPED:
            self._incoming.cancel(message.transfer)
            self._refuse(record)
            self._readiness.fail(record.number, message.message)

    def _refuse(self, record: Gathering) -> None:
        """Drop what is still to come for it."""
        record.missing.clear()
        for transfer in record.chunks:
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

    def belongs(self, frame: BulkFrame, size: int) -> part.Receive | None:
        """The Receive of the chunk with this header, if its bytes may be on the device now."""
        record = self._receives.get(frame.transfer)
        if not isinstance(record, Receiving):
            return None
        if not self._incoming.may_write(frame.source, frame.transfer, frame.offset, size):
            return None
        message: part.Receive = record.message
        return message

    def _deliver(self, effects: Sequence[Any]) -> None:
        for effect in effects:
            if not isinstance(effect, Deliver):
                self._effects.append(effect)
                continue
            record = self._receives[effect.transfer]
            if isinstance(record, Gathering):
                self._gather(record, effect)
            else:
                record.happens(Happens.ALL if effect.last else Happens.CHUNK)
                record.begun = record.begun or self._now
                awaited = False
                if effect.last and effect.data:  # an end without bytes is nothing to follow
                    followers = self._readiness.issue(record.number)
                    awaited = followers and not effect.offset
                store = Store(record.message, effect.offset, effect.data, effect.last, awaited)
                self._effects.append(store)

    def _gather(self, record: Gathering, chunk: Deliver) -> None:
        record.chunks[chunk.transfer].append(bytes(chunk.data))
        if chunk.last:
            record.missing.remove(chunk.transfer)
        if record.missing:
            record.happens(Happens.CHUNK)
        else:
            self._start_merge(record)

    def _start_merge(self, record: Gathering) -> None:
        record.happens(Happens.ALL)
        self._effects.append(StartMerge(record.message, record.changes))

    # ---- from the driver

    def _ended(self, one: Ended) -> None:
        operation, status, start, end, text, extra, _ = one
        node = self._readiness.get(operation)
        if node is None:
            return  # it failed before, and more of it was on its way to the driver
        if status == 0 and node.undone and node.kept is None and node.outcome is None:
            # The driver's threads race: whether the bytes that it followed came isn't told yet.
            node.outcome = one
            self._readiness.hold(node)
            return
        if status == 0 and node.kept is None and node.outcome is None and node.doomed is None:
            # A launch that went well, as most did.
            self._readiness.end(operation, None)
            self._tell(operation, [operation, status, start, end, text, extra])
            return
        if status < 0 and self._still_running(node, one):
            return
        self._end(node, one)

    def _printed(self, one: Printed) -> None:
        """Tell it at once, in messages of their own: the launch's end comes after them."""
        if one.operation in self._readiness:
            for start in range(0, len(one.text), printed_message_bytes_max):
                text = one.text[start : start + printed_message_bytes_max]
                self._effects.append(Report([part.Printed(one.operation, text)]))

    def _build_ended(self, one: BuildEnded) -> None:
        self._effects.append(Report([one.message]))

    def _still_running(self, node: Node, one: Ended) -> bool:
        """Whether what the driver had before this still runs: others must wait for it."""
        if node.outcome is not None:
            # Of a Receive another chunk was refused, and yet others are on their way.
            return isinstance(node.kept, Receiving) and not one.closing
        text = one.text or f"OpenCL status {one.status}"
        if isinstance(node.kept, Receiving):
            node.outcome = one
            node.kept.happens(Happens.REFUSED)
            self._incoming.cancel(node.message.transfer)
            self._stop_storing(node.kept, text)
            return True
        if node.undone:
            node.outcome = one
            if one.extra == part.UNTOUCHED:
                self._readiness.skip(node.id)
            else:
                self._readiness.fail(node.id, text)
            return True
        return False

    def _stop_storing(self, record: Receiving, reason: str) -> None:
        """The rest is dropped; it ends when the chunks before have got to the device."""
        self._readiness.doom(record.number, reason)
        self._effects.append(Store(record.message, 0, b"", True))

    def _bytes_ready(self, one: BytesReady) -> None:
        node = self._readiness.get(one.operation)
        assert node is not None, "a send whose bytes aren't there lasts"
        node.kept.ready = one
        if node.undone:
            # The driver's threads race: whether what made these bytes failed isn't told yet.
            node.kept.happens(Happens.BYTES_EARLY)
            self._readiness.hold(node)
        else:
            self._offer(node, Happens.BYTES)

    def _offer(self, node: Node, happens: Happens) -> None:
        record: Sending = node.kept
        assert record.ready is not None
        if node.doomed is not None:
            self._end_send(record, OUT_OF_RESOURCES, node.doomed)
            return
        record.happens(happens)
        message = record.message
        self._effects.extend(
            self._outgoing.offer(message.transfer, message.endpoint, record.ready.data)
        )

    def _streamed(self, one: Streamed) -> None:
        self._end_send(self._sends[one.transfer], 0, None)

    def _end_send(self, record: Sending, status: int, text: str | None) -> None:
        """One whose bytes were there."""
        node = self._readiness.get(record.number)
        assert node is not None and record.ready is not None
        told = status == 0 and isinstance(record.message, part.SendChanges)
        extra = record.size if told else None
        self._effects.append(Unmap(record.number))
        self._end(node, Ended(record.number, status, record.ready.start, self._now, text, extra))

    def _end(self, node: Node, one: Ended) -> None:
        operation, status, start, end, text, extra, _ = node.outcome or one
        harmless = status >= 0 or extra == part.UNTOUCHED
        failure = None if harmless else text or f"OpenCL status {status}"
        if isinstance(node.kept, Receiving) and status >= 0:
            start = node.kept.begun
        if node.kept is not None:
            self._end_move(node.kept, failure)
        doomed = self._readiness.end(operation, failure)
        if doomed is not None:
            if status >= 0:
                status, text = EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST, doomed
            if extra == part.UNTOUCHED:
                extra = None  # by this one, but what it waited for failed
        if text is not None:
            text = clipped(text)
        self._soon |= status < 0
        self._tell(operation, [operation, status, start, end, text, extra])

    def _tell(self, operation: int, row: list[Any]) -> None:
        self._done.append(row)
        if operation in self._last:
            self._last.remove(operation)
            self._soon = True

    def _end_move(self, record: Sending | Receiving | Gathering, failure: str | None) -> None:
        record.happens(Happens.END)
        if isinstance(record, Gathering):
            for transfer in record.chunks:
                del self._receives[transfer]
            return
        transfer = record.message.transfer
        if isinstance(record, Receiving):
            del self._receives[transfer]
            return
        del self._sends[transfer]
        if failure is not None:
            self._outgoing.cancel(transfer)

    # ---- starting

    def _advance(self) -> None:
        """Start what may start, and end what failed unstarted, until neither is left."""
        while True:
            started = self._readiness.take()
            for node in started:
                if node.kept is None:
                    message = node.message
                    again = type(message) is StartAgain
                    self._effects.append(message if again else Start(message))
                else:
                    self._start_move(node)
            failed = self._readiness.take_failed()
            for operation, reason in failed:
                self._end_unstarted(operation, reason)
            settled = self._readiness.take_settled()
            for node in settled:
                if node.kept is None:
                    self._end(node, node.outcome)
                else:
                    self._offer(node, Happens.SETTLED)
            if not started and not failed and not settled:
                return

    def _start_move(self, node: Node) -> None:
        record = node.kept
        if isinstance(record, Receiving):
            self._deliver(self._incoming.grant(record.message.transfer))
        elif isinstance(record, Gathering):
            if not record.chunks:
                self._start_merge(record)
            for transfer in record.chunks:
                self._deliver(self._incoming.grant(transfer))
        else:
            self._effects.append(Start(node.message))

    def _end_unstarted(self, operation: int, reason: str) -> None:
        node = self._readiness.get(operation)
        assert node is not None
        message, record = node.message, node.kept
        if isinstance(message, (part.SendChanges, part.Merge)):
            self._effects.append(DropSnapshot(message.device, message.merge))
        if isinstance(record, Receiving):
            self._effects.extend(self._incoming.refuse(message.transfer))
        elif isinstance(record, Gathering):
            self._refuse(record)
        failed = EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST
        self._end(node, Ended(operation, failed, 0, 0, reason))
