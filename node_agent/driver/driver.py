"""The driver as the executor's shell sees it: effects in, inputs for the core out.

Owns: which part of the package carries out what, on which thread, and the events of what is under
way. Must not know: sessions' rules, connections, transfers' credit, or how bytes move (`moving`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Sized
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from node_agent.driver.failures import NotEnqueued, status_of
from node_agent.driver.launch import Launcher, has_images
from node_agent.driver.library import load_pyopencl, matching_devices
from node_agent.driver.memory import Device, Devices
from node_agent.driver.merging import Merging
from node_agent.driver.moving import Moving
from node_agent.driver.programs import Programs
from node_agent.driver.queues import stored
from node_agent.effects import StartAgain, StartMerge, Store
from node_agent.inputs import Ended
from node_agent.printed import Printer
from vcl.direct.pool import Pool
from vcl.wire.messages import part


class Driver:
    """Carries out Start, StartAgain, Store, StartMerge and Unmap effects.

    devices: (device id, index in the inventory) each. post: takes lists of inputs for the core,
    from any thread. pool: as of Devices.
    """

    def __init__(
        self,
        devices: Sequence[Sequence[int]],
        substring: str | None,
        post: Callable[[list[Any]], None],
        pool: Pool | None = None,
    ) -> None:
        self._cl = load_pyopencl()
        self._post = post
        found, _ = matching_devices(self._cl, substring)  # what failed, the inventory tells
        chosen = {number: found[index].device for number, index in devices}
        self._devices = Devices(self._cl, chosen, self._tell, pool)
        self._printer = Printer(self._cl, post)
        self._programs = Programs(self._cl, self._devices, self._printer, post)
        self._launcher = Launcher(self._cl, self._programs)
        self._merging = Merging(self._cl, self._devices, self._launcher, post)
        self._events: dict[int, Any] = {}  # of queued operations that may be running
        self._moving = Moving(self._cl, self._devices, self._events, self._queued)
        self._host = ThreadPoolExecutor(1, thread_name_prefix="host")
        self._commands: Mapping[type, Callable[[Any], None]] = {
            part.Run: self._run,
            part.FillRegion: self._fill,
            part.CopyRegion: self._copy,
            part.CopyBox: self._copy_box,
            part.Snapshot: self._snapshot,
        }
        self._others: Mapping[type, Callable[[Any], None]] = {
            part.Allocate: self._allocate,
            part.Free: self._free,
            part.Build: self._start_build,
            part.ForgetProgram: self._forget_program,
            part.Send: lambda message: self._guarded(message.operation, self._moving.send, message),
            part.SendChanges: self._start_packing,
        }

    # ---- effects

    def start(self, message: Any) -> None:
        """Carry out a Start; see effects.Start for what answers it."""
        command = self._commands.get(type(message))
        if command is None:
            self._others[type(message)](message)
            return
        try:
            if self._moving.stores:
                self._moving.await_stores(message.waits, self._devices[message.device])
            command(message)
        except Exception as error:  # as in _guarded, which costs each launch a call more
            self._failed(message.operation, error)

    def flush(self, posted: Sized = ()) -> list[Any]:
        """Submit what was enqueued; called after each batch of effects.

        Answers the inputs of what is over already, unless something that was posted hasn't been
        taken in, which comes first.
        """
        ended: list[Any] = []
        for device in self._devices.used():
            ended += device.compute.flush(posted)
            ended += device.transfer.flush(posted)
        self._forget_events(ended)
        return ended + self._moving.take_over()

    def _tell(self, inputs: list[Any]) -> None:
        """On the thread that has waited for what these tell of."""
        self._forget_events(inputs)
        self._post(inputs)

    def _forget_events(self, inputs: list[Any]) -> None:
        """Of what ended well, and was waited for: to see an event's status doesn't order memory,
        and who finds no event relies on that order."""
        for one in inputs:
            if type(one) is Ended and one.status == 0:
                self._events.pop(one.operation, None)

    def _guarded(self, operation: int, carry_out: Callable[[Any], None], argument: Any) -> None:
        """Whatever goes wrong in an operation is that operation's failure."""
        try:
            carry_out(argument)
        except Exception as error:  # drivers raise anything; it's told to the user, with its text
            self._failed(operation, error)

    def _failed(self, operation: int, error: Exception) -> None:
        code, text = status_of(error)
        self._post([Ended(operation, code, 0, 0, text)])

    def _allocate(self, message: part.Allocate) -> None:
        device = self._devices[message.device]
        device.frees += message.buffer in device.buffers
        try:
            device.buffers[message.buffer] = device.allocate(self._cl, message)
        except (self._cl.Error, MemoryError) as error:
            device.allocation_failures[message.buffer] = (
                f"a buffer of {message.size} bytes can't be allocated: {error}"
            )

    def _free(self, message: part.Free) -> None:
        self._devices[message.device].free(message.buffer)
        self._post([Ended(message.operation, 0, 0, 0)])

    def _forget_program(self, m: part.ForgetProgram) -> None:
        self._programs.forget(m.program)
        self._launcher.forget(m.program)
        self._post([Ended(m.operation, 0, 0, 0)])

    def _queued(self, message: Any, device: Device, event: Any, watched: Any = None) -> None:
        """watched: what is to be waited for in place of the event."""
        operation = message.operation
        self._events[operation] = event
        device.note(operation, message.cause)
        device.compute.watch(event if watched is None else watched, stored, operation)

    def _run(self, message: part.Run) -> None:
        device = self._devices[message.device]
        prints = self._printer.prints(message.program)
        if prints:
            self._printer.wait_for_reading(message.device, device.compute.queue)
        try:
            event = self._launcher.launch(device, message)
        except NotEnqueued as error:
            self._refused(message.operation, error)
            return
        watched = self._printer.watch(message, event, device.context) if prints else None
        self._queued(message, device, event, watched)

    def start_again(self, effect: StartAgain) -> None:
        """Carry out a StartAgain."""
        (operation, waits, _, values, cause), told = effect
        first = told.message
        special = told.kept is None and has_images(first.arguments)
        if special or self._printer.prints(first.program):
            self.start(effect.run())
            return
        try:
            device = self._devices[first.device]
            if self._moving.stores:
                self._moving.await_stores(waits, device)
            event = self._launcher.repeat(device, told, values)
        except NotEnqueued as error:
            self._refused(operation, error)
        except Exception as error:  # as in _guarded
            self._failed(operation, error)
        else:
            self._events[operation] = event
            device.note(operation, cause)
            device.compute.watch(event, stored, operation)

    def _refused(self, operation: int, error: NotEnqueued) -> None:
        self._post([Ended(operation, error.code, 0, 0, error.text, part.UNTOUCHED)])

    def _fill(self, m: part.FillRegion) -> None:
        device = self._devices[m.device]
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
        self._queued(m, device, event)

    def _copy(self, m: part.CopyRegion) -> None:
        device = self._devices[m.device]
        event = self._cl.enqueue_copy(
            device.compute.queue,
            device.buffer(m.destination),
            device.buffer(m.source),
            byte_count=m.size,
            src_offset=m.source_offset,
            dst_offset=m.destination_offset,
        )
        self._queued(m, device, event)

    def _copy_box(self, m: part.CopyBox) -> None:
        device = self._devices[m.device]
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
        self._queued(m, device, event)

    def _snapshot(self, m: part.Snapshot) -> None:
        device = self._devices[m.device]
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
        self._queued(m, device, event)

    # ---- bytes

    def unmap(self, operation: int) -> None:
        """Carry out an Unmap."""
        self._moving.unmap(operation)

    def drop_snapshot(self, device: int, merge: int) -> None:
        """Carry out a DropSnapshot."""
        self._devices[device].snapshots.pop(merge, None)

    def place(self, m: part.Receive, offset: int, size: int) -> memoryview | None:
        """Where bytes from that offset of a Receive's are on its device, if `store` needn't copy
        them from there."""
        return self._devices[m.device].place(m.buffer, m.offset + offset, size)

    def store(self, store: Store) -> None:
        """Carry out a Store."""
        try:
            self._moving.store(store)
        except Exception as error:  # as in _guarded
            code, text = status_of(error)
            ended = Ended(store.message.operation, code, 0, 0, text, closing=not store.data)
            self._post([ended])

    # ---- on the host thread

    def _start_build(self, m: part.Build) -> None:
        if m.request == 0:
            self._programs.build(m)  # what follows it must find it built
        else:
            self._host.submit(self._programs.build_guarded, m)

    def _start_packing(self, m: part.SendChanges) -> None:
        self._host.submit(self._guarded, m.operation, self._merging.pack_changes, m)

    def start_merge(self, effect: StartMerge) -> None:
        """Carry out a StartMerge."""
        self._host.submit(self._guarded, effect.message.operation, self._merging.merge, effect)

    def close(self) -> None:
        """Wait for what runs, and end the threads."""
        self._host.shutdown()
        for device in self._devices.used():
            device.compute.close()
            device.transfer.close()


def _origin(offset: int, row_pitch: int, slice_pitch: int) -> tuple[int, int, int]:
    """The origin, in OpenCL's terms, of a box that begins at an offset."""
    slices, rest = divmod(offset, slice_pitch)
    rows, column = divmod(rest, row_pitch)
    return column, rows, slices
