"""The command lines of vcl-master and vcl-agent: ready lines, signals, and errors in one line.

Long because both programs are started in the same ways, and often together.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from master.__main__ import app as master_app
from node_agent.__main__ import app as agent_app
from tests.processes import (
    Program,
    await_gone,
    descendants,
    end_timeout_s,
    environment,
    run,
    started,
)
from vcl.release import VERSION

MASTER = ("-m", "master")
AGENT = ("-m", "node_agent")
# The Python of these tests may be in root's home.
AS_OWN = ("--executor-user", "root") if os.geteuid() == 0 else ()
LOOPBACK = ("--listen", "127.0.0.1:0")


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A running master: its URL and its agents' token file."""
    directory = tmp_path_factory.mktemp("state")
    arguments = [*MASTER, *LOOPBACK, "--state-dir", str(directory), "--ready-json"]
    with started(arguments) as program:
        yield json.loads(program.line())["url"], directory / "agent-token"


def ended_well(program: Program, number: signal.Signals) -> None:
    """A signal ends it with status 0, without a traceback, and all its processes."""
    children = descendants(program.pid)
    program.process.send_signal(number)
    status, errors = program.end()
    assert status == 0, errors
    assert "Traceback" not in errors
    await_gone(children)


def fails_in_one_line(arguments: list[str], *said: str, **variables: str) -> None:
    """It ends by itself, with another status than 0 and a line that says what and where."""
    done = run(arguments, environment(**variables))
    assert done.returncode not in (0, None)
    assert done.returncode > 0
    assert "Traceback" not in done.stderr
    ours = [line for line in done.stderr.splitlines() if re.match(r"vcl-(master|agent): ", line)]
    assert len(ours) == 1, done.stderr
    for text in said:
        assert text in ours[0]
    assert done.stdout == ""


# vcl-master


def test_master_is_ready_in_text(tmp_path: Path) -> None:
    with started([*MASTER, *LOOPBACK, "--state-dir", str(tmp_path)]) as program:
        assert re.fullmatch(
            r"vcl-master, its tokens in .*, is ready at ws://127\.0\.0\.1:\d+", program.line()
        )
        ended_well(program, signal.SIGTERM)


def test_master_is_ready_in_json(tmp_path: Path) -> None:
    arguments = [*MASTER, *LOOPBACK, "--state-dir", str(tmp_path / "new" / "place")]
    with started([*arguments, "--ready-json"]) as program:
        ready = json.loads(program.line())
        assert ready["ready"] == "vcl-master"
        host, _, port = ready["url"].removeprefix("ws://").rpartition(":")
        socket.create_connection((host, int(port))).close()
        ended_well(program, signal.SIGINT)


