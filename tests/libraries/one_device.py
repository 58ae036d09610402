"""A pytest plugin that leaves one OpenCL device, so that a library can choose no other.

Owns: what `Platform.get_devices` returns: of the devices found the one whose number is in
ONE_DEVICE. Must not know: vcl, or how a library chooses.
"""

from __future__ import annotations

import os
from typing import Any

import pyopencl

_found = pyopencl.Platform.get_devices


def _one(self: Any, *arguments: Any, **named: Any) -> list[Any]:
    only = _found(self)[int(os.environ["ONE_DEVICE"])]
    return [device for device in _found(self, *arguments, **named) if device == only]


pyopencl.Platform.get_devices = _one
