"""vcl: pyopencl programs on every OpenCL device of a cluster.

`import vcl as cl` gives everything that pyopencl exports, on the cluster; besides that `connect`,
`cluster`, `LocalCluster`, `launch_report`, `access` and its mappers. Owns: the lazy face. Must not
know: anything at import time; agents, the master and the wire import parts of this package without
meaning pyopencl at all, so pyopencl is loaded at the first use of one of its names. Two things
can't wait: a program that has loaded the real driver is stopped, and children are told which family
they are of.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from vcl import ending, family, swap
from vcl.release import VERSION as __vcl_version__

if TYPE_CHECKING:
    from vcl.faces import access, cluster, connect, launch_report
    from vcl.local import LocalCluster
    from vcl.mappers import all as all
    from vcl.mappers import neighborhood, none, one_to_one
    from vcl.mappers import slice as slice

# Without those that have the name of a builtin, which `from vcl import *` must not hide.
__all__ = [
    "LocalCluster", "__vcl_version__", "access", "cluster", "connect", "launch_report",
    "neighborhood", "none", "one_to_one",
]  # fmt: skip

_OWN = {
    "access": "vcl.faces",
    "all": "vcl.mappers",
    "neighborhood": "vcl.mappers",
    "none": "vcl.mappers",
    "one_to_one": "vcl.mappers",
    "slice": "vcl.mappers",
    "cluster": "vcl.faces",
    "connect": "vcl.faces",
    "load_ipython_extension": "vcl.faces",
    "launch_report": "vcl.faces",
    "LocalCluster": "vcl.local",
}


class _Submodules(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """`import vcl.array` gives pyopencl.array, as every submodule of pyopencl."""

    def find_spec(
        self, fullname: str, path: Any = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        package, _, name = fullname.partition(".")
        if package != "vcl" or not name or _is_ours(name):
            return None
        pyopencl = swap.load_pyopencl()
        assert pyopencl.__spec__ is not None
        first = name.partition(".")[0]
        found = importlib.machinery.PathFinder.find_spec(
            f"pyopencl.{first}", pyopencl.__spec__.submodule_search_locations
        )
        if found is None:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """The module of pyopencl itself: it must exist once, under both names."""
        module = importlib.import_module("pyopencl." + spec.name.partition(".")[2])
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """It was executed as pyopencl's; the import system has replaced its spec: undo that."""
        assert module.__spec__ is not None
        module.__spec__ = module.__spec__.loader_state


def _is_ours(name: str) -> bool:
    """Whether a module of this package has such a name; some folders here hold stubs only."""
    found = importlib.machinery.PathFinder.find_spec(f"vcl.{name.partition('.')[0]}", __path__)
    return found is not None and found.loader is not None


swap.check()
swap.install()
family.begin()
ending.register()
# Before the search along paths, which would take a folder of stubs for a package, and load what is
# in a package of pyopencl again, under vcl's name.
sys.meta_path.insert(0, _Submodules())


_kept: dict[str, Any] = globals().get("_kept", {})  # a reload leaves the names here
"""What was found in pyopencl, and is in this module since, as a search takes long."""


class _Watched(ModuleType):
    """pyopencl, of which nothing is kept that a program has replaced there, as by a mock."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        _forget(list(_kept) if name == "__spec__" else [name])  # which a reload begins with

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        _forget([name])


def _forget(names: list[str]) -> None:
    for name in names:
        kept = _kept.pop(name, _kept)
        if globals().get(name, _kept) is kept is not _kept:
            del globals()[name]


def __getattr__(name: str) -> Any:
    if name in _OWN:
        return getattr(importlib.import_module(_OWN[name]), name)
    if name.startswith("__") and name != "__version__":
        raise AttributeError(name)
    # `from vcl import links` asks here before it looks for a submodule.
    if _is_ours(name):
        return importlib.import_module(f"vcl.{name}")
    pyopencl = swap.load_pyopencl()
    found = getattr(pyopencl, name)
    if type(pyopencl) is ModuleType:
        pyopencl.__class__ = _Watched
    if type(pyopencl) is _Watched:
        globals()[name] = _kept[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*__all__, *_OWN, *dir(swap.load_pyopencl())})