@pytest.mark.parametrize("library", ["websockets", "picows"])
def test_master_does_not_log_what_strangers_ask_for(tmp_path: Path, library: str) -> None:
    pytest.importorskip(library)
    env = environment(VCL_TRANSPORT=library)
    arguments = [*MASTER, *LOOPBACK, "--state-dir", str(tmp_path), "--ready-json"]
    with started(arguments, env) as program:
        host, _, port = json.loads(program.line())["url"].removeprefix("ws://").rpartition(":")
        for path in ("healthz", "nothing"):
            with socket.create_connection((host, int(port))) as stranger:
                stranger.sendall(f"GET /{path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                while stranger.recv(4096):
                    pass
        program.process.send_signal(signal.SIGTERM)
        assert program.end() == (0, "")


def test_master_raises_its_limit_of_descriptors(tmp_path: Path) -> None:
    limited = "import os, resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200)); "
    execute = "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    arguments = [*MASTER, *LOOPBACK, "--state-dir", str(tmp_path)]
    with started(["-c", limited + execute, *arguments]) as program:
        program.line()
        assert psutil.Process(program.pid).rlimit(psutil.RLIMIT_NOFILE) == (200, 200)
        ended_well(program, signal.SIGTERM)


def test_the_tokens_are_their_user_s_and_stay(tmp_path: Path) -> None:
    tokens = []
    for _ in range(2):
        with started([*MASTER, *LOOPBACK, "--state-dir", str(tmp_path / "state")]) as program:
            program.line()
            for name in ("token", "agent-token"):
                path = tmp_path / "state" / name
                assert stat.S_IMODE(path.stat().st_mode) == 0o600
                assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
                tokens.append(path.read_text())
            ended_well(program, signal.SIGTERM)
    assert tokens[:2] == tokens[2:]
    assert len(set(tokens)) == 2
    assert all(len(token.strip()) >= 32 for token in tokens)


def test_the_tokens_usual_place(tmp_path: Path) -> None:
    env = environment(XDG_STATE_HOME=str(tmp_path))
    with started([*MASTER, *LOOPBACK], env) as program:
        program.line()
        for name in ("token", "agent-token"):
            (path,) = tmp_path.rglob(name)
            assert path.parent.name == "vcl"


def test_master_s_address_is_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        fails_in_one_line(
            [*MASTER, "--listen", f"127.0.0.1:{port}", "--state-dir", str(tmp_path)],
            f"127.0.0.1:{port}", "in use",
        )  # fmt: skip


def test_master_s_address_is_not_this_host_s(tmp_path: Path) -> None:
    for host in ("192.0.2.1", "no-such-host.invalid"):
        fails_in_one_line(
            [*MASTER, "--listen", f"{host}:0", "--allow-remote", "--state-dir", str(tmp_path)],
            f"{host}:0",
        )


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "192.0.2.1", "some-host", "127.0.0.1.example"])
def test_master_listens_beyond_this_host_only_if_told_to(host: str, tmp_path: Path) -> None:
    done = run([*MASTER, "--listen", f"{host}:0", "--state-dir", str(tmp_path / "state")])
    assert done.returncode == 2
    said = " ".join(done.stderr.replace("│", " ").split())
    assert "native code" in said and "encrypted" in said and "--allow-remote" in said
    assert not (tmp_path / "state").exists()


def test_master_listens_beyond_this_host(tmp_path: Path) -> None:
    arguments = ["--listen", "0.0.0.0:0", "--allow-remote", "--state-dir", str(tmp_path)]
    with started([*MASTER, *arguments]) as program:
        assert "ws://0.0.0.0:" in program.line()
        ended_well(program, signal.SIGTERM)


@pytest.mark.parametrize("listen", ["nonsense", "127.0.0.1", "127.0.0.1:x", "h:70000", ":1"])
def test_master_s_address_is_not_one(listen: str) -> None:
    shown = CliRunner().invoke(master_app, ["--listen", listen])
    assert shown.exit_code == 2
    assert listen in shown.stderr and "HOST:PORT" in shown.stderr


