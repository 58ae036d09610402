"""Which operations of an executor may start.

Owns: the graph of operations that aren't done. Must not know: what an operation does, or drivers.

Theory of operation. An operation waits for others of this executor. The driver keeps some kinds
in order by itself once they are handed to it (`leads`), and lets some kinds be handed over behind
those (`follows`): a following operation may be handed over as soon as all that it waits for is
done or is a leading one that was handed over; one that ends before what it waits for has ended is
held. Every other operation starts when all that it waits for is done. Whatever waits, directly or
not, for an operation that failed fails too, without being started if it wasn't. An operation that
was skipped, having changed nothing, fails alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

failures_kept_max = 65536


class Node:
    """One operation. undone: how many waits aren't done; unissued: neither done nor issued.

    doomed: why it has failed already, though it may still be running. listed: among the failed.
    regardless: it is started even if what it waits for failed. skipped: it won't run, though
    nothing that it waits for failed. issued: it leads, and is in the driver's queue or comes there
    before what is added later, so that others may follow it. held: it was started, and is told of
    when all that it waits for has ended. kept, outcome: the owner's, which keeps here what it
    knows of the operation, and how it ended where that is told later.
    """

    __slots__ = (
        "dependents",
        "doomed",
        "follows",
        "held",
        "id",
        "issued",
        "kept",
        "leads",
        "listed",
        "message",
        "outcome",
        "regardless",
        "skipped",
        "started",
        "undone",
        "unissued",
    )

    # By hand, as one is made for each launch: a dataclass's takes three times as long.
    def __init__(
        self, operation: int, message: Any, follows: bool, leads: bool, regardless: bool
    ) -> None:
        self.id = operation
        self.message = message
        self.follows = follows
        self.leads = leads
        self.regardless = regardless
        self.undone = self.unissued = 0
        self.started = self.listed = self.issued = self.skipped = self.held = False
        self.doomed: str | None = None
        self.kept: Any = None
        self.outcome: Any = None
        self.dependents: list[Node] = []


class Readiness:
    """Add operations, tell which ended; `take` answers what may start."""

    def __init__(self) -> None:
        self._nodes: dict[int, Node] = {}
        self._ready: deque[Node] = deque()
        self._failed: list[tuple[int, str]] = []
        self._settled: list[Node] = []
        self._failures: dict[int, str] = {}  # told, but the owner's peer may not know it yet

    def __len__(self) -> int:
        """Operations not done."""
        return len(self._nodes)

    def add(
        self,
        operation: int,
        message: Any,
        waits: Iterable[int],
        follows: bool,
        leads: bool,
        regardless: bool = False,
    ) -> Node:
        """A new operation; a wait that is unknown is done already, or has failed."""
        node = Node(operation, message, follows, leads, regardless)
        nodes = self._nodes
        for wait in waits:
            other = nodes.get(wait)
            if other is None:
                if wait in self._failures:
                    self._doom(node, self._failures[wait])
                continue
            if other.doomed is not None:
                self._doom(node, other.doomed)
            other.dependents.append(node)
            node.undone += 1
            if not other.issued:
                node.unissued += 1
        nodes[operation] = node
        if node.doomed is None and (node.unissued if follows else node.undone) == 0:
            node.started = True
            node.issued = leads
            self._ready.append(node)
        else:
            self._consider(node)
        return node

    def _consider(self, node: Node) -> None:
        if node.started:
            if node.held and node.undone == 0:
                node.held = False
                self._settled.append(node)
            return
        if node.doomed is not None or node.skipped:
            self._list_failed(node)
            return
        if (node.unissued if node.follows else node.undone) == 0:
            node.started = True
            self._ready.append(node)

    def take(self) -> list[Node]:
        """Operations to be started now, in this order."""
        taken = []
        ready = self._ready
        while ready:
            node = ready.popleft()
            if not node.started:
                continue  # it failed before it was taken
            taken.append(node)
            if node.leads and not node.issued:
                self.issue(node.id)
        return taken

    def issue(self, operation: int) -> bool:
        """A started operation is in the driver's hands now: others may follow it. Answers whether
        one does at once."""
        node = self._nodes[operation]
        node.issued = True
        ready = len(self._ready)
        for dependent in node.dependents:
            dependent.unissued -= 1
            self._consider(dependent)
        return len(self._ready) > ready

    def take_failed(self) -> list[tuple[int, str]]:
        """Operations that failed without being started, with the reason; the owner ends them."""
        failed, self._failed = self._failed, []
        return failed

    def end(self, operation: int, failure: str | None) -> str | None:
        """An operation ended; answers why it must count as failed, or None."""
        node = self._nodes.pop(operation)
        failure = node.doomed or failure
        if failure is not None:
            self._failures[operation] = failure
            if len(self._failures) > failures_kept_max:
                del self._failures[next(iter(self._failures))]
        issued = node.issued
        for dependent in node.dependents:
            dependent.undone -= 1
            if not issued:
                dependent.unissued -= 1
            if failure is not None:
                self._doom(dependent, failure)
            if not dependent.started or dependent.held:
                self._consider(dependent)
        return failure

    def _list_failed(self, node: Node) -> None:
        if node.undone == 0 and not node.listed:
            assert node.doomed is not None or node.skipped
            node.listed = True
            self._failed.append((node.id, node.doomed or ""))

    def hold(self, node: Node) -> None:
        """Tell by `take_settled` when all that a started operation waits for has ended."""
        assert node.started and node.undone > 0
        node.held = True

    def take_settled(self) -> list[Node]:
        """Operations that were held, and for which all that they waited for has ended."""
        settled, self._settled = self._settled, []
        return settled

    def _doom(self, node: Node, reason: str) -> None:
        if node.doomed is None and not node.regardless:
            node.doomed = reason

    def doom(self, operation: int, reason: str) -> None:
        """An operation can't succeed any more: if it is with the driver, it will end there."""
        self._doom(self._nodes[operation], reason)

    def fail(self, operation: int, reason: str) -> None:
        """An operation can't succeed any more and isn't with the driver: end it when it may."""
        node = self._nodes[operation]
        self._doom(node, reason)
        node.started = False
        self._list_failed(node)

    def skip(self, operation: int) -> None:
        """An operation won't run, and leaves all as it was: end it when it may, and it alone."""
        node = self._nodes[operation]
        node.skipped = True
        node.started = False
        self._list_failed(node)

    def get(self, operation: int) -> Node | None:
        """An operation, if it isn't done."""
        return self._nodes.get(operation)

    def __contains__(self, operation: int) -> bool:
        """Whether the operation isn't done."""
        return operation in self._nodes
