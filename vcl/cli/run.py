"""`vcl run`: a pyopencl program, unchanged, on the cluster.

Owns: making this process look as Python would make it for the program, to its last line and
beyond. Must not know: clusters; the swap (`vcl.swap`) does all.
"""

from __future__ import annotations

import importlib.util
import os
import runpy
import signal
import sys
import types
from pathlib import Path
from types import TracebackType
from typing import Any

from vcl import swap


class NoProgram(Exception):
    """There is no such program; the text says what was looked for."""


def prepare(name: str, *, module: bool, master: str | None) -> None:
    """Check that the program is there, and make pyopencl mean the cluster. Raises NoProgram."""
    if master is not None:
        os.environ["VCL_MASTER"] = master
    swap.install()
    if not module:
        if not Path(name).is_file():
            raise NoProgram(f"there is no file {name!r}")
        return
    sys.path.insert(0, os.getcwd())
    try:
        found = importlib.util.find_spec(name)
        if found is not None and found.submodule_search_locations is not None:
            found = importlib.util.find_spec(f"{name}.__main__")
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise NoProgram(f"there is no module {name!r} that can be run")


def run_program(arguments: list[str], *, module: bool) -> None:
    """Run the prepared program, arguments[0], with the rest as its arguments.

    What it raises ends the process as Python would end it, and shows the program's frames only.
    """
    try:
        if module:
            sys.argv = arguments
            runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
        else:
            _run_script(arguments)
    except SystemExit:
        raise
    except BaseException as error:
        frames = _program_frames(error.__traceback__)
        sys.excepthook(type(error), error.with_traceback(frames), frames)
        if isinstance(error, KeyboardInterrupt):
            # Whoever started us shall see that it was the signal (as Python's own main does).
            sys.stdout.flush()
            from vcl.opencl.session import disconnect

            disconnect()
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        sys.exit(1)


def _run_script(arguments: list[str]) -> None:
    """As `python SCRIPT`: its module stays `__main__` for threads and exit handlers."""
    path = arguments[0]
    main: Any = types.ModuleType("__main__")
    main.__file__ = path
    main.__builtins__ = __builtins__
    sys.modules["__main__"] = main
    sys.argv = arguments
    sys.path.insert(0, str(Path(path).resolve().parent))
    with open(path, "rb") as file:
        code = compile(file.read(), path, "exec")
    exec(code, main.__dict__)


def _program_frames(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the program's first frame on; all of it if it has none."""
    ours = (__file__, runpy.__file__, "<frozen runpy>")
    frame = trace
    while frame is not None and frame.tb_frame.f_code.co_filename in ours:
        frame = frame.tb_next
    return frame
