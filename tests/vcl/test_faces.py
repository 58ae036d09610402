"""connect and launch_report as programs meet them, and what is left of an embedded cluster."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest

import vcl
from tests.processes import await_gone, descendants, run_program, started_text
from vcl import tokens

PROGRAM = """
    import signal, sys
    import numpy as np
    import vcl as cl

    ctx = cl.create_some_context(interactive=False)
    queue = cl.CommandQueue(ctx)
    program = cl.Program(
        ctx, "__kernel void more(__global int *a) { a[get_global_id(0)] += 1; }"
    ).build()
    kernel = program.more
    buffer = cl.Buffer(ctx, cl.mem_flags.COPY_HOST_PTR, hostbuf=np.zeros(64, np.int32))

    def one_more():
        event = kernel(queue, (64,), (8,), buffer)
        found = np.empty(64, np.int32)
        cl.enqueue_copy(queue, found, buffer)
        assert len(set(found)) == 1
        return int(found[0]), event

    print(*one_more()[0:1])
    """


# The cluster as a whole

WHERE = """
    import vcl as cl
    found = cl.cluster()
    print(found.embedded, [len(node.devices) for node in found.nodes])
    print(found.url == cl.connect().get_devices()[0].platform._runtime.url)
    """


def test_cluster_says_where_the_program_computes(cluster: vcl.LocalCluster) -> None:
    done = run_program(WHERE, VCL_MASTER=cluster.url, VCL_TOKEN=cluster.token)
    assert done.stdout.splitlines()[0].startswith("False [1"), done.stderr
    assert done.stdout.splitlines()[1] == "True"


def test_cluster_starts_an_embedded_one() -> None:
    done = run_program(WHERE, VCL_LOCAL_NODES="1")
    assert done.stdout.splitlines() == ["True [1]", "True"], done.stderr


def test_an_embedded_cluster_says_so_once() -> None:
    assert run_program(WHERE, VCL_LOCAL_NODES="1", VCL_QUIET="0").stderr == (
        "vcl: embedded cluster of 1 node on this host; VCL_MASTER isn't set\n"
    )


def test_where_a_cluster_is_required_none_is_embedded() -> None:
    done = run_program(WHERE, VCL_REQUIRE_CLUSTER="1")
    assert done.returncode == 1
    assert "no cluster is named" in done.stderr.splitlines()[-1]


def test_a_wrong_setting_is_told_where_a_program_meets_it() -> None:
    done = run_program(WHERE, VCL_LOCAL_NODES="two")
    assert "VCL_LOCAL_NODES is 'two'" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("choice", ["Portable", "0:99", "0:0:0"])
def test_a_choice_for_other_drivers_is_explained(choice: str, cluster: vcl.LocalCluster) -> None:
    text = "import vcl as cl; cl.create_some_context()"
    done = run_program(
        text, VCL_MASTER=cluster.url, VCL_TOKEN=cluster.token, PYOPENCL_CTX=choice
    )
    assert f"PYOPENCL_CTX is {choice!r}, and the cluster is one" in done.stderr.splitlines()[-1]


def test_a_notebook_s_extension(cluster: vcl.LocalCluster) -> None:
    text = """
        import importlib, os, subprocess, sys
        importlib.import_module("vcl").load_ipython_extension(None)  # what %load_ext does
        import pyopencl as cl
        print(cl.get_platforms()[0].name, flush=True)
        subprocess.run([sys.executable, "-c", "import pyopencl as cl; print(cl.get_platforms())"])
        """
    done = run_program(text, VCL_MASTER=cluster.url, VCL_TOKEN=cluster.token)
    own, child = done.stdout.splitlines()
    assert own == "VCL" and "VCL" in child, done.stderr


# The embedded cluster

# How the program ends, and what its parent sees of it.
ENDINGS = {
    "normally": ("input()", None, 0),
    "by an exception": ("input(); raise KeyError('mine')", None, 1),
    "by SIGTERM": ("input()", signal.SIGTERM, -signal.SIGTERM),
    "by kill -9 while it computes": (
        "while True: one_more()",
        signal.SIGKILL,
        -signal.SIGKILL,
    ),
}


INTERRUPTED = """
    user = cl.UserEvent(ctx)
    try:
        print("waiting")
        cl.enqueue_marker(queue, wait_for=[user]).wait()
    except KeyboardInterrupt:
        user.set_status(0)
        print(one_more()[0])
    input()
    """


def test_ctrl_c_interrupts_waiting_and_then_ends_the_program() -> None:
    """It reaches a main thread that waits for an event, and no process but the program: which may
    go on with its cluster. The next one ends both."""
    with started_text(PROGRAM + INTERRUPTED, VCL_LOCAL_NODES="1") as program:
        assert (program.line(), program.line()) == ("1", "waiting")
        processes = descendants(program.pid)
        program.process.send_signal(signal.SIGINT)
        assert program.line() == "2"
        program.process.send_signal(signal.SIGINT)
        status, errors = program.end()
        await_gone(processes)
    assert status == -signal.SIGINT
    assert errors.splitlines()[-1] == "KeyboardInterrupt"


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_embedded_cluster_leaves_no_process_behind(ending: str) -> None:
    last, number, expected = ENDINGS[ending]
    with started_text(PROGRAM + last, VCL_LOCAL_NODES="1") as program:
        assert program.line() == "1"
        processes = descendants(program.pid)
        assert len(processes) >= 4, "master, agent, executor, and one that is ready"
        if number is None:
            program.say()
        else:
            program.process.send_signal(number)
        status, errors = program.end()
        await_gone(processes)
    assert status == expected, errors
    if ending == "normally":
        assert errors == ""
    if ending == "by an exception":
        assert errors.splitlines()[-1] == "KeyError: 'mine'"


# connect


def test_connect_answers_the_platform(cluster: vcl.LocalCluster) -> None:
    done = run_program(
        f"""
        import vcl as cl
        platform = cl.connect({cluster.url!r}, token={cluster.token!r})
        assert cl.get_platforms() == [platform]
        again = cl.connect({cluster.url.removeprefix("ws://")!r}, token={cluster.token!r})
        assert again != platform
        print(platform.name, len(cl.create_some_context(interactive=False).devices))
        """
    )
    assert done.stdout == "VCL 1\n", done.stderr


def test_connecting_again_ends_the_session_before(variables: dict[str, str]) -> None:
    done = run_program(
        PROGRAM
        + """
    cl.connect()
    try:
        one_more()
    except cl.Error as error:
        print(error)
    ctx = cl.create_some_context(interactive=False)
    cl.enqueue_marker(cl.CommandQueue(ctx)).wait()
    print("went on")
    """,
        **variables,
    )
    one, text, last = done.stdout.splitlines()
    assert (one, last) == ("1", "went on")
    assert "closed by the program" in text


def test_the_token_of_this_user_s_master_goes_to_no_other(
    cluster: vcl.LocalCluster, tmp_path: Path
) -> None:
    """Another user could listen there: a loopback port is anybody's."""
    tokens.make_tokens(tmp_path / "vcl")
    (tmp_path / "vcl" / "token").write_text(cluster.token + "\n")
    tokens.write_address(tmp_path / "vcl", "127.0.0.1", 1)
    assert "no token was given" in connect_error(tmp_path, VCL_MASTER=cluster.url)


