"""A session of a program: forks, several programs on one master, signals, and lost processes.

Long because the programs are here, too.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any

import psutil
import pytest

import vcl
from tests.processes import Program, await_gone, descendants, run_program, started_text
from tests.vcl.test_faces import PROGRAM
from vcl import transport
from vcl.errors import OperatingError
from vcl.runtime import Runtime
from vcl.transport import Connection, ConnectionClosed, Settings
from vcl.wire.limits import control_bytes_max, unsent_bytes_max
from vcl.wire.messages import session
from vcl.wire.messages.handshake import Welcome, pack_answer, unpack_knock

lost_timeout_s = 8.0

# A program that answers each line of its input: a Python expression or statement about these.
SERVED = """
    import os, sys
    import numpy as np
    import vcl as cl

    def begin(index=0):
        global ctx, queue, kernel, buffer, device
        device = cl.get_platforms()[0].get_devices()[index]
        ctx = cl.Context([device])
        queue = cl.CommandQueue(ctx)
        program = cl.Program(
            ctx,
            "__kernel void more(__global int *a) { a[get_global_id(0)] += 1; }"
            "__kernel void slow(__global float *a) { float x = get_global_id(0);"
            " for (int i = 0; i < 400000000; i++) x = sin(x); a[get_global_id(0)] = x; }",
        ).build()
        kernel, slow = program.more, program.slow
        buffer = cl.Buffer(ctx, cl.mem_flags.COPY_HOST_PTR, hostbuf=np.zeros(64, np.int32))
        globals()["slow"] = slow

    def one_more():
        kernel(queue, (64,), (8,), buffer)
        found = np.empty(64, np.int32)
        cl.enqueue_copy(queue, found, buffer)
        return int(found.min()), int(found.max())

    def wait_long():
        print("waiting")
        slow(queue, (64,), (8,), buffer).wait()

    begin()
    print("ready")
    for line in sys.stdin:
        try:
            print(repr(eval(line)))
        except Exception as error:
            print(type(error).__name__, str(error).replace("\\n", " "))
    """


def variables(cluster: vcl.LocalCluster) -> dict[str, str]:
    return {"VCL_MASTER": cluster.url, "VCL_TOKEN": cluster.token}


def ask(program: Program, line: str) -> str:
    program.say(line)
    return program.line()


def quickly(program: Program, line: str | None = None) -> str:
    """The answer, or the next line, which comes within a few seconds."""
    begun = time.monotonic()
    if line is not None:
        program.say(line)
    answer = program.line()
    assert time.monotonic() - begun < lost_timeout_s
    return answer


def executors(cluster: vcl.LocalCluster, node: int) -> list[psutil.Process]:
    """The executors of a node that serve a session: those with a connection. Last: the newest."""
    found = []
    for process in descendants(cluster.nodes[node].pid):
        with suppress(psutil.NoSuchProcess):  # those of sessions that have just ended
            if "node_agent.executor" in process.cmdline() and process.net_connections("tcp"):
                found.append(process)
    # They were started, and are given to sessions, one after the other.
    return sorted(found, key=lambda process: process.create_time())


def master_of(cluster: vcl.LocalCluster) -> psutil.Process:
    """The process of this cluster's master: the one that listens where clients connect."""
    port = int(cluster.url.rpartition(":")[2])
    for process in psutil.Process().children():
        if process.status() != psutil.STATUS_ZOMBIE and any(
            connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
            for connection in process.net_connections("tcp")
        ):
            return process
    raise AssertionError(f"nobody listens on port {port}")


# Forks


