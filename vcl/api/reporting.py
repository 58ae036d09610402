"""Telling at a session's end what its launches came to, where VCL_REPORT wants that.

Owns: when, and where to. Must not know: what is in the report (`vcl.totals`).

It comes at the very end of a program, which must end as it would have: whatever goes wrong here is
a line on stderr.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from vcl import family, totals
from vcl.api.runtime import Connection
from vcl.errors import VclError
from vcl.settings import Environment
from vcl.wire.messages import session

_told: list[totals.KernelTotals] = []  # of this process's earlier sessions


def tell(runtime: Connection) -> None:
    """Print the report, or write it to the file that VCL_REPORT names, if it is set."""
    try:
        wanted = Environment().report
        if not wanted or wanted.lower() in ("0", "false", "no", "off"):
            return
        if runtime.dead is not None:
            print(f"vcl: no report: {runtime.dead}", file=sys.stderr)
            return
        _told.extend(totals.ordered(runtime.ask(session.AskTotals(runtime.new_id())).rows))
        title = f"vcl report of {os.path.basename(sys.argv[0]) or 'python'}"
        path = Path(wanted)
        if path.suffix in (".json", ".html"):
            totals.write(_told, title, _of_this_process(path))
        else:
            totals.show(_told, title, sys.stderr)
    except (OSError, VclError) as error:
        print(f"vcl: no report: {error}", file=sys.stderr)


def _of_this_process(path: Path) -> Path:
    """A child of the program has a file of its own: report.json, report.1234.json."""
    first = family.current()
    if first is None or first.pid == os.getpid():
        return path
    return path.with_suffix(f".{os.getpid()}{path.suffix}")
