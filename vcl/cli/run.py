"""`vcl run`: a pyopencl program, unchanged, on the cluster.

Owns: making this process look as Python would make it for the program, to its last line and
beyond. Must not know: clusters; the swap (`vcl.swap`) does all, in children the start-up hook.
"""

from __future__ import annotations

import atexit
import importlib.machinery
import importlib.util
import os
import pkgutil
import runpy
import signal
import sys
import types
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, TracebackType
from typing import Any, Literal

from vcl import family, swap

Form = Literal["script", "module", "code"]


class NoProgram(Exception):
    """There is no such program; the text says what was looked for."""


@dataclass(frozen=True, slots=True)
class Program:
    """What is to run: arguments as the program's sys.argv, path its sys.path[0]. spec: of its main
    module where Python makes one."""

    form: Form
    arguments: list[str]
    path: str
    spec: importlib.machinery.ModuleSpec | None = None


def prepare(
    arguments: list[str], form: Form, master: str | None, require_cluster: bool = False
) -> Program:
    """Check that the program is there, and make pyopencl mean the cluster, here and in children.

    arguments: a script, folder, archive, "-", module or code first. require_cluster: no embedded
    cluster, not in children either. Raises NoProgram.
    """
    if require_cluster:
        os.environ["VCL_REQUIRE_CLUSTER"] = "1"
    if master is not None:
        os.environ["VCL_MASTER"] = master
    swap.install()
    family.hand_swap_to_children()
    name = arguments[0]
    if form == "module":
        _set_path(os.getcwd())
        return Program(form, arguments, os.getcwd(), _module_spec(name))
    if form == "code" or name == "-":
        return Program(form, arguments, "")
    # A folder or an archive, as Python tells them from scripts.
    if pkgutil.get_importer(name) is not None:
        spec = importlib.machinery.PathFinder.find_spec("__main__", [os.path.abspath(name)])
        if spec is None:
            raise NoProgram(f"there is no '__main__' module in {name!r}")
        return Program(form, arguments, os.path.abspath(name), spec)
    if not Path(name).is_file():
        raise NoProgram(f"there is no file {name!r}")
    return Program(form, arguments, str(Path(name).resolve().parent))


def _module_spec(name: str) -> importlib.machinery.ModuleSpec:
    try:
        found = importlib.util.find_spec(name)
        if found is not None and found.submodule_search_locations is not None:
            found = importlib.util.find_spec(f"{name}.__main__")
    except ModuleNotFoundError:
        found = None
    if found is None or found.loader is None:
        raise NoProgram(f"there is no module {name!r} that can be run")
    return found


def _set_path(first: str) -> None:
    """Python puts the program's folder first; it has put that of `vcl`'s there for us."""
    if not sys.flags.safe_path:
        sys.path[0] = first


def run_program(program: Program) -> None:
    """Run the prepared program. What it raises ends the process as Python would end it, and shows
    the program's frames only."""
    try:
        _run(program)
    except SystemExit:
        raise
    except BaseException as error:
        frames = _program_frames(error.__traceback__)
        sys.excepthook(type(error), error.with_traceback(frames), frames)
        if isinstance(error, KeyboardInterrupt):
            # Whoever started us shall see that it was the signal (as Python's own main does).
            atexit._run_exitfuncs()
            sys.stdout.flush()
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        sys.exit(1)


def _run(program: Program) -> None:
    """As Python: a new `__main__` that stays for threads, exit handlers, pickles and children."""
    arguments, spec = list(program.arguments), program.spec
    main: Any = types.ModuleType("__main__")
    main.__builtins__ = sys.modules["builtins"]
    main.__annotations__ = {}
    code: CodeType
    sys.modules["__main__"] = main
    sys.argv = arguments
    _set_path(program.path)
    if spec is not None:
        loader: Any = spec.loader
        main.__spec__, main.__loader__, main.__package__ = spec, loader, spec.parent
        main.__file__, main.__cached__ = spec.origin, spec.cached
        if program.form == "module":
            arguments[0] = str(spec.origin)
        if (found := loader.get_code(spec.name)) is None:
            raise ImportError(f"there is no code in {spec.origin}")
        code = found
    elif program.form == "code":
        text = arguments[0]
        arguments[0] = "-c"
        code = compile(text, "<string>", "exec")
    elif arguments[0] == "-":
        main.__file__, main.__cached__ = "<stdin>", None
        code = compile(sys.stdin.buffer.read(), "<stdin>", "exec")
    else:
        path = os.path.join(os.getcwd(), arguments[0])  # Python leaves ./ and ../ in it
        main.__file__, main.__cached__ = path, None
        main.__loader__ = importlib.machinery.SourceFileLoader("__main__", path)
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
