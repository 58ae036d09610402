"""The line on a terminal while a program waits."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import textwrap
import threading

import pytest

from tests.processes import environment
from vcl import progress
from vcl.progress import Progress


class Terminal(io.StringIO):
    """Standard error, on a terminal or not; `drew` is set by text of a line."""

    def __init__(self, is_terminal: bool = True) -> None:
        super().__init__()
        self._is_terminal = is_terminal
        self.drew = threading.Event()

    def isatty(self) -> bool:
        return self._is_terminal

    def write(self, text: str) -> int:
        if "waiting" in text:
            self.drew.set()
        return super().write(text)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.delenv("VCL_QUIET", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(progress, "shown_after_s", 0.05)
    monkeypatch.setattr(progress, "looked_s", 0.01)
    return Terminal()


def test_a_long_wait_is_shown_and_then_nothing_is_left(terminal: Terminal) -> None:
    shown = Progress(terminal)
    number = shown.begin(lambda: "waiting for 3 commands")
    assert terminal.drew.wait(10)
    shown.end(number)
    text = terminal.getvalue()
    assert "vcl: waiting for 3 commands (0 s)" in text
    assert text.endswith("\r\x1b[1A\x1b[2K"), "the line is erased when `end` returns"
    assert "\x1b[?25l" not in text, "the cursor isn't hidden"


def test_short_waits_are_not_shown(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "shown_after_s", 60.0)
    shown, looks = Progress(terminal), threading.Semaphore(0)
    longest = shown._longest
    monkeypatch.setattr(shown, "_longest", lambda: (looks.release(), longest())[1])
    number = shown.begin(lambda: "waiting")
    assert all(looks.acquire(timeout=10) for _ in range(3))
    shown.end(number)
    assert terminal.getvalue() == "" and not shown._waits


def test_the_longest_of_several_is_shown_until_the_last_ends(terminal: Terminal) -> None:
    shown = Progress(terminal)
    first = shown.begin(lambda: "waiting first")
    second = shown.begin(lambda: "waiting second")
    assert terminal.drew.wait(10)
    assert "first" in terminal.getvalue() and "second" not in terminal.getvalue()
    terminal.drew.clear()
    ending = threading.Thread(target=shown.end, args=[first])
    ending.start()  # it waits for the line to go, which the second wait keeps
    while "second" not in terminal.getvalue():
        assert terminal.drew.wait(10)
        terminal.drew.clear()
    shown.end(second)
    ending.join()
    assert not shown._drawn.locked()


@pytest.mark.parametrize("why", ["no terminal", "VCL_QUIET", "closed", "none"])
def test_nothing_is_shown_where_nobody_would_look(
    monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    monkeypatch.delenv("VCL_QUIET", raising=False)
    made = Terminal(why != "no terminal")
    if why == "VCL_QUIET":
        monkeypatch.setenv("VCL_QUIET", "1")
    if why == "closed":
        made.close()
    if why == "none":
        monkeypatch.setattr(sys, "stderr", None)
    shown = Progress(None if why == "none" else made)
    assert shown.begin(lambda: "waiting") == 0
    shown.end(0)
    assert shown._watcher is None


def test_what_is_printed_meanwhile_begins_a_line(terminal: Terminal) -> None:
    shown = Progress(terminal)
    shown.make_way()
    assert terminal.getvalue() == ""
    number = shown.begin(lambda: "waiting")
    assert terminal.drew.wait(10)
    shown.make_way()
    shown.end(number)
    assert "\r\x1b[2K" in terminal.getvalue()


def test_a_program_on_a_terminal(variables: dict[str, str]) -> None:
    source = """
        import numpy as np
        import vcl as cl
        from vcl import progress

        progress.shown_after_s, progress.looked_s = 0.05, 0.01
        context = cl.create_some_context(interactive=False)
        queue = cl.CommandQueue(context)
        slow = cl.Program(context, '''
            kernel void slow(volatile global int *x) {
                for (int i = 0; i < 1000000000; i++) x[0] = i;
            }
        ''').build().slow
        slow(queue, (1,), None, cl.Buffer(context, cl.mem_flags.READ_WRITE, 4))
        queue.finish()
        print("finished")
        """
    upper, lower = os.openpty()
    env = environment(**variables, TERM="xterm") | {"VCL_QUIET": "0"}
    command = [sys.executable, "-c", textwrap.dedent(source)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=lower, env=env, text=True
    ) as process:
        os.close(lower)
        shown = b""
        try:
            while piece := os.read(upper, 1 << 16):
                shown += piece
        except OSError:  # how a terminal tells that nobody writes any more
            pass
        finally:
            os.close(upper)
        assert process.communicate()[0] == "finished\n"
    assert b"vcl: waiting for 1 command (" in shown
    assert shown.endswith(b"\x1b[2K")
