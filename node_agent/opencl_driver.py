"""The real OpenCL driver behind an executor: the only module that touches pyopencl.

Owns: contexts, driver queues, memory, programs and kernels of one session on this host. Must not
know: sessions' rules, connections, transfers' credit.

Each device has its own context and two in-order queues: one for kernels, fills, copies and
snapshots, one for bytes to and from the host, so that a transfer isn't stuck behind unrelated
kernels. One thread per queue waits for events and reports what ended in batches; another thread
builds, packs changes and merges. Everything else is called from the shell's thread only.

Long because it is the one place that knows the driver; splitting it would spread that knowledge.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

import numpy as np

from node_agent import merge
from node_agent.effects import StartMerge, Store
from node_agent.images import LaunchImage
from node_agent.includes import Includes
from node_agent.inputs import BuildEnded, BytesReady, Ended
from node_agent.printed import Printer
from vcl.errors import (
    BUILD_PROGRAM_FAILURE,
    MEM_OBJECT_ALLOCATION_FAILURE,
    OUT_OF_HOST_MEMORY,
    OUT_OF_RESOURCES,
)
from vcl.text import clipped
from vcl.wire.frame import values_in
from vcl.wire.limits import log_bytes_max, message_values_max
from vcl.wire.messages import part, session
from vcl.wire.messages.session import (
    ARGUMENT_BUFFER,
    ARGUMENT_IMAGE,
    ARGUMENT_LOCAL,
    ARGUMENT_SAMPLER,
    clipped_logs,
)


def load_pyopencl() -> Any:
    """The real pyopencl, even though importing vcl makes it mean the cluster elsewhere."""
    sys.meta_path[:] = [f for f in sys.meta_path if not getattr(f, "vcl_swaps_pyopencl", False)]
    import pyopencl

    return pyopencl


class DriverFailure(Exception):
    """An operation failed with an OpenCL status."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class _NotEnqueued(DriverFailure):
    """A kernel couldn't be enqueued: the driver has changed nothing."""


def _failure(error: BaseException) -> tuple[int, str]:
    """(status, text) of whatever an operation raised."""
    if isinstance(error, DriverFailure):
        return error.code, error.text
    if isinstance(error, MemoryError):
        return OUT_OF_HOST_MEMORY, "the node is out of memory"
    code = getattr(error, "code", None)
    return (code, str(error)) if type(code) is int and code < 0 else (OUT_OF_RESOURCES, repr(error))


events_handed_over_max = 64
"""Events that are kept for the waiting thread until a batch of effects ends: to wake it costs."""

_UNKNOWN = object()

Finish = Callable[[int, int, int], Any]
"""What is told of an operation that started and ended at these times."""

_Watched = tuple[Any, Finish, int]


def _stored(operation: int, start: int, end: int) -> Ended:
    return Ended(operation, 0, start, end)


def _untold(operation: int, start: int, end: int) -> None:
    """Nothing."""


