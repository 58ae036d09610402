"""`vcl`: looking at a cluster, and running programs on it.

Owns: the commands' flags and their one-line errors. Must not know: protocols; `info` and `run`
have modules of their own.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vcl.errors import ConnectionProblem
from vcl.options import Version

if TYPE_CHECKING:
    from vcl.cli.run import Form, Program

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help=__doc__,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.info.help = "Run pyopencl programs on a cluster, and look at it."

Master = Annotated[
    str | None,
    typer.Option(
        "--master", metavar="URL", help="The master: ws://HOST:PORT.", envvar="VCL_MASTER"
    ),
]


@contextlib.contextmanager
def _in_one_line(command: str) -> Iterator[None]:
    """What keeps a command from its work is one line, and status 1."""
    try:
        yield
    except (OSError, ConnectionProblem) as error:
        typer.echo(f"vcl {command}: {error}", err=True)
        raise typer.Exit(1) from None


@app.callback()
def _options(version: Version = False) -> None:
    return


@app.command()
def info(
    master: Master = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All properties of the devices, as clinfo shows them.")
    ] = False,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print JSON, with all properties.")
    ] = False,
) -> None:
    """Show the cluster's nodes and devices, and by which way data goes between them.

    Without --master and VCL_MASTER: what an embedded cluster on this host would offer.
    """
    from vcl.cli import info as command

    with _in_one_line("info"):
        typer.echo(command.render(master, as_json=json_output, everything=everything))


@app.command()
def status(
    master: Master = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it anew each second, until Ctrl-C.")
    ] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the cluster's nodes, and the programs that run on it now."""
    if master is None:
        typer.echo("vcl status: which cluster? Set VCL_MASTER, or give --master URL", err=True)
        raise typer.Exit(2)
    from rich.console import Console

    from vcl.cli import status as command

    with (
        contextlib.suppress(KeyboardInterrupt),
        _in_one_line("status"),
        contextlib.closing(command.Asker(master)) as ask,
    ):
        if watch:
            command.watch(ask, Console())
        typer.echo(command.render(ask, as_json=json_output))


@app.command()
def doctor(
    master: Master = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print a JSON line each.")] = False,
) -> None:
    """Find out why a program finds no device: looks at the settings, this host's drivers and the
    cluster, runs a kernel on each device, and says what to do. Ends with status 1 if something is
    wrong."""
    from rich.console import Console
    from rich.markup import escape

    from vcl.cli.doctor import examine

    console, marks = Console(highlight=False), {"ok": "green", "note": "yellow", "wrong": "red"}
    wrong = False
    for found in examine(master):
        wrong |= found.state == "wrong"
        if json_output:
            typer.echo(json.dumps(found._asdict()))
            continue
        mark = f"[{marks[found.state]}]{found.state:5}[/]"
        console.print(mark, escape(found.what), soft_wrap=True)
        if found.advice:
            console.print("     ", escape(f"-> {found.advice}"), soft_wrap=True)
    raise typer.Exit(int(wrong))


@app.command(
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
    },
    options_metavar="[OPTIONS] SCRIPT [ARGS]...",
)
def run(
    context: typer.Context,
    module: Annotated[
        bool, typer.Option("-m", help="The first argument names a module, as in python -m.")
    ] = False,
    code: Annotated[
        bool, typer.Option("-c", help="The first argument is the program, as in python -c.")
    ] = False,
    master: Master = None,
    require_cluster: Annotated[
        bool,
        typer.Option(
            "--require-cluster",
            help="Stop rather than start an embedded cluster where no master is named.",
        ),
    ] = False,
    report: Annotated[
        bool,
        typer.Option(
            "--report",
            help="Print at the end what each kernel's launches took, and why; "
            "--report FILE.json or FILE.html: write it there.",
        ),
    ] = False,
) -> None:
    """Run a pyopencl program, and its Python children, unchanged: vcl run SCRIPT [ARGS],
    vcl run -m MODULE [ARGS], or vcl run -c CODE [ARGS]. SCRIPT may be a folder or archive with a
    __main__.py, or - for standard input."""
    from vcl.cli import run as command

    arguments = list(context.args)
    if report:
        named = len(arguments) > 1 and arguments[0].endswith((".json", ".html"))
        os.environ["VCL_REPORT"] = os.path.abspath(arguments.pop(0)) if named else "1"
    if not arguments:
        typer.echo("vcl run: which program? vcl run SCRIPT [ARGS]", err=True)
        raise typer.Exit(2)
    if module and code:
        typer.echo("vcl run: -m and -c exclude each other", err=True)
        raise typer.Exit(2)
    if sys.flags.ignore_environment or sys.flags.no_site:
        typer.echo(
            "vcl run: Python was started with -E, -I or -S, so children of the program that are "
            "too find no OpenCL device",
            err=True,
        )
    form: Form = "module" if module else "code" if code else "script"
    try:
        program = command.prepare(arguments, form, master, require_cluster)
    except command.NoProgram as error:
        typer.echo(f"vcl run: {error}", err=True)
        raise typer.Exit(2) from None
    _program.append(program)


kernel = typer.Typer(no_args_is_help=True, help="Notebooks on the cluster.")
app.add_typer(kernel, name="kernel")


@kernel.callback()
def _kernel() -> None:
    return


@kernel.command()
def install(
    name: Annotated[str, typer.Option(help="The kernel's folder.")] = "vcl",
    display_name: Annotated[
        str, typer.Option(help="What Jupyter calls it.")
    ] = "Python (vcl cluster)",
    master: Annotated[
        str | None,
        typer.Option(
            "--master",
            metavar="URL",
            help="The master of its notebooks, else VCL_MASTER as Jupyter has it; a token isn't "
            "kept: VCL_TOKEN, as Jupyter has it.",
        ),
    ] = None,
    prefix: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Install it into this environment, not for the user."),
    ] = None,
) -> None:
    """Install a Jupyter kernel in which pyopencl means the cluster."""
    from vcl.cli import kernel as command

    with _in_one_line("kernel install"):
        folder = command.install(name, display_name, master, prefix)
    typer.echo(f"installed {display_name!r} in {folder}")


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def explain(context: typer.Context) -> None:
    """Show how launches of the kernels in a source file would be split, and why."""
    # A master's part: it isn't loaded into programs, nor into this one.
    command = [sys.executable, "-m", "master.access.explain", *context.args]
    raise typer.Exit(subprocess.run(command, check=False).returncode)


_program: list[Program] = []  # what `run` was asked for


def main() -> None:
    """Entry point of the console script."""
    try:
        app(prog_name="vcl")
    except SystemExit as end:
        if end.code or not _program:
            raise
    # Outside of typer, which would take the program's exceptions for its own.
    from vcl.cli.run import run_program

    run_program(_program.pop())


if __name__ == "__main__":
    main()
