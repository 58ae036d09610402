"""The real pyopencl and the host's devices.

Owns: getting at pyopencl where importing vcl makes that mean the cluster, and which devices there
are, in which order. Must not know: sessions, operations, what devices say about themselves.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from vcl.constants import CLASSES

_PLATFORM_NAME = CLASSES["platform_info"]["NAME"]
_DEVICE_NAME = CLASSES["device_info"]["NAME"]


def load_pyopencl() -> Any:
    """The real pyopencl, even though importing vcl makes it mean the cluster elsewhere."""
    sys.meta_path[:] = [f for f in sys.meta_path if not getattr(f, "vcl_swaps_pyopencl", False)]
    import pyopencl

    return pyopencl


class Found(NamedTuple):
    """A device, and where the driver lists it: its platform's index, and its own in that. title:
    "platform name / device name"."""

    platform_index: int
    device_index: int
    device: Any
    title: str


def matching_devices(cl: Any, substring: str | None) -> tuple[list[Found], list[tuple[str, Any]]]:
    """(the host's devices in the driver's order, what couldn't be named: where, and the error).

    substring: keeps those whose "platform name / device name" contains it, in any case. A session
    is told of its devices by their places among these, so every process must find the same: nothing
    but names is asked.
    """
    found: list[Found] = []
    errors: list[tuple[str, Any]] = []
    wanted = (substring or "").casefold()
    try:
        platforms = cl.get_platforms()
    except cl.Error as error:
        return found, [("platforms", error)]
    for at, platform in enumerate(platforms):
        try:
            prefix = platform.get_info(_PLATFORM_NAME).strip()
            devices = platform.get_devices()
        except cl.Error as error:
            errors.append((f"platform {at}", error))
            continue
        for index, device in enumerate(devices):
            try:
                title = f"{prefix} / {device.get_info(_DEVICE_NAME).strip()}"
            except cl.Error as error:
                errors.append((f"platform {at} device {index}", error))
                continue
            if wanted in title.casefold():
                found.append(Found(at, index, device, title))
    return found, errors
