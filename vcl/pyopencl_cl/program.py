"""pyopencl's class of programs.

Owns: `_Program`, which pyopencl's `Program` wraps. Must not know: what a program is made of
(`vcl.api.program`), kernels' arguments (`kernel`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vcl.api import program as api
from vcl.pyopencl_cl.context import Context
from vcl.pyopencl_cl.errors import fail, not_built, translated
from vcl.pyopencl_cl.handles import Handle
from vcl.pyopencl_cl.kernel import Kernel
from vcl.pyopencl_cl.platform import Device


class _Program(Handle, api.Program):
    """A program; pyopencl's Python layer adds `build`."""

    _invalid = "INVALID_PROGRAM"

    @translated("clCreateProgramWithSource")
    def __init__(self, context: Context, source: Any, binaries: Any = None) -> None:
        if binaries is not None:
            api.Program.__init__(self, context, "")
            self._take_binaries(source, binaries)
        else:
            api.Program.__init__(self, context, _text(source))

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

    @translated("clBuildProgram")
    def _build(self, options: bytes = b"", devices: Sequence[Device] | None = None) -> None:
        """Build on all devices of the context; raises RuntimeError with the logs if one fails."""
        self._build_all(_text(options), devices)

    @translated("clCompileProgram")
    def compile(
        self, options: bytes = b"", devices: Sequence[Device] | None = None, headers: Any = ()
    ) -> None:
        """Compile, to be linked later; headers: (name to include, program) each."""
        given = {name: program._source for name, program in headers}
        self._compile(_text(options), devices, given)

    @staticmethod
    @translated("clLinkProgram")
    def link(
        context: Context,
        programs: Any,
        options: bytes = b"",
        devices: Sequence[Device] | None = None,
    ) -> _Program:
        """A program of compiled ones."""
        linked = _Program(context, "")
        linked._link(list(programs), _text(options), devices)
        return linked

    def set_specialization_constant(self, spec_id: int, buffer: Any) -> None:
        """Only programs from IL have them."""
        fail("clSetProgramSpecializationConstant", "INVALID_PROGRAM", "not a program from IL")

    @translated("clGetProgramInfo")
    def get_info(self, param: int) -> Any:
        """Answer a program query."""
        return self._query(param)

    @translated("clGetProgramBuildInfo")
    def get_build_info(self, device: Device, param: int) -> Any:
        """Answer a build query; the cluster device's log is that of all its devices."""
        return self._build_query(device, param)

    @translated("clCreateKernelsInProgram")
    def all_kernels(self) -> list[Any]:
        """All kernels of a built program."""
        return [Kernel(self, name) for name in self._built_kernels("clCreateKernelsInProgram")]


def _text(given: Any) -> str:
    return given.decode() if isinstance(given, bytes) else str(given)


def create_program_with_il(context: Context, il: bytes) -> _Program:
    """Not built yet."""
    not_built("programs from IL")
