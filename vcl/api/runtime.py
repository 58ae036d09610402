"""What the rules of OpenCL need of the process's connection to the cluster.

Owns: the protocols that `vcl.runtime.Runtime` fulfils; tests have one without processes. Must not
know: how messages travel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from vcl.client_core import Destination, Enqueued, EventState
from vcl.wire.frame import Bytes
from vcl.wire.messages.handshake import RemoteDevice


class Failures(Protocol):
    """Failures of commands that the program wasn't told yet, and user events."""

    def take_failure(self, queue: int) -> tuple[int, int, str] | None:
        """The first of a queue, as (event, status, text), which is told thereby; None if all are.
        Under the lock."""

    def told_failure(self, event: int, queue: int) -> None:
        """The program was told that a command failed. Under the lock."""

    def begin_user(self) -> int:
        """A new user event. Under the lock."""


class Runtime(Protocol):
    """Numbers, messages and states of one session. Its methods raise OperatingError once the
    session is dead, and where an object or command isn't taken."""

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """Held while more than one thing about the session must not change between; reentrant."""

    @property
    def core(self) -> Failures:
        """What became of commands."""

    @property
    def devices(self) -> Sequence[RemoteDevice]:
        """The cluster's devices when the session began."""

    def check(self) -> None:
        """Raise OperatingError if the session is dead."""

    def new_id(self) -> int:
        """A number for an object or request."""

    def say(self, message: Any) -> None:
        """Send a message that isn't a command, with the next batch."""

    def ask(self, message: Any) -> Any:
        """Send a request, and wait for its answer."""

    def enqueue(self, queue: int, make: Callable[[int], Any]) -> int:
        """Enqueue the command that `make` makes for its event; answers the event."""

    def launch(self, queue: int, launch: Enqueued, waits: list[int]) -> int:
        """Enqueue a launch, which may have been enqueued before; answers the event."""

    def keep(self, data: memoryview) -> Bytes:
        """A copy of bytes that the program may change, for `write`."""

    def write(self, queue: int, data: Bytes, make: Callable[[int, int, bytes], Any]) -> int:
        """As `enqueue`, for what carries bytes; `make` is given event, staging copy and digest."""

    def read(self, queue: int, destination: Destination, make: Callable[[int], Any]) -> int:
        """As `enqueue`, for a command whose bytes arrive in `destination` before it ends."""

    def release(self, number: int) -> None:
        """Nothing of the program refers to an object or event any more. May be called on any
        thread at any time, also by destructors."""

    def has_ended(self, event: int) -> bool:
        """Whether it is known here that a command has ended."""

    def wait(self, event: int) -> EventState:
        """Wait until a command has ended; answers how."""

    def wait_for_queue(self, queue: int) -> None:
        """Wait until all commands of an in-order queue have ended."""

    def wait_for_last_words(self, event: int) -> None:
        """Wait until a command has ended or the session is dead, as a destructor may: without
        raising."""

    def wait_for_room(self) -> None:
        """Wait until the session takes one more command. Under the lock."""

    def user_event_set(self, event: int) -> None:
        """The program has set a user event."""

    def state(self, event: int) -> EventState:
        """What is known of a command now."""

    def flush(self) -> None:
        """Send what was said and enqueued."""

    def when_submitted(self, event: int, callback: Callable[[int], None]) -> None:
        """Call back on another thread, with 0 or a negative status, once it was sent."""

    def when_ended(self, event: int, callback: Callable[[int], None]) -> None:
        """Call back on another thread, with 0 or a negative status, once it has ended."""


class Connection(Runtime, Protocol):
    """The session itself, for who begins and ends it."""

    @property
    def url(self) -> str:
        """Of the master."""

    @property
    def dead(self) -> str | None:
        """Why the session is over, if it is."""

    def close(self) -> None:
        """End the session. Idempotent; does nothing in a forked child."""

    def lead_to_end(self) -> bool:
        """Python is ending: go on without threads of the session's own. False if it can't."""
