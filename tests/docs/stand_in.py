"""What the programs of a page's `sh` blocks are in a test: `vcl-master`, `vcl-agent` and `ssh`.

A reader starts a daemon in a terminal or unit of its own. Here it is started in the background, the
block goes on once it is ready, and the test ends it. `ssh HOST COMMAND` runs the command on this
host. Owns: that. Must not know: the pages.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

MODULES = {"vcl-master": "master", "vcl-agent": "node_agent"}


def install(folder: Path, test_pid: int) -> None:
    """Write the programs into a folder that a PATH begins with. test_pid: with which daemons end,
    if the test doesn't end them; they note themselves in the file `daemons` of the folder."""
    for name in (*MODULES, "ssh"):
        path = folder / name
        path.write_text(
            f'#!/bin/sh\nexec "{sys.executable}" -P "{Path(__file__).resolve()}" {name} '
            f'{test_pid} "{folder / "daemons"}" "$@"\n'
        )
        path.chmod(0o755)


def _daemon(name: str, test_pid: str, noted: Path, arguments: list[str]) -> int:
    """Start one and wait until it is ready; other commands of the program just run."""
    command = [sys.executable, "-P", "-m", MODULES[name], *arguments]
    if arguments[:1] == ["token"] or {"--help", "--version"} & set(arguments):
        return subprocess.run(command, check=False).returncode
    if name == "vcl-agent" and os.geteuid() == 0 and "--executor-user" not in arguments:
        # The user nobody may not be allowed to read the checkout.
        command += ["--executor-user", "root"]
    log = noted.with_name(f"{name}-{os.getpid()}.log")
    with open(log, "w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            [*command, "--ready-json", "--parent-pid", test_pid],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True,
            process_group=0,
        )  # fmt: skip
    with open(noted, "a", encoding="utf-8") as file:
        file.write(f"{process.pid}\n")
    assert process.stdout is not None
    if process.stdout.readline():
        process.returncode = 0  # it goes on: nothing to warn of
        return 0
    sys.stderr.write(log.read_text(encoding="utf-8"))
    return process.wait()


def _ssh(arguments: list[str]) -> int:
    """The command line on this host, as ssh puts it together."""
    while arguments and arguments[0].startswith("-"):
        del arguments[0]
    return subprocess.run(["bash", "-c", " ".join(arguments[1:])], check=False).returncode


if __name__ == "__main__":
    program, pid, file, *given = sys.argv[1:]
    sys.exit(_ssh(given) if program == "ssh" else _daemon(program, pid, Path(file), given))
