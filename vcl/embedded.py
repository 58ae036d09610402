"""The embedded cluster of a family of processes: one, whoever needs it first.

Owns: starting it once, finding it, ending it. Must not know: sessions, who is in the family
(`vcl.family`), or what the process does that starts the cluster and ends with the family
(`vcl.holder`).

The family's folder has `lock`, held by whoever looks or starts; `cluster.json` with the address,
the token and the holder's pid, readable by its user only; and the holder's log.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vcl.errors import ConnectionProblem
from vcl.family import Family, begin, started
from vcl.local import process_environment
from vcl.progress import PROGRESS
from vcl.settings import Environment
from vcl.text import counted
from vcl.wire.limits import close_timeout_s

end_timeout_s = 3 * close_timeout_s


class _Holder(subprocess.Popen[str]):
    """May outlive the process that started it: nothing to warn of then."""

    def __del__(self) -> None:
        return


_started: list[_Holder] = []  # by this process, which reaps it if it's still there then


def join(nodes: int) -> tuple[str, str]:
    """(url, token) of the family's embedded cluster, which is started if nobody has.

    nodes: agents, if it is; which is said on stderr, but for VCL_QUIET. Raises ConnectionProblem.
    """
    family = begin()
    try:
        _make_folder(family.folder)
        with _locked(family.folder) as lock:
            found = _read(family.folder)
            if found is None:
                with PROGRESS.waiting(lambda: "starting a cluster on this host"):
                    _start(family, nodes, lock)
                found = _read(family.folder)
                if not Environment().quiet:
                    print(
                        f"vcl: embedded cluster of {counted(nodes, 'node')} on this host; "
                        "VCL_MASTER isn't set",
                        file=sys.stderr,
                    )
    except OSError as error:
        raise ConnectionProblem(f"the local cluster didn't start: {error}") from None
    if found is None:
        raise ConnectionProblem("the local cluster has ended just after its start")
    return found["url"], found["token"]


def _make_folder(folder: str) -> None:
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        status = os.lstat(folder)
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            raise PermissionError(f"{folder} isn't a folder of this process's user") from None


@contextlib.contextmanager
def _locked(folder: str, flags: int = 0) -> Iterator[int]:
    """Hold the family's lock. A holder that is starting holds it too: it has the descriptor."""
    lock = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | flags)
        yield lock
    finally:
        os.close(lock)


def _read(folder: str) -> Any:
    """What the holder wrote; None if there is none that lives."""
    try:
        found = json.loads(Path(folder, "cluster.json").read_text())
    except FileNotFoundError:
        return None
    return found if started(found["pid"]) == found["start"] else None


def _start(family: Family, nodes: int, lock: int) -> None:
    numbers = map(str, (family.pid, family.start, nodes, lock))
    # What the program chose isn't in its environment.
    environment = Environment()
    arguments = [family.folder, *numbers, environment.split.value, str(int(environment.trust))]
    log = Path(family.folder, "holder.log")
    with log.open("w") as errors:
        holder = _Holder(
            # -P: what lies in the program's folder must not stand in for our modules.
            [sys.executable, "-P", "-m", "vcl.holder", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=process_environment(),
            pass_fds=[lock],
            process_group=0,  # Ctrl-C in the terminal is for the program
        )
    _started.append(holder)
    assert holder.stdout is not None
    with holder.stdout:
        line = holder.stdout.readline()
    if not line:
        lines = log.read_text().strip().splitlines()
        raise ConnectionProblem(
            f"the local cluster didn't start: {lines[-1] if lines else 'its process was ended'}"
        )
    if problem := json.loads(line)["problem"]:
        raise ConnectionProblem(problem)


def end(family: Family) -> None:
    """End the family's cluster and remove its folder. For the family's first process."""
    try:
        with _locked(family.folder, fcntl.LOCK_NB):
            found = _read(family.folder)
            if found is not None:
                _terminate(found["pid"], found["start"])
            shutil.rmtree(family.folder, ignore_errors=True)
    except (BlockingIOError, FileNotFoundError):
        return  # a holder that is starting sees itself that this process is gone; or it is over
    for holder in _started:
        with contextlib.suppress(subprocess.TimeoutExpired):
            holder.wait(end_timeout_s)


def _terminate(pid: int, start: int) -> None:
    """End a holder, and wait for that."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if started(pid) == start:  # the number may have been given to another meanwhile
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, signal.SIGTERM)
                select.select([descriptor], [], [], end_timeout_s)
    finally:
        os.close(descriptor)
