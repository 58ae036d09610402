"""The order of commands: which may be planned, and in which order their ends are reported.

Owns: `Command` and `CommandGraph`. Must not know: buffers, devices, messages.

Theory of operation. A command depends on the events of its wait list and, in an in-order queue,
on its predecessor. It may be *planned* as soon as all of those are planned (a user event counts
as planned once it is set), and is *complete* once its own operations are done and all that it
depends on is complete. So a chain of a thousand commands is planned at once, and its ends are
told in order (OpenCL 3.0 API, 5.11 and 5.15).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from typing import Any

from vcl.errors import EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST
from vcl.text import clipped
from vcl.wire.shapes import Told

WAITING, PLANNED, COMPLETE = range(3)


class Command:
    """One enqueued command, or a user event.

    message: what the client sent, None for a user event. waits: the commands of its wait list,
    whose failure fails it. unplanned, incomplete: how many that it depends on are not that far.
    operations: of its own that are not done. status: 0 or the first failure. by_program: it isn't
    carried out because the program failed a user event. skipped: parts that a driver refused,
    having changed nothing. released: the client holds its event no longer. record: the planner's,
    for the launch report. bytes_brought: for it, so far. buffers: those that it names, as often as
    it does, until it is planned; program: of a launch; key: equal for repetitions of a launch;
    told: by which it may be repeated, if it may.
    """

    __slots__ = (
        "buffers", "by_program", "bytes_brought", "dependents", "end", "event", "failure",
        "incomplete", "key", "message", "operations", "program", "queue", "record", "released",
        "skipped", "start", "state", "status", "told", "unplanned", "waits",
    )  # fmt: skip

    # By hand, as one is made for every launch: a dataclass takes half as long again.
    def __init__(
        self,
        event: int,
        message: Any,
        waits: Sequence[Command] = (),
        queue: Any = None,
        buffers: tuple[Any, ...] = (),
    ) -> None:
        self.event = event
        self.message = message
        self.waits = waits
        self.queue = queue
        self.buffers = buffers
        self.state = WAITING
        self.unplanned = self.incomplete = 0
        self.dependents: list[Command] = []
        self.operations: set[int] = set()
        self.status = self.start = self.end = 0
        self.failure: str | None = None
        self.by_program = self.released = False
        self.skipped = self.bytes_brought = 0
        self.record: Any = None
        self.program: Any = None
        self.key: tuple[Any, ...] | None = None
        self.told: Told | None = None

    def fail(self, status: int, failure: str) -> None:
        """Note a failure; a first cause is kept, a mere consequence gives way to a cause."""
        if self.status == 0 or self.status == EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST:
            self.status, self.failure = status, clipped(failure)

    def fail_by(self, wait: Command) -> None:
        """Note that a command of its wait list failed."""
        text = wait.failure or str(wait.status)
        if wait.status != EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST:
            text = f"an event in its wait list failed: {text}"
        self.fail(EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST, text)


class CommandGraph:
    """All commands of a session that aren't complete."""

    def __init__(self) -> None:
        self.ready: deque[Command] = deque()
        """Commands to be planned now, in a valid order."""
        self.completed: list[Command] = []
        """Commands that became complete since the owner last took them, in order."""
        self.unsettled: deque[Command] = deque()
        """Commands that have nothing left to wait for: `settle` completes them."""

    def add(self, command: Command, depends_on: Collection[Command]) -> None:
        """Enter a command; it becomes ready at once if all that it depends on is planned.

        depends_on: each once, besides its wait list.
        """
        others = {*depends_on, *command.waits} if command.waits else depends_on
        for other in others:
            if other.state != COMPLETE:
                other.dependents.append(command)
                command.incomplete += 1
                if other.state == WAITING:
                    command.unplanned += 1
        if command.message is not None and command.unplanned == 0:
            self.ready.append(command)

    def add_planned(self, command: Command, before: Command | None) -> None:
        """As `add` and `planned`, of a command that has operations and waits for nobody but
        perhaps another that is planned."""
        command.state = PLANNED
        if before is not None and before.state != COMPLETE:
            before.dependents.append(command)
            command.incomplete = 1

    def planned(self, command: Command) -> None:
        """The owner has planned a command: its `operations` are known."""
        assert command.state == WAITING, command
        command.state = PLANNED
        for dependent in command.dependents:
            dependent.unplanned -= 1
            if dependent.unplanned == 0:
                self.ready.append(dependent)
        self._look_at(command)

    def operation_done(self, command: Command, operation: int) -> None:
        """An operation of a planned command ended."""
        operations = command.operations
        operations.discard(operation)
        if not operations:
            self._look_at(command)

    def _look_at(self, command: Command) -> None:
        """Something that a command waited for is over."""
        if command.state == PLANNED and not command.operations and not command.incomplete:
            self.unsettled.append(command)

    def settle(self) -> None:
        """Complete the first unsettled command; what waited for it may then be unsettled."""
        current = self.unsettled.popleft()
        assert current.state == PLANNED, current
        for wait in current.waits:
            if wait.status < 0:
                current.fail_by(wait)
        current.state = COMPLETE
        current.waits = ()  # so that a long chain of events doesn't stay in memory
        self.completed.append(current)
        for dependent in current.dependents:
            dependent.incomplete -= 1
            self._look_at(dependent)
        current.dependents.clear()
