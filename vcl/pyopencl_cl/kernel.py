"""Kernels and their arguments.

Owns: `Kernel`, and the checks of arguments (OpenCL 3.0 API, 5.9). Must not know: building
(`program`) or launching (`enqueue`).
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from vcl.constants import CLASSES
from vcl.pyopencl_cl.context import CommandQueue, expect
from vcl.pyopencl_cl.errors import fail, not_built
from vcl.pyopencl_cl.handles import Handle, reference_count
from vcl.pyopencl_cl.image import Image, Sampler
from vcl.pyopencl_cl.integers import uint32
from vcl.pyopencl_cl.memory import LocalMemory, MemoryObjectHolder
from vcl.pyopencl_cl.platform import Device
from vcl.pyopencl_cl.program import KernelFacts, _Program
from vcl.pyopencl_cl.svm import SVMPointer, shared_region
from vcl.wire.messages import session

_KERNEL = CLASSES["kernel_info"]
_GROUP = CLASSES["kernel_work_group_info"]
_ARGUMENT = CLASSES["kernel_arg_info"]


class Kernel(Handle):
    """A kernel with its arguments; they stay here until a launch."""

    _invalid = "INVALID_KERNEL"

    def __init__(self, program: Any, name: str) -> None:
        super().__init__()
        if program is None:
            raise TypeError("a kernel is of a program, not of None")
        raw = program if isinstance(program, _Program) else program._get_prg()
        expect(name, str, "name")
        kernels = raw._built_kernels("clCreateKernel")
        facts = kernels.get(name)
        if facts is None:
            fail("clCreateKernel", "INVALID_KERNEL_NAME", f"the program has no kernel {name!r}")
        self._facts: KernelFacts = facts
        self._program = raw
        self._program_id = raw._id
        self._made = raw._made  # the build lives as long as its kernels
        self._context = raw._context
        self._source = getattr(program, "_source", None)
        # Per argument: None if unset, else (wire form, what must be kept alive).
        self._arguments: list[Any] = [_UNSET] * len(facts.arguments)
        self._kept: list[Any] = [None] * len(facts.arguments)
        # The device, global and local size that were found to fit last.
        self._fitted: Any = None
        self.set_arg_types_default()

    def set_arg_types_default(self) -> None:
        """Until `set_arg_types` is called, arguments say their types themselves."""
        # pyopencl can't be imported with this module.
        from pyopencl.invoker import generate_enqueue_and_set_args

        count = len(self._facts.arguments)
        self._set_enqueue_and_set_args(
            *generate_enqueue_and_set_args(  # type: ignore[no-untyped-call]
                self._facts.name,
                count,
                count,
                None,
                warn_about_arg_count_bug=None,
                work_around_arg_count_bug=None,
                devs=self._context._devices,
            )
        )

    def _set_enqueue_and_set_args(self, enqueue: Any, set_args: Any) -> None:
        """What `pyopencl.invoker` generated for this kernel's argument types."""
        self._enqueue: Any = enqueue
        self._set_args: Any = set_args

    def __call__(
        self, queue: CommandQueue, global_size: Any, local_size: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Set the arguments and enqueue a launch; answers its event."""
        return self._enqueue(self, queue, global_size, local_size, *args, **kwargs)

    def set_args(self, *args: Any) -> None:
        """Set all arguments."""
        self._set_args(self, *args)

    def clone(self) -> Kernel:
        """A kernel with the same arguments, independent from now on."""
        copy = Kernel(self._program, self._facts.name)
        copy._arguments, copy._kept = list(self._arguments), list(self._kept)
        copy._set_enqueue_and_set_args(self._enqueue, self._set_args)
        return copy

    # ---- arguments

    def set_arg(self, index: int, value: Any) -> None:
        """Set one argument: a memory object, None, LocalMemory, or by-value bytes."""
        index = self._check_index(index)
        if value is None:
            if not self._may_be(index, self._facts.pointers[index]):
                # pyopencl gives the size and value of a memory object that is NULL.
                other = self._facts.sizes[index] not in (None, struct.calcsize("P"))
                status = "INVALID_ARG_SIZE" if other else "INVALID_ARG_VALUE"
                fail("clSetKernelArg", status, self._describe(index, "None"))
            self._put(index, None, None)
        elif isinstance(value, Image):
            self._set_image(index, value)
        elif isinstance(value, Sampler):
            if not self._may_be(index, self._is_sampler(index)):
                status = "INVALID_ARG_VALUE" if self._facts.locals[index] else "INVALID_ARG_SIZE"
                fail("clSetKernelArg", status, self._describe(index, "a sampler"))
            self._put(index, [session.ARGUMENT_SAMPLER, *value._wire], None)
        elif isinstance(value, SVMPointer):
            if not self._may_be(index, self._facts.pointers[index]):
                got = "shared virtual memory"
                fail("clSetKernelArgSVMPointer", "INVALID_ARG_VALUE", self._describe(index, got))
            shadow, offset, _ = shared_region(value, "clSetKernelArgSVMPointer")
            where = [session.ARGUMENT_BUFFER, shadow._root_id, offset, shadow._size - offset]
            self._put(index, where, shadow._root)
        elif isinstance(value, MemoryObjectHolder):
            memory = value._memory("clSetKernelArg")
            if not self._may_be(index, self._facts.pointers[index]):
                status = "INVALID_ARG_VALUE" if self._facts.locals[index] else "INVALID_ARG_SIZE"
                fail("clSetKernelArg", status, self._describe(index, "a buffer"))
            if memory._context != self._context:
                fail("clSetKernelArg", "INVALID_MEM_OBJECT", "the buffer is of another context")
            wire = [session.ARGUMENT_BUFFER, memory._root_id, memory._origin, memory._size]
            # Its memory lives as long as the argument, even if the program releases the object.
            self._put(index, wire, memory._root)
        elif isinstance(value, CommandQueue):
            # There are no queues on devices, and so no arguments of that type.
            fail("clSetKernelArg", "INVALID_ARG_SIZE", self._describe(index, "a queue"))
        elif isinstance(value, LocalMemory):
            if not self._may_be(index, self._facts.locals[index]):
                status = "INVALID_ARG_SIZE" if self._facts.pointers[index] else "INVALID_ARG_VALUE"
                fail("clSetKernelArg", status, self._describe(index, "LocalMemory"))
            if value.size == 0 or value.size >= 1 << 63:
                got = f"{value.size} bytes"
                fail("clSetKernelArg", "INVALID_ARG_SIZE", self._describe(index, got))
            self._put(index, [session.ARGUMENT_LOCAL, value.size], None)
        else:
            self._set_value(index, value)

    def _may_be(self, index: int, kind: bool) -> bool:
        """Whether the argument is of a kind, or the driver doesn't tell."""
        return kind or self._facts.unknown[index]

    def _is_sampler(self, index: int) -> bool:
        return bool(self._facts.arguments[index][1] == "sampler_t")

    def _set_image(self, index: int, image: Image) -> None:
        image._memory("clSetKernelArg")
        if not self._may_be(index, self._facts.images[index]):
            fail("clSetKernelArg", "INVALID_ARG_VALUE", self._describe(index, "an image"))
        where = [session.ARGUMENT_IMAGE, image._root_id, image._origin, image._size]
        self._put(index, where + image._describe(), image._root)

    def _set_value(self, index: int, value: Any) -> None:
        if isinstance(value, (bytes, bytearray)):
            data = bytes(value)
        elif isinstance(value, np.generic):
            data = value.tobytes()
        else:
            try:
                data = bytes(_contiguous(value))
            except (TypeError, BufferError):
                # As pyopencl: an int or float of Python has no size of its own.
                fail(
                    "Kernel.set_arg",
                    "INVALID_VALUE",
                    f"argument {index + 1} of {self._facts.name!r} has the unknown type "
                    f"{type(value).__name__}: give a numpy scalar such as np.int32(...), or call "
                    "set_arg_types first",
                )
        self._set_bytes(index, data)

    def _set_bytes(self, index: int, data: bytes) -> None:
        facts = self._facts
        size = facts.sizes[index]
        if size is not None and facts.threes[index] and len(data) == size // 4 * 3:
            # As drivers take it: a vector of three in the room of three.
            data += bytes(size - len(data))
        got = f"a value of {len(data)} bytes"
        if facts.locals[index]:
            fail("clSetKernelArg", "INVALID_ARG_VALUE", self._describe(index, got))
        has_no_bytes = facts.pointers[index] or facts.images[index] or self._is_sampler(index)
        if has_no_bytes or (size is not None and len(data) != size):
            fail("clSetKernelArg", "INVALID_ARG_SIZE", self._describe(index, got))
        self._put(index, data, None)

    def _put(self, index: int, wire: Any, kept: Any) -> None:
        self._arguments[index] = wire
        self._kept[index] = kept

    def _check_index(self, index: int) -> int:
        index = uint32(index, "index of the argument")
        if index >= len(self._arguments):
            fail(
                "clSetKernelArg",
                "INVALID_ARG_INDEX",
                f"kernel {self._facts.name!r} has {len(self._arguments)} arguments, not "
                f"{index + 1}",
            )
        return index

    def _describe(self, index: int, got: str) -> str:
        type_name, name = self._facts.arguments[index][1], self._facts.arguments[index][4]
        return (
            f"argument {index + 1} ({type_name} {name}) of kernel {self._facts.name!r} was "
            f"given {got}"
        )

    def _set_arg_multi(self, indices_and_args: tuple[Any, ...]) -> None:
        """(index, value, ...), from generated code."""
        for at in range(0, len(indices_and_args), 2):
            self.set_arg(indices_and_args[at], indices_and_args[at + 1])

    def _set_arg_buf_multi(self, indices_and_args: tuple[Any, ...]) -> None:
        """(index, bytes, ...), from generated code."""
        for at in range(0, len(indices_and_args), 2):
            self._check_index(indices_and_args[at])
            self._set_value(indices_and_args[at], indices_and_args[at + 1])

    def _set_arg_buf_pack_multi(self, indices_chars_and_args: tuple[Any, ...]) -> None:
        """(index, struct letter, value, ...), from generated code."""
        for at in range(0, len(indices_chars_and_args), 3):
            index, letter, value = indices_chars_and_args[at : at + 3]
            self._check_index(index)
            self._set_bytes(index, _pack(letter.decode(), value))

    # ---- queries

    def get_info(self, param: int) -> Any:
        """Answer a kernel query."""
        if param == _KERNEL["FUNCTION_NAME"]:
            return self._facts.name
        if param == _KERNEL["NUM_ARGS"]:
            return len(self._facts.arguments)
        if param == _KERNEL["REFERENCE_COUNT"]:
            return reference_count(self)
        if param == _KERNEL["CONTEXT"]:
            return self._context
        if param == _KERNEL["PROGRAM"]:
            return self._program
        if param == _KERNEL["ATTRIBUTES"]:
            return next(iter(self._facts.groups.values()))[5]
        fail("clGetKernelInfo", "INVALID_VALUE")

    def _group(self, device: Device, routine: str) -> list[list[Any]]:
        """Work-group info of the device; of the cluster device, of all its devices."""
        if device not in self._context._devices:
            fail(routine, "INVALID_DEVICE", "the device isn't of the kernel's context")
        groups = self._facts.groups
        return [groups[device._id]] if device._id else list(groups.values())

    def get_work_group_info(self, param: int, device: Device) -> Any:
        """Answer a query about the kernel on a device; of the cluster, what holds on all."""
        routine = "clGetKernelWorkGroupInfo"
        groups = self._group(device, routine)
        if param == _GROUP["WORK_GROUP_SIZE"]:
            return min(g[0] for g in groups)
        if param == _GROUP["COMPILE_WORK_GROUP_SIZE"]:
            return list(groups[0][1])
        if param == _GROUP["LOCAL_MEM_SIZE"]:
            return max(g[2] for g in groups)
        if param == _GROUP["PREFERRED_WORK_GROUP_SIZE_MULTIPLE"]:
            return max(g[3] for g in groups)
        if param == _GROUP["PRIVATE_MEM_SIZE"]:
            return max(g[4] for g in groups)
        fail(routine, "INVALID_VALUE")

    def get_arg_info(self, index: int, param: int) -> Any:
        """Answer a query about an argument's declaration."""
        if not 0 <= index < len(self._facts.arguments):
            fail("clGetKernelArgInfo", "INVALID_ARG_INDEX")
        order = (
            "ADDRESS_QUALIFIER",
            "TYPE_NAME",
            "ACCESS_QUALIFIER",
            "TYPE_QUALIFIER",
            "NAME",
        )
        for at, name in enumerate(order):
            if param == _ARGUMENT[name]:
                return self._facts.arguments[index][at]
        fail("clGetKernelArgInfo", "INVALID_VALUE")

    def get_sub_group_info(self, device: Device, param: int, input_value: Any = None) -> Any:
        """Not built yet."""
        not_built("Kernel.get_sub_group_info")

    def _launch_arguments(self, routine: str) -> list[Any]:
        """The arguments as they travel; raises if one isn't set or was released."""
        arguments = list(self._arguments)
        if _UNSET in arguments:
            got = self._describe(arguments.index(_UNSET), "no value")
            fail(routine, "INVALID_KERNEL_ARGS", got)
        return arguments


_UNSET = object()


def _contiguous(value: Any) -> memoryview:
    view = memoryview(value)
    if not view.contiguous:
        raise BufferError("not contiguous")
    return view


def _pack(letter: str, value: Any) -> bytes:
    if letter == "c" and isinstance(value, int):
        letter = "b"
    try:
        return struct.pack(letter, value)
    except struct.error as error:
        raise TypeError(f"{value!r} isn't a number that fits the argument: {error}") from error
