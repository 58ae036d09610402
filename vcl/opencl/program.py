"""Programs and kernels.

Owns: `_Program`, `Kernel`, and the checks of kernel arguments (OpenCL 3.0 API, 5.8 and 5.9). Must
not know: launching (`enqueue`).
"""

from __future__ import annotations

import struct
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from vcl.constants import CLASSES
from vcl.opencl.context import CommandQueue, Context
from vcl.opencl.errors import fail, fail_code, not_built, translated
from vcl.opencl.handles import Handle, reference_count
from vcl.opencl.headers import travelling_source
from vcl.opencl.image import Image, Sampler
from vcl.opencl.memory import LocalMemory, MemoryObjectHolder
from vcl.opencl.platform import Device
from vcl.scalars import value_bytes
from vcl.wire.messages import session

_INFO = CLASSES["program_info"]
_BUILD = CLASSES["program_build_info"]
_KERNEL = CLASSES["kernel_info"]
_GROUP = CLASSES["kernel_work_group_info"]
_ARGUMENT = CLASSES["kernel_arg_info"]
_ADDRESS = CLASSES["kernel_arg_address_qualifier"]
_BUILD_STATUS = {"NONE": -1, "ERROR": -2, "SUCCESS": 0, "IN_PROGRESS": -3}


class _Program(Handle):
    """A program from source. pyopencl's `Program` wraps it and adds `build`."""

    _invalid = "INVALID_PROGRAM"

    @translated("clCreateProgramWithSource")
    def __init__(self, context: Context, source: Any, binaries: Any = None) -> None:
        super().__init__()
        if binaries is not None:
            not_built("programs from binaries")
        if isinstance(source, bytes):
            source = source.decode()
        self._context = context
        self._runtime = context._runtime
        self._source: str = source
        self._id = 0
        self._options = ""
        self._kernels: dict[str, _KernelFacts] | None = None
        self._logs: dict[int, tuple[int, str]] = {}

    @staticmethod
    def create_with_built_in_kernels(
        context: Context, devices: Sequence[Device], kernel_names: str
    ) -> _Program:
        """Not built yet."""
        not_built("programs with built-in kernels")

    def kind(self) -> Any:
        """program_kind.SOURCE."""
        from pyopencl import _cl

        return _cl.program_kind.SOURCE

    @translated("clBuildProgram")
    def _build(self, options: bytes = b"", devices: Sequence[Device] | None = None) -> None:
        """Build on all devices of the context; raises RuntimeError with the logs if one fails."""
        text = options.decode() if isinstance(options, bytes) else str(options)
        for device in devices or ():
            if device not in self._context._devices:
                fail("clBuildProgram", "INVALID_DEVICE", "the device isn't of the context")
        source, self._options = travelling_source(self._source, text), text
        runtime = self._runtime
        with runtime.lock:
            # A program is built anew under a new id: kernels of the old build live on.
            self._id = runtime.core.new_id()
            request = runtime.core.new_id()
            create = session.CreateProgram(self._id, self._context._id, source)
            runtime.say(create, len(source))
            weakref.finalize(self, runtime.release, self._id).atexit = False
        built = runtime.ask(request, session.BuildProgram(self._id, request, text))
        self._logs = {device: (status, log) for device, status, log in built.logs}
        if built.status < 0:
            self._kernels = None
            fail_code("clBuildProgram", built.status, built.message)
        self._kernels = {
            name: _KernelFacts(name, groups, arguments)
            for name, groups, arguments in built.kernels
        }

    def get_info(self, param: int) -> Any:
        """Answer a program query."""
        routine = "clGetProgramInfo"
        if param == _INFO["REFERENCE_COUNT"]:
            return reference_count(self)
        if param == _INFO["CONTEXT"]:
            return self._context
        if param == _INFO["NUM_DEVICES"]:
            return len(self._context._devices)
        if param == _INFO["DEVICES"]:
            return list(self._context._devices)
        if param == _INFO["SOURCE"]:
            return self._source
        if param in (_INFO["NUM_KERNELS"], _INFO["KERNEL_NAMES"]):
            names = list(self._built_kernels(routine))
            return len(names) if param == _INFO["NUM_KERNELS"] else ";".join(names)
        if param in (_INFO["BINARIES"], _INFO["BINARY_SIZES"]):
            not_built("program binaries")
        if param == _INFO["IL"]:
            return b""
        if param in (
            _INFO["SCOPE_GLOBAL_CTORS_PRESENT"],
            _INFO["SCOPE_GLOBAL_DTORS_PRESENT"],
        ):
            return False
        fail(routine, "INVALID_VALUE")

    def _built_kernels(self, routine: str) -> dict[str, _KernelFacts]:
        if self._kernels is None:
            fail(routine, "INVALID_PROGRAM_EXECUTABLE", "the program isn't built")
        return self._kernels

    def get_build_info(self, device: Device, param: int) -> Any:
        """Answer a build query; the cluster device's log is that of all its devices."""
        routine = "clGetProgramBuildInfo"
        if device not in self._context._devices:
            fail(routine, "INVALID_DEVICE")
        known = [device._id] if device._id else list(self._logs)
        found = [self._logs[d] for d in known if d in self._logs]
        if param == _BUILD["STATUS"]:
            if not found:
                return _BUILD_STATUS["NONE"]
            worst = min(status for status, _ in found)
            return _BUILD_STATUS["ERROR"] if worst < 0 else _BUILD_STATUS["SUCCESS"]
        if param == _BUILD["OPTIONS"]:
            return self._options
        if param == _BUILD["LOG"]:
            logs = list(dict.fromkeys(log for _, log in found if log.strip()))
            return "\n".join(logs)
        if param == _BUILD["BINARY_TYPE"]:
            types = CLASSES["program_binary_type"]
            return types["EXECUTABLE"] if self._kernels is not None else types["NONE"]
        if param == _BUILD["GLOBAL_VARIABLE_TOTAL_SIZE"]:
            return 0
        fail(routine, "INVALID_VALUE")

    def compile(
        self, options: bytes = b"", devices: Sequence[Device] | None = None, headers: Any = ()
    ) -> None:
        """Not built yet."""
        not_built("Program.compile")

    @staticmethod
    def link(
        context: Context,
        programs: Any,
        options: bytes = b"",
        devices: Sequence[Device] | None = None,
    ) -> _Program:
        """Not built yet."""
        not_built("link_program")

    def set_specialization_constant(self, spec_id: int, buffer: Any) -> None:
        """Not built yet."""
        not_built("specialization constants")

    def all_kernels(self) -> list[Kernel]:
        """All kernels of a built program."""
        return [Kernel(self, name) for name in self._built_kernels("clCreateKernelsInProgram")]


