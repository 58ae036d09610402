"""Programs on macOS and Windows, as far as Linux can tell: what only it has is hidden from them."""

from __future__ import annotations

import subprocess
import textwrap

import pytest

from tests.processes import environment, run

# What the standard library and other packages need of this system is loaded before it's hidden.
PRETENCE = """
    import asyncio, concurrent.futures, getpass, importlib.abc, logging, multiprocessing, os
    import pathlib, select, shutil, signal, socket, ssl, subprocess, sys, tempfile, threading
    import zoneinfo
    import cryptography.x509, lz4.block, msgpack, numpy, picows, platformdirs, psutil, pydantic
    import pydantic_settings, pytools.persistent_dict, rich.live, typer
    import websockets.asyncio.client, websockets.asyncio.server

    MODULES = {"fcntl", "grp", "pty", "pwd", "resource", "termios", "tty"}
    OF_OS = (
        "O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK MFD_ALLOW_SEALING MFD_CLOEXEC chown eventfd "
        "fchmod fchown fork getegid geteuid getgid getuid killpg memfd_create pidfd_open "
        "posix_fallocate pread preadv pwrite register_at_fork sched_getaffinity sched_setaffinity "
        "setsid sysconf"
    )
    OF_SIGNAL = "SIGALRM SIGCHLD SIGHUP SIGKILL SIGPIPE SIGUSR1 SIGUSR2 pthread_sigmask"
    OF_SOCKET = "MSG_DONTWAIT MSG_NOSIGNAL SCM_RIGHTS SO_PEERCRED recv_fds send_fds"

    OF_SELECT = "epoll poll"

    class Hider(importlib.abc.MetaPathFinder):
        def find_spec(self, name, path=None, target=None):
            if name in MODULES:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    for name in MODULES:
        sys.modules.pop(name, None)
    sys.meta_path.insert(0, Hider())
    hidden = ((os, OF_OS), (select, OF_SELECT), (signal, OF_SIGNAL), (socket, OF_SOCKET))
    for module, names in hidden:
        for name in names.split():
            vars(module).pop(name, None)
    sys.platform = SYSTEM
    """

PROGRAM = """
    import numpy as np
    import vcl as cl

    context = cl.create_some_context(interactive=False)
    queue = cl.CommandQueue(context)
    add = cl.Program(context, "kernel void add(global int *x) { x[get_global_id(0)] += 1; }")
    x = np.zeros(1 << 20, np.int32)
    buffer = cl.Buffer(context, cl.mem_flags.COPY_HOST_PTR, hostbuf=x)
    event = add.build().add(queue, x.shape, None, buffer)
    cl.enqueue_copy(queue, x, buffer)
    print(x.min(), x.max(), cl.launch_report(event).mode)
    """

STATUS = """
    sys.argv = ["vcl", "status"]
    from vcl.cli.main import main
    main()
    """

systems = pytest.mark.parametrize("system", ["darwin", "win32"])


def pretended(system: str, source: str, **variables: str) -> subprocess.CompletedProcess[str]:
    text = textwrap.dedent(PRETENCE).replace("SYSTEM", repr(system)) + textwrap.dedent(source)
    return run(["-c", text], environment(**variables))


@systems
def test_a_program_computes_on_a_cluster_elsewhere(
    system: str, variables: dict[str, str]
) -> None:
    done = pretended(system, PROGRAM, **variables)
    assert (done.returncode, done.stdout) == (0, "1 1 regions\n"), done.stderr


@systems
def test_the_command_line_works(system: str, variables: dict[str, str]) -> None:
    done = pretended(system, STATUS, **variables)
    assert done.returncode == 0 and "local1" in done.stdout, done.stderr


@systems
@pytest.mark.parametrize("start", ["vcl.connect()", "vcl.LocalCluster().start()"])
def test_no_cluster_starts_there(system: str, start: str) -> None:
    done = pretended(system, f"import vcl\n{start}")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("vcl.errors.ConnectionProblem: a cluster on this host needs Linux: set ")
