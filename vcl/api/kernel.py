"""Kernels and their arguments (OpenCL 3.0 API, 5.9).

Owns: `Kernel`, the checks of arguments, and what was declared of them. Must not know: building
(`program`) or launching (`launch`).
"""

from __future__ import annotations

import struct
from typing import Any

from vcl.api.devices import Device
from vcl.api.errors import fail
from vcl.api.lifetimes import REFERENCES
from vcl.api.memory import Memory
from vcl.api.program import KernelFacts, Program
from vcl.client_core import Enqueued
from vcl.constants import CLASSES
from vcl.wire.declared import Declaration, pack
from vcl.wire.limits import declared_bytes_max
from vcl.wire.messages import session

_INFO = CLASSES["kernel_info"]
_GROUP = CLASSES["kernel_work_group_info"]
_ARGUMENT = CLASSES["kernel_arg_info"]
_ADDRESS = CLASSES["kernel_arg_address_qualifier"]
_CONST = CLASSES["kernel_arg_type_qualifier"]["CONST"]
_DECLARED = tuple(
    _ARGUMENT[name]
    for name in (
        "ADDRESS_QUALIFIER", "TYPE_NAME", "ACCESS_QUALIFIER", "TYPE_QUALIFIER", "NAME"
    )
)  # fmt: skip
"""In the order of `KernelFacts.arguments`."""

_UNSET = object()


