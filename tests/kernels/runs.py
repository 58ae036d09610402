"""Programs under test on one device: what they launch, and what became of each launch.

Owns: clusters by their number of nodes, and `Run`, through which a program uses a device. Must not
know: which programs there are, or how launches should be divided.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar
from unittest.mock import patch

import numpy as np
import numpy.typing as npt

import vcl as cl  # before pyopencl, which means the cluster then
from vcl.local import LocalCluster

# isort: split
import pyopencl.array

Array = npt.NDArray[Any]
T = TypeVar("T")

SPARE_BYTES = 52
"""Past the end of each buffer, where no program writes."""
SPARE = 0xA5
"""What is in them, and in all that a program hasn't filled."""


def rounded_up(sizes: Sequence[int], local: Sequence[int]) -> tuple[int, ...]:
    """The least multiples of the work-group's sizes that are no less than `sizes`."""
    return tuple(-(-size // group) * group for size, group in zip(sizes, local, strict=True))


class Run:
    """One run of a program on a device.

    scale: a program's data has so many times the sizes that it has in quick tests.
    """

    def __init__(self, device: Any, scale: int) -> None:
        self.scale = scale
        self.context = cl.Context([device])
        self.queue = cl.CommandQueue(self.context)
        self._events: dict[str, list[Any]] = defaultdict(list)
        self._kept: list[Any] = []
        self._kernels: dict[str, Any] = {}

    def build(self, source: str) -> None:
        """A program whose kernels `launch` launches from now on."""
        program = cl.Program(self.context, source).build()
        self._kernels = {kernel.function_name: kernel for kernel in program.all_kernels()}

    def buffer(self, contents: Array | int) -> Any:
        """A buffer of this array, or of so many bytes that nobody filled."""
        filled = b"" if isinstance(contents, int) else contents.tobytes()
        blank = contents if isinstance(contents, int) else 0
        host = np.frombuffer(filled + bytes([SPARE]) * (blank + SPARE_BYTES), np.uint8)
        flags = cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR
        return self.kept(cl.Buffer(self.context, flags, hostbuf=host))

    def array(self, contents: Array) -> Any:
        """An array of pyopencl's."""
        return self.kept(pyopencl.array.to_device(self.queue, contents))

    def kept(self, made: T) -> T:
        """The same buffer or array, whose bytes are among the run's contents."""
        self._kept.append(made)
        return made

    def launch(
        self, kernel: str, size: tuple[int, ...], local: tuple[int, ...] | None, *given: Any
    ) -> None:
        """A launch in the run's in-order queue; numbers of Python are 32 bits wide."""
        arguments = [
            np.int32(a) if isinstance(a, int) else np.float32(a) if isinstance(a, float) else a
            for a in given
        ]
        self._kernels[kernel](self.queue, size, local, *arguments)

    def read(self, buffer: Any, like: Array) -> Array:
        """What is in the buffer, as an array of the shape and dtype of another."""
        found = np.empty_like(like)
        cl.enqueue_copy(self.queue, found, buffer)
        return found

    def contents(self) -> list[bytes]:
        """All bytes of all that was kept, in that order."""
        return [
            kept.get().tobytes()
            if isinstance(kept, pyopencl.array.Array)
            else self.read(kept, np.empty(kept.size, np.uint8)).tobytes()
            for kept in self._kept
        ]

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """While this holds, launches are among the reports, whoever makes them."""
        enqueue = pyopencl._cl.enqueue_nd_range_kernel

        def recording(queue: Any, kernel: Any, *rest: Any, **named: Any) -> Any:
            event = enqueue(queue, kernel, *rest, **named)
            self._events[kernel.function_name].append(event)
            return event

        with patch.object(pyopencl._cl, "enqueue_nd_range_kernel", recording):
            yield

    def reports(self) -> dict[str, list[Any]]:
        """By kernel the reports of its launches."""
        return {name: [*map(cl.launch_report, events)] for name, events in self._events.items()}


@contextmanager
def devices_of(nodes: int) -> Iterator[list[Any]]:
    """A session of this process's own with a new cluster of so many nodes of one core: the
    cluster device, then the remote ones. Everything that can be is split."""
    from vcl.pyopencl_cl import session

    with LocalCluster(nodes=nodes, cores_per_node=1, split="always") as cluster:
        try:
            yield cl.connect(cluster.url, token=cluster.token).get_devices()
        finally:
            session.disconnect()
