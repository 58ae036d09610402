"""Nodes that join a running program, and nodes that come back to it, as real processes."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.processes import Program, run_timeout_s, started, started_text
from vcl.local import LocalCluster
from vcl.tokens import AGENTS

# For each line that it reads, adds one to each item, and prints what came of it and where it ran.
# What a read that failed left behind is no result: the next step starts from the last one.
PROGRAM = """
    import sys
    import warnings
    import numpy as np
    import vcl as cl

    warnings.simplefilter("ignore")
    device = cl.get_platforms()[0].get_devices()[{device}]
    context = cl.Context([device])
    queue = cl.CommandQueue(context)
    add = cl.Program(context, '''
        kernel void add(global int *x) {{ x[get_global_id(0)] += 1; }}
    ''').build().add
    x = np.zeros(64, np.int32)
    print("ready", flush=True)
    for line in sys.stdin:
        try:
            buffer = cl.Buffer(context, cl.mem_flags.COPY_HOST_PTR, hostbuf=x)
            event = add(queue, (64,), (8,), buffer)
            read = np.empty_like(x)
            cl.enqueue_copy(queue, read, buffer)
            x = read
            nodes = sorted(part.node for part in cl.launch_report(event).parts)
            print(x.min(), x.max(), *nodes, flush=True)
        except cl.Error as error:
            print("failed:", str(error).replace("\\n", " "), flush=True)
    """


@contextmanager
def agent(cluster: LocalCluster, name: str) -> Iterator[Program]:
    """One more agent, once it is ready."""
    assert cluster._state is not None
    token = Path(cluster._state.name) / "state" / AGENTS
    arguments = ["--name", name, "--cores", "0", "--once", "--token-file", str(token)]
    if os.geteuid() == 0:
        arguments += ["--executor-user", "root"]
    command = ["-m", "node_agent", cluster.url, *arguments, "--ready-json"]
    with started(command) as running:
        assert json.loads(running.line())["name"] == name
        yield running


@pytest.fixture
def one_node() -> Iterator[LocalCluster]:
    with LocalCluster(nodes=1, cores_per_node=1) as running:
        yield running


def launched(program: Program) -> list[str]:
    program.say()
    return program.line().split()


def until(program: Program, nodes: list[str], gone: str = "") -> list[str]:
    """Launch until a launch ran on these nodes; every one of them is right.

    gone: a node that was killed just now. The master may hear of that after it has been given the
    next launches, which then fail, and say so.
    """
    end, before = time.monotonic() + run_timeout_s, -1
    while time.monotonic() < end:
        least, most, *found = launched(program)
        if least == "failed:":
            assert gone and f"node {gone} is gone" in " ".join(found), found
            continue
        assert int(least) == int(most)
        assert before in (-1, int(least) - 1)
        before = int(least)
        if found == nodes:
            return found
    raise AssertionError(f"never on {nodes}, at last on {found}")


def test_a_node_joins_a_running_program_and_leaves_it(one_node: LocalCluster) -> None:
    variables = {"VCL_MASTER": one_node.url, "VCL_TOKEN": one_node.token}
    with started_text(PROGRAM.format(device=0), **variables) as program:
        assert program.line() == "ready"
        assert launched(program) == ["1", "1", "local0"]
        with agent(one_node, "another") as another:
            until(program, ["another", "local0"])
            another.process.kill()
            until(program, ["local0"], gone="another")
        with agent(one_node, "another"):
            until(program, ["another", "local0"])


def test_a_node_comes_back_to_a_running_program(one_node: LocalCluster) -> None:
    variables = {"VCL_MASTER": one_node.url, "VCL_TOKEN": one_node.token}
    with agent(one_node, "another") as first, started_text(
        PROGRAM.format(device=1), **variables
    ) as program:
        assert program.line() == "ready"
        assert launched(program) == ["1", "1", "another"]
        first.process.send_signal(signal.SIGKILL)
        first.end()
        while "another is gone" not in " ".join(failed := launched(program)):
            assert failed[0] != "failed:", failed
        with agent(one_node, "another"):
            assert launched(program)[2:] == ["another"]