class _KernelFacts:
    """What a build told of a kernel; shared by its Kernel objects.

    groups: work-group info by device id. arguments: per argument [address qualifier, type name,
    access qualifier, type qualifier, name].
    """

    def __init__(self, name: str, groups: dict[int, list[Any]], arguments: list[list[Any]]) -> None:
        self.name = name
        self.groups = groups
        self.arguments = arguments
        self.pointers = [
            a[0] in (_ADDRESS["GLOBAL"], _ADDRESS["CONSTANT"]) and not a[1].endswith("_t")
            for a in arguments
        ]
        self.images = [a[1].startswith("image") and a[1].endswith("_t") for a in arguments]
        self.locals = [a[0] == _ADDRESS["LOCAL"] for a in arguments]
        self.sizes = [
            None if pointer or local else value_bytes(argument[1])
            for pointer, local, argument in zip(
                self.pointers, self.locals, arguments, strict=True
            )
        ]


class Kernel(Handle):
    """A kernel with its arguments; they stay here until a launch."""

    _invalid = "INVALID_KERNEL"

    def __init__(self, program: Any, name: str) -> None:
        super().__init__()
        raw = program if isinstance(program, _Program) else program._get_prg()
        kernels = raw._built_kernels("clCreateKernel")
        facts = kernels.get(name)
        if facts is None:
            fail("clCreateKernel", "INVALID_KERNEL_NAME", f"the program has no kernel {name!r}")
        self._facts: _KernelFacts = facts
        self._program = raw
        self._program_id = raw._id
        self._context = raw._context
        self._source = getattr(program, "_source", None)
        # Per argument: None if unset, else (wire form, what must be kept alive).
        self._arguments: list[Any] = [_UNSET] * len(facts.arguments)
        self._kept: list[Any] = [None] * len(facts.arguments)
        self.set_arg_types_default()

    def set_arg_types_default(self) -> None:
        """Until `set_arg_types` is called, arguments say their types themselves."""
        self._enqueue: Any = None
        self._set_args: Any = None

    def _set_enqueue_and_set_args(self, enqueue: Any, set_args: Any) -> None:
        """What `pyopencl.invoker` generated for this kernel's argument types."""
        self._enqueue, self._set_args = enqueue, set_args

    def _generate(self) -> None:
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

    def __call__(
        self, queue: CommandQueue, global_size: Any, local_size: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Set the arguments and enqueue a launch; answers its event."""
        if self._enqueue is None:
            self._generate()
        return self._enqueue(self, queue, global_size, local_size, *args, **kwargs)

    def set_args(self, *args: Any) -> None:
        """Set all arguments."""
        if self._set_args is None:
            self._generate()
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
        self._check_index(index)
        if value is None:
            if not (self._facts.pointers[index] or self._facts.locals[index]):
                fail("clSetKernelArg", "INVALID_ARG_VALUE", self._describe(index, "None"))
            self._put(index, None, None)
        elif isinstance(value, Image):
            self._set_image(index, value)
        elif isinstance(value, Sampler):
            self._put(index, [session.ARGUMENT_SAMPLER, *value._wire], None)
        elif isinstance(value, MemoryObjectHolder):
            memory = value._memory("clSetKernelArg")
            if not self._facts.pointers[index]:
                fail("clSetKernelArg", "INVALID_ARG_SIZE", self._describe(index, "a buffer"))
            if memory._context != self._context:
                fail("clSetKernelArg", "INVALID_MEM_OBJECT", "the buffer is of another context")
            wire = [session.ARGUMENT_BUFFER, memory._root_id, memory._origin, memory._size]
            # Its memory lives as long as the argument, even if the program releases the object.
            self._put(index, wire, memory._root)
        elif isinstance(value, LocalMemory):
            if not self._facts.locals[index]:
                fail("clSetKernelArg", "INVALID_ARG_VALUE", self._describe(index, "LocalMemory"))
            if value.size == 0:
                fail("clSetKernelArg", "INVALID_ARG_SIZE", self._describe(index, "0 bytes"))
            self._put(index, [session.ARGUMENT_LOCAL, value.size], None)
        else:
            self._set_value(index, value)

    def _set_image(self, index: int, image: Image) -> None:
        image._memory("clSetKernelArg")
        if not self._facts.images[index]:
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
                data = bytes(memoryview(value))
            except TypeError:
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
        if facts.pointers[index] or facts.locals[index] or (size is not None and len(data) != size):
            got = f"a value of {len(data)} bytes"
            fail("clSetKernelArg", "INVALID_ARG_SIZE", self._describe(index, got))
        self._put(index, data, None)

    def _put(self, index: int, wire: Any, kept: Any) -> None:
        self._arguments[index] = wire
        self._kept[index] = kept

    def _check_index(self, index: int) -> None:
        if not 0 <= index < len(self._arguments):
            fail(
                "clSetKernelArg",
                "INVALID_ARG_INDEX",
                f"kernel {self._facts.name!r} has {len(self._arguments)} arguments, not "
                f"{index + 1}",
            )

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
            return ""
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
        for index, argument in enumerate(self._arguments):
            if argument is _UNSET:
                fail(routine, "INVALID_KERNEL_ARGS", self._describe(index, "no value"))
        return list(self._arguments)


_UNSET = object()


def _pack(letter: str, value: Any) -> bytes:
    if letter == "c" and isinstance(value, int):
        letter = "b"
    try:
        return struct.pack(letter, value)
    except struct.error as error:
        raise TypeError(f"{value!r} isn't a number that fits the argument: {error}") from error