def test_a_forked_child_gets_a_clear_error_and_does_no_harm() -> None:
    """Nor does its end, with destructors and atexit, end the embedded cluster of its parent."""
    done = run_program(
        SERVED.partition('    print("ready")')[0]
        + """
    import warnings
    warnings.simplefilter("ignore")
    print(*one_more(), flush=True)
    child = os.fork()
    if child == 0:
        for way in (
            one_more, queue.finish, queue.flush, begin,
            lambda: cl.Buffer(ctx, 0, 4), lambda: cl.UserEvent(ctx),
        ):
            try:
                way()
                print("accepted", way)
            except cl.Error as error:
                print("forked" if "forked" in str(error) else error)
        sys.exit(0)
    assert os.waitpid(child, 0)[1] == 0
    print(*one_more())
    """,
        VCL_LOCAL_NODES="1",
    )
    lines = done.stdout.splitlines()
    assert lines == ["1 1", *["forked"] * 6, "2 2"], done.stderr


def test_a_child_can_connect_anew(cluster: vcl.LocalCluster) -> None:
    done = run_program(
        SERVED.partition('    print("ready")')[0]
        + """
    child = os.fork()
    if child == 0:
        cl.connect()
        begin()
        print("child", *one_more(), flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    print("parent", *one_more())
    """,
        **variables(cluster),
    )
    assert done.stdout.splitlines() == ["child 1 1", "parent 1 1"], done.stderr


def test_children_by_spawn_and_subprocess(cluster: vcl.LocalCluster) -> None:
    """They are programs of their own, with sessions of their own."""
    done = run_program(
        SERVED.partition('    print("ready")')[0]
        + """
    import subprocess
    more = "import vcl as cl; print(len(cl.get_platforms()[0].get_devices()))"
    subprocess.run([sys.executable, "-c", more], check=True)
    print(*one_more())
    """,
        **variables(cluster),
    )
    assert done.stdout.splitlines() == ["3", "1 1"], done.stderr


# Several programs


def test_two_programs_at_the_same_time(cluster: vcl.LocalCluster) -> None:
    with (
        started_text(SERVED, **variables(cluster)) as one,
        started_text(SERVED, **variables(cluster)) as two,
    ):
        assert one.line() == two.line() == "ready"
        for count in range(1, 6):
            one.say("one_more()")
            two.say("one_more()")
            assert one.line() == two.line() == f"({count}, {count})"
        one.process.kill()
        one.end()
        assert ask(two, "one_more()") == "(6, 6)"


def test_executors_go_with_their_session(cluster: vcl.LocalCluster) -> None:
    with started_text(SERVED, **variables(cluster)) as program:
        program.line()
        serving = [executors(cluster, node)[-1] for node in (0, 1)]
        program.process.kill()
        await_gone(serving)


# Losses


def test_an_executor_crashes(cluster: vcl.LocalCluster) -> None:
    """Its program gets an error that names the node, and can go on; others notice nothing."""
    with started_text(SERVED, **variables(cluster)) as one:
        assert one.line() == "ready"
        assert ask(one, "one_more()") == "(1, 1)"
        first = executors(cluster, 0)[-1]
        with started_text(SERVED, **variables(cluster)) as two:
            assert two.line() == "ready"
            assert ask(two, "one_more()") == "(1, 1)"
            first.kill()
            psutil.wait_procs([first], lost_timeout_s)
            text = quickly(one, "one_more()")
            assert "RuntimeError" in text or "MemoryError" in text
            assert "local0" in text
            assert ask(two, "one_more()") == "(2, 2)"
            # Anew in the same program: on the cluster, and on the node itself.
            for index in (0, 1):
                assert quickly(one, f"begin({index})") == "None"
                assert quickly(one, "one_more()") == "(1, 1)"
            assert ask(two, "one_more()") == "(3, 3)"


def test_an_executor_crashes_while_its_program_waits(cluster: vcl.LocalCluster) -> None:
    with started_text(SERVED, **variables(cluster)) as program:
        assert program.line() == "ready"
        assert ask(program, "begin(2)") == "None"
        assert ask(program, "wait_long()") == "waiting"
        lost = executors(cluster, 1)[-1]
        lost.kill()
        assert "local1" in quickly(program)


def test_how_an_executor_ended_is_told(cluster: vcl.LocalCluster) -> None:
    with started_text(SERVED, **variables(cluster)) as program:
        assert program.line() == "ready"
        assert ask(program, "begin(2)") == "None"
        assert ask(program, "wait_long()") == "waiting"
        lost = executors(cluster, 1)[-1]
        lost.kill()
        assert "SIGKILL" in quickly(program)


