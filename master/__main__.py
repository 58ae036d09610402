"""`vcl-master`: the coordinator's command line.

Owns: flags, the ready line, signals. Must not know: what the server does.
"""

from __future__ import annotations

import asyncio
import atexit
import ipaddress
import json
import os
import resource
import shutil
import signal
from pathlib import Path
from typing import Annotated

import typer

from master import garbage
from master.loop_meter import LoopMeter
from master.plan.view import Policy
from master.server import MasterServer
from vcl.lifeline import watch_process
from vcl.logs import Level, LogJson, LogLevel, set_up
from vcl.options import Version
from vcl.settings import DEFAULT_PORT, state_dir
from vcl.split import Split
from vcl.tokens import forget_address, make_tokens, write_address

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

StateDir = Annotated[
    Path | None,
    typer.Option(
        "--state-dir",
        metavar="DIR",
        help="Where the tokens are kept, `token` for clients and `agent-token` for agents; "
        "made on first start.",
        show_default="the user's state directory",
    ),
]


@app.callback(invoke_without_command=True)
def run(
    context: typer.Context,
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Address to listen on; port 0 chooses one.")
    ] = f"127.0.0.1:{DEFAULT_PORT}",
    state: StateDir = None,
    allow_remote: Annotated[
        bool,
        typer.Option(
            "--allow-remote",
            help="Listen on an address that isn't loopback. Whoever has the users' token may then "
            "run native code on every agent's host from any host that reaches the address, and "
            "nothing is encrypted, tokens neither, unless it goes through a TLS proxy or a tunnel.",
        ),
    ] = False,
    split: Annotated[
        Split,
        typer.Option(
            help="Launches that may be split are where it `pays`, by what is known of the kernel, "
            "or `always`."
        ),
    ] = Split.pays,
    trust: Annotated[
        bool,
        typer.Option(
            "--trust/--no-trust",
            help="Whether launches are split, and what their parts changed is merged, also where "
            "it isn't known that no part reads what another writes. Programs that are free of data "
            "races, as OpenCL wants them, never notice.",
        ),
    ] = True,
    log_level: LogLevel = Level.info,
    log_json: LogJson = False,
    version: Version = False,
    ready_json: Annotated[
        bool, typer.Option("--ready-json", help="Print the ready line as JSON.")
    ] = False,
    parent_pid: Annotated[int | None, typer.Option(hidden=True)] = None,
    temporary: Annotated[
        Path | None,
        typer.Option(hidden=True, help="Removed at the end if the parent couldn't do it."),
    ] = None,
    measure_loop: Annotated[bool, typer.Option("--measure-loop", hidden=True)] = False,
) -> None:
    """Coordinate a vcl cluster: agents and clients connect here."""
    if context.invoked_subcommand is not None:
        return
    set_up(log_level, log_json)
    _raise_descriptor_limit()
    host, _, port_text = listen.rpartition(":")
    if not host or not port_text.isdigit() or int(port_text) > 65535:
        raise typer.BadParameter(f"{listen!r} isn't HOST:PORT", param_hint="--listen")
    host = host.strip("[]")
    if not allow_remote and not _is_loopback(host):
        raise typer.BadParameter(
            f"{host} isn't a loopback address: other hosts could connect. Whoever has the users' "
            "token runs native code on all agents' hosts, and the traffic isn't encrypted. If "
            "that is meant, add --allow-remote",
            param_hint="--listen",
        )
    meter = LoopMeter() if measure_loop else None
    if parent_pid is not None and temporary is not None:
        atexit.register(_remove_if_orphaned, temporary, parent_pid)
    with asyncio.Runner(loop_factory=meter.make_loop if meter else None) as runner:
        serving = _serve(
            host, int(port_text), state or state_dir(), split, trust, ready_json, parent_pid, meter
        )
        status = runner.run(serving)
    raise typer.Exit(status)


@app.command()
def token(
    agents: Annotated[
        bool, typer.Option("--agents", help="That of agents, not that of users.")
    ] = False,
    state: StateDir = None,
) -> None:
    """Print the token that users need, or agents; it is made if there is none yet."""
    directory = state or state_dir()
    try:
        tokens = make_tokens(directory)
    except OSError as error:
        typer.echo(f"vcl-master: can't read its tokens in {directory}: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(tokens.agents if agents else tokens.users)


def _remove_if_orphaned(folder: Path, parent: int) -> None:
    """Of a cluster whose program was killed, which couldn't."""
    if os.getppid() != parent:
        shutil.rmtree(folder, ignore_errors=True)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _raise_descriptor_limit() -> None:
    """As many descriptors as this user may have: each session takes two, and two per executor."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _serve(
    host: str,
    port: int,
    directory: Path,
    split: Split,
    trust: bool,
    ready_json: bool,
    parent_pid: int | None,
    meter: LoopMeter | None,
) -> int:
    try:
        server = MasterServer(
            *make_tokens(directory),
            on_quiet=garbage.collect,
            policy=Policy(split is Split.always, trust),
        )
    except OSError as error:
        typer.echo(f"vcl-master: can't keep its tokens in {directory}: {error}", err=True)
        return 1
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if meter is not None:
        loop.add_signal_handler(signal.SIGUSR1, _print_measured, meter)
    if parent_pid is not None:
        watch_process(parent_pid, stop.set)
    try:
        address = await server.start(host, port)
    except OSError as error:
        typer.echo(f"vcl-master: can't listen on {host}:{port}: {error.strerror}", err=True)
        return 1
    try:
        write_address(directory, *address)
    except OSError as error:
        typer.echo(f"vcl-master: can't note its address in {directory}: {error}", err=True)
        await server.close()
        return 1
    garbage.set_up()
    shown = f"[{address[0]}]" if ":" in address[0] else address[0]
    url = f"ws://{shown}:{address[1]}"
    if ready_json:
        print(json.dumps({"ready": "vcl-master", "url": url}), flush=True)
    else:
        print(f"vcl-master, its tokens in {directory}, is ready at {url}", flush=True)
    await stop.wait()
    forget_address(directory)
    await server.close()
    return 0


def _print_measured(meter: LoopMeter) -> None:
    print(json.dumps(meter.take()), flush=True)


def main() -> None:
    """Entry point of the console script."""
    app(prog_name="vcl-master")


if __name__ == "__main__":
    main()
