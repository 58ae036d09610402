"""The program's signal handlers, put off while its thread does what mustn't be cut in half.

Owns: that. Must not know: what is done meanwhile.

Python calls handlers on the main thread, between any two of its instructions, and what they raise
(KeyboardInterrupt, mostly) goes up from there. While they are put off a note is made of each signal
instead, and the handler is called afterwards. A mask of the system's wouldn't do: another thread,
perhaps of a library, would take the signal, and the main thread call the handler all the same.

To set a handler again undoes what `signal.siginterrupt` said of that signal, and what a library
wrote in C has set for it besides Python's.
"""

from __future__ import annotations

import importlib
import os
import signal
import threading
from collections import deque
from collections.abc import Callable
from types import FrameType
from typing import Any

# The functions that those of `signal` wrap: to make enumerations of all handlers, as these do, took
# 60 us, and this is done whenever a program waits.
_unwrapped = importlib.import_module("_signal")
_get: Callable[[int], Any] = _unwrapped.getsignal
_set: Callable[[int, Any], Any] = _unwrapped.signal

_NUMBERS = sorted(int(number) for number in signal.valid_signals())


def _is_main() -> bool:
    return threading.get_ident() == threading.main_thread().ident


class Signalled(Exception):
    """A signal has come whose handler is put off, in something that signals may end."""


class PutOff:
    """`with` it, handlers are put off until its end, which may raise what they do.

    On other threads than the main one it does nothing: no handler is called there. It may be
    entered again within.
    """

    def __init__(self) -> None:
        self._depth = 0
        self._last: list[Any] = []
        self._numbers: list[int] = []
        self._handlers: list[Any] = []
        self._noted: deque[tuple[int, FrameType | None]] = deque()
        self._may_end = False

    def __enter__(self) -> PutOff:
        if not _is_main():
            return self
        # First: the handler of one that isn't put off yet may enter it, too.
        self._depth += 1
        if self._depth == 1:
            try:
                self._look()
                for number in self._numbers:
                    _set(number, self._note)
            except BaseException:  # of such a handler
                self.__exit__()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        if not _is_main():
            return
        if self._depth > 1:
            self._depth -= 1
            return
        handlers = dict(zip(self._numbers, self._handlers, strict=True))
        try:
            self._restore()
        finally:
            self._depth = 0
            self._call(handlers)

    @property
    def noted(self) -> bool:
        """Whether a handler waits to be called at the end of this, on this thread."""
        return bool(self._noted) and self._depth == 1 and _is_main()

    def ended_by_one(self, wait: Callable[[], Any]) -> Any:
        """Do something that only waits, which a signal ends: raises Signalled then.

        A signal that comes just before or after the waiting may end it, too: `wait` mustn't take
        anything away.
        """
        if self._depth != 1 or not _is_main():
            return wait()
        self._may_end = True
        try:
            if self._noted:
                raise Signalled
            return wait()
        finally:
            self._may_end = False

    def forked(self) -> None:
        """In a child, forked by whichever thread, which is the main one there."""
        if self._depth:
            self._restore()
            self._depth = 0
            self._may_end = False
            self._noted.clear()

    def _look(self) -> None:
        """Learn which signals have a handler of Python's."""
        found = list(map(_get, _NUMBERS))
        if found != self._last:
            self._last = found
            called = [(n, h) for n, h in zip(_NUMBERS, found, strict=True) if callable(h)]
            self._numbers = [number for number, _ in called]
            self._handlers = [handler for _, handler in called]

    def _note(self, number: int, frame: FrameType | None) -> None:
        """In place of a handler."""
        self._noted.append((number, frame))
        if self._may_end:
            self._may_end = False  # one is enough
            raise Signalled

    def _restore(self) -> None:
        """Handlers are themselves again; all of them, whatever one of them raises meanwhile."""
        raised: BaseException | None = None
        while True:
            try:
                # In one go: nothing of Python's comes between.
                deque(map(_set, self._numbers, self._handlers), maxlen=0)
            except BaseException as error:
                raised = raised or error
            else:
                break
        if raised is not None:
            raise raised

    def _call(self, handlers: dict[int, Any]) -> None:
        """Do what was put off; all of it, whatever one of them raises."""
        while self._noted:
            number, frame = self._noted.popleft()
            try:
                handlers[number](number, frame)
            finally:
                self._call(handlers)


PUT_OFF = PutOff()
"""This process's."""

if hasattr(os, "register_at_fork"):  # not everywhere are there forks
    os.register_at_fork(after_in_child=PUT_OFF.forked)
