"""Programs: from source, from binaries, compiled and linked.

Owns: `_Program`, which pyopencl's `Program` wraps, and what a build tells of kernels. Must not
know: kernels' arguments (`kernel`).

A program is made of units, each a source with its options and the files that it may include. Its
binary is those units: every device of the cluster can build it, and the analysis that decides
about splitting can read it.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Sequence
from typing import Any

from vcl.constants import CLASSES
from vcl.errors import RemoteProtocolError
from vcl.pyopencl_cl.context import Context
from vcl.pyopencl_cl.errors import fail, fail_code, not_built, translated
from vcl.pyopencl_cl.handles import Handle, reference_count
from vcl.pyopencl_cl.headers import check_length, make_unit
from vcl.pyopencl_cl.platform import Device
from vcl.scalars import value_bytes
from vcl.wire.frame import pack_value, unpack_value
from vcl.wire.messages import session
from vcl.wire.units import check_unit

_INFO = CLASSES["program_info"]
_BUILD = CLASSES["program_build_info"]
_TYPES = CLASSES["program_binary_type"]
_ADDRESS = CLASSES["kernel_arg_address_qualifier"]
_STATUS = CLASSES.get("build_status", {"SUCCESS": 0, "NONE": -1, "ERROR": -2})
_ANY_MAGIC = b"VCL program "
_MAGIC = _ANY_MAGIC + b"2\n"
_TEMPORARY = re.compile(r"/\S*tempfile\w*|\btempfile_\w+")


class _Program(Handle):
    """A program; pyopencl's Python layer adds `build`."""

    _invalid = "INVALID_PROGRAM"

    @translated("clCreateProgramWithSource")
    def __init__(self, context: Context, source: Any, binaries: Any = None) -> None:
        super().__init__()
        self._context = context
        self._runtime = context._runtime
        self._source = ""
        self._units: list[list[Any]] = []
        self._step = session.BUILD
        self._type = _TYPES["NONE"]
        self._from_binary = binaries is not None
        self._id = 0
        self._made: _Made | None = None
        self._options = ""
        self._kernels: dict[str, KernelFacts] | None = None
        self._logs: dict[int, tuple[int, str]] = {}
        if binaries is not None:
            self._take_binaries(source, binaries)
        else:
            self._source = source.decode() if isinstance(source, bytes) else str(source)

    def _take_binaries(self, devices: Sequence[Device], binaries: Sequence[bytes]) -> None:
        routine = "clCreateProgramWithBinary"
        if len(devices) != len(binaries) or not binaries:
            fail(routine, "INVALID_VALUE", "as many binaries as devices are needed")
        for device in devices:
            if device not in self._context._devices:
                fail(routine, "INVALID_DEVICE", "a device isn't of the context")
        blob = bytes(binaries[0])
        text = "only binaries that vcl made can be loaded: they can be built on every device"
        if blob.startswith(_ANY_MAGIC) and not blob.startswith(_MAGIC):
            text = "the binary is of another version of vcl: make it again from the source"
        if not blob.startswith(_MAGIC) or any(bytes(b) != blob for b in binaries):
            fail(routine, "INVALID_BINARY", text)
        try:
            self._step, self._type, self._units = unpack_value(blob[len(_MAGIC) :])
            for unit in self._units:
                check_unit(unit)
        except (RemoteProtocolError, ValueError, TypeError):
            fail(routine, "INVALID_BINARY", text)

    @staticmethod
    def create_with_built_in_kernels(
        context: Context, devices: Sequence[Device], kernel_names: str
    ) -> _Program:
        """The cluster's devices have no built-in kernels in common."""
        fail(
            "clCreateProgramWithBuiltInKernels",
            "INVALID_VALUE",
            f"no device of the cluster has the built-in kernels {kernel_names!r}",
        )

    def kind(self) -> Any:
        """program_kind.SOURCE or BINARY."""
        from pyopencl import _cl

        return _cl.program_kind.BINARY if self._from_binary else _cl.program_kind.SOURCE

    def _make(self, routine: str, step: int, link_options: str, devices: Any) -> None:
        """Have the nodes make the program of its units; raises RuntimeError if one can't."""
        for device in devices or ():
            if device not in self._context._devices:
                fail(routine, "INVALID_DEVICE", "the device isn't of the context")
        check_length(routine, self._units)
        runtime = self._runtime
        # Every build has a new id: kernels of an earlier one live on.
        number, request = runtime.new_id(), runtime.new_id()
        message = session.BuildProgram(
            number, self._context._id, request, step, self._units, link_options
        )
        built = runtime.ask(request, message)
        owner = _Made(runtime, number)
        self._logs = {device: (status, log) for device, status, log in built.logs}
        self._kernels = None
        if built.status < 0:
            fail_code(routine, built.status, built.message)
        if step != session.COMPILE:
            self._id, self._made = number, owner
            self._kernels = {
                name: KernelFacts(name, dict(groups), arguments)
                for name, groups, arguments in built.kernels
            }

    @translated("clBuildProgram")
    def _build(self, options: bytes = b"", devices: Sequence[Device] | None = None) -> None:
        """Build on all devices of the context; raises RuntimeError with the logs if one fails."""
        text = options.decode() if isinstance(options, bytes) else str(options)
        self._options = text
        if not self._from_binary:
            self._units = [make_unit("clBuildProgram", self._source, text)]
            self._step = session.BUILD
        elif self._type == _TYPES["COMPILED_OBJECT"]:
            self._step = session.LINK
        self._make("clBuildProgram", self._step, "", devices)
        self._type = _TYPES["EXECUTABLE"]

    @translated("clCompileProgram")
    def compile(
        self, options: bytes = b"", devices: Sequence[Device] | None = None, headers: Any = ()
    ) -> None:
        """Compile, to be linked later; headers: (name to include, program) each."""
        text = options.decode() if isinstance(options, bytes) else str(options)
        self._options = text
        given = {name: program._source for name, program in headers}
        self._units = [make_unit("clCompileProgram", self._source, text, given)]
        self._make("clCompileProgram", session.COMPILE, "", devices)
        self._type = _TYPES["COMPILED_OBJECT"]

    @staticmethod
    @translated("clLinkProgram")
    def link(
        context: Context,
        programs: Any,
        options: bytes = b"",
        devices: Sequence[Device] | None = None,
    ) -> _Program:
        """A program of compiled ones."""
        routine = "clLinkProgram"
        linked = _Program(context, "")
        for program in programs:
            if program._type not in (_TYPES["COMPILED_OBJECT"], _TYPES["LIBRARY"]):
                fail(routine, "INVALID_OPERATION", "a program to be linked isn't compiled")
            linked._units += program._units
        if not linked._units:
            fail(routine, "INVALID_VALUE", "no programs to link")
        text = options.decode() if isinstance(options, bytes) else str(options)
        linked._options, linked._step = text, session.LINK
        linked._from_binary = True
        if "-create-library" in text:
            linked._type = _TYPES["LIBRARY"]
        else:
            linked._make(routine, session.LINK, text, devices)
            linked._type = _TYPES["EXECUTABLE"]
        return linked

    def set_specialization_constant(self, spec_id: int, buffer: Any) -> None:
        """Only programs from IL have them."""
        fail("clSetProgramSpecializationConstant", "INVALID_PROGRAM", "not a program from IL")

    def get_info(self, param: int) -> Any:
        """Answer a program query."""
        routine = "clGetProgramInfo"
        count = len(self._context._devices)
        if param == _INFO["REFERENCE_COUNT"]:
            return reference_count(self)
        if param == _INFO["CONTEXT"]:
            return self._context
        if param == _INFO["NUM_DEVICES"]:
            return count
        if param == _INFO["DEVICES"]:
            return list(self._context._devices)
        if param == _INFO["SOURCE"]:
            return self._source
        if param in (_INFO["NUM_KERNELS"], _INFO["KERNEL_NAMES"]):
            names = list(self._built_kernels(routine))
            return len(names) if param == _INFO["NUM_KERNELS"] else ";".join(names)
        if param == _INFO["BINARIES"]:
            return [self._binary()] * count
        if param == _INFO["BINARY_SIZES"]:
            return [len(self._binary())] * count
        if param == _INFO["IL"]:
            return None
        if param in (
            _INFO["SCOPE_GLOBAL_CTORS_PRESENT"],
            _INFO["SCOPE_GLOBAL_DTORS_PRESENT"],
        ):
            return False
        fail(routine, "INVALID_VALUE")

    def _binary(self) -> bytes:
        if self._type == _TYPES["NONE"]:
            return b""
        return _MAGIC + pack_value([self._step, self._type, self._units])

    def _built_kernels(self, routine: str) -> dict[str, KernelFacts]:
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
                return _STATUS["NONE"]
            return _STATUS["ERROR"] if min(s for s, _ in found) < 0 else _STATUS["SUCCESS"]
        if param == _BUILD["OPTIONS"]:
            return self._options
        if param == _BUILD["LOG"]:
            # Logs that differ in the names of temporary files only are told once.
            logs = {_TEMPORARY.sub("", log): log for _, log in found if log.strip()}
            return "\n".join(logs.values())
        if param == _BUILD["BINARY_TYPE"]:
            return self._type
        if param == _BUILD["GLOBAL_VARIABLE_TOTAL_SIZE"]:
            return 0
        fail(routine, "INVALID_VALUE")

    def all_kernels(self) -> list[Any]:
        """All kernels of a built program."""
        from vcl.pyopencl_cl.kernel import Kernel

        return [Kernel(self, name) for name in self._built_kernels("clCreateKernelsInProgram")]


