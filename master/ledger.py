"""The operations of one session that aren't done, and the messages that go out with them.

Owns: ids of operations and transfers, who waits for what across executors, and the outboxes per
node, for the client and for the guard. Must not know: why an operation exists.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, NamedTuple

from master.commands import Command
from master.plan.residency import SETTLED, Buffer
from vcl.errors import RemoteProtocolError
from vcl.ndrange import NDRange
from vcl.wire.messages import session

stagings_max = 1024
"""Staging copies that one message drops."""

SECOND_LIVES = 2**31
"""Endpoints from here on belong to executors that had a predecessor on their node."""


class Gives(NamedTuple):
    """What a finished operation proves: a device holds that version of a range.

    makes: the version is this operation's work, not a copy.
    """

    buffer: Buffer
    device: int
    start: int
    end: int
    version: int
    makes: bool = False


class Question(NamedTuple):
    """What a launch touches; fields as in `effects.Analyse`."""

    number: int
    units: list[list[Any]]
    device: dict[str, str]
    kernel: str
    arguments: list[bytes | str]
    ndrange: list[list[int]]


class RewriteQuestion(NamedTuple):
    """How a part can see its launch; fields as in `effects.Rewrite`."""

    number: int
    units: list[list[Any]]
    device: dict[str, str]


@dataclass(slots=True)
class Operation:
    """An operation that was sent to an executor.

    main: its times are the command's. part: index of the part of a launch that it runs, or None.
    piece: that part's NDRange, if it tells how long the kernel takes. transfer: that it sends, or
    0. receives: transfers that it takes in. staging: the client's copy that a Receive takes in, or
    None. printed_bytes: text that it has sent so far.
    """

    id: int
    node: int
    command: Command | None
    main: bool = False
    part: int | None = None
    piece: NDRange | None = None
    gives: tuple[Gives, ...] = ()
    transfer: int = 0
    receives: tuple[int, ...] = ()
    staging: int | None = None
    printed_bytes: int = 0


@dataclass(slots=True)
class Transfer:
    """receiver: the operation and node that take it in; 0 and 0 when that is the client.

    sender_node: 0 when that is the client, or when there is nobody left to be told anything.
    """

    receiver: int
    receiver_node: int
    sender_node: int = 0


class Ledger:
    """Bookkeeping that planning and completion share."""

    def __init__(self) -> None:
        self.live: dict[int, Operation] = {}
        """Operations not done, by id."""
        self.transfers: dict[int, Transfer] = {}
        """To executors, until the receiver is done; to the client, until the sender is."""
        self.for_nodes: defaultdict[int, list[Any]] = defaultdict(list)
        """Messages to executors since the owner last took them, by node."""
        self.for_client: list[Any] = []
        """Messages to the client since the owner last took them."""
        self.for_guard: list[tuple[int, list[list[Any]]]] = []
        """(request, units) of builds since the owner last took them."""
        self.for_analysis: list[Question | RewriteQuestion] = []
        """Launches to be analysed, programs to be rewritten, since the owner last took them."""
        self.for_reading: list[tuple[list[list[Any]], dict[str, str]]] = []
        """(units, device) of programs that launches are expected of, since the owner last took
        them."""
        self.staged_bytes = 0
        """Bytes of the client's copies that it hasn't been told to drop."""
        self._staged: dict[int, int] = {}
        self._endpoints: dict[int, int] = {}
        self._nodes: dict[int, int] = {}  # by endpoint, where that isn't the node's own number
        self._last_endpoint = SECOND_LIVES
        self._last_operation = 0
        self._last_transfer = 0
        self._last_version = SETTLED

    def endpoint(self, node: int) -> int:
        """The number by which bulk finds the executor on a node: at first the node's own."""
        return self._endpoints.get(node, node)

    def node(self, endpoint: int) -> int:
        """The node whose executor has that number; one that nobody has if it's of none."""
        return self._nodes.get(endpoint, endpoint)

    def renew_endpoint(self, node: int) -> None:
        """The executor on a node is gone: what is still sent to it mustn't reach a successor."""
        self._nodes.pop(self.endpoint(node), None)
        self._last_endpoint += 1
        self._endpoints[node] = self._last_endpoint
        self._nodes[self._last_endpoint] = node

    def say(self, node: int, message: Any) -> None:
        """To the executor on a node; to the client if that is 0."""
        (self.for_nodes[node] if node else self.for_client).append(message)

    def new_version(self) -> int:
        """A version that no byte had before."""
        self._last_version += 1
        return self._last_version

    def new_transfer(self, receiver: int = 0, receiver_node: int = 0) -> int:
        """A transfer id."""
        self._last_transfer += 1
        self.transfers[self._last_transfer] = Transfer(receiver, receiver_node)
        if receiver in self.live:
            self.live[receiver].receives += (self._last_transfer,)
        return self._last_transfer

    def new_staging(self, staging: int) -> None:
        """A Write names a copy of the client's; raises RemoteProtocolError if another has."""
        if staging <= 0 or staging in self._staged:
            raise RemoteProtocolError(f"{staging} can't be the number of a new staging copy")
        self._staged[staging] = 0

    def note_staging(self, staging: int, size: int) -> None:
        """The client keeps so many bytes until it is told to drop them."""
        self._staged[staging] = size
        self.staged_bytes += size

    def refuse_staging(self, staging: int) -> None:
        """The Write that names this copy wasn't planned: if nothing refers to it, nothing will."""
        if self._staged.get(staging) == 0:
            self.drop_stagings([staging])

    def drop_stagings(self, stagings: list[int]) -> None:
        """Tell the client that these copies are needed no longer."""
        for first in range(0, len(stagings), stagings_max):
            self.for_client.append(session.DropStaging(stagings[first : first + stagings_max]))
        for staging in stagings:
            self.staged_bytes -= self._staged.pop(staging, 0)

    def begin(
        self,
        node: int,
        command: Command | None,
        main: bool = False,
        part: int | None = None,
        piece: NDRange | None = None,
    ) -> Operation:
        """A new operation on a node; the caller sends the message that describes it."""
        self._last_operation = number = self._last_operation + 1
        operation = self.live[number] = Operation(number, node, command, main, part, piece)
        if command is not None:
            command.operations.add(number)
        return operation
