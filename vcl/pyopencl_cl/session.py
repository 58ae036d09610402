"""The process's session as pyopencl knows it: `get_platforms`.

Owns: that function, and giving the process's session our platform. Must not know: when it connects,
or how long it lasts (`vcl.api.session`).
"""

from __future__ import annotations

from vcl.api.session import PROCESS
from vcl.pyopencl_cl.errors import translated
from vcl.pyopencl_cl.platform import Platform


def connect(url: str | None = None, *, token: str | None = None) -> Platform:
    """Connect this process to a cluster; see `vcl.connect`.

    Raises ConnectionProblem.
    """
    return PROCESS.connect(Platform, url, token)


@translated("clGetPlatformIDs")
def current_platform() -> Platform:
    """The platform, connecting first if need be; pyopencl's exception if that fails."""
    return PROCESS.current_platform(Platform)


def get_platforms() -> list[Platform]:
    """The one platform, "VCL"."""
    return [current_platform()]


def disconnect() -> None:
    """End the session, if this process has one. Idempotent."""
    PROCESS.disconnect()