class _Queue:
    """An in-order driver queue and the thread that waits for its events in their order."""

    def __init__(self, cl: Any, context: Any, post: Callable[[list[Any]], None]) -> None:
        properties = cl.command_queue_properties.PROFILING_ENABLE
        self.queue = cl.CommandQueue(context, properties=properties)
        self._cl = cl
        self._post = post
        self._status = cl.event_info.COMMAND_EXECUTION_STATUS
        self._start, self._end = cl.profiling_info.START, cl.profiling_info.END
        self._clock_offset: int | None = None
        self._watched: list[_Watched] = []
        self._waiting: SimpleQueue[list[_Watched] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()

    def watch(self, event: Any, finish: Finish, operation: int) -> None:
        """Post finish(operation, start, end), if that isn't None, when the event ends, or a failed
        Ended; soon after `flush`."""
        self._watched.append((event, finish, operation))
        if len(self._watched) >= events_handed_over_max:
            self._hand_over()

    def flush(self) -> None:
        """Submit what was enqueued, and wait for what is watched."""
        self.queue.flush()
        self._hand_over()

    def _hand_over(self) -> None:
        if self._watched:
            self._waiting.put(self._watched)
            self._watched = []

    def close(self) -> None:
        """End the thread once all that it watches has ended."""
        self._hand_over()
        self._waiting.put(None)
        self._thread.join()

    def _wait(self) -> None:
        ended: list[Any] = []
        while (watched := self._waiting.get()) is not None:
            for event, finish, operation in watched:
                if ended and event.get_info(self._status) != 0:
                    self._post(ended)  # this one isn't complete: tell what is
                    ended = []
                try:
                    event.wait()
                    result = finish(operation, *self._times(event))
                    if result is not None:
                        ended.append(result)
                except self._cl.Error as error:
                    code, text = _failure(error)
                    ended.append(Ended(operation, code, 0, 0, text))
            if ended and self._waiting.empty():
                self._post(ended)
                ended = []
        if ended:
            self._post(ended)

    def _times(self, event: Any) -> tuple[int, int]:
        """Start and end of an event in ns of this host's wall clock."""
        # Not event.profile, which takes twenty times as long.
        start = event.get_profiling_info(self._start)
        end = event.get_profiling_info(self._end)
        # An event is seen to have ended after it did, so the smallest difference is the best.
        offset = time.time_ns() - end
        if self._clock_offset is None or offset < self._clock_offset:
            self._clock_offset = offset
        return start + self._clock_offset, end + self._clock_offset


class _Kernel:
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


class _Device:
    """A device's context, queues and memory."""

    def __init__(self, cl: Any, device: Any, post: Callable[[list[Any]], None]) -> None:
        self.device = device
        self.context = cl.Context([device])
        self.compute = _Queue(cl, self.context, post)
        self.transfer = _Queue(cl, self.context, post)
        self.buffers: dict[int, Any] = {}
        self.shared: dict[int, Any] = {}  # the memory behind buffers that are shared virtual memory
        self.regions: dict[tuple[int, int, int], Any] = {}
        self.allocation_failures: dict[int, str] = {}
        self.snapshots: dict[int, list[Any]] = {}
        self.samplers: dict[tuple[int, ...], Any] = {}
        self.kernels: dict[tuple[int, str], _Kernel] = {}
        self.frees = 0  # how often a buffer went: kernels may know one that is gone

    def buffer(self, number: int) -> Any:
        found = self.buffers.get(number)
        if found is None:
            text = self.allocation_failures.get(number, "the buffer isn't on this device")
            raise DriverFailure(MEM_OBJECT_ALLOCATION_FAILURE, text)
        return found

    def allocate(self, cl: Any, m: part.Allocate) -> Any:
        """Memory for a buffer; what kernels may be given pointers into, as the device's own."""
        flags = cl.mem_flags.READ_WRITE
        coarse = cl.device_svm_capabilities.COARSE_GRAIN_BUFFER
        if not m.shared or not _capabilities(cl, self.device) & coarse:
            return cl.Buffer(self.context, flags, m.size)
        memory = cl.SVMAllocation(self.context, m.size, 0, cl.svm_mem_flags.READ_WRITE)
        self.shared[m.buffer] = memory
        host = np.frombuffer(memory.buf, np.uint8)
        # OpenCL 3.0 API, 5.6.1: the buffer is that memory, not a copy of it.
        return cl.Buffer(self.context, flags | cl.mem_flags.USE_HOST_PTR, hostbuf=host)

    def argument(self, cl: Any, number: int, offset: int, size: int) -> Any:
        """A region as a kernel's argument: a sub-buffer, or where it can't be one, a pointer."""
        memory = self.shared.get(number)
        if memory is None or offset % (self.device.mem_base_addr_align // 8) == 0:
            return self.region(number, offset, size)
        return cl.SVM(np.frombuffer(memory.buf, np.uint8)[offset:])

    def sampler(self, cl: Any, normalized: int, *modes: int) -> Any:
        """A sampler. There are few kinds of them, which are kept: PoCL doesn't retain what a kernel
        was given, and a launch that outlived its sampler read wrong pixels."""
        found = self.samplers.get((normalized, *modes))
        if found is None:
            found = cl.Sampler(self.context, bool(normalized), *modes)
            self.samplers[normalized, *modes] = found
        return found

    def region(self, number: int, offset: int, size: int) -> Any:
        whole = self.buffer(number)
        if offset == 0 and size == whole.size:
            return whole
        key = (number, offset, size)
        found = self.regions.get(key)
        if found is None:
            found = self.regions[key] = whole.get_sub_region(offset, size)
        return found


class Driver:
    """Carries out Start, Store, StartMerge and Unmap effects.

    devices: (device id, index in the inventory) each. post: takes lists of inputs for the core,
    from any thread.
    """

    def __init__(
        self,
        devices: Sequence[Sequence[int]],
        substring: str | None,
        post: Callable[[list[Any]], None],
    ) -> None:
        self._cl = load_pyopencl()
        self._post = post
        found = matching_devices(self._cl, substring)
        self._found = {device: found[index] for device, index in devices}
        self._devices: dict[int, _Device] = {}
        self._devices_lock = threading.Lock()  # builds begin on the host thread
        self._programs: dict[tuple[int, int], Any] = {}  # by (program, device)
        self._printer = Printer(self._cl, post)
        self._events: dict[int, Any] = {}  # of queued operations that may be running
        self._mapped: dict[int, list[Any]] = {}  # by operation: arrays to be unmapped
        self._host = ThreadPoolExecutor(1, thread_name_prefix="host")
        self._commands: Mapping[type, Callable[[Any], None]] = {
            part.Run: self._run,
            part.FillRegion: self._fill,
            part.CopyRegion: self._copy,
            part.CopyBox: self._copy_box,
            part.Snapshot: self._snapshot,
            part.Send: self._send,
        }
        self._others: Mapping[type, Callable[[Any], None]] = {
            part.Allocate: self._allocate,
            part.Free: self._free,
            part.Build: self._start_build,
            part.ForgetProgram: self._forget_program,
            part.SendChanges: self._start_packing,
        }

    def _device(self, number: int) -> _Device:
        known = self._devices.get(number)
        if known is not None:
            return known
        with self._devices_lock:
            found = self._devices.get(number)
            if found is None:
                found = self._devices[number] = _Device(self._cl, self._found[number], self._post)
            return found

    # ---- effects

    def start(self, message: Any) -> None:
        """Carry out a Start; see effects.Start for what answers it."""
        command = self._commands.get(type(message))
        if command is None:
            self._others[type(message)](message)
            return
        try:
            command(message)
        except Exception as error:  # as in _guarded, which costs each launch a call more
            self._failed(message.operation, error)

    def flush(self) -> None:
        """Submit what was enqueued; called after each batch of effects."""
        for device in self._devices.values():
            device.compute.flush()
            device.transfer.flush()

    def _guarded(self, operation: int, carry_out: Callable[[Any], None], argument: Any) -> None:
        """Whatever goes wrong in an operation is that operation's failure."""
        try:
            carry_out(argument)
        except Exception as error:  # drivers raise anything; it's told to the user, with its text
            self._failed(operation, error)

    def _failed(self, operation: int, error: Exception) -> None:
        code, text = _failure(error)
        self._post([Ended(operation, code, 0, 0, text)])

    def _allocate(self, message: part.Allocate) -> None:
        device = self._device(message.device)
        device.frees += message.buffer in device.buffers
        try:
            device.buffers[message.buffer] = device.allocate(self._cl, message)
        except self._cl.Error as error:
            device.allocation_failures[message.buffer] = (
                f"a buffer of {message.size} bytes can't be allocated: {error}"
            )

    def _free(self, message: part.Free) -> None:
        device = self._device(message.device)
        device.frees += 1
        device.buffers.pop(message.buffer, None)
        device.shared.pop(message.buffer, None)
        device.allocation_failures.pop(message.buffer, None)
        for region in [r for r in device.regions if r[0] == message.buffer]:
            del device.regions[region]
        self._post([Ended(message.operation, 0, 0, 0)])

    def _queued(self, operation: int, device: _Device, event: Any, watched: Any = None) -> None:
        """watched: what is to be waited for in place of the event."""
        self._events[operation] = event
        device.compute.watch(
            event if watched is None else watched, self._queued_ended, operation
        )

    def _queued_ended(self, operation: int, start: int, end: int) -> Ended:
        self._events.pop(operation, None)
        return Ended(operation, 0, start, end)

    def _run(self, message: part.Run) -> None:
        device = self._device(message.device)
        prints = self._printer.prints(message.program)
        if prints:
            self._printer.wait_for_reading(message.device, device.compute.queue)
        try:
            event = self._launch(device, message)
        except _NotEnqueued as error:
            ended = Ended(message.operation, error.code, 0, 0, error.text, part.UNTOUCHED)
            self._post([ended])
            return
        watched = self._printer.watch(message, event, device.context) if prints else None
        self._queued(message.operation, device, event, watched)

    def _launch(self, device: _Device, m: part.Run | part.Merge) -> Any:
        """Enqueue a kernel; raises _NotEnqueued if that can't be done."""
        try:
            kernel, images = self._prepare(device, m)
            event = self._enqueue_kernel(device, kernel, m)
        except Exception as error:  # drivers raise anything
            raise _NotEnqueued(*_failure(error)) from error
        for image, access in images:
            if access != self._cl.kernel_arg_access_qualifier.READ_ONLY:
                event = image.store()
        return event

    def _prepare(self, device: _Device, m: part.Run | part.Merge) -> tuple[Any, list[Any]]:
        """The kernel with its arguments set, and (image, access qualifier) of its images."""
        kept = self._kernel(device, m)
        if kept.has(m.arguments, device.frees):
            return kept.kernel, []
        images: dict[int, tuple[Any, Any]] = {}
        values: list[Any] = []
        for index, argument in kept.changed(m.arguments, device.frees):
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
            kept.kernel.set_arg(index, argument)
        if values:
            kept.set_bytes(values)
        kept.keep(m.arguments, list(images))
        return kept.kernel, list(images.values())

    def _kernel(self, device: _Device, m: part.Run | part.Merge) -> _Kernel:
        # A merge runs on the host thread: it must not meet a launch in one kernel's arguments.
        key = (m.program, m.kernel)
        kept = None if isinstance(m, part.Merge) else device.kernels.get(key)
        if kept is None:
            program = self._programs.get((m.program, m.device))
            if program is None:
                raise DriverFailure(BUILD_PROGRAM_FAILURE, "the program isn't built here")
            kept = _Kernel(self._cl.Kernel(program, m.kernel))
            if isinstance(m, part.Run):
                device.kernels[key] = kept
        return kept

    def _image(
        self, device: _Device, kernel: Any, index: int, argument: Sequence[int]
    ) -> tuple[LaunchImage, Any]:
        queue, buffer = device.compute.queue, device.buffer(argument[1])
        image = LaunchImage(self._cl, device.context, queue, buffer, argument)
        return image, kernel.get_arg_info(index, self._cl.kernel_arg_info.ACCESS_QUALIFIER)

    def _enqueue_kernel(self, device: _Device, kernel: Any, m: part.Run | part.Merge) -> Any:
        return self._cl.enqueue_nd_range_kernel(
            device.compute.queue,
            kernel,
            tuple(m.global_size),
            None if m.local_size is None else tuple(m.local_size),
            tuple(m.global_offset),
        )

    def _fill(self, m: part.FillRegion) -> None:
        device = self._device(m.device)
        pattern = m.pattern
        if len(pattern) == 1 and m.offset % 16 == 0 and m.size % 16 == 0:
            pattern *= 16
        event = self._cl.enqueue_fill_buffer(
            device.compute.queue,
            device.buffer(m.buffer),
            np.frombuffer(pattern, np.uint8),
            m.offset,
            m.size,
        )
        self._queued(m.operation, device, event)

    def _copy(self, m: part.CopyRegion) -> None:
        device = self._device(m.device)
        event = self._cl.enqueue_copy(
            device.compute.queue,
            device.buffer(m.destination),
            device.buffer(m.source),
            byte_count=m.size,
            src_offset=m.source_offset,
            dst_offset=m.destination_offset,
        )
        self._queued(m.operation, device, event)

    def _copy_box(self, m: part.CopyBox) -> None:
        device = self._device(m.device)
        event = self._cl.enqueue_copy(
            device.compute.queue,
            device.buffer(m.destination),
            device.buffer(m.source),
            src_origin=_origin(m.source_offset, m.source_row_pitch, m.source_slice_pitch),
            dst_origin=_origin(
                m.destination_offset, m.destination_row_pitch, m.destination_slice_pitch
            ),
            region=(m.row_bytes, m.rows, m.slices),
            src_pitches=(m.source_row_pitch, m.source_slice_pitch),
            dst_pitches=(m.destination_row_pitch, m.destination_slice_pitch),
        )
        self._queued(m.operation, device, event)

    def _snapshot(self, m: part.Snapshot) -> None:
        device = self._device(m.device)
        copies = []
        event = None
        for buffer, offset, size, _ in m.regions:
            copy = self._cl.Buffer(device.context, self._cl.mem_flags.READ_WRITE, size)
            event = self._cl.enqueue_copy(
                device.compute.queue,
                copy,
                device.buffer(buffer),
                byte_count=size,
                src_offset=offset,
            )
            copies.append(copy)
        device.snapshots[m.merge] = copies
        self._queued(m.operation, device, event)

    # ---- bytes

    def _map(
        self, device: _Device, buffer: Any, offset: int, size: int, flags: int, after: Any = None
    ) -> tuple[Any, Any]:
        mapped: tuple[Any, Any] = self._cl.enqueue_map_buffer(
            device.transfer.queue,
            buffer,
            flags,
            offset,
            (size,),
            np.uint8,
            wait_for=after,
            is_blocking=False,
        )
        return mapped

    def _send(self, m: part.Send) -> None:
        device = self._device(m.device)
        # The threads that wait take events out as they end.
        found = [self._events.get(w) for w in m.waits]
        after = [event for event in found if event is not None]
        array, event = self._map(
            device, device.buffer(m.buffer), m.offset, m.size, self._cl.map_flags.READ, after
        )
        self._mapped[m.operation] = [(device, array)]

        def finish(operation: int, start: int, end: int) -> BytesReady:
            return BytesReady(operation, (memoryview(array),), start)

        device.transfer.watch(event, finish, m.operation)

    def unmap(self, operation: int) -> None:
        """Carry out an Unmap."""
        for device, array in self._mapped.pop(operation, ()):
            array.base.release(device.transfer.queue)

    def drop_snapshot(self, device: int, merge: int) -> None:
        """Carry out a DropSnapshot."""
        self._device(device).snapshots.pop(merge, None)

    def store(self, store: Store) -> None:
        """Carry out a Store."""
        m = store.message
        self._guarded(m.operation, self._store, store)

    def _store(self, store: Store) -> None:
        m = store.message
        device = self._device(m.device)
        if store.data:
            event = self._cl.enqueue_copy(
                device.transfer.queue,
                device.buffer(m.buffer),
                store.data,
                dst_offset=m.offset + store.offset,
                is_blocking=False,
            )
        else:
            event = self._cl.enqueue_marker(device.transfer.queue)
        # The bytes of any must live until its end, though only the last one's is told.
        device.transfer.watch(event, _stored if store.last else _untold, m.operation)

    # ---- merging, on the host thread

    def _start_packing(self, m: part.SendChanges) -> None:
        self._host.submit(self._guarded, m.operation, self._pack_changes, m)

    def _pack_changes(self, m: part.SendChanges) -> None:
        device = self._device(m.device)
        start = time.time_ns()
        snapshots = device.snapshots.pop(m.merge)
        read = self._cl.map_flags.READ
        data: list[Any] = []
        for (buffer, offset, size, element), snapshot in zip(m.regions, snapshots, strict=True):
            before, event_before = self._map(device, snapshot, 0, size, read)
            after, event_after = self._map(device, device.buffer(buffer), offset, size, read)
            self._cl.wait_for_events([event_before, event_after])
            packed = merge.pack_changes(before, after, element)
            data += [len(packed).to_bytes(8, "little"), packed]
            before.base.release(device.transfer.queue)
            after.base.release(device.transfer.queue)
        self._post([BytesReady(m.operation, tuple(data), start)])

    def start_merge(self, effect: StartMerge) -> None:
        """Carry out a StartMerge."""
        self._host.submit(
            self._guarded, effect.message.operation, self._merge, effect
        )

    def _merge(self, effect: StartMerge) -> None:
        m: part.Merge = effect.message
        device = self._device(m.device)
        start = time.time_ns()
        snapshots = device.snapshots.pop(m.merge)
        changes = [_split_changes(c, len(m.regions)) for c in effect.changes]
        extra = None
        flags = self._cl.map_flags.READ | self._cl.map_flags.WRITE
        for index, (buffer, offset, size, element) in enumerate(m.regions):
            before, event_before = self._map(
                device, snapshots[index], 0, size, self._cl.map_flags.READ
            )
            target, event_target = self._map(device, device.buffer(buffer), offset, size, flags)
            self._cl.wait_for_events([event_before, event_target])
            parsed = [merge.Changes(c[index]) for c in changes]
            if any(p.buffer_bytes != size or p.element_bytes != element for p in parsed):
                raise DriverFailure(OUT_OF_RESOURCES, "a part sent changes of another region")
            conflict = merge.merge(before, target, parsed)
            before.base.release(device.transfer.queue)
            target.base.release(device.transfer.queue).wait()
            if conflict is not None:
                extra = ["conflict", buffer, offset + conflict]
                break
        if extra is not None:
            self._run_again(device, m, snapshots)
        self._post([Ended(m.operation, 0, start, time.time_ns(), None, extra)])

    def _run_again(self, device: _Device, m: part.Merge, snapshots: Sequence[Any]) -> None:
        """Parts contradicted each other: restore the pre-image and run the launch whole."""
        queue = device.compute.queue
        for (buffer, offset, size, _), snapshot in zip(m.regions, snapshots, strict=True):
            self._cl.enqueue_copy(
                queue, device.buffer(buffer), snapshot, byte_count=size, dst_offset=offset
            )
        self._launch(device, m).wait()

    # ---- programs

    def _start_build(self, m: part.Build) -> None:
        if m.request == 0:
            self._build(m)  # what follows it must find it built
        else:
            self._host.submit(self._guarded_build, m)

    def _forget_program(self, m: part.ForgetProgram) -> None:
        self._printer.forget(m.program)
        for key in [k for k in self._programs if k[0] == m.program]:
            del self._programs[key]
            kernels = self._device(key[1]).kernels
            for kernel in [k for k in kernels if k[0] == m.program]:
                del kernels[kernel]
        self._post([Ended(m.operation, 0, 0, 0)])

    def _guarded_build(self, m: part.Build) -> None:
        try:
            self._build(m)
        except Exception as error:  # told to the user as the build's failure, with its text
            code, text = _failure(error)
            if isinstance(error, OSError):
                text = f"the node can't keep the files that the program includes: {error}"
            self._post([BuildEnded(part.BuildDone(m.request, code, text, [], []))])

    def _build(self, m: part.Build) -> None:
        cl = self._cl
        status, message = 0, ""
        logs: list[list[Any]] = []
        kernels: dict[str, list[Any]] = {}
        units = [Includes(unit) for unit in m.units]
        for number in m.devices:
            device = self._device(number)
            program, failure = self._make_program(device, m, units)
            log = program.get_build_info(device.device, cl.program_build_info.LOG) or ""
            if failure is not None:
                status, message = failure
            for unit in units:
                log, message = unit.users_own(log), unit.users_own(message)
            logs.append([number, status, log])
            if status < 0 or m.step == session.COMPILE:
                continue
            self._printer.built(m.program, m.units)
            self._programs[m.program, number] = program
            # Not all_kernels(): its kernels are retained once too often, and never freed.
            names = program.get_info(cl.program_info.KERNEL_NAMES)
            for name in filter(None, names.split(";")):
                facts = kernel_facts(cl, cl.Kernel(program, name), device.device)
                entry = kernels.setdefault(facts[0], [facts[0], [], facts[2]])
                entry[1].append([number, facts[1]])
        if values_in(list(kernels.values())) > message_values_max - 100 - 5 * len(logs):
            status, message = OUT_OF_RESOURCES, (
                f"the program's {len(kernels)} kernels have too many arguments in all for one "
                "message: build it in several programs"
            )
        if status < 0:
            kernels = {}
        logs = clipped_logs(logs)
        message = clipped(message, log_bytes_max)
        done = part.BuildDone(m.request, status, message, logs, list(kernels.values()))
        self._post([BuildEnded(done)])

    def _make_program(
        self, device: _Device, m: part.Build, units: Sequence[Includes]
    ) -> tuple[Any, tuple[int, str] | None]:
        """(the program, or the one whose log says why; why it failed, or None)."""
        # Argument info decides how large an element of a merge is, so it's always asked for.
        made = []
        create = self._cl._cl._Program
        for unit in units:
            program = create(device.context, unit.source)
            made.append(program)
            complete = f"{unit.options} -cl-kernel-arg-info".encode()
            try:
                if m.step == session.BUILD:
                    program._build(complete, [device.device])
                else:
                    program.compile(complete, [device.device], [])
            except self._cl.Error as error:
                return program, _failure(error)
        if m.step != session.LINK:
            return made[0], None
        try:
            linked = create.link(device.context, made, m.link_options.encode(), [device.device])
        except self._cl.Error as error:
            return made[0], _failure(error)
        return linked, None

    def close(self) -> None:
        """Wait for what runs, and end the threads."""
        self._host.shutdown()
        for device in self._devices.values():
            device.compute.close()
            device.transfer.close()


def _capabilities(cl: Any, device: Any) -> int:
    """SVM capabilities; none where the driver doesn't know the question."""
    try:
        return int(device.svm_capabilities)
    except cl.Error:
        return 0


def _origin(offset: int, row_pitch: int, slice_pitch: int) -> tuple[int, int, int]:
    """The origin, in OpenCL's terms, of a box that begins at an offset."""
    slices, rest = divmod(offset, slice_pitch)
    rows, column = divmod(rest, row_pitch)
    return column, rows, slices


def _split_changes(data: bytes, count: int) -> list[memoryview]:
    """The packed changes of each region, out of one transfer."""
    view = memoryview(data)
    found = []
    for _ in range(count):
        length = int.from_bytes(view[:8], "little")
        if len(view) < 8 + length:
            raise DriverFailure(OUT_OF_RESOURCES, "a part sent too few changed bytes")
        found.append(view[8 : 8 + length])
        view = view[8 + length :]
    if view:
        raise DriverFailure(OUT_OF_RESOURCES, "a part sent too many changed bytes")
    return found


def kernel_facts(cl: Any, kernel: Any, device: Any) -> tuple[str, list[Any], list[list[Any]]]:
    """(name, work-group info on the device, argument info) as session.Built describes them.

    Work-group info: [WORK_GROUP_SIZE, COMPILE_WORK_GROUP_SIZE, LOCAL_MEM_SIZE,
    PREFERRED_WORK_GROUP_SIZE_MULTIPLE, PRIVATE_MEM_SIZE, ATTRIBUTES]; argument info per argument:
    [address qualifier, type name, access qualifier, type qualifier, name], the type name empty
    where the driver doesn't tell.
    """
    info = cl.kernel_work_group_info
    group = [
        kernel.get_work_group_info(info.WORK_GROUP_SIZE, device),
        list(kernel.get_work_group_info(info.COMPILE_WORK_GROUP_SIZE, device)),
        kernel.get_work_group_info(info.LOCAL_MEM_SIZE, device),
        kernel.get_work_group_info(info.PREFERRED_WORK_GROUP_SIZE_MULTIPLE, device),
        kernel.get_work_group_info(info.PRIVATE_MEM_SIZE, device),
        kernel.get_info(cl.kernel_info.ATTRIBUTES),
    ]
    names = ("ADDRESS_QUALIFIER", "TYPE_NAME", "ACCESS_QUALIFIER", "TYPE_QUALIFIER", "NAME")
    try:
        arguments = [
            [kernel.get_arg_info(i, getattr(cl.kernel_arg_info, n)) for n in names]
            for i in range(kernel.num_args)
        ]
    except cl.Error as error:
        if error.code != cl.status_code.KERNEL_ARG_INFO_NOT_AVAILABLE:
            raise
        # PoCL forgets it when it links. The arguments are then taken as they come.
        arguments = [[0, "", 0, 0, f"argument{i}"] for i in range(kernel.num_args)]
    return kernel.function_name, group, arguments


def matching_devices(cl: Any, substring: str | None) -> list[Any]:
    """The host's devices in the inventory's order."""
    found = []
    for platform in cl.get_platforms():
        for device in platform.get_devices():
            name = f"{platform.name} / {device.name}".lower()
            if not substring or substring.lower() in name:
                found.append(device)
    return found
