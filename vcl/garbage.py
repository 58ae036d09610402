"""Python's garbage collection, where no destructor of the program's may run.

Owns: that. Must not know: why it mayn't.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def no_garbage_collection() -> Iterator[None]:
    """While a thread takes in what the master says, no destructor of the program's may run on it:
    it could wait for what comes next."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
