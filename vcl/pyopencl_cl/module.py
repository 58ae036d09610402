"""Assembling `pyopencl._cl`: the module that pyopencl's Python layer stands on.

Owns: the list of names. Must not know: what any of them does.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from vcl.constants import CL_HEADER_VERSION
from vcl.errors import CallError
from vcl.pyopencl_cl import (
    absent,
    constants,
    context,
    enqueue,
    errors,
    event,
    image,
    image_commands,
    kernel,
    launch,
    mapping,
    memory,
    platform,
    pools,
    program,
    rectangles,
    session,
    svm,
    svm_commands,
)


class DeviceTopologyAmd:
    """PCI position of an AMD device."""

    __slots__ = ("bus", "device", "function", "type")

    def __init__(self, bus: int = 0, device: int = 0, function: int = 0) -> None:
        self.type = 1
        self.bus, self.device, self.function = bus, device, function


def _unload_platform_compiler(arg: Any) -> None:
    """A hint (OpenCL 3.0 API, 5.8.8) without effect."""


CLASSES = (
    errors._ErrorRecord,
    errors.Error,
    errors.MemoryError,
    errors.LogicError,
    errors.RuntimeError,
    platform.NameVersion,
    platform.Platform,
    platform.Device,
    context.Context,
    context.CommandQueue,
    event.Event,
    event.NannyEvent,
    event.UserEvent,
    memory.MemoryObjectHolder,
    memory.MemoryObject,
    memory.Buffer,
    memory.LocalMemory,
    mapping.MemoryMap,
    svm.SVMPointer,
    svm.SVM,
    svm.SVMAllocation,
    svm.SVMAllocator,
    svm.SVMPool,
    svm.PooledSVM,
    image.Image,
    image.ImageDescriptor,
    image.ImageFormat,
    image.Sampler,
    program._Program,
    kernel.Kernel,
    pools.AllocatorBase,
    pools.DeferredAllocator,
    pools.ImmediateAllocator,
    pools.MemoryPool,
    pools.PooledBuffer,
    pools._TestMemoryPool,
    DeviceTopologyAmd,
    *absent.CLASSES_ABSENT,
)
"""The object classes and exceptions."""


def _takes_queue(function: Callable[..., Any]) -> Callable[..., Any]:
    """An `enqueue_*` that raises as pyopencl does: TypeError if its first argument isn't a queue,
    and pyopencl's exceptions for what OpenCL's rules refuse."""

    @wraps(function)
    def entry(queue: Any, *args: Any, **kwargs: Any) -> Any:
        if type(queue) is not context.CommandQueue:
            context.expect(queue, context.CommandQueue, "queue")
        try:
            return function(queue, *args, **kwargs)
        except CallError as error:
            errors.translate(error, error.routine)

    return entry


def build() -> ModuleType:
    """The module, ready to stand in `sys.modules` as `pyopencl._cl`."""
    module = ModuleType("pyopencl._cl", "pyopencl's backend on a vcl cluster")
    module.__file__ = __file__
    names: dict[str, Any] = {}
    names.update(constants.make_classes())
    lacking = absent.functions()
    names.update(lacking)
    for cls in CLASSES:
        names[cls.__name__] = cls
    names.update(
        get_cl_header_version=lambda: CL_HEADER_VERSION,
        get_platforms=session.get_platforms,
        _create_program_with_il=program.create_program_with_il,
        wait_for_events=event.wait_for_events,
        enqueue_nd_range_kernel=launch.enqueue_nd_range_kernel,
        _enqueue_read_buffer=enqueue.enqueue_read_buffer,
        _enqueue_write_buffer=enqueue.enqueue_write_buffer,
        _enqueue_copy_buffer=enqueue.enqueue_copy_buffer,
        _enqueue_read_buffer_rect=rectangles.enqueue_read_buffer_rect,
        _enqueue_write_buffer_rect=rectangles.enqueue_write_buffer_rect,
        _enqueue_copy_buffer_rect=rectangles.enqueue_copy_buffer_rect,
        _enqueue_fill_buffer=enqueue.enqueue_fill_buffer,
        _enqueue_marker=enqueue.enqueue_marker,
        _enqueue_barrier=enqueue.enqueue_barrier,
        _enqueue_wait_for_events=enqueue.enqueue_wait_for_events,
        _enqueue_marker_with_wait_list=enqueue.enqueue_marker_with_wait_list,
        _enqueue_barrier_with_wait_list=enqueue.enqueue_barrier_with_wait_list,
        _enqueue_read_image=image_commands.enqueue_read_image,
        _enqueue_write_image=image_commands.enqueue_write_image,
        _enqueue_copy_image=image_commands.enqueue_copy_image,
        _enqueue_copy_image_to_buffer=image_commands.enqueue_copy_image_to_buffer,
        _enqueue_copy_buffer_to_image=image_commands.enqueue_copy_buffer_to_image,
        enqueue_fill_image=image_commands.enqueue_fill_image,
        enqueue_map_image=image_commands.enqueue_map_image,
        get_supported_image_formats=image.get_supported_image_formats,
        _enqueue_svm_memcpy=svm_commands.enqueue_svm_memcpy,
        _enqueue_svm_memfill=svm_commands.enqueue_svm_memfill,
        _enqueue_svm_map=svm_commands.enqueue_svm_map,
        _enqueue_svm_unmap=svm_commands.enqueue_svm_unmap,
        _enqueue_svm_migrate_mem=svm_commands.enqueue_svm_migrate_mem,
        enqueue_map_buffer=mapping.enqueue_map_buffer,
        enqueue_migrate_mem_objects=enqueue.enqueue_migrate_mem_objects,
        unload_platform_compiler=_unload_platform_compiler,
        have_gl=lambda: False,
        bitlog2=pools.bitlog2,
        _sizeof_size_t=lambda: struct.calcsize("N"),
    )
    for name, value in names.items():
        if name.startswith(("enqueue_", "_enqueue_")) and name not in lacking:
            value = _takes_queue(value)
        setattr(module, name, value)
    return module
