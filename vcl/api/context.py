"""Contexts and command queues (OpenCL 3.0 API, 4.4 and 5.1).

Owns: `Context`, `CommandQueue`, and the checks of their arguments. Must not know: memory,
programs, what is enqueued.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vcl.api.devices import Device
from vcl.api.errors import fail, fail_code
from vcl.api.lifetimes import CONTEXTS, REFERENCES, Leaving, Owner
from vcl.api.runtime import Runtime
from vcl.constants import CLASSES
from vcl.wire.messages import session

_INFO = CLASSES["context_info"]
_QUEUE = CLASSES["command_queue_info"]
_PROPERTIES = CLASSES["command_queue_properties"]
OUT_OF_ORDER = _PROPERTIES["OUT_OF_ORDER_EXEC_MODE_ENABLE"]
PROFILING = _PROPERTIES["PROFILING_ENABLE"]
_ON_DEVICE = _PROPERTIES["ON_DEVICE"] | _PROPERTIES["ON_DEVICE_DEFAULT"]


def check_devices(devices: Sequence[Any]) -> None:
    """Raise CallError for what a context can't be of."""
    if not devices:
        fail("clCreateContext", "INVALID_VALUE", "a context needs a device")
    if not all(isinstance(device, Device) for device in devices):
        fail("clCreateContext", "INVALID_DEVICE")


def check_property(given: Sequence[Any]) -> None:
    """Raise CallError for a property that isn't a name with a value."""
    if len(given) != 2:
        fail("Context", "INVALID_VALUE", "property tuple must have length 2")


class Context:
    """A context on the cluster device or on remote devices.

    _written: blocking writes that may be under way still, by event: what is enqueued later on any
    queue waits for them, so that a blocking write need not wait itself.
    """

    _initial: int | None = None

    def __init__(
        self,
        runtime: Runtime,
        devices: Sequence[Device],
        properties: Sequence[Sequence[Any]] = (),
    ) -> None:
        """devices, properties: as `check_devices` and `check_property` let pass; properties are
        kept to be asked for, and change nothing. Raises OperatingError."""
        cluster = next((device for device in devices if device._id == 0), None)
        if cluster is not None:
            ids = [remote.device for remote in cluster._remotes]
        else:
            ids = [device._id for device in devices]
        self._devices: Any = list(devices)
        self._properties = list(properties)
        self._written: dict[int, Any] = {}
        self._runtime = runtime
        number = runtime.new_id()
        runtime.say(session.CreateContext(number, ids, cluster is not None))
        self._living = CONTEXTS.add()
        self._id = number

    def __del__(self) -> None:
        # Not by weakref.finalize, which does nothing any more once Python ends.
        if hasattr(self, "_id"):
            if self._initial is not None:
                self._runtime.release(self._initial)
            self._runtime.release(self._id)
            self._leaving = Leaving(CONTEXTS, self._living)

    def _query(self, param: int) -> Any:
        """Answer a query. param: of context_info. Raises CallError for what isn't any."""
        if param == _INFO["REFERENCE_COUNT"]:
            return REFERENCES
        if param == _INFO["DEVICES"]:
            return list(self._devices)
        if param == _INFO["PROPERTIES"]:
            return list(self._properties)
        if param == _INFO["NUM_DEVICES"]:
            return len(self._devices)
        fail("clGetContextInfo", "INVALID_VALUE")

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


class CommandQueue:
    """A command queue on a device of a context."""

    def __init__(self, context: Any, device: Any, flags: int) -> None:
        """device: of the context. flags: command_queue_properties. Raises CallError,
        OperatingError."""
        if device not in context._devices:
            fail("clCreateCommandQueue", "INVALID_DEVICE", "the device isn't of the context")
        if flags & _ON_DEVICE:
            fail("clCreateCommandQueueWithProperties", "INVALID_QUEUE_PROPERTIES")
        if flags & ~(OUT_OF_ORDER | PROFILING):
            fail("clCreateCommandQueue", "INVALID_VALUE")
        self._context = context
        self._device = device
        self._flags = flags
        self._runtime: Runtime = context._runtime
        self._id = self._runtime.new_id()
        self._runtime.say(session.CreateQueue(self._id, context._id, device._id, flags))
        self._owner = Owner(self._runtime, self._id)

    @property
    def _in_order(self) -> bool:
        return not self._flags & OUT_OF_ORDER

    def _query(self, param: int) -> Any:
        """Answer a query. param: of command_queue_info. Raises CallError for what isn't any."""
        if param == _QUEUE["CONTEXT"]:
            return self._context
        if param == _QUEUE["DEVICE"]:
            return self._device
        if param == _QUEUE["REFERENCE_COUNT"]:
            return REFERENCES
        if param == _QUEUE["PROPERTIES"]:
            return self._flags
        if param == _QUEUE["PROPERTIES_ARRAY"]:
            return [_QUEUE["PROPERTIES"], self._flags, 0] if self._flags else []
        fail("clGetCommandQueueInfo", "INVALID_COMMAND_QUEUE")

    def _flush(self) -> None:
        """Send what was enqueued. Raises OperatingError."""
        self._runtime.check()
        self._runtime.flush()

    def _finish(self) -> None:
        """Wait until all that was enqueued has ended; raise what failed and wasn't raised yet."""
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


def queue_flags(properties: Sequence[int]) -> int:
    """command_queue_properties of a list of names and values (OpenCL 3.0 API, 5.1)."""
    flags = 0
    for name, value in zip(properties[::2], properties[1::2], strict=False):
        if name == _QUEUE["PROPERTIES"]:
            flags |= value
        elif name:
            fail("clCreateCommandQueueWithProperties", "INVALID_VALUE")
    return flags
