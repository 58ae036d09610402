"""`vcl-agent`: the daemon's command line.

Owns: flags, the ready line, signals, pinning to cores. Must not know: what the agent does.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from node_agent.assignment import NO_DATA_LISTEN
from node_agent.daemon import Agent, AgentOptions, run_agent
from node_agent.environment import DEFAULT_USER, executor_user
from vcl.direct.data_listen import DataListen
from vcl.errors import ConnectionProblem
from vcl.lifeline import watch_process
from vcl.logs import Level, LogJson, LogLevel, set_up
from vcl.options import Version
from vcl.settings import master_url
from vcl.text import counted
from vcl.tokens import read_token_file

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


PassEnvironment = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Give executors this environment variable of the agent's too; may be repeated. "
        "They get those that drivers are known to read, and every kernel can read them.",
    ),
]
Listen = Annotated[
    str | None,
    typer.Option(
        metavar="HOST[:PORT[-PORT]]",
        help="Where executors take data straight from programs and other nodes; each takes a port. "
        "It's encrypted where URL is wss://. 'none': all data goes through the master.",
        show_default="any port of the address that this host has towards the master",
    ),
]
SharedMemory = Annotated[
    bool,
    typer.Option(help="Exchange data with programs and nodes on this host by shared memory."),
]


@app.command()
def run(
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL",
            help="The master: ws://HOST:PORT or wss://HOST:PORT; - is for the first line of "
            "standard input.",
        ),
    ],
    name: Annotated[
        str | None, typer.Option(help="This node's name.", show_default="the host's name")
    ] = None,
    devices: Annotated[
        str | None,
        typer.Option(metavar="SUBSTRING", help="Offer only devices whose platform/name has it."),
    ] = None,
    cores: Annotated[
        str | None, typer.Option(metavar="0,1", help="Use only these processor cores.")
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File with the agents' token (the master's agent-token, not its token).",
            show_default="VCL_AGENT_TOKEN, else that of this user's own master on this host",
        ),
    ] = None,
    pass_environment: PassEnvironment = None,
    user: Annotated[
        str | None,
        typer.Option(
            "--executor-user",
            metavar="NAME",
            help="Run executors, and so everybody's kernels, as this user. For root's agents.",
            show_default=f"where the agent is root {DEFAULT_USER}, else the agent's own",
        ),
    ] = None,
    data_listen: Listen = None,
    shared_memory: SharedMemory = True,
    once: Annotated[
        bool,
        typer.Option("--once", help="End if no master is there yet, rather than wait for it."),
    ] = False,
    log_level: LogLevel = Level.info,
    log_json: LogJson = False,
    version: Version = False,
    ready_json: Annotated[
        bool, typer.Option("--ready-json", help="Print the ready line as JSON.")
    ] = False,
    parent_pid: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Offer this host's OpenCL devices to a vcl cluster."""
    set_up(log_level, log_json)
    pinned = _cores(cores)
    try:
        address, token = ("", None) if url == "-" else _master(url, token_file)
        runs_as = executor_user(user)
        if data_listen not in (None, NO_DATA_LISTEN):
            DataListen.parse(data_listen)
    except (ValueError, OSError) as error:
        typer.echo(f"vcl-agent: {error}", err=True)
        raise typer.Exit(1) from None
    passed = tuple(pass_environment or ())
    own_name = name or platform.node()
    shares = shared_memory and data_listen != NO_DATA_LISTEN
    options = AgentOptions(
        address, token, own_name, devices, pinned, passed, runs_as, data_listen, shares, once
    )
    told = partial(_told_master, token_file) if url == "-" else None
    raise typer.Exit(asyncio.run(_serve(options, ready_json, parent_pid, told)))


def _master(url: str, token_file: Path | None) -> tuple[str, str | None]:
    """Its address, and the token if a file has it. Raises ValueError, OSError."""
    return master_url(url), read_token_file(token_file) if token_file else None


async def _told_master(token_file: Path | None) -> tuple[str, str | None]:
    """As `_master`, of the first line of standard input. Raises ConnectionProblem."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    try:
        loop.add_reader(sys.stdin, readable.set)
    except PermissionError:  # a file, which always is
        readable.set()
    try:
        await readable.wait()
        return _master(sys.stdin.readline().strip(), token_file)
    except (ValueError, OSError) as error:
        raise ConnectionProblem(str(error)) from None
    finally:
        loop.remove_reader(sys.stdin)


def _cores(text: str | None) -> tuple[int, ...]:
    if text is None:
        return ()
    try:
        cores = tuple(sorted({int(part) for part in text.split(",")}))
        os.sched_setaffinity(0, cores)
    except (ValueError, OSError):
        available = ",".join(map(str, sorted(os.sched_getaffinity(0))))
        raise typer.BadParameter(
            f"{text!r} isn't a list of this host's cores ({available})", param_hint="--cores"
        ) from None
    return cores


async def _serve(
    options: AgentOptions,
    ready_json: bool,
    parent_pid: int | None,
    told: Callable[[], Awaitable[tuple[str, str | None]]] | None,
) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if parent_pid is not None:
        watch_process(parent_pid, stop.set)

    def ready(agent: Agent) -> None:
        if ready_json:
            line = {"ready": "vcl-agent", "name": options.name, "devices": agent.device_count}
            print(json.dumps(line), flush=True)
        else:
            print(
                f"vcl-agent {options.name} is ready: {counted(agent.device_count, 'device')} at "
                f"{agent.url}",
                flush=True,
            )

    return await run_agent(options, stop, ready, told)


def main() -> None:
    """Entry point of the console script."""
    app(prog_name="vcl-agent")


if __name__ == "__main__":
    main()
