"""`vcl doctor`: why a program finds no device, or not the one that it should.

Owns: what is looked at, in which order, and the advice. Must not know: how drivers and clusters
are asked (`node_agent.inventory`, `vcl.cli.trial`, `vcl.cli.ways`).

Whatever asks a driver is a process of its own, with a time limit: a broken one may crash or hang.
"""

from __future__ import annotations

import difflib
import importlib.util
import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, NamedTuple

from vcl.cli import trial
from vcl.errors import ConnectionProblem, OperatingError
from vcl.local import process_environment
from vcl.release import VERSION
from vcl.settings import Environment
from vcl.text import counted, how_to_install

driver_timeout_s = 60.0
"""For a driver to list its devices, or to run a kernel; the first one may fill its cache."""

OTHER_VARIABLES = ("VCL_TRANSPORT", "VCL_RUN", "VCL_EMBEDDED", "VCL_HIDDEN_VENDORS")
"""Variables of ours that aren't in `Environment`: one setting, and what children are told by."""

GPU_FILES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dri/renderD128")
"""What a GPU's driver opens first: Nvidia's, AMD's, and Intel's."""

DRIVERS = (
    "install the OpenCL driver of the device's maker, or PoCL for the processor: "
    f"{how_to_install('pocl-binary-distribution')}"
)


class Finding(NamedTuple):
    """state: a "note" is no problem by itself. advice: what to do; "" if there is nothing."""

    state: Literal["ok", "note", "wrong"]
    what: str
    advice: str = ""


def examine(master: str | None) -> Iterator[Finding]:
    """Look at this Python, the settings, this host's drivers, and the cluster, one by one."""
    yield from _software()
    yield from _settings()
    try:
        settings = Environment()
    except ConnectionProblem as error:
        yield Finding("wrong", str(error), "set it right, or unset it")
        return
    named = master or settings.master
    yield from _drivers(needed=named is None)
    yield from _cluster(named)


def _software() -> Iterator[Finding]:
    versions = ", ".join(f"{name} {version(name)}" for name in ("pyopencl", "numpy"))
    yield Finding("ok", f"vcl {VERSION}, Python {platform.python_version()}, {versions}")
    if importlib.util.find_spec("picows") is None:
        advice = how_to_install("picows")
        yield Finding("note", "without picows messages take longer", advice)


def _settings() -> Iterator[Finding]:
    known = [f"VCL_{name}".upper() for name in Environment.model_fields] + [*OTHER_VARIABLES]
    for name in sorted(os.environ):
        if name.startswith("VCL_") and name not in known:
            likely = difflib.get_close_matches(name, known, 1)
            advice = f"perhaps {likely[0]} is meant" if likely else ""
            yield Finding("note", f"{name} is set, which is no setting of vcl", advice)


def _drivers(needed: bool) -> Iterator[Finding]:
    """This host's own devices. needed: whether a program needs one here."""
    bad: Literal["wrong", "note"] = "wrong" if needed else "note"
    answer = _ask_driver("-P", "-m", "node_agent.inventory")
    if isinstance(answer, str):
        yield Finding(
            bad, f"this host's OpenCL drivers can't be asked for their devices: {answer}",
            "a driver is broken: `clinfo`, or OCL_ICD_VENDORS with the file of one driver at a "
            "time, shows which",
        )  # fmt: skip
        return
    why = "; ".join(f"{error['where']}: {error['message']}" for error in answer["errors"])
    for each in answer["devices"]:
        yield _tried(each, bad)
    if not answer["devices"]:
        but = "" if needed else ", which is no problem if it only runs programs"
        yield Finding(bad, f"this host has no OpenCL device{but}{why and f' ({why})'}", DRIVERS)
    elif why:
        yield Finding(bad, f"a driver fails ({why})", "is it installed completely?")
    for path in GPU_FILES:
        if os.path.exists(path) and not os.access(path, os.R_OK | os.W_OK):
            group = Path(path).group()
            advice = f"sudo usermod -aG {group} $USER, and log in again"
            yield Finding("note", f"a GPU is here, and {path} isn't open to this user", advice)


