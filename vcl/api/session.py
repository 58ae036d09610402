"""The process's session: how a face finds the cluster.

Owns: the current connection and platform of the process, connecting on first use, and ending at
exit. Must not know: commands, any face's classes, or who else uses an embedded cluster
(`vcl.embedded`).
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from vcl.api import reporting
from vcl.api.errors import fail
from vcl.api.lifetimes import CONTEXTS, Living
from vcl.api.platform import Platform
from vcl.api.runtime import Connection
from vcl.errors import ConnectionProblem
from vcl.progress import PROGRESS
from vcl.runtime import Runtime
from vcl.settings import Environment, master_url
from vcl.tokens import USERS, find_token

P = TypeVar("P", bound=Platform)


class ProcessSession:
    """The one session that a process has at a time.

    runtime, platform: of the session, if there is one. contexts: those of the program's that are
    alive. _ending: Python's exit handlers were called. _lock: held while these change, so that
    threads which need them at once find the same.

    `make` is a face's class of platforms; a process has one face.
    """

    def __init__(
        self, contexts: Living, connection: Callable[[str, str], Connection] = Runtime
    ) -> None:
        self.runtime: Connection | None = None
        self.is_embedded = False
        """Whether it is, or was last, a session with an embedded cluster."""
        self.platform: Any = None
        self.contexts = contexts
        contexts.when_none = self._no_contexts
        self._connection = connection
        self._ending = False
        self._lock = threading.RLock()

    def connect(
        self, make: Callable[[Connection], P], url: str | None = None, token: str | None = None
    ) -> P:
        """Connect this process to a cluster; see `vcl.connect`. Raises ConnectionProblem."""
        with self._lock:
            if self.runtime is not None and self.runtime.dead is None:
                reporting.tell(self.runtime)
                self.runtime.close()
            environment = Environment()
            given = url or environment.master
            self.is_embedded = given is None
            if given is None:
                if environment.require_cluster:
                    raise ConnectionProblem(
                        "no cluster is named, and VCL_REQUIRE_CLUSTER (`vcl run "
                        "--require-cluster`) forbids an embedded one: set VCL_MASTER to the "
                        "master's ws://HOST:PORT"
                    )
                from vcl.local import check_system

                check_system()
                from vcl import embedded  # which loads what only Linux has

                given, token = embedded.join(environment.local_nodes)
            try:
                address = master_url(given)
            except ValueError as error:
                raise ConnectionProblem(str(error)) from None
            with PROGRESS.waiting(lambda: f"connecting to {address}"):
                runtime = self._connection(address, find_token(address, USERS, token))
            self.runtime, self.platform = runtime, make(runtime)
            made: P = self.platform
            return made

    def current_platform(self, make: Callable[[Connection], P]) -> P:
        """The platform, connecting first if need be. Raises CallError if that fails, or if the
        cluster has no device."""
        with self._lock:
            if self.platform is None or self.runtime is None or self.runtime.dead:
                try:
                    self.connect(make)
                except ConnectionProblem as error:
                    # Not PLATFORM_NOT_FOUND_KHR: pyopencl, for one, would replace the text by one
                    # on drivers.
                    fail("clGetPlatformIDs", "DEVICE_NOT_AVAILABLE", str(error))
            assert self.runtime is not None
            found: P = self.platform
            if not found._devices():
                url = self.runtime.url
                self.disconnect()
                fail(
                    "clGetDeviceIDs",
                    "DEVICE_NOT_FOUND",
                    f"no agent is connected to the vcl-master at {url}: start `vcl-agent {url}` on "
                    "each host that has OpenCL devices, and try again (`vcl doctor` finds out why "
                    "there is none)",
                )
            return found

    def disconnect(self) -> None:
        """End the session, if this process has one. Idempotent."""
        with self._lock:
            self._disconnect()

    def _disconnect(self) -> None:
        runtime = self.runtime
        self.runtime = self.platform = None
        if runtime is not None:
            runtime.close()

    def forked(self) -> None:
        """In a forked child, a thread that held the lock isn't here to let go of it."""
        self._lock = threading.RLock()

    def _no_contexts(self) -> None:
        """Without contexts nothing is left to be done at exit. No lock is taken, as a destructor
        mustn't; at exit there is only one thread left."""
        if self._ending:
            self._disconnect()

    def outlasts_exit(self) -> bool:
        """Python's exit handlers are called; whether the session goes on.

        They are called before the program's last objects go, whose destructors may use the
        cluster. So the session lasts until the last context has gone; one that never goes ends
        with the process, as do the session and an embedded cluster. Idempotent.
        """
        with self._lock:
            if not self._ending:
                self._ending = True
                runtime = self.runtime
                if runtime is not None:
                    reporting.tell(runtime)
                if not self.contexts or runtime is None or not runtime.lead_to_end():
                    self._disconnect()
            return self.runtime is not None


PROCESS = ProcessSession(CONTEXTS)

if hasattr(os, "register_at_fork"):  # as in vcl.runtime
    os.register_at_fork(after_in_child=PROCESS.forked)
atexit.register(PROCESS.outlasts_exit)
