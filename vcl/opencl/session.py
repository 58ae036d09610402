"""The process's session: how `get_platforms` finds the cluster.

Owns: the current runtime and platform of the process, connecting on first use, ending at exit, and
what a fork means. Must not know: commands.
"""

from __future__ import annotations

import atexit
import os
import threading
from typing import Any

from vcl.errors import ConnectionProblem
from vcl.opencl.errors import fail
from vcl.opencl.platform import Platform
from vcl.runtime import Runtime
from vcl.settings import Environment, find_token, master_url


class _Current:
    """runtime, platform: of the process's session. local: the embedded cluster, if one was made.

    lock: held while these change, so that threads which need them at once find the same.
    contexts: how many of the program's are alive. ending: Python's exit handlers were called.
    """

    lock = threading.RLock()
    contexts = 0
    ending = False
    runtime: Runtime | None = None
    platform: Platform | None = None
    local: Any = None


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
        from vcl.local import LocalCluster

        if _Current.local is None:
            _Current.local = LocalCluster(nodes=environment.local_nodes)
            _Current.local.start()
        given, token = _Current.local.url, _Current.local.token
    try:
        address = master_url(given)
    except ValueError as error:
        raise ConnectionProblem(str(error)) from None
    runtime = Runtime(address, find_token(token))
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
    """End the session and the embedded cluster, if this process has them. Idempotent."""
    with _Current.lock:
        _disconnect()


def _disconnect() -> None:
    runtime, local = _Current.runtime, _Current.local
    _Current.runtime = _Current.platform = _Current.local = None
    if runtime is not None:
        runtime.close()
    if local is not None:
        local.close()


def _forked() -> None:
    """In a forked child nothing of the parent's is used or ended.

    Objects that the child inherited answer with an error (`Runtime.check`); new ones would need a
    new connection, which an inherited embedded cluster can't give: it ends with the parent.
    """
    _Current.local = None
    _Current.lock = threading.RLock()  # a thread that held it isn't here to let go of it


def context_made() -> None:
    """The program has one more context."""
    with _Current.lock:
        _Current.contexts += 1


def context_gone() -> None:
    """The program has one context less; without any, nothing is left to be done at exit."""
    with _Current.lock:
        _Current.contexts -= 1
        if _Current.ending and not _Current.contexts:
            _disconnect()


def _python_ends() -> None:
    """Exit handlers are called before the program's last objects go.

    Their destructors may use the cluster, so the session lasts until the last context has gone;
    one that never goes ends with the process, as do the session and an embedded cluster.
    """
    with _Current.lock:
        _Current.ending = True
        runtime = _Current.runtime
        if not _Current.contexts or runtime is None or not runtime.lead_to_end():
            _disconnect()


os.register_at_fork(after_in_child=_forked)
atexit.register(_python_ends)