class _Made:
    """A build on the nodes: let go of when neither program nor kernel refers to it."""

    def __init__(self, runtime: Any, number: int) -> None:
        weakref.finalize(self, runtime.release, number).atexit = False


def create_program_with_il(context: Context, il: bytes) -> _Program:
    """Not built yet."""
    not_built("programs from IL")


class KernelFacts:
    """What a build told of a kernel; shared by its Kernel objects.

    groups: work-group info by device id. arguments: per argument [address qualifier, type name,
    access qualifier, type qualifier, name].
    """

    def __init__(self, name: str, groups: dict[int, list[Any]], arguments: list[list[Any]]) -> None:
        self.name = name
        self.groups = groups
        self.arguments = arguments
        self.unknown = [not a[1] for a in arguments]
        self.pointers = [
            a[0] in (_ADDRESS["GLOBAL"], _ADDRESS["CONSTANT"]) and not a[1].endswith("_t")
            for a in arguments
        ]
        self.images = [a[1].startswith("image") and a[1].endswith("_t") for a in arguments]
        self.locals = [a[0] == _ADDRESS["LOCAL"] for a in arguments]
        self.threes = [argument[1].endswith("3") for argument in arguments]
        self.sizes = [
            None if pointer or local else value_bytes(argument[1])
            for pointer, local, argument in zip(
                self.pointers, self.locals, arguments, strict=True
            )
        ]
