"""Programs and what is known of their kernels.

Owns: building, compiling and linking, and the programs that were built. Must not know: how
kernels are launched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from node_agent.driver.failures import DriverFailure, status_of
from node_agent.driver.memory import Device, Devices
from node_agent.includes import Includes
from node_agent.inputs import BuildEnded
from node_agent.printed import Printer
from vcl.errors import BUILD_PROGRAM_FAILURE, OUT_OF_RESOURCES
from vcl.text import clipped
from vcl.wire.frame import values_in
from vcl.wire.limits import log_bytes_max, message_values_max
from vcl.wire.messages import part, session
from vcl.wire.messages.session import clipped_logs


class Programs:
    """The session's programs on this host. Built on the host thread too, used on the shell's."""

    def __init__(
        self, cl: Any, devices: Devices, printer: Printer, post: Callable[[list[Any]], None]
    ) -> None:
        self._cl = cl
        self._devices = devices
        self._printer = printer
        self._post = post
        self._built: dict[int, dict[int, Any]] = {}  # by program and device

    def program(self, program: int, device: int) -> Any:
        """A program as it was built for a device; raises DriverFailure if it wasn't."""
        found = self._built.get(program, {}).get(device)
        if found is None:
            raise DriverFailure(BUILD_PROGRAM_FAILURE, "the program isn't built here")
        return found

    def forget(self, program: int) -> None:
        """Release a program and its kernels on all devices."""
        self._printer.forget(program)
        for device in self._built.pop(program, ()):
            self._devices[device].kernels.pop(program, None)

    def build_guarded(self, m: part.Build) -> None:
        """As `build`; whatever goes wrong is the build's failure."""
        try:
            self.build(m)
        except Exception as error:  # told to the user as the build's failure, with its text
            code, text = status_of(error)
            if isinstance(error, OSError):
                text = f"the node can't keep the files that the program includes: {error}"
            self._post([BuildEnded(part.BuildDone(m.request, code, text, [], []))])

    def build(self, m: part.Build) -> None:
        """Build, compile or link a program, and post BuildEnded."""
        cl = self._cl
        status, message = 0, ""
        logs: list[list[Any]] = []
        kernels: dict[str, list[Any]] = {}
        units = [Includes(unit) for unit in m.units]
        for number in m.devices:
            device = self._devices[number]
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
            self._built.setdefault(m.program, {})[number] = program
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
        self, device: Device, m: part.Build, units: Sequence[Includes]
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
                return program, status_of(error)
        if m.step != session.LINK:
            return made[0], None
        try:
            linked = create.link(device.context, made, m.link_options.encode(), [device.device])
        except self._cl.Error as error:
            return made[0], status_of(error)
        return linked, None


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