def test_an_agent_is_killed_then_the_master() -> None:
    """Each while the program waits for a launch; it goes on with what is left while it can."""
    with (
        vcl.LocalCluster(nodes=2, cores_per_node=1) as cluster,
        started_text(SERVED, **variables(cluster)) as program,
    ):
        assert program.line() == "ready"
        assert ask(program, "one_more()") == "(1, 1)"
        assert ask(program, "begin(2)") == "None"
        assert ask(program, "wait_long()") == "waiting"
        psutil.Process(cluster.nodes[1].pid).kill()
        assert "local1" in quickly(program)
        # Depends on whether the agent's end was noticed already, or only that of its executor.
        text = quickly(program, "one_more()")
        assert "no device of the context is connected" in text or "bytes it needs were lost" in text
        assert "DEVICE_NOT_AVAILABLE" in quickly(program, "begin(2)")
        for index in (1, 0):  # the other device, then the cluster device with what is left
            assert quickly(program, f"begin({index})") == "None"
            assert quickly(program, "one_more()") == "(1, 1)"

        assert ask(program, "wait_long()") == "waiting"
        master_of(cluster).kill()
        text = quickly(program)
        assert "DEVICE_NOT_AVAILABLE" in text
        assert cluster.url in text
        assert cluster.url in quickly(program, "one_more()")
        assert "refused" in quickly(program, "begin()")
        program.process.stdin.close()  # type: ignore[union-attr]
        program.process.stdin = None
        status, errors = program.end()
    assert status == 0 and "Traceback" not in errors
    assert errors.count("NodeLost: ") == 1 and "node local1 is gone" in errors


LOSING = (
    PROGRAM
    + """
    import warnings

    print("ready", flush=True)
    input()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        while not caught:
            try:
                kernel(queue, (64,), (8,), buffer).wait()  # here
            except cl.Error:
                pass
    print(caught[0].category.__name__, caught[0].lineno, caught[0].message, flush=True)
    """
)


def test_a_node_that_is_lost_is_warned_of_where_the_program_waits() -> None:
    line = next(n for n, text in enumerate(LOSING.splitlines(), 1) if "# here" in text)
    with (
        vcl.LocalCluster(nodes=2, cores_per_node=1, split="always") as cluster,
        started_text(LOSING, **variables(cluster)) as program,
    ):
        assert [program.line(), program.line()] == ["1", "ready"]
        psutil.Process(cluster.nodes[1].pid).kill()
        program.say()
        said = program.line()
        assert program.end()[0] == 0
    assert said.startswith(f"NodeLost {line} ") and "local1" in said


def test_an_agent_that_stops_answering_does_not_hold_the_program_s_end(
    cluster: vcl.LocalCluster,
) -> None:
    with started_text(SERVED, **variables(cluster)) as program:
        assert program.line() == "ready"
        agent = psutil.Process(cluster.nodes[0].pid)
        agent.suspend()
        try:
            program.process.stdin.close()  # type: ignore[union-attr]
            program.process.stdin = None
            assert program.end() == (0, "")
        finally:
            agent.resume()


# Signals

