"""What kernels print: taken from file descriptor 1, and given to the launch that wrote it.

Owns: the pipe in the descriptor's place, which programs may print, and keeping the text of one
launch apart from the next one's. Must not know: how a launch is carried out, connections.

Drivers write the text of `printf` to the process's standard output, by write(2) (PoCL) or through
C's stdio, at the latest when the kernel ends. The pipe is emptied when the event of a launch that
may print has ended, before its end is reported. A device's next such launch waits in the driver's
queue until then; other commands don't. Launches that print at the same time on two devices of one
executor can't be told apart: their text comes with the one that ends first.

Before a program with printf is built nothing is caught: what other programs' launches cost
is one look into an empty set.
"""

from __future__ import annotations

import ctypes
import os
import select
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from node_agent.inputs import Printed
from vcl.wire.limits import printed_bytes_max
from vcl.wire.messages import part

CUT = b"\n... printf output cut\n"
read_bytes_max = 2**16
_RUNNING = 1  # of OpenCL's command_execution_status


class Capture:
    """File descriptor 1 of this process, from now on a pipe that is read here.

    A thread empties it, so that no writer waits; it keeps printed_bytes_max and drops the rest.
    """

    def __init__(self) -> None:
        # This process's own words stay where they went.
        sys.stdout.flush()
        sys.stdout = os.fdopen(os.dup(1), "w")
        self._flush: Callable[[None], int] = ctypes.CDLL(None).fflush
        self._flush(None)
        self._reader, writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.dup2(writer, 1)
        os.close(writer)
        self._lock = threading.Lock()
        self._text = bytearray()
        self._cut = False
        threading.Thread(target=self._empty, name="printed", daemon=True).start()

    def take(self) -> bytes:
        """What was written since the last call, at most printed_bytes_max."""
        self._flush(None)
        with self._lock:
            self._read()
            text, self._text = bytes(self._text), bytearray()
            cut, self._cut = self._cut, False
        return text + CUT if cut else text

    def _empty(self) -> None:
        poll = select.poll()
        poll.register(self._reader, select.POLLIN)
        while True:
            poll.poll()
            with self._lock:
                self._read()

    def _read(self) -> None:
        """Keep what there is and fits; with the lock held."""
        while True:
            try:
                data = os.read(self._reader, read_bytes_max)
            except BlockingIOError:
                return
            room = printed_bytes_max - len(CUT) - len(self._text)
            self._text += data[:room]
            self._cut = self._cut or len(data) > room


class Printer:
    """Which programs may print, and the reading of what their launches wrote.

    cl: pyopencl. post: takes lists of inputs for the core, from any thread.
    """

    def __init__(self, cl: Any, post: Callable[[list[Any]], None]) -> None:
        self._cl = cl
        self._post = post
        self._capture: Capture | None = None
        self._lock = threading.Lock()  # programs are built on two threads
        self._programs: set[int] = set()
        self._gates: dict[int, Any] = {}  # by device: set once its last text was read

    def built(self, program: int, units: Iterable[list[Any]]) -> None:
        """A program was built; from now on `prints` knows it."""
        if any(map(may_print, units)):
            with self._lock:
                if self._capture is None:
                    self._capture = Capture()
                self._programs.add(program)

    def forget(self, program: int) -> None:
        """There will be no launch of this program any more."""
        self._programs.discard(program)

    def prints(self, program: int) -> bool:
        """Whether launches of this program may print."""
        return program in self._programs

    def wait_for_reading(self, device: int, queue: Any) -> None:
        """What is enqueued from now on waits until the device's earlier text has been read."""
        gate = self._gates.pop(device, None)
        if gate is not None:
            self._cl.enqueue_barrier(queue, wait_for=[gate])

    def watch(self, message: part.Run, event: Any, context: Any) -> Any:
        """What is to be waited for in place of a launch's event, so that its text is read."""
        gate = self._gates[message.device] = self._cl.UserEvent(context)
        return _Watched(event, lambda: self._take(message.operation, gate))

    def _take(self, operation: int, gate: Any) -> None:
        assert self._capture is not None
        text = self._capture.take()
        if text:
            self._post([Printed(operation, text)])
        gate.set_status(self._cl.command_execution_status.COMPLETE)


class _Watched:
    """An event whose `wait` also takes what was printed, whether the launch fails or not."""

    def __init__(self, event: Any, ended: Callable[[], None]) -> None:
        self._event = event
        self._ended = ended

    def wait(self) -> None:
        """Wait for the event."""
        try:
            self._event.wait()
        finally:
            self._ended()

    def get_info(self, param: int) -> Any:
        """Of its status: that it isn't complete, so that it's waited for."""
        return self._event.get_info(param) or _RUNNING

    def __getattr__(self, name: str) -> Any:
        return getattr(self._event, name)


def may_print(unit: list[Any]) -> bool:
    """Whether printf is named in a unit's source, options or files."""
    source, options, _, files = unit
    return (
        "printf" in source
        or "printf" in options
        or any(b"printf" in content for _, _, content in files)
    )
