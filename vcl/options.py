"""Options that all command lines have.

Owns: them. Must not know: the commands.
"""

from __future__ import annotations

from typing import Annotated

import typer

from vcl.release import VERSION


def _print_version(context: typer.Context, wanted: bool) -> None:
    if wanted:
        typer.echo(f"{context.find_root().info_name} {VERSION}")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option(
        "--version", callback=_print_version, is_eager=True, help="Print the version, and end."
    ),
]
