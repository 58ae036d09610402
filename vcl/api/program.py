"""Programs: from source, from binaries, compiled and linked (OpenCL 3.0 API, 5.8).

Owns: `Program`, and what a build tells of kernels. Must not know: kernels' arguments (`kernel`).

A program is made of units, each a source with its options and the files that it may include. Its
binary is those units: every device of the cluster can build it, and the analysis that decides
about splitting can read it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from vcl.api.context import Context
from vcl.api.devices import Device
from vcl.api.errors import fail, fail_code
from vcl.api.headers import check_length, make_unit
from vcl.api.lifetimes import REFERENCES, Owner
from vcl.constants import CLASSES
from vcl.errors import RemoteProtocolError
from vcl.scalars import value_bytes
from vcl.wire.frame import pack_value, unpack_value
from vcl.wire.messages import session
from vcl.wire.units import check_unit

TYPES = CLASSES["program_binary_type"]
_INFO = CLASSES["program_info"]
_BUILD = CLASSES["program_build_info"]
_ADDRESS = CLASSES["kernel_arg_address_qualifier"]
_STATUS = CLASSES.get("build_status", {"SUCCESS": 0, "NONE": -1, "ERROR": -2})
_ANY_MAGIC = b"VCL program "
_MAGIC = _ANY_MAGIC + b"2\n"
_TEMPORARY = re.compile(r"/\S*tempfile\w*|\btempfile_\w+")


class Program:
    """A program.

    _units: what it is made of; none before it's built or compiled. _type: of program_binary_type.
    """

    def __init__(self, context: Context, source: str) -> None:
        # Of a face, the context has its own class.
        self._context: Any = context
        self._runtime = context._runtime
        self._source = source
        self._units: list[list[Any]] = []
        self._step = session.BUILD
        self._type = TYPES["NONE"]
        self._from_binary = False
        self._id = 0
        self._made: Owner | None = None
        self._options = ""
        self._kernels: dict[str, KernelFacts] | None = None
        self._logs: dict[int, tuple[int, str]] = {}

    def _take_binaries(self, devices: Sequence[Device], binaries: Sequence[bytes]) -> None:
        """Be the program that vcl made these binaries of, one a device. Raises CallError."""
        routine = "clCreateProgramWithBinary"
        self._from_binary = True
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

    def _make(
        self, routine: str, step: int, link_options: str, devices: Sequence[Device] | None
    ) -> None:
        """Have the nodes make the program of its units.

        Raises CallError if one can't; the logs are kept in any case.
        """
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
        built = runtime.ask(message)
        # Let go of when neither program nor kernel refers to it.
        owner = Owner(runtime, number)
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

    def _build_all(self, options: str, devices: Sequence[Device] | None) -> None:
        """Build on all devices of the context, whichever of them are named. Raises CallError."""
        self._options = options
        if not self._from_binary:
            self._units = [make_unit("clBuildProgram", self._source, options)]
            self._step = session.BUILD
        elif self._type == TYPES["COMPILED_OBJECT"]:
            self._step = session.LINK
        self._make("clBuildProgram", self._step, "", devices)
        self._type = TYPES["EXECUTABLE"]

    def _compile(
        self, options: str, devices: Sequence[Device] | None, given: Mapping[str, str]
    ) -> None:
        """Compile, to be linked later; given: the text of headers by the name to include.

        Raises CallError.
        """
        self._options = options
        self._units = [make_unit("clCompileProgram", self._source, options, dict(given))]
        self._make("clCompileProgram", session.COMPILE, "", devices)
        self._type = TYPES["COMPILED_OBJECT"]

    def _link(
        self, programs: Sequence[Program], options: str, devices: Sequence[Device] | None
    ) -> None:
        """Be the program, or the library, of compiled ones. Raises CallError."""
        routine = "clLinkProgram"
        for program in programs:
            if program._type not in (TYPES["COMPILED_OBJECT"], TYPES["LIBRARY"]):
                fail(routine, "INVALID_OPERATION", "a program to be linked isn't compiled")
            self._units += program._units
        if not self._units:
            fail(routine, "INVALID_VALUE", "no programs to link")
        self._options, self._step = options, session.LINK
        self._from_binary = True
        if "-create-library" in options:
            self._type = TYPES["LIBRARY"]
        else:
            self._make(routine, session.LINK, options, devices)
            self._type = TYPES["EXECUTABLE"]

    def _binary(self) -> bytes:
        """What `_take_binaries` takes; empty of a program that isn't built."""
        if self._type == TYPES["NONE"]:
            return b""
        return _MAGIC + pack_value([self._step, self._type, self._units])

    def _built_kernels(self, routine: str) -> dict[str, KernelFacts]:
        """By name. Raises CallError if the program isn't built."""
        if self._kernels is None:
            fail(routine, "INVALID_PROGRAM_EXECUTABLE", "the program isn't built")
        return self._kernels

    def _query(self, param: int) -> Any:
        """Answer a query. param: of program_info.

        Raises CallError for what isn't any, and about kernels of a program that isn't built.
        """
        routine = "clGetProgramInfo"
        count = len(self._context._devices)
        if param == _INFO["REFERENCE_COUNT"]:
            return REFERENCES
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
        if param in (_INFO["SCOPE_GLOBAL_CTORS_PRESENT"], _INFO["SCOPE_GLOBAL_DTORS_PRESENT"]):
            return False
        fail(routine, "INVALID_VALUE")

    def _build_query(self, device: Device, param: int) -> Any:
        """Answer a query about the last build on a device; the cluster device's log is that of all
        its devices.

        param: of program_build_info. Raises CallError for what isn't any, and as `_logs_of`.
        """
        if param == _BUILD["STATUS"]:
            return self._build_status(device)
        if param == _BUILD["LOG"]:
            return self._build_log(device)
        self._logs_of(device)
        if param == _BUILD["OPTIONS"]:
            return self._options
        if param == _BUILD["BINARY_TYPE"]:
            return self._type
        if param == _BUILD["GLOBAL_VARIABLE_TOTAL_SIZE"]:
            return 0
        fail("clGetProgramBuildInfo", "INVALID_VALUE")

    def _logs_of(self, device: Device) -> list[tuple[int, str]]:
        """(status, log) of the last build on a device; on all of them, of the cluster device.

        Raises CallError for a device of another context.
        """
        if device not in self._context._devices:
            fail("clGetProgramBuildInfo", "INVALID_DEVICE")
        known = [device._id] if device._id else list(self._logs)
        return [self._logs[d] for d in known if d in self._logs]

    def _build_status(self, device: Device) -> int:
        """Of build_status. Raises as `_logs_of`."""
        found = self._logs_of(device)
        if not found:
            return _STATUS["NONE"]
        return _STATUS["ERROR"] if min(s for s, _ in found) < 0 else _STATUS["SUCCESS"]

    def _build_log(self, device: Device) -> str:
        """Logs that differ in the names of temporary files only are told once. Raises as
        `_logs_of`."""
        logs = {_TEMPORARY.sub("", log): log for _, log in self._logs_of(device) if log.strip()}
        return "\n".join(logs.values())


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
        self.samplers: list[bool] = [argument[1] == "sampler_t" for argument in arguments]
        self.sizes = [
            None if pointer or local else value_bytes(argument[1])
            for pointer, local, argument in zip(
                self.pointers, self.locals, arguments, strict=True
            )
        ]
        # Of what is given by value, its bytes; None for all else, and where that isn't known.
        self.values = [
            None if image or sampler else size
            for size, image, sampler in zip(self.sizes, self.images, self.samplers, strict=True)
        ]
