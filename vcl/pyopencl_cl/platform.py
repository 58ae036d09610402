"""The platform "VCL" and its devices.

Owns: `Platform`, `Device`, `NameVersion`, and giving a device's answers as pyopencl does. Must not
know: what the answers are (`vcl.api.platform`, `vcl.api.devices`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vcl.api import devices
from vcl.api import platform as api
from vcl.pyopencl_cl.errors import fail, translated
from vcl.pyopencl_cl.handles import Handle
from vcl.wire.messages.handshake import RemoteDevice


class NameVersion:
    """A name with a version (OpenCL 3.0 API, cl_name_version)."""

    def __init__(self, version: int = 0, name: str = "") -> None:
        self.version = version
        self.name = name


class Platform(Handle, api.Platform):
    """The one platform of a session."""

    _invalid = "INVALID_PLATFORM"

    def _device(self, remote: RemoteDevice | None) -> Device:
        return Device(self._runtime.devices, remote)

    @translated("clGetPlatformInfo")
    def get_info(self, param: int) -> Any:
        """Answer a platform query."""
        return self._query(param)

    @translated("clGetDeviceIDs")
    def get_devices(self, device_type: int = 0xFFFFFFFF) -> list[Device]:
        """The cluster device, then every remote one; of a type, if one is given."""
        return devices.of_type(self._devices(), device_type)


class Device(Handle, devices.Device):
    """The cluster (remote None), or one remote device."""

    _invalid = "INVALID_DEVICE"

    @translated("clGetDeviceInfo")
    def get_info(self, param: int) -> Any:
        """Answer a device query with the class of pyopencl's for a name with a version."""
        answer = self._query(param)
        if isinstance(answer, list) and answer and isinstance(answer[0], list):
            return [NameVersion(version, text) for version, text in answer]
        return answer

    def create_sub_devices(self, properties: Sequence[int]) -> list[Device]:
        """Not supported: the devices of a cluster aren't partitioned further."""
        fail("clCreateSubDevices", "DEVICE_PARTITION_FAILED", "vcl's devices can't be partitioned")

    def device_and_host_timer(self) -> tuple[int, int]:
        """Not supported: the node's clock isn't read synchronously."""
        fail("clGetDeviceAndHostTimer", "INVALID_OPERATION", "not supported across a network")

    def host_timer(self) -> int:
        """Not supported, as `device_and_host_timer`."""
        fail("clGetHostTimer", "INVALID_OPERATION", "not supported across a network")
