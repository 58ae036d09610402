"""What it means that operations have ended: for bytes, transfers and commands.

Owns: taking executors' reports of operations in. Must not know: how commands were planned, clients'
messages, or the loss of whole executors (`sessions`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from master.commands import Command, CommandGraph
from master.direct import DirectLinks
from master.ledger import Gives, Ledger, Operation
from master.plan.links import Links
from master.plan.residency import Buffer
from master.reports import note
from vcl.errors import RemoteProtocolError
from vcl.text import clipped
from vcl.wire.direct import Way
from vcl.wire.limits import printed_bytes_max, printed_message_bytes_max
from vcl.wire.messages import part, session


class Ends:
    """Of the operations of one session.

    buffers: by id. rates_changed: is called when plans that depend on links' rates are wrong.
    """

    def __init__(
        self,
        ledger: Ledger,
        graph: CommandGraph,
        buffers: Mapping[int, Buffer],
        direct: DirectLinks,
        links: Links,
        rates_changed: Callable[[], None],
    ) -> None:
        self._ledger, self._graph, self._buffers = ledger, graph, buffers
        self._direct, self._links, self._rates_changed = direct, links, rates_changed

    def printed(self, node: int, m: part.Printed) -> None:
        """Pass on what a launch printed. Raises RemoteProtocolError if it isn't under way."""
        operation = self._ledger.live.get(m.operation)
        if operation is None or operation.node != node or operation.part is None:
            raise RemoteProtocolError(f"launch {m.operation} isn't under way on this node")
        operation.printed_bytes += len(m.text)
        if not 0 < len(m.text) <= printed_message_bytes_max:
            raise RemoteProtocolError(f"{len(m.text)} bytes of printed text in a message")
        if operation.printed_bytes > printed_bytes_max:
            raise RemoteProtocolError(f"a launch printed more than {printed_bytes_max} bytes")
        command = operation.command
        assert command is not None and command.record is not None
        name = command.record.parts[operation.part].place.node_name
        self._ledger.for_client.append(session.Printed(command.event, name, m.text))

    def ended(
        self, node: int, number: int, status: int, start: int, end: int, text: Any, extra: Any
    ) -> None:
        """An operation ended, as a row of part.Done says. Raises RemoteProtocolError for one that
        isn't under way on that node."""
        operation = self._ledger.live.get(number)
        if operation is None or operation.node != node:
            raise RemoteProtocolError(f"operation {number} isn't under way on this node")
        del self._ledger.live[number]
        text = None if text is None else clipped(text)
        command = operation.command
        way = Way.RELAY
        if operation.receives or operation.transfer:
            way = self._way(operation)
        if status < 0:
            if extra == part.UNTOUCHED and operation.part is not None and not _in_regions(command):
                # A launch has all its regions whole on its device: they stay what they were.
                self._part_skipped(operation, status, str(text))
            else:
                self._operation_failed(operation, status, str(text))
        elif command is not None and command.skipped and not operation.main:
            self._check_skipped(operation, command)
        for buffer, device, low, high, version, _ in operation.gives:
            if status >= 0:
                if buffer.proved(device, low, high, version):
                    self.drop_stagings(buffer)
            else:
                self.drop_stagings(buffer)
                buffer.gave(version)
        if operation.receives and status >= 0:
            self._learn_link(operation, end - start)
        for transfer in operation.receives:
            self._receiver_done(transfer, operation, status, str(text))
        if operation.transfer:
            self._sender_done(operation.transfer, status, str(text))
        if command is None:
            return
        if operation.main and status >= 0:
            if start < command.start or not command.start:
                command.start = start
            if end > command.end:
                command.end = end
        if command.record is not None:
            note(command.record, operation, start, end, extra, way)
        self._graph.operation_done(command, number)

    def _way(self, operation: Operation) -> Way:
        """How the bytes go now that it moves."""
        transfer = self._ledger.transfers.get((*operation.receives, operation.transfer)[0])
        if transfer is None:
            return Way.RELAY  # its other end is gone
        other = transfer.sender_node if operation.receives else transfer.receiver_node
        return self._direct.way(operation.node, other)

    def _learn_link(self, operation: Operation, ns: int) -> None:
        """How long the bytes took that a Receive has got."""
        gives = operation.gives[0]
        if gives.makes:
            return  # a merge, which waits for parts
        source = self._ledger.transfers[operation.receives[0]].sender_node
        if not source and operation.staging is None:
            return  # its sender is gone
        size = gives.end - gives.start
        if self._links.learn(source, operation.node, size, ns):
            self._rates_changed()

    def _part_skipped(self, operation: Operation, status: int, text: str) -> None:
        assert operation.command is not None
        operation.command.fail(status, text)
        operation.command.skipped += 1

    def _check_skipped(self, operation: Operation, command: Command) -> None:
        """A merge in which some parts ran and others didn't: nobody shall take that for bytes."""
        if command.record is not None and command.skipped < len(command.record.parts):
            for gives in operation.gives:
                _take_back(gives, command.failure or "")

    def _operation_failed(self, operation: Operation, status: int, text: str) -> None:
        if operation.command is not None:
            operation.command.fail(status, text)
        for gives in operation.gives:
            _take_back(gives, text)

    def _receiver_done(
        self, number: int, operation: Operation, status: int, text: str
    ) -> None:
        """A receiver that failed leaves a sender waiting for credit: tell it."""
        transfer = self._ledger.transfers.pop(number)
        if status >= 0:
            return
        if operation.staging is not None:
            self._ledger.for_client.append(session.CancelPush(number))
        elif transfer.sender_node:
            self._ledger.for_nodes[transfer.sender_node].append(part.CancelTransfer(number, text))

    def _sender_done(self, number: int, status: int, text: str) -> None:
        """A sender that failed leaves a receiver waiting: tell it."""
        transfer = self._ledger.transfers.get(number)
        if transfer is None:
            return  # the receiver has failed
        if not transfer.receiver:
            del self._ledger.transfers[number]
        elif status < 0:
            self.sender_gone(number, text)

    def sender_gone(self, number: int, text: str) -> None:
        """The end that a transfer comes from won't send it any more: tell the other."""
        transfer = self._ledger.transfers[number]
        transfer.sender_node = 0
        self._ledger.for_nodes[transfer.receiver_node].append(part.CancelTransfer(number, text))

    def drop_stagings(self, buffer: Buffer) -> None:
        """Let the client forget what it keeps of a buffer and nobody needs any more."""
        # Of a buffer that was freed all of them were dropped with it.
        if buffer.has_unneeded and self._buffers.get(buffer.id) is buffer:
            self._ledger.drop_stagings(buffer.unneeded_stagings())


def _in_regions(command: Command | None) -> bool:
    """Whether it's a launch in parts with bytes of their own: others may have written theirs."""
    return command is not None and command.record is not None and command.record.mode == "regions"


def _take_back(gives: Gives, text: str) -> None:
    if gives.makes:
        gives.buffer.lose_version(gives.start, gives.end, gives.version, text)
        return
    gives.buffer.drop_holder(
        gives.device, gives.start, gives.end, lambda c: c.version == gives.version, text
    )
