"""A line on the terminal that says what a program waits for, once it has for long.

Owns: the line, and when there is one. Must not know: what is waited for, which is told as text.

A wait may be one of thousands a second: it costs an entry in a table. A thread looks into that now
and then, and draws; there is neither where standard error isn't a terminal.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TextIO

from vcl.settings import Environment

shown_after_s = 1.0

looked_s = 0.2
"""How often the waits are looked at, and the line is drawn anew."""


class Progress:
    """The waits of one process, from any thread. file: in place of standard error."""

    def __init__(self, file: TextIO | None = None) -> None:
        self._file = file
        self._waits: dict[int, tuple[float, Callable[[], str]]] = {}
        self._numbers = itertools.count(1)
        self._enabled: bool | None = None
        self._watcher: threading.Thread | None = None
        self._ending = threading.Event()
        self._drawn = threading.Lock()  # held while there is a line
        self._ended = threading.Event()

    def begin(self, text: Callable[[], str]) -> int:
        """A wait begins: what `end` needs. text: what to show, from another thread, and anew each
        time; holding nothing, and it must not wait."""
        if self._enabled is False:
            return 0
        if self._watcher is None or not self._watcher.is_alive():  # as in a forked child
            self._start()
            if not self._enabled:
                return 0
        number = next(self._numbers)
        self._waits[number] = time.monotonic(), text
        return number

    def end(self, number: int) -> None:
        """It is over: when this returns the terminal is the program's again."""
        if number and self._waits.pop(number, None) is not None and self._drawn.locked():
            self._ended.set()
            with self._drawn:
                pass

    @contextlib.contextmanager
    def waiting(self, text: Callable[[], str]) -> Iterator[None]:
        """From `begin` to `end`."""
        number = self.begin(text)
        try:
            yield
        finally:
            self.end(number)

    def make_way(self) -> None:
        """Something else is about to be printed: it shall begin where the line does."""
        out = self._out
        if self._drawn.locked() and out is not None:
            out.write("\r\x1b[2K")
            out.flush()

    @property
    def _out(self) -> TextIO | None:
        return self._file or sys.stderr

    def _start(self) -> None:
        if self._enabled is None:
            out = self._out
            terminal = out is not None and not out.closed and out.isatty()
            self._enabled = terminal and not Environment().quiet
            atexit.register(self._ending.set)
        if not self._enabled or self._ending.is_set():
            self._enabled = False
            return
        self._waits, self._drawn = {}, threading.Lock()
        self._watcher = threading.Thread(target=self._watch, name="vcl-progress", daemon=True)
        self._watcher.start()

    def _longest(self) -> tuple[float, Callable[[], str]] | None:
        """The wait that began first, if that is long ago."""
        first = min(list(self._waits.values()), key=lambda wait: wait[0], default=None)
        return first if first and time.monotonic() - first[0] >= shown_after_s else None

    def _watch(self) -> None:
        while not self._ending.wait(looked_s):
            if self._longest() is not None:
                with self._drawn:  # after which it's looked at again
                    self._draw()

    def _draw(self) -> None:
        """Until nobody has waited for long any more."""
        # A hundredth of a second, and only for who waits.
        from rich.console import Console
        from rich.live import Live
        from rich.spinner import Spinner

        class Shown(Console):
            """Leaves the cursor: who is killed can't bring it back."""

            def show_cursor(self, show: bool = True) -> bool:
                return False

        wait = self._longest()
        if wait is None:
            return
        spinner = Spinner("dots", _line(*wait))
        # Not redirected: what the program prints is no business of this line.
        with Live(
            spinner, console=Shown(file=self._out, highlight=False), transient=True,
            redirect_stdout=False, redirect_stderr=False, refresh_per_second=1 / looked_s,
        ):  # fmt: skip
            while (wait := self._longest()) is not None and not self._ending.is_set():
                spinner.update(text=_line(*wait))
                self._ended.wait(looked_s)
                self._ended.clear()


def _line(began: float, text: Callable[[], str]) -> str:
    return f"vcl: {text()} ({int(time.monotonic() - began)} s)"


PROGRESS = Progress()
"""This process's."""
