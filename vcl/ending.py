"""What a program's process still does when Python ends: its embedded cluster ends with it.

Owns: the exit handler of the family's first process. Must not know: how a cluster is ended
(`vcl.embedded`), or who is in the family (`vcl.family`). `import vcl` loads this, so it loads next
to nothing itself.
"""

from __future__ import annotations

import atexit
import os
import sys

from vcl import family


def register() -> None:
    """See to it that an embedded cluster of this process's family ends with the process.

    In a process that isn't the family's first when Python ends, nothing happens then. Idempotent.
    """
    # Registered at the import of vcl: run after nearly everything that the program registers.
    atexit.unregister(_end)
    atexit.register(_end)


def _end() -> None:
    own = family.current()
    if own is None or own.pid != os.getpid() or not os.path.isdir(own.folder):
        return
    if (multiprocessing := sys.modules.get("multiprocessing")) is not None:
        # Python waits for these at exit, maybe after this: they need the cluster until then.
        for child in multiprocessing.active_children():
            if not child.daemon:
                child.join()
    session = sys.modules.get("vcl.api.session")
    if session is not None and session.PROCESS.outlasts_exit():
        return  # the holder sees to it, when this process is gone
    from vcl import embedded

    embedded.end(own)
