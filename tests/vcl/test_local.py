"""LocalCluster: its processes, their cores, and that none is left behind."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.processes import await_gone, descendants, environment, run_program, started, started_text
from vcl.errors import ConnectionProblem
from vcl.local import LocalCluster


def test_names_pids_and_address(cluster: LocalCluster) -> None:
    assert [node.name for node in cluster.nodes] == ["local0", "local1"]
    assert cluster.url.startswith("ws://127.0.0.1:")
    assert len(cluster.token) >= 32
    for node in cluster.nodes:
        process = psutil.Process(node.pid)
        assert "node_agent" in process.cmdline()
        assert process.ppid() == os.getpid()


def test_the_token_is_on_no_command_line(cluster: LocalCluster) -> None:
    for process in descendants(os.getpid()):
        assert cluster.token not in " ".join(process.cmdline())


def test_each_agent_is_pinned_to_its_cores(cluster: LocalCluster) -> None:
    available = sorted(os.sched_getaffinity(0))
    for index, node in enumerate(cluster.nodes):
        expected = {available[index % len(available)]}
        assert os.sched_getaffinity(node.pid) == expected == set(node.cores)
        for child in descendants(node.pid):
            assert set(child.cpu_affinity()) == expected


def own_children() -> set[int]:
    """Of this process; those of other clusters' agents come and go."""
    return {process.pid for process in psutil.Process().children()}


def test_close_ends_everything_and_is_idempotent(tmp_path: Path) -> None:
    before = own_children()
    cluster = LocalCluster(nodes=1)
    cluster.close()  # before its start: nothing to do
    cluster.start()
    processes = [
        process
        for pid in own_children() - before
        for process in (psutil.Process(pid), *descendants(pid))
    ]
    assert len(processes) >= 3  # master, agent, an executor that is ready
    assert cluster.nodes[0].cores == tuple(sorted(os.sched_getaffinity(0)))
    cluster.close()
    await_gone(processes)
    cluster.close()
    with pytest.raises(ConnectionProblem, match="vcl-master"):
        from vcl.runtime import Runtime

        Runtime(cluster.url, cluster.token)


@pytest.mark.parametrize(("nodes", "cores"), [(0, 1), (-1, None), (2, 0)])
def test_wrong_numbers(nodes: int, cores: int | None) -> None:
    with pytest.raises(ValueError, match="at least one"):
        LocalCluster(nodes, cores)


def test_no_device_fits() -> None:
    before = own_children()
    with pytest.raises(ConnectionProblem, match="no OpenCL device"):
        LocalCluster(nodes=1, devices="no such device").start()
    assert not own_children() - before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_program_that_is_killed_leaves_no_process_and_no_folder(
    tmp_path: Path, number: signal.Signals
) -> None:
    source = """
        import vcl
        with vcl.LocalCluster(nodes=1):
            print("ready", flush=True)
            input()
        """
    with started_text(source, TMPDIR=str(tmp_path)) as program:
        assert program.line() == "ready" and list(tmp_path.iterdir())
        processes = descendants(program.pid)
        program.process.send_signal(number)
        await_gone(processes)
        assert not list(tmp_path.iterdir())


def test_an_exception_ends_it_and_its_folder(tmp_path: Path) -> None:
    """The logs and the token lie in a temporary folder that only its user can read."""
    source = (
        "import stat, vcl\n"
        "from pathlib import Path\n"
        f"place = Path({str(tmp_path)!r})\n"
        "try:\n"
        "    with vcl.LocalCluster(nodes=1):\n"
        "        (folder,) = place.iterdir()\n"
        "        print(oct(stat.S_IMODE(folder.stat().st_mode)), flush=True)\n"
        "        input()\n"
        "        raise KeyError\n"
        "except KeyError:\n"
        "    print(list(place.iterdir()))\n"
    )
    with started(["-c", source], environment(TMPDIR=str(tmp_path))) as program:
        assert program.line() == "0o700"
        processes = descendants(program.pid)
        program.say()
        assert program.line() == "[]"
        await_gone(processes)
        assert program.end() == (0, "")


def test_it_does_not_take_the_program_s_choice_of_cluster(cluster: LocalCluster) -> None:
    """A program inside a cluster can start another: its processes aren't clients of the first."""
    done = run_program(
        """
        import vcl as cl
        with cl.LocalCluster(nodes=1, cores_per_node=1) as mine:
            print(len(cl.connect(mine.url, token=mine.token).get_devices()))
            print(len(cl.connect().get_devices()))
            cl.connect(mine.url, token=mine.token)
        """,
        VCL_MASTER=cluster.url,
        VCL_TOKEN=cluster.token,
    )
    assert done.stdout.split() == ["2", "3"], done.stderr
    assert done.returncode == 0
    assert done.stderr == ""


def test_it_ends_when_its_program_is_killed() -> None:
    source = """
        import vcl
        cluster = vcl.LocalCluster(nodes=1)
        cluster.start()
        print("started")
        input()
        """
    with started_text(source) as program:
        program.line()
        processes = descendants(program.pid)
        assert len(processes) >= 3
        program.process.kill()
        await_gone(processes)