def connect_error(tmp_path: Path, **variables: str) -> str:
    """The last line of a program that connects and fails."""
    done = run_program("import vcl; vcl.connect()", XDG_STATE_HOME=str(tmp_path), **variables)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    kinds = ("ConnectionProblem", "NotReached", "HandshakeRefused")
    assert last.startswith(tuple(f"vcl.errors.{kind}: " for kind in kinds))
    return last


def test_connect_to_nobody(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"ws://127.0.0.1:{closed.getsockname()[1]}"
    text = connect_error(tmp_path, VCL_MASTER=url)
    assert url in text
    assert "refused" in text.lower()
    assert "Is vcl-master running" in text


def test_connect_with_a_wrong_token(cluster: vcl.LocalCluster, tmp_path: Path) -> None:
    for token in ("wrong", ""):
        text = connect_error(tmp_path, VCL_MASTER=cluster.url, VCL_TOKEN=token)
        assert cluster.url in text
        assert "token" in text
        assert cluster.token not in text


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "ws://", "ws://127.0.0.1:port"])
def test_connect_to_a_bad_address(url: str, tmp_path: Path) -> None:
    assert url in connect_error(tmp_path, VCL_MASTER=url)


def test_the_api_raises_pyopencl_s_exception_instead(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"ws://127.0.0.1:{closed.getsockname()[1]}"
    done = run_program(
        """
        import vcl as cl
        for way in (cl.get_platforms, cl.create_some_context, cl.Context):
            try:
                way()
            except cl.Error as error:
                print(error)
        """,
        VCL_MASTER=url,
        XDG_STATE_HOME=str(tmp_path),
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 3, done.stderr
    assert all(url in line and "Is vcl-master running" in line for line in lines)


def test_connect_when_no_agent_is_there(tmp_path: Path) -> None:
    from tests.processes import started

    arguments = ["-m", "master", "--listen", "127.0.0.1:0", "--state-dir", str(tmp_path / "vcl")]
    with started(arguments) as master:
        url = master.line().split()[-1]
        done = run_program(
            """
            import vcl as cl
            try:
                cl.create_some_context(interactive=False)
            except cl.Error as error:
                print(error)
            """,
            VCL_MASTER=url,
            XDG_STATE_HOME=str(tmp_path),
        )
    assert "no agent is connected" in done.stdout, done.stderr
    assert f"vcl-agent {url}" in done.stdout


def test_launch_report_of_what_is_no_event(variables: dict[str, str]) -> None:
    done = run_program(
        PROGRAM
        + """
    report = cl.launch_report(one_more()[1])
    print(report.mode)
    print(report.reason, file=sys.stderr)
    for wrong in (None, 5, queue):
        try:
            cl.launch_report(wrong)
        except ValueError as error:
            print("refused")
    """,
        **variables,
    )
    assert done.stdout.split() == ["1", "regions", *["refused"] * 3], done.stderr