class Kernel:
    """A kernel with its arguments; they stay here until a launch.

    _fitted: the device, global and local size that were found to fit last. _declared: what
    `vcl.access` was told, by argument; _declared_packed: the same as it travels. _setting:
    another object whenever an argument or a declaration was set. _enqueued: of the last launch, the
    setting, queue and sizes, and the launch.
    """

    def __init__(self, program: Program, name: str) -> None:
        """Raises CallError if the program isn't built or has no such kernel."""
        facts = program._built_kernels("clCreateKernel").get(name)
        if facts is None:
            fail("clCreateKernel", "INVALID_KERNEL_NAME", f"the program has no kernel {name!r}")
        self._facts: KernelFacts = facts
        self._program: Any = program
        self._program_id = program._id
        self._made = program._made  # the build lives as long as its kernels
        self._context: Any = program._context
        # Per argument: as it travels, and what must be kept alive.
        self._arguments: list[Any] = [_UNSET] * len(facts.arguments)
        self._kept: list[Any] = [None] * len(facts.arguments)
        self._fitted: Any = None
        self._declared: dict[int, Declaration] = {}
        self._declared_packed = b""
        self._setting = object()
        self._enqueued: tuple[tuple[Any, ...], Enqueued] | None = None

    # ---- arguments: `index` is as `_check_index` lets pass; all raise CallError for what the
    # declaration doesn't allow

    def _set_null(self, index: int) -> None:
        """No memory."""
        if not self._may_be(index, self._facts.pointers[index]):
            # It is given as a memory object that is NULL, with the size of a pointer.
            other = self._facts.sizes[index] not in (None, struct.calcsize("P"))
            status = "INVALID_ARG_SIZE" if other else "INVALID_ARG_VALUE"
            fail("clSetKernelArg", status, self._describe(index, "None"))
        self._put(index, None, None)

    def _set_buffer(self, index: int, memory: Memory) -> None:
        """A buffer; its memory lives as long as the argument, even if the program lets go of it."""
        facts = self._facts
        if not (facts.pointers[index] or facts.unknown[index]):
            status = "INVALID_ARG_VALUE" if facts.locals[index] else "INVALID_ARG_SIZE"
            fail("clSetKernelArg", status, self._describe(index, "a buffer"))
        if memory._context != self._context:
            fail("clSetKernelArg", "INVALID_MEM_OBJECT", "the buffer is of another context")
        self._arguments[index] = [
            session.ARGUMENT_BUFFER, memory._root_id, memory._origin, memory._size
        ]  # fmt: skip
        self._kept[index] = memory._root
        self._setting = object()

    def _set_shared(self, index: int, memory: Memory, offset: int) -> None:
        """A pointer to shared virtual memory: from an offset of its shadow buffer on."""
        self._check_shared(index)
        where = [session.ARGUMENT_BUFFER, memory._root_id, offset, memory._size - offset]
        self._put(index, where, memory._root)

    def _check_shared(self, index: int) -> None:
        if not self._may_be(index, self._facts.pointers[index]):
            got = "shared virtual memory"
            fail("clSetKernelArgSVMPointer", "INVALID_ARG_VALUE", self._describe(index, got))

    def _set_image(self, index: int, memory: Memory, description: list[int]) -> None:
        """An image. description: as `vcl.api.images.Image._describe` answers."""
        if not self._may_be(index, self._facts.images[index]):
            fail("clSetKernelArg", "INVALID_ARG_VALUE", self._describe(index, "an image"))
        where = [session.ARGUMENT_IMAGE, memory._root_id, memory._origin, memory._size]
        self._put(index, where + description, memory._root)

    def _set_sampler(self, index: int, description: list[int]) -> None:
        """A sampler. description: normalized coordinates, addressing mode, filter mode."""
        if not self._may_be(index, self._is_sampler(index)):
            status = "INVALID_ARG_VALUE" if self._facts.locals[index] else "INVALID_ARG_SIZE"
            fail("clSetKernelArg", status, self._describe(index, "a sampler"))
        self._put(index, [session.ARGUMENT_SAMPLER, *description], None)

    def _set_queue(self, index: int) -> None:
        """There are no queues on devices, and so no arguments of that type."""
        fail("clSetKernelArg", "INVALID_ARG_SIZE", self._describe(index, "a queue"))

    def _set_local(self, index: int, size: int) -> None:
        """Local memory of that many bytes."""
        if not self._may_be(index, self._facts.locals[index]):
            status = "INVALID_ARG_SIZE" if self._facts.pointers[index] else "INVALID_ARG_VALUE"
            fail("clSetKernelArg", status, self._describe(index, "LocalMemory"))
        if size == 0 or size >= 1 << 63:
            got = f"{size} bytes"
            fail("clSetKernelArg", "INVALID_ARG_SIZE", self._describe(index, got))
        self._put(index, [session.ARGUMENT_LOCAL, size], None)

    def _set_bytes(self, index: int, data: bytes) -> None:
        """A value."""
        facts = self._facts
        if len(data) == facts.values[index]:
            self._put(index, data, None)
            return
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

    def _may_be(self, index: int, kind: bool) -> bool:
        """Whether the argument is of a kind, or the driver doesn't tell."""
        return kind or self._facts.unknown[index]

    def _is_sampler(self, index: int) -> bool:
        return self._facts.samplers[index]

    def _put(self, index: int, wire: Any, kept: Any) -> None:
        self._arguments[index] = wire
        self._kept[index] = kept
        self._setting = object()

    def _check_index(self, index: int) -> None:
        """Raise CallError unless the kernel has this argument; index: from 0."""
        if index >= len(self._arguments):
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

    # ---- what its work-items touch

    def _index(self, argument: int | str) -> int:
        """Of an argument, by its index from 0 or its name. Raises CallError for none."""
        names = [declared[4] for declared in self._facts.arguments]
        if isinstance(argument, str):
            if argument in names:
                return names.index(argument)
        elif 0 <= argument < len(names):
            return argument
        text = f"kernel {self._facts.name!r} has no argument {argument!r}"
        fail("vcl.access", "INVALID_ARG_INDEX", text)

    def _declare(self, declaration: Declaration) -> None:
        """What is touched of an argument, from the next launch on; in place of what was said of
        it before. Raises CallError for what can't be touched so."""
        index = declaration.argument
        if not self._may_be(index, self._facts.pointers[index]):
            got = "a declaration, and isn't a buffer"
            fail("vcl.access", "INVALID_ARG_VALUE", self._describe(index, got))
        constant = self._facts.arguments[index][0] == _ADDRESS["CONSTANT"]
        if constant and declaration.writes is not None:
            got = "a declaration of writes, and is constant"
            fail("vcl.access", "INVALID_ARG_VALUE", self._describe(index, got))
        declared = self._declared | {index: declaration}
        packed = pack(list(declared.values()))
        if len(packed) > declared_bytes_max:
            text = f"{len(declared)} declarations are more than {declared_bytes_max} bytes"
            fail("vcl.access", "OUT_OF_RESOURCES", text)
        self._declared, self._declared_packed = declared, packed
        self._setting = object()

    def _stays_unwritten(self, index: int) -> bool:
        """Whether the kernel declares the argument const or constant."""
        address, _, _, qualifier, _ = self._facts.arguments[index]
        return bool(address == _ADDRESS["CONSTANT"] or qualifier & _CONST)

    def _check_declared(self, arguments: list[Any], routine: str) -> None:
        """Raise CallError if a buffer is smaller than the array that was declared."""
        for index, declaration in self._declared.items():
            region = session.argument_region(arguments[index])
            if region is not None and region[2] < declaration.size:
                got = f"{region[2]} bytes, and {declaration.size} were declared to vcl.access"
                fail(routine, "INVALID_ARG_SIZE", self._describe(index, got))

    def _launch_arguments(self, routine: str) -> list[Any]:
        """The arguments as they travel. Raises CallError if one isn't set or doesn't fit what was
        declared."""
        arguments = list(self._arguments)
        if _UNSET in arguments:
            got = self._describe(arguments.index(_UNSET), "no value")
            fail(routine, "INVALID_KERNEL_ARGS", got)
        if self._declared:
            self._check_declared(arguments, routine)
        return arguments

    # ---- queries

    def _query(self, param: int) -> Any:
        """Answer a query. param: of kernel_info. Raises CallError for what isn't any."""
        if param == _INFO["FUNCTION_NAME"]:
            return self._facts.name
        if param == _INFO["NUM_ARGS"]:
            return len(self._facts.arguments)
        if param == _INFO["REFERENCE_COUNT"]:
            return REFERENCES
        if param == _INFO["CONTEXT"]:
            return self._context
        if param == _INFO["PROGRAM"]:
            return self._program
        if param == _INFO["ATTRIBUTES"]:
            return next(iter(self._facts.groups.values()))[5]
        fail("clGetKernelInfo", "INVALID_VALUE")

    def _work_group_query(self, param: int, device: Device) -> Any:
        """Answer a query about the kernel on a device; of the cluster, what holds on all.

        param: of kernel_work_group_info. Raises CallError for what isn't any, and as `_group`.
        """
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

    def _argument_query(self, index: int, param: int) -> Any:
        """Answer a query about an argument's declaration; index: from 0.

        param: of kernel_arg_info. Raises CallError for what isn't any, and for no argument.
        """
        if not 0 <= index < len(self._facts.arguments):
            fail("clGetKernelArgInfo", "INVALID_ARG_INDEX")
        if param not in _DECLARED:
            fail("clGetKernelArgInfo", "INVALID_VALUE")
        return self._facts.arguments[index][_DECLARED.index(param)]

    def _group(self, device: Device, routine: str) -> list[list[Any]]:
        """Work-group info of the device; of the cluster device, of all its devices.

        Each is [largest work-group, compiled local size, bytes of local memory, preferred
        multiple, bytes of private memory, attributes]. Raises CallError for a device of another
        context.
        """
        if device not in self._context._devices:
            fail(routine, "INVALID_DEVICE", "the device isn't of the kernel's context")
        groups = self._facts.groups
        return [groups[device._id]] if device._id else list(groups.values())
