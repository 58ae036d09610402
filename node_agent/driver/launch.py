"""Launching kernels.

Owns: setting a kernel's arguments, enqueuing it with the images that it is given, and what is kept
of launches that are repeated. Must not know: who waits for it, and how programs are built.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakSet

from node_agent.driver.failures import NotEnqueued, status_of
from node_agent.driver.images import LaunchImage
from node_agent.driver.memory import Device
from node_agent.driver.programs import Programs
from vcl.wire.messages import part
from vcl.wire.messages.session import (
    ARGUMENT_BUFFER,
    ARGUMENT_IMAGE,
    ARGUMENT_LOCAL,
    ARGUMENT_SAMPLER,
)
from vcl.wire.shapes import Told

_UNKNOWN = object()


class Kernel:
    """A kernel and the arguments that it was given last, as they travelled.

    What is the same again isn't set again, as long as no buffer was freed since.
    """

    def __init__(self, kernel: Any) -> None:
        self.kernel = kernel
        self._set_bytes = getattr(kernel, "_set_arg_buf_multi", None)
        self._known: Sequence[Any] = ()
        self._frees = 0

    def has(self, arguments: Sequence[Any], frees: int) -> bool:
        """Whether nothing must be set."""
        return self._frees == frees and self._known == arguments

    def changed(self, arguments: Sequence[Any], frees: int) -> list[tuple[int, Any]]:
        """(index, argument) of what must be set. Until `keep`, nothing is taken for known."""
        known = self._known if frees == self._frees else ()
        self._known, self._frees = (), frees
        known = [*known, *[_UNKNOWN] * (len(arguments) - len(known))]
        return [(i, a) for i, (a, k) in enumerate(zip(arguments, known, strict=False)) if a != k]

    def set_bytes(self, values: Sequence[Any]) -> None:
        """Set arguments by value: (index, bytes, ...). One by one takes sixty times as long."""
        if self._set_bytes is not None:
            self._set_bytes(tuple(values))
            return
        for at in range(0, len(values), 2):
            self.kernel.set_arg(values[at], values[at + 1])

    def keep(self, arguments: Sequence[Any], images: Sequence[int]) -> None:
        """These are set now; images are made anew for each launch."""
        if images:
            arguments = [_UNKNOWN if i in images else a for i, a in enumerate(arguments)]
        self._known = arguments


class Repeated:
    """A launch that is repeated, ready to be enqueued: a kernel that no other launch sets.

    call: what the driver's function is called with; None once the program is gone. frees: the
    device's when the arguments were set, -1 while it isn't known which are. values: those that are
    set, of the arguments by value.
    """

    __slots__ = ("__weakref__", "call", "frees", "kernel", "values")

    def __init__(self, kernel: Kernel, queue: Any, m: part.Run) -> None:
        self.kernel = kernel
        self.call: tuple[Any, ...] | None = (queue, kernel.kernel, *_geometry(m))
        self.frees = -1
        self.values: Sequence[bytes] = ()

    def set_values(self, told: Told, values: Sequence[bytes]) -> None:
        """Set the arguments by value, if these aren't set."""
        if len(values) != len(told.where):
            values = [*values, *told.values[len(values) :]]
        if values == self.values:
            return
        frees, self.frees = self.frees, -1
        self.kernel.set_bytes([x for pair in zip(told.where, values, strict=True) for x in pair])
        self.values, self.frees = values, frees


