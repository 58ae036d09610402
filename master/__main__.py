"""`vcl-master`: the coordinator's command line.

Owns: flags, the ready line, signals. Must not know: what the server does.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
from pathlib import Path
from typing import Annotated

import typer

from master.server import MasterServer
from vcl.lifeline import watch_process
from vcl.settings import DEFAULT_PORT, make_token, state_dir

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def run(
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Address to listen on; port 0 chooses one.")
    ] = f"127.0.0.1:{DEFAULT_PORT}",
    state: Annotated[
        Path | None,
        typer.Option(
            "--state-dir",
            metavar="DIR",
            help="Where the token is kept; made on first start.",
            show_default="the user's state directory",
        ),
    ] = None,
    ready_json: Annotated[
        bool, typer.Option("--ready-json", help="Print the ready line as JSON.")
    ] = False,
    parent_pid: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Coordinate a vcl cluster: agents and clients connect here."""
    logging.basicConfig(format="%(asctime)s %(name)s %(message)s", level=logging.INFO)
    logging.getLogger("picows").setLevel(logging.WARNING)
    host, _, port_text = listen.rpartition(":")
    if not host or not port_text.isdigit() or int(port_text) > 65535:
        raise typer.BadParameter(f"{listen!r} isn't HOST:PORT", param_hint="--listen")
    directory = state or state_dir()
    try:
        token = make_token(directory)
    except OSError as error:
        typer.echo(f"vcl-master: can't keep its token in {directory}: {error}", err=True)
        raise typer.Exit(1) from None
    raise typer.Exit(
        asyncio.run(_serve(host.strip("[]"), int(port_text), token, ready_json, parent_pid))
    )


async def _serve(
    host: str, port: int, token: str, ready_json: bool, parent_pid: int | None
) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if parent_pid is not None:
        watch_process(parent_pid, stop.set)
    server = MasterServer(token)
    try:
        address = await server.start(host, port)
    except OSError as error:
        typer.echo(f"vcl-master: can't listen on {host}:{port}: {error.strerror}", err=True)
        return 1
    shown = f"[{address[0]}]" if ":" in address[0] else address[0]
    url = f"ws://{shown}:{address[1]}"
    if ready_json:
        print(json.dumps({"ready": "vcl-master", "url": url}), flush=True)
    else:
        print(f"vcl-master is ready at {url}", flush=True)
    await stop.wait()
    await server.close()
    return 0


def main() -> None:
    """Entry point of the console script."""
    app(prog_name="vcl-master")


if __name__ == "__main__":
    main()
