"""The process's session: how `get_platforms` finds the cluster.

Owns: the current runtime and platform of the process, connecting on first use, and ending at exit.
Must not know: commands, or who else uses an embedded cluster (`vcl.embedded`).
"""

from __future__ import annotations

import atexit
import os
import threading

from vcl.errors import ConnectionProblem
from vcl.pyopencl_cl.errors import fail
from vcl.pyopencl_cl.platform import Platform
from vcl.runtime import Runtime
from vcl.settings import Environment, master_url
from vcl.tokens import USERS, find_token


class _Current:
    """runtime, platform: of the process's session.

    lock: held while these change, so that threads which need them at once find the same.
    contexts: handles of the program's that are alive. ending: Python's exit handlers were called.
    """

    lock = threading.RLock()
    contexts: set[int] = set()  # noqa: RUF012  there is one instance, the class
    ending = False
    runtime: Runtime | None = None
    platform: Platform | None = None


def connect(url: str | None = None, *, token: str | None = None) -> Platform:
    """Connect this process to a cluster; see `vcl.connect`.

    Raises ConnectionProblem.
    """
    with _Current.lock:
        return _connect(url, token)


def _connect(url: str | None, token: str | None) -> Platform:
    if _Current.runtime is not None and _Current.runtime.dead is None:
        _Current.runtime.close()
    environment = Environment()
    given = url or environment.master
    if given is None:
        from vcl import embedded

        given, token = embedded.join(environment.local_nodes)
    try:
        address = master_url(given)
    except ValueError as error:
        raise ConnectionProblem(str(error)) from None
    runtime = Runtime(address, find_token(address, USERS, token))
    _Current.runtime = runtime
    _Current.platform = Platform(runtime)
    return _Current.platform


def current_platform() -> Platform:
    """The platform, connecting first if need be; pyopencl's exception if that fails."""
    with _Current.lock:
        return _current_platform()


def _current_platform() -> Platform:
    if _Current.platform is None or _Current.runtime is None or _Current.runtime.dead:
        try:
            connect()
        except ConnectionProblem as error:
            # Not PLATFORM_NOT_FOUND_KHR: pyopencl would replace the text by one on drivers.
            fail("clGetPlatformIDs", "DEVICE_NOT_AVAILABLE", str(error))
    assert _Current.platform is not None
    if not _Current.platform.get_devices():
        runtime = _Current.runtime
        assert runtime is not None
        url = runtime.url
        disconnect()
        fail(
            "clGetDeviceIDs",
            "DEVICE_NOT_FOUND",
            f"no agent is connected to the vcl-master at {url}: start `vcl-agent {url}` on each "
            "host that has OpenCL devices, and try again",
        )
    return _Current.platform


def get_platforms() -> list[Platform]:
    """The one platform, "VCL"."""
    return [current_platform()]


def disconnect() -> None:
    """End the session, if this process has one. Idempotent."""
    with _Current.lock:
        _disconnect()


def _disconnect() -> None:
    runtime = _Current.runtime
    _Current.runtime = _Current.platform = None
    if runtime is not None:
        runtime.close()


def _forked() -> None:
    """In a forked child, a thread that held the lock isn't here to let go of it."""
    _Current.lock = threading.RLock()


def context_made(number: int) -> None:
    """The program has one more context."""
    _Current.contexts.add(number)


def context_gone(number: int) -> None:
    """The program has one context less; without any, nothing is left to be done at exit.

    For destructors, which may run on any thread at any time: so it takes no lock. At exit there
    is only one thread left.
    """
    _Current.contexts.discard(number)
    if _Current.ending and not _Current.contexts:
        _disconnect()


def outlasts_exit() -> bool:
    """Python's exit handlers are called; whether the session goes on.

    They are called before the program's last objects go, whose destructors may use the cluster. So
    the session lasts until the last context has gone; one that never goes ends with the process,
    as do the session and an embedded cluster. Idempotent.
    """
    with _Current.lock:
        if not _Current.ending:
            _Current.ending = True
            runtime = _Current.runtime
            if not _Current.contexts or runtime is None or not runtime.lead_to_end():
                _disconnect()
        return _Current.runtime is not None


os.register_at_fork(after_in_child=_forked)
atexit.register(outlasts_exit)
