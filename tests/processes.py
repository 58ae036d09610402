"""Starting programs, watching them, and knowing when they are gone.

Owns: the environment that programs under test get, a program that prints lines, and waiting for a
process's end. Must not know: clusters.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import psutil

ROOT = Path(__file__).resolve().parents[1]
run_timeout_s = 60.0
end_timeout_s = 10.0
T = TypeVar("T")


def environment(**more: str) -> dict[str, str]:
    """This process's environment without a choice of cluster or device, so that `more` decides."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("VCL_", "PYOPENCL_", "OCL_ICD", "XDG_STATE"))
    }
    paths = [str(ROOT), *filter(None, [inherited.get("PYTHONPATH")])]
    ours = {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1", "VCL_QUIET": "1"}
    return inherited | ours | more


def run(
    arguments: Sequence[str], env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments to its end."""
    return subprocess.run(
        [sys.executable, *arguments],
        env=env or environment(),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=run_timeout_s,
        check=False,
    )


def run_program(source: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program given as text, indented as it may be."""
    return run(["-c", textwrap.dedent(source)], environment(**variables))


class Program:
    """A process whose output is read line by line.

    lines: what it printed so far and was read. process: to signal it.
    """

    def __init__(self, arguments: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            env=env or environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.pid = self.process.pid

    def line(self) -> str:
        """The next line of its standard output; fails when it ends, or says nothing for long."""
        assert self.process.stdout is not None
        timer = threading.Timer(run_timeout_s, self.process.kill)
        timer.start()
        try:
            line = self.process.stdout.readline()
        finally:
            timer.cancel()
        assert line, f"ended after {self.lines}: {self.end()[1]}"
        self.lines.append(line.rstrip("\n"))
        return self.lines[-1]

    def say(self, text: str = "") -> None:
        """A line on its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def end(self) -> tuple[int, str]:
        """Wait until it has ended: its exit status, and what it wrote to standard error."""
        try:
            output, errors = self.process.communicate(timeout=run_timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            _, errors = self.process.communicate()
            raise AssertionError(f"it doesn't end; so far: {self.lines} {errors}") from None
        self.lines += output.splitlines()
        return self.process.returncode, errors


@contextmanager
def started(arguments: Sequence[str], env: Mapping[str, str] | None = None) -> Iterator[Program]:
    """A `Program`, killed at the end if it still runs."""
    program = Program(arguments, env)
    try:
        yield program
    finally:
        if program.process.poll() is None:
            program.process.kill()
        program.process.communicate()


@contextmanager
def started_text(source: str, **variables: str) -> Iterator[Program]:
    """As `started`, for a program given as text."""
    with started(["-c", textwrap.dedent(source)], environment(**variables)) as program:
        yield program


def descendants(pid: int) -> list[psutil.Process]:
    """All processes below this one now."""
    return psutil.Process(pid).children(recursive=True)


def await_gone(processes: Sequence[psutil.Process], timeout_s: float = end_timeout_s) -> None:
    """Wait until all are gone; fails, naming and ending those that stay.

    Waits on pidfds; a zombie that nobody reaps counts as gone.
    """
    deadline = time.monotonic() + timeout_s
    stayed = []
    for process in processes:
        try:
            descriptor = os.pidfd_open(process.pid)
        except ProcessLookupError:
            continue
        try:
            left = max(0.0, deadline - time.monotonic())
            # A number that was given to another process since then isn't the one meant.
            if not select.select([descriptor], [], [], left)[0] and process.is_running():
                stayed.append((process.pid, process.cmdline()))
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        finally:
            os.close(descriptor)
    assert not stayed, f"still there after {timeout_s:g} s: {stayed}"


def within(call: Callable[[], T], timeout_s: float = end_timeout_s) -> T:
    """call(), on a thread that is left behind if it doesn't come back in time."""
    done: Future[T] = Future()

    def carry_out() -> None:
        try:
            done.set_result(call())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=carry_out, daemon=True).start()
    try:
        return done.result(timeout_s)
    except TimeoutError:
        raise AssertionError(f"it hangs: not back within {timeout_s:g} s") from None


def loaded_by(module: str) -> set[str]:
    """The packages that are loaded once a module is."""
    done = run_program(f"import sys, {module}; print(*sys.modules)")
    return {name.partition(".")[0] for name in done.stdout.split()}
