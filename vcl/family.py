"""Which processes belong together: a program, its children, and theirs.

Owns: the environment variables that children inherit, and taking them out of the environment of
the cluster's own processes. Must not know: how a cluster is started (`vcl.embedded`) or ended
(`vcl.ending`), or what the start-up hook does (`vcl.startup`). `import vcl` loads this, so it loads
next to nothing itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

# VCL_RUN: the folder with the start-up hook; there if pyopencl means the cluster in children.
# VCL_EMBEDDED: PID:START:FOLDER of the family. VCL_HIDDEN_VENDORS: the program's OCL_ICD_VENDORS.
_RUN, _EMBEDDED, _HIDDEN = "VCL_RUN", "VCL_EMBEDDED", "VCL_HIDDEN_VENDORS"
# What a program chooses of its cluster.
_CHOICE = (
    "VCL_MASTER", "VCL_TOKEN", "VCL_AGENT_TOKEN", "VCL_SPLIT", "VCL_TRUST", "VCL_REQUIRE_CLUSTER",
)  # fmt: skip
_VENDORS = "OCL_ICD_VENDORS"  # where OpenCL's loader looks for drivers
_NO_VENDORS = "/nonexistent/hidden-by-vcl-run"


class Family(NamedTuple):
    """pid, start: of its first process, with which it ends. folder: of its embedded cluster; made
    when the first of the family needs it."""

    pid: int
    start: int
    folder: str


def started(pid: int) -> int | None:
    """When a process started, in ticks since boot; None if it has ended. With the pid that names
    a process for good (proc_pid_stat(5))."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def current() -> Family | None:
    """The family that this process was born into or has begun; None if that has ended."""
    pid, _, rest = os.environ.get(_EMBEDDED, "").partition(":")
    start, _, folder = rest.partition(":")
    if not (pid.isdecimal() and start.isdecimal() and folder):
        return None
    family = Family(int(pid), int(start), folder)
    return family if started(family.pid) == family.start else None


def begin() -> Family:
    """The family of this process, which is the first of a new one if it has none.

    Nothing is started or written but the variable that tells the children; `vcl.ending` sees to it
    that what is started later ends.
    """
    family = current()
    if family is None:
        pid = os.getpid()
        folder = os.path.join(_temporary(), f"vcl-{pid}-{os.urandom(8).hex()}")
        family = Family(pid, started(pid) or 0, folder)
        os.environ[_EMBEDDED] = f"{family.pid}:{family.start}:{family.folder}"
    return family


def _temporary() -> str:
    """As tempfile.gettempdir, which takes longer to import than all of vcl."""
    places = [os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")]
    for place in filter(None, [*places, "/tmp", "/var/tmp"]):
        if os.path.isdir(place) and os.access(place, os.W_OK | os.X_OK):
            return os.path.abspath(place)
    return os.getcwd()


def hand_swap_to_children() -> None:
    """From now on pyopencl means the cluster in every Python child.

    Where the start-up hook doesn't run (python -I, -E or -S, a PYTHONPATH of the program's own) no
    driver is found, rather than the local one without a word.
    """
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "startup")
    paths = os.environ.get("PYTHONPATH", "")
    if folder not in paths.split(os.pathsep):
        os.environ["PYTHONPATH"] = folder + (os.pathsep + paths if paths else "")
    os.environ[_RUN] = folder
    if os.environ.get(_VENDORS) != _NO_VENDORS:
        os.environ[_HIDDEN] = os.environ.get(_VENDORS, "")
        os.environ[_VENDORS] = _NO_VENDORS


def outside(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment for processes of a cluster, started from within a program: without the
    program's choice of cluster, and with the host's drivers."""
    environment = dict(environ)
    folder, hidden = environment.pop(_RUN, None), environment.pop(_HIDDEN, "")
    for name in (*_CHOICE, _EMBEDDED):
        environment.pop(name, None)
    if environment.get(_VENDORS) == _NO_VENDORS:
        del environment[_VENDORS]
        if hidden:
            environment[_VENDORS] = hidden
    if folder and "PYTHONPATH" in environment:
        paths = environment.pop("PYTHONPATH").split(os.pathsep)
        if kept := [path for path in paths if path != folder]:
            environment["PYTHONPATH"] = os.pathsep.join(kept)
    return environment
