"""`vcl run`: a pyopencl program, unchanged, on the cluster.

Owns: making this process look as Python would make it for the program. Must not know: clusters;
the swap (`vcl.swap`) does all.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

from vcl import swap


class NoProgram(Exception):
    """There is no such program; the text says what was looked for."""


def run_program(arguments: list[str], *, module: bool, master: str | None) -> None:
    """Run the script or module arguments[0] with the rest as its arguments.

    Raises NoProgram.
    """
    if master is not None:
        os.environ["VCL_MASTER"] = master
    swap.install()
    name = arguments[0]
    if module:
        sys.argv = arguments
        sys.path.insert(0, os.getcwd())
        try:
            runpy.run_module(name, run_name="__main__", alter_sys=True)
        except ImportError as error:
            if error.name == name:
                raise NoProgram(f"there is no module {name!r}") from None
            raise
        return
    path = Path(name)
    if not path.is_file():
        raise NoProgram(f"there is no file {name!r}")
    sys.argv = arguments
    sys.path.insert(0, str(path.resolve().parent))
    runpy.run_path(name, run_name="__main__")
