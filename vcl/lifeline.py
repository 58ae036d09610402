"""How a process ends with the one that started it, however that one ends.

Owns: the two ways of Linux to learn of a parent's death without polling. Must not know: what the
processes do.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1  # prctl(2)


def watch_process(pid: int, ended: Callable[[], None]) -> None:
    """Call `ended` on the running loop once process `pid` is gone, even after `kill -9`.

    A pidfd becomes readable then (pidfd_open(2)). Unlike a pipe from the parent it isn't kept
    open by children that the parent forked.
    """
    loop = asyncio.get_running_loop()
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        loop.call_soon(ended)
        return

    def readable() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        ended()

    loop.add_reader(descriptor, readable)


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the thread that started it ends (prctl(2)).

    For children of a main thread only, and for processes that a hung driver may keep from
    noticing anything themselves. parent: the expected parent; if it's gone already, exit now.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        raise SystemExit(0)
