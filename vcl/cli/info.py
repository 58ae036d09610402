"""`vcl info`: the platform, its devices with all their properties, and the ways of bulk.

Owns: gathering and printing them. Must not know: where the answers come from
(`vcl.pyopencl_cl`, `vcl.cli.ways`).
"""

from __future__ import annotations

import io
import json
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vcl.constants import CLASSES
from vcl.errors import ConnectionProblem, OperatingError
from vcl.text import sized


def _properties(holder: Any, constants: dict[str, int]) -> dict[str, Any]:
    """All properties that the object answers; those that it refuses are left out."""
    from vcl.pyopencl_cl.errors import Error

    found: dict[str, Any] = {}
    for name, value in constants.items():
        if name in ("PLATFORM", "PARENT_DEVICE"):
            continue
        try:
            found[name.lower()] = _plain(holder.get_info(value))
        except Error:
            continue
    return found


def _plain(value: Any) -> Any:
    from vcl.pyopencl_cl.platform import NameVersion

    if isinstance(value, NameVersion):
        version = value.version
        return f"{value.name} {version >> 22}.{version >> 12 & 0x3FF}.{version & 0xFFF}"
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, bytes):
        return value.hex()
    return value


def gather(master: str | None) -> dict[str, Any]:
    """{"master", "platform", "devices", "nodes", "ways"}; nodes: of the devices. Raises
    ConnectionProblem."""
    import vcl
    from vcl.cli import ways
    from vcl.pyopencl_cl import session

    platform: Any = vcl.connect(master)  # pyopencl's type has no runtime
    devices = platform.get_devices()
    runtime = platform._runtime
    if not devices:
        raise ConnectionProblem(
            f"no agent is connected to the vcl-master at {runtime.url}: start `vcl-agent "
            f"{runtime.url}` on each host that has OpenCL devices"
        )
    try:
        found_ways = ways.gather(platform)
    except (vcl.Error, OperatingError) as error:
        raise ConnectionProblem(f"the vcl-master at {runtime.url}: {error}") from None
    found = {
        "master": runtime.url,
        "platform": _properties(platform, CLASSES["platform_info"]),
        "devices": [_properties(d, CLASSES["device_info"]) for d in devices],
        "nodes": ["", *(remote.node_name for remote in runtime.devices)],
        "ways": [way._asdict() for way in found_ways],
    }
    session.disconnect()
    return found


def render(master: str | None, *, as_json: bool, everything: bool) -> str:
    """What `vcl info` prints; raises ConnectionProblem. everything: all properties."""
    found = gather(master)
    if as_json:
        return json.dumps(found, indent=2)
    console = Console(record=True, width=110, file=io.StringIO())
    platform = found["platform"]
    console.print(f"Master    {found['master']}")
    console.print(f"Platform  {platform['name']}, {platform['version']}")
    if everything:
        for index, device in enumerate(found["devices"]):
            _print_properties(console, index, device)
    else:
        console.print()
        console.print(_devices_table(found["devices"], found["nodes"]))
    console.print("\n[bold]Data goes[/bold]")
    table = Table(box=None, show_header=False, padding=(0, 2))
    for way in found["ways"]:
        between = " - ".join(way["between"])
        table.add_row(escape(between), escape(": ".join(filter(None, [way["way"], way["reason"]]))))
    console.print(table)
    return "\n".join(line.rstrip() for line in console.export_text().splitlines())


def _print_properties(console: Console, index: int, device: dict[str, Any]) -> None:
    role = " (the cluster)" if index == 0 else ""
    console.print(f"\n[bold]Device {index}{role}: {escape(device['name'])}[/bold]")
    table = Table(box=None, show_header=False, padding=(0, 2))
    for name, value in device.items():
        table.add_row(name, escape(_shown(value)))
    console.print(table)


def _devices_table(devices: list[dict[str, Any]], nodes: list[str]) -> Table:
    table = Table(box=None, padding=(0, 2))
    for heading in ("device", "node", "name", "type", "compute units", "memory"):
        table.add_column(heading, justify="right" if heading == "compute units" else "left")
    for index, (device, node) in enumerate(zip(devices, nodes, strict=True)):
        table.add_row(
            str(index),
            escape(node),
            escape(device["name"].removesuffix(f" @ {node}")),
            _types(device["type"]),
            str(device["max_compute_units"]),
            sized(device["global_mem_size"]),
        )
    return table


def _types(bits: int) -> str:
    names = ("CPU", "GPU", "ACCELERATOR", "CUSTOM")
    kinds = CLASSES["device_type"]
    return ", ".join(name for name in names if bits & kinds[name])


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1 << 20:
        return f"{value} ({value / 2**20:,.0f} Mi)"
    return str(value)