def test_master_cannot_keep_its_token(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" / "state"
    fails_in_one_line([*MASTER, *LOOPBACK, "--state-dir", str(place)], str(place), "token")


def test_master_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    with started(["-c", "input()"]) as parent:
        arguments = [*MASTER, *LOOPBACK, "--state-dir", str(tmp_path)]
        with started([*arguments, "--parent-pid", str(parent.pid)]) as program:
            program.line()
            parent.process.kill()
            parent.end()
            status, errors = program.end()
            assert status == 0, errors


# vcl-agent


def agent(url: str, token: Path, *more: str) -> list[str]:
    return [*AGENT, url, *AS_OWN, "--token-file", str(token), *more]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_agent_is_ready_in_text_and_stops(master: tuple[str, Path], number: signal.Signals) -> None:
    with started(agent(*master, "--name", "here")) as program:
        line = program.line()
        assert re.fullmatch(rf"vcl-agent here is ready: \d+ devices? at {master[0]}", line)
        ended_well(program, number)


def test_agent_is_ready_in_json_and_on_its_cores(master: tuple[str, Path]) -> None:
    core = min(os.sched_getaffinity(0))
    with started(agent(*master, "--name", "n", "--cores", str(core), "--ready-json")) as program:
        ready = json.loads(program.line())
        assert ready["ready"] == "vcl-agent"
        assert ready["name"] == "n"
        assert ready["devices"] >= 1
        for process in (psutil.Process(program.pid), *descendants(program.pid)):
            assert process.cpu_affinity() == [core]
        ended_well(program, signal.SIGTERM)


def test_agent_is_called_as_its_host(master: tuple[str, Path]) -> None:
    with started(agent(*master, "--ready-json")) as program:
        assert json.loads(program.line())["name"] == os.uname().nodename


def test_agent_s_children_end_with_it_even_when_killed(master: tuple[str, Path]) -> None:
    with started(agent(*master, "--name", "killed")) as program:
        program.line()
        children = descendants(program.pid)
        assert children, "no executor was prepared"
        program.process.kill()
        await_gone(children)


DOUBLE = """
import numpy as np, vcl as cl
context = cl.create_some_context(interactive=False)
queue = cl.CommandQueue(context)
x = np.arange(8, dtype=np.int32)
b = cl.Buffer(context, cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR, hostbuf=x)
p = cl.Program(context, "kernel void f(global int *x) { x[get_global_id(0)] *= 2; }").build()
p.f(queue, (8,), None, b)
cl.enqueue_copy(queue, x, b)
print(int(x.sum()), context.devices[0].name, flush=True)
"""


def compute(url: str, token: Path) -> str:
    """What a program prints that computes on that cluster."""
    variables = {"VCL_MASTER": url, "VCL_TOKEN": token.read_text().strip()}
    done = run(["-c", DOUBLE], environment(**variables))
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_agent_comes_back_when_its_master_does(tmp_path: Path) -> None:
    state = ["--state-dir", str(tmp_path), "--ready-json"]
    with started([*MASTER, *LOOPBACK, *state]) as program:
        url = json.loads(program.line())["url"]
        left = Program(agent(url, tmp_path / "agent-token", "--name", "left"))
        left.line()
        assert compute(url, tmp_path / "token").startswith("56 ")
        program.process.kill()
        program.end()
    try:
        listen = ["--listen", url.removeprefix("ws://")]
        with started([*MASTER, *listen, *state]) as program:
            program.line()
            assert program.process.stderr is not None
            assert "node left from 127.0.0.1" in program.process.stderr.readline()
            assert compute(url, tmp_path / "token").startswith("56 ")
            program.process.terminate()
            program.end()
        ended_well(left, signal.SIGTERM)
    finally:
        left.process.kill()


def test_agent_that_waits_for_its_master_stops_at_once(tmp_path: Path) -> None:
    with started([*MASTER, *LOOPBACK, "--state-dir", str(tmp_path), "--ready-json"]) as program:
        url = json.loads(program.line())["url"]
        with started(agent(url, tmp_path / "agent-token", "--name", "left")) as left:
            left.line()
            program.process.kill()
            assert left.process.stderr is not None
            assert "lost the master" in left.process.stderr.readline()
            ended_well(left, signal.SIGTERM)


def test_agent_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    with started([*MASTER, *LOOPBACK, "--state-dir", str(tmp_path), "--ready-json"]) as program:
        url = json.loads(program.line())["url"]
        with started(["-c", "input()"]) as parent:
            pid = ["--parent-pid", str(parent.pid)]
            with started(agent(url, tmp_path / "agent-token", *pid)) as left:
                left.line()
                program.process.kill()
                assert left.process.stderr is not None
                assert "lost the master" in left.process.stderr.readline()
                parent.process.kill()
                status, errors = left.end()
                assert status == 0, errors


def test_agent_finds_no_master(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("anything\n")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"ws://127.0.0.1:{closed.getsockname()[1]}"
    fails_in_one_line(agent(url, tmp_path / "token", "--once"), url, "vcl-master")


def test_agent_waits_for_its_master_and_stops(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("anything\n")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"ws://127.0.0.1:{closed.getsockname()[1]}"
    with started(agent(url, tmp_path / "token")) as program:
        assert program.process.stderr is not None
        assert "waiting for it" in program.process.stderr.readline()
        program.process.send_signal(signal.SIGTERM)
        assert program.end()[0] == 0


def test_agent_finds_something_else_than_a_master(tmp_path: Path) -> None:
    """A server that closes at once, as of another protocol."""
    (tmp_path / "token").write_text("anything\n")
    source = (
        "import socket\n"
        "s = socket.create_server(('127.0.0.1', 0))\n"
        "print(s.getsockname()[1], flush=True)\n"
        "while True: c = s.accept()[0]; c.recv(1000); c.sendall(b'220 hello\\r\\n'); c.close()\n"
    )
    with started(["-c", source]) as server:
        url = f"ws://127.0.0.1:{server.line()}"
        fails_in_one_line(agent(url, tmp_path / "token"), url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "ws://", "ftp://here"])
def test_agent_is_given_a_bad_url(url: str) -> None:
    shown = CliRunner().invoke(agent_app, [url])
    assert shown.exit_code == 1
    (line,) = shown.stderr.splitlines()
    assert line.startswith("vcl-agent: ")
    assert url in line and "ws://HOST:" in line


@pytest.mark.parametrize("given", ["http://127.0.0.1:1\n", ""])
def test_agent_is_told_a_bad_url_on_standard_input(given: str) -> None:
    with started([*AGENT, "-", *AS_OWN]) as program:
        assert program.process.stdin is not None
        program.process.stdin.write(given)
        status, errors = program.end()
    assert status == 1
    (line,) = errors.splitlines()
    assert line.startswith("vcl-agent: ") and given.strip() in line and "ws://HOST:" in line


def test_agent_that_is_told_no_url_ends_with_its_parent() -> None:
    """Though somebody keeps the pipe open, as a child that the parent forked may."""
    parent = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with parent, started([*AGENT, "-", *AS_OWN, "--parent-pid", str(parent.pid)]) as program:
        parent.kill()
        assert program.process.wait(end_timeout_s) == 0
        assert program.end() == (0, "")


@pytest.mark.parametrize("url", ["ws://127.0.0.1:port", "ws://no host:1"])
def test_agent_is_given_a_url_that_nobody_can_have(url: str) -> None:
    fails_in_one_line([*AGENT, url, *AS_OWN], url)


def test_agent_has_the_wrong_token(master: tuple[str, Path], tmp_path: Path) -> None:
    (tmp_path / "token").write_text("wrong\n")
    fails_in_one_line(agent(master[0], tmp_path / "token"), master[0], "token")


def test_agent_has_the_users_token(master: tuple[str, Path]) -> None:
    users = master[1].with_name("token")
    fails_in_one_line(agent(master[0], users), "the users' token", "agent-token")


def test_agent_takes_its_token_from_the_environment(master: tuple[str, Path]) -> None:
    token = master[1].read_text().strip()
    variables = environment(VCL_AGENT_TOKEN=token, VCL_TOKEN="the users'")
    with started([*AGENT, master[0], *AS_OWN, "--name", "e"], variables) as program:
        program.line()
        ended_well(program, signal.SIGTERM)
    users = master[1].with_name("token").read_text().strip()
    fails_in_one_line([*AGENT, master[0], *AS_OWN], "token", VCL_TOKEN=users)


def test_agent_finds_the_token_of_its_user_s_own_master(tmp_path: Path) -> None:
    env = environment(XDG_STATE_HOME=str(tmp_path))
    with started([*MASTER, *LOOPBACK, "--ready-json"], env) as program:
        url = json.loads(program.line())["url"]
        with started([*AGENT, url, *AS_OWN, "--name", "own"], env) as own:
            own.line()
            ended_well(own, signal.SIGTERM)
        ended_well(program, signal.SIGTERM)
    assert not list(tmp_path.rglob("address")), "it is gone with the master"


def test_agent_s_token_file_is_a_fifo(master: tuple[str, Path], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    fails_in_one_line(agent(master[0], tmp_path / "fifo"), str(tmp_path / "fifo"), "regular")


def test_agent_s_token_file_is_missing(master: tuple[str, Path], tmp_path: Path) -> None:
    fails_in_one_line(agent(master[0], tmp_path / "absent"), str(tmp_path / "absent"))


def test_two_agents_of_one_name(master: tuple[str, Path]) -> None:
    """The second is told so, and the first goes on."""
    with started(agent(*master, "--name", "twin")) as first:
        first.line()
        fails_in_one_line(
            agent(*master, "--name", "twin"), "a node named 'twin' is connected", "--name"
        )
        ended_well(first, signal.SIGTERM)


def test_agent_finds_no_opencl(master: tuple[str, Path], tmp_path: Path) -> None:
    fails_in_one_line(
        agent(*master), "no OpenCL device", "pip install pocl-binary-distribution",
        OCL_ICD_VENDORS=str(tmp_path / "absent"), POCL_ICD_DISABLE="1",
    )  # fmt: skip


def test_agent_s_choice_of_devices_fits_none(master: tuple[str, Path]) -> None:
    fails_in_one_line(agent(*master, "--devices", "no such device"), "no OpenCL device")


@pytest.mark.parametrize("cores", ["x", "0,", "-1", "100000", ""])
def test_agent_is_given_bad_cores(cores: str) -> None:
    before = os.sched_getaffinity(0)
    shown = CliRunner().invoke(agent_app, ["ws://127.0.0.1:1", f"--cores={cores}"])
    assert shown.exit_code == 2
    assert "--cores" in shown.stderr
    assert os.sched_getaffinity(0) == before


def test_agent_is_given_a_user_that_is_not_there(master: tuple[str, Path]) -> None:
    arguments = [*AGENT, master[0], "--token-file", str(master[1]), "--executor-user", "no-such"]
    fails_in_one_line(arguments, "'no-such'", "--executor-user")


APPS = {"master": master_app, "node_agent": agent_app}


@pytest.mark.parametrize(
    ("module", "name"), [("master", "vcl-master"), ("node_agent", "vcl-agent")]
)
def test_version_and_short_help(module: str, name: str) -> None:
    shown = CliRunner().invoke(APPS[module], ["--version"], prog_name=name)
    assert (shown.exit_code, shown.stdout) == (0, f"{name} {VERSION}\n")
    assert CliRunner().invoke(APPS[module], ["-h"]).exit_code == 0


def test_the_master_tells_its_tokens(tmp_path: Path) -> None:
    where = ["--state-dir", str(tmp_path)]
    told = [
        CliRunner().invoke(master_app, ["token", *more, *where]).stdout.strip()
        for more in ([], ["--agents"], [])
    ]
    kept = [(tmp_path / name).read_text().strip() for name in ("token", "agent-token", "token")]
    assert told == kept and len(set(told)) == 2


def test_the_master_can_not_tell_its_tokens() -> None:
    shown = CliRunner().invoke(master_app, ["token", "--state-dir", "/proc/nowhere"])
    (line,) = shown.stderr.splitlines()
    assert shown.exit_code == 1 and line.startswith("vcl-master: can't read its tokens in /proc/")


def test_logs_as_json(tmp_path: Path) -> None:
    arguments = ["--log-json", "--listen", "127.0.0.1:0", "--state-dir", str(tmp_path)]
    with started([*MASTER, *arguments]) as program:
        line = program.line()
        url = line.split()[-1]
        with started(agent(url, tmp_path / "agent-token")) as node:
            node.line()
            node.process.send_signal(signal.SIGTERM)
            assert node.end()[0] == 0
        program.process.send_signal(signal.SIGTERM)
        status, errors = program.end()
    assert status == 0
    said = [json.loads(line) for line in errors.splitlines()]
    assert any("node" in each["message"] and each["level"] == "info" for each in said)


@pytest.mark.parametrize("module", ["master", "node_agent"])
def test_help_and_unknown_flags(module: str) -> None:
    wrong = run(["-m", module, "--no-such-flag"])
    assert wrong.returncode == 2
    assert "--no-such-flag" in wrong.stderr and "Traceback" not in wrong.stderr
    shown = CliRunner().invoke({"master": master_app, "node_agent": agent_app}[module], ["--help"])
    assert shown.exit_code == 0
    assert "parent" not in shown.output
