"""Contexts and command queues.

Owns: `Context`, `CommandQueue`. Must not know: memory, programs, what is enqueued.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Iterable, Sequence
from typing import Any

from vcl.constants import CLASSES
from vcl.pyopencl_cl.errors import fail, fail_code, translated
from vcl.pyopencl_cl.handles import Handle, reference_count
from vcl.pyopencl_cl.integers import size as size_t
from vcl.pyopencl_cl.integers import sizes
from vcl.pyopencl_cl.platform import Device
from vcl.pyopencl_cl.session import context_gone, context_made, current_platform
from vcl.wire.messages import session

_CONTEXT = CLASSES["context_info"]
_QUEUE = CLASSES["command_queue_info"]
_PROPERTIES = CLASSES["command_queue_properties"]
OUT_OF_ORDER = _PROPERTIES["OUT_OF_ORDER_EXEC_MODE_ENABLE"]
PROFILING = _PROPERTIES["PROFILING_ENABLE"]
_ON_DEVICE = _PROPERTIES["ON_DEVICE"] | _PROPERTIES["ON_DEVICE_DEFAULT"]


def expect(value: Any, kind: type, what: str) -> None:
    """Raise TypeError, as pyopencl does, for an argument of another class."""
    if not isinstance(value, kind):
        raise TypeError(f"the {what} must be a {kind.__name__}, not {type(value).__name__}")


class _Freed:
    """Says that a context has gone, when the context's own memory is freed.

    A collection of garbage calls all destructors before it frees anything, in any order: those of
    contexts before those of objects that still use them in theirs. What a destructor makes and
    hangs on its object goes after all of these.
    """

    def __init__(self, number: int) -> None:
        self._number = number

    def __del__(self) -> None:
        context_gone(self._number)


class Context(Handle):
    """A context on the cluster device or on remote devices."""

    _invalid = "INVALID_CONTEXT"

    @translated("clCreateContext")
    def __init__(
        self,
        devices: Sequence[Device] | None = None,
        properties: Sequence[Any] | None = None,
        dev_type: int | None = None,
    ) -> None:
        super().__init__()
        if devices is not None and dev_type is not None:
            fail("Context", "INVALID_VALUE", "one of 'devices' or 'dev_type' must be None")
        if devices is None:
            default = CLASSES["device_type"]["DEFAULT"]
            devices = current_platform().get_devices(default if dev_type is None else dev_type)
            if not devices:
                fail("clCreateContextFromType", "DEVICE_NOT_FOUND")
        devices = list(devices)
        if not devices:
            fail("clCreateContext", "INVALID_VALUE", "a context needs a device")
        if not all(isinstance(d, Device) for d in devices):
            fail("clCreateContext", "INVALID_DEVICE")
        properties = [] if properties is None else list(properties)
        for one in properties:
            expect(one, tuple, "property of a context")
            if len(one) != 2:
                fail("Context", "INVALID_VALUE", "property tuple must have length 2")
        if len(devices) > 1 and any(d._id == 0 for d in devices):
            warnings.warn(
                "this context has the cluster device and devices that are part of it: a program "
                "that divides its work among all would load each node twice. Use the first device "
                "alone, or the others",
                stacklevel=3,
            )
        _answer_for_build_cache()
        self._devices = devices
        self._properties = properties
        self._runtime = devices[0]._platform._runtime
        split = any(d._id == 0 for d in devices)
        if split:
            ids = [d.device for d in self._runtime.devices]
        else:
            ids = [d._id for d in devices]
        self._id = self._runtime.new_id()
        self._runtime.say(session.CreateContext(self._id, ids, split))
        self._initial: int | None = None
        # Blocking writes that may be under way still, by event: what is enqueued later on any
        # queue waits for them, so that a blocking write need not wait itself.
        self._written: dict[int, Any] = {}
        context_made(self._handle)

    def __del__(self) -> None:
        # Not by weakref.finalize, which does nothing any more once Python ends.
        if hasattr(self, "_initial"):
            if self._initial is not None:
                self._runtime.release(self._initial)
            self._runtime.release(self._id)
            self._freed = _Freed(self._handle)

    def _initial_queue(self) -> int:
        """A queue of our own, for the initial contents of memory objects."""
        with self._runtime.lock:
            if self._initial is None:
                number = self._runtime.new_id()
                device = self._devices[0]._id
                message = session.CreateQueue(number, self._id, device, OUT_OF_ORDER)
                self._runtime.say(message)
                self._initial = number
            return self._initial

    def get_info(self, param: int) -> Any:
        """Answer a context query."""
        if param == _CONTEXT["REFERENCE_COUNT"]:
            return reference_count(self)
        if param == _CONTEXT["DEVICES"]:
            return list(self._devices)
        if param == _CONTEXT["PROPERTIES"]:
            return list(self._properties)
        if param == _CONTEXT["NUM_DEVICES"]:
            return len(self._devices)
        fail("clGetContextInfo", "INVALID_VALUE")

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


class CommandQueue(Handle):
    """A command queue on a device of a context."""

    _invalid = "INVALID_COMMAND_QUEUE"

    @translated("clCreateCommandQueue")
    def __init__(
        self,
        context: Context,
        device: Device | None = None,
        properties: Any = None,
    ) -> None:
        super().__init__()
        expect(context, Context, "context")
        if device is None:
            if not context._devices:
                fail("CommandQueue", "INVALID_VALUE", "context doesn't have any devices?")
            device = context._devices[0]
        expect(device, Device, "device")
        if device not in context._devices:
            fail("clCreateCommandQueue", "INVALID_DEVICE", "the device isn't of the context")
        flags = _flags(properties)
        if flags & _ON_DEVICE:
            fail("clCreateCommandQueueWithProperties", "INVALID_QUEUE_PROPERTIES")
        if flags & ~(OUT_OF_ORDER | PROFILING):
            fail("clCreateCommandQueue", "INVALID_VALUE")
        self._context = context
        self._device = device
        self._flags = flags
        self._runtime = context._runtime
        self._finalized = False
        self._id = self._runtime.new_id()
        message = session.CreateQueue(self._id, context._id, device._id, flags)
        self._runtime.say(message)
        weakref.finalize(self, self._runtime.release, self._id).atexit = False

    @property
    def _in_order(self) -> bool:
        return not self._flags & OUT_OF_ORDER

    def _check(self, routine: str) -> None:
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

    def get_info(self, param: int) -> Any:
        """Answer a queue query."""
        if param == _QUEUE["CONTEXT"]:
            return self._context
        if param == _QUEUE["DEVICE"]:
            return self._device
        if param == _QUEUE["REFERENCE_COUNT"]:
            return reference_count(self)
        if param == _QUEUE["PROPERTIES"]:
            return self._flags
        if param == _QUEUE["PROPERTIES_ARRAY"]:
            return [_QUEUE["PROPERTIES"], self._flags, 0] if self._flags else []
        fail("clGetCommandQueueInfo", "INVALID_COMMAND_QUEUE")

    @translated("clFlush")
    def flush(self) -> None:
        """Send what was enqueued."""
        self._check("clFlush")
        self._runtime.check()
        self._runtime.flush()

    @translated("clFinish")
    def finish(self) -> None:
        """Wait until all that was enqueued has ended; raise what failed and wasn't raised yet."""
        self._check("clFinish")
        self._runtime.check()
        if self._in_order:
            self._runtime.wait_for_queue(self._id)
        else:
            marker = self._runtime.enqueue(
                self._id, lambda event: session.Marker(event, self._id, [], False)
            )
            self._runtime.wait(marker)
            self._runtime.release(marker)
        self._raise_failure("clFinish")

    def _raise_failure(self, routine: str) -> None:
        """Raise the first failure of a command of this queue that wasn't raised yet."""
        with self._runtime.lock:
            failure = self._runtime.core.take_failure(self._id)
        if failure is not None:
            fail_code(routine, failure[1], failure[2])


def _flags(properties: Any) -> int:
    """command_queue_properties from an int, None, or a list of properties."""
    if properties is None:
        return 0
    if not isinstance(properties, Iterable):
        return size_t(properties, "properties")
    items = sizes(properties, "properties")
    flags = 0
    for name, value in zip(items[::2], items[1::2], strict=False):
        if name == _QUEUE["PROPERTIES"]:
            flags |= value
        elif name:
            fail("clCreateCommandQueueWithProperties", "INVALID_VALUE")
    return flags
