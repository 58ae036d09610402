"""pyopencl's class of kernels.

Owns: `Kernel`, and what a program may give as an argument. Must not know: the checks of arguments
(`vcl.api.kernel`), building (`program`) or launching (`launch`).
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from vcl.api import kernel as api
from vcl.api.integers import uint32
from vcl.api.program import Program
from vcl.errors import CallError
from vcl.pyopencl_cl.context import CommandQueue, expect
from vcl.pyopencl_cl.errors import fail, not_built, translate, translated
from vcl.pyopencl_cl.handles import Handle
from vcl.pyopencl_cl.image import Image, Sampler
from vcl.pyopencl_cl.memory import Buffer, LocalMemory, MemoryObjectHolder
from vcl.pyopencl_cl.platform import Device
from vcl.pyopencl_cl.svm import SVMPointer, shared_region


class Kernel(Handle, api.Kernel):
    """A kernel with its arguments; they stay here until a launch.

    _elements: the dtypes of what was declared, by argument. _checks: whether launches are.
    """

    _invalid = "INVALID_KERNEL"

    @translated("clCreateKernel")
    def __init__(self, program: Any, name: str) -> None:
        if program is None:
            raise TypeError("a kernel is of a program, not of None")
        raw = program if isinstance(program, Program) else program._get_prg()
        expect(name, str, "name")
        api.Kernel.__init__(self, raw, name)
        self._source = getattr(program, "_source", None)
        self._elements: dict[int, np.dtype[Any]] = {}
        self._checks = False
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
        """A kernel with the same arguments and declarations, independent from now on."""
        copy = Kernel(self._program, self._facts.name)
        copy._arguments, copy._kept = list(self._arguments), list(self._kept)
        copy._declared, copy._declared_packed = self._declared, self._declared_packed
        copy._elements, copy._checks = dict(self._elements), self._checks
        copy._set_enqueue_and_set_args(self._enqueue, self._set_args)
        return copy

    # ---- arguments

    def set_arg(self, index: int, value: Any) -> None:
        """Set one argument: a memory object, None, LocalMemory, or by-value bytes."""
        try:
            self._set(index, value)
        except CallError as error:
            translate(error, error.routine)

    def _set(self, index: int, value: Any) -> None:
        # The usual cases, without all those questions.
        if type(index) is not int or not 0 <= index < len(self._arguments):
            index = uint32(index, "index of the argument")
            self._check_index(index)
        if type(value) is Buffer:
            self._set_buffer(index, value._memory("clSetKernelArg"))
        elif isinstance(value, np.generic):
            self._set_bytes(index, value.tobytes())
        elif value is None:
            self._set_null(index)
        elif isinstance(value, Image):
            value._memory("clSetKernelArg")
            self._set_image(index, value, value._describe())
        elif isinstance(value, Sampler):
            self._set_sampler(index, value._wire)
        elif isinstance(value, SVMPointer):
            self._check_shared(index)
            _, shadow, offset, _ = shared_region(value, "clSetKernelArgSVMPointer")
            self._set_shared(index, shadow, offset)
        elif isinstance(value, MemoryObjectHolder):
            self._set_buffer(index, value._memory("clSetKernelArg"))
        elif isinstance(value, CommandQueue):
            self._set_queue(index)
        elif isinstance(value, LocalMemory):
            self._set_local(index, value.size)
        else:
            self._set_value(index, value)

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

    def _set_arg_multi(self, indices_and_args: tuple[Any, ...]) -> None:
        """(index, value, ...), from generated code."""
        try:
            for at in range(0, len(indices_and_args), 2):
                self._set(indices_and_args[at], indices_and_args[at + 1])
        except CallError as error:
            translate(error, error.routine)

    def _set_arg_buf_multi(self, indices_and_args: tuple[Any, ...]) -> None:
        """(index, bytes, ...), from generated code."""
        try:
            for at in range(0, len(indices_and_args), 2):
                self._check_index(indices_and_args[at])
                self._set_value(indices_and_args[at], indices_and_args[at + 1])
        except CallError as error:
            translate(error, error.routine)

    def _set_arg_buf_pack_multi(self, indices_chars_and_args: tuple[Any, ...]) -> None:
        """(index, struct letter, value, ...), from generated code."""
        try:
            for at in range(0, len(indices_chars_and_args), 3):
                index, letter, value = indices_chars_and_args[at : at + 3]
                self._check_index(index)
                self._set_bytes(index, _pack(letter.decode(), value))
        except CallError as error:
            translate(error, error.routine)

    # ---- queries

    @translated("clGetKernelInfo")
    def get_info(self, param: int) -> Any:
        """Answer a kernel query."""
        return self._query(param)

    @translated("clGetKernelWorkGroupInfo")
    def get_work_group_info(self, param: int, device: Device) -> Any:
        """Answer a query about the kernel on a device; of the cluster, what holds on all."""
        return self._work_group_query(param, device)

    @translated("clGetKernelArgInfo")
    def get_arg_info(self, index: int, param: int) -> Any:
        """Answer a query about an argument's declaration."""
        return self._argument_query(index, param)

    def get_sub_group_info(self, device: Device, param: int, input_value: Any = None) -> Any:
        """Not built yet."""
        not_built("Kernel.get_sub_group_info")


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
