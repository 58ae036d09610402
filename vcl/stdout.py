"""Writing what kernels printed to the program's standard output.

Owns: `write`. Must not know: sessions.
"""

from __future__ import annotations

import sys


def write(text: str) -> None:
    """Write by `sys.stdout`, whatever that is now, and flush it, as a driver's text would come.

    There may be none, or it may be closed, by the program or at the other end; the program learns
    of that by its own writing, and the text is dropped. Any other error of an object that the
    program has put there is shown as one that ends a program would be.
    """
    out = sys.stdout
    if out is None or getattr(out, "closed", False):
        return
    try:
        try:
            out.write(text)
        except UnicodeEncodeError as error:
            out.write(text.encode(error.encoding, "replace").decode(error.encoding))
        out.flush()
    except OSError:
        return
    except Exception:
        # Not this thread's business: it is the session's, which must go on.
        sys.excepthook(*sys.exc_info())