SIGNALLED = """
    import random, signal, threading
    import numpy as np
    import vcl as cl

    class Came(Exception):
        pass

    def handler(number, frame):
        raise Came

    ctx = cl.create_some_context(interactive=False)
    program = cl.Program(ctx, "kernel void more(global int *a) { a[0] += 1; }").build()

    def begin():
        zeros = np.zeros(1, np.int32)
        buffer = cl.Buffer(ctx, cl.mem_flags.COPY_HOST_PTR, hostbuf=zeros)
        kernel = cl.Kernel(program, "more")
        kernel.set_args(buffer)
        return cl.CommandQueue(ctx), kernel, buffer

    def other():
        queue, kernel, buffer = begin()
        found, count = np.zeros(1, np.int32), 0
        while going and found[0] == count:
            for _ in range(rng.choice((1, 2, 300))):
                cl.enqueue_nd_range_kernel(queue, kernel, (1,), (1,))
                count += 1
            cl.enqueue_copy(queue, found, buffer)
        if going:
            wrong.append((found[0], count))

    rng, going, wrong = random.Random(1), True, []
    others = [threading.Thread(target=other) for _ in range(THREADS)]
    for thread in others:
        thread.start()
    queue, kernel, buffer = begin()
    signal.signal(signal.SIGALRM, handler)
    tried = done = came = 0
    while came < 300:
        try:
            try:
                tried += 1
                signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.00005, 0.002 + 0.01 * THREADS))
                cl.enqueue_nd_range_kernel(queue, kernel, (1,), (1,))
                queue.finish()
                done += 1
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except Came:
            came += 1
    going = False
    for thread in others:
        thread.join()
    found = np.empty(1, np.int32)
    cl.enqueue_copy(queue, found, buffer)
    print(done <= found[0] <= tried, done > 10, wrong)
    """


@pytest.mark.parametrize("threads", [0, 3])
def test_a_handler_that_raises_at_any_moment_costs_nothing(
    cluster: vcl.LocalCluster, threads: int
) -> None:
    """Neither what was said before, nor the session, nor what other threads do."""
    done = run_program(SIGNALLED.replace("THREADS", str(threads)), **variables(cluster))
    assert done.stdout == "True True []\n", done.stderr


# A master that doesn't read


@pytest.mark.parametrize("reads_on", [True, False])
async def test_a_program_waits_for_a_master_that_does_not_read(reads_on: bool) -> None:
    loop = asyncio.get_running_loop()
    waits, reads, has_read = asyncio.Event(), asyncio.Event(), asyncio.Event()
    length, count = 2**18, 200
    received = 0

    async def handler(connection: Connection, path: str) -> None:
        nonlocal received
        knock = unpack_knock(await connection.recv())
        connection.send_soon(pack_answer(Welcome(software="0", session=1, key="key")))
        if knock.role == "client":
            await reads.wait()
            if not reads_on:
                return
        with suppress(ConnectionClosed):
            while True:
                received += len(await connection.recv())
                if received > count * length:
                    has_read.set()

    settings = Settings(receive_bytes_max=control_bytes_max)
    server = await transport.serve(handler, "127.0.0.1", 0, settings)
    runtime = await asyncio.to_thread(Runtime, "ws://{}:{}".format(*server.address), "token")
    said = 0
    wait_until = runtime._wait_until

    def noted(*arguments: Any, **others: Any) -> None:
        loop.call_soon_threadsafe(waits.set)
        wait_until(*arguments, **others)

    def say_much() -> None:
        nonlocal said
        unit = ["x" * length, "", [], []]
        for number in range(1, count + 1):
            runtime.say(session.BuildProgram(number, 1, number, session.BUILD, [unit], ""))
            said += 1
        runtime.flush()

    runtime._wait_until = noted  # type: ignore[method-assign]
    try:
        saying = asyncio.create_task(asyncio.to_thread(say_much))
        # It waits with what the kernel's buffers hold besides.
        async with asyncio.timeout(lost_timeout_s):
            await waits.wait()
        with runtime.lock:
            unsent = runtime.core.unsent_bytes + runtime.core._outbox_bytes
            assert said < count and unsent < unsent_bytes_max + 2 * length
        reads.set()
        async with asyncio.timeout(lost_timeout_s):
            if reads_on:
                await saying
                await has_read.wait()  # a session that is closed before may lose the last of it
            else:
                # What it said may all have left, to be thrown away, before it reads of the end.
                with pytest.raises(OperatingError, match="is over"):
                    await saying
                    await asyncio.to_thread(runtime.ask, session.AskTotals(count + 1))
        assert said == count or not reads_on
    finally:
        reads.set()
        await asyncio.to_thread(runtime.close)
        await server.close()
