"""Python's garbage collection, where no destructor of the program's may run.

Owns: that. Must not know: why it mayn't.
"""

from __future__ import annotations

import contextlib
import gc
import os
import threading
from collections.abc import Iterator

_lock = threading.Lock()
_within = 0  # threads, of any session
_enabled = False


@contextlib.contextmanager
def no_garbage_collection() -> Iterator[None]:
    """While a thread takes in what the master says, no destructor of the program's may run on it:
    it could wait for what comes next."""
    global _within, _enabled
    with _lock:
        if not _within:
            _enabled = gc.isenabled()
            gc.disable()
        _within += 1
    try:
        yield
    finally:
        with _lock:
            _within -= 1
            if _enabled and not _within:
                gc.enable()


def _forked() -> None:
    """In a child there is none of the threads that were within."""
    global _lock, _within
    _lock = threading.Lock()
    if _within and _enabled:
        gc.enable()
    _within = 0


if hasattr(os, "register_at_fork"):  # not everywhere are there forks
    os.register_at_fork(after_in_child=_forked)
