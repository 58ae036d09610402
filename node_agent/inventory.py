"""What OpenCL devices this host has, and everything that they say about themselves, as JSON.

Owns: asking the host's devices everything, and the encoding of their answers. Done in a process of
its own, because a broken driver may crash or hang while it is asked: in an executor that is ready
then, or by itself (`python -m node_agent.inventory [--devices SUBSTRING]`), where stdout carries a
line of JSON and nothing else.
Must not know: the daemon, the master, connections, or how pyopencl and the devices are found
(`node_agent.driver.library` knows).

The result is `{"devices": [...], "errors": [...]}`. A device is
`{"platform": {NAME: answer}, "info": {NAME: answer}, "type": answer, "image_formats": {mem_flag:
{mem_object_type: answer}}, "index": platform index, "device_index": index in that platform}`; the
indices count what the driver lists, before any filter. Names and their order are those of
`vcl.constants`. An answer is one of

- an int, str, bool or list of ints, as the driver gave it;
- `[[version, name], ...]` for a list of `cl_name_version`;
- `[[channel_order, channel_type], ...]` for image formats;
- `{"b64": text}` for bytes;
- `{"error": code}` for a query that failed, so that whoever repeats it far away raises the same
  OpenCL error; with a "reason" too where pyopencl itself couldn't convert the answer.

An error is `{"where": ..., "error": code, "message": ...}`: a platform or device that is missing
from the list because it couldn't even be named.
"""

import argparse
import base64
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from node_agent.driver import library
from vcl.constants import CLASSES

INVALID_VALUE = CLASSES["status_code"]["INVALID_VALUE"]

# Handles mean nothing in another process: the platform is described beside the device, and an
# enumerated device has no parent.
_HANDLES = frozenset({"PLATFORM", "PARENT_DEVICE"})

_IMAGE_MEM_FLAGS = ("READ_ONLY", "WRITE_ONLY", "READ_WRITE")


def _encode(value: object) -> object:
    """Return `value` in a form that JSON keeps; TypeError for a type that has none."""
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, bytes | bytearray):
        return {"b64": base64.b64encode(value).decode("ascii")}
    if isinstance(value, list | tuple):
        return [_encode_item(item) for item in value]
    raise TypeError(f"no encoding for {type(value).__name__}")


def _encode_item(item: Any) -> object:
    if isinstance(item, int):
        return item
    if hasattr(item, "version") and hasattr(item, "name"):
        return [item.version, item.name]
    if hasattr(item, "channel_order") and hasattr(item, "channel_data_type"):
        return [item.channel_order, item.channel_data_type]
    raise TypeError(f"no encoding for a list of {type(item).__name__}")


def _answer(cl: Any, query: Callable[[], object]) -> object:
    """Return the encoded result of `query`, or its failure in the same form."""
    try:
        return _encode(query())
    except cl.Error as error:
        return {"error": error.code}
    except Exception as error:
        # A driver may return what the binding can't convert (text that isn't UTF-8, a size that
        # doesn't fit): one such constant must not cost the host its device.
        return {"error": INVALID_VALUE, "reason": f"{type(error).__name__}: {error}"}


def _describe_info(cl: Any, handle: Any, class_name: str) -> dict[str, object]:
    return {
        name: _answer(cl, lambda value=value: handle.get_info(value))  # type: ignore[misc]
        for name, value in CLASSES[class_name].items()
        if name not in _HANDLES
    }


def _describe_image_formats(cl: Any, device: Any) -> dict[str, dict[str, object]]:
    image_types = {
        name: value
        for name, value in CLASSES["mem_object_type"].items()
        if name.startswith("IMAGE")
    }
    try:
        context = cl.Context([device])
    except cl.Error as error:
        failure = {"error": error.code}
        return {flag: dict.fromkeys(image_types, failure) for flag in _IMAGE_MEM_FLAGS}

    def formats(flag: str, image_type: int) -> object:
        flags = CLASSES["mem_flags"][flag]
        return _answer(cl, lambda: cl.get_supported_image_formats(context, flags, image_type))

    return {
        flag: {name: formats(flag, value) for name, value in image_types.items()}
        for flag in _IMAGE_MEM_FLAGS
    }


def describe_device(cl: Any, device: Any) -> dict[str, object]:
    """Return "platform", "info", "type" and "image_formats" of one device.

    Every constant of `platform_info` and `device_info` is asked, the device's handles excepted; a
    query that fails is recorded in its place. Makes a context on the device, and drops it.
    """
    info = _describe_info(cl, device, "device_info")
    return {
        "platform": _describe_info(cl, device.platform, "platform_info"),
        "info": info,
        "type": info["TYPE"],
        "image_formats": _describe_image_formats(cl, device),
    }


def enumerate_devices(cl: Any, substring: str | None = None) -> dict[str, list[Any]]:
    """Return the host's devices and the errors met, in the order of the driver.

    `substring` keeps the devices whose "platform name / device name" contains it, in any case;
    others are asked for their name and nothing else; where none does, "others" has these names. A
    host without OpenCL has no devices, and the reason (`PLATFORM_NOT_FOUND_KHR`) in "errors".
    """
    found, failures = library.matching_devices(cl, substring)
    others = [] if found or not substring else library.matching_devices(cl, None)[0]
    devices = []
    for platform_index, device_index, device, _ in found:
        place = {"index": platform_index, "device_index": device_index}
        devices.append(describe_device(cl, device) | place)
    return {
        "devices": devices,
        "errors": [
            {"where": where, "error": error.code, "message": str(error)}
            for where, error in failures
        ],
        "others": [each.title for each in others],
    }


def main(argv: Sequence[str], out: TextIO | None = None) -> None:
    """Write the inventory to `out` (default: stdout) as one line of JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m node_agent.inventory",
        description="Print this host's OpenCL devices as JSON.",
    )
    parser.add_argument(
        "--devices",
        metavar="SUBSTRING",
        help="only devices whose 'platform name / device name' contains this, in any case",
    )
    arguments = parser.parse_args(argv)
    print(as_line(library.load_pyopencl(), arguments.devices), file=out or sys.stdout, flush=True)


def as_line(cl: Any, substring: str | None) -> str:
    """As `enumerate_devices`, in JSON."""
    return json.dumps(enumerate_devices(cl, substring))


def apart_from_drivers() -> TextIO:
    """What is standard output now, which is ours alone from now on: what drivers print to file
    descriptor 1, even at exit, goes to stderr."""
    stdout = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return stdout


if __name__ == "__main__":
    with apart_from_drivers() as stdout:
        main(sys.argv[1:], stdout)
