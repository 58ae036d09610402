"""Makes pyopencl mean the cluster in a Python child of `vcl run`.

Owns: the finder that hands over to `vcl.swap` when pyopencl is first imported, and running the
`sitecustomize` that this one hides. Must not know: anything else; it runs at the start of every
Python below `vcl run`, of whatever version and with whatever packages, most of which use no
OpenCL: so it loads nothing of vcl until then, and keeps to what old Pythons understand.
"""

import importlib.machinery
import os
import sys
from typing import Any

_HERE = os.path.dirname(os.path.abspath(__file__))
_PACKAGE = os.path.dirname(_HERE)
_CANNOT = (
    "under `vcl run` pyopencl means the cluster, but vcl can't run in {}: {!r}. Install vcl for "
    "this Python too, or start it without VCL_RUN and OCL_ICD_VENDORS in its environment to use "
    "the local driver"
)


class Finder(object):  # noqa: UP004
    """Finds `vcl` where the parent had it, and the cluster's `pyopencl._cl`."""

    vcl_swaps_pyopencl = True

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        """Ours for these two, nobody's for the rest; ImportError if vcl can't run here."""
        if fullname == "vcl":
            return importlib.machinery.PathFinder.find_spec("vcl", [os.path.dirname(_PACKAGE)])
        if fullname != "pyopencl._cl":
            return None
        try:
            import vcl.pyopencl_cl.module  # noqa: F401
            from vcl import swap
        except Exception as error:
            raise ImportError(_CANNOT.format(sys.executable, error)) from error
        return swap.Finder().find_spec(fullname)


def _is_here(path: str) -> bool:
    return os.path.abspath(path) == _HERE


def run_hidden() -> None:
    """Run the `sitecustomize` that Python would have found without this one, in its place."""
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", sys.path)
    if spec is None or spec.loader is None:
        return
    from importlib.util import module_from_spec

    module = module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


def install() -> None:
    """What happens at the start of a child."""
    # The path is the program's; its children get ours from PYTHONPATH.
    sys.path[:] = [path for path in sys.path if not _is_here(path)]
    if os.environ.get("VCL_RUN"):
        sys.meta_path.insert(0, Finder())
    run_hidden()


if __name__ == "sitecustomize":
    install()
