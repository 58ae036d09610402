"""The process's session: how `get_platforms` finds the cluster.

Owns: the current runtime and platform of the process, connecting on first use, ending at exit, and
what a fork means. Must not know: commands.
"""

from __future__ import annotations

import atexit
import os
from typing import Any

from vcl.errors import ConnectionProblem
from vcl.opencl.errors import fail
from vcl.opencl.platform import Platform
from vcl.runtime import Runtime
from vcl.settings import Environment, find_token, master_url


class _Current:
    """runtime, platform: of the process's session. local: the embedded cluster, if one was made."""

    runtime: Runtime | None = None
    platform: Platform | None = None
    local: Any = None


def connect(url: str | None = None, *, token: str | None = None) -> Platform:
    """Connect this process to a cluster; see `vcl.connect`.

    Raises ConnectionProblem.
    """
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


os.register_at_fork(after_in_child=_forked)
atexit.register(disconnect)
