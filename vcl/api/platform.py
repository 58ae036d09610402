"""The platform "VCL": its devices and its answers (OpenCL 3.0 API, 4.1 and 4.2).

Owns: `Platform`. Must not know: how the session came to be (`session`), contexts, or how a face
gives the answers.
"""

from __future__ import annotations

from typing import Any

from vcl.api.devices import Device, of_type
from vcl.api.errors import fail
from vcl.api.runtime import Runtime
from vcl.constants import CLASSES
from vcl.release import VERSION
from vcl.wire.messages.handshake import RemoteDevice

_INFO = CLASSES["platform_info"]
_DEFAULT = CLASSES["device_type"]["DEFAULT"]


class Platform:
    """The one platform of a session.

    _remote: a device for each remote one. _cluster: the cluster device, once it was asked for: its
    limits are frozen then.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime: Any = runtime
        self._remote = [self._own(remote) for remote in runtime.devices]
        self._cluster: Any = None

    def _device(self, remote: RemoteDevice | None) -> Any:
        """The cluster device (None), or that of a remote one; a face has a class of its own."""
        return Device(self._runtime.devices, remote)

    def _own(self, remote: RemoteDevice | None) -> Any:
        device = self._device(remote)
        device._platform = self
        return device

    def _devices(self) -> list[Any]:
        """The cluster device, then every remote one; none if there is no remote one."""
        if not self._remote:
            return []
        if self._cluster is None:
            self._cluster = self._own(None)
        return [self._cluster, *self._remote]

    def _devices_for_context(self, device_type: int | None) -> list[Any]:
        """As clCreateContextFromType chooses; None: the default. Raises CallError if there are
        none."""
        wanted = _DEFAULT if device_type is None else device_type
        found = of_type(self._devices(), wanted)
        if not found:
            fail("clCreateContextFromType", "DEVICE_NOT_FOUND")
        return found

    def _query(self, param: int) -> Any:
        """Answer a query. param: of platform_info. Raises CallError for what isn't any."""
        answers: dict[str, Any] = {
            "PROFILE": "FULL_PROFILE",
            "VERSION": f"OpenCL 3.0 VCL {VERSION}",
            "NAME": "VCL",
            "VENDOR": "VCL",
            "EXTENSIONS": "",
            "HOST_TIMER_RESOLUTION": 1,
            "NUMERIC_VERSION": 3 << 22,
            "EXTENSIONS_WITH_VERSION": [],
        }
        if param == _INFO["EXTENSIONS"] and self._remote:
            return self._devices()[0]._info("EXTENSIONS")
        for name, answer in answers.items():
            if param == _INFO.get(name):
                return answer
        fail("clGetPlatformInfo", "INVALID_VALUE")