def _tried(device: dict[str, Any], bad: Literal["wrong", "note"]) -> Finding:
    name = f"{device['platform']['NAME']} / {str(device['info']['NAME']).strip()}"
    answer = _ask_driver(
        "-P", str(Path(trial.__file__)), str(device["index"]), str(device["device_index"])
    )
    if isinstance(answer, str):
        return Finding(bad, f"{name}: a kernel there: {answer}", "the driver is broken: renew it")
    if "problem" in answer:
        return Finding(bad, f"{name}: {answer['problem']}", "the driver is broken: renew it")
    return Finding("ok", f"{name}: a kernel ran here in {_shown(answer['seconds'])}")


def _ask_driver(*arguments: str) -> Any:
    """The JSON object that a Python of its own prints, or why it didn't."""
    try:
        done = subprocess.run(
            [sys.executable, *arguments], env=process_environment(), capture_output=True,
            text=True, timeout=driver_timeout_s, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"no answer within {driver_timeout_s:g} s"
    if done.returncode < 0:
        return f"the process was ended by {signal.Signals(-done.returncode).name}"
    # A driver may print lines of its own, before and after.
    told = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not told:
        last = done.stderr.strip().splitlines()[-1:] or ["no word"]
        return f"the process ended with status {done.returncode}: {last[0]}"
    return json.loads(told[-1])


def _cluster(master: str | None) -> Iterator[Finding]:
    """Connect as a program does, and launch a kernel on each device."""
    import vcl
    from vcl.api.session import PROCESS
    from vcl.pyopencl_cl import session

    if master is None:
        yield Finding(
            "note", "VCL_MASTER isn't set: programs start a cluster of their own on this host",
            "export VCL_MASTER=ws://HOST:7470, if there is a vcl-master",
        )  # fmt: skip
    try:
        connected: Any = vcl.connect(master)
        where = "the embedded cluster" if PROCESS.is_embedded else connected._runtime.url
        devices = connected._devices()
        if not devices:
            yield Finding(
                "wrong", f"no agent is connected to the vcl-master at {where}",
                f"start `vcl-agent {connected._runtime.url}` on each host that has devices; if it "
                "ends, `vcl doctor` there says why",
            )  # fmt: skip
            return
        nodes = {remote.node_name for remote in connected._runtime.devices}
        counts = f"{counted(len(devices) - 1, 'device')} on {counted(len(nodes), 'node')}"
        yield Finding("ok", f"{where} has {counts}")
        for device in [*devices[1:], devices[0]]:
            yield _launched(vcl, device)
        yield from _ways(vcl, connected)
    except ConnectionProblem as error:
        yield Finding("wrong", str(error))
    finally:
        session.disconnect()


def _launched(cl: Any, device: Any) -> Finding:
    try:
        seconds = trial.launch(cl, device)
    except (cl.Error, ArithmeticError) as error:
        text = " ".join(str(error).split())
        return Finding("wrong", f"{device.name}: {text}", "see the log of its node's vcl-agent")
    return Finding("ok", f"{device.name}: a kernel ran there in {_shown(seconds)}")


def _ways(cl: Any, connected: Any) -> Iterator[Finding]:
    """Of the ways of bulk those that go through the master, and why."""
    from vcl.cli import ways

    try:
        found = ways.gather(connected)
    except (cl.Error, OperatingError) as error:
        yield Finding("wrong", f"the session ended: {error}")
        return
    for way in found:
        if way.reason:
            between = " and ".join(way.between)
            yield Finding(
                "note", f"data between {between} goes through the master: {way.reason}",
                "that is slower; see --data-listen in `vcl-agent --help`",
            )  # fmt: skip


def _shown(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms"
