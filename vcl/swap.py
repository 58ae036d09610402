"""Making pyopencl in this process mean the cluster.

Owns: the finder that supplies `pyopencl._cl`, and the check that the real one isn't loaded. Must
not know: what the supplied module contains. Nodes take the finder out before they import pyopencl
(`node_agent.driver`).
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from types import ModuleType
from typing import Any

SWAPPED = "pyopencl._cl"


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds and makes `pyopencl._cl`."""

    vcl_swaps_pyopencl = True

    def find_spec(
        self, fullname: str, path: Any = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Ours for `pyopencl._cl`, nobody's for the rest."""
        if fullname == SWAPPED:
            return importlib.machinery.ModuleSpec(fullname, self, origin="vcl")
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Assemble the module."""
        from vcl.pyopencl_cl.module import build

        return build()

    def exec_module(self, module: ModuleType) -> None:
        """It is complete already."""


def install() -> None:
    """From now on `import pyopencl` means the cluster. Idempotent."""
    if not any(getattr(f, "vcl_swaps_pyopencl", False) for f in sys.meta_path):
        sys.meta_path.insert(0, Finder())


def check() -> None:
    """Raise ImportError if the real driver is in this process already."""
    loaded = sys.modules.get(SWAPPED)
    if loaded is not None and getattr(loaded, "__spec__", None) is not None:
        spec: Any = loaded.__spec__
        if not isinstance(spec.loader, Finder):
            raise ImportError(
                "pyopencl was imported before vcl, so this process uses the local driver already. "
                "Put `import vcl` before the first `import pyopencl`, or run the program by "
                "`vcl run`"
            )


def load_pyopencl() -> ModuleType:
    """pyopencl on the cluster; raises ImportError as `check` does."""
    check()
    install()
    import pyopencl

    return pyopencl
