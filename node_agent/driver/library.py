"""The real pyopencl and the host's devices.

Owns: getting at pyopencl where importing vcl makes that mean the cluster, and the order of the
devices. Must not know: sessions, operations.
"""

from __future__ import annotations

import sys
from typing import Any


def load_pyopencl() -> Any:
    """The real pyopencl, even though importing vcl makes it mean the cluster elsewhere."""
    sys.meta_path[:] = [f for f in sys.meta_path if not getattr(f, "vcl_swaps_pyopencl", False)]
    import pyopencl

    return pyopencl


def matching_devices(cl: Any, substring: str | None) -> list[Any]:
    """The host's devices in the inventory's order."""
    found = []
    for platform in cl.get_platforms():
        for device in platform.get_devices():
            name = f"{platform.name} / {device.name}".lower()
            if not substring or substring.lower() in name:
                found.append(device)
    return found
