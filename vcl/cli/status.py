"""`vcl status`: what runs on the cluster now.

Owns: asking and printing it, once or again and again. Must not know: how the master gathers it.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from vcl.errors import ConnectionProblem, VclError
from vcl.text import sized
from vcl.wire.messages.session import AskStatus, ClusterStatus

interval_s = 1.0
"""How often it is asked while it is watched."""


def as_dict(url: str, status: ClusterStatus, own: int | None = None) -> dict[str, Any]:
    """The JSON form: {"master", "nodes": [...], "sessions": [...]}."""
    nodes = [
        {
            "name": name, "devices": devices, "sessions": sessions, "load": load,
            "memory_used": used, "memory": memory,
        }
        for name, devices, sessions, load, used, memory in status.nodes
    ]
    keys = ("session", "program", "user", "seconds", "commands", "nodes")
    sessions = [dict(zip(keys, row, strict=True)) for row in status.sessions if row[0] != own]
    return {"master": url, "nodes": nodes, "sessions": sessions}


def tables(found: dict[str, Any]) -> Group:
    """For people."""
    nodes = Table(box=None, padding=(0, 2), title_justify="left")
    for heading in ("node", "sessions", "load", "memory", "devices"):
        right = heading in ("sessions", "load", "memory")
        nodes.add_column(heading, justify="right" if right else "left")
    for node in found["nodes"]:
        known = node["memory"] > 0
        nodes.add_row(
            escape(node["name"]), str(node["sessions"]), f"{node['load']} %" if known else "",
            f"{sized(node['memory_used'])} of {sized(node['memory'])}" if known else "",
            escape(", ".join(node["devices"])),
        )  # fmt: skip
    sessions = Table(box=None, padding=(0, 2))
    for heading in ("session", "program", "user", "since", "commands", "nodes"):
        right = heading in ("session", "since", "commands")
        sessions.add_column(heading, justify="right" if right else "left")
    for each in found["sessions"]:
        minutes, seconds = divmod(each["seconds"], 60)
        hours, minutes = divmod(minutes, 60)
        sessions.add_row(
            str(each["session"]), escape(each["program"]), escape(each["user"]),
            f"{hours}:{minutes:02}:{seconds:02}", f"{each['commands']:,}",
            escape(", ".join(each["nodes"])),
        )  # fmt: skip
    head = f"Master    {found['master']}"
    if not found["sessions"]:
        return Group(head, "", nodes, "", "No program runs.")
    return Group(head, "", nodes, "", sessions)


class Asker:
    """A session of this command's own, which isn't shown. Raises ConnectionProblem."""

    def __init__(self, master: str | None) -> None:
        import vcl

        platform: Any = vcl.connect(master)  # pyopencl's type has no runtime
        self._runtime = platform._runtime

    def __call__(self) -> dict[str, Any]:
        """What runs now; raises ConnectionProblem."""
        try:
            status = self._runtime.ask(AskStatus(self._runtime.new_id()))
        except VclError as error:
            raise ConnectionProblem(str(error)) from None
        return as_dict(self._runtime.url, status, self._runtime.session)

    def close(self) -> None:
        """End the session."""
        from vcl.pyopencl_cl import session

        session.disconnect()


def render(ask: Callable[[], dict[str, Any]], *, as_json: bool) -> str:
    """What `vcl status` prints; raises ConnectionProblem."""
    found = ask()
    if as_json:
        return json.dumps(found, indent=2)
    console = Console(record=True, width=110, file=io.StringIO())
    console.print(tables(found))
    return "\n".join(line.rstrip() for line in console.export_text().splitlines())


def watch(ask: Callable[[], dict[str, Any]], console: Console) -> None:
    """Show it anew each second, until KeyboardInterrupt. Raises ConnectionProblem."""
    with Live(tables(ask()), console=console, auto_refresh=False) as live:
        while True:
            time.sleep(interval_s)
            live.update(tables(ask()), refresh=True)