class Launcher:
    """Enqueues kernels of built programs."""

    def __init__(self, cl: Any, programs: Programs) -> None:
        self._cl = cl
        self._programs = programs
        self._enqueue = cl.enqueue_nd_range_kernel
        self._repeated: dict[int, WeakSet[Repeated]] = {}  # by program

    def launch(self, device: Device, m: part.Run | part.Merge) -> Any:
        """Enqueue a kernel; raises NotEnqueued if that can't be done."""
        try:
            kernel, images = self._prepare(device, m)
            event = self._enqueue_kernel(device, kernel, m)
        except Exception as error:  # drivers raise anything
            raise NotEnqueued(*status_of(error)) from error
        for image, access in images:
            if access != self._cl.kernel_arg_access_qualifier.READ_ONLY:
                event = image.store()
        return event

    def repeat(self, device: Device, told: Told, values: Sequence[bytes]) -> Any:
        """Enqueue a launch that was told, with other values for the first arguments by value.

        None of its arguments may be an image. Raises NotEnqueued if it can't be done.
        """
        try:
            repeated: Repeated | None = told.kept
            if repeated is None or repeated.frees != device.frees:
                repeated = self._set_up(device, told)
            if values or repeated.values is not told.values:
                repeated.set_values(told, values)
            assert repeated.call is not None
            return self._enqueue(*repeated.call)
        except Exception as error:  # drivers raise anything
            raise NotEnqueued(*status_of(error)) from error

    def _set_up(self, device: Device, told: Told) -> Repeated:
        """Set all arguments as they were told."""
        m = told.message
        repeated: Repeated | None = told.kept
        if repeated is None or repeated.call is None:
            repeated = Repeated(self._make_kernel(m), device.compute.queue, m)
            self._repeated.setdefault(m.program, WeakSet()).add(repeated)
            told.kept = repeated
        repeated.frees = -1
        self._set(device, repeated.kernel, m.arguments)
        repeated.kernel.keep((), ())  # from here on `repeated` knows
        repeated.values, repeated.frees = told.values, device.frees
        return repeated

    def forget(self, program: int) -> None:
        """Let go of the kernels of repeated launches of a program, which is released."""
        for repeated in self._repeated.pop(program, ()):
            repeated.call, repeated.frees = None, -1
            del repeated.kernel

    def _prepare(self, device: Device, m: part.Run | part.Merge) -> tuple[Any, list[Any]]:
        """The kernel with its arguments set, and (image, access qualifier) of its images."""
        kept = self._kernel(device, m)
        if kept.has(m.arguments, device.frees):
            return kept.kernel, []
        return kept.kernel, self._set(device, kept, m.arguments)

    def _set(self, device: Device, kept: Kernel, arguments: Sequence[Any]) -> list[Any]:
        """Set what must be set; answers (image, access qualifier) of the images."""
        images: dict[int, tuple[Any, Any]] = {}
        values: list[Any] = []
        for index, argument in kept.changed(arguments, device.frees):
            if type(argument) is bytes:
                values += (index, argument)
                continue
            kind = argument[0] if type(argument) is list else None
            if kind == ARGUMENT_BUFFER:
                argument = device.argument(self._cl, *argument[1:])
            elif kind == ARGUMENT_LOCAL:
                argument = self._cl.LocalMemory(argument[1])
            elif kind == ARGUMENT_SAMPLER:
                argument = device.sampler(self._cl, *argument[1:])
            elif kind == ARGUMENT_IMAGE:
                images[index] = self._image(device, kept.kernel, index, argument)
                argument = images[index][0].image
            if argument is None:
                kept.kernel._set_arg_null(index)  # set_arg of pyopencl 2024.3 takes no None
            else:
                kept.kernel.set_arg(index, argument)
        if values:
            kept.set_bytes(values)
        kept.keep(arguments, list(images))
        return list(images.values())

    def _kernel(self, device: Device, m: part.Run | part.Merge) -> Kernel:
        # A merge runs on the host thread: it must not meet a launch in one kernel's arguments.
        if isinstance(m, part.Merge):
            return self._make_kernel(m)
        kept = device.kernels.get(m.program, {}).get(m.kernel)
        if kept is None:
            kept = self._make_kernel(m)
            device.kernels.setdefault(m.program, {})[m.kernel] = kept
        return kept

    def _make_kernel(self, m: part.Run | part.Merge) -> Kernel:
        program = self._programs.program(m.program, m.device)
        return Kernel(self._cl.Kernel(program, m.kernel))

    def _image(
        self, device: Device, kernel: Any, index: int, argument: Sequence[int]
    ) -> tuple[LaunchImage, Any]:
        queue, buffer = device.compute.queue, device.buffer(argument[1])
        image = LaunchImage(self._cl, device.context, queue, buffer, argument)
        return image, kernel.get_arg_info(index, self._cl.kernel_arg_info.ACCESS_QUALIFIER)

    def _enqueue_kernel(self, device: Device, kernel: Any, m: part.Run | part.Merge) -> Any:
        return self._enqueue(device.compute.queue, kernel, *_geometry(m))


def has_images(arguments: Sequence[Any]) -> bool:
    """Whether an argument is an image."""
    return any(type(a) is list and a[0] == ARGUMENT_IMAGE for a in arguments)


def _geometry(m: part.Run | part.Merge) -> tuple[Any, ...]:
    """Global size, local size and offset as the driver's function takes them."""
    local = None if m.local_size is None else tuple(m.local_size)
    return tuple(m.global_size), local, tuple(m.global_offset)
