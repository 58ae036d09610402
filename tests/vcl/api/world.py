"""A session without processes or sockets, for the tests of OpenCL's rules.

Owns: `StubRuntime`, which keeps the messages that were made, and objects on it. Must not know: how
messages travel, or what becomes of commands; tests say that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from tests.described import INFO, device
from vcl.api.context import Context
from vcl.api.devices import Device
from vcl.api.images import OBJECT, Image
from vcl.api.kernel import Kernel
from vcl.api.memory import FLAGS
from vcl.api.pixels import ORDER, TYPE
from vcl.api.program import Program
from vcl.api.svm import Allocation
from vcl.client_core import COMPLETE, Destination, Enqueued, EventState
from vcl.constants import CLASSES
from vcl.errors import CallError, OperatingError
from vcl.wire.frame import Bytes
from vcl.wire.messages import session
from vcl.wire.messages.handshake import DeviceDescription, RemoteDevice

ADDRESS = CLASSES["kernel_arg_address_qualifier"]


class StubRuntime:
    """What `vcl.api.runtime.Runtime` asks for.

    said: all messages, in order. staged: bytes of writes, by staging. reads: destinations by event.
    released: numbers, in order. states: of events; a test changes them. answers: to requests, by
    the type of the message. dead: what every call raises, if anything. devices: of the cluster.
    """

    def __init__(self, devices: Sequence[RemoteDevice] = ()) -> None:
        self.devices = devices
        self.lock = threading.RLock()
        self.core = self
        self.said: list[Any] = []
        self.staged: dict[int, bytes] = {}
        self.reads: dict[int, Destination] = {}
        self.released: list[int] = []
        self.states: dict[int, EventState] = {}
        self.answers: dict[type, Callable[[Any], Any]] = {}
        self.failures: dict[int, tuple[int, int, str]] = {}
        self.waited: list[int] = []
        self.flushes = 0
        self.callbacks: list[tuple[str, int, Callable[[int], None]]] = []
        self.dead: OperatingError | None = None
        self._latest = 0

    def check(self) -> None:
        if self.dead is not None:
            raise self.dead

    def new_id(self) -> int:
        self._latest += 1
        return self._latest

    def say(self, message: Any) -> None:
        self.check()
        self.said.append(message)

    def ask(self, message: Any) -> Any:
        self.say(message)
        return self.answers[type(message)](message)

    def launch(self, queue: int, launch: Enqueued, waits: list[int]) -> int:
        return self.enqueue(queue, lambda event: launch.message(event, waits))

    def enqueue(self, queue: int, make: Callable[[int], Any]) -> int:
        self.check()
        event = self.new_id()
        self.states[event] = EventState(queue)
        self.said.append(make(event))
        return event

    def keep(self, data: memoryview) -> Bytes:
        return bytes(data)

    def write(self, queue: int, data: Bytes, make: Callable[[int, int, bytes], Any]) -> int:
        staging = self.new_id()
        self.staged[staging] = data
        return self.enqueue(queue, lambda event: make(event, staging, b""))

    def read(self, queue: int, destination: Destination, make: Callable[[int], Any]) -> int:
        event = self.enqueue(queue, make)
        self.reads[event] = destination
        return event

    def release(self, number: int) -> None:
        self.released.append(number)

    def has_ended(self, event: int) -> bool:
        return self.states[event].status <= COMPLETE

    def wait(self, event: int) -> EventState:
        self.check()
        self.waited.append(event)
        if self.states[event].status > COMPLETE:
            self.states[event].status = COMPLETE
        return self.states[event]

    def wait_for_queue(self, queue: int) -> None:
        for event, state in self.states.items():
            if state.queue == queue:
                self.wait(event)

    def wait_for_last_words(self, event: int) -> None:
        self.wait(event)

    def wait_for_room(self) -> None:
        self.check()

    def state(self, event: int) -> EventState:
        return self.states[event]

    def flush(self) -> None:
        self.flushes += 1

    def when_submitted(self, event: int, callback: Callable[[int], None]) -> None:
        self.callbacks.append(("submitted", event, callback))

    def when_ended(self, event: int, callback: Callable[[int], None]) -> None:
        self.callbacks.append(("ended", event, callback))

    def user_event_set(self, event: int) -> None:
        self.states[event].status = COMPLETE

    # What a client's core has.

    def take_failure(self, queue: int) -> tuple[int, int, str] | None:
        return self.failures.pop(queue, None)

    def told_failure(self, event: int, queue: int) -> None:
        self.failures.pop(queue, None)

    def begin_user(self) -> int:
        event = self.new_id()
        self.states[event] = EventState(0)
        return event


def remotes(count: int = 2, **changes: Any) -> list[RemoteDevice]:
    """Devices 1, 2 ... on a node each."""
    return [
        RemoteDevice(device=n, node=n, node_name=f"n{n}", description=device(**changes))
        for n in range(1, count + 1)
    ]


def make_context(runtime: StubRuntime, **changes: Any) -> Context:
    """A context of the cluster device of two remote ones."""
    return Context(runtime, [Device(remotes(**changes), None)])


def make_kernel(
    context: Context, *arguments: tuple[int, str], local_size: tuple[int, ...] = (0, 0, 0)
) -> Kernel:
    """A kernel "k" that was built; arguments: (address qualifier, type name) each."""
    runtime: Any = context._runtime
    groups = [[n, [64, [*local_size], 0, 1, 0, ""]] for n in (1, 2)]
    declared = [[address, name, 0, 0, f"a{at}"] for at, (address, name) in enumerate(arguments)]
    runtime.answers[session.BuildProgram] = lambda message: session.Built(
        message.request, 0, "", [[1, 0, ""], [2, 0, ""]], [["k", groups, declared]]
    )
    program = Program(context, "kernel void k() {}")
    program._build_all("", None)
    return Kernel(program, "k")


@contextmanager
def refused(routine: str, status: str, text: str = "") -> Iterator[None]:
    """A block that raises exactly this CallError, with `text` in its message."""
    with pytest.raises(CallError) as raised:
        yield
    error = raised.value
    assert (error.routine, error.code) == (routine, CLASSES["status_code"][status])
    assert text in error.message


def check_answers(
    query: Callable[[int], Any], params: dict[str, int], answers: dict[str, Any]
) -> None:
    """Assert what is answered to queries. params: their class, by name."""
    assert {name: query(params[name]) for name in answers} == answers


IMAGE_LIMITS = {
    "IMAGE_SUPPORT": True, "IMAGE2D_MAX_WIDTH": 64, "IMAGE2D_MAX_HEIGHT": 32,
    "IMAGE3D_MAX_WIDTH": 16, "IMAGE3D_MAX_HEIGHT": 8, "IMAGE_MAX_BUFFER_SIZE": 128,
}  # fmt: skip


def image_context(runtime: StubRuntime) -> Context:
    """A context of a device that takes images of all kinds, of one channel of bytes or floats."""
    pairs = [[ORDER["R"], TYPE[name]] for name in ("UNSIGNED_INT8", "FLOAT")]
    pairs.append([ORDER["RGBA"], TYPE["FLOAT"]])
    formats: Any = {"READ_WRITE": dict.fromkeys(OBJECT, pairs)}
    described = DeviceDescription(
        platform={}, info=INFO | IMAGE_LIMITS, image_formats=formats
    )
    remote = RemoteDevice(device=1, node=1, node_name="n1", description=described)
    return Context(runtime, [Device([remote], None)])


def make_image(
    context: Context,
    shape: Sequence[int],
    kind: int,
    image_type: str = "IMAGE2D",
    *,
    order: int = ORDER["R"],
    flags: int | None = None,
    data: bytes | None = None,
    pitches: Sequence[int] = (),
) -> Image:
    """An image with pixels of its own; data: what it holds at first."""
    if flags is None:
        flags = FLAGS["READ_WRITE"] | (FLAGS["COPY_HOST_PTR"] if data is not None else 0)
    image = Image.__new__(Image)
    image._shape(context, flags, OBJECT[image_type], (order, kind), shape, "r")
    host = None if data is None else memoryview(data)
    image._make_pixels(context, flags, host, pitches, "r")
    return image


def make_shared(
    context: Context, address: int, size: int, flags: int = FLAGS["READ_WRITE"]
) -> Allocation:
    """Shared memory that is said to be at an address."""
    return Allocation(context, flags, address, memoryview(bytearray(size)))
