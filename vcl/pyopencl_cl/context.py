"""Contexts and command queues.

Owns: `Context`, `CommandQueue`. Must not know: memory, programs, what is enqueued.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

from vcl.api import context as api
from vcl.api.integers import size as size_t
from vcl.api.integers import sizes
from vcl.pyopencl_cl.errors import fail, translated
from vcl.pyopencl_cl.handles import Handle
from vcl.pyopencl_cl.platform import Device
from vcl.pyopencl_cl.session import current_platform


def expect(value: Any, kind: type, what: str) -> None:
    """Raise TypeError, as pyopencl does, for an argument of another class."""
    if not isinstance(value, kind):
        raise TypeError(f"the {what} must be a {kind.__name__}, not {type(value).__name__}")


class Context(Handle, api.Context):
    """A context on the cluster device or on remote devices."""

    _invalid = "INVALID_CONTEXT"

    @translated("clCreateContext")
    def __init__(
        self,
        devices: Sequence[Device] | None = None,
        properties: Sequence[Any] | None = None,
        dev_type: int | None = None,
    ) -> None:
        if devices is not None and dev_type is not None:
            fail("Context", "INVALID_VALUE", "one of 'devices' or 'dev_type' must be None")
        if devices is None:
            devices = current_platform()._devices_for_context(dev_type)
        devices = list(devices)
        api.check_devices(devices)
        properties = [] if properties is None else list(properties)
        for one in properties:
            expect(one, tuple, "property of a context")
            api.check_property(one)
        if len(devices) > 1 and any(d._id == 0 for d in devices):
            warnings.warn(
                "this context has the cluster device and devices that are part of it: a program "
                "that divides its work among all would load each node twice. Use the first device "
                "alone, or the others",
                stacklevel=3,
            )
        _answer_for_build_cache()
        api.Context.__init__(self, devices[0]._platform._runtime, devices, properties)

    @translated("clGetContextInfo")
    def get_info(self, param: int) -> Any:
        """Answer a context query."""
        return self._query(param)

    def set_default_device_command_queue(self, device: Device, queue: Any) -> None:
        """Not supported: devices don't enqueue to themselves here."""
        fail("clSetDefaultDeviceCommandQueue", "INVALID_OPERATION", "no queues on the device")


def _answer_for_build_cache() -> None:
    """Tell pyopencl that builds are cached on the far side.

    For a platform name that it doesn't know, pyopencl would fetch binaries and keep them on the
    client's disk; the nodes' drivers have their own caches.
    """
    from pyopencl import characterize

    original = characterize.has_src_build_cache
    if getattr(original, "vcl_answers", False):
        return

    def has_src_build_cache(dev: Any) -> Any:
        return True if isinstance(dev, Device) else original(dev)

    has_src_build_cache.vcl_answers = True  # type: ignore[attr-defined]
    characterize.has_src_build_cache = has_src_build_cache


class CommandQueue(Handle, api.CommandQueue):
    """A command queue on a device of a context."""

    _invalid = "INVALID_COMMAND_QUEUE"

    @translated("clCreateCommandQueue")
    def __init__(
        self,
        context: Context,
        device: Device | None = None,
        properties: Any = None,
    ) -> None:
        expect(context, Context, "context")
        if device is None:
            if not context._devices:
                fail("CommandQueue", "INVALID_VALUE", "context doesn't have any devices?")
            device = context._devices[0]
        expect(device, Device, "device")
        self._finalized = False
        api.CommandQueue.__init__(self, context, device, _flags(properties))

    def _check(self) -> None:
        """Warn if it's used after the end of `with queue:`, as pyopencl does."""
        if self._finalized:
            from pyopencl import CommandQueueUsedAfterExit

            warnings.warn(
                "Command queue used after exit of context manager. This is deprecated and will "
                "stop working in 2023.",
                CommandQueueUsedAfterExit,
                stacklevel=5,
            )

    def _finalize(self) -> None:
        """The end of `with queue:`."""
        self._finalized = True

    @translated("clGetCommandQueueInfo")
    def get_info(self, param: int) -> Any:
        """Answer a queue query."""
        return self._query(param)

    @translated("clFlush")
    def flush(self) -> None:
        """Send what was enqueued."""
        self._check()
        self._flush()

    @translated("clFinish")
    def finish(self) -> None:
        """Wait until all that was enqueued has ended; raise what failed and wasn't raised yet."""
        self._check()
        self._finish()


def _flags(properties: Any) -> int:
    """command_queue_properties from an int, None, or a list of properties."""
    if properties is None:
        return 0
    if not isinstance(properties, Iterable):
        return size_t(properties, "properties")
    return api.queue_flags(sizes(properties, "properties"))
