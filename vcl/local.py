"""A cluster of processes on this host: `LocalCluster`, also inside the embedded one.

Owns: starting a master and agents by subprocess and ending them. Must not know: sessions, or which
processes share an embedded one (`vcl.embedded`).

Programs have no `__main__` guard, so nothing here uses multiprocessing. The processes watch the
one that started them and end with it, whatever ends it.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vcl import family
from vcl.errors import ConnectionProblem
from vcl.split import Split
from vcl.tokens import AGENTS, USERS, read_token_file
from vcl.wire.limits import close_timeout_s

start_timeout_s = 90.0


def check_system() -> None:
    """Raise ConnectionProblem where no master and no agent can run."""
    if sys.platform != "linux":
        raise ConnectionProblem(
            "a cluster on this host needs Linux: set VCL_MASTER to ws://HOST:PORT of a vcl-master "
            "elsewhere, and VCL_TOKEN to what `vcl-master token` prints there"
        )


@dataclass(frozen=True)
class LocalNode:
    """An agent of a LocalCluster.

    - name: of its node.
    - pid: of its process.
    - cores: that it may use.
    """

    name: str
    pid: int
    cores: tuple[int, ...]


class LocalCluster:
    """A master and agents as processes on this host.

    - nodes: agents.
    - cores_per_node: processor cores that each is pinned to; None shares out all of this host's.
    - devices, data_listen, shared_memory: as those of `vcl-agent`.
    - split, trust: as those of `vcl-master`, without them VCL_SPLIT and VCL_TRUST.

    Use it as a context manager, or call `start` and `close`.
    """

    def __init__(
        self,
        nodes: int = 2,
        cores_per_node: int | None = None,
        devices: str | None = None,
        split: str | None = None,
        trust: bool | None = None,
        data_listen: str | None = None,
        shared_memory: bool = True,
    ) -> None:
        if nodes < 1 or (cores_per_node is not None and cores_per_node < 1):
            raise ValueError("a local cluster has at least one node, of at least one core")
        self.url = ""
        """Where the master listens, once started."""
        self.token = ""
        """What clients must present."""
        self.nodes: list[LocalNode] = []
        """The agents, once started."""
        self._count = nodes
        self._cores_per_node = cores_per_node
        self._devices = devices
        self._data_listen, self._shared_memory = data_listen, shared_memory
        if split is None or trust is None:
            # Its libraries take longer to load than all else that a holder needs.
            from vcl.settings import Environment

            environment = Environment()
            split = environment.split if split is None else split
            trust = environment.trust if trust is None else trust
        self._split, self._trust = Split(split), trust
        self._processes: list[subprocess.Popen[str]] = []
        self._state: tempfile.TemporaryDirectory[str] | None = None
        self._log_path: Path | None = None
        self._pid = os.getpid()
        self._interrupted = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start all processes and wait until they are ready; raises ConnectionProblem."""
        check_system()
        self._state = tempfile.TemporaryDirectory(prefix="vcl-")
        folder = Path(self._state.name)
        try:
            arguments = ["--listen", "127.0.0.1:0", "--state-dir", str(folder / "state")]
            arguments += ["--temporary", str(folder)]
            arguments += ["--split", self._split, "--trust" if self._trust else "--no-trust"]
            master = self._popen("master", arguments)
            # They load what they need meanwhile.
            cores = self._share_cores()
            waiting = [self._launch_agent(i, cores[i], folder) for i in range(self._count)]
            self.url = self._await_ready(master, "vcl-master")["url"]
            self.token = read_token_file(folder / "state" / USERS)
            for process in waiting:
                assert process.stdin is not None
                with contextlib.suppress(BrokenPipeError), process.stdin:  # see _await_ready
                    process.stdin.write(f"{self.url}\n")
            for index, process in enumerate(waiting):
                ready = self._await_ready(process, "vcl-agent")
                self.nodes.append(LocalNode(ready["name"], process.pid, cores[index]))
        except BaseException:
            self.close()
            raise

    def _share_cores(self) -> list[tuple[int, ...]]:
        available = sorted(os.sched_getaffinity(0))
        each = self._cores_per_node or max(1, len(available) // self._count)
        # More nodes than cores share them in turn.
        return [
            tuple(sorted({available[(i * each + k) % len(available)] for k in range(each)}))
            for i in range(self._count)
        ]

    def _launch_agent(
        self, index: int, cores: tuple[int, ...], folder: Path
    ) -> subprocess.Popen[str]:
        arguments = [
            "-",
            "--name",
            f"local{index}",
            "--cores",
            ",".join(map(str, cores)),
            "--once",
            "--token-file",
            str(folder / "state" / AGENTS),
        ]
        if os.geteuid() == 0:
            # The kernels are those of the program, which runs as root itself.
            arguments += ["--executor-user", "root"]
        if self._devices:
            arguments += ["--devices", self._devices]
        if self._data_listen is not None:
            arguments += ["--data-listen", self._data_listen]
        if not self._shared_memory:
            arguments += ["--no-shared-memory"]
        return self._popen("node_agent", arguments, subprocess.PIPE)

    def _popen(
        self, module: str, arguments: list[str], stdin: int = subprocess.DEVNULL
    ) -> subprocess.Popen[str]:
        assert self._state is not None
        # -P: what lies in the program's folder must not stand in for our modules.
        command = [sys.executable, "-P", "-m", module, *arguments]
        log = open(Path(self._state.name) / f"{module}-{len(self._processes)}.log", "w")  # noqa: SIM115
        with log:
            process = subprocess.Popen(
                [*command, "--ready-json", "--parent-pid", str(os.getpid())],
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=process_environment(),
                # Its own group: Ctrl-C in the terminal is the program's to handle, and the
                # cluster ends when the program does.
                process_group=0,
            )
        self._processes.append(process)
        if self._interrupted:
            process.kill()
        return process

    def _await_ready(self, process: subprocess.Popen[str], what: str) -> Any:
        assert process.stdout is not None and self._state is not None
        timer = threading.Timer(start_timeout_s, process.kill)
        timer.start()
        try:
            line = process.stdout.readline()
        finally:
            timer.cancel()
        if not line:
            process.wait()
            raise ConnectionProblem(
                f"the local cluster didn't start: {what} ended with status "
                f"{process.returncode}: {self._last_words(process)}"
            )
        try:
            return json.loads(line)
        except ValueError:
            raise ConnectionProblem(
                f"the local cluster didn't start: {what} said {line.strip()!r:.200}"
            ) from None

    def _last_words(self, process: subprocess.Popen[str]) -> str:
        assert self._state is not None
        index = self._processes.index(process)
        logs = list(Path(self._state.name).glob(f"*-{index}.log"))
        lines = logs[0].read_text().strip().splitlines() if logs else []
        return lines[-1] if lines else "it said nothing"

    def interrupt(self) -> None:
        """Let a `start` under way on another thread fail soon; `close` is to follow."""
        self._interrupted = True
        for process in list(self._processes):
            process.kill()

    def close(self) -> None:
        """End all processes. Idempotent; does nothing in a forked child."""
        if os.getpid() != self._pid:
            return
        for process in reversed(self._processes):
            process.terminate()
        for process in reversed(self._processes):
            try:
                process.wait(close_timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
        self._processes.clear()
        if self._state is not None:
            self._state.cleanup()
            self._state = None


def process_environment() -> dict[str, str]:
    """For the processes: they must find vcl where this one did, and not think themselves its
    clients."""
    environment = family.outside(os.environ)
    root = str(Path(__file__).resolve().parent.parent)
    paths = [root, *filter(None, [environment.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    return environment
