"""What a device says of itself, as far as the master wants to know.

Owns: one honest description. Must not know: drivers.
"""

from __future__ import annotations

from typing import Any

from vcl.wire.messages.handshake import DeviceDescription

INFO: dict[str, Any] = {
    "NAME": "a device",
    "TYPE": 2,
    "EXTENSIONS": "cl_khr_fp64",
    "MAX_COMPUTE_UNITS": 1,
    "MAX_WORK_GROUP_SIZE": 256,
    "MAX_WORK_ITEM_SIZES": [256, 256, 256],
    "GLOBAL_MEM_SIZE": 2**30,
    "MAX_MEM_ALLOC_SIZE": 2**28,
    "MEM_BASE_ADDR_ALIGN": 1024,
}


def device(**changes: Any) -> DeviceDescription:
    """A device, with some of its answers changed."""
    return DeviceDescription(platform={}, info=INFO | changes)
